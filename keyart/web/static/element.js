// An element with its properties and children, in one line.
export function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

export function titled(film) {
  return film.year ? `${film.title} (${film.year})` : film.title;
}

export function poster(film) {
  const frame = element("span", { className: "frame" }, "no poster");
  if (!film.has_poster) return frame;
  const image = element("img", { src: `/posters/${film.movie_id}?width=320`, alt: "", loading: "lazy" });
  image.addEventListener("error", () => frame.replaceChildren("no poster"));
  frame.replaceChildren(image);
  return frame;
}
