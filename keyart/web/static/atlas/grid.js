// Films by where they are: a grid over the map, to find the films near a point without looking through all.
const A_CELL = 6; // films, about

export class Grid {
  constructor(films) {
    this.films = films;
    this.side = Math.max(1, Math.round(Math.sqrt(films.n / A_CELL)));
    this.refresh();
  }

  // Films have moved.
  refresh() {
    const { x, y } = this.films;
    this.cells = Array.from({ length: this.side ** 2 }, () => []);
    for (let row = 0; row < x.length; row += 1) this.cells[this.#at(y[row]) * this.side + this.#at(x[row])].push(row);
  }

  #at(coordinate) {
    return Math.min(this.side - 1, Math.max(0, Math.floor(((coordinate + 1) / 2) * this.side)));
  }

  // Calls `visit` with each film between two corners.
  within(left, top, right, bottom, visit) {
    const { x, y } = this.films;
    const [first, last] = [this.#at(left), this.#at(right)];
    for (let across = this.#at(top); across <= this.#at(bottom); across += 1) {
      for (let along = first; along <= last; along += 1) {
        for (const row of this.cells[across * this.side + along]) {
          if (x[row] >= left && x[row] <= right && y[row] >= top && y[row] <= bottom) visit(row);
        }
      }
    }
  }

  rowsWithin(left, top, right, bottom) {
    const rows = [];
    this.within(left, top, right, bottom, (row) => rows.push(row));
    return rows;
  }

  // The film nearest to a point, of those within `reach` to both sides and 1.5 times that above and below, as posters
  // are, that `counts`.
  nearest(x, y, reach, counts = () => true) {
    let best = null;
    let least = Infinity;
    this.within(x - reach, y - 1.5 * reach, x + reach, y + 1.5 * reach, (row) => {
      const away = (this.films.x[row] - x) ** 2 + (this.films.y[row] - y) ** 2;
      if (away < least && counts(row)) [best, least] = [row, away];
    });
    return best;
  }
}
