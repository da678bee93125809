// The pictures of films: cells of sheets, small ones for afar, and larger posters for whoever is very near.
const SMALL = 4; // times smaller: what is drawn while thousands are seen
const MOST_SHEETS = 12; // decoded at full size, 25 MB each
const MOST_POSTERS = 200;

export class Pictures {
  constructor(films, changed) {
    this.films = films;
    this.changed = changed;
    this.sheetOf = new Int32Array(films.n).fill(-1);
    this.left = new Int32Array(films.n);
    this.top = new Int32Array(films.n);
    this.sheets = films.sheets.map((sheet) => ({ ...sheet, file: null, small: null, full: null, used: 0, asked: false }));
    const { width, height, nColumns } = films.cell;
    films.sheets.forEach((sheet, number) => sheet.movie_ids.forEach((movieId, cell) => {
      const row = films.rows.get(movieId);
      if (row === undefined) return;
      this.sheetOf[row] = number;
      this.left[row] = (cell % nColumns) * width;
      this.top[row] = Math.floor(cell / nColumns) * height;
    }));
    this.posters = new Map();
    this.sheets.forEach((sheet) => this.#fetch(sheet));
  }

  async #fetch(sheet) {
    const answer = await fetch(sheet.url).catch(() => null);
    if (!answer?.ok) return; // its films stay plain rectangles of their colours
    sheet.file = await answer.blob();
    const whole = await createImageBitmap(sheet.file);
    const size = { resizeWidth: whole.width / SMALL, resizeHeight: whole.height / SMALL, resizeQuality: "high" };
    sheet.small = await createImageBitmap(whole, size);
    this.#keep(sheet, whole);
    this.changed();
  }

  #keep(sheet, whole) {
    sheet.full = whole;
    sheet.asked = false;
    const kept = this.sheets.filter((each) => each.full).sort((one, other) => other.used - one.used);
    for (const old of kept.slice(MOST_SHEETS)) {
      if (old === sheet) continue;
      old.full.close();
      old.full = null;
    }
  }

  // The bitmap that shows a film, and how many times smaller than a sheet it is; null while there is none.
  small(row) {
    return this.sheets[this.sheetOf[row]]?.small ?? null;
  }

  full(row, now) {
    const sheet = this.sheets[this.sheetOf[row]];
    if (!sheet?.file) return null;
    sheet.used = now;
    if (!sheet.full && !sheet.asked) {
      sheet.asked = true;
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
      image.addEventListener("load", this.changed);
      image.src = `/posters/${movieId}?width=160`;
    }
    this.posters.set(movieId, image);
    if (this.posters.size > MOST_POSTERS) this.posters.delete(this.posters.keys().next().value);
    return image.complete && image.naturalWidth ? image : null;
  }

  static SMALL = SMALL;
}
