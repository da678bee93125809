// The results as files: links, or for an image, which a link cannot send, buttons.
import { at, save, sheetLabel } from "./parts.js";
import { fetchFile } from "./requests.js";
import { report, waiting } from "./status.js";
import { count, t } from "./words.js";

export const MOST_EXPORTED = 1000; // which the API takes
const FILES = { json: "similar", csv: "similar.csv", sheet: "sheet.jpg" };

// `address` returns where a file of so many results is, and `body` the images that are asked about, or null.
export function exportsOf(address, body) {
  let sent = null; // with the addresses of what is shown, while the next results are on their way
  let addresses = {};

  async function download(id) {
    try {
      const { blob, name } = await fetchFile(addresses[id], { method: "POST", body: sent, waiting });
      save(blob, name);
    } catch (error) {
      report(error, () => download(id));
    }
  }

  for (const id of Object.keys(FILES)) at(`save-${id}`).addEventListener("click", () => download(id));

  return (n) => {
    sent = body();
    addresses = Object.fromEntries(Object.entries(FILES).map(([id, name]) => [id, address(name)]));
    at("exports").hidden = !n;
    at("links").hidden = sent !== null;
    at("saves").hidden = sent === null;
    at("n-exported").textContent = n > MOST_EXPORTED ? t("The first {n} as", { n: MOST_EXPORTED }) : count(n, "This film as", "These {n} films as");
    at("sheet").textContent = at("save-sheet").textContent = sheetLabel(n);
    if (!sent) for (const [id, found] of Object.entries(addresses)) at(id).href = found;
  };
}
