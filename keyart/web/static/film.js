// A film as every card shows it.
import { element } from "./parts.js";

export function titled(film) {
  return film.year ? `${film.title} (${film.year})` : film.title;
}

export function poster(film) {
  const frame = element("span", { className: "frame" }, "no poster");
  if (!film.has_poster) return frame;
  const image = element("img", { src: `posters/${film.movie_id}?width=320`, alt: "", loading: "lazy" });
  image.addEventListener("error", () => frame.replaceChildren("no poster"));
  frame.replaceChildren(image);
  return frame;
}
