// Images that are larger than the server takes are made smaller here.
const SIDE = 2000; // pixels; networks look at some 224
const QUALITY = 0.92;

export async function fitted(file, { max_bytes: maxBytes, max_pixels: maxPixels }) {
  // What this browser cannot decode, the server may.
  const image = await createImageBitmap(file).catch(() => null);
  if (!image || (file.size <= maxBytes && image.width * image.height <= maxPixels)) return file;
  const scale = Math.min(1, SIDE / Math.max(image.width, image.height));
  const canvas = new OffscreenCanvas(Math.max(1, Math.round(image.width * scale)), Math.max(1, Math.round(image.height * scale)));
  const context = canvas.getContext("2d");
  // A JPEG file would show what is transparent as black.
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  image.close();
  return canvas.convertToBlob({ type: "image/jpeg", quality: QUALITY });
}
