// The films that were selected: how many, which, and as a file.
import { keep, kept } from "../kept.js";
import { FULL, keepButton } from "../keeping.js";
import { element, save } from "../parts.js";
import { say } from "../status.js";
import { count, t } from "../words.js";

const LISTED = 300;
const COLUMNS = ["movie_id", "title", "year", "genres", "cluster"];

// What spreadsheets take for the beginning of a formula, or pass over in front of one.
const FORMULA = /^'*[=+\-@\t\r]/;
const NUMBER = /^[+-]?\d+(\.\d+)?(e[+-]?\d+)?$/i;

export function cell(value) {
  const plain = Array.isArray(value) ? value.join("|") : String(value ?? "");
  const text = FORMULA.test(plain) && !NUMBER.test(plain) ? `'${plain}` : plain;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function asCsv(records) {
  return [COLUMNS, ...records.map((record) => COLUMNS.map((name) => record[name]))].map((row) => `${row.map(cell).join(",")}\n`).join("");
}

export class Selection {
  // `choose` selects other films.
  constructor(at, films, choose) {
    this.rows = [];
    this.at = at;
    this.films = films;
    at("csv").addEventListener("click", () => save(new Blob([asCsv(this.#records())], { type: "text/csv" }), "films.csv"));
    at("json").addEventListener("click", () => save(new Blob([this.#asJson()], { type: "application/json" }), "films.json"));
    at("keep-all").addEventListener("click", () => {
      const isKept = keep([...kept(), ...this.rows.map((row) => films.movieIds[row])]);
      say(isKept ? t("All are on your shortlist.") : FULL);
    });
    at("clear").addEventListener("click", () => { choose([]); at("view").focus(); });
  }

  #asJson() {
    return `${JSON.stringify(this.#records(), null, 2)}\n`;
  }

  #records() {
    return this.rows.map((row) => this.films.record(row));
  }

  show(rows) {
    this.rows = rows;
    const n = rows.length;
    this.at("count").textContent = n ? count(n, "{n} film is selected.", "{n} films are selected.") : t("No film is selected.");
    for (const id of ["csv", "json", "keep-all", "clear", "titles"]) this.at(id).hidden = !n;
    this.at("titles").replaceChildren(...this.rows.slice(0, LISTED).map((row) => {
      const [movieId, label] = [this.films.movieIds[row], this.films.label(row)];
      return element("li", {}, keepButton(movieId, label), element("a", { href: `./?film=${movieId}`, textContent: label }));
    }));
    if (n > LISTED) this.at("count").textContent += ` ${t("The first {n} are listed; the files hold all.", { n: LISTED })}`;
  }
}
