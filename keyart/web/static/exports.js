// The results as files: links, or for an image, which a link cannot send, buttons.
import { at, save } from "./parts.js";
import { fetchFile } from "./requests.js";
import { report, waiting } from "./status.js";

export const MOST_EXPORTED = 1000; // which the API takes
const FILES = { json: "similar", csv: "similar.csv", sheet: "sheet.jpg" };

// `address` returns where a file of so many results is, and `body` the images that are asked about, or null.
export function exportsOf(address, body) {
  async function download(name) {
    try {
      const { blob, name: called } = await fetchFile(address(name), { method: "POST", body: body(), waiting });
      save(blob, called);
    } catch (error) {
      report(error, () => download(name));
    }
  }

  for (const [id, name] of Object.entries(FILES)) at(`save-${id}`).addEventListener("click", () => download(name));

  return (n) => {
    at("exports").hidden = !n;
    at("links").hidden = body() !== null;
    at("saves").hidden = body() === null;
    at("n-exported").textContent = n > MOST_EXPORTED ? `The first ${MOST_EXPORTED} as` : n === 1 ? "This film as" : `These ${n} films as`;
    if (!body()) for (const [id, name] of Object.entries(FILES)) at(id).href = address(name);
  };
}
