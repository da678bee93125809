// Finding a film of the map by its title.
import { combobox } from "../combobox.js";
import { titled } from "../film.js";
import { at } from "../parts.js";
import { say } from "../status.js";
import { titles } from "../titles.js";
import { t } from "../words.js";

const SUGGESTED = 8;
const MOST_FOUND = 50; // films by title, of which some may not be on the map

// `find` shows a film by its movie_id; `pressed` is the key that was pressed before this was here, or null.
export function search(films, find, pressed) {
  const input = at("title");
  combobox(input, at("suggestions"), async (text, signal) => {
    const found = await titles(text, signal, { k: MOST_FOUND });
    const here = found.filter((film) => films.rows.has(film.movie_id));
    if (!found.length) say(t("No film is titled like “{text}”.", { text }));
    else if (here[0] !== found[0]) say(t("{title} is not on the map: it has no poster, or came after the map was made.", { title: titled(found[0]) }));
    return here.slice(0, SUGGESTED);
  }, find);
  if (input.value) input.dispatchEvent(new Event("input"));
  if (pressed) input.dispatchEvent(new KeyboardEvent("keydown", { key: pressed }));
}
