// A text field with suggestions, after the ARIA Authoring Practices' combobox with a list.
import { titled } from "./film.js";

export function combobox(input, list, suggest, choose) {
  let found = [];
  let active = -1;
  let asked = 0;

  function mark(place) {
    active = place;
    [...list.children].forEach((item, row) => item.setAttribute("aria-selected", row === place));
    if (place < 0) input.removeAttribute("aria-activedescendant");
    else input.setAttribute("aria-activedescendant", list.children[place].id);
  }

  function open(films) {
    found = films;
    list.replaceChildren(...films.map((film, row) => {
      const item = document.createElement("li");
      item.id = `suggestion-${row}`;
      item.role = "option";
      item.textContent = titled(film);
      item.addEventListener("mousedown", (event) => { event.preventDefault(); take(row); });
      return item;
    }));
    list.hidden = !films.length;
    input.setAttribute("aria-expanded", films.length > 0);
    mark(-1);
  }

  function take(row) {
    const film = found[row];
    asked += 1;
    open([]);
    input.value = "";
    choose(film.movie_id);
  }

  input.addEventListener("input", async () => {
    const number = ++asked;
    const text = input.value.trim();
    const films = text ? await suggest(text).catch(() => []) : [];
    if (number === asked) open(films);
  });
  input.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && found.length) {
      event.preventDefault();
      mark((active + step + found.length) % found.length);
    } else if (event.key === "Enter" && found.length) take(Math.max(active, 0));
    else if (event.key === "Escape") open([]);
  });
  input.addEventListener("blur", () => open([]));
}
