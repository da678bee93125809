// Films in tidy rows by place, by year or by color. Each arrangement is framed like the map (looks.js).
import { HIGH } from "./looks.js";
import { tone } from "./tones.js";
import { t } from "../words.js";

const APART = 1.12; // the width of a cell, in posters
const WIDE = 4 / 3; // times the height of all
const GAP = 0.3; // of a cell, between years

// Rows of cells for n films, the last of them in part empty.
class Cells {
  constructor(n) {
    this.columns = Math.max(1, Math.round(Math.sqrt(WIDE * HIGH * n)));
    this.rows = Math.ceil(n / this.columns);
    this.n = n;
    this.x = new Float32Array(n);
    this.y = new Float32Array(n);
  }

  put(row, column, line) {
    this.x[row] = ((column + 0.5) * 2) / this.columns - 1;
    this.y[row] = ((line + 0.5 - this.rows / 2) * 2 * HIGH) / this.columns;
  }

  // How many cells of a block are films'.
  count(left, right, top, bottom) {
    const full = Math.min(bottom, Math.floor(this.n / this.columns)) - top;
    const rest = bottom * this.columns > this.n ? Math.max(0, Math.min(right, this.n % this.columns) - left) : 0;
    return full * (right - left) + rest;
  }

  get arrangement() {
    const cell = 2 / this.columns;
    return { x: this.x, y: this.y, across: 1, down: (this.rows * cell * HIGH) / 2, width: cell / APART, growth: 1, marks: [] };
  }
}

// Films are halved again and again, by their place across or down the map, as the block of cells is.
function grid(films) {
  const cells = new Cells(films.n);
  const fill = (rows, left, right, top, bottom) => {
    if (right - left === 1 && bottom - top === 1) return cells.put(rows[0], left, top);
    const across = right - left >= (bottom - top) * HIGH;
    const [middle, along] = across ? [(left + right) >> 1, films.mapX] : [(top + bottom) >> 1, films.mapY];
    const n = across ? cells.count(left, middle, top, bottom) : cells.count(left, right, top, middle);
    rows.sort((one, other) => along[one] - along[other]);
    const [first, second] = [rows.subarray(0, n), rows.subarray(n)];
    if (first.length) fill(first, left, across ? middle : right, top, across ? bottom : middle);
    if (second.length) fill(second, across ? middle : left, right, across ? top : middle, bottom);
  };
  if (films.n) fill(Uint32Array.from({ length: films.n }, (_, row) => row), 0, cells.columns, 0, cells.rows);
  return cells.arrangement;
}

// Columns from left to right: gray, then the hues; each from dark to light.
function colors(films, pictures) {
  const cells = new Cells(films.n);
  const tones = Array.from({ length: films.n }, (_, row) => tone(pictures.pixels(row)));
  const order = [...tones.keys()].sort((one, other) => tones[one].hue - tones[other].hue || tones[one].light - tones[other].light);
  // The last line is in part empty.
  const filled = films.n % cells.columns || cells.columns;
  let taken = 0;
  for (let column = 0; column < cells.columns; column += 1) {
    const n = cells.rows - (column >= filled);
    const rows = order.slice(taken, taken + n).sort((one, other) => tones[one].light - tones[other].light);
    rows.forEach((row, line) => cells.put(row, column, line));
    taken += n;
  }
  return cells.arrangement;
}

// A stack of films over each year, of one cluster beside each other.
function years(films) {
  const known = films.year.filter((year) => year);
  // Of a hundred thousand films, as arguments of a call they would be too many.
  const [first, last] = known.reduce(([least, most], year) => [Math.min(least, year), Math.max(most, year)], [Infinity, -Infinity]);
  const n = (known.length ? last - first + 1 : 0) + (known.length < films.n);
  const stacks = Array.from({ length: n }, () => []);
  films.year.forEach((year, row) => stacks[year ? year - first : n - 1].push(row));
  const highest = Math.max(...stacks.map((stack) => stack.length), 1);
  const beside = Math.max(1, Math.round(Math.sqrt((WIDE * HIGH * highest) / n)));
  const lines = Math.ceil(highest / beside);
  const cell = Math.min(2 / (n * (beside + GAP)), 2 / WIDE / (lines * HIGH));
  const [x, y] = [new Float32Array(films.n), new Float32Array(films.n)];
  const left = (number) => (number - n / 2) * (beside + GAP) * cell;
  const ground = (lines * cell * HIGH) / 2;
  stacks.forEach((stack, number) => {
    stack.sort((one, other) => films.cluster[one] - films.cluster[other]);
    stack.forEach((row, position) => {
      x[row] = left(number) + ((position % beside) + 0.5 + GAP / 2) * cell;
      y[row] = ground - (Math.floor(position / beside) + 0.5) * cell * HIGH;
    });
  });
  const marks = stacks.map((_, number) => {
    const text = number < n - (known.length < films.n) ? `${first + number}` : t("no year");
    return { x: left(number + 0.5), y: ground * 1.06, text, isBelow: true, weight: (first + number) % 10 ? ((first + number) % 5 ? 0 : 1) : 2 };
  });
  marks.sort((one, other) => other.weight - one.weight);
  // With the years below.
  return { x, y, across: (n * (beside + GAP) * cell) / 2, down: ground * 1.06, width: cell / APART, growth: 1, marks };
}

export const ARRANGEMENTS = { grid, years, colors };
export { Mosaic } from "./mosaic.js";
