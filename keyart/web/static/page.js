// The page: its address holds the whole state, and everything shown follows from the address.
import { combobox } from "./combobox.js";
import { card } from "./card.js";
import { titled } from "./film.js";
import { SIDES, mix } from "./mix.js";
import { newFilm } from "./newfilm.js";
import { at, element, get, ratings } from "./parts.js";

const FIELDS = ["genre", "first_year", "last_year", "min_ratings"];
const ASKED = [...FIELDS, "alpha", "content", "merge_duplicates", "diverse"];
const RENAMED = { min_support: "min_ratings", fold: "merge_duplicates" }; // in links of version 0.1
const SHARES = { alpha: "auto", content: "auto-content" }; // sliders, and what leaves each to keyart
const PAGE = 30;
const LONGEST_TITLE = 200; // which the API takes
const MARGIN = 600; // pixels below the window, from where on more is requested
let latest = 0; // answers to an earlier request are dropped
let shown = 0;
let more = false;
let loading = false;
let picture = null;
let takesWords = false;
const pictures = new Map(); // those of this visit, by what the history calls them

function state() {
  const params = new URLSearchParams(location.search);
  for (const [old, name] of Object.entries(RENAMED)) {
    if (params.has(old) && !params.has(name)) params.set(name, params.get(old));
    params.delete(old);
  }
  return params;
}

function question(offset) {
  // What others added to a link is none of the question.
  const params = new URLSearchParams([...state()].filter(([name]) => ASKED.includes(name)));
  if (picture || words()) for (const name of Object.keys(SHARES)) params.delete(name);
  params.set("k", PAGE);
  params.set("offset", offset);
  if (words()) params.set("text", words());
  if (picture || isMix()) for (const side of SIDES) for (const movieId of together(side)) params.append(side, movieId);
  return params;
}

function isMix() {
  return words() !== null || SIDES.some((side) => state().has(side));
}

// The description that the page is about, if it is about one.
function words() {
  return picture ? null : state().get("text");
}

// The films of one side; the one that the page is about is sought for first.
function together(side) {
  const params = state();
  const pivots = side === "like" && !picture ? params.getAll("film") : [];
  return [...pivots, ...params.getAll(side)];
}

function addressOf(name, offset) {
  const folder = isMix() ? "api" : `api/films/${encodeURIComponent(state().get("film"))}`;
  return `${folder}/${name}?${question(offset)}`;
}

function go(changes, replace = false) {
  const params = state();
  for (const [name, value] of Object.entries(changes)) {
    params.delete(name);
    for (const one of [value].flat()) if (one !== "") params.append(name, one);
  }
  const entry = picture && { picture: [...pictures].find(([, file]) => file === picture)[0] };
  history[replace ? "replaceState" : "pushState"](entry, "", `?${params}`);
  return show();
}

function pivot(movieId, replace = false) {
  picture = null;
  scrollTo(0, 0);
  return go({ film: movieId, text: "", like: [], unlike: [] }, replace);
}

function describe(text) {
  picture = null;
  scrollTo(0, 0);
  return go({ film: "", text, like: [], unlike: [] });
}

async function drawFilm(replace) {
  const number = latest;
  try {
    const film = await get("api/films/random");
    // Whoever has gone on to another film meanwhile stays there.
    if (number === latest) await pivot(film.movie_id, replace);
  } catch (error) {
    at("status").textContent = error.message;
  }
}

function showChoice() {
  const params = state();
  for (const name of FIELDS) at(name).value = params.get(name) ?? "";
  at("merge_duplicates").checked = params.get("merge_duplicates") === "true";
  for (const [name, auto] of Object.entries(SHARES)) {
    at(auto).checked = !params.has(name);
    if (params.has(name)) at(name).value = params.get(name);
    at(name).disabled = at(auto).disabled = picture !== null || words() !== null;
  }
  at("diverse").value = params.get("diverse") ?? 0;
  if (!picture) at("new").hidden = true;
}

function showFilm(film) {
  at("film").hidden = false;
  at("name").textContent = titled(film);
  const others = SIDES.flatMap((side) => state().getAll(side)).length;
  document.title = `${at("name").textContent}${others ? ` and ${others} more` : ""} – keyart`;
  const rating = film.mean_rating === null ? "" : ` · ${film.mean_rating.toFixed(2)} stars`;
  at("facts").textContent = `${film.genres.join(", ") || "no genres"} · ${ratings(film.n_ratings)}${rating}`;
  at("poster").hidden = !film.has_poster;
  if (film.has_poster) at("poster").src = `posters/${film.movie_id}?width=320`;
  at("poster").alt = `Poster of ${film.title}`;
  showExports();
  at("on-atlas").href = `atlas?film=${film.movie_id}`;
  at("on-atlas").hidden = !film.has_poster;
}

function showExports() {
  at("json").href = addressOf("similar", 0);
  at("csv").href = addressOf("similar.csv", 0);
  at("sheet").href = addressOf("sheet.jpg", 0);
  at("exports").hidden = false;
}

function showWords() {
  at("film").hidden = false;
  at("name").textContent = `“${words()}”`;
  document.title = `${at("name").textContent} – keyart`;
  at("facts").textContent = "posters that look like this description, by looks alone";
  at("poster").hidden = at("on-atlas").hidden = true;
  showExports();
}

function showPicture() {
  at("film").hidden = at("exports").hidden = false;
  at("exports").hidden = true;
  at("name").textContent = "Your picture";
  document.title = "Your picture – keyart";
  at("facts").textContent = "by looks alone; it is not kept, unless you add it";
  at("poster").hidden = false;
  at("poster").src = URL.createObjectURL(picture);
  at("poster").alt = "Your picture";
}

function setLoading(on) {
  loading = on;
  // What is shown meanwhile may be of the film before.
  at("hits").setAttribute("aria-busy", on);
}

async function load(number) {
  setLoading(true);
  const film = state().get("film");
  const answer = picture
    ? await get(`api/similar?${question(shown)}`, { method: "POST", body: picture })
    : await get(addressOf("similar", shown));
  if (number !== latest) return;
  if (shown === 0) at("hits").replaceChildren();
  at("hits").append(...answer.results.map((hit) => card(hit, picture || words() ? null : film, address, pivot, why, others.add)));
  shown += answer.results.length;
  more = answer.more;
  const notes = answer.notes.length ? ` ${answer.notes.join(". ")}.` : "";
  at("status").textContent = shown ? `${shown} look-alikes${more ? ", more below" : ""}.${notes}` : `No film found.${notes}`;
  setLoading(false);
  // On a tall screen one page may not reach the bottom.
  if (more && at("end").getBoundingClientRect().top < innerHeight + MARGIN) await load(number);
}

function address(movieId) {
  const params = state();
  params.set("film", movieId);
  for (const name of ["text", ...SIDES]) params.delete(name);
  return `?${params}`;
}

async function show() {
  const number = ++latest;
  shown = 0;
  setLoading(true);
  showChoice();
  others.show();
  try {
    const film = state().get("film");
    if (picture) showPicture();
    else if (words()) showWords();
    else if (film) {
      const facts = await get(`api/films/${encodeURIComponent(film)}`);
      if (number !== latest) return;
      showFilm(facts);
    } else if (history.state?.picture) throw new Error("The picture was not kept; choose it again.");
    // This film was not chosen by the user, so back must not lead to it.
    else return drawFilm(true);
    await load(number);
  } catch (error) {
    if (number !== latest) return;
    more = false;
    setLoading(false);
    at("hits").replaceChildren();
    if (!picture && !isMix()) at("film").hidden = true;
    at("status").textContent = error.message;
  }
}

function why(first, hit, label) {
  at("heat").hidden = !first; // a description has no regions
  if (first) at("heat").src = `api/films/${first}/why/${hit.movie_id}.jpg`;
  at("heat").alt = `Heat map: where the poster and that of ${label} look alike`;
  at("reasons").replaceChildren(...hit.why.map((reason) => element("li", { textContent: reason })));
  at("why").showModal();
}

function take(file) {
  if (!file) return;
  picture = file;
  pictures.set(`${performance.timeOrigin}-${pictures.size}`, file);
  scrollTo(0, 0);
  at("status").textContent = "Looking at the picture …";
  go({ film: "", text: "", like: [], unlike: [] });
  film.about(file);
}

const film = newFilm(pivot);
const others = mix(state, go, suggest);

const timers = {};
function slide(name, value) {
  clearTimeout(timers[name]);
  timers[name] = setTimeout(() => go({ [name]: value() }, true), 60);
}
for (const [name, auto] of Object.entries(SHARES)) {
  at(name).addEventListener("input", () => slide(name, () => at(name).value));
  at(auto).addEventListener("change", () => go({ [name]: at(auto).checked ? "" : at(name).value }));
}
at("diverse").addEventListener("input", () => slide("diverse", () => (Number(at("diverse").value) ? at("diverse").value : "")));
for (const name of FIELDS) at(name).addEventListener("change", () => go({ [name]: at(name).value }));
at("merge_duplicates").addEventListener("change", () => go({ merge_duplicates: at("merge_duplicates").checked ? "true" : "" }));
at("choice").addEventListener("submit", (event) => event.preventDefault());
at("random").addEventListener("click", () => drawFilm(false));
at("picture").addEventListener("change", () => {
  take(at("picture").files[0]);
  at("picture").value = ""; // or the same file could not be chosen again
});
addEventListener("dragover", (event) => { event.preventDefault(); document.body.classList.add("dropping"); });
addEventListener("dragleave", () => document.body.classList.remove("dropping"));
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  take(event.dataTransfer.files[0]);
});
addEventListener("paste", (event) => take(event.clipboardData.files[0]));
// A leap inside the page must not become a part of its address, which would be shown anew.
document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); at("hits").focus(); });
addEventListener("popstate", () => {
  picture = pictures.get(history.state?.picture) ?? null;
  if (picture) film.about(picture);
  show();
});
new IntersectionObserver(([end]) => {
  if (end.isIntersecting && more && !loading) load(latest).catch((error) => { setLoading(false); at("status").textContent = error.message; });
}, { rootMargin: `${MARGIN}px` }).observe(at("end"));

async function titles(text, signal) {
  return text.length > LONGEST_TITLE ? [] : get(`api/films?query=${encodeURIComponent(text)}`, { signal });
}

async function suggest(text, signal) {
  const films = await titles(text, signal);
  if (!films.length) at("status").textContent = `No film is titled like “${text}”.`;
  return films;
}

// Where the encoder takes words, those that name no film are a description, before titles that are only spelled alike.
async function suggestAny(text, signal) {
  if (!takesWords) return suggest(text, signal);
  const films = await titles(text, signal);
  const description = { label: `Posters that look like “${text}”`, words: text };
  return [...films.filter((film) => film.is_named), description, ...films.filter((film) => !film.is_named)];
}

combobox(at("title"), at("suggestions"), suggestAny, (movieId, found) => found.words ? describe(found.words) : pivot(movieId));
get("api/text").then(({ available }) => {
  takesWords = available;
  if (available) at("title").placeholder = "A film, or what its poster shows";
}).catch((error) => { at("status").textContent = error.message; });
at("heat").addEventListener("error", () => { at("heat").hidden = true; });
get("api/genres").then((genres) => {
  at("genre").append(...genres.map((genre) => new Option(genre)));
  film.offer(genres);
  at("genre").value = state().get("genre") ?? "";
}).catch((error) => { at("status").textContent = error.message; });
show();
