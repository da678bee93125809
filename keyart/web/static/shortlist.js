// The page of the shortlist: the films that this browser keeps, or those that an address names.
import { poster, titled } from "./film.js";
import { keep, kept, onKept } from "./kept.js";
import { FULL, keepButton } from "./keeping.js";
import { at, element, ratings, sheetLabel } from "./parts.js";
import { fetchJson } from "./requests.js";
import { report, say, waiting } from "./status.js";
import { count, t } from "./words.js";

const FILES = { json: "json", csv: "csv", sheet: "jpg" };
const MOST_ASKED = 20; // films that look-alikes are asked of at once, which the API takes
const shared = new URLSearchParams(location.search).getAll("film"); // none on one's own page
const known = new Map(); // films by movie_id; null where the catalog has none
const earlier = []; // lists, which Undo returns to
let request = new AbortController();
let work = Promise.resolve(); // once the page shows what is kept
let shown = []; // films
let missing = []; // what the catalog does not have

const question = (movieIds) => new URLSearchParams(movieIds.map((movieId) => ["film", movieId]));
const address = () => new URL(`shortlist?${question([...shown.map((film) => film.movie_id), ...missing])}`, location).href;

function card(film) {
  const label = titled(film);
  const link = element("a", { className: "hit", href: `./?film=${film.movie_id}` }, poster(film), element("strong", { textContent: label }));
  const numbers = element("span", { className: "numbers" }, element("span", { textContent: ratings(film.n_ratings) }));
  const act = shared.length ? keepButton(film.movie_id, label) : removeButton(film, label);
  return element("li", {}, link, numbers, element("div", { className: "acts" }, act));
}

function removeButton(film, label) {
  const button = element("button", { type: "button", textContent: t("Remove") });
  button.setAttribute("aria-label", t("Remove {title}", { title: label }));
  button.addEventListener("click", async () => {
    const row = shown.indexOf(film);
    await change(kept().filter((movieId) => movieId !== film.movie_id), t("{title} was removed.", { title: label }));
    // The next film takes its place, for the keyboard as well.
    (at("hits").children[Math.min(row, shown.length - 1)]?.querySelector("button") ?? at("undo")).focus();
  });
  return button;
}

// Keeps other films, which can be undone.
async function change(movieIds, words) {
  const before = kept();
  if (!keep(movieIds)) return say(FULL);
  earlier.push(before);
  at("undo").hidden = false;
  await work;
  say(words);
}

function described() {
  if (!shared.length) return t("Films that you keep stay in this browser. The link holds them: whoever opens it sees the same films.");
  const n = shown.filter((film) => kept().includes(film.movie_id)).length;
  if (!n) return t("A shortlist that was shared with you.");
  if (n === shown.length) return t("A shortlist that was shared with you: all of its films are in yours.");
  return count(n, "A shortlist that was shared with you: {n} of its films is in yours.", "A shortlist that was shared with you: {n} of its films are in yours.");
}

function showActions() {
  const ids = shown.map((film) => film.movie_id);
  at("about").textContent = described();
  at("actions").hidden = at("exports").hidden = !ids.length;
  at("keep-all").hidden = !shared.length || ids.every((movieId) => kept().includes(movieId));
  at("clear").hidden = shared.length > 0;
  // Several films are compared by looks, so one without a poster cannot be among them.
  const comparable = ids.length === 1 ? ids : shown.filter((film) => film.has_poster).map((film) => film.movie_id);
  const asked = comparable.slice(0, MOST_ASKED);
  at("alike").hidden = !asked.length;
  at("alike").textContent = ids.length === 1 ? t("Look-alikes") : asked.length === ids.length ? t("Look-alikes of all")
    : comparable.length > MOST_ASKED ? t("Look-alikes of the first {n} with a poster", { n: MOST_ASKED })
    : count(asked.length, "Look-alikes of the one with a poster", "Look-alikes of the {n} with a poster");
  at("alike").href = `./?${new URLSearchParams(asked.map((movieId, n) => [n ? "like" : "film", movieId]))}`;
  at("link").hidden = true;
  at("n-exported").textContent = count(ids.length, "This film as", "These {n} films as");
  at("sheet").textContent = sheetLabel(ids.length);
  for (const [id, ending] of Object.entries(FILES)) at(id).href = `api/shortlist.${ending}?${question(ids)}`;
}

function showMissing() {
  const n = missing.length;
  at("missing").hidden = !n;
  at("missing").firstElementChild.textContent = count(n, "{n} film of this list is not in the catalog.", "{n} films of this list are not in the catalog.");
  at("drop").hidden = shared.length > 0;
}

async function find(names) {
  request.abort();
  request = new AbortController();
  const { signal } = request;
  const answer = await fetchJson(`api/shortlist.json?${question(names)}`, { signal, waiting });
  for (const film of answer.films) known.set(film.movie_id, film);
  for (const name of answer.missing) known.set(name, null);
  return answer;
}

// One that is shared may name films by ids of others, and does not change.
async function update() {
  if (shared.length) {
    ({ films: shown, missing } = await find(shared));
    return;
  }
  const ids = kept();
  if (ids.some((movieId) => !known.has(movieId))) await find(ids);
  shown = ids.map((movieId) => known.get(movieId)).filter(Boolean);
  missing = ids.filter((movieId) => known.get(movieId) === null);
}

async function show() {
  try {
    await update();
  } catch (error) {
    if (error.name !== "AbortError") report(error, show);
    return;
  }
  at("hits").replaceChildren(...shown.map(card));
  showActions();
  showMissing();
  say(shown.length || missing.length ? count(shown.length, "{n} film.", "{n} films.") : t("No film is kept yet: press “Keep” below one."));
}

async function copy() {
  try {
    await navigator.clipboard.writeText(address());
    say(t("The link was copied."));
  } catch {
    // Browsers let pages copy over HTTPS and on this machine only.
    at("link").hidden = false;
    at("link").value = address();
    at("link").select();
    say(t("Copy the link from the field."));
  }
}

at("copy").addEventListener("click", copy);
at("clear").addEventListener("click", async () => {
  await change([], t("The shortlist was cleared."));
  at("undo").focus();
});
at("drop").addEventListener("click", async () => {
  await change(shown.map((film) => film.movie_id), t("They were removed."));
  at("undo").focus();
});
at("keep-all").addEventListener("click", async () => {
  await change([...kept(), ...shown.map((film) => film.movie_id)], t("All are on your shortlist."));
  at("undo").focus();
});
at("undo").addEventListener("click", async () => {
  keep(earlier.pop());
  at("undo").hidden = !earlier.length;
  await work;
  say(t("The last change was undone."));
  (earlier.length ? at("undo") : at("name")).focus();
});
document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); at("hits").focus(); });
if (shared.length) at("name").textContent = t("Shared shortlist");
onKept(() => { work = shared.length ? showActions() : show(); });
show();
