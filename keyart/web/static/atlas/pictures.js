// The pictures of films: cells of sheets, small ones for afar, and larger posters for whoever is very near.
const SMALL = 4; // times smaller: what is drawn while thousands are seen
const RIM = 1; // pixels of color about each of the small ones, drawn once, as thousands a frame would take too long
const MOST_SHEETS = 12; // decoded at full size, 25 MB each
const MOST_POSTERS = 200;
const AT_ONCE = 3;

export class Pictures {
  constructor(films, changed) {
    this.films = films;
    this.changed = changed;
    this.sheetOf = new Int32Array(films.n).fill(-1);
    this.left = new Int32Array(films.n);
    this.top = new Int32Array(films.n);
    this.sheets = films.sheets.map((sheet) => ({ ...sheet, file: null, small: null, rimmed: null, full: null, used: 0, requested: false }));
    const { width, height, nColumns } = films.cell;
    films.sheets.forEach((sheet, number) => sheet.movie_ids.forEach((movieId, cell) => {
      const row = films.rows.get(movieId);
      if (row === undefined) return;
      this.sheetOf[row] = number;
      this.left[row] = (cell % nColumns) * width;
      this.top[row] = Math.floor(cell / nColumns) * height;
    }));
    this.posters = new Map();
    this.color = [];
    this.#fetchAll();
  }

  // A few at a time: a sheet takes 25 MB while it is decoded.
  async #fetchAll() {
    const waiting = [...this.sheets];
    const next = async () => { while (waiting.length) await this.#fetch(waiting.shift()); };
    await Promise.all(Array.from({ length: AT_ONCE }, next));
  }

  tint(color) {
    this.color = color;
    this.sheets.forEach((sheet) => this.#rim(sheet));
  }

  // Draws a small sheet anew, with the films' colors about them.
  #rim(sheet) {
    if (!sheet.small || !this.color.length) return;
    const { cell: { width, height, nColumns }, rows } = this.films;
    const [across, down] = [width / SMALL, height / SMALL];
    const drawn = new OffscreenCanvas(nColumns * (across + 2 * RIM), Math.ceil(sheet.movie_ids.length / nColumns) * (down + 2 * RIM));
    const context = drawn.getContext("2d");
    sheet.movie_ids.forEach((movieId, cell) => {
      const [column, line] = [cell % nColumns, Math.floor(cell / nColumns)];
      const [left, top] = [column * (across + 2 * RIM), line * (down + 2 * RIM)];
      context.fillStyle = this.color[rows.get(movieId)];
      context.fillRect(left, top, across + 2 * RIM, down + 2 * RIM);
      context.drawImage(sheet.small, column * across, line * down, across, down, left + RIM, top + RIM, across, down);
    });
    sheet.rimmed?.close();
    sheet.rimmed = drawn.transferToImageBitmap();
  }

  async #fetch(sheet) {
    const answer = await fetch(sheet.url).catch(() => null);
    if (!answer?.ok) return; // its films stay plain rectangles of their colors
    sheet.file = await answer.blob();
    const whole = await createImageBitmap(sheet.file);
    const size = { resizeWidth: whole.width / SMALL, resizeHeight: whole.height / SMALL, resizeQuality: "high" };
    sheet.small = await createImageBitmap(whole, size);
    this.#rim(sheet);
    this.#keep(sheet, whole);
    this.changed();
  }

  #keep(sheet, whole) {
    sheet.full = whole;
    sheet.requested = false;
    const drawn = this.sheets.filter((each) => each.full).sort((one, other) => other.used - one.used);
    for (const old of drawn.slice(MOST_SHEETS)) {
      if (old === sheet) continue;
      old.full.close();
      old.full = null;
    }
  }

  // Draws a film from afar, with its rim, around a point of the screen; returns whether it has an image.
  drawSmall(context, row, x, y, width) {
    const sheet = this.sheets[this.sheetOf[row]]?.rimmed;
    if (!sheet) return false;
    const { width: cellWidth, height: cellHeight } = this.films.cell;
    const [across, down] = [cellWidth / SMALL + 2 * RIM, cellHeight / SMALL + 2 * RIM];
    const left = (this.left[row] / cellWidth) * across;
    const top = (this.top[row] / cellHeight) * down;
    const wide = width * (1 + (2 * RIM * SMALL) / cellWidth);
    const high = (wide * down) / across;
    context.drawImage(sheet, left, top, across, down, x - wide / 2, y - high / 2, wide, high);
    return true;
  }

  // The sheet that shows a film at its full size; null while there is none.
  full(row, now) {
    const sheet = this.sheets[this.sheetOf[row]];
    if (!sheet?.file) return null;
    sheet.used = now;
    if (!sheet.full && !sheet.requested) {
      sheet.requested = true;
      createImageBitmap(sheet.file).then((whole) => { this.#keep(sheet, whole); this.changed(); });
    }
    return sheet.full;
  }

  poster(row) {
    const movieId = this.films.movieIds[row];
    let image = this.posters.get(movieId);
    if (image) {
      // The longest unused is the first.
      this.posters.delete(movieId);
    } else {
      image = new Image();
      image.addEventListener("load", () => this.changed());
      image.src = `posters/${movieId}?width=160`;
    }
    this.posters.set(movieId, image);
    if (this.posters.size > MOST_POSTERS) this.posters.delete(this.posters.keys().next().value);
    return image.complete && image.naturalWidth ? image : null;
  }}
