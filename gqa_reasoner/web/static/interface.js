// Draws /openapi.json as a page of its own, so that no other site is needed to read it.
import { $, h } from "./dom.js";

const response = await fetch("/openapi.json");
const spec = await response.json();
$("about").textContent = spec.info.description.replaceAll("`", "");
const resolve = (schema) => (schema?.$ref ? spec.components.schemas[schema.$ref.split("/").pop()] : schema);

function fields(operation) {
  const given = (operation.parameters ?? []).map((item) => [item.name, item.required, item.description]);
  const body = Object.values(operation.requestBody?.content ?? {})[0];
  const schema = resolve(body?.schema);
  const required = new Set(schema?.required ?? []);
  const sent = Object.entries(schema?.properties ?? {}).map(([name, item]) => [name, required.has(name), item.description]);
  return [...given, ...sent];
}

function example(path, method, operation) {
  const names = fields(operation).filter(([, required]) => required).map(([name]) => name);
  const address = `${location.origin}${path}`;
  if (path === "/api/upload" && method === "post") return `curl -F file=@picture.jpg ${address}`;
  if (method === "post") return `curl ${address} -H 'content-type: application/json' -d '${JSON.stringify(Object.fromEntries(names.map((name) => [name, "…"])))}'`;
  return `curl '${address}${names.length ? `?${names.map((name) => `${name}=…`).join("&")}` : ""}'`;
}

const parts = Object.entries(spec.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]) => {
  const rows = fields(operation);
  return h("section", {},
    h("h2", {}, h("b", {}, method.toUpperCase()), path),
    h("p", {}, (operation.description ?? operation.summary).replaceAll("`", "")),
    rows.length > 0 && h("table", {}, h("tbody", {}, rows.map(([name, required, text]) =>
      h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, text ?? "", h("span", { class: "soft" }, required ? " (required)" : "")))))),
    h("pre", { tabindex: "0" }, example(path, method, operation)));
}));
$("routes").replaceChildren(...parts);
$("routes").setAttribute("aria-busy", "false");
