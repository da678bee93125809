// A picture as the poster of a film that nobody has rated: what to expect of it, who would like it, and adding it.
import { titled } from "./film.js";
import { at, element } from "./parts.js";
import { fetchJson } from "./requests.js";
import { report, say } from "./status.js";
import { count, english, number, t } from "./words.js";

const N_USERS = 100;

// `opened` shows a film of the catalog, with a word on how it came there.
export function newFilm(opened) {
  const form = at("new-film");
  const add = form.querySelector("button");
  let picture = null;
  let request = new AbortController(); // for this picture, and what is filled in

  function filledIn() {
    // Empty fields are left out.
    return new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== ""));
  }

  function showExpected(expected) {
    if (!expected) return at("expected").replaceChildren(t("There are no ratings here to learn from."));
    const range = t("stars expected, likely {low}–{high}", { low: number(expected.low, 1), high: number(expected.high, 1) });
    at("expected").title = t("The mean of its ratings lies there with 95 % probability");
    at("expected").replaceChildren(element("strong", { textContent: `★ ${number(expected.mean, 2)}` }), ` ${range}`);
  }

  function showAudience(fans) {
    at("audience").hidden = !fans.length;
    at("audience-size").textContent = fans.length === N_USERS
      ? t("Audience: the {n} users who would like it most", { n: N_USERS })
      : count(fans.length, "Audience: {n} users would like it better than their average film", "Audience: {n} users would like it better than their average film");
    at("fans").replaceChildren(...fans.map((fan) => element("li", {},
      element("a", { href: `user?user=${fan.user_id}`, textContent: t("user {user}", { user: String(fan.user_id) }) }), ` +${number(fan.score, 2)}`)));
  }

  async function predict() {
    request.abort();
    request = new AbortController();
    const { signal } = request;
    const question = filledIn();
    question.set("n_users", N_USERS);
    say(t("Who would like it? …"), null, at("expected"));
    try {
      const answer = await fetchJson(`api/cold-start?${question}`, { method: "POST", body: picture, signal });
      showExpected(answer.expected);
      showAudience(answer.audience);
      at("new-notes").replaceChildren(...answer.notes.map((note) => english(`${note}. `)));
    } catch (error) {
      if (signal.aborted) return;
      at("audience").hidden = true;
      report(error, predict, at("expected"));
    }
  }

  // A film that is there already leads to it.
  function fail(error) {
    const { message } = error;
    report(Object.assign(error, { message: message.charAt(0).toUpperCase() + message.slice(1) }), send, at("new-film-status"));
    const [, movieId] = / as movie_id (\d+)/.exec(message) ?? [];
    if (movieId) at("new-film-status").append(" ", element("a", { href: `?film=${movieId}`, textContent: t("Open that film") }));
  }

  async function send() {
    const asked = picture;
    say(t("Adding …"), null, at("new-film-status"));
    add.disabled = true;
    try {
      const { film, new: isNew, notes } = await fetchJson(`api/films?${filledIn()}`, { method: "POST", body: asked });
      const title = titled(film);
      const how = isNew ? t("{title} was added.", { title }) : t("{title} was in the catalog already, with this poster.", { title });
      // Whoever has gone on meanwhile stays there.
      if (asked === picture) opened(film.movie_id, [how, ...notes.map((note) => english(`${note}.`))]);
    } catch (error) {
      fail(error);
    } finally {
      add.disabled = false;
    }
  }

  form.addEventListener("change", predict);
  form.addEventListener("submit", (event) => { event.preventDefault(); send(); });

  return {
    about(file) {
      picture = file;
      form.reset();
      say("", null, at("new-film-status"));
      at("new").hidden = false;
      predict();
    },
    offer(genres) {
      at("new-genres").replaceChildren(...genres.map((genre) => element("label", {},
        element("input", { type: "checkbox", name: "genre", value: genre }), ` ${t(genre)}`)));
    },
    // Without permission to add films, the form describes the film for a better prediction.
    permit(addsFilms) {
      add.hidden = !addsFilms;
      at("more-name").textContent = addsFilms ? t("Describe the film, or add it to the catalog") : t("Describe the film");
    },
  };
}
