// All films at once while they move, pixel by pixel: of many, pictures drawn one by one would take longer than a frame.
export class Mosaic {
  constructor(films, pictures) {
    this.films = films;
    this.pictures = pictures;
    this.canvas = new OffscreenCanvas(1, 1);
    this.context = this.canvas.getContext("2d", { alpha: false });
    this.image = null;
  }

  paint(context, camera, paper, shown) {
    const [width, height] = [Math.ceil(camera.width), Math.ceil(camera.height)];
    if (this.image?.width !== width || this.image.height !== height) {
      Object.assign(this.canvas, { width, height });
      this.image = this.context.createImageData(width, height);
    }
    this.context.fillStyle = paper;
    this.context.fillRect(0, 0, 1, 1);
    const out = new Uint32Array(this.image.data.buffer);
    out.fill(new Uint32Array(this.context.getImageData(0, 0, 1, 1).data.buffer)[0]);
    for (let row = 0; row < this.films.n; row += 1) if (!shown || shown(row)) this.#film(out, width, height, camera, row);
    this.context.putImageData(this.image, 0, 0);
    context.drawImage(this.canvas, 0, 0);
  }

  #film(out, width, height, camera, row) {
    const { tiny, across, down } = this.pictures;
    const [wide, high] = [Math.max(1, Math.round(camera.poster)), Math.max(1, Math.round(camera.poster * 1.5))];
    const [x, y] = camera.toScreen(this.films.x[row], this.films.y[row]);
    const [left, top] = [Math.round(x - wide / 2), Math.round(y - high / 2)];
    for (let line = Math.max(0, -top); line < high && top + line < height; line += 1) {
      const from = (row * down + Math.floor((line * down) / high)) * across;
      const to = (top + line) * width + left;
      for (let column = Math.max(0, -left); column < wide && left + column < width; column += 1) {
        out[to + column] = tiny[from + Math.floor((column * across) / wide)];
      }
    }
  }
}
