// Which color each film has by its cluster, and what the colors mean.
import { english } from "../words.js";

const UNKNOWN = "#8d8a84";

// Hues a golden angle apart, light and dark by turns: neighbors in the legend are never neighbors in color.
export function hue(number) {
  return `hsl(${Math.round((number * 137.508 + 10) % 360)} ${number % 2 ? 62 : 78}% ${[50, 64, 40][number % 3]}%)`;
}

// A coloring: `entries` are what the legend shows; `main` is the entry whose color a film has; `has` tells whether a film is of an entry.
export function coloring(films, entries, main, has) {
  const filled = entries.map((entry, number) => {
    let n = 0;
    for (let row = 0; row < films.n; row += 1) n += has(row, number);
    return { ...entry, n };
  });
  return { entries: filled, has, color: Array.from({ length: films.n }, (_, row) => entries[main(row)]?.color ?? UNKNOWN) };
}

export function cluster(films) {
  const entries = films.clusters.map(({ name, typical }, number) => ({ name: english(name), color: hue(number), typical }));
  return coloring(films, entries, (row) => films.cluster[row], (row, number) => films.cluster[row] === number);
}
