// Where one is in the results: how many are shown, how far down, which one was opened. The history keeps it.
const STILL_MS = 200; // browsers limit how often the history is changed

// `shown` returns how many results there are; 0 while they are of another entry of the history.
export function places(shown) {
  let timer = 0;

  function keep(opened = null) {
    clearTimeout(timer);
    if (!shown()) return;
    history.replaceState({ ...history.state, place: { shown: shown(), top: scrollY, opened } }, "");
  }

  history.scrollRestoration = "manual";
  addEventListener("scroll", () => {
    clearTimeout(timer);
    timer = setTimeout(keep, STILL_MS);
  }, { passive: true });
  addEventListener("pagehide", () => keep());
  return { keep, kept: () => history.state?.place ?? { shown: 0, top: 0, opened: null } };
}
