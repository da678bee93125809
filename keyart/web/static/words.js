// The words of a page in its language: English texts are the keys of a file for each other language.

// The choice of another language at the foot of the page.
addEventListener("click", (event) => {
  const link = event.target.closest?.("a[hreflang]");
  if (!link) return;
  event.preventDefault();
  const root = new URL("..", import.meta.url).pathname;
  document.cookie = `keyart-language=${link.hreflang}; path=${root}; max-age=31536000; samesite=lax`;
  // The history keeps what is not in the address.
  location.reload();
});

const { lang } = document.documentElement;
const isEnglish = lang === "en";
const known = isEnglish ? {} : await load();
const plurals = new Intl.PluralRules(lang);
const formats = new Map(); // of numbers, by how many digits they have after the point

// Without the file the page is in English.
async function load() {
  const answer = await fetch(new URL(`words/${lang}.json`, import.meta.url)).catch(() => null);
  return answer?.ok ? answer.json() : {};
}

// A number as the language writes it, with so many digits after the point; without these, as many as it has.
export function number(value, digits) {
  const bounds = digits === undefined ? {} : { minimumFractionDigits: digits, maximumFractionDigits: digits };
  if (!formats.has(digits)) formats.set(digits, new Intl.NumberFormat(lang, bounds));
  return formats.get(digits).format(value);
}

const filled = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => (typeof values[name] === "number" ? number(values[name]) : values[name]));

// A text with its values, as in t("Poster of {title}", { title }).
export function t(text, values = {}) {
  return filled(known[text] ?? text, values);
}

// A text on a number of things, as in count(n, "{n} film", "{n} films"): of several, the second form is the key.
export function count(n, one, other, values = {}) {
  const found = known[other] ?? (isEnglish ? { one, other } : other);
  const form = typeof found === "string" ? found : found[plurals.select(n)] ?? found.other;
  return filled(form, { n, ...values });
}

// A command that a sentence proposes, at its end: it is for whoever runs the server.
const COMMAND = /(?:[;:,]| \()[^;]*`keyart .*?(\.?\s*)$/s;

// A sentence that comes in English from the server, without commands.
export const english = (text) => inEnglish(text.replace(COMMAND, "$1"));

export function inEnglish(text) {
  return isEnglish ? text : Object.assign(document.createElement("span"), { lang: "en", textContent: text });
}
