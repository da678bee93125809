// Where a picture lands: among most of the films that look like it.
import { fetchJson } from "../requests.js";
import { fitted } from "../picture.js";

const NEIGHBORS = 10;

// The films of the map that look most like a picture.
export async function lookalikes(file, films, waiting) {
  const body = await fitted(file, await fetchJson("api/server", { waiting }));
  const { results } = await fetchJson("api/similar?k=50", { method: "POST", body, waiting });
  return results.filter((hit) => films.rows.has(hit.movie_id)).slice(0, NEIGHBORS).map((hit) => films.rows.get(hit.movie_id));
}
