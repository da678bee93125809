// Draws the part of the map that is seen, in as much detail as its posters are large on the screen.
import { Pictures } from "./pictures.js";

const DOT = 4; // pixels wide: below, a poster is a dot of its colour
const SMALL = 20; // below, it comes from the small sheets
const NEAR = 90; // above, a poster of its own is fetched
const FADED = 0.12;
const LARGER = 1.5; // the film that is pointed at

export class Painter {
  constructor(canvas, films, grid, camera, pictures) {
    this.context = canvas.getContext("2d", { alpha: false });
    this.canvas = canvas;
    this.films = films;
    this.grid = grid;
    this.camera = camera;
    this.pictures = pictures;
    this.colour = [];
    this.shown = null; // tells of a film whether it is of the legend's entry
    this.marked = null;
    this.found = null;
    this.selected = new Set();
    this.box = null;
  }

  resize(width, height) {
    const density = Math.min(devicePixelRatio || 1, 2);
    this.canvas.width = Math.round(width * density);
    this.canvas.height = Math.round(height * density);
    this.context.setTransform(density, 0, 0, density, 0, 0);
    this.camera.resize(width, height);
  }

  paint(now) {
    const { context, camera, grid } = this;
    const style = getComputedStyle(this.canvas);
    context.fillStyle = style.backgroundColor;
    context.fillRect(0, 0, camera.width, camera.height);
    context.imageSmoothingQuality = "low";
    const width = camera.poster;
    const seen = camera.seen(width);
    const above = [];
    const { shown, selected } = this;
    if (shown) context.globalAlpha = FADED;
    grid.within(...seen, (row) => {
      if (shown ? shown(row) : selected.has(row)) above.push(row);
      else this.#film(row, width, now);
    });
    context.globalAlpha = 1;
    for (const row of above) this.#film(row, width, now);
    for (const row of selected) if (above.includes(row)) this.#frame(row, width, style.color);
    for (const row of [this.found, this.marked]) if (row !== null) this.#pointedAt(row, Math.max(width * LARGER, 36), now, style);
    if (this.box) this.#band(style.color);
  }

  #film(row, width, now) {
    const { context, camera, films, pictures } = this;
    const left = (films.x[row] - camera.x) * camera.scale + camera.width / 2 - width / 2;
    const top = (films.y[row] - camera.y) * camera.scale + camera.height / 2 - width * 0.75;
    const height = width * 1.5;
    const rim = width < SMALL ? 1 : Math.min(4, width / 16);
    context.fillStyle = this.colour[row];
    if (width < DOT) {
      context.fillRect(left, top + width / 4, width, width);
      return;
    }
    context.fillRect(left - rim, top - rim, width + 2 * rim, height + 2 * rim);
    const poster = width > NEAR ? pictures.poster(row) : null;
    if (poster) {
      context.drawImage(poster, left, top, width, height);
      return;
    }
    const { width: cellWidth, height: cellHeight } = films.cell;
    const full = width < SMALL ? null : pictures.full(row, now);
    const times = full ? 1 : Pictures.SMALL;
    const sheet = full ?? pictures.small(row);
    if (!sheet) return;
    context.drawImage(sheet, pictures.left[row] / times, pictures.top[row] / times, cellWidth / times, cellHeight / times,
      left, top, width, height);
  }

  #pointedAt(row, width, now, style) {
    this.#film(row, width, now);
    this.#frame(row, width, style.color);
  }

  #frame(row, width, colour) {
    const { context, camera, films } = this;
    const [x, y] = camera.toScreen(films.x[row], films.y[row]);
    context.strokeStyle = colour;
    context.lineWidth = width < SMALL ? 1.5 : 3;
    context.strokeRect(x - width / 2 - 2, y - width * 0.75 - 2, width + 4, width * 1.5 + 4);
  }

  #band(colour) {
    const { context } = this;
    const [left, top, right, bottom] = this.box;
    context.strokeStyle = colour;
    context.lineWidth = 1.5;
    context.setLineDash([5, 4]);
    context.strokeRect(left, top, right - left, bottom - top);
    context.setLineDash([]);
  }
}
