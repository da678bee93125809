// A slider for the share of one side of the score. Left to keyart, it shows the share that side has in the results.
import { at } from "./parts.js";
import { t } from "./words.js";

const STILL_MS = 60;

const percent = (share) => Math.round(100 * share);

// "looks 52 to 98 %": the share differs from film to film.
function described(word, shares) {
  const [least, most] = [percent(Math.min(...shares)), percent(Math.max(...shares))];
  return least === most ? t("{side} {share} %", { side: word, share: most }) : t("{side} {least} to {most} %", { side: word, least, most });
}

// `slider`, `automatic` and `output` are ids, the first one also the name in addresses; `word` is what the share is of,
// `shareOf` returns the share in a hit, and `fixedBy` a word on why there is no choice by these sides, or "".
export function shareSlider(go, { slider: name, automatic: automaticName, output, word, shareOf, fixedBy }) {
  const [slider, automatic] = [at(name), at(automaticName)];
  let timer = 0;

  function say(text) {
    at(output).textContent = text;
    slider.setAttribute("aria-valuetext", text);
  }

  slider.addEventListener("input", () => {
    automatic.checked = false;
    say(described(word, [slider.valueAsNumber]));
    clearTimeout(timer);
    timer = setTimeout(() => go({ [name]: slider.value }, { replace: true }), STILL_MS);
  });
  automatic.addEventListener("change", () => go({ [name]: automatic.checked ? "" : slider.value }));

  return {
    // What the address says.
    show(params) {
      automatic.checked = !params.has(name);
      if (automatic.checked) return;
      slider.value = params.get(name);
      say(described(word, [slider.valueAsNumber]));
    },
    // What the results were compared by; `isFixed` where no other share can be asked for.
    answered({ sides, results }, isFixed) {
      const reason = fixedBy(sides);
      slider.disabled = automatic.disabled = isFixed || reason !== "";
      const shares = results.map(shareOf);
      // Hands that move the slider are not disturbed.
      if (!shares.length || !(automatic.checked || slider.disabled)) return;
      slider.value = shares.reduce((sum, each) => sum + each) / shares.length;
      say(reason || described(word, shares));
    },
  };
}
