// A film that is pointed at or has the focus, and the one it is compared with, show which of their parts match.
import { at, element } from "./parts.js";
import { posterOf } from "./pictures.js";
import { cellAt, likeness, linked, mark, strongest, tint, untint } from "./regions.js";
import { tolerate } from "./status.js";

const STILL_MS = 250; // of a mouse that passes over
const GAP = 12;

// `pivot` returns the film, or the name of the picture, that the page is about. Returns what begins and ends the comparison.
export function twins(list, pivot) {
  let link = null;
  let request = new AbortController();
  let pointed = null; // where a mouse is
  let pair = null; // [the other poster, this one, their likeness]

  const isSeen = ({ top, bottom }) => top >= 0 && bottom <= innerHeight;

  // The poster at the top of the page, or where it is not in sight, a copy beside the film.
  function other(first) {
    if (first === pivot() && !at("pane").classList.contains("on") && isSeen(at("pane").getBoundingClientRect())) return at("pane");
    const copy = element("div", { className: "pane twin" }, element("img", { src: posterOf(first, 320), alt: "" }));
    copy.setAttribute("aria-hidden", true);
    return document.body.appendChild(copy);
  }

  function place() {
    if (!pair?.[0].classList.contains("twin")) return;
    const { left, right, top, width, height } = pair[1].getBoundingClientRect();
    const beside = right + GAP + width <= innerWidth ? right + GAP : left - GAP - width;
    Object.assign(pair[0].style, { left: `${beside}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` });
  }

  // What is like the region below the mouse, or what all of the posters is.
  function show() {
    const [one, two, found] = pair;
    const grid = [found.grid[0].length, found.grid.length];
    const limit = strongest(found.grid, found.second_grid);
    const box = pointed && two.contains(pointed.target) ? [...cellAt(two, pointed, grid), 1, 1] : null;
    tint(two, found.second_grid, limit);
    mark(two, box, grid);
    if (box) tint(one, linked(found, box, false));
    else tint(one, found.grid, limit);
  }

  async function draw() {
    const { signal } = request;
    const { film, first } = link.dataset;
    try {
      const found = await likeness(first, film, { signal });
      if (signal.aborted) return;
      pair = [other(first), link.querySelector(".frame"), found];
      pair[1].classList.add("pane");
      for (const pane of pair.slice(0, 2)) pane.classList.add("tinted");
      place();
      show();
    } catch (error) {
      if (!signal.aborted) tolerate(error);
    }
  }

  function end() {
    request.abort();
    link = null;
    if (!pair) return;
    const [one, two] = pair;
    for (const pane of [one, two]) {
      untint(pane);
      pane.classList.remove("tinted");
    }
    if (one.classList.contains("twin")) one.remove();
    pair = null;
  }

  function begin(target) {
    const found = target.closest("a[data-first]");
    if (found === link) return;
    end();
    if (!found) return;
    link = found;
    request = new AbortController();
    const timer = setTimeout(draw, STILL_MS);
    request.signal.addEventListener("abort", () => clearTimeout(timer));
  }

  list.addEventListener("pointerover", ({ target, pointerType }) => { if (pointerType === "mouse") begin(target); });
  list.addEventListener("pointermove", (event) => {
    pointed = event;
    if (pair) show();
  });
  list.addEventListener("pointerleave", () => { pointed = null; end(); });
  list.addEventListener("focusin", ({ target }) => { if (target.matches(":focus-visible")) begin(target); });
  list.addEventListener("focusout", end);
  addEventListener("scroll", place, { passive: true });
  return {
    end,
    // For the event that came before this was listening.
    begin(event) {
      if (event.type === "pointerover") pointed = event;
      begin(event.target);
    },
  };
}
