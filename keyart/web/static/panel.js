// What the server writes of one film, beside its poster: tags, ratings, colors, links, and who is like it.
import { at } from "./parts.js";
import { fetchPiece } from "./requests.js";
import { tolerate } from "./status.js";

let shown = null; // the film that the panel is of

export async function showPanel(movieId, options) {
  at("film").classList.toggle("full", movieId !== null);
  if (movieId === shown) return;
  shown = movieId;
  at("panel").replaceChildren();
  if (movieId === null) return;
  try {
    const piece = await fetchPiece(`films/${encodeURIComponent(movieId)}/panel`, options);
    if (!options.signal.aborted) at("panel").innerHTML = piece;
  } catch (error) {
    // The film is shown without it, too; the next request asks again.
    if (shown === movieId) shown = null;
    if (!options.signal.aborted) tolerate(error);
  }
}
