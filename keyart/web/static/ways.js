// A question that cannot be answered: why, and what leads on, the same one without a part of it or a new one.
import { titled } from "./film.js";
import { at, element } from "./parts.js";
import { anew, messageOf } from "./status.js";
import { t } from "./words.js";

// `film` is the one that the page is about: null where it is about none, undefined for one that does not exist.
export function refused(error, params, film, settings, go) {
  const [reason, ...commands] = film?.has_poster === false && params.has("region")
    ? [t("{title} has no poster here, so no part of it can be compared.", { title: titled(film) })] : messageOf(error);
  // Whoever is signed out reloads the page.
  const way = error.status === 401 ? [] : [" ", wayOn(params, film, settings, go)];
  return [reason, ...way, ...commands];
}

function wayOn(params, film, settings, go) {
  function without(text, names, options = {}) {
    const button = element("button", { type: "button", textContent: text });
    button.addEventListener("click", () => {
      // The focus would go with the button.
      at("name").focus({ preventScroll: true });
      go(Object.fromEntries(names.map((name) => [name, ""])), options);
    });
    return button;
  }

  const given = (names) => names.some((name) => params.has(name));
  if (film === undefined) return anew();
  if (params.has("region")) return without(t("Search without this part"), ["region"]);
  if (film && given(["like", "unlike"])) return without(t("Search by {title} alone", { title: titled(film) }), ["like", "unlike"], { pictures: [] });
  return given(settings) ? without(t("Search without filters and settings"), settings) : anew();
}
