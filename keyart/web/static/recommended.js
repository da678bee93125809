// Films that are shown, not rated: a recommendation, and what a user liked.
import { poster, titled } from "./film.js";
import { element, ratings } from "./parts.js";
import { english, number, t } from "./words.js";

function link(film) {
  return element("a", { className: "hit", href: `./?film=${film.movie_id}` }, poster(film), element("strong", { textContent: titled(film) }));
}

export function recommended(film, givesStars) {
  const score = givesStars ? t("{mean} stars", { mean: number(film.score, 1) }) : number(film.score, 3);
  const numbers = element("span", { className: "numbers" }, element("span", { textContent: score }));
  const made = element("li", {}, link(film), numbers);
  if (film.new) made.querySelector("strong").prepend(element("span", { className: "new", textContent: t("new") }), " ");
  else numbers.append(element("span", { textContent: ratings(film.n_ratings) }));
  const unrated = film.new ? [t("Nobody has rated it yet."), " "] : [];
  made.append(element("small", { className: "faint" }, ...unrated, english(film.why)));
  return made;
}

export function liked(film) {
  return element("li", {}, link(film), element("span", { className: "numbers", textContent: t("{mean} stars", { mean: number(film.rating) }) }));
}
