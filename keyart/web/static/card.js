// One look-alike: its poster, its numbers, and why.
import { poster, titled } from "./film.js";
import { keepButton } from "./keeping.js";
import { element, ratings } from "./parts.js";
import { count, english, number, t } from "./words.js";

function bar(value, name, meaning) {
  const text = value === null ? t("{meaning}: unknown", { meaning }) : t("{meaning}: {share}", { meaning, share: number(value, 3) });
  const made = element("meter", { className: name, min: 0, max: 1, value: Math.max(0, value ?? 0), title: text });
  made.setAttribute("aria-label", text);
  return made;
}

function action(text, label, act) {
  const button = element("button", { type: "button", textContent: text, title: label });
  button.setAttribute("aria-label", label);
  button.addEventListener("click", act);
  return button;
}

function actions(hit, label, other, { why, add }) {
  const keep = keepButton(hit.movie_id, label);
  // Looks are combined, of films that have a poster.
  if (hit.visual === null) return [keep];
  const reasons = other || hit.why.length ? [action(t("Why"), t("Why {label} looks alike", { label }), () => why(other, hit))] : [];
  const more = action(t("More"), t("More like {label}", { label }), () => add("like", hit.movie_id));
  const less = action(t("Less"), t("Less like {label}", { label }), () => add("unlike", hit.movie_id));
  return [...reasons, keep, more, less];
}

// A click on a link to a film changes the page; with a key, the browser opens it elsewhere.
export function opens(link, open) {
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    open(Number(link.dataset.film));
  });
}

// `first` is what it is compared with: a film, a picture by its name, or null.
export function card(hit, first, { address, pivot, why, add }) {
  const label = titled(hit);
  const link = element("a", { className: "hit", href: address(hit.movie_id) }, poster(hit), element("strong", { textContent: label }));
  link.dataset.film = hit.movie_id;
  const other = hit.visual === null ? null : first;
  if (other) link.dataset.first = other;
  opens(link, pivot);
  const numbers = element("span", { className: "numbers" },
    element("span", { textContent: t("score {score}", { score: number(hit.score, 3) }) }), element("span", { textContent: ratings(hit.n_ratings) }));
  const made = element("li", {}, link, numbers, bar(hit.visual, "looks", t("looks")), bar(hit.cf, "liked", t("liked")));
  if (hit.content_share) made.append(bar(hit.content, "content", t("content")));
  if (hit.in_common.length) made.append(element("small", { className: "common" }, english(hit.in_common.join(", "))));
  if (hit.same_artwork.length) made.append(element("small", { textContent: count(hit.same_artwork.length, "+{n} with this artwork", "+{n} with this artwork") }));
  made.append(element("div", { className: "acts" }, ...actions(hit, label, other, { why, add })));
  return made;
}
