// Rows of films that scroll sideways: by buttons, arrow keys, wheel and finger; the edge behind which there is more fades.
import { element } from "./parts.js";
import { t } from "./words.js";

const SHARE = 0.85; // of what is visible, that a button turns: so that the last film is the first one afterwards
const MARGIN = 24; // pixels: where a film snaps into place, so much less than a film may be left

function button(text, label, act) {
  const made = element("button", { type: "button", textContent: text });
  made.setAttribute("aria-label", label);
  made.addEventListener("click", () => made.getAttribute("aria-disabled") === "true" || act());
  return made;
}

// The films that are visible as a whole, from 1.
function visible(list) {
  const { left, right } = list.getBoundingClientRect();
  const inside = [...list.children].flatMap((film, row) => {
    const box = film.getBoundingClientRect();
    return box.left >= left - 1 && box.right <= right + 1 ? [row + 1] : [];
  });
  return inside.length ? [inside[0], inside.at(-1)] : [1, 1];
}

const seen = (first, last, n) => t("{first}–{last} of {n}", { first, last, n });

function turnPage(list, direction) {
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const left = list.scrollLeft + direction * SHARE * list.clientWidth;
  // Near the beginning it would snap to the second film.
  list.scrollTo({ left: left < list.firstElementChild.offsetWidth ? 0 : left, behavior: calm ? "instant" : "smooth" });
}

// Arrow keys lead from film to film, wherever the film is a link.
function walk(event, list) {
  const film = event.target.closest("a.hit")?.closest("li");
  const steps = { ArrowRight: film?.nextElementSibling, ArrowLeft: film?.previousElementSibling,
    Home: list.firstElementChild, End: list.lastElementChild };
  if (!film || !(event.key in steps) || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
  event.preventDefault();
  steps[event.key]?.querySelector("a.hit")?.focus();
}

// Adds to a list its buttons, which are returned in a line of their own.
export function scrolling(list, name) {
  list.classList.add("strip");
  const range = element("span", { className: "range" });
  range.setAttribute("aria-hidden", "true");
  const back = button("‹", t("Back in {list}", { list: name }), () => turnPage(list, -1));
  const on = button("›", t("On in {list}", { list: name }), () => turnPage(list, 1));
  const all = button(t("All"), t("All of {list}", { list: name }), () => all.setAttribute("aria-expanded", list.classList.toggle("all")));
  all.setAttribute("aria-expanded", "false");
  const line = element("div", { className: "turns" }, range, back, on, all);

  function show() {
    const rest = list.scrollWidth - list.clientWidth;
    const place = Math.abs(list.scrollLeft);
    const [more, before] = [rest - place > MARGIN, place > MARGIN];
    list.dataset.more = [before && "before", more && "after"].filter(Boolean).join(" ");
    back.setAttribute("aria-disabled", !before);
    on.setAttribute("aria-disabled", !more);
    line.classList.toggle("idle", rest <= 1 && !list.classList.contains("all"));
    const n = list.children.length;
    range.textContent = n && rest > 1 ? seen(...visible(list), n) : "";
  }

  list.addEventListener("scroll", show, { passive: true });
  list.addEventListener("keydown", (event) => walk(event, list));
  new ResizeObserver(show).observe(list);
  new MutationObserver(show).observe(list, { childList: true });
  return line;
}

let n = 0;

export function shelf(name, films) {
  const title = element("h3", { textContent: name, id: `shelf-${n += 1}` });
  const list = element("ol", {}, ...films);
  list.setAttribute("aria-labelledby", title.id);
  const head = element("div", { className: "head" }, title, scrolling(list, name));
  const made = element("section", { className: "shelf" }, head, list);
  made.setAttribute("aria-labelledby", title.id);
  return made;
}
