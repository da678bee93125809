// Half stars as a slider, after the ARIA Authoring Practices' rating slider: mouse, touch and keys come with the element.
import { element } from "./parts.js";
import { count, t } from "./words.js";

export function inWords(value) {
  return value ? count(value, "{n} star", "{n} stars") : t("not rated");
}

export function stars(label, value, rate) {
  const input = element("input", { type: "range", min: 0, max: 5, step: 0.5 });
  // Hidden from screen readers, which read the slider.
  const words = element("span", { className: "words" });
  words.setAttribute("aria-hidden", "true");
  const drawn = element("span", { className: "drawn" }, input);
  const made = element("div", { className: "stars" }, drawn, words);
  input.setAttribute("aria-label", t("Your stars for {title}", { title: label }));

  function show(now) {
    input.value = now;
    input.setAttribute("aria-valuetext", inWords(now));
    words.textContent = inWords(now);
    made.style.setProperty("--share", `${now * 20}%`);
  }

  input.addEventListener("input", () => show(input.valueAsNumber));
  input.addEventListener("change", () => rate(input.valueAsNumber));
  // The slider lies a quarter of a star to the left (user.css), so that the last quarter is beyond its end.
  drawn.addEventListener("click", (event) => {
    if (event.target !== drawn) return;
    show(5);
    rate(5);
  });
  show(value);
  return { made, input, show };
}
