// The parts of a question: films and pictures that are sought for or avoided, as chips, and how others join them.
import { combobox } from "./combobox.js";
import { titled } from "./film.js";
import { at, element } from "./parts.js";
import { fetchJson, fetchModule } from "./requests.js";
import { warn } from "./status.js";
import { t } from "./words.js";

export const SIDES = ["like", "unlike"];
const OTHER = { like: "unlike", unlike: "like" };
const SIGNS = { like: "+", unlike: "−" };
const INSTEAD = {
  like: (title) => t("More like {title} instead", { title }),
  unlike: (title) => t("Less like {title} instead", { title }),
};

// `pictures` returns those of the question, and `go` asks another one. The first part is the one that the page is about.
export function mix(state, pictures, go) {
  const known = new Map(); // films by movie_id, as the address names them
  let latest = 0; // the chips of an earlier question are dropped
  let arrival = null; // [part, button] that gets the focus

  function parts() {
    const params = state();
    const films = (side, name = side) => params.getAll(name).map((movieId) => ({ id: movieId, movieId, side }));
    const texts = params.getAll("text").map((text) => ({ id: "text", text, side: "like" }));
    const shown = SIDES.flatMap((side) => pictures().filter((picture) => picture.side === side))
      .map((picture) => ({ id: picture.name, picture, side: picture.side }));
    const pivots = [...films("like", "film"), ...texts];
    const others = [...films("like"), ...films("unlike")];
    return pivots.length ? [...pivots, ...others, ...shown] : [...shown, ...others];
  }

  const likedOf = (asked) => asked.filter((part) => part.side === "like");

  function ask(asked) {
    const liked = likedOf(asked);
    const ids = (side) => asked.filter((part) => part.movieId && part.side === side).map((part) => part.movieId);
    const [pivot, others] = [liked[0].movieId ?? "", ids("like")];
    return go({
      film: pivot, text: liked.filter((part) => part.text).map((part) => part.text),
      like: others.filter((movieId) => movieId !== pivot), unlike: ids("unlike"),
    }, { top: true, pictures: asked.filter((part) => part.picture).map(({ picture, side }) => ({ ...picture, side })) });
  }

  // Seeks a part, or avoids it; one of the question changes its side.
  function join(part, button) {
    arrival = [part.id, button];
    return ask([...parts().filter((each) => each.id !== part.id), part]);
  }

  function add(side, movieId) {
    const id = String(movieId);
    if (parts()[0]?.id === id) warn(t("That is the film that is asked about."));
    else join({ id, movieId: id, side }, ".remove");
  }

  function remove({ id, side }) {
    at(`${side}-title`).focus();
    return ask(parts().filter((part) => part.id !== id));
  }

  // A film that does not exist can be removed, too.
  async function facts({ movieId, picture, text }) {
    if (picture) return { title: picture.title, image: picture.address };
    if (text) return { title: `“${text}”` };
    if (!known.has(movieId)) known.set(movieId, await fetchJson(`api/films/${encodeURIComponent(movieId)}`).catch(() => null));
    const film = known.get(movieId) ?? { title: t("film {id}", { id: String(movieId) }) };
    if (!known.get(movieId)) known.delete(movieId);
    return { title: titled(film), image: film.has_poster && `posters/${movieId}?width=160` };
  }

  // Beside its title, a picture that cannot be shown is not missed.
  function pictured(src) {
    const image = element("img", { src, alt: "" });
    image.addEventListener("error", () => image.remove());
    return image;
  }

  function action(className, textContent, label, act) {
    const button = element("button", { type: "button", className, textContent, title: label });
    button.setAttribute("aria-label", label);
    button.addEventListener("click", act);
    return button;
  }

  // Something has to be sought for: the only such part stays.
  async function chip(part, isFixed) {
    const { title, image } = await facts(part);
    const made = element("li", {}, ...(image ? [pictured(image)] : []), title);
    made.dataset.part = part.id;
    const turned = OTHER[part.side];
    if (part.text || isFixed) made.prepend(element("span", { className: "sign", textContent: SIGNS[part.side] }));
    else made.prepend(action("sign", SIGNS[part.side], INSTEAD[turned](title), () => join({ ...part, side: turned }, ".sign")));
    if (!isFixed) made.append(action("remove", "×", t("Remove {title}", { title }), () => remove(part)));
    return made;
  }

  async function suggest(text, signal) {
    const { suggestPosters } = await fetchModule(() => import("./search.js"));
    return suggestPosters(text, signal);
  }

  for (const side of SIDES) {
    combobox(at(`${side}-title`), at(`${side}-titles`), suggest, (movieId) => add(side, movieId));
  }

  return {
    add,
    // The part of the next question that gets the focus.
    expect(id) { arrival = [id, ".remove"]; },
    nLiked: () => likedOf(parts()).length,
    async show() {
      const number = ++latest;
      const [asked, focused] = [parts(), arrival];
      const nLiked = likedOf(asked).length;
      const chips = await Promise.all(asked.map((part) => chip(part, part.side === "like" && nLiked === 1)));
      if (number !== latest) return;
      at("pivot").replaceChildren(...(asked.length > 1 ? chips.slice(0, 1) : []));
      for (const side of SIDES) at(side).replaceChildren(...chips.filter((_, n) => n && asked[n].side === side));
      at("tab-only").hidden = !pictures().length;
      arrival = null;
      // What had the focus, such as the button of a card, goes with the results.
      if (focused) at("mix").querySelector(`[data-part="${CSS.escape(focused[0])}"] ${focused[1]}`)?.focus();
    },
  };
}
