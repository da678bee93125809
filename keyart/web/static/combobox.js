// A text field with suggestions, after the ARIA Authoring Practices' combobox with a list.
import { titled } from "./film.js";
import { at, element } from "./parts.js";
import { report, warn } from "./status.js";
import { t } from "./words.js";

const STEPS = { ArrowDown: 1, ArrowUp: -1 };
const PAUSE_MS = 120; // in typing, before suggestions are requested

export function combobox(input, list, suggest, choose) {
  let found = [];
  let active = -1;
  let asked = ""; // the text that the list is of, or will be
  let request = new AbortController(); // for that text
  let answered = Promise.resolve(); // once the list is of that text
  let hurry = () => {}; // requests the suggestions now
  let said = []; // of the text, which goes with it

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

  const hold = () => { said = [...at("status").childNodes]; };

  function close() {
    request.abort();
    asked = "";
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
      if (signal.aborted) return;
      open(films);
      if (!films.length) hold();
    } catch (error) {
      if (signal.aborted) return;
      close();
      report(error);
      hold();
    }
  }

  function ask() {
    request.abort();
    request = new AbortController();
    asked = input.value;
    for (const node of said) node.remove();
    said = [];
    answered = fill(request);
  }

  // What the list still shows may be of an earlier text: the keys mean the films of the text that is there.
  async function press(key) {
    // Whoever left the field, or closed the list, comes back to the text.
    if (input.value !== asked) ask();
    const { signal } = request;
    hurry();
    await answered;
    if (signal.aborted || !found.length) return;
    if (key !== "Enter") return mark((active + STEPS[key] + found.length) % found.length);
    // A film whose title is only spelled alike is chosen, not guessed.
    if (active >= 0 || found[0].is_named !== false) return take(Math.max(active, 0));
    warn(t("No film is called “{text}”: choose one of the titles that are near.", { text: asked.trim() }));
    hold();
  }

  input.addEventListener("input", ask);
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
