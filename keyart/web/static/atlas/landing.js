// Where a picture lands: beside the film that it shows, or among most of those that look like it; these are selected.
import { fitted } from "../picture.js";
import { fetchJson } from "../requests.js";
import { report, say, waiting } from "../status.js";
import { count, english, t } from "../words.js";
import { densest } from "./densest.js";

const NEIGHBORS = 10;
const SAME = 2 / 3; // of the second film's difference: photos of a poster are that near to it, other pictures to none

// The films of the map that look most like a picture, the most alike first.
async function lookalikes(file, films) {
  const body = await fitted(file, await fetchJson("api/server", { waiting }));
  const { results } = await fetchJson("api/similar?k=50", { method: "POST", body, waiting });
  return results.filter((hit) => films.rows.has(hit.movie_id)).slice(0, NEIGHBORS);
}

const isFarAhead = ([best, second]) => !second || 1 - best.score < SAME * (1 - second.score);

// The rows of the two films of the map that are nearest to a place.
function nearest(films, [x, y]) {
  const distance = (row) => (films.x[row] - x) ** 2 + (films.y[row] - y) ** 2;
  return [...films.x.keys()].sort((one, other) => distance(one) - distance(other)).slice(0, 2);
}

function landed(films, { beside, place }) {
  if (beside !== null) return [t("The picture lands beside {title}", { title: films.label(beside) }), t(", "), english(films.clusterOf(beside))];
  const titles = nearest(films, place).map((row) => films.label(row));
  return [t("The picture lands among {titles}", { titles: titles.reduce((one, other) => t("{one} and {other}", { one, other })) })];
}

// Draws the picture, so many pixels wide; lines to the films that look like it say why it is there.
function draw({ context, camera, films, ink }, width, { image, rows, place, beside }) {
  const [left, y] = camera.toScreen(...place);
  const x = beside === null ? left : left + (camera.poster + width) / 2 + 8;
  const height = image ? (width * image.height) / image.width : 0;
  context.strokeStyle = ink;
  context.lineWidth = 1.5;
  context.beginPath();
  for (const row of rows) {
    context.moveTo(x, y);
    context.lineTo(...camera.toScreen(films.x[row], films.y[row]));
  }
  context.stroke();
  if (!image) return;
  context.drawImage(image, x - width / 2, y - height / 2, width, height);
  context.lineWidth = 4;
  context.strokeRect(x - width / 2 - 2, y - height / 2 - 2, width + 4, height + 4);
}

// `show` gets the rows of these films, the place, and what draws the picture there.
export async function landPicture(file, films, show) {
  try {
    const hits = await lookalikes(file, films);
    // What this browser cannot decode, the server may.
    const image = await createImageBitmap(file).catch(() => null);
    if (!hits.length) return say(t("No film on the map looks like this picture."));
    const rows = hits.map((hit) => films.rows.get(hit.movie_id));
    const beside = isFarAhead(hits) ? rows[0] : null;
    const place = beside === null ? densest(films.x, films.y, rows) : [films.x[beside], films.y[beside]];
    show({ rows, place, paint: (painter, width) => draw(painter, width, { image, rows, place, beside }) });
    say([...landed(films, { beside, place }),
      count(rows.length, "; the film that looks most like it is selected.", "; the {n} films that look most like it are selected.")]);
  } catch (error) {
    report(error, () => landPicture(file, films, show));
  }
}
