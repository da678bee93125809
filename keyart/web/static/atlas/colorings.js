// Which color each film has by its genre or decade.
import { coloring, hue } from "./coloring.js";
import { t } from "../words.js";

function ramp(number, n) {
  const share = n > 1 ? number / (n - 1) : 1;
  return `hsl(${Math.round(265 - 235 * share)} 70% ${Math.round(42 + 16 * share)}%)`;
}

export function genre(films) {
  const counts = films.genreNames.map(() => 0);
  for (const genres of films.genres) for (const genre of genres) counts[genre] += 1;
  const order = counts.map((_, genre) => genre).filter((genre) => counts[genre]).sort((one, other) => counts[other] - counts[one]);
  const rank = new Map(order.map((genre, number) => [genre, number]));
  const entries = order.map((genre, number) => ({ name: t(films.genreNames[genre]), color: hue(number) }));
  // Of several genres the rarest tells most: nearly every film is also a drama or a comedy.
  const rarest = (row) => Math.max(-1, ...films.genres[row].map((genre) => rank.get(genre)));
  return coloring(films, entries, rarest, (row, number) => films.genres[row].includes(order[number]));
}

export function decade(films) {
  const decadeOf = (row) => (films.year[row] ? Math.floor(films.year[row] / 10) * 10 : null);
  const decades = [...new Set(Array.from({ length: films.n }, (_, row) => decadeOf(row)))].filter((each) => each !== null);
  decades.sort((one, other) => one - other);
  const entries = decades.map((each, number) => ({ name: t("{decade}s", { decade: String(each) }), color: ramp(number, decades.length) }));
  return coloring(films, entries, (row) => decades.indexOf(decadeOf(row)), (row, number) => decadeOf(row) === decades[number]);
}
