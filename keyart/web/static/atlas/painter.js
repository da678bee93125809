// Draws the part of the map that is seen, in as much detail as its posters are large on the screen.
import { fetchModule } from "../requests.js";
import { tolerate } from "../status.js";

const MANY = 1500; // films in view, from which on a backdrop moves instead of them
const DOT = 4; // pixels wide: below, a poster is a dot of its color
const SMALL = 20; // below, it comes from the small sheets
const NEAR = 90; // above, a poster of its own is fetched
const FADED = 0.12;
const LARGER = 1.5; // the film that is pointed at
const AFAR = 3; // zoom up to which clusters have their words
const LINE = 20; // pixels high: a line of these

export class Painter {
  constructor(canvas, films, grid, camera, pictures, repaint) {
    this.context = canvas.getContext("2d", { alpha: false });
    this.canvas = canvas;
    this.films = films;
    this.grid = grid;
    this.camera = camera;
    this.pictures = pictures;
    this.repaint = repaint;
    this.backdrop = null; // once there are many films in view
    this.isComing = false;
    this.mosaic = null; // draws all films while they move; the first other arrangement brings it
    this.moving = false; // from one arrangement to another
    this.marks = [];
    this.density = 1;
    this.color = [];
    this.shown = null; // tells of a film whether it is of the legend's entry
    this.selected = new Set();
    this.marked = null; // the film that is pointed at
    this.found = null; // the film that the address names
    this.outline = null;
    this.landed = null; // a picture that was dropped: the films that look like it, and how it is drawn
  }

  resize(width, height) {
    this.density = Math.min(devicePixelRatio || 1, 2);
    this.canvas.width = Math.round(width * this.density);
    this.canvas.height = Math.round(height * this.density);
    this.context.setTransform(this.density, 0, 0, this.density, 0, 0);
    this.camera.resize(width, height);
  }

  // Changes what is on the films: `color`, `shown`, `selected`; or nothing but their pictures.
  change(what = {}) {
    Object.assign(this, what);
    this.backdrop?.forget();
  }

  paint(now) {
    const { context, camera } = this;
    const style = getComputedStyle(this.canvas);
    this.ink = style.color;
    context.fillStyle = style.backgroundColor;
    context.fillRect(0, 0, camera.width, camera.height);
    let n = 0;
    this.#each(camera, () => { n += 1; });
    if (n > MANY && this.moving) this.mosaic.paint(context, camera, style.backgroundColor, this.shown);
    else if (n > MANY && this.backdrop) this.backdrop.paint(context, camera, this.density, style.backgroundColor, now);
    else this.#films(context, camera, now);
    if (n > MANY && !this.isComing) this.#bring().catch(tolerate);
    if (!this.moving) this.#marks(style.backgroundColor);
    const width = this.#larger();
    for (const row of [this.found, this.marked]) {
      if (row === null) continue;
      this.#film(context, camera, row, width, now);
      this.#frame(context, camera, row, width);
    }
    if (this.landed && !this.moving) this.landed.paint(this, Math.max(this.#larger(), 54));
    if (this.outline) this.#band();
  }

  // Without it, many films are drawn all the same, if slowly.
  async #bring() {
    this.isComing = true;
    const { Backdrop } = await fetchModule(() => import("./backdrop.js"));
    this.backdrop = new Backdrop((context, camera, now) => this.#films(context, camera, now), this.repaint);
  }

  #each(camera, visit) {
    if (!this.moving) this.grid.within(...camera.seen(camera.poster), visit);
    else for (let row = 0; row < this.films.n; row += 1) visit(row);
  }

  // Words over films or below them: the weightiest first, as many as there is room for.
  #marks(paper) {
    const { context, camera } = this;
    context.font = "600 13px system-ui, sans-serif";
    context.textAlign = "center";
    context.textBaseline = "middle";
    const taken = [];
    for (const { x, y, text, isBelow } of this.marks) {
      const [middle, top] = camera.toScreen(x, y);
      const line = isBelow ? Math.min(top, camera.height) - LINE / 2 : top;
      const isSeen = middle > 0 && middle < camera.width && line > 0 && line < camera.height;
      if (!isSeen || (!isBelow && camera.zoom > AFAR)) continue;
      const half = context.measureText(text).width / 2 + 5;
      const left = Math.max(0, Math.min(middle - half, camera.width - 2 * half));
      if (taken.some((other) => Math.abs(other.left + other.half - left - half) < other.half + half && Math.abs(other.line - line) < LINE)) continue;
      taken.push({ left, half, line });
      context.fillStyle = paper;
      context.globalAlpha = 0.85;
      context.fillRect(left, line - LINE / 2, 2 * half, LINE);
      context.globalAlpha = 1;
      context.fillStyle = this.ink;
      context.fillText(text, left + half, line + 1);
    }
  }

  // What a picture is like is not dimmed by the legend.
  isShown(row) {
    return !this.shown || this.shown(row) || Boolean(this.landed?.rows.includes(row));
  }

  #larger() {
    return Math.max(this.camera.poster * LARGER, 36);
  }

  // Whether a point of the screen is on the film that the address names, which covers its neighbors.
  isOnFound(left, top) {
    if (this.found === null) return false;
    const [x, y] = this.camera.toScreen(this.films.x[this.found], this.films.y[this.found]);
    return Math.abs(left - x) <= this.#larger() / 2 && Math.abs(top - y) <= this.#larger() * 0.75;
  }

  // All films that a camera sees: those that the legend or the selection is about over the others.
  #films(context, camera, now) {
    const { shown, selected } = this;
    const width = camera.poster;
    const above = [];
    context.globalAlpha = shown ? FADED : 1;
    this.#each(camera, (row) => {
      if (shown ? this.isShown(row) : selected.has(row)) above.push(row);
      else this.#film(context, camera, row, width, now);
    });
    context.globalAlpha = 1;
    for (const row of above) {
      this.#film(context, camera, row, width, now);
      if (selected.has(row)) this.#frame(context, camera, row, width);
    }
  }

  #film(context, camera, row, width, now) {
    const { films, pictures } = this;
    const [x, y] = camera.toScreen(films.x[row], films.y[row]);
    if (width >= DOT && width < SMALL && pictures.drawSmall(context, row, x, y, width)) return;
    context.fillStyle = this.color[row];
    if (width < DOT) {
      context.fillRect(x - width / 2, y - width / 2, width, width);
      return;
    }
    const [left, top, height, rim] = [x - width / 2, y - width * 0.75, width * 1.5, Math.min(4, width / 16)];
    context.fillRect(left - rim, top - rim, width + 2 * rim, height + 2 * rim);
    const poster = width > NEAR ? pictures.poster(row) : null;
    const sheet = poster || width < SMALL ? null : pictures.full(row, now);
    if (poster) context.drawImage(poster, left, top, width, height);
    else if (sheet) {
      const { cell } = films;
      context.drawImage(sheet, pictures.left[row], pictures.top[row], cell.width, cell.height, left, top, width, height);
    } else pictures.drawSmall(context, row, x, y, width);
  }

  #frame(context, camera, row, width) {
    const [x, y] = camera.toScreen(this.films.x[row], this.films.y[row]);
    context.strokeStyle = this.ink;
    context.lineWidth = width < SMALL ? 1.5 : 3;
    context.strokeRect(x - width / 2 - 2, y - width * 0.75 - 2, width + 4, width * 1.5 + 4);
  }

  #band() {
    const { context } = this;
    context.strokeStyle = this.ink;
    context.lineWidth = 1.5;
    context.setLineDash([5, 4]);
    context.beginPath();
    for (const point of this.outline) context.lineTo(...point);
    context.closePath();
    context.stroke();
    context.setLineDash([]);
  }
}
