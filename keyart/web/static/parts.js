// What every page uses: an element by its id, an answer of the API or its error.
export const at = (id) => document.getElementById(id);

export async function get(address, options) {
  const answer = await fetch(address, options);
  const content = await answer.json();
  if (!answer.ok) throw new Error(content.detail);
  return content;
}

// "1 rating", "2 ratings".
export const ratings = (n) => `${n} ${n === 1 ? "rating" : "ratings"}`;

export function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}
