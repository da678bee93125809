// Which part of the map is seen. Zoom 1 shows all of it on any screen, so that an address means the same everywhere.
const MARGIN = 0.94;
const WIDEST = 150;

export class Camera {
  constructor() {
    this.x = this.y = 0;
    this.zoom = 1;
    this.width = this.height = 1;
    this.frame({ across: 1, down: 1, width: 1, growth: 1 });
  }

  // Takes up an arrangement: `across` and `down` are the half sides of the part of the plane where films are, about its middle.
  frame({ across, down, width, growth }) {
    this.across = Math.max(across, 0.1);
    this.down = Math.max(down, 0.1);
    this.posterWidth = width;
    this.growth = growth;
    this.resize(this.width, this.height);
  }

  resize(width, height) {
    this.width = width;
    this.height = height;
    // The films at the edge with their whole posters.
    const [across, down] = [this.across + this.posterWidth / 2, this.down + 0.75 * this.posterWidth];
    this.fitting = (Math.min(width / across, height / down) / 2) * MARGIN;
    this.look(this.x, this.y, this.zoom);
  }

  // The same view with more around it.
  widened(times) {
    const wide = Object.assign(Object.create(Camera.prototype), this);
    wide.width *= times;
    wide.height *= times;
    return wide;
  }

  // Pixels for each unit of the map.
  get scale() {
    return this.fitting * this.zoom;
  }

  get poster() {
    return Math.min(this.posterWidth * this.fitting * this.zoom ** this.growth, WIDEST);
  }

  get nearest() {
    return Math.max(4, 2 * (WIDEST / (this.posterWidth * this.fitting)) ** (1 / this.growth));
  }

  look(x, y, zoom) {
    this.zoom = Math.min(Math.max(zoom, 0.5), this.nearest);
    this.x = Math.min(Math.max(x, -1.1), 1.1);
    this.y = Math.min(Math.max(y, -1.1), 1.1);
  }

  toScreen(x, y) {
    return [(x - this.x) * this.scale + this.width / 2, (y - this.y) * this.scale + this.height / 2];
  }

  toMap(left, top) {
    return [(left - this.width / 2) / this.scale + this.x, (top - this.height / 2) / this.scale + this.y];
  }

  pan(right, down) {
    this.look(this.x - right / this.scale, this.y - down / this.scale, this.zoom);
  }

  // What lies under this point of the screen stays there.
  zoomAt(left, top, factor) {
    const [x, y] = this.toMap(left, top);
    this.look(this.x, this.y, this.zoom * factor);
    const [nowX, nowY] = this.toMap(left, top);
    this.look(this.x + x - nowX, this.y + y - nowY, this.zoom);
  }

  // The part of the map that is seen, with so many pixels about it.
  seen(beyond = 0) {
    return [...this.toMap(-beyond, -beyond), ...this.toMap(this.width + beyond, this.height + beyond)];
  }
}
