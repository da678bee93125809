// A question that cannot be answered: why, and what leads on, the same one without a part of it or a new one.
import { titled } from "./film.js";
import { at, element } from "./parts.js";
import { fetchJson } from "./requests.js";
import { SIDES } from "./mix.js";
import { anew, messageOf } from "./status.js";
import { t } from "./words.js";

// `film` is the one that the page is about: null where it is about none, undefined for one that does not exist.
export async function refused(error, params, film, settings, go) {
  const [reason, ...commands] = film?.has_poster === false && params.has("region")
    ? [t("{title} has no poster here, so no part of it can be compared.", { title: titled(film) })] : messageOf(error);
  // Whoever is signed out reloads the page.
  const way = error.status === 401 ? [] : [" ", await wayOn(error, params, film, settings, go)];
  return [reason, ...way, ...commands];
}

// The film beside the one that the page is about that the server names, such as one without a poster.
async function namedIn(message, params) {
  const movieIds = SIDES.flatMap((side) => params.getAll(side));
  const films = await Promise.all(movieIds.map((movieId) => fetchJson(`api/films/${encodeURIComponent(movieId)}`).catch(() => null)));
  return films.find((film) => film && message.startsWith(titled(film)));
}

async function wayOn(error, params, film, settings, go) {
  function without(text, changes, options = {}) {
    const button = element("button", { type: "button", textContent: text });
    button.addEventListener("click", () => {
      // The focus would go with the button.
      at("name").focus({ preventScroll: true });
      go(changes, options);
    });
    return button;
  }

  const given = (names) => names.some((name) => params.has(name));
  if (film === undefined) return anew();
  if (params.has("region")) return without(t("Search without this part"), { region: "" });
  const other = await namedIn(error.message, params);
  const rest = (side) => params.getAll(side).filter((movieId) => movieId !== String(other.movie_id));
  if (other) return without(t("Search without {title}", { title: titled(other) }), { like: rest("like"), unlike: rest("unlike") });
  if (film && given(SIDES)) return without(t("Search by {title} alone", { title: titled(film) }), { like: "", unlike: "" }, { pictures: [] });
  if (!given(settings)) return anew();
  return without(t("Search without filters and settings"), Object.fromEntries(settings.map((name) => [name, ""])));
}
