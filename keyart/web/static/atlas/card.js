// The card beside a film that is pointed at.
const GAP = 14;

export function showCard(card, films, camera, row, hovering) {
  card.hidden = row === null;
  if (row === null) return;
  const [image, text] = card.children;
  const [title, facts, cluster] = text.children;
  const movieId = films.movieIds[row];
  const address = `/posters/${movieId}?width=160`;
  if (!image.src.endsWith(address)) image.src = address;
  card.href = `/?film=${movieId}`;
  // With a mouse the poster itself is pressed; a finger, which hides it, and the keyboard have the card.
  card.classList.toggle("hovering", hovering);
  title.textContent = films.label(row);
  facts.textContent = films.genresOf(row).join(", ") || "no genres";
  cluster.textContent = films.clusterOf(row);
  const [x, y] = camera.toScreen(films.x[row], films.y[row]);
  const away = Math.max(camera.poster * 0.75, 18) + GAP;
  const left = x + away + card.offsetWidth <= camera.width ? x + away : x - away - card.offsetWidth;
  card.style.left = `${Math.max(4, Math.min(left, camera.width - card.offsetWidth - 4))}px`;
  card.style.top = `${Math.max(4, Math.min(y - card.offsetHeight / 2, camera.height - card.offsetHeight - 4))}px`;
}
