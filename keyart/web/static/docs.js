// The description of the API as a page: each operation with its parameters, its body and its answers.
import { at, element } from "./parts.js";
import { fetchJson } from "./requests.js";
import { report, say, waiting } from "./status.js";

const nameOf = (reference) => reference.split("/").pop();

// "integer", "list of string", "160 or 320", "FilmFacts".
function typeOf(schema = {}) {
  if (schema.$ref) return nameOf(schema.$ref);
  if (schema.anyOf) return schema.anyOf.map(typeOf).filter((type) => type !== "null").join(" or ");
  if (schema.enum) return schema.enum.join(" or ");
  if (schema.const !== undefined) return String(schema.const);
  return schema.type === "array" ? `list of ${typeOf(schema.items)}` : schema.type ?? "anything";
}

const row = (...cells) => element("tr", {}, ...cells.map((cell) => element("td", {}, cell)));
const code = (text) => element("code", { textContent: text });

function table(caption, heads, rows) {
  if (!rows.length) return "";
  const head = element("tr", {}, ...heads.map((name) => element("th", { scope: "col", textContent: name })));
  return element("table", {}, element("caption", { className: "hidden", textContent: caption }), element("thead", {}, head), element("tbody", {}, ...rows));
}

// On a narrow screen its tables are wider; the keys scroll what has the focus.
function scrolled(label, ...children) {
  const made = element("div", { tabIndex: 0, role: "group" }, ...children);
  made.setAttribute("aria-label", label);
  return made;
}

function parameterRow({ name, required, schema, description }) {
  const usual = [undefined, null].includes(schema.default) || schema.type === "array" ? "" : `default ${schema.default}`;
  return row(code(name), typeOf(schema), required ? "required" : usual, description ?? "");
}

function answerRow([status, { description, content = {} }]) {
  const kinds = Object.entries(content).map(([kind, { schema }]) => (kind === "application/json" ? typeOf(schema) : kind));
  return row(status, description, kinds.join(", "));
}

function operation(path, method, { summary, description, parameters = [], requestBody, responses }) {
  const body = requestBody ? Object.entries(requestBody.content).map(([kind, { schema }]) => `${kind}: ${schema.$ref ? typeOf(schema) : requestBody.description ?? typeOf(schema)}`) : [];
  const called = `${method.toUpperCase()} ${path}`;
  return element("details", {}, element("summary", {}, code(called), ` ${summary ?? ""}`), scrolled(called,
    element("p", { textContent: description ?? "" }),
    table("Parameters", ["parameter", "type", "needed", "meaning"], parameters.map(parameterRow)),
    ...body.map((text) => element("p", { textContent: `Body: ${text}` })),
    table("Answers", ["status", "meaning", "returns"], Object.entries(responses).map(answerRow))));
}

function fieldsOf(name, { description, properties }) {
  const rows = Object.entries(properties).map(([field, schema]) => row(code(field), typeOf(schema), schema.description ?? ""));
  return element("details", { id: name }, element("summary", {}, code(name), ` ${description ?? ""}`),
    scrolled(name, table(name, ["field", "type", "meaning"], rows)));
}

function show({ paths, components }) {
  const groups = new Map();
  for (const [path, methods] of Object.entries(paths)) {
    for (const [method, facts] of Object.entries(methods)) {
      const [tag] = facts.tags;
      groups.set(tag, [...(groups.get(tag) ?? []), operation(path, method, facts)]);
    }
  }
  const records = Object.entries(components.schemas).filter(([, schema]) => schema.properties);
  groups.set("records", records.map(([name, schema]) => fieldsOf(name, schema)));
  at("operations").replaceChildren(...[...groups].flatMap(([name, made]) => [element("h3", { textContent: name }), ...made]));
  say("");
}

async function load() {
  try {
    show(await fetchJson("openapi.json", { waiting }));
  } catch (error) {
    report(error, load);
  }
}

load();
