// A text field with suggestions, after the ARIA Authoring Practices' combobox with a list.
import { titled } from "./film.js";
import { element } from "./parts.js";
import { report } from "./status.js";

const STEPS = { ArrowDown: 1, ArrowUp: -1 };
const PAUSE_MS = 120; // in typing, before suggestions are requested

export function combobox(input, list, suggest, choose) {
  let found = [];
  let active = -1;
  let request = new AbortController(); // for the text that is in the field
  let answered = Promise.resolve(); // once the list is of that text
  let hurry = () => {}; // requests the suggestions now

  function mark(index) {
    active = index;
    [...list.children].forEach((item, row) => item.setAttribute("aria-selected", row === index));
    if (index < 0) input.removeAttribute("aria-activedescendant");
    else input.setAttribute("aria-activedescendant", list.children[index].id);
  }

  function open(films) {
    found = films;
    list.replaceChildren(...films.map((film, row) => {
      const item = element("li", { id: `suggestion-${row}`, role: "option", textContent: film.label ?? titled(film) });
      item.addEventListener("mousedown", (event) => { event.preventDefault(); take(row); });
      return item;
    }));
    list.hidden = !films.length;
    input.setAttribute("aria-expanded", films.length > 0);
    mark(-1);
  }

  function close() {
    request.abort();
    open([]);
  }

  function take(row) {
    const film = found[row];
    close();
    input.value = "";
    choose(film.movie_id, film);
  }

  async function fill({ signal }) {
    const text = input.value.trim();
    if (!text) return open([]);
    await new Promise((go) => { hurry = go; setTimeout(go, PAUSE_MS); });
    if (signal.aborted) return;
    try {
      const films = await suggest(text, signal);
      if (!signal.aborted) open(films);
    } catch (error) {
      if (signal.aborted) return;
      open([]);
      report(error);
    }
  }

  // What the list still shows may be of an earlier text: the keys mean the films of the text that is there.
  async function press(key) {
    const { signal } = request;
    hurry();
    await answered;
    if (signal.aborted || !found.length) return;
    if (key === "Enter") take(Math.max(active, 0));
    else mark((active + STEPS[key] + found.length) % found.length);
  }

  input.addEventListener("input", () => {
    request.abort();
    request = new AbortController();
    answered = fill(request);
  });
  input.addEventListener("keydown", (event) => {
    // Enter ends what an input method composes.
    if (event.isComposing) return;
    if (event.key in STEPS || event.key === "Enter") {
      // Or Enter would also press the button that a choice moves the focus to.
      event.preventDefault();
      press(event.key);
    } else if (event.key === "Escape") close();
  });
  input.addEventListener("blur", close);
}
