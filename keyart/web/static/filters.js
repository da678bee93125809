// Which films are wanted: genres, years, number of ratings, artwork. The address holds it; what cannot be is said here.
import { at, element } from "./parts.js";
import { report } from "./status.js";
import { count, t } from "./words.js";

export const FILTERS = ["genre", "first_year", "last_year", "min_ratings", "merge_duplicates"];
const EXPECTED = {
  first_year: t("A year has four digits, such as 1995."),
  last_year: t("A year has four digits, such as 1995."),
  min_ratings: t("The number of ratings is 0 or more."),
};
const NUMBERS = Object.keys(EXPECTED);

// The fields that are wrong, and what was expected.
function fault() {
  for (const name of NUMBERS) if (!at(name).checkValidity()) return [[name], EXPECTED[name]];
  const [first, last] = [at("first_year").value, at("last_year").value];
  if (first && last && Number(first) > Number(last)) return [["first_year", "last_year"], t("The first year is later than the last.")];
  return [[], ""];
}

function showFault([names, text]) {
  for (const name of NUMBERS) at(name).setAttribute("aria-invalid", names.includes(name));
  at("choice-fault").textContent = text;
}

export function filters(state, go) {
  const menu = at("genres");
  const boxes = () => [...at("genre-list").querySelectorAll("input")];

  function showGenres() {
    const chosen = state().getAll("genre");
    for (const box of boxes()) box.checked = chosen.includes(box.value);
    at("genres-chosen").textContent = chosen.length > 2 ? count(chosen.length, "{n} of them", "{n} of them")
      : chosen.length === 2 ? t("{one} or {other}", { one: t(chosen[0]), other: t(chosen[1]) })
      : chosen.length ? t(chosen[0]) : t("all");
  }

  function show() {
    const params = state();
    for (const name of NUMBERS) at(name).value = params.get(name) ?? "";
    at("merge_duplicates").checked = params.get("merge_duplicates") === "true";
    at("clear").disabled = !FILTERS.some((name) => params.has(name));
    showGenres();
    showFault([[], ""]);
  }

  function change() {
    const found = fault();
    showFault(found);
    if (found[1]) return;
    go({
      ...Object.fromEntries(NUMBERS.map((name) => [name, at(name).value])),
      merge_duplicates: at("merge_duplicates").checked ? "true" : "",
      genre: boxes().length ? boxes().filter((box) => box.checked).map((box) => box.value) : state().getAll("genre"),
    });
  }

  for (const name of [...NUMBERS, "merge_duplicates"]) at(name).addEventListener("change", change);
  at("genre-list").addEventListener("change", change);
  at("clear").addEventListener("click", () => {
    // The button, which is disabled now, would lose the focus.
    menu.querySelector("summary").focus();
    go(Object.fromEntries(FILTERS.map((name) => [name, ""])));
  });
  // A button in it may be gone by now, but was pressed inside.
  addEventListener("click", (event) => { if (!event.composedPath().includes(menu)) menu.open = false; });
  menu.addEventListener("keydown", ({ key }) => {
    if (key !== "Escape" || !menu.open) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });

  return {
    show,
    offer(genres) {
      at("genre-list").replaceChildren(...genres.map((genre) => element("label", {},
        element("input", { type: "checkbox", value: genre }), ` ${t(genre)}`)));
      showGenres();
    },
    // Without the genres, it says why where they would be.
    refuse(error, retry) { report(error, retry, at("genre-list")); },
  };
}
