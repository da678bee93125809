// The regions of posters: a tint of how much each adds to a likeness, and a box of some of them.
import { element } from "./parts.js";
import { pictureOf } from "./pictures.js";
import { fetchJson, fetchModule } from "./requests.js";
import { t } from "./words.js";

const [FOR, AGAINST, STRONGEST] = [[255, 106, 0], [0, 110, 255], 200]; // as heat maps are drawn; of 255
const MOST_KNOWN = 100;
const LIGHT = { max_bytes: 1 << 20, max_pixels: 1 << 22 }; // a picture that is sent for every film that is pointed at
const SIDE = 1200; // pixels, of one that is larger
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const known = new Map(); // likenesses by pair

// How to ask in what a film, or a picture by its name, is like a film.
export function question(first, second, ending = "") {
  const picture = pictureOf(first);
  if (picture) return [`api/why${ending}?film=${second}`, { method: "POST", body: picture.file }];
  return [`api/films/${encodeURIComponent(first)}/why/${second}${ending}`, {}];
}

async function lightOf(picture) {
  const { fitted } = await fetchModule(() => import("./picture.js"));
  return picture.light ??= await fitted(picture.file, LIGHT, SIDE);
}

export async function likeness(first, second, options) {
  const pair = `${first} ${second}`;
  const [address, how] = question(first, second);
  if (how.body) how.body = await lightOf(pictureOf(first));
  if (!known.has(pair)) known.set(pair, await fetchJson(address, { ...how, ...options }));
  if (known.size > MOST_KNOWN) known.delete(known.keys().next().value);
  return known.get(pair);
}

export const strongest = (...grids) => Math.max(...grids.flat(2).map(Math.abs)) || 1;

// Tints a poster by a grid of numbers, rows from the top; one of the size `limit` is the strongest.
export function tint(pane, grid, limit = strongest(grid)) {
  const canvas = pane.querySelector("canvas") ?? pane.appendChild(element("canvas", {}));
  [canvas.width, canvas.height] = [grid[0].length, grid.length];
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  grid.flat().forEach((value, n) => image.data.set([...(value > 0 ? FOR : AGAINST), (STRONGEST * Math.abs(value)) / limit], 4 * n));
  context.putImageData(image, 0, 0);
}

export function untint(pane) {
  pane.querySelector("canvas")?.remove();
  mark(pane, null);
}

// Frames a box [x, y, width, height] of a poster's regions; null frames none.
export function mark(pane, box, [columns, rows] = []) {
  const frame = pane.querySelector("i") ?? pane.appendChild(element("i", {}));
  frame.hidden = !box;
  if (!box) return;
  const [x, y, width, height] = box;
  const shares = { left: x / columns, top: y / rows, width: width / columns, height: height / rows };
  for (const [name, share] of Object.entries(shares)) frame.style[name] = `${100 * share}%`;
}

// What a box of one poster adds with each region of the other one, as rows; `row` of pairs is of the first poster.
export function linked({ grid, pairs }, box, ofFirst) {
  // Without pairs, a region is compared with the same one of the other poster.
  if (!pairs) return within(grid, box);
  const columns = grid[0].length;
  const cells = pairs.map((_, n) => n).filter((n) => isIn(box, n % columns, Math.floor(n / columns)));
  const sum = (n) => cells.reduce((total, cell) => total + (ofFirst ? pairs[cell][n] : pairs[n][cell]), 0);
  return grid.map((numbers, row) => numbers.map((_, column) => sum(row * columns + column)));
}

const isIn = ([x, y, width, height], column, row) => column >= x && column < x + width && row >= y && row < y + height;

// A grid of numbers with 0 outside of a box.
export function within(grid, box) {
  return grid.map((numbers, row) => numbers.map((number, column) => (isIn(box, column, row) ? number : 0)));
}

const clamped = (least, value, most) => Math.max(least, Math.min(value, most));

export function cellAt(pane, { clientX, clientY }, [columns, rows]) {
  const { left, top, width, height } = pane.getBoundingClientRect();
  const cell = (share, n) => clamped(0, Math.floor(share * n), n - 1);
  return [cell((clientX - left) / width, columns), cell((clientY - top) / height, rows)];
}

// "columns 3–5, rows 2–4"
export function inWords([x, y, width, height]) {
  const columns = width > 1 ? t("columns {first}–{last}", { first: x + 1, last: x + width }) : t("column {first}", { first: x + 1 });
  const rows = height > 1 ? t("rows {first}–{last}", { first: y + 1, last: y + height }) : t("row {first}", { first: y + 1 });
  return t("{columns}, {rows}", { columns, rows });
}

function spanned([fromX, fromY], [toX, toY]) {
  return [Math.min(fromX, toX), Math.min(fromY, toY), Math.abs(fromX - toX) + 1, Math.abs(fromY - toY) + 1];
}

export const middle = ([columns, rows], n) => [Math.floor((columns - n) / 2), Math.floor((rows - n) / 2), Math.min(n, columns), Math.min(n, rows)];

// A box that is dragged by a pointer, moved by arrow keys, and by them with Shift made larger or smaller; `changed` gets it,
// or null. Only a mouse draws where the field `isOn` not: fingers scroll there, and a click is no box.
export function boxField(pane, grid, changed, isOn = () => true) {
  const [columns, rows] = grid;
  let box = null;
  let from = null;

  function show(now) {
    box = now;
    mark(pane, box, grid);
  }

  function moved([right, down], isResized) {
    if (!box) return middle(grid, 1);
    const [x, y, width, height] = box;
    return isResized ? [x, y, clamped(1, width + right, columns - x), clamped(1, height + down, rows - y)]
      : [clamped(0, x + right, columns - width), clamped(0, y + down, rows - height), width, height];
  }

  pane.addEventListener("pointerdown", (event) => {
    if (event.button || !(isOn() || event.pointerType === "mouse")) return;
    from = [cellAt(pane, event, grid), box];
    pane.setPointerCapture(event.pointerId);
    if (isOn()) show(spanned(from[0], from[0]));
  });
  pane.addEventListener("pointermove", (event) => {
    if (!from) return;
    const to = cellAt(pane, event, grid);
    if (isOn() || box || to.some((each, axis) => each !== from[0][axis])) show(spanned(from[0], to));
  });
  pane.addEventListener("pointerup", () => {
    if (from && box) changed(box);
    from = null;
  });
  pane.addEventListener("pointercancel", () => {
    if (from) show(from[1]);
    from = null;
  });
  pane.addEventListener("dragstart", (event) => event.preventDefault());
  pane.addEventListener("keydown", (event) => {
    const isRemoved = ["Delete", "Backspace"].includes(event.key);
    if (!isOn() || !(isRemoved || event.key in ARROWS)) return;
    event.preventDefault();
    show(isRemoved ? null : moved(ARROWS[event.key], event.shiftKey));
    changed(box);
  });
  return show;
}
