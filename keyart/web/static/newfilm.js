// A picture as the poster of a film that nobody has rated: what to expect of it, who would like it, and adding it.
import { titled } from "./film.js";
import { at, element } from "./parts.js";
import { fetchJson } from "./requests.js";
import { report, say } from "./status.js";

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
    if (!expected) return at("expected").replaceChildren("There are no ratings here to learn from.");
    const range = ` stars expected, likely ${expected.low.toFixed(1)}–${expected.high.toFixed(1)}`;
    at("expected").title = "The mean of its ratings lies there with 95 % probability";
    at("expected").replaceChildren(element("strong", { textContent: `★ ${expected.mean.toFixed(2)}` }), range);
  }

  function showAudience(fans) {
    at("audience").hidden = !fans.length;
    at("audience-size").textContent = fans.length === N_USERS
      ? `Audience: the ${N_USERS} users who would like it most` : `Audience: ${fans.length} users would like it better than their average film`;
    at("fans").replaceChildren(...fans.map((fan) => element("li", {},
      element("a", { href: `user?user=${fan.user_id}`, textContent: `user ${fan.user_id}` }), ` +${fan.score.toFixed(2)}`)));
  }

  async function predict() {
    request.abort();
    request = new AbortController();
    const { signal } = request;
    const question = filledIn();
    question.set("n_users", N_USERS);
    say("Who would like it? …", null, at("expected"));
    try {
      const answer = await fetchJson(`api/cold-start?${question}`, { method: "POST", body: picture, signal });
      showExpected(answer.expected);
      showAudience(answer.audience);
      at("new-notes").textContent = answer.notes.join(". ");
    } catch (error) {
      if (signal.aborted) return;
      at("audience").hidden = true;
      report(error, predict, at("expected"));
    }
  }

  async function send() {
    const asked = picture;
    say("Adding …", null, at("new-film-status"));
    add.disabled = true;
    try {
      const { film, new: isNew, notes } = await fetchJson(`api/films?${filledIn()}`, { method: "POST", body: asked });
      const how = isNew ? `${titled(film)} was added.` : `${titled(film)} was in the catalog already, with this poster.`;
      // Whoever has gone on meanwhile stays there.
      if (asked === picture) opened(film.movie_id, [how, ...notes.map((note) => `${note}.`)].join(" "));
    } catch (error) {
      report(error, send, at("new-film-status"));
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
        element("input", { type: "checkbox", name: "genre", value: genre }), ` ${genre}`)));
    },
    // Without permission to add films, the form describes the film for a better prediction.
    permit(addsFilms) {
      add.hidden = !addsFilms;
      at("more-name").textContent = addsFilms ? "Describe the film, or add it to the catalog" : "Describe the film";
    },
  };
}
