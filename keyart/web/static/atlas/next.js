// The nearest film in a direction: what lies aside counts thrice.
export function nextFilm(films, from, along, across, isShown) {
  let best = null;
  let least = Infinity;
  for (let row = 0; row < films.n; row += 1) {
    const right = films.x[row] - films.x[from];
    const below = films.y[row] - films.y[from];
    const ahead = right * along + below * across;
    const away = ahead + 3 * Math.abs(right * across) + 3 * Math.abs(below * along);
    if (ahead > 0 && away < least && isShown(row)) [best, least] = [row, away];
  }
  return best;
}
