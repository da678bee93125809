// Where films are on the map: x and y, the half sides of what films take, how wide their posters are, how these grow with
// the zoom, and words on the map.
import { densest } from "./densest.js";

export const HIGH = 1.5; // times the width of a poster

// The map, whose posters grow more slowly than the gaps between them, so that whoever goes nearer sees them come apart.
export function looks(films) {
  const [x, y] = [films.mapX, films.mapY];
  // So wide that all posters together would cover a disc as large as the map.
  return { x, y, across: films.reach(x), down: films.reach(y), width: Math.sqrt(Math.PI / HIGH / Math.max(films.n, 1)), growth: 0.75, marks: names(films) };
}

// The words of clusters where most of their films are; the largest cluster first.
function names(films) {
  const rows = films.clusters.map(() => []);
  films.cluster.forEach((cluster, row) => rows[cluster].push(row));
  const named = films.clusters.map((cluster, number) => ({ ...cluster, rows: rows[number] })).filter((each) => each.named && each.rows.length);
  return named.sort((one, other) => other.rows.length - one.rows.length).map((each) => {
    const [x, y] = densest(films.mapX, films.mapY, each.rows);
    // A number that tells clusters of the same words apart says nothing here.
    return { x, y, text: each.name.replace(/ \(\d+\)$/, "") };
  });
}
