// The pictures of films: cells of sheets, small ones for afar, and larger posters for whoever is very near.
const TINY = 4; // times smaller again: for their colors, and while all move
const RIM = 1; // pixels of color about each of the small ones, drawn once, as thousands a frame would take too long
const GRAY = 0xff848a8d; // of films without a picture
const MOST_SHEETS = 12; // decoded at full size, 25 MB each
const MOST_POSTERS = 200;
const AT_ONCE = 3;

// Null where it does not come: its films stay plain rectangles of their colors.
async function bitmap(address) {
  const answer = await fetch(address).catch(() => null);
  return answer?.ok ? createImageBitmap(await answer.blob()).catch(() => null) : null;
}

export class Pictures {
  constructor(films, changed) {
    this.films = films;
    this.changed = changed;
    this.sheetOf = new Int32Array(films.n).fill(-1);
    this.left = new Int32Array(films.n);
    this.top = new Int32Array(films.n);
    this.sheets = films.sheets.map((sheet) => ({ ...sheet, small: null, rimmed: null, full: null, used: 0, requested: false }));
    const { width, height, nColumns } = films.cell;
    films.sheets.forEach((sheet, number) => sheet.movie_ids.forEach((movieId, cell) => {
      const row = films.rows.get(movieId);
      if (row === undefined) return;
      this.sheetOf[row] = number;
      this.left[row] = (cell % nColumns) * width;
      this.top[row] = Math.floor(cell / nColumns) * height;
    }));
    const { small } = films.cell;
    [this.across, this.down] = [width / small / TINY, height / small / TINY];
    this.tiny = new Uint32Array(films.n * this.across * this.down).fill(GRAY);
    this.isComplete = false;
    this.posters = new Map();
    this.color = [];
    this.ready = this.#fetchAll();
  }

  // Small ones first, a few at a time; those in full size come when they are looked at.
  async #fetchAll() {
    const waiting = [...this.sheets];
    const next = async () => { while (waiting.length) await this.#fetch(waiting.shift()); };
    await Promise.all(Array.from({ length: AT_ONCE }, next));
    this.isComplete = true;
  }

  tint(color) {
    this.color = color;
    this.sheets.forEach((sheet) => this.#rim(sheet));
  }

  // Draws a small sheet anew, with the films' colors about them.
  #rim(sheet) {
    if (!sheet.small || !this.color.length) return;
    const { cell: { width, height, small, nColumns }, rows } = this.films;
    const [across, down] = [width / small, height / small];
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
    sheet.small = await bitmap(`${sheet.url}?size=small`);
    this.#shrink(sheet);
    this.#rim(sheet);
    this.changed();
  }

  // Keeps the pixels of a sheet's films, a few of each.
  #shrink({ small, movie_ids: movieIds }) {
    if (!small) return;
    const [width, height] = [small.width / TINY, small.height / TINY];
    const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    context.imageSmoothingQuality = "high";
    context.drawImage(small, 0, 0, width, height);
    const pixels = new Uint32Array(context.getImageData(0, 0, width, height).data.buffer);
    const { across, down, films: { rows, cell: { nColumns } } } = this;
    movieIds.forEach((movieId, cell) => {
      for (let line = 0; line < down; line += 1) {
        const from = (Math.floor(cell / nColumns) * down + line) * width + (cell % nColumns) * across;
        this.tiny.set(pixels.subarray(from, from + across), (rows.get(movieId) * down + line) * across);
      }
    });
  }

  // The few pixels of a film, as bytes.
  pixels(row) {
    const n = this.across * this.down;
    return new Uint8Array(this.tiny.buffer, 4 * row * n, 4 * n);
  }

  async #fetchFull(sheet) {
    sheet.requested = true;
    sheet.full = await bitmap(sheet.url);
    // What did not come is not asked for again and again.
    sheet.requested = !sheet.full;
    this.#forget(sheet);
    this.changed();
  }

  // Of the sheets in full size, those that were seen last stay.
  #forget(sheet) {
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
    const { width: cellWidth, height: cellHeight, small } = this.films.cell;
    const [across, down] = [cellWidth / small + 2 * RIM, cellHeight / small + 2 * RIM];
    const left = (this.left[row] / cellWidth) * across;
    const top = (this.top[row] / cellHeight) * down;
    const wide = width * (1 + (2 * RIM * small) / cellWidth);
    const high = (wide * down) / across;
    context.drawImage(sheet, left, top, across, down, x - wide / 2, y - high / 2, wide, high);
    return true;
  }

  // The sheet that shows a film at its full size; null while there is none.
  full(row, now) {
    const sheet = this.sheets[this.sheetOf[row]];
    if (!sheet) return null;
    sheet.used = now;
    if (!sheet.full && !sheet.requested) this.#fetchFull(sheet);
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
