// A part of the poster that the page is about: a box on it, which the address holds.
import { at } from "./parts.js";
import { boxField, inWords, middle } from "./regions.js";
import { t } from "./words.js";

const STILL_MS = 250; // in moving the box by keys, before it is asked about

// `grid` has the columns and rows of the regions.
export function part(state, go, grid) {
  const [pane, button] = [at("pane"), at("part")];
  let timer = 0;
  ["columns", "rows"].forEach((name, axis) => pane.style.setProperty(`--${name}`, grid[axis]));
  const field = boxField(pane, grid, change, () => region() !== null);

  function region() {
    const numbers = (state().get("region") ?? "").split(",").map(Number);
    return numbers.length === 4 && numbers.every(Number.isInteger) ? numbers : null;
  }

  function change(box) {
    clearTimeout(timer);
    // The first box is an entry of the history of its own; those that it is changed to are not.
    timer = setTimeout(() => go({ region: box ? box.join(",") : "" }, { replace: region() !== null }), STILL_MS);
    describe(box);
  }

  function describe(box) {
    if (box) pane.setAttribute("aria-label", t("Part of the poster: {part} of {columns} × {rows}", { part: inWords(box), columns: grid[0], rows: grid[1] }));
    at("part-name").textContent = box ? t("Only {part}", { part: inWords(box) }) : "";
  }

  function show() {
    const box = region();
    pane.classList.toggle("on", box !== null);
    button.hidden = at("poster").hidden;
    button.textContent = box ? t("Whole poster") : t("Search by a part");
    at("part-help").hidden = !box;
    field(box);
    const attributes = { tabindex: 0, role: "application", "aria-label": "", "aria-describedby": "part-help" };
    // Without a box, the poster is an image.
    for (const [name, value] of Object.entries(attributes)) {
      if (!box) pane.removeAttribute(name);
      else if (!pane.hasAttribute(name)) pane.setAttribute(name, value);
    }
    describe(box);
  }

  button.addEventListener("click", () => {
    const isOn = region() !== null;
    go({ region: isOn ? "" : middle(grid, 3).join(",") });
    if (!isOn) pane.focus();
  });

  return { show };
}
