// Films that are shown, not rated: a recommendation, and what a user liked.
import { poster, titled } from "./film.js";
import { keepButton } from "./keeping.js";
import { element, ratings } from "./parts.js";
import { number, t } from "./words.js";

// What films are recommended by, as the API calls it, in words.
const REASONS = {
  taste: t("taste"), everybody: t("the ratings of everybody"), "expected mean": t("the mean rating that is expected of it"),
  looks: t("looks"), "genres and year": t("genres and year"), "people and words": t("people and words"),
};

function link(film) {
  return element("a", { className: "hit", href: `./?film=${film.movie_id}` }, poster(film), element("strong", { textContent: titled(film) }));
}

const actions = (film) => element("div", { className: "acts" }, keepButton(film.movie_id, titled(film)));

const listed = (texts) => texts.reduce((one, other) => t("{one} and {other}", { one, other }));

// Why a film is recommended, by what and because of which films, which "you" or "they" liked.
function reasonOf({ by, because }, person) {
  const [reasons, films] = [by.map((each) => REASONS[each] ?? each), because.map(titled)];
  if (!reasons.length) return "";
  if (!films.length) return t("By {reasons}.", { reasons: listed(reasons) });
  const values = { reasons: listed(reasons), films: listed(films) };
  return person === "you" ? t("By {reasons}, because you liked {films}.", values) : t("By {reasons}, because they liked {films}.", values);
}

// A preference that is as good as none is left out.
function scoreOf({ score }, givesStars) {
  if (givesStars) return t("{mean} stars", { mean: number(score, 1) });
  return Math.abs(score) < 0.0005 ? "" : number(score, 3);
}

export function recommended(film, givesStars, person) {
  const score = scoreOf(film, givesStars);
  const numbers = element("span", { className: "numbers" }, element("span", { textContent: score }));
  const made = element("li", {}, link(film), numbers);
  if (film.new) made.querySelector("strong").prepend(element("span", { className: "new", textContent: t("new") }), " ");
  else numbers.append(element("span", { textContent: ratings(film.n_ratings) }));
  const reason = reasonOf(film, person);
  const unrated = reason ? t("Nobody has rated it yet.") : t("Nobody has rated it yet, and little speaks for it or against it.");
  made.append(element("small", { className: "faint", textContent: [film.new && unrated, reason].filter(Boolean).join(" ") }), actions(film));
  return made;
}

export function liked(film) {
  const stars = element("span", { className: "numbers", textContent: t("{mean} stars", { mean: number(film.rating) }) });
  return element("li", {}, link(film), stars, actions(film));
}
