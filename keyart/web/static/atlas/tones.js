// The color that a poster shows most, of its pixels as four bytes each.
const BINS = 12;
const GRAY = 14; // of 255: the color of a poster whose hues are weaker than that

export function tone(pixels) {
  const [weights, hues] = [new Float32Array(BINS), new Float32Array(BINS)];
  let light = 0;
  for (let at = 0; at < pixels.length; at += 4) {
    const [red, green, blue] = [pixels[at], pixels[at + 1], pixels[at + 2]];
    const most = Math.max(red, green, blue);
    const chroma = most - Math.min(red, green, blue);
    light += 0.3 * red + 0.59 * green + 0.11 * blue;
    if (!chroma) continue;
    // From 0, red, over 2, green, and 4, blue, to 6.
    const hue = most === red ? ((green - blue) / chroma + 6) % 6 : most === green ? (blue - red) / chroma + 2 : (red - green) / chroma + 4;
    const bin = Math.floor((hue / 6) * BINS) % BINS;
    weights[bin] += chroma;
    hues[bin] += chroma * hue;
  }
  const best = weights.indexOf(Math.max(...weights));
  const n = pixels.length / 4;
  return { hue: weights[best] / n < GRAY ? -1 : hues[best] / weights[best], light: light / n };
}
