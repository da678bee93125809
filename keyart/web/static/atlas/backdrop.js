// A picture of the map somewhat larger than the screen, for when there are so many posters that drawing them all takes
// longer than a frame: moving the map then moves the picture, and nearing it enlarges it until hands are still.
const BEYOND = 0.5; // of the screen, on each side
const MOST = 4; // times larger or smaller than it was drawn
const STILL_MS = 140;

export class Backdrop {
  constructor(draw, repaint) {
    this.draw = draw; // draws all films that a camera sees
    this.repaint = repaint;
    this.canvas = new OffscreenCanvas(1, 1);
    this.context = this.canvas.getContext("2d", { alpha: false });
    this.camera = null; // what the picture was drawn for
    this.timer = 0;
    this.cost = 0; // milliseconds that it took to draw it
  }

  // What is on the films has changed: their colors, their pictures, which are shown.
  forget() {
    this.camera = null;
  }

  paint(context, camera, density, paper, now) {
    const ratio = this.camera ? camera.scale / this.camera.scale : 0;
    const usable = ratio > 1 / MOST && ratio < MOST && this.density === density;
    // Beyond the picture there is nothing to see, whatever its size.
    const fits = usable && this.#covers(camera);
    if (!fits || (ratio !== 1 && this.settled)) this.#renew(camera, density, paper, now);
    else if (ratio !== 1) this.#settle();
    this.settled = false;
    const drawn = this.camera;
    const times = camera.scale / drawn.scale;
    const [left, top] = camera.toScreen(...drawn.toMap(0, 0));
    context.drawImage(this.canvas, left, top, drawn.width * times, drawn.height * times);
  }

  #covers(camera) {
    const [left, top, right, bottom] = camera.seen();
    const [itsLeft, itsTop, itsRight, itsBottom] = this.camera.seen();
    const edge = 1.02; // films are within 1 of the middle
    return Math.max(left, -edge) >= itsLeft - 1e-6 && Math.min(right, edge) <= itsRight + 1e-6
      && Math.max(top, -edge) >= itsTop - 1e-6 && Math.min(bottom, edge) <= itsBottom + 1e-6;
  }

  #settle() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => { this.settled = true; this.repaint(); }, STILL_MS);
  }

  #renew(camera, density, paper, now) {
    clearTimeout(this.timer);
    const started = performance.now();
    this.camera = camera.widened(1 + 2 * BEYOND);
    this.density = density;
    const [width, height] = [this.camera.width, this.camera.height].map((side) => Math.round(side * density));
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    this.context.setTransform(density, 0, 0, density, 0, 0);
    this.context.fillStyle = paper;
    this.context.fillRect(0, 0, this.camera.width, this.camera.height);
    this.draw(this.context, this.camera, now);
    this.cost = performance.now() - started;
  }
}
