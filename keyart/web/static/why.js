// The dialog that shows where two posters look alike, region by region, and says why a film was found.
import { titled } from "./film.js";
import { at, element, save } from "./parts.js";
import { pictureOf, posterOf } from "./pictures.js";
import { boxField, inWords, likeness, linked, question, strongest, tint, within } from "./regions.js";
import { fetchFile, fetchJson } from "./requests.js";
import { busy, report, say } from "./status.js";
import { english, number, t } from "./words.js";

// `search` asks about a box of a film's poster, or of a picture.
export function whyDialog(search) {
  const [dialog, line] = [at("why"), at("why-status")];
  let request = new AbortController();
  let chosen = null; // the film or picture, and a box of it
  let pair = null; // what is compared

  function choose(panes, found, films, side, box) {
    const other = 1 - side;
    chosen = box && [films[side], box];
    at("by-part").hidden = !box;
    panes[other].boxed(null);
    const grids = [found.grid, found.second_grid];
    if (!box) return showWhole(panes, found);
    const grid = linked(found, box, side === 0);
    tint(panes[other].pane, grid);
    tint(panes[side].pane, within(grids[side], box), strongest(grids[side]));
    const sum = grid.flat().reduce((one, more) => one + more, 0);
    say(t("{part} of {title}: {sum} of {similarity}. What it is like is tinted on {other}.", {
      part: inWords(box), title: titled(films[side]), sum: number(sum, 3), similarity: number(found.similarity, 3), other: titled(films[other]),
    }), null, line);
  }

  function showWhole(panes, found) {
    const grids = [found.grid, found.second_grid];
    panes.forEach(({ pane }, side) => tint(pane, grids[side], strongest(...grids)));
    say(t("Similarity of looks: {similarity}. Drag a box on either poster, or use the arrow keys, to see what it is like.",
      { similarity: number(found.similarity, 3) }), null, line);
  }

  function poster(film) {
    const pane = element("div", { className: "pane on", tabIndex: 0, role: "application" },
      element("img", { src: posterOf(film.name ?? film.movie_id, 640), alt: "" }));
    pane.setAttribute("aria-label", t("Poster of {title}: its regions", { title: titled(film) }));
    pane.setAttribute("aria-describedby", "why-help");
    return pane;
  }

  function showPair(films, found) {
    const grid = [found.grid[0].length, found.grid.length];
    const panes = films.map((film, side) => {
      const pane = poster(film);
      ["columns", "rows"].forEach((name, axis) => pane.style.setProperty(`--${name}`, grid[axis]));
      return { pane, boxed: boxField(pane, grid, (box) => choose(panes, found, films, side, box)) };
    });
    at("pair").replaceChildren(...panes.map(({ pane }, side) => element("figure", {}, pane,
      element("figcaption", { textContent: titled(films[side]) }))));
    at("pair").hidden = at("map").hidden = at("why-help").hidden = false;
    showWhole(panes, found);
  }

  // What looks most like a film, of what it may be compared with, and how.
  async function nearest(names, hit, options) {
    const found = await Promise.all(names.map((name) => likeness(name, hit.movie_id, options)));
    const best = found.reduce((most, { similarity }, n) => (similarity > found[most].similarity ? n : most), 0);
    return [names[best], found[best]];
  }

  async function draw(names, hit) {
    request = new AbortController();
    const { signal } = request;
    say(t("Comparing the two posters …"), null, line);
    const waiting = (seconds) => say(busy(seconds), null, line);
    try {
      const options = { signal, waiting };
      const [first, found] = await nearest(names, hit, options);
      const film = pictureOf(first) ?? await fetchJson(`api/films/${first}`, options);
      if (signal.aborted) return;
      pair = [first, hit.movie_id];
      showPair([film, hit], found);
      if (names.length > 1) line.prepend(`${t("Of your pictures, {title} looks most like it.", { title: film.title })} `);
    } catch (error) {
      if (!signal.aborted) report(error, () => draw(names, hit), line);
    }
  }

  function clear() {
    request.abort();
    for (const id of ["pair", "map", "by-part", "why-help"]) at(id).hidden = true;
    at("pair").replaceChildren();
    say("", null, line);
  }

  async function saveMap() {
    const [address, how] = question(...pair, ".jpg");
    try {
      const { blob } = await fetchFile(address, { ...how, signal: request.signal });
      save(blob, `why-${pair[1]}.jpg`);
    } catch (error) {
      if (!request.signal.aborted) report(error, saveMap, line);
    }
  }

  dialog.addEventListener("close", clear);
  dialog.addEventListener("click", ({ target, clientX, clientY }) => {
    const { left, right, top, bottom } = dialog.getBoundingClientRect();
    const isInside = clientX >= left && clientX <= right && clientY >= top && clientY <= bottom;
    if (target === dialog && !isInside) dialog.close();
  });
  at("by-part").addEventListener("click", () => {
    const asked = chosen;
    dialog.close();
    search(...asked);
  });
  at("map").addEventListener("click", saveMap);

  return {
    // `names` are those of films or pictures it may be nearest to; of a description, there are none, and no regions to show.
    show(names, hit) {
      clear();
      at("heat-frame").hidden = !names.length;
      at("reasons").replaceChildren(...hit.why.map((reason) => element("li", {}, english(reason))));
      dialog.showModal();
      if (names.length) draw(names, hit);
    },
  };
}
