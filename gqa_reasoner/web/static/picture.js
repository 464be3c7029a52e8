// The page of one picture: its boxes, questions about it, the reasons of the answers.
import { address, api } from "./api.js";
import { comparison } from "./compare.js";
import { h, say, shortName } from "./dom.js";
import { grid } from "./grid.js";
import { CONTROLS, MODE_NAMES } from "./modes.js";
import { Pointer, reasons } from "./reasons.js";

/**
 * @param values {id | upload, question, expansion, from, compare} of the address
 * @param context {about, order, go, problem}: go(values) changes the address without a new page
 */
export async function showPicture(values, context, signal) {
  const record = values.upload
    ? await api.uploaded(values.upload, signal) : await api.picture(values.id, signal);
  const name = values.upload ? "Your picture" : shortName(values.id);
  const layer = h("div", { class: "boxes", "aria-hidden": "true" });
  const pointer = new Pointer(layer, record);
  const output = h("div", { class: "output", "aria-busy": "false" });
  const page = { record, values, context, pointer, output };
  const box = askBox(page);
  const view = h("article", { class: "view picture" },
    top(values, name, context),
    h("div", { class: "columns" },
      stage(record, values, name, layer),
      h("div", { class: "panel" }, box, output, seen(record, pointer))));
  const start = () => {
    if (values.question) box.run(values.compare === "1");
    if (!values.upload) alike(view, values, signal);
  };
  return { view, title: name, start };
}

/** Pictures like this one, below. */
async function alike(view, values, signal) {
  try {
    const { images } = await api.similar(values.id, signal);
    if (!images.length) return;
    const { pictures } = await api.sizes(images.map((image) => image.image_id), signal);
    const link = (picture) => address.picture({ id: picture.image_id, from: values.from });
    view.append(h("section", { "aria-label": "Pictures like this" },
      h("h2", { class: "section" }, "Pictures like this"), grid(pictures, link, "Pictures like this")));
  } catch { /* the page does without */ }
}

function top(values, name, context) {
  const back = values.upload ? "/" : address.results(values.from);
  const place = context.order.indexOf(values.id);
  const neighbour = (step, label, text) => {
    const id = context.order[place + step];
    return place >= 0 && id !== undefined && h("a", {
      class: "button quiet", "data-link": true, "data-step": String(step), "aria-label": label,
      href: address.picture({ id, from: values.from, question: values.question, expansion: values.expansion }),
    }, text);
  };
  return h("nav", { class: "crumbs", "aria-label": "Results" },
    h("a", { class: "button quiet", href: back, "data-link": true, "data-back": true },
      values.from ? `← ${values.from}` : "← All pictures"),
    h("h1", { tabindex: "-1" }, name),
    h("span", { class: "pair" }, neighbour(-1, "Picture before", "‹"), neighbour(1, "Picture after", "›")));
}

function stage(record, values, name, layer) {
  const source = values.upload ? address.uploaded(values.upload)
    : record.missing ? address.thumbnail(values.id) : address.image(values.id);
  const names = [...new Set(record.objects.map((item) => item.name))].slice(0, 8).join(", ");
  const facts = Object.entries(record.facts ?? {}).filter(([, value]) => typeof value === "string");
  const image = h("img", {
    src: source, width: record.width, height: record.height,
    alt: record.caption ?? (names ? `A picture that shows ${names}` : name),
    onerror: (event) => event.target.closest(".canvas").classList.add("lost"),
  });
  return h("figure", { class: "stage" },
    h("div", { class: "canvas", vars: { "--ratio": record.width / record.height } }, image, layer),
    h("figcaption", {},
      record.caption && h("p", { class: "caption" }, record.caption),
      record.missing && h("p", { class: "note" }, record.missing),
      h("p", { class: "soft small" }, [
        `${record.width} × ${record.height}`, ...facts.map(([, value]) => value),
        record.taken && `taken ${record.taken.slice(0, 16)}`,
        record.place && `${record.place[0].toFixed(3)}, ${record.place[1].toFixed(3)}`,
      ].filter(Boolean).join(" · "))));
}

function askBox(page) {
  const { values, context, record } = page;
  const input = h("input", {
    id: "question", name: "question", type: "text", autocomplete: "off", enterkeyhint: "go",
    maxlength: String(context.about.question_characters ?? 500),
    placeholder: "What is … holding? How many …?", value: values.question ?? "",
  });
  const chosen = () => form.elements.expansion.value;
  const form = h("form", { class: "ask", "aria-label": "Ask this picture", onsubmit: (event) => {
    event.preventDefault();
    form.run(false);
  } },
  h("label", { for: "question", class: "title" }, "Ask this picture"),
  h("div", { class: "line" }, input, h("button", { class: "primary", type: "submit" }, "Ask")),
  h("ul", { class: "chips small", "aria-label": "Questions to try" }, ideas(record).map((text) =>
    h("li", {}, h("button", { type: "button", class: "chip", onclick: () => { input.value = text; form.run(false); } }, text)))),
  switches(context.about, values.expansion, () => { if (input.value.trim()) form.run(false); }),
  h("p", { class: "row" }, h("button", { type: "button", class: "link", id: "compare", onclick: () => form.run(true) },
    "Compare every source of context")));
  form.run = async (compare) => {
    const question = input.value.trim();
    if (!question) { input.focus(); return; }
    Object.assign(page.values, { question, expansion: chosen(), compare: compare ? "1" : null });
    context.go(page.values);
    await answerInto(page, question, chosen(), compare);
  };
  return form;
}

async function answerInto(page, question, expansion, compare) {
  const { values, output, pointer, record, context } = page;
  page.running?.abort();
  const running = page.running = new AbortController();
  const about = values.upload ? { upload: values.upload } : { image_id: values.id };
  output.setAttribute("aria-busy", "true");
  try {
    const asked = api.ask({ question, expansion, ...about }, running.signal);
    const table = compare ? api.compare({ question, ...about }, running.signal) : null;
    const [found, compared] = await Promise.all([asked, table]);
    pointer.held = null;
    pointer.rest();
    output.replaceChildren(...[compared && comparison(compared), reasons(found, pointer, record.objects)].filter(Boolean));
    say(`${found.answer}, ${Math.round(found.score * 100)} percent.`);
    if (compare) output.querySelector("#comparison").scrollIntoView({ block: "nearest" });
  } catch (error) {
    if (error.name !== "AbortError") output.replaceChildren(context.problem(error, () => answerInto(page, question, expansion, compare)));
  } finally {
    if (page.running === running) output.setAttribute("aria-busy", "false");
  }
}

function switches(about, expansion, changed) {
  const now = expansion || about.expansion;
  const option = (mode) => h("label", { class: "option" },
    h("input", { type: "radio", name: "expansion", value: mode, checked: mode === now, onchange: changed }),
    h("span", {}, MODE_NAMES[mode] ?? mode));
  const sources = about.expansions.filter((mode) => !CONTROLS.has(mode));
  const controls = about.expansions.filter((mode) => CONTROLS.has(mode));
  return h("fieldset", { class: "switches" },
    h("legend", {}, "Context"),
    h("div", { class: "options" }, sources.map(option)),
    h("details", { open: CONTROLS.has(now) },
      h("summary", {}, "Controls"),
      h("p", { class: "soft small" }, "They carry no knowledge about the question; answers that stay the same did not need any."),
      h("div", { class: "options" }, controls.map(option))));
}

/** Up to three questions about what the picture shows. */
function ideas(record) {
  const names = [...new Set(record.objects.filter((item) => item.score >= 0.5).map((item) => item.name))];
  const [first, second] = names;
  return [
    first && `What color is the ${first}?`,
    second && `What is to the left of the ${second}?`,
    first && second && `Is there ${/^[aeiou]/.test(second) ? "an" : "a"} ${second}?`,
  ].filter(Boolean);
}

function seen(record, pointer) {
  if (!record.objects.length) return h("p", { class: "soft" }, "The detector found nothing it knows in this picture.");
  return h("details", { class: "seen" },
    h("summary", {}, `Everything seen (${record.objects.length})`),
    h("ul", { class: "chips small" }, record.objects.map((item) => {
      const words = Object.entries(item.attributes).filter(([, score]) => score >= 0.5).map(([word]) => word).join(" ");
      const button = h("button", { type: "button", class: "chip thing", "aria-pressed": "false" },
        words && h("span", { class: "soft" }, `${words} `), item.name, h("span", { class: "soft" }, ` ${item.score.toFixed(2)}`));
      pointer.attach(button, () => [item], 1);
      return h("li", {}, button);
    })));
}
