import { element } from "../parts.js";
import { number as written } from "../words.js";

const N_POSTERS = 5; // of the most typical films

// Beside words, which are few and general, they say what the posters of a cluster have in common.
function posters(movieIds) {
  return element("span", { className: "posters" }, ...movieIds.slice(0, N_POSTERS).map((movieId) => {
    const image = element("img", { alt: "", width: 160, height: 240, loading: "lazy", src: `posters/${movieId}?width=160` });
    image.addEventListener("error", () => image.remove());
    return image;
  }));
}

// What the colors mean; pointing at an entry shows its films, pressing it keeps them shown, and `pin` hears of it.
export function showLegend(list, entries, { pinned, show, pin }) {
  function refresh(pointed = null) {
    show(pointed ?? pinned);
    [...list.querySelectorAll("button")].forEach((button, number) => button.setAttribute("aria-pressed", number === pinned));
  }

  list.replaceChildren(...entries.map((entry, number) => {
    const button = Object.assign(document.createElement("button"), { type: "button" });
    const swatch = document.createElement("i");
    swatch.style.backgroundColor = entry.color;
    const name = element("span", { className: "name" }, entry.name);
    button.append(swatch, name, Object.assign(document.createElement("small"), { textContent: written(entry.n) }));
    if (entry.typical) button.append(posters(entry.typical));
    button.addEventListener("click", () => { pinned = pinned === number ? null : number; pin(pinned); refresh(); });
    button.addEventListener("pointerenter", () => refresh(number));
    button.addEventListener("pointerleave", () => refresh());
    const item = document.createElement("li");
    item.append(button);
    return item;
  }));
  refresh();
}
