// What the server writes of one film, beside its poster: tags, ratings, colors, links, and who is like it.
import { opens } from "./card.js";
import { orPlain } from "./film.js";
import { showKept } from "./keeping.js";
import { at, element } from "./parts.js";
import { fetchPiece } from "./requests.js";
import { report } from "./status.js";

let shown = null; // the film that the panel is of
let request = new AbortController(); // for that film

// `address` and `pivot` are what leads to a film.
export async function showPanel(movieId, links) {
  at("film").classList.toggle("full", movieId !== null);
  if (movieId === shown) return showLinks(links);
  shown = movieId;
  request.abort();
  request = new AbortController();
  clear();
  if (movieId !== null) await load(movieId, links, request.signal);
}

function clear() {
  // Whoever opened one of its films by keyboard goes on from the name of that film.
  if (at("panel").contains(document.activeElement)) at("name").focus({ preventScroll: true });
  at("panel").replaceChildren();
}

async function load(movieId, links, signal) {
  try {
    const piece = await fetchPiece(`films/${encodeURIComponent(movieId)}/panel`, { signal });
    if (signal.aborted) return;
    at("panel").innerHTML = piece;
    for (const link of films()) opens(link, links.pivot);
    for (const image of at("panel").querySelectorAll(".frame img")) orPlain(image, { title: image.closest("a").title });
    showLinks(links);
    showKept();
  } catch (error) {
    if (!signal.aborted) fail(error, movieId, links);
  }
}

// Where nothing hovers, the caption says of how many ratings a bar is.
at("panel").addEventListener("click", ({ target }) => {
  const bar = target.closest(".histogram g");
  if (bar) bar.closest("figure").querySelector("figcaption").textContent = bar.querySelector("title").textContent;
});

const films = () => at("panel").querySelectorAll("a[data-film]");

// Filters and sliders may have changed, and with them where its films lead.
function showLinks({ address }) {
  for (const link of films()) link.href = address(link.dataset.film);
  at("on-atlas").hidden = !at("panel").querySelector(".place");
}

// The film is shown without it, too; whatever is asked next asks for it again.
function fail(error, movieId, links) {
  shown = null;
  const line = element("p", { className: "fault", role: "alert" });
  at("panel").replaceChildren(line);
  report(error, () => showPanel(movieId, links), line);
}
