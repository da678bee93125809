// What the search field suggests beside titles: a genre and, where the encoder takes words, what posters show.
import { titled } from "./film.js";
import { fetchJson } from "./requests.js";
import { suggestTitles, titles } from "./titles.js";
import { count, t } from "./words.js";

const squeezed = (text) => text.toLowerCase().replace(/[\s-]/g, "");

// The genre that a text names, in English or as the page calls it: as "sci fi" does Sci-Fi, and "noir" Film-Noir.
function genreNamed(text, genres) {
  return genres.find((genre) => [genre, t(genre), genre.split("-").at(-1)].some((name) => squeezed(name) === squeezed(text)));
}

async function wallOf(genre, signal) {
  const { n_films: n } = await fetchJson(`api/genres/${encodeURIComponent(genre)}`, { signal });
  return { label: count(n, "Well-known films: {genre} ({n} film)", "Well-known films: {genre} ({n} films)", { genre: t(genre) }), genre };
}

// `server` is what it takes, and its genres.
export async function suggestAny(text, { takes_text: takesText, genres }, signal) {
  const genre = genreNamed(text, genres);
  const words = takesText ? [{ label: t("Posters that look like “{text}”", { text }), words: text }] : [];
  if (!genre && !takesText) return suggestTitles(text, signal);
  const [films, ...walls] = await Promise.all([titles(text, signal), ...(genre ? [wallOf(genre, signal)] : [])]);
  const named = films.filter((film) => film.is_named);
  if (!genre) return [...named, ...words, ...films.filter((film) => !film.is_named)];
  // Whoever means a genre means no title that is only spelled alike, nor first one that has more words.
  const isWhole = ({ title }) => squeezed(title.replace(/^(?:the|an?) /i, "")) === squeezed(text);
  return [...named.filter(isWhole), ...walls, ...words, ...named.filter((film) => !isWhole(film))];
}

// Films whose looks are combined: those without a poster, which have none, come last, and say so.
export async function suggestPosters(text, signal) {
  const films = await suggestTitles(text, signal);
  const told = films.map((film) => (film.has_poster ? film : { ...film, label: t("{title}, without a poster", { title: titled(film) }) }));
  const rank = (film) => 2 * film.is_named + film.has_poster;
  return told.sort((one, other) => rank(other) - rank(one));
}
