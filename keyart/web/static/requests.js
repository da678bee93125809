// Requests to the API: their answers, or errors in words. A busy server is asked again when it says so.
import { t } from "./words.js";

const MOST_TRIES = 4;
const LONGEST_WAIT_S = 30;

export class RequestError extends Error {
  constructor(message, status = 0, isEnglish = false) {
    super(message);
    this.status = status; // 0 where no answer came
    this.isEnglish = isEnglish; // as the server says it, on any page
  }

  // Whether the same request may succeed later.
  get passes() {
    return !this.status || this.status === 429 || this.status >= 500;
  }
}

export function pause(ms, signal) {
  return new Promise((done, fail) => {
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", () => { clearTimeout(timer); fail(signal.reason); });
  });
}

async function send(address, options) {
  try {
    return await fetch(address, options);
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new RequestError(t("The server cannot be reached."));
  }
}

// A proxy in between answers in HTML, or in nothing at all.
async function errorOf(answer) {
  if (answer.status === 401) return new RequestError(t("You are no longer signed in: reload the page."), 401);
  const { detail } = await answer.json().catch(() => ({}));
  if (detail) return new RequestError(detail, answer.status, true);
  return new RequestError(t("The server could not answer (status {status}).", { status: String(answer.status) }), answer.status);
}

// `waiting` is told for how many seconds a busy server is left alone.
async function request(address, { waiting = () => {}, ...options } = {}) {
  for (let tried = 1; ; tried += 1) {
    const answer = await send(address, options);
    if (answer.ok) return answer;
    const seconds = Number(answer.headers.get("Retry-After") ?? NaN);
    if (answer.status !== 503 || !(seconds <= LONGEST_WAIT_S) || tried === MOST_TRIES) throw await errorOf(answer);
    waiting(seconds);
    await pause(1000 * seconds, options.signal);
  }
}

// Reads an answer, which may break off.
async function read(answer, kind, signal) {
  try {
    return await answer[kind]();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new RequestError(t("The answer of the server was cut off, or is of another program."));
  }
}

export async function fetchJson(address, options = {}) {
  return read(await request(address, options), "json", options.signal);
}

// A piece of a page, in which the server has escaped every text.
export async function fetchPiece(address, options = {}) {
  return read(await request(address, options), "text", options.signal);
}

// A part of a page that is loaded on first use.
export async function fetchModule(load) {
  try {
    return await load();
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new RequestError(t("The server cannot be reached."));
  }
}

// A file and its name.
export async function fetchFile(address, options = {}) {
  const answer = await request(address, options);
  const [, name = ""] = /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition")) ?? [];
  return { blob: await read(answer, "blob", options.signal), name };
}
