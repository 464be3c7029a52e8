// The ablation view: one question, the answers of every source of context side by side.
import { bar, count, h, percent } from "./dom.js";
import { MODE_NAMES } from "./modes.js";

/** A table of answers; those that differ from the commonest one are marked. */
export function comparison(record) {
  const tally = new Map();
  for (const item of record.answers) tally.set(item.answer, (tally.get(item.answer) ?? 0) + 1);
  const usual = [...tally].sort((one, other) => other[1] - one[1])[0][0];
  return h("section", { class: "comparison", "aria-label": "Answers by source of context" },
    h("h2", { id: "comparison", tabindex: "-1" }, "Answers by source of context"),
    h("p", { class: "soft small" }, tally.size === 1
      ? "Every source leads to the same answer."
      : `${count(tally.size, "answer")} differ: context matters for this question.`),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of answers" },
      h("table", {},
        h("thead", {}, h("tr", {}, ["Source", "Answer", "Score"].map((name) => h("th", { scope: "col" }, name)))),
        h("tbody", {}, record.answers.map((item) => row(item, item.answer !== usual))))));
}

function row(item, differs) {
  const { triples, queries } = item.context;
  const first = [...queries, ...triples].map((entry) => entry.text).filter(Boolean).slice(0, 2).join("; ");
  const size = [triples.length && count(triples.length, "triple"),
    queries.length && count(queries.length, "query").replace("querys", "queries")].filter(Boolean).join(", ");
  return h("tr", { class: differs ? "differs" : null },
    h("th", { scope: "row" }, MODE_NAMES[item.expansion] ?? item.expansion, h("span", { class: "soft block" }, size || "nothing")),
    h("td", {}, h("b", { class: "word" }, item.answer), differs && h("span", { class: "hidden" }, " (differs)"),
      first && h("span", { class: "soft block" }, first)),
    h("td", { class: "figure" }, bar(item.score), percent(item.score)));
}
