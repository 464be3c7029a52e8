// Small helpers: elements are built from text only, never from markup.

/** An element; `on…` properties listen, others are attributes, children are nodes or text. */
export function h(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "vars") for (const [k, v] of Object.entries(value)) element.style.setProperty(k, v);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const $ = (id) => document.getElementById(id);

/** Tells readers of the screen reader what happened. */
export function say(text) {
  $("live").textContent = text;
}

/** 0.9876 as "99 %". */
export function percent(value) {
  if (value >= 0.9995) return "100 %";
  if (value > 0.99) return ">99 %";
  if (value > 0 && value < 0.01) return "<1 %";
  return `${Math.round(value * 100)} %`;
}

/** "1 picture", "2 pictures". */
export function count(number, word) {
  return `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;
}

/** A bar as long as a share, for the eye; the number beside it is for everyone. */
export function bar(share, extra = "") {
  const width = `${Math.max(Math.min(share, 1), 0) * 100}%`;
  return h("span", { class: `bar ${extra}`, "aria-hidden": "true" }, h("span", { vars: { width } }));
}

/** The last part of a picture's id, for titles. */
export function shortName(id) {
  return id.split("/").pop();
}
