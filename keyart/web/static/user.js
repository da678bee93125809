// The page for a user: its address holds who asks, what they rated and how, and everything shown follows from it.
import { becauseLiked } from "./because.js";
import { combobox } from "./combobox.js";
import { at, element, ratings } from "./parts.js";
import { Rating } from "./rating.js";
import { liked, recommended } from "./recommended.js";
import { fetchJson } from "./requests.js";
import { scrolling, shelf } from "./shelf.js";
import { messageOf, report, say, waiting } from "./status.js";
import { suggestTitles } from "./titles.js";
import { count, english, number, t } from "./words.js";

const ENOUGH = 10;
const FIRST = 3; // ratings from which there is something to recommend
const LENGTH = 30;
const POOL = 120; // films from which the rows below are made
const IN_ADDRESS = 300; // more ratings are kept beside the address: servers limit its length
let request = new AbortController(); // for the state that is in the address
let lastRated = null;
let models = null; // once they are known

function state() {
  return new URLSearchParams(location.search);
}

// "6-4.5,318-5": films and stars.
function ratedIn(params) {
  if (history.state?.rated) return new Map(history.state.rated);
  const pairs = (params.get("rated") ?? "").matchAll(/(?:^|,)(\d{1,10})-([0-5](?:\.\d{1,2})?)(?=,|$)/g);
  return new Map([...pairs].map(([, movieId, stars]) => [Number(movieId), Number(stars)]).filter(([, stars]) => stars > 0 && stars <= 5));
}

function written(rated) {
  return [...rated].map((pair) => pair.join("-")).join(",");
}

function go(changes, replace = false) {
  const params = state();
  let kept = history.state;
  if ("rated" in changes) {
    const isLong = changes.rated.size > IN_ADDRESS;
    kept = isLong ? { rated: [...changes.rated] } : null;
    changes = { ...changes, rated: isLong ? "" : written(changes.rated) };
  }
  for (const [name, value] of Object.entries(changes)) value === "" ? params.delete(name) : params.set(name, value);
  // A comma may stand in an address as it is, and is easier to read.
  const text = `${params}`.replaceAll("%2C", ",");
  history[replace ? "replaceState" : "pushState"](kept, "", location.pathname + (text && `?${text}`));
  return show();
}

function rate(movieId, stars) {
  const rated = ratedIn(state());
  stars ? rated.set(movieId, stars) : rated.delete(movieId);
  // Every step of a slider is a rating; back undoes a film, not a step.
  const again = movieId === lastRated;
  lastRated = movieId;
  return go({ rated, user: "" }, again);
}

const rating = new Rating(at("films"), rate);

// Of enough ratings, what they lead to is shown before the films to rate.
function fold(rated) {
  at("to-rate").open = rated.size < ENOUGH;
}

function showShare() {
  const share = t("{share} %", { share: Math.round(100 * at("fresh").value) });
  at("fresh").setAttribute("aria-valuetext", share);
  at("share").textContent = at("auto").checked ? "" : share;
}

function showChoice(user) {
  const params = state();
  at("model").replaceChildren(...(models ?? []).map((model) => {
    const option = new Option(model.name, model.name, model.default);
    option.title = model.summary;
    option.lang = "en";
    option.disabled = !user && !model.takes_new_users;
    return option;
  }));
  if (params.has("model")) at("model").value = params.get("model");
  at("auto").checked = !params.has("fresh");
  if (params.has("fresh")) at("fresh").value = params.get("fresh");
  showShare();
}

function showUser(facts) {
  at("facts").textContent = t("{ratings}, {mean} stars on average. Liked best:", { ratings: ratings(facts.n_ratings), mean: number(facts.mean_rating, 2) });
  at("best").replaceChildren(...facts.best_rated.map(liked));
}

function showProgress(rated) {
  const n = rated.size;
  const isEnough = n >= ENOUGH;
  at("rating-name").textContent = isEnough ? t("Your ratings") : t("Rate ten films that you have seen");
  at("count").textContent = isEnough ? count(n, "{n} rating counts.", "{n} ratings count.") : t("{n} of {all}", { n, all: ENOUGH });
  at("progress").value = n;
  at("progress").hidden = isEnough;
  at("rate-more").hidden = !isEnough;
  if (!isEnough) at("to-rate").open = true;
  at("again").disabled = !rated.size;
}

function question(user, rated, signal, changes = {}) {
  const params = state();
  const wanted = { k: LENGTH };
  if (params.has("model")) wanted.model = params.get("model");
  if (params.has("fresh")) wanted.fresh = Number(params.get("fresh"));
  Object.assign(wanted, changes);
  if (user) {
    const address = `api/users/${encodeURIComponent(user)}/recommendations?${new URLSearchParams(wanted)}`;
    return fetchJson(address, { signal, waiting });
  }
  const ratings = [...rated].map(([movie_id, stars]) => ({ movie_id, rating: stars }));
  const body = JSON.stringify({ ...wanted, ratings });
  const headers = { "Content-Type": "application/json" };
  return fetchJson("api/recommendations", { method: "POST", headers, body, signal, waiting });
}

const personOf = (user) => (user ? "they" : "you");

function meaningOf({ gives_stars: givesStars, model }, user) {
  if (!givesStars) return t("The number is a preference on {model}’s own scale: only the order counts.", { model });
  return user ? t("The number is how many stars, of 5, this user is expected to give.")
    : t("The number is how many stars, of 5, you are expected to give.");
}

function showResults(answer, user) {
  at("meaning").textContent = meaningOf(answer, user);
  at("hits").replaceChildren(...answer.results.map((film) => recommended(film, answer.gives_stars, personOf(user))));
  const n = answer.results.length;
  // The note on the model continues the sentence; without one, the choice of models names it.
  const isOfModel = answer.notes[0]?.startsWith(`by ${answer.model}, `);
  const found = isOfModel ? count(n, "{n} film by {model}", "{n} films by {model}", { model: answer.model }) : count(n, "{n} film.", "{n} films.");
  const notes = answer.notes.map((note, row) => (isOfModel && !row ? note.slice(`by ${answer.model}`.length) : ` ${note}`));
  say([found, ...notes.map((note) => english(`${note.replace(/[. ]+$/, "")}.`))]);
}

// Rows below the recommendations: by liked films, and of new films alone.
async function showShelves(user, rated, signal) {
  const withNew = state().get("fresh") !== "0";
  const asked = [question(user, rated, signal, { k: POOL }), withNew && question(user, rated, signal, { fresh: 1 })];
  const [pool, fresh] = await Promise.all(asked);
  if (signal.aborted) return;
  const row = (name, films) => shelf(name, films.map((film) => recommended(film, pool.gives_stars, personOf(user))));
  const because = becauseLiked(pool.results).map(({ name, films }) => row(user ? t("Because they liked {title}", { title: name }) : t("Because you liked {title}", { title: name }), films));
  const unseen = fresh ? fresh.results.filter((film) => film.new) : [];
  at("shelves").replaceChildren(...because, ...(unseen.length ? [row(t("New: nobody has rated them yet"), unseen)] : []));
}

function showNothing(why) {
  at("meaning").textContent = "";
  at("hits").replaceChildren();
  at("shelves").replaceChildren();
  say(why);
}

function invitation(n) {
  if (n === FIRST) return count(n, "Rate {n} film for first recommendations.", "Rate {n} films for first recommendations.");
  return count(n, "Rate {n} more film for first recommendations.", "Rate {n} more films for first recommendations.");
}

// A mistake takes the place of the films; while the server is away, what is shown stays.
function fail(error) {
  report(error, show);
  if (!error.passes) showNothing(messageOf(error));
}

async function show() {
  request.abort();
  request = new AbortController();
  const { signal } = request;
  const user = state().get("user");
  const rated = ratedIn(state());
  at("user").hidden = !user;
  at("rating").hidden = Boolean(user);
  at("hits-name").textContent = user ? t("Recommended to user {user}", { user }) : t("Recommended to you");
  document.title = `${user ? t("User {user}", { user }) : t("For you")} – keyart`;
  if (user) at("user-name").textContent = t("User {user}", { user });
  document.body.className = "";
  showChoice(user);
  showProgress(rated);
  try {
    if (user) showUser(await fetchJson(`api/users/${encodeURIComponent(user)}`, { signal, waiting }));
    // The films to rate need not be waited for, but a mistake in them must be heard of.
    else rating.show(rated).catch((error) => { if (!signal.aborted) report(error, show); });
    if (!models) {
      models = await fetchJson("api/models", { signal, waiting });
      showChoice(user);
    }
    if (!user && rated.size < FIRST) return showNothing(invitation(FIRST - rated.size));
    if (!at("hits").children.length) say(t("Looking for films …"));
    const answer = await question(user, rated, signal);
    if (signal.aborted) return;
    showResults(answer, user);
    await showShelves(user, rated, signal);
  } catch (error) {
    if (!signal.aborted) fail(error);
  }
}

function toUser(userId) {
  scrollTo(0, 0);
  return go({ user: userId, rated: new Map() });
}

async function anyUser() {
  const { signal } = request;
  try {
    const user = await fetchJson("api/users/random", { signal, waiting });
    // Whoever has gone on meanwhile stays there.
    if (!signal.aborted) toUser(user.user_id);
  } catch (error) {
    if (!signal.aborted) report(error, anyUser);
  }
}

async function users(digits, signal) {
  if (!/^\d{1,10}$/.test(digits)) {
    say(t("A user is found by number."));
    return [];
  }
  const answer = await fetchJson(`api/users?query=${encodeURIComponent(digits)}`, { signal });
  if (!answer.length) say(t("No user’s number begins with {digits}.", { digits }));
  // A combobox lists what has an id and a title.
  return answer.map((user) => ({ movie_id: user.user_id, title: t("User {user}: {ratings}", { user: String(user.user_id), ratings: ratings(user.n_ratings) }) }));
}

async function importFile(file) {
  if (!file) return;
  at("imported").textContent = t("Reading {file} …", { file: file.name });
  at("imported").scrollIntoView({ block: "nearest" });
  at("others").hidden = true;
  try {
    const answer = await fetchJson(`api/ratings?${new URLSearchParams({ name: file.name.slice(-200) })}`, { method: "POST", body: file });
    say([`${file.name}: `, english(`${answer.summary}.`)], null, at("imported"));
    at("others").hidden = !answer.others.length;
    at("others").firstElementChild.textContent = count(answer.others.length, "{n} row was left out", "{n} rows were left out");
    at("rows").replaceChildren(...answer.others.map((row) => element("li", {}, `${row.title || t("line {line}", { line: row.line })}: `, english(row.status))));
    if (!answer.ratings.length) return;
    rating.know(answer.ratings);
    lastRated = null;
    const rated = new Map([...ratedIn(state()), ...answer.ratings.map((film) => [film.movie_id, film.rating])]);
    fold(rated);
    await go({ rated, user: "" });
  } catch (error) {
    report(error, () => importFile(file), at("imported"));
  }
}

let timer = 0;
at("fresh").addEventListener("input", () => {
  at("auto").checked = false;
  showShare();
  clearTimeout(timer);
  timer = setTimeout(() => go({ fresh: at("fresh").value }, true), 60);
});
at("auto").addEventListener("change", () => go({ fresh: at("auto").checked ? "" : at("fresh").value }));
at("model").addEventListener("change", () => go({ model: at("model").value }));
at("choice").addEventListener("submit", (event) => event.preventDefault());
at("again").addEventListener("click", () => go({ rated: new Map() }));
at("any").addEventListener("click", anyUser);
at("file").addEventListener("change", () => {
  importFile(at("file").files[0]);
  at("file").value = ""; // or the same file could not be chosen again
});
addEventListener("dragover", (event) => { event.preventDefault(); document.body.classList.add("dropping"); });
addEventListener("dragleave", () => document.body.classList.remove("dropping"));
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  importFile(event.dataTransfer.files[0]);
});
addEventListener("popstate", () => { lastRated = null; show(); });

for (const [list, name] of [["films", t("films to rate")], ["best", t("liked best")], ["hits", t("recommendations")]]) {
  at(list).before(scrolling(at(list), name));
}
combobox(at("number"), at("numbers"), users, toUser);
combobox(at("title"), at("titles"), suggestTitles, (movieId) => {
  at("to-rate").open = true;
  rating.add(movieId).catch(report);
});
fold(ratedIn(state()));
show();
