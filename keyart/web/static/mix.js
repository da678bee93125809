// The other films of a question: those that are sought for, too, and those whose looks are avoided.
import { combobox } from "./combobox.js";
import { titled } from "./film.js";
import { at, element } from "./parts.js";
import { fetchJson } from "./requests.js";
import { say } from "./status.js";
import { suggestTitles } from "./titles.js";

export const SIDES = ["like", "unlike"];

export function mix(state, go) {
  const known = new Map(); // films by movie_id, as the address names them
  let latest = 0; // the films of an earlier address are dropped
  let arrival = null; // the film that was just added

  async function film(movieId) {
    if (!known.has(movieId)) known.set(movieId, await fetchJson(`api/films/${encodeURIComponent(movieId)}`));
    return known.get(movieId);
  }

  function without(movieId) {
    const params = state();
    return Object.fromEntries(SIDES.map((side) => [side, params.getAll(side).filter((other) => other !== movieId)]));
  }

  function add(side, movieId) {
    arrival = String(movieId);
    if (state().get("film") === arrival) {
      say("That is the film that is asked about.");
      return;
    }
    const changes = without(arrival);
    changes[side].push(arrival);
    go(changes, { top: true });
  }

  function remove(side, movieId) {
    go(without(movieId));
    at(`${side}-title`).focus();
  }

  async function chip(side, movieId) {
    // A film that does not exist can be removed, too.
    const facts = await film(movieId).catch(() => ({ title: `film ${movieId}`, has_poster: false }));
    const button = element("button", { type: "button", textContent: "×" });
    button.setAttribute("aria-label", `Remove ${titled(facts)}`);
    button.addEventListener("click", () => remove(side, movieId));
    const image = facts.has_poster ? [element("img", { src: `posters/${movieId}?width=160`, alt: "" })] : [];
    return element("li", {}, ...image, titled(facts), button);
  }

  for (const side of SIDES) {
    combobox(at(`${side}-title`), at(`${side}-titles`), suggestTitles, (movieId) => add(side, movieId));
  }

  return {
    add,
    async show() {
      const number = ++latest;
      const params = state();
      const shown = await Promise.all(SIDES.map((side) => Promise.all(params.getAll(side).map((movieId) => chip(side, movieId)))));
      if (number !== latest) return;
      SIDES.forEach((side, row) => at(side).replaceChildren(...shown[row]));
      // What had the focus, such as the button of a card, goes with the results.
      const [side] = SIDES.filter((each) => params.getAll(each).includes(arrival));
      if (side) at(side).children[params.getAll(side).indexOf(arrival)].querySelector("button").focus();
      arrival = null;
    },
  };
}
