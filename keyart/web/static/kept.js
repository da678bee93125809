// The shortlist: films that somebody keeps, by movie_id, in the order of keeping. This browser has it, no server.
const NAME = "keyart-shortlist";
export const MOST_KEPT = 500; // films, which the API describes at once
let memory = []; // of this page, where the browser stores nothing

export function kept() {
  try {
    const found = JSON.parse(localStorage.getItem(NAME) ?? "[]");
    return found.filter((movieId) => Number.isInteger(movieId) && movieId > 0).slice(0, MOST_KEPT);
  } catch {
    return memory;
  }
}

// Keeps these films and no others; returns whether they are not too many.
export function keep(movieIds) {
  const films = [...new Set(movieIds)];
  if (films.length > MOST_KEPT) return false;
  memory = films;
  try {
    localStorage.setItem(NAME, JSON.stringify(films));
  } catch {
    // A browser may be told to store nothing.
  }
  dispatchEvent(new Event("kept"));
  return true;
}

// Calls back whenever the films are others: here, in another tab, or while this page was in the history.
export function onKept(changed) {
  for (const name of ["kept", "storage"]) addEventListener(name, () => changed());
  addEventListener("pageshow", ({ persisted }) => { if (persisted) changed(); });
}
