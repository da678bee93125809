// Films that are shown, not rated: a recommendation, and what a user liked.
import { poster, titled } from "./film.js";
import { element, ratings } from "./parts.js";

function link(film) {
  return element("a", { className: "hit", href: `./?film=${film.movie_id}` }, poster(film), element("strong", { textContent: titled(film) }));
}

export function recommended(film, givesStars) {
  const score = givesStars ? `${film.score.toFixed(1)} stars` : film.score.toFixed(3);
  const numbers = element("span", { className: "numbers" }, element("span", { textContent: score }));
  const made = element("li", {}, link(film), numbers);
  if (film.new) made.querySelector("strong").prepend(element("span", { className: "new", textContent: "new" }), " ");
  else numbers.append(element("span", { textContent: ratings(film.n_ratings) }));
  const reason = film.new ? `Nobody has rated it yet. ${film.why}` : film.why;
  made.append(element("small", { className: "faint", textContent: reason }));
  return made;
}

export function liked(film) {
  return element("li", {}, link(film), element("span", { className: "numbers", textContent: `${film.rating} stars` }));
}
