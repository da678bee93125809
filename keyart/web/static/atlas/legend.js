// What the colors mean; pointing at an entry shows its films, pressing it keeps them shown, and `pin` hears of it.
export function showLegend(list, entries, { pinned, show, pin }) {
  function refresh(pointed = null) {
    show(pointed ?? pinned);
    [...list.querySelectorAll("button")].forEach((button, number) => button.setAttribute("aria-pressed", number === pinned));
  }

  list.replaceChildren(...entries.map((entry, number) => {
    const button = Object.assign(document.createElement("button"), { type: "button" });
    const swatch = document.createElement("i");
    swatch.style.backgroundColor = entry.color;
    const name = Object.assign(document.createElement("span"), { textContent: entry.name });
    button.append(swatch, name, Object.assign(document.createElement("small"), { textContent: entry.n.toLocaleString("en") }));
    button.addEventListener("click", () => { pinned = pinned === number ? null : number; pin(pinned); refresh(); });
    button.addEventListener("pointerenter", () => refresh(number));
    button.addEventListener("pointerleave", () => refresh());
    const item = document.createElement("li");
    item.append(button);
    return item;
  }));
  refresh();
}
