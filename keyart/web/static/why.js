// The dialog that shows where two posters look alike, and says why a film was found.
import { at, element } from "./parts.js";
import { fetchFile } from "./requests.js";
import { report, say } from "./status.js";

export function whyDialog() {
  const [dialog, heat, line] = [at("why"), at("heat"), at("why-status")];
  let request = new AbortController();

  async function draw(address) {
    request = new AbortController();
    const { signal } = request;
    say("Comparing the two posters …", null, line);
    const waiting = (seconds) => say(`The server is busy; trying again in ${seconds} s …`, null, line);
    try {
      const { blob } = await fetchFile(address, { signal, waiting });
      heat.src = URL.createObjectURL(blob);
      heat.hidden = false;
      say("", null, line);
    } catch (error) {
      if (!signal.aborted) report(error, () => draw(address), line);
    }
  }

  function clear() {
    request.abort();
    heat.hidden = true;
    URL.revokeObjectURL(heat.src);
    heat.removeAttribute("src");
  }

  dialog.addEventListener("close", clear);
  dialog.addEventListener("click", ({ target, clientX, clientY }) => {
    const { left, right, top, bottom } = dialog.getBoundingClientRect();
    const isInside = clientX >= left && clientX <= right && clientY >= top && clientY <= bottom;
    if (target === dialog && !isInside) dialog.close();
  });

  return {
    close: () => dialog.close(),
    // Without a first film, that is of a description, there are no regions to show.
    show(first, hit, label) {
      heat.alt = `Heat map: where the poster and that of ${label} look alike`;
      at("heat-frame").hidden = !first;
      at("reasons").replaceChildren(...hit.why.map((reason) => element("li", { textContent: reason })));
      dialog.showModal();
      if (first) draw(`api/films/${first}/why/${hit.movie_id}.jpg`);
    },
  };
}
