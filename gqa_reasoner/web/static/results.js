// The first page and the answers over the whole collection.
import { address, api } from "./api.js";
import { bar, count, h, percent, say } from "./dom.js";
import { card, grid } from "./grid.js";

const PART = 48;
const FOUND = 24;
const MOST = 100;

/** What the page shows before anything is asked: every picture, and questions to try. */
export async function showAll(about, signal) {
  const { total, pictures } = await api.pictures(0, PART, signal);
  const link = (picture) => address.picture({ id: picture.image_id });
  const title = total ? "Ask your pictures something" : "No pictures yet";
  const view = h("section", { class: "view" },
    h("div", { class: "hero" },
      h("h1", { tabindex: "-1" }, title),
      h("p", { class: "lead" }, total
        ? `Which, how many, what share, the commonest …: questions over ${count(total, "picture")} are worked out step by step, and every answer shows what it rests on.`
        : "The index is empty. Run gqa-reasoner index on a folder that holds pictures."),
      suggestions(about.suggestions)));
  if (!total) return { view, title };
  const list = grid(pictures, link, "All pictures");
  view.append(h("h2", { class: "section" }, "All pictures"), list);
  more(view, list, pictures.length, total, async (offset) => (await api.pictures(offset, PART)).pictures, link);
  return { view, title: about.name, order: pictures.map((picture) => picture.image_id) };
}

/** The answer to a question over the collection, with its pictures. */
export async function showFound(question, about, signal, limit = FOUND) {
  const found = await api.find(question, limit, signal);
  const sizes = new Map();
  const all = [...found.images, ...(found.possible ?? [])].slice(0, MOST);
  if (all.length) {
    const { pictures } = await api.sizes(all.map((image) => image.image_id), signal);
    for (const picture of pictures) sizes.set(picture.image_id, picture);
  }
  const place = (image) => ({ width: 4, height: 3, ...sizes.get(image.image_id), ...image });
  const images = found.images.map(place);
  const possible = (found.possible ?? []).map(place);
  const asks = found.method === "reasoner" ? rest(question) : null;
  const link = (picture) => address.picture({ id: picture.image_id, from: question, question: asks });
  const view = h("section", { class: "view" }, verdict(question, found, about));
  if (images.length) view.append(h("h2", { class: "hidden" }, "Pictures"), grid(images, link, "Pictures, best first"));
  if (images.length < (found.total ?? 0) && limit < MOST) {
    view.append(h("p", { class: "more" }, h("button", { type: "button", onclick: async (event) => {
      event.target.disabled = true;
      const all = await showFound(question, about, undefined, MOST);
      view.replaceWith(all.view);
      all.view.querySelectorAll(".card a")[images.length]?.focus();
    } }, `Show more of ${count(found.total, "picture")}`)));
  }
  if (possible.length) {
    view.append(h("h2", { class: "section" }, images.length ? "Less likely" : "Nearest, though they probably do not fit"),
      grid(possible, link, "Less likely pictures"));
  }
  if (!images.length && !possible.length) view.append(nothing(found, about));
  say(`${found.answer}. ${count(images.length, "picture")} shown.`);
  return { view, title: question, order: [...images, ...possible].map((image) => image.image_id) };
}

/** A question without the name of a file. */
function rest(question) {
  return question.replace(/\s+(?:(?:in|on|of|at)\s+)?(?:(?:the\s+)?(?:picture|image|photo|file)\s+)?[\w/-]+\.(?:jpe?g|png|webp|gif|bmp|tiff?)\b/gi, "");
}

function suggestions(questions) {
  return h("ul", { class: "chips", "aria-label": "Questions to try" }, (questions ?? []).map((question) =>
    h("li", {}, h("a", { class: "chip", href: address.results(question), "data-link": true }, question))));
}

function verdict(question, found, about) {
  const how = { program: "Worked out step by step", reasoner: "About one picture", vector: "Ranked by likeness, not worked out" }[found.method];
  const distribution = !("likely" in found.counts);
  return h("header", { class: "verdict" },
    h("p", { class: "asked" }, question),
    h("h1", { tabindex: "-1" }, headline(question, found)),
    h("p", { class: "how" },
      h("span", { class: `badge by-${found.method}` }, how),
      !distribution && h("span", {}, `${count(found.counts.likely, "likely picture")} of ${found.counts.of}, ${found.counts.expected} expected`)),
    distribution && Object.keys(found.counts).length > 0 && chart(found.counts),
    found.notes.map((note) => h("p", { class: "note" }, note)),
    found.program && h("details", { class: "reading" },
      h("summary", {}, "How the question was read"),
      h("ol", { class: "program", start: "0" }, found.program.map((step) =>
        h("li", {}, h("code", {}, `${step.operation}${step.argument && step.argument !== "?" ? `: ${step.argument}` : ""}`),
          step.dependencies.length > 0 && h("span", { class: "soft" }, ` of ${step.dependencies.join(", ")}`))))));
}

/** The answer; "0" alone says little where pictures were asked for. */
function headline(question, found) {
  const counted = /^\s*(?:in\s+)?how\s+many|^\s*count/i.test(question);
  return found.answer === "0" && !counted ? "No picture fits" : found.answer;
}

function chart(counts) {
  const most = Math.max(...Object.values(counts), 1e-9);
  return h("dl", { class: "chart" }, Object.entries(counts).map(([name, weight]) =>
    h("div", {}, h("dt", {}, name), h("dd", {}, bar(weight / most), h("span", {}, String(weight))))));
}

function nothing(found, about) {
  return h("div", { class: "nothing" },
    h("p", {}, found.method === "vector"
      ? "None of these words is known here. Try names of things that pictures show."
      : "No picture fits. Fewer conditions may help, or another word for the same thing."),
    suggestions(about.suggestions));
}

/** A button that appends the next part of all pictures. */
function more(view, list, shown, total, load, link) {
  if (shown >= total) return;
  const button = h("button", { type: "button", onclick: async () => {
    button.disabled = true;
    const next = await load(shown);
    const cards = next.map((picture) => card(picture, link(picture)));
    list.append(...cards);
    cards[0]?.querySelector("a").focus();
    shown += next.length;
    button.disabled = false;
    label();
    if (shown >= total || !next.length) button.remove();
  } });
  const label = () => { button.textContent = `Show more (${percent(shown / total)} shown)`; };
  label();
  view.append(h("p", { class: "more" }, button));
}
