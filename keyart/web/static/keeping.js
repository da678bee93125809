// Keeping films on any page: the link to the shortlist with their number, and the buttons that keep one.
import { MOST_KEPT, keep, kept, onKept } from "./kept.js";
import { at, element } from "./parts.js";
import { t } from "./words.js";

export const FULL = t("A shortlist has at most {n} films: remove some first.", { n: MOST_KEPT });

// Makes a button keep a film; without one, makes the button.
export function keepButton(movieId, label, button = element("button", { type: "button", textContent: t("Keep") })) {
  button.dataset.keep = movieId;
  button.setAttribute("aria-label", t("Keep {label}", { label }));
  button.title = t("Keep {label} on the shortlist", { label });
  button.setAttribute("aria-pressed", kept().includes(movieId));
  return button;
}

// Shows on every button whether its film is kept, as after the server has written some.
export function showKept() {
  const films = kept();
  at("to-shortlist").textContent = films.length ? t("Shortlist ({n})", { n: films.length }) : t("Shortlist");
  for (const button of document.querySelectorAll("[data-keep]")) {
    button.setAttribute("aria-pressed", films.includes(Number(button.dataset.keep)));
  }
}

function toggle(movieId) {
  const films = kept();
  const isKept = films.includes(movieId);
  if (!keep(isKept ? films.filter((each) => each !== movieId) : [...films, movieId])) at("status").textContent = FULL;
}

addEventListener("click", ({ target }) => {
  const button = target.closest?.("[data-keep]");
  if (button) toggle(Number(button.dataset.keep));
});
onKept(showKept);
showKept();
