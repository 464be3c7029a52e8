// An answer with its reasons: candidates, steps whose boxes are drawn, and the context used.
import { clearBoxes, drawBoxes } from "./boxes.js";
import { bar, count, h, percent } from "./dom.js";

const RELATION = (name) => name.replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase();
const SOURCE = {
  own: "asked of this picture", similar: "asked of a picture like this", walk: "asked of a linked picture",
};

const SHOWN = 6;

/** A list whose end is folded away. */
function folded(rows) {
  const list = h("ul", { class: "facts" }, rows.slice(0, SHOWN));
  if (rows.length <= SHOWN) return list;
  return [list, h("details", { class: "folded" },
    h("summary", {}, `${rows.length - SHOWN} more`), h("ul", { class: "facts" }, rows.slice(SHOWN)))];
}

/** Draws on the stage: what is pointed at, else what is held, else nothing. */
export class Pointer {
  constructor(layer, size) {
    this.layer = layer;
    this.size = size;
    this.held = null;
  }

  show(objects, tint) {
    drawBoxes(this.layer, objects, this.size, tint);
  }

  rest() {
    if (this.held) this.show(this.held.objects, this.held.tint);
    else clearBoxes(this.layer);
  }

  /** Hold or let go; says whether it is held now. */
  toggle(button, objects, tint) {
    const again = this.held?.button === button;
    this.held?.button?.setAttribute("aria-pressed", "false");
    this.held = again ? null : { button, objects, tint };
    button.setAttribute("aria-pressed", String(!again));
    this.rest();
  }

  /** Make an element draw boxes on hover and focus, and hold them on click. */
  attach(button, objects, tint) {
    const show = () => this.show(objects(), tint);
    button.addEventListener("mouseenter", show);
    button.addEventListener("focus", show);
    button.addEventListener("mouseleave", () => this.rest());
    button.addEventListener("blur", () => this.rest());
    if (button.hasAttribute("aria-pressed")) {
      button.addEventListener("click", () => this.toggle(button, objects(), tint));
    }
  }
}

/**
 * The reasons of one answer.
 * @param record of `ask --json`
 * @param pointer draws on the picture
 * @param objects what the picture shows, so that facts can point at it
 */
export function reasons(record, pointer, objects) {
  const buttons = [];
  const view = h("div", { class: "reasons" },
    answer(record),
    record.trace.length > 0 && h("section", { "aria-label": "Steps" },
      h("h3", {}, "Steps"),
      h("p", { class: "soft small" }, "Point at a step to see what it rests on; press to hold it."),
      h("ol", { class: "steps" }, record.trace.map((step, place) => stepRow(step, place, pointer, buttons)))),
    facts(record.context.triples, pointer, objects),
    queries(record.context.queries),
    record.notes.length > 0 && h("section", { "aria-label": "Notes" }, h("h3", {}, "Notes"),
      h("ul", { class: "notes" }, record.notes.map((note) => h("li", {}, note)))));
  const last = record.trace.findLastIndex((step) => step.objects.length > 0);
  if (last >= 0) pointer.toggle(buttons[last], record.trace[last].objects, last);
  return view;
}

function answer(record) {
  const weight = record.executor_weight;
  const method = record.method === "mixture" && weight !== null
    ? `executed steps ${percent(weight)}, network ${percent(1 - weight)}`
    : record.method === "program" ? "the executed steps alone" : "the network alone";
  return h("section", { class: "answer", "aria-label": "Answer" },
    h("p", { class: "asked" }, record.question),
    h("h2", { class: "big", id: "answer", tabindex: "-1" }, record.answer),
    h("ul", { class: "candidates", "aria-label": "Likeliest answers" }, record.candidates.map((item) =>
      h("li", {}, h("span", { class: "word" }, item.answer), bar(item.score), h("span", { class: "figure" }, percent(item.score))))),
    h("p", { class: "soft small" }, `Decided by ${method}.`));
}

/** "_, riding, o" as "riding": which end is meant shows in what was found. */
function plain(argument) {
  return argument.trim().replace(/^_,\s*/, "").replace(/,\s*[so]$/, "");
}

function stepRow(step, place, pointer, buttons) {
  const [operation, ...rest] = step.step.replace(/\s*\[[\d, ]*\]\s*$/, "").split(":");
  const found = "truth" in step
    ? `${step.truth >= 0.5 ? "yes" : "no"} ${step.truth.toFixed(2)}`
    : step.objects.length
      ? step.objects.map((item) => `${item.name} ${item.weight.toFixed(2)}`).join(", ")
      : step.answer ?? "nothing found";
  const button = h("button", { type: "button", class: `step tint-${place % 8}`, "aria-pressed": "false" },
    h("span", { class: "number", "aria-hidden": "true" }, String(place)),
    h("span", { class: "what" }, h("b", {}, operation.trim()), rest.length > 0 && ` ${plain(rest.join(":"))}`),
    h("span", { class: "found" }, found));
  pointer.attach(button, () => step.objects, place);
  buttons.push(button);
  return h("li", {}, button);
}

function facts(triples, pointer, objects) {
  if (!triples.length) return null;
  return h("section", { "aria-label": "Facts used" },
    h("h3", {}, "Facts used ", h("span", { class: "soft" }, count(triples.length, "triple"))),
    folded(triples.map((item) => {
      const named = () => objects.filter((thing) => thing.name === item.head);
      const row = h("li", { tabindex: "0" },
        h("span", { class: "text" }, item.text),
        h("span", { class: "relation" }, RELATION(item.relation)),
        h("span", { class: "weight" }, bar(item.relevance), item.relevance.toFixed(2)));
      pointer.attach(row, named, 5);
      return row;
    })));
}

function queries(items) {
  if (!items.length) return null;
  return h("section", { "aria-label": "Questions of others used" },
    h("h3", {}, "Co-click queries used ", h("span", { class: "soft" }, count(items.length, "query").replace("querys", "queries"))),
    folded(items.map((item) => h("li", {},
      h("span", { class: "text" }, item.text),
      h("span", { class: "relation" }, SOURCE[item.source] ?? item.source),
      h("span", { class: "weight" }, bar(item.relevance), item.relevance.toFixed(2))))));
}
