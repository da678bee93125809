// Recommendations by the liked films that speak for them: the rows of which each film is in one.
import { titled } from "./film.js";

const MOST = 4; // rows
const FEWEST = 5; // films in a row
const LONGEST = 20;

function byLiked(films) {
  const rows = new Map();
  for (const film of films) {
    for (const liked of film.because) {
      if (!rows.has(liked.movie_id)) rows.set(liked.movie_id, { liked, films: [] });
      rows.get(liked.movie_id).films.push(film);
    }
  }
  return [...rows.values()];
}

// The longest row first, whose films are in no other.
export function becauseLiked(films) {
  const rows = [];
  let left = films;
  while (rows.length < MOST) {
    const longest = byLiked(left).reduce((one, other) => (other.films.length > one.films.length ? other : one), { films: [] });
    if (longest.films.length < FEWEST) break;
    const taken = new Set(longest.films.slice(0, LONGEST));
    rows.push({ name: titled(longest.liked), films: [...taken] });
    left = left.filter((film) => !taken.has(film) && !film.because.some((liked) => liked.movie_id === longest.liked.movie_id));
  }
  return rows;
}
