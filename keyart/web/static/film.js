// A film as every card shows it.
import { element } from "./parts.js";

export function titled(film) {
  return film.year ? `${film.title} (${film.year})` : film.title;
}

// Title and year in type, for a film without a poster; the title stands below it, too, for screen readers.
export function plain(film) {
  const made = element("span", { className: "plain" }, element("b", { textContent: film.title }), element("i", { textContent: film.year ?? "" }));
  made.setAttribute("aria-hidden", "true");
  return made;
}

// A picture that this browser cannot show, or that does not come, gives way to the card.
export function orPlain(image, film) {
  image.addEventListener("error", () => image.replaceWith(plain(film)));
  return image;
}

export function poster(film) {
  const frame = element("span", { className: "frame" });
  if (!film.has_poster) frame.append(plain(film));
  else {
    const image = element("img", { src: `posters/${film.movie_id}?width=320`, alt: "", width: 320, height: 480, loading: "lazy" });
    frame.append(orPlain(image, film));
  }
  return frame;
}
