// Films by title, as text fields suggest them.
import { fetchJson } from "./requests.js";
import { warn } from "./status.js";
import { t } from "./words.js";

const LONGEST = 200; // characters, which the API takes

export async function titles(text, signal, parameters = {}) {
  if (text.length > LONGEST) return [];
  return fetchJson(`api/films?${new URLSearchParams({ query: text, ...parameters })}`, { signal });
}

export async function suggestTitles(text, signal) {
  const films = await titles(text, signal);
  if (!films.length) warn(t("No film is titled like “{text}”.", { text }));
  return films;
}
