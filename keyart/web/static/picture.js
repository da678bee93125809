// Images that are larger than the server takes are made smaller here, and what is none is refused.
import { element } from "./parts.js";
import { MOST_PICTURES, hold } from "./pictures.js";
import { t } from "./words.js";

const SIDE = 2000; // pixels; networks look at some 224
const QUALITY = 0.92;
// How files begin: JPEG, PNG, WebP, GIF, TIFF of either order of bytes, BMP; and AVIF and HEIC from the fifth byte on, with
// the brand of a picture, as videos begin alike.
const BEGINNINGS = /^(?:\xff\xd8\xff|\x89PNG|RIFF....WEBP|GIF8|II\*\0|MM\0\*|BM|....ftyp(?:avi[fs]|m[is]f1|hei[cxms]|hev[cx]))/s;
const RATINGS = /\.(?:csv|tsv|json|zip|gz)$/i;

// Texts on why a file is no picture, or null.
export async function refusal(file) {
  const beginning = String.fromCharCode(...new Uint8Array(await file.slice(0, 12).arrayBuffer()));
  if (BEGINNINGS.test(beginning)) return null;
  const refused = t("{file} is not a picture.", { file: file.name });
  if (!RATINGS.test(file.name)) return [refused, " ", t("Choose a JPEG, PNG, WebP, GIF, AVIF, TIFF or BMP file.")];
  return [refused, " ", element("a", { href: "user", textContent: t("“For you” imports ratings.") })];
}

// The file, or a smaller picture of so many pixels on its longer side.
export async function fitted(file, { max_bytes: maxBytes, max_pixels: maxPixels }, side = SIDE) {
  // What this browser cannot decode, the server may.
  const image = await createImageBitmap(file).catch(() => null);
  if (!image || (file.size <= maxBytes && image.width * image.height <= maxPixels)) return file;
  const scale = Math.min(1, side / Math.max(image.width, image.height));
  const canvas = new OffscreenCanvas(Math.max(1, Math.round(image.width * scale)), Math.max(1, Math.round(image.height * scale)));
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  // A JPEG file would show what is transparent as black.
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  image.close();
  return canvas.convertToBlob({ type: "image/jpeg", quality: QUALITY });
}

// Pictures that are sent together have to fit together.
export function fittedTogether(pictures, limits) {
  return Promise.all(pictures.map(async (each) => {
    const file = await fitted(each.file, { ...limits, max_bytes: limits.max_bytes / MOST_PICTURES });
    return file === each.file ? each : hold(file, each.side, each.title);
  }));
}
