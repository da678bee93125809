// Where a picture lands: among most of the films that look like it.
import { fetchJson } from "../requests.js";
import { fitted } from "../picture.js";

const NEIGHBORS = 10;
const BANDWIDTH = 0.1; // of the map, as new films are placed
const SHIFTS = 5;

// The films of the map that look most like a picture.
export async function lookalikes(file, films, waiting) {
  const body = await fitted(file, await fetchJson("api/server", { waiting }));
  const { results } = await fetchJson("api/similar?k=50", { method: "POST", body, waiting });
  return results.filter((hit) => films.rows.has(hit.movie_id)).slice(0, NEIGHBORS).map((hit) => films.rows.get(hit.movie_id));
}

const median = (numbers) => numbers.toSorted((one, other) => one - other)[numbers.length >> 1];

// Where films crowd: a mean would fall between two groups of them. By mean shift, from their median.
export function densest(films, rows) {
  let [x, y] = [median(rows.map((row) => films.x[row])), median(rows.map((row) => films.y[row]))];
  for (let shift = 0; shift < SHIFTS; shift += 1) {
    const weights = rows.map((row) => Math.exp(-((films.x[row] - x) ** 2 + (films.y[row] - y) ** 2) / (2 * BANDWIDTH ** 2)) + 1e-9);
    const sum = weights.reduce((total, weight) => total + weight);
    [x, y] = [films.x, films.y].map((axis) => rows.reduce((total, row, number) => total + axis[row] * weights[number], 0) / sum);
  }
  return [x, y];
}
