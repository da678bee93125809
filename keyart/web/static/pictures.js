// The pictures of a question: no address holds them; this visit does, and the history says which an entry is about.
import { t } from "./words.js";

export const MOST_PICTURES = 8; // which the API takes at once
const held = new Map(); // pictures by what the history calls them

export function hold(file, side, title) {
  const name = `${performance.timeOrigin}-${held.size}`;
  held.set(name, { name, file, title: title || t("Your picture"), address: URL.createObjectURL(file) });
  return { ...held.get(name), side };
}

// What the history stores of pictures: [[name, side], …]; and back, without those that are gone after a reload.
export const named = (pictures) => pictures.map(({ name, side }) => [name, side]);
export const heldOf = (entries) => entries.filter(([name]) => held.has(name)).map(([name, side]) => ({ ...held.get(name), side }));

export const pictureOf = (name) => held.get(name);

// The address of a film's poster, or of a picture by its name.
export const posterOf = (id, width) => held.get(id)?.address ?? `posters/${id}?width=${width}`;

// What is sent: one picture alone is its file, others are a form.
export function bodyOf(pictures) {
  if (pictures.length === 1 && pictures[0].side === "like") return pictures[0].file;
  const form = new FormData();
  for (const { file, side, title } of pictures) form.append(side === "like" ? "image" : "unlike_image", file, title);
  return form;
}
