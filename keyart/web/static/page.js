// The page: its address holds the whole state, and everything shown follows from the address.
import { combobox } from "./combobox.js";
import { card } from "./card.js";
import { MOST_EXPORTED, exportsOf } from "./exports.js";
import { plain, titled } from "./film.js";
import { FILTERS, filters } from "./filters.js";
import { keepButton } from "./keeping.js";
import { SIDES, mix } from "./mix.js";
import { showPanel } from "./panel.js";
import { at, ratings } from "./parts.js";
import { MOST_PICTURES, bodyOf, heldOf, hold, named } from "./pictures.js";
import { places } from "./place.js";
import { fetchJson, fetchModule } from "./requests.js";
import { shareSlider } from "./share.js";
import { anew, report, say, tolerate, waiting, warn } from "./status.js";
import { count, english, number, t } from "./words.js";

const ASKED = [...FILTERS, "alpha", "content", "diverse", "region"];
const RENAMED = { min_support: "min_ratings", fold: "merge_duplicates" }; // in links of version 0.1
const NOTHING_ELSE = { text: "", region: "", like: [], unlike: [], wall: "" }; // but a film or a picture that is asked about
const PAGE = 30;
const MOST_AT_ONCE = 200;
const MOST_OPENINGS = 5; // requests, until the workspace is open
const OPENING_MS = 2000; // without an answer, before the page says why
const MARGIN = 600; // pixels below the window, from where on more is requested
let request = new AbortController(); // for the state that is in the address
let shown = 0; // results, of that state
let more = false;
let loading = false;
let pictures = []; // of the question
let before = null; // the question before a picture was dropped
let nOpenings = 0;
let about = ""; // what the results look like
let notice = []; // texts and elements, to be said once with the results
let prepared = null;
let part = null; // of the poster, once it is loaded
let comparison = null; // of a film that is pointed at, once it is loaded
let dialog = null;
let form = null;
let described = null; // the picture that the form is about

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
  if (pictures.length || isMix()) for (const side of SIDES) for (const movieId of together(side)) params.append(side, movieId);
  return params;
}

function isMix() {
  return words() !== null || SIDES.some((side) => state().has(side));
}

// The description that the page is about, if it is about one.
function words() {
  return state().get("text");
}

// The picture that the page is about, if it is about one.
function picture() {
  const params = state();
  return params.has("film") || params.has("text") ? null : pictures.find(({ side }) => side === "like") ?? null;
}

// Pictures without films, descriptions and parts of posters are compared by looks.
function areLooksAlone() {
  const arePictures = pictures.length > 0 && !SIDES.some((side) => together(side).length);
  return arePictures || words() !== null || state().has("region");
}

// The films of one side; the one that the page is about is sought for first.
function together(side) {
  const params = state();
  const pivots = side === "like" ? params.getAll("film") : [];
  return [...pivots, ...params.getAll(side)];
}

function addressOf(name, offset, k) {
  const folder = pictures.length || isMix() ? "api" : `api/films/${encodeURIComponent(state().get("film"))}`;
  return `${folder}/${name}?${question(offset, k)}`;
}

function ask(offset, k, signal) {
  const post = pictures.length ? { method: "POST", body: bodyOf(pictures) } : {};
  return fetchJson(addressOf("similar", offset, k), { ...post, signal, waiting });
}

// Shows another state: as a new entry of the history, or in place of this one.
function go(changes, { replace = false, top = false, opened = null, pictures: asked = pictures, from = state(), earlier = null } = {}) {
  if (!replace) place.keep(opened);
  const params = from;
  for (const [name, value] of Object.entries(changes)) {
    params.delete(name);
    for (const one of [value].flat()) if (one !== "") params.append(name, one);
  }
  // Sliders and filters leave a dropped picture beside the question before it.
  before = asked === pictures ? before : earlier;
  pictures = asked;
  history[replace ? "replaceState" : "pushState"]({ pictures: named(pictures), before }, "", `?${params}`);
  if (top) scrollTo(0, 0);
  return show();
}

function pivot(movieId, options = {}, region = []) {
  return go({ film: movieId, ...NOTHING_ELSE, region: region.join(",") }, { top: true, pictures: [], ...options });
}

const open = (movieId) => pivot(movieId, { opened: movieId });

function describe(text) {
  return go({ film: "", ...NOTHING_ELSE, text }, { top: true, pictures: [] });
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
  if (!picture()) at("new").hidden = true;
}

function showFilm(film) {
  const genres = film.genres.map((genre) => t(genre)).join(t(", ")) || t("no genres");
  const rating = film.mean_rating === null ? [] : [t("{mean} stars", { mean: number(film.mean_rating, 2) })];
  const facts = [genres, ratings(film.n_ratings), ...rating].join(" · ");
  showSubject(film, facts, film.has_poster && `posters/${film.movie_id}?width=320`, t("Poster of {title}", { title: film.title }));
  at("no-poster").hidden = film.has_poster;
  at("film").classList.toggle("bare", !film.has_poster);
  keepButton(film.movie_id, titled(film), at("keep"));
  at("keep").hidden = false;
  at("on-atlas").href = `atlas?film=${film.movie_id}`;
}

function showWords() {
  showSubject({ title: `“${words()}”` }, t("posters that look like this description, by looks alone"), "", "");
}

function showPicture() {
  const name = t("Your picture");
  showSubject({ title: name }, t("by looks alone; it is not kept, unless you add it"), picture().address, name);
  about = withOthers(t("your picture"));
  at("before").hidden = !before;
  if (before) at("before-name").textContent = before.about;
  showForm(picture());
}

function withOthers(name) {
  const n = others.nLiked() - 1;
  return n ? count(n, "{name} and {n} more", "{name} and {n} more", { name }) : name;
}

function showSubject(subject, facts, address, alt) {
  const name = titled(subject);
  about = withOthers(name);
  document.title = `${about} – keyart`;
  at("film").hidden = false;
  at("before").hidden = true;
  at("film").setAttribute("aria-busy", false);
  at("name").textContent = name;
  at("facts").textContent = facts;
  at("poster").hidden = !address;
  at("no-poster").replaceChildren(plain(subject));
  at("no-poster").hidden = true;
  if (address) at("poster").src = address;
  at("poster").alt = alt;
  at("keep").hidden = at("on-atlas").hidden = true;
  part?.show();
}

function setLoading(on) {
  loading = on;
  // What is shown meanwhile may be of the film before.
  at("hits").setAttribute("aria-busy", on);
}

function isEndNear() {
  return at("end").getBoundingClientRect().top < innerHeight + MARGIN;
}

const liked = () => pictures.filter(({ side }) => side === "like");

// What a result is compared with: of several films and pictures the nearest one, as far as that is known.
function nearest(hit) {
  const [picture, ...others] = liked();
  if (hit.nearest_to !== null || !picture) return hit.nearest_to ?? state().get("film");
  return others.length || words() ? null : picture.name;
}

function append(answer) {
  const actions = { address, why: showWhy, add: others.add, pivot: open };
  at("hits").append(...answer.results.map((hit) => card(hit, nearest(hit), actions)));
  shown += answer.results.length;
  more = answer.more;
  const found = !shown ? t("No film found.")
    : more ? count(shown, "{n} look-alike of {about}, more below.", "{n} look-alikes of {about}, more below.", { about })
    : count(shown, "{n} look-alike of {about}.", "{n} look-alikes of {about}.", { about });
  say(spaced([...takeNotice(), found, ...answer.notes.map((note) => english(`${note}.`))]));
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
  return film === null ? null : fetchJson(`api/films/${encodeURIComponent(film)}`, { signal, waiting });
}

async function show() {
  request.abort();
  comparison?.end();
  request = new AbortController();
  const { signal } = request;
  shown = 0;
  more = false;
  // Without it the film is shown all the same; the next film asks again.
  prepare().catch(tolerate);
  showChoice();
  others.show();
  part?.show();
  const film = state().get("film");
  const isFirst = !picture() && !words() && !film;
  document.body.classList.toggle("first", isFirst);
  if (isFirst) document.title = "keyart";
  // Where a film was opened first, there is no wall.
  if (isFirst) return clear(spaced([...takeNotice(), ...(at("first") ? [] : [anew()])]));
  setLoading(true);
  if (picture()) showPicture();
  const opening = about ? 0 : showOpening();
  const kept = place.kept();
  const [facts, answer] = await Promise.allSettled([factsOf(film, signal), ask(0, pageSize(kept.shown), signal)]);
  clearTimeout(opening);
  if (signal.aborted) return;
  setLoading(false);
  const error = facts.reason ?? answer.reason;
  // What is shown stays until there is something else.
  if (error?.passes) return fail(error);
  if (facts.value) showFilm(facts.value);
  else if (words()) showWords();
  showPanel(facts.value?.movie_id ?? null, { address, pivot: open });
  if (error) return refuseQuestion(error, facts).catch((fault) => report(fault, show));
  showHits(answer.value);
  await extend(kept.shown);
  if (!signal.aborted) settle(kept);
  // Whoever has one sees the poster meanwhile.
  loadPart().catch(tolerate);
}

// Until there is anything to show: a server that has just been started opens its workspace first.
function showOpening() {
  at("film").hidden = false;
  at("film").setAttribute("aria-busy", true);
  at("poster").hidden = true;
  at("name").textContent = words() ? `“${words()}”` : t("Opening the film …");
  at("facts").textContent = "";
  say(t("Looking for films that look alike …"));
  return setTimeout(() => {
    at("facts").textContent = t("A server that has just been started opens its workspace first, which takes some seconds.");
    say(t("Opening the workspace …"));
  }, OPENING_MS);
}

function fail(error) {
  // A server that opens its workspace may need longer than it gives an answer.
  if (!about && error.status === 504 && (nOpenings += 1) < MOST_OPENINGS) return show();
  if (!about) at("film").hidden = true;
  nOpenings = 0;
  return report(error, show);
}

// A question that cannot be answered, whenever it is asked, leads on to another one.
async function refuseQuestion(error, { value, reason }) {
  const { signal } = request;
  const { refused } = await fetchModule(() => import("./ways.js"));
  const said = await refused(error, state(), value, ASKED, go);
  if (!signal.aborted) clear(said, !reason);
}

function takeNotice() {
  const said = notice;
  notice = [];
  return said;
}

const spaced = (texts) => texts.flatMap((text) => [text, " "]).slice(0, -1);

function clear(text, isKnown = false) {
  at("hits").replaceChildren();
  showExports(0);
  notice = [];
  if (!isKnown) {
    at("film").hidden = true;
    about = "";
  }
  say(text);
}

function showHits(answer) {
  // Whoever opened one of the results by keyboard goes on from the name of the new film.
  const isWithin = at("hits").contains(document.activeElement);
  at("hits").replaceChildren();
  append(answer);
  for (const share of [looks, kind]) share.answered(answer, areLooksAlone());
  nOpenings = 0;
  if (isWithin) at("name").focus({ preventScroll: true });
}

// Returns to where one was on this entry of the history.
function settle({ top, opened }) {
  if (!top && !opened) return;
  scrollTo(0, top);
  const isFree = [document.body, at("name")].includes(document.activeElement);
  if (opened && isFree) at("hits").querySelector(`a[data-film="${opened}"]`)?.focus({ preventScroll: true });
}

const pictureModule = () => fetchModule(() => import("./picture.js"));

// A picture is a question of its own, or joins one side of this one.
async function take(file, side = null) {
  if (!file) return;
  say(t("Looking at the picture …"));
  try {
    const { refusal } = await pictureModule();
    const refused = await refusal(file);
    if (refused) return warn(refused);
    if (side) await joinPicture(hold(file, side, file.name), pictures, state());
    else await aboutPicture(file);
  } catch (error) {
    report(error, () => take(file, side));
  }
}

async function aboutPicture(file) {
  const [{ fitted }, limits] = await Promise.all([pictureModule(), prepare()]);
  const earlier = about ? { search: `${state()}`, about, pictures: named(pictures) } : null;
  const held = hold(await fitted(file, limits), "like", file.name);
  go({ film: "", ...NOTHING_ELSE }, { top: true, pictures: [held], earlier });
}

async function joinPicture(picture, rest, from) {
  if (rest.length >= MOST_PICTURES) return warn(t("At most {n} pictures can be asked about at once: remove one first.", { n: MOST_PICTURES }));
  const [{ fittedTogether }, limits] = await Promise.all([pictureModule(), prepare()]);
  const joined = await fittedTogether([...rest, picture], limits);
  others.expect(joined.at(-1).name);
  return go({}, { top: true, pictures: joined, from });
}

// Adds the picture that the page is about to the question before it.
function joinEarlier(side) {
  const { search, pictures: entries } = before;
  joinPicture({ ...picture(), side }, heldOf(entries), new URLSearchParams(search)).catch((error) => report(error, () => joinEarlier(side)));
}

// What the history holds of this entry, beside its address.
function restore() {
  const entries = history.state?.pictures ?? [];
  pictures = heldOf(entries);
  before = history.state?.before ?? null;
  const nLost = entries.length - pictures.length;
  if (nLost) notice = [count(nLost, "The picture was not kept; choose it again.", "{n} pictures were not kept; choose them again.")];
  const [params, [first, ...rest]] = [state(), state().getAll("like")];
  if (!first || params.has("film") || params.has("text") || picture()) return;
  // Of films alone, the page is about the first one.
  for (const name of ["film", "like"]) params.delete(name);
  for (const [name, value] of [["film", first], ...rest.map((movieId) => ["like", movieId])]) params.append(name, value);
  history.replaceState(history.state, "", `?${params}`);
}

// What does not change, once it is there: genres, and what the server takes.
function prepare() {
  prepared ??= Promise.all([fetchJson("api/server"), fetchJson("api/genres")]).then(([server, genres]) => {
    if (server.takes_text) at("title").placeholder = t("A title, an id, or what a poster shows");
    wanted.offer(genres);
    return { ...server, genres };
  }).catch((error) => {
    prepared = null;
    wanted.refuse(error, () => prepare().catch(tolerate));
    throw error;
  });
  return prepared;
}

async function loadPart() {
  const { grid } = await prepare();
  if (!grid || part) return;
  const loaded = await fetchModule(() => import("./part.js"));
  part ??= loaded.part(state, go, grid);
  part.show();
}

async function makeForm() {
  const { newFilm } = await fetchModule(() => import("./newfilm.js"));
  const made = newFilm((movieId, text) => { notice = text; pivot(movieId); });
  prepare().then((server) => { made.permit(server.adds_films); made.offer(server.genres); }).catch(tolerate);
  return made;
}

// What to expect of the picture as the poster of a new film.
async function showForm(shown) {
  if (described === shown.name && !at("new").hidden) return;
  try {
    form ??= makeForm();
    const made = await form;
    if (picture()?.name !== shown.name) return;
    described = shown.name;
    made.about(shown.file);
  } catch (error) {
    form = null;
    report(error, () => showForm(shown));
  }
}

async function showWhy(first, hit) {
  try {
    dialog ??= await fetchModule(() => import("./why.js")).then(({ whyDialog }) => whyDialog(searchPart));
    // Of several pictures, it finds the nearest.
    dialog.show(first || words() ? [first].filter(Boolean) : liked().map(({ name }) => name), hit);
  } catch (error) {
    report(error, () => showWhy(first, hit));
  }
}

function searchPart({ movie_id: movieId, name }, box) {
  if (movieId) return pivot(movieId, {}, box);
  const asked = pictures.filter((one) => one.name === name);
  return go({ film: "", ...NOTHING_ELSE, region: box.join(",") }, { top: true, pictures: asked, earlier: before });
}

// The first film that is pointed at, or has the focus, is compared as soon as it can be.
async function compare(event) {
  const { target, type, pointerType } = event;
  if (comparison || (type === "pointerover" && pointerType !== "mouse")) return;
  try {
    const { twins } = await fetchModule(() => import("./twins.js"));
    if (comparison) return;
    comparison = twins(at("hits"), () => state().get("film") ?? picture()?.name);
    if (target.matches(type === "focusin" ? ":focus-visible" : ":hover")) comparison.begin(event);
  } catch (error) {
    tolerate(error);
  }
}

const place = places(() => shown);
const others = mix(state, () => pictures, go);
const wanted = filters(state, go);
const looks = shareSlider(go, {
  slider: "alpha", automatic: "auto", output: "share", word: t("looks"), shareOf: (hit) => hit.alpha,
  fixedBy: (sides) => {
    if (!sides.includes("cf") && !sides.includes("visual")) return t("by content alone");
    if (!sides.includes("cf")) return sides.includes("content") ? t("by looks, not by ratings") : t("by looks alone");
    if (!sides.includes("visual")) return sides.includes("content") ? t("by ratings, not by looks") : t("by ratings alone");
    return "";
  },
});
const kind = shareSlider(go, {
  slider: "content", automatic: "auto-content", output: "content-share", word: t("content"), shareOf: (hit) => hit.content_share,
  fixedBy: () => "",
});
const showExports = exportsOf((name) => addressOf(name, 0, Math.min(shown, MOST_EXPORTED)), () => (pictures.length ? bodyOf(pictures) : null));

let timer = 0;
at("diverse").addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(() => go({ diverse: Number(at("diverse").value) ? at("diverse").value : "" }, { replace: true }), 60);
});
at("choice").addEventListener("submit", (event) => event.preventDefault());
at("random").addEventListener("click", drawFilm);
for (const [id, side] of [["picture", null], ...SIDES.map((each) => [`${each}-picture`, each])]) {
  at(id).addEventListener("change", () => {
    take(at(id).files[0], side);
    at(id).value = ""; // or the same file could not be chosen again
  });
}
for (const side of SIDES) at(`before-${side}`).addEventListener("click", () => joinEarlier(side));
for (const type of ["pointerover", "focusin"]) at("hits").addEventListener(type, compare);
addEventListener("dragover", (event) => { event.preventDefault(); document.body.classList.add("dropping"); });
addEventListener("dragleave", () => document.body.classList.remove("dropping"));
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  take(event.dataTransfer.files[0], event.target.closest?.("[data-side]")?.dataset.side);
});
addEventListener("paste", (event) => take(event.clipboardData.files[0]));
// A leap inside the page must not become a part of its address, which would be shown anew.
for (const skip of document.querySelectorAll(".skip")) {
  skip.addEventListener("click", (event) => { event.preventDefault(); document.querySelector(skip.hash).focus(); });
}
// Such as a TIFF file, which the server reads.
at("poster").addEventListener("error", () => {
  at("poster").hidden = true;
  at("no-poster").hidden = false;
  part?.show();
});
addEventListener("popstate", () => {
  at("why").close();
  restore();
  if (!history.state?.place) scrollTo(0, 0);
  show();
});
new IntersectionObserver(([end]) => {
  if (end.isIntersecting && more && !loading) extend(shown + 1);
}, { rootMargin: `${MARGIN}px` }).observe(at("end"));

async function suggest(text, signal) {
  const [{ suggestAny }, server] = await Promise.all([fetchModule(() => import("./search.js")), prepare()]);
  return suggestAny(text, server, signal);
}

function choose(movieId, { genre, words: asked }) {
  if (genre) location.assign(`./?${new URLSearchParams({ wall: genre })}`);
  else if (asked) describe(asked);
  else pivot(movieId);
}

combobox(at("title"), at("suggestions"), suggest, choose);
restore();
show();
