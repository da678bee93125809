// Where films crowd on the map, as new films are placed there.
const BANDWIDTH = 0.1; // of the map
const SHIFTS = 5;

const median = (numbers) => numbers.toSorted((one, other) => one - other)[numbers.length >> 1];

// Of the films of these rows, by mean shift from their median: a mean would fall between two groups of them.
export function densest(x, y, rows) {
  let [atX, atY] = [x, y].map((axis) => median(rows.map((row) => axis[row])));
  for (let shift = 0; shift < SHIFTS; shift += 1) {
    const weights = rows.map((row) => Math.exp(-((x[row] - atX) ** 2 + (y[row] - atY) ** 2) / (2 * BANDWIDTH ** 2)) + 1e-9);
    const sum = weights.reduce((total, weight) => total + weight);
    [atX, atY] = [x, y].map((axis) => rows.reduce((total, row, number) => total + axis[row] * weights[number], 0) / sum);
  }
  return [atX, atY];
}
