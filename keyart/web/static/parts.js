// What every page uses: an element by its id, a new element, a file for whoever wants one.
import { count, t } from "./words.js";

export const at = (id) => document.getElementById(id);

// "1 rating", "2 ratings".
export const ratings = (n) => count(n, "{n} rating", "{n} ratings");

export function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

export function save(blob, name) {
  const address = URL.createObjectURL(blob);
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

const MOST_DRAWN = 50; // films of one contact sheet
export const sheetLabel = (n) => (n > MOST_DRAWN ? t("Contact sheet of the first {n}", { n: MOST_DRAWN }) : t("Contact sheet"));
