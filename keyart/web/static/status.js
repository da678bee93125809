// What the page says of itself: in words, announced to screen readers, with a button where another try may help.
import { at, element } from "./parts.js";
import { RequestError } from "./requests.js";

export function say(text, retry = null, line = at("status")) {
  line.replaceChildren(text);
  if (!retry) return;
  const button = element("button", { type: "button", textContent: "Retry" });
  button.addEventListener("click", () => {
    // The focus would go with the button.
    line.tabIndex = -1;
    line.focus();
    say("Trying again …", null, line);
    retry();
  });
  line.append(" ", button);
}

// Passes over a request that failed; anything else is a mistake of this page.
export function tolerate(error) {
  if (!(error instanceof RequestError)) throw error;
}

export function report(error, retry = null, line = at("status")) {
  tolerate(error);
  say(error.message, error.passes ? retry : null, line);
}

export function waiting(seconds) {
  say(`The server is busy; trying again in ${seconds} s …`);
}
