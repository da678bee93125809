// The page: its address holds the whole state, and everything shown follows from the address.
import { combobox } from "./combobox.js";
import { card } from "./card.js";
import { MOST_EXPORTED, exportsOf } from "./exports.js";
import { plain, titled } from "./film.js";
import { FILTERS, filters } from "./filters.js";
import { keepButton } from "./keeping.js";
import { SIDES, mix } from "./mix.js";
import { newFilm } from "./newfilm.js";
import { showPanel } from "./panel.js";
import { part } from "./part.js";
import { at, ratings } from "./parts.js";
import { fitted } from "./picture.js";
import { places } from "./place.js";
import { fetchJson } from "./requests.js";
import { shareSlider } from "./share.js";
import { report, say, tolerate, waiting } from "./status.js";
import { suggestTitles, titles } from "./titles.js";
import { twins } from "./twins.js";
import { whyDialog } from "./why.js";

const ASKED = [...FILTERS, "alpha", "content", "diverse", "region"];
const RENAMED = { min_support: "min_ratings", fold: "merge_duplicates" }; // in links of version 0.1
const NOTHING_ELSE = { text: "", region: "", like: [], unlike: [] }; // but a film or a picture that is asked about
const PAGE = 30;
const MOST_AT_ONCE = 200;
const MARGIN = 600; // pixels below the window, from where on more is requested
let request = new AbortController(); // for the state that is in the address
let shown = 0; // results, of that state
let more = false;
let loading = false;
let picture = null;
let about = ""; // what the results look like
let notice = ""; // to be said once with the results
let prepared = null;
const pictures = new Map(); // those of this visit, by what the history calls them

function state() {
  const params = new URLSearchParams(location.search);
  for (const [old, name] of Object.entries(RENAMED)) {
    if (params.has(old) && !params.has(name)) params.set(name, params.get(old));
    params.delete(old);
  }
  return params;
}

function question(offset, k) {
  // What others added to a link is none of the question.
  const params = new URLSearchParams([...state()].filter(([name]) => ASKED.includes(name)));
  if (areLooksAlone()) for (const name of ["alpha", "content"]) params.delete(name);
  params.set("k", k);
  if (offset) params.set("offset", offset);
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

// Pictures, descriptions and parts of posters are compared by looks.
function areLooksAlone() {
  return picture !== null || words() !== null || state().has("region");
}

// The films of one side; the one that the page is about is sought for first.
function together(side) {
  const params = state();
  const pivots = side === "like" && !picture ? params.getAll("film") : [];
  return [...pivots, ...params.getAll(side)];
}

function addressOf(name, offset, k) {
  const folder = picture || isMix() ? "api" : `api/films/${encodeURIComponent(state().get("film"))}`;
  return `${folder}/${name}?${question(offset, k)}`;
}

function ask(offset, k, signal) {
  const post = picture ? { method: "POST", body: picture } : {};
  return fetchJson(addressOf("similar", offset, k), { ...post, signal, waiting });
}

// Shows another state: as a new entry of the history, or in place of this one.
function go(changes, { replace = false, top = false, opened = null } = {}) {
  if (!replace) place.keep(opened);
  const params = state();
  for (const [name, value] of Object.entries(changes)) {
    params.delete(name);
    for (const one of [value].flat()) if (one !== "") params.append(name, one);
  }
  const entry = picture && { picture: [...pictures].find(([, file]) => file === picture)[0] };
  history[replace ? "replaceState" : "pushState"](entry, "", `?${params}`);
  if (top) scrollTo(0, 0);
  return show();
}

function pivot(movieId, options = {}, region = []) {
  picture = null;
  return go({ film: movieId, ...NOTHING_ELSE, region: region.join(",") }, { top: true, ...options });
}

function describe(text) {
  picture = null;
  return go({ film: "", ...NOTHING_ELSE, text }, { top: true });
}

async function drawFilm() {
  const { signal } = request;
  try {
    const film = await fetchJson("api/films/random", { signal, waiting });
    // Whoever has gone on to another film meanwhile stays there.
    if (!signal.aborted) await pivot(film.movie_id);
  } catch (error) {
    if (!signal.aborted) report(error, drawFilm);
  }
}

function showChoice() {
  wanted.show();
  for (const share of [looks, kind]) share.show(state());
  at("diverse").value = state().get("diverse") ?? 0;
  if (!picture) at("new").hidden = true;
}

function showFilm(film) {
  const others = SIDES.flatMap((side) => state().getAll(side)).length;
  const rating = film.mean_rating === null ? "" : ` · ${film.mean_rating.toFixed(2)} stars`;
  const facts = `${film.genres.join(", ") || "no genres"} · ${ratings(film.n_ratings)}${rating}`;
  showSubject(titled(film), facts, film.has_poster && `posters/${film.movie_id}?width=320`, `Poster of ${film.title}`);
  about = `${titled(film)}${others ? ` and ${others} more` : ""}`;
  document.title = `${about} – keyart`;
  if (!film.has_poster) at("no-poster").replaceChildren(plain(film));
  at("no-poster").hidden = film.has_poster;
  keepButton(film.movie_id, titled(film), at("keep"));
  at("keep").hidden = false;
  at("on-atlas").href = `atlas?film=${film.movie_id}`;
  at("on-atlas").hidden = !film.has_poster;
}

function showWords() {
  showSubject(`“${words()}”`, "posters that look like this description, by looks alone", "", "");
}

function showPicture() {
  showSubject("Your picture", "by looks alone; it is not kept, unless you add it", URL.createObjectURL(picture), "Your picture");
  about = "your picture";
}

function showSubject(name, facts, address, alt) {
  about = name;
  document.title = `${name} – keyart`;
  at("film").hidden = false;
  at("name").textContent = name;
  at("facts").textContent = facts;
  at("poster").hidden = !address;
  at("no-poster").hidden = true;
  if (address) at("poster").src = address;
  at("poster").alt = alt;
  at("keep").hidden = at("on-atlas").hidden = true;
  parts.show();
}

function setLoading(on) {
  loading = on;
  // What is shown meanwhile may be of the film before.
  at("hits").setAttribute("aria-busy", on);
}

function isEndNear() {
  return at("end").getBoundingClientRect().top < innerHeight + MARGIN;
}

function append(answer) {
  const film = picture || words() ? null : state().get("film");
  const actions = { address, why: why.show, add: others.add, pivot: (movieId) => pivot(movieId, { opened: movieId }) };
  at("hits").append(...answer.results.map((hit) => card(hit, film, actions)));
  shown += answer.results.length;
  more = answer.more;
  const found = shown ? `${shown} look-alike${shown === 1 ? "" : "s"} of ${about}${more ? ", more below" : ""}.` : "No film found.";
  say([notice, found, ...answer.notes.map((note) => `${note}.`)].filter(Boolean).join(" "));
  notice = "";
  showExports(shown);
}

// Requests further results until there are as many as `target`, and to the end of the screen.
async function extend(target) {
  const { signal } = request;
  setLoading(true);
  try {
    while (more && (shown < target || isEndNear())) append(await ask(shown, pageSize(target - shown), signal));
    setLoading(false);
  } catch (error) {
    if (signal.aborted) return;
    setLoading(false);
    report(error, () => extend(target));
  }
}

function pageSize(n) {
  return Math.min(Math.max(n, PAGE), MOST_AT_ONCE);
}

function address(movieId) {
  const params = state();
  params.set("film", movieId);
  for (const name of Object.keys(NOTHING_ELSE)) params.delete(name);
  return `?${params}`;
}

async function factsOf(film, signal) {
  return picture || words() ? null : fetchJson(`api/films/${encodeURIComponent(film)}`, { signal, waiting });
}

async function show() {
  request.abort();
  endComparison();
  request = new AbortController();
  const { signal } = request;
  shown = 0;
  more = false;
  // Without it the film is shown all the same; the next film asks again.
  prepare().catch(tolerate);
  showChoice();
  others.show();
  parts.show();
  const film = state().get("film");
  const isFirst = !picture && !words() && !film;
  document.body.classList.toggle("first", isFirst);
  if (isFirst) document.title = "keyart";
  if (isFirst) return clear(history.state?.picture ? "The picture was not kept; choose it again." : "");
  setLoading(true);
  if (picture) showPicture();
  const kept = place.kept();
  const [facts, answer] = await Promise.allSettled([factsOf(film, signal), ask(0, pageSize(kept.shown), signal)]);
  if (signal.aborted) return;
  setLoading(false);
  const error = facts.reason ?? answer.reason;
  // What is shown stays until there is something else.
  if (error?.passes) return report(error, show);
  showPanel(facts.value?.movie_id ?? null, { signal });
  if (facts.value) showFilm(facts.value);
  else if (words()) showWords();
  if (error) return clear(error.message, !facts.reason);
  showHits(answer.value);
  await extend(kept.shown);
  if (!signal.aborted) settle(kept);
}

function clear(text, isKnown = false) {
  at("hits").replaceChildren();
  showExports(0);
  notice = "";
  if (!isKnown) at("film").hidden = true;
  say(text);
}

function showHits(answer) {
  // Whoever opened one of the results by keyboard goes on from the name of the new film.
  const isWithin = at("hits").contains(document.activeElement);
  at("hits").replaceChildren();
  append(answer);
  for (const share of [looks, kind]) share.answered(answer, areLooksAlone());
  if (isWithin) at("name").focus({ preventScroll: true });
}

// Returns to where one was on this entry of the history.
function settle({ top, opened }) {
  if (!top && !opened) return;
  scrollTo(0, top);
  const isFree = [document.body, at("name")].includes(document.activeElement);
  if (opened && isFree) at("hits").querySelector(`a[data-film="${opened}"]`)?.focus({ preventScroll: true });
}

async function take(file) {
  if (!file) return;
  say("Looking at the picture …");
  try {
    picture = await fitted(file, await prepare());
  } catch (error) {
    return report(error, () => take(file));
  }
  pictures.set(`${performance.timeOrigin}-${pictures.size}`, picture);
  go({ film: "", ...NOTHING_ELSE }, { top: true });
  film.about(picture);
}

// What does not change, once it is there: genres, and what the server takes.
function prepare() {
  prepared ??= Promise.all([fetchJson("api/server"), fetchJson("api/genres")]).then(([server, genres]) => {
    if (server.takes_text) at("title").placeholder = "A title, an id, or what a poster shows";
    film.permit(server.adds_films);
    parts.offer(server.grid);
    film.offer(genres);
    wanted.offer(genres);
    return server;
  }).catch((error) => { prepared = null; throw error; });
  return prepared;
}

const place = places(() => shown);
const film = newFilm((movieId, text) => { notice = text; pivot(movieId); });
const others = mix(state, go);
const parts = part(state, go);
const wanted = filters(state, go);
const looks = shareSlider(go, {
  slider: "alpha", automatic: "auto", output: "share", word: "looks", shareOf: (hit) => hit.alpha,
  fixedBy: (sides) => {
    if (!sides.includes("cf") && !sides.includes("visual")) return "by content alone";
    if (!sides.includes("cf")) return sides.includes("content") ? "by looks, not by ratings" : "by looks alone";
    if (!sides.includes("visual")) return sides.includes("content") ? "by ratings, not by looks" : "by ratings alone";
    return "";
  },
});
const kind = shareSlider(go, {
  slider: "content", automatic: "auto-content", output: "content-share", word: "content", shareOf: (hit) => hit.content_share,
  fixedBy: () => "",
});
const why = whyDialog((movieId, box) => pivot(movieId, {}, box));
const endComparison = twins(at("hits"), () => state().get("film"));
const showExports = exportsOf((name) => addressOf(name, 0, Math.min(shown, MOST_EXPORTED)), () => picture);

let timer = 0;
at("diverse").addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(() => go({ diverse: Number(at("diverse").value) ? at("diverse").value : "" }, { replace: true }), 60);
});
at("choice").addEventListener("submit", (event) => event.preventDefault());
at("random").addEventListener("click", drawFilm);
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
  why.close();
  picture = pictures.get(history.state?.picture) ?? null;
  if (!history.state?.place) scrollTo(0, 0);
  if (picture) film.about(picture);
  show();
});
new IntersectionObserver(([end]) => {
  if (end.isIntersecting && more && !loading) extend(shown + 1);
}, { rootMargin: `${MARGIN}px` }).observe(at("end"));

// Where the encoder takes words, those that name no film are a description, before titles that are only spelled alike.
async function suggestAny(text, signal) {
  if (!(await prepare()).takes_text) return suggestTitles(text, signal);
  const films = await titles(text, signal);
  const description = { label: `Posters that look like “${text}”`, words: text };
  return [...films.filter((film) => film.is_named), description, ...films.filter((film) => !film.is_named)];
}

combobox(at("title"), at("suggestions"), suggestAny, (movieId, found) => found.words ? describe(found.words) : pivot(movieId));
show();
