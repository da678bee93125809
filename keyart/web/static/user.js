// The page for a user: its address holds who asks, what they rated and how, and everything shown follows from it.
import { combobox } from "./combobox.js";
import { at, element, get, ratings } from "./parts.js";
import { Rating } from "./rating.js";
import { liked, recommended } from "./recommended.js";

const ENOUGH = 10;
const FIRST = 3; // ratings from which there is something to recommend
const LENGTH = 30;
const IN_ADDRESS = 300; // more ratings are kept beside the address: servers limit its length
let latest = 0; // answers to an earlier request are dropped
let lastRated = null;
let models = [];

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

function showShare() {
  const share = `${Math.round(100 * at("fresh").value)} %`;
  at("fresh").setAttribute("aria-valuetext", share);
  at("share").textContent = at("auto").checked ? "" : share;
}

function showChoice(user) {
  const params = state();
  at("model").replaceChildren(...models.map((model) => {
    const option = new Option(model.name, model.name, model.default);
    option.title = model.summary;
    option.disabled = !user && !model.takes_new_users;
    return option;
  }));
  if (params.has("model")) at("model").value = params.get("model");
  at("auto").checked = !params.has("fresh");
  if (params.has("fresh")) at("fresh").value = params.get("fresh");
  showShare();
}

function showUser(facts) {
  at("user-name").textContent = `User ${facts.user_id}`;
  at("facts").textContent = `${ratings(facts.n_ratings)}, ${facts.mean_rating.toFixed(2)} stars on average. Liked best:`;
  at("best").replaceChildren(...facts.best_rated.map(liked));
}

function showProgress(rated) {
  at("count").textContent = `${rated.size} of ${ENOUGH}`;
  at("progress").value = Math.min(rated.size, ENOUGH);
  at("again").disabled = !rated.size;
}

function question(user, rated) {
  const params = state();
  const wanted = { k: LENGTH };
  if (params.has("model")) wanted.model = params.get("model");
  if (params.has("fresh")) wanted.fresh = Number(params.get("fresh"));
  if (user) return get(`api/users/${encodeURIComponent(user)}/recommendations?${new URLSearchParams(wanted)}`);
  const ratings = [...rated].map(([movie_id, stars]) => ({ movie_id, rating: stars }));
  const body = JSON.stringify({ ...wanted, ratings });
  return get("api/recommendations", { method: "POST", headers: { "Content-Type": "application/json" }, body });
}

function showResults(answer, user) {
  const who = user ? "this user is" : "you are";
  at("meaning").textContent = answer.gives_stars
    ? `The number is how many stars, of 5, ${who} expected to give.`
    : `The number is a preference on ${answer.model}’s own scale: only the order counts.`;
  at("hits").replaceChildren(...answer.results.map((film) => recommended(film, answer.gives_stars)));
  const notes = answer.notes.length ? ` ${answer.notes.join(". ")}.` : "";
  at("status").textContent = `${answer.results.length} films by ${answer.model}.${notes}`;
}

function showNothing(why) {
  at("meaning").textContent = "";
  at("hits").replaceChildren();
  at("status").textContent = why;
}

function invitation(n) {
  return `Rate ${n} ${n < FIRST ? "more " : ""}${n === 1 ? "film" : "films"} for first recommendations.`;
}

async function show() {
  const number = ++latest;
  const user = state().get("user");
  const rated = ratedIn(state());
  at("user").hidden = !user;
  at("rating").hidden = Boolean(user);
  at("hits-name").textContent = user ? `Recommended to user ${user}` : "Recommended to you";
  document.title = `${user ? `User ${user}` : "For you"} – keyart`;
  showChoice(user);
  showProgress(rated);
  try {
    if (user) {
      const facts = await get(`api/users/${encodeURIComponent(user)}`);
      if (number !== latest) return;
      showUser(facts);
    } else {
      // The films to rate need not be waited for, but a mistake in them must be heard of.
      rating.show(rated).catch((error) => { at("status").textContent = error.message; });
      if (rated.size < FIRST) return showNothing(invitation(FIRST - rated.size));
    }
    if (!at("hits").children.length) at("status").textContent = "Looking for films …";
    const answer = await question(user, rated);
    if (number === latest) showResults(answer, user);
  } catch (error) {
    if (number === latest) showNothing(error.message);
  }
}

function toUser(userId) {
  scrollTo(0, 0);
  return go({ user: userId, rated: new Map() });
}

async function users(digits, signal) {
  const answer = await get(`api/users?query=${encodeURIComponent(digits)}`, { signal });
  // A combobox lists what has an id and a title.
  return answer.map((user) => ({ movie_id: user.user_id, title: `User ${user.user_id}: ${ratings(user.n_ratings)}` }));
}

async function importFile(file) {
  if (!file) return;
  at("imported").textContent = `Reading ${file.name} …`;
  at("others").hidden = true;
  try {
    const answer = await get(`api/ratings?${new URLSearchParams({ name: file.name.slice(-200) })}`, { method: "POST", body: file });
    at("imported").textContent = `${file.name}: ${answer.summary}.`;
    at("others").hidden = !answer.others.length;
    at("others").firstElementChild.textContent = answer.others.length === 1 ? "1 row gives no rating" : `${answer.others.length} rows give no rating`;
    at("rows").replaceChildren(...answer.others.map((row) => element("li", { textContent: `${row.title || `line ${row.line}`}: ${row.status}` })));
    if (!answer.ratings.length) return;
    rating.know(answer.ratings);
    lastRated = null;
    await go({ rated: new Map([...ratedIn(state()), ...answer.ratings.map((film) => [film.movie_id, film.rating])]), user: "" });
  } catch (error) {
    at("imported").textContent = error.message;
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
at("any").addEventListener("click", async () => {
  const from = location.href;
  try {
    const user = await get("api/users/random");
    // Whoever has gone on meanwhile stays there.
    if (location.href === from) toUser(user.user_id);
  } catch (error) {
    at("status").textContent = error.message;
  }
});
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

combobox(at("number"), at("numbers"), users, toUser);
combobox(at("title"), at("titles"), (text, signal) => get(`api/films?query=${encodeURIComponent(text)}`, { signal }), (movieId) => rating.add(movieId));
models = await get("api/models").catch(() => []);
show();
