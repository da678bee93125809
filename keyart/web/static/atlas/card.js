// The card beside a film that is pointed at.
import { keepButton } from "../keeping.js";
import { english, t } from "../words.js";

const GAP = 14;

export function showCard(card, films, camera, row, hovering) {
  card.hidden = row === null;
  if (row === null) return;
  const [link, keep] = card.children;
  const [image, text] = link.children;
  const [title, facts, cluster] = text.children;
  const movieId = films.movieIds[row];
  const address = `posters/${movieId}?width=160`;
  if (!image.src.endsWith(address)) image.src = address;
  link.href = `./?film=${movieId}`;
  if (Number(keep.dataset.keep) !== movieId) keepButton(movieId, films.label(row), keep);
  // With a mouse the poster itself is pressed; a finger, which hides it, and the keyboard have the card.
  card.classList.toggle("hovering", hovering);
  title.textContent = films.label(row);
  facts.textContent = films.genresOf(row).map((genre) => t(genre)).join(t(", ")) || t("no genres");
  cluster.replaceChildren(english(films.clusterOf(row)));
  const [x, y] = camera.toScreen(films.x[row], films.y[row]);
  const [width, height] = [card.offsetWidth, card.offsetHeight];
  const away = Math.max(camera.poster * 0.75, 18) + GAP;
  const within = (start, size, end) => Math.max(4, Math.min(start, end - size - 4));
  // Beside the film; above or below it where the screen is too narrow for that.
  const beside = x + away + width <= camera.width || x - away - width >= 0;
  const below = Math.max(camera.poster * 1.2, 18) + GAP;
  const [left, top] = beside
    ? [x + away + width <= camera.width ? x + away : x - away - width, y - height / 2]
    : [x - width / 2, y + below + height <= camera.height ? y + below : y - below - height];
  card.style.left = `${within(left, width, camera.width)}px`;
  card.style.top = `${within(top, height, camera.height)}px`;
}
