// Films for a new user to rate; one that was not seen is replaced by the next.
import { poster, titled } from "./film.js";
import { keepButton } from "./keeping.js";
import { MOST_KEPT } from "./kept.js";
import { element } from "./parts.js";
import { fetchJson } from "./requests.js";
import { stars } from "./stars.js";
import { t } from "./words.js";

const AT_LEAST = 10; // films on the page
const SPARE = 2; // of them to be rated still
const PAGE = 20;

export class Rating {
  constructor(list, rate) {
    this.list = list;
    this.rate = rate;
    this.cards = new Map(); // by movie_id
    this.rated = new Map();
    this.known = new Map(); // films that need not be requested, such as those of a file of ratings
    this.passed = new Set();
    this.unknown = new Set(); // a link may name a film that is not here
    this.waiting = [];
    this.offset = 0;
    this.work = Promise.resolve();
  }

  // One piece of work after the other, or two would show a film twice.
  after(work) {
    this.work = this.work.catch(() => {}).then(work);
    return this.work;
  }

  // Shows what was rated, and enough besides.
  show(rated) {
    this.rated = rated;
    return this.after(() => this.fill());
  }

  async fill() {
    // What was rated last counts, even if earlier ratings still wait for their films.
    const rated = this.rated;
    const missing = [...rated.keys()].filter((movieId) => !this.cards.has(movieId) && !this.unknown.has(movieId));
    await this.learn(missing.filter((movieId) => !this.known.has(movieId)));
    // First, where whoever imported them sees that they came.
    this.list.prepend(...missing.filter((movieId) => this.known.has(movieId)).map((movieId) => this.card(this.known.get(movieId))));
    if (missing.length) this.list.scrollLeft = 0;
    for (const [movieId, card] of this.cards) card.show(this.rated.get(movieId) ?? 0);
    while (this.cards.size < Math.max(AT_LEAST, rated.size + SPARE)) {
      const film = await this.next();
      if (!film) return;
      this.list.append(this.card(film));
    }
  }

  know(films) {
    for (const film of films) this.known.set(film.movie_id, film);
  }

  // In as few requests as the API takes.
  async learn(movieIds) {
    const parts = Array.from({ length: Math.ceil(movieIds.length / MOST_KEPT) }, (_, n) => movieIds.slice(n * MOST_KEPT, (n + 1) * MOST_KEPT));
    await Promise.all(parts.map(async (part) => {
      const { films, missing } = await fetchJson(`api/shortlist.json?${new URLSearchParams(part.map((movieId) => ["film", movieId]))}`);
      this.know(films);
      for (const movieId of missing) this.unknown.add(movieId);
    }));
  }

  async next() {
    while (true) {
      if (!this.waiting.length) {
        this.waiting = await fetchJson(`api/films/to-rate?k=${PAGE}&offset=${this.offset}`);
        this.offset += PAGE;
        if (!this.waiting.length) return null;
      }
      const film = this.waiting.shift();
      if (!this.cards.has(film.movie_id) && !this.passed.has(film.movie_id)) return film;
    }
  }

  card(film) {
    const { made, input, show } = stars(titled(film), 0, (value) => {
      // At once, so that the next stop of the Tab key is the next film.
      others.hidden = value > 0;
      this.rate(film.movie_id, value);
    });
    const unseen = element("button", { type: "button", textContent: t("Not seen") });
    unseen.setAttribute("aria-label", t("Not seen: {title}", { title: titled(film) }));
    unseen.addEventListener("click", () => this.after(() => this.pass(film.movie_id)));
    // For who has not seen it.
    const others = element("div", { className: "acts" }, unseen, keepButton(film.movie_id, titled(film)));
    const item = element("li", {}, poster(film), element("strong", { textContent: titled(film) }), made, others);
    this.cards.set(film.movie_id, { item, input, show: (value) => { show(value); others.hidden = value > 0; } });
    return item;
  }

  async pass(movieId) {
    const { item } = this.cards.get(movieId);
    this.passed.add(movieId);
    const film = await this.next();
    this.cards.delete(movieId);
    if (!film) return item.remove();
    item.replaceWith(this.card(film));
    this.focus(film.movie_id);
  }

  add(movieId) {
    return this.after(() => this.find(movieId));
  }

  async find(movieId) {
    if (!this.cards.has(movieId)) this.list.prepend(this.card(await fetchJson(`api/films/${movieId}`)));
    this.focus(movieId);
  }

  focus(movieId) {
    this.cards.get(movieId).input.focus();
  }
}
