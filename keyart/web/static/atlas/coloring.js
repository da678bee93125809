// Which color each film has, by cluster, genre or decade, and what the colors mean.
import { english, t } from "../words.js";

const UNKNOWN = "#8d8a84";

// Hues a golden angle apart, light and dark by turns: neighbors in the legend are never neighbors in color.
function hue(number) {
  return `hsl(${Math.round((number * 137.508 + 10) % 360)} ${number % 2 ? 62 : 78}% ${[50, 64, 40][number % 3]}%)`;
}

function ramp(number, n) {
  const share = n > 1 ? number / (n - 1) : 1;
  return `hsl(${Math.round(265 - 235 * share)} 70% ${Math.round(42 + 16 * share)}%)`;
}

// `entries` are what the legend shows; `main` is the entry whose color a film has; `has` tells whether a film is of an entry.
function coloring(films, entries, main, has) {
  const filled = entries.map((entry, number) => {
    let n = 0;
    for (let row = 0; row < films.n; row += 1) n += has(row, number);
    return { ...entry, n };
  });
  return { entries: filled, has, color: Array.from({ length: films.n }, (_, row) => entries[main(row)]?.color ?? UNKNOWN) };
}

function byCluster(films) {
  const entries = films.clusters.map(({ name, typical }, number) => ({ name: english(name), color: hue(number), typical }));
  return coloring(films, entries, (row) => films.cluster[row], (row, number) => films.cluster[row] === number);
}

function byGenre(films) {
  const counts = films.genreNames.map(() => 0);
  for (const genres of films.genres) for (const genre of genres) counts[genre] += 1;
  const order = counts.map((_, genre) => genre).filter((genre) => counts[genre]).sort((one, other) => counts[other] - counts[one]);
  const rank = new Map(order.map((genre, number) => [genre, number]));
  const entries = order.map((genre, number) => ({ name: t(films.genreNames[genre]), color: hue(number) }));
  // Of several genres the rarest tells most: nearly every film is also a drama or a comedy.
  const rarest = (row) => Math.max(-1, ...films.genres[row].map((genre) => rank.get(genre)));
  return coloring(films, entries, rarest, (row, number) => films.genres[row].includes(order[number]));
}

function byDecade(films) {
  const decade = (row) => (films.year[row] ? Math.floor(films.year[row] / 10) * 10 : null);
  const decades = [...new Set(Array.from({ length: films.n }, (_, row) => decade(row)))].filter((each) => each !== null);
  decades.sort((one, other) => one - other);
  const entries = decades.map((each, number) => ({ name: t("{decade}s", { decade: String(each) }), color: ramp(number, decades.length) }));
  return coloring(films, entries, (row) => decades.indexOf(decade(row)), (row, number) => decade(row) === decades[number]);
}

export const COLORINGS = { cluster: byCluster, genre: byGenre, decade: byDecade };
