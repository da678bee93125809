// What the server writes of one film, beside its poster: tags, ratings, colors, links, and who is like it.
import { showKept } from "./keeping.js";
import { at, element } from "./parts.js";
import { fetchPiece } from "./requests.js";
import { report } from "./status.js";

let shown = null; // the film that the panel is of
let request = new AbortController(); // for that film

export async function showPanel(movieId) {
  at("film").classList.toggle("full", movieId !== null);
  if (movieId === shown) return;
  shown = movieId;
  request.abort();
  request = new AbortController();
  const { signal } = request;
  at("panel").replaceChildren();
  if (movieId === null) return;
  try {
    const piece = await fetchPiece(`films/${encodeURIComponent(movieId)}/panel`, { signal });
    if (signal.aborted) return;
    at("panel").innerHTML = piece;
    showKept();
  } catch (error) {
    if (!signal.aborted) fail(error, movieId);
  }
}

// The film is shown without it, too; whatever is asked next asks for it again.
function fail(error, movieId) {
  shown = null;
  const line = element("p", { className: "fault", role: "alert" });
  at("panel").replaceChildren(line);
  report(error, () => showPanel(movieId), line);
}
