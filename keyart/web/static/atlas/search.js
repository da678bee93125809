// Finding a film of the map by its title.
import { combobox } from "../combobox.js";
import { titled } from "../film.js";
import { at } from "../parts.js";
import { fetchJson } from "../requests.js";
import { say } from "../status.js";
import { titles } from "../titles.js";
import { t } from "../words.js";

const SUGGESTED = 8;
const MOST_FOUND = 50; // films by title, of which some may not be on the map

const isMissing = (film) => t("{title} is not on the map: it has no poster, or came after the map was made.", { title: titled(film) });

function faultOf(text, found, here) {
  if (!found.length) return t("No film is titled like “{text}”.", { text });
  if (found[0].is_named && here[0] !== found[0]) return isMissing(found[0]);
  return here.some((film) => film.is_named) ? "" : t("No film on the map is called “{text}”.", { text });
}

// Of titles that are only spelled alike, there are better ones elsewhere than those far behind.
function onMap(found, films) {
  return found.filter((film, rank) => films.rows.has(film.movie_id) && (film.is_named || rank < SUGGESTED)).slice(0, SUGGESTED);
}

// What the address names may have a title all the same.
export async function sayMissing(id) {
  const film = await fetchJson(`api/films/${encodeURIComponent(id)}`).catch(() => null);
  say(film ? isMissing(film) : t("The film {id} is not on the map.", { id }));
}

// `find` shows a film by its movie_id; `pressed` is the key that was pressed before this was here, or null.
export function search(films, find, pressed) {
  const input = at("title");
  combobox(input, at("suggestions"), async (text, signal) => {
    const found = await titles(text, signal, { k: MOST_FOUND });
    const here = onMap(found, films);
    say(faultOf(text, found, here));
    return here;
  }, find);
  if (input.value) input.dispatchEvent(new Event("input"));
  if (pressed) input.dispatchEvent(new KeyboardEvent("keydown", { key: pressed }));
}
