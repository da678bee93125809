// What the page says of itself: in words, announced to screen readers, with a button where another try may help.
import { at, element } from "./parts.js";
import { RequestError } from "./requests.js";
import { count, english, inEnglish, t } from "./words.js";

// `text` may also be a list of texts and elements.
export function say(text, retry = null, line = at("status")) {
  line.replaceChildren(...[text].flat());
  line.classList.remove("urgent");
  if (!retry) return;
  const button = element("button", { type: "button", textContent: t("Retry") });
  button.addEventListener("click", () => {
    // The focus would go with the button.
    line.tabIndex = -1;
    line.focus();
    warn(t("Trying again …"), null, line);
    retry();
  });
  line.append(" ", button);
}

// Says what must not be missed in the window, and over nothing that has the focus.
export function warn(text, retry = null, line = at("status")) {
  say(text, retry, line);
  line.classList.add("urgent");
  line.scrollIntoView({ block: "nearest" });
  const focused = document.querySelector("main :focus:not(#status)") ?? line;
  const [over, under] = [line, focused].map((each) => each.getBoundingClientRect());
  if (under.top < over.bottom && under.bottom > over.top) focused.scrollIntoView({ block: "nearest" });
}

// Passes over a request that failed; anything else is a mistake of this page.
export function tolerate(error) {
  if (!(error instanceof RequestError)) throw error;
}

// What went wrong, in words; a command that mends it stands apart.
export function messageOf({ message, isEnglish }) {
  if (!isEnglish) return [message];
  if (!message.includes("`keyart ")) return [english(message)];
  const summary = element("summary", { textContent: t("For whoever runs this server") });
  return [english(message), element("details", {}, summary, inEnglish(message))];
}

export const anew = () => element("a", { href: "./", textContent: t("Search anew") });

export function report(error, retry = null, line = at("status")) {
  tolerate(error);
  warn(messageOf(error), error.passes ? retry : null, line);
}

export const busy = (seconds) => count(seconds, "The server is busy; trying again in {n} s …", "The server is busy; trying again in {n} s …");

export function waiting(seconds) {
  warn(busy(seconds));
}
