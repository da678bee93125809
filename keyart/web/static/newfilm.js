// A picture as the poster of a film that nobody has rated: what to expect of it, who would like it, and adding it.
import { at, element, get } from "./parts.js";

const N_USERS = 100;

export function newFilm(pivot) {
  const form = at("new-film");
  let picture = null;
  let latest = 0; // answers to an earlier request are dropped

  function filledIn() {
    // Empty fields are left out.
    return new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== ""));
  }

  function showExpected(expected) {
    if (!expected) return at("expected").replaceChildren("There are no ratings here to learn from.");
    const range = ` stars expected; 95 % lie from ${expected.low.toFixed(1)} to ${expected.high.toFixed(1)}`;
    at("expected").replaceChildren(element("strong", { textContent: `★ ${expected.mean.toFixed(2)}` }), range);
  }

  function showAudience(fans) {
    at("audience").hidden = !fans.length;
    at("audience-size").textContent = fans.length === N_USERS
      ? `Audience: the ${N_USERS} users who would like it most` : `Audience: ${fans.length} users would like it better than their average film`;
    at("fans").replaceChildren(...fans.map((fan) => element("li", {},
      element("a", { href: `user?user=${fan.user_id}`, textContent: `user ${fan.user_id}` }), ` +${fan.score.toFixed(2)}`)));
  }

  async function ask() {
    const number = ++latest;
    const question = filledIn();
    question.set("n_users", N_USERS);
    at("expected").textContent = "Who would like it? …";
    try {
      const answer = await get(`api/cold-start?${question}`, { method: "POST", body: picture });
      if (number !== latest) return;
      showExpected(answer.expected);
      showAudience(answer.audience);
      at("new-film-status").textContent = answer.notes.join(". ");
    } catch (error) {
      if (number !== latest) return;
      at("audience").hidden = true;
      at("expected").textContent = error.message;
    }
  }

  async function add() {
    at("new-film-status").textContent = "Adding …";
    try {
      const added = await get(`api/films?${filledIn()}`, { method: "POST", body: picture });
      pivot(added.film.movie_id);
    } catch (error) {
      at("new-film-status").textContent = error.message;
    }
  }

  form.addEventListener("change", ask);
  form.addEventListener("submit", (event) => { event.preventDefault(); add(); });

  return {
    about(file) {
      picture = file;
      form.reset();
      at("new").hidden = false;
      ask();
    },
    offer(genres) {
      at("new-genres").replaceChildren(...genres.map((genre) => element("label", {},
        element("input", { type: "checkbox", name: "genre", value: genre }), ` ${genre}`)));
    },
  };
}
