// Where a picture lands: among most of the films that look like it, which are selected.
import { fitted } from "../picture.js";
import { fetchJson } from "../requests.js";
import { report, say, waiting } from "../status.js";
import { count, english, t } from "../words.js";
import { densest } from "./densest.js";

const NEIGHBORS = 10;

// The films of the map that look most like a picture.
async function lookalikes(file, films) {
  const body = await fitted(file, await fetchJson("api/server", { waiting }));
  const { results } = await fetchJson("api/similar?k=50", { method: "POST", body, waiting });
  return results.filter((hit) => films.rows.has(hit.movie_id)).slice(0, NEIGHBORS).map((hit) => films.rows.get(hit.movie_id));
}

// `show` gets the rows of these films, the place, and the image.
export async function landPicture(file, films, show) {
  try {
    const rows = await lookalikes(file, films);
    // What this browser cannot decode, the server may.
    const image = await createImageBitmap(file).catch(() => null);
    if (!rows.length) return say(t("No film on the map looks like this picture."));
    show(rows, densest(films.x, films.y, rows), image);
    say([t("The picture lands near {title}", { title: films.label(rows[0]) }), t(", "), english(films.clusterOf(rows[0])),
      count(rows.length, "; the film that looks most like it is selected.", "; the {n} films that look most like it are selected.")]);
  } catch (error) {
    report(error, () => landPicture(file, films, show));
  }
}
