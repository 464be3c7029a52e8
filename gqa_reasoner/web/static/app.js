// Addresses to views, and what is the same on every page: search, upload, keys.
import { address, api } from "./api.js";
import { $, h, say } from "./dom.js";
import { showPicture } from "./picture.js";
import { showAll, showFound } from "./results.js";

const main = $("main");
const state = { about: null, order: [], shown: "", running: null };
const here = () => location.pathname + location.search;

async function route({ focus = true } = {}) {
  state.running?.abort();
  const running = state.running = new AbortController();
  state.shown = here();
  const url = new URL(location.href);
  const values = Object.fromEntries(url.searchParams);
  busy(true);
  try {
    state.about ??= await api.collection();
    describe(state.about);
    const shown = await view(url.pathname, values, running.signal);
    if (running.signal.aborted) return;
    if (shown.order) state.order = shown.order;
    document.title = `${shown.title} · ${state.about.name}`;
    show(shown.view, focus);
    shown.start?.();
  } catch (error) {
    if (error.name === "AbortError") return;
    document.title = "A problem";
    show(problem(error, () => route()), focus);
  } finally {
    if (state.running === running) busy(false);
  }
}

function view(path, values, signal) {
  $("query").value = path === "/" ? values.q ?? "" : values.from ?? "";
  if (path === "/picture" && (values.id || values.upload)) {
    const context = { about: state.about, order: state.order, go, problem };
    return showPicture(values, context, signal);
  }
  const question = (values.q ?? "").trim();
  return question ? showFound(question, state.about, signal) : showAll(state.about, signal);
}

function show(element, focus) {
  const kept = history.state ?? {};
  main.replaceChildren(element);
  scrollTo(0, kept.scroll ?? 0);
  if (!focus) return;
  const card = kept.card && main.querySelector(`a[data-id="${CSS.escape(kept.card)}"]`);
  (card || main.querySelector("h1"))?.focus({ preventScroll: true });
  if (card && kept.scroll === undefined) card.scrollIntoView({ block: "center" });
}

/** Change the address of the page that is shown. */
function go(values) {
  const { from, ...rest } = values;
  history.replaceState(history.state, "", address.picture({ ...rest, from }));
  state.shown = here();
}

/** Go to another view; `card` is where the reader leaves, `back` where he comes back to. */
function visit(href, card, back) {
  history.replaceState({ ...history.state, scroll: scrollY, card }, "");
  history.pushState({ card: back }, "", href);
  return route();
}

function problem(error, again) {
  const titles = { 0: "No connection", 404: "Not here", 410: "Gone", 429: "Busy", 503: "Not available" };
  say(error.message);
  const known = error.status !== undefined;
  return h("section", { class: "problem", role: "alert" },
    h("h1", { tabindex: "-1" }, titles[error.status] ?? "That did not work"),
    h("p", {}, known ? error.message : `The page has a fault (${error.message}). Reloading may help.`),
    h("p", { class: "row" }, h("button", { type: "button", class: "primary", onclick: again }, "Try again"),
      h("a", { class: "button", href: "/", "data-link": true }, "All pictures")));
}

function describe(about) {
  $("collection-name").textContent = about.name;
  const line = $("recording");
  line.hidden = !about.recording;
  if (about.recording) {
    line.textContent = about.recording_problem
      ? `Questions are not recorded: ${about.recording_problem}`
      : `Questions and opened pictures are recorded in ${about.recording} on this computer and become context of later answers.`;
  }
}

function busy(on) {
  $("progress").classList.toggle("on", on);
  main.setAttribute("aria-busy", String(on));
}

async function upload(file) {
  if (!file) return;
  const limit = state.about?.upload_bytes ?? Infinity;
  busy(true);
  say("Uploading.");
  try {
    if (file.size > limit) throw Object.assign(new Error(`The picture is larger than ${Math.round(limit / 1048576)} MB.`), { status: 413 });
    const record = await api.upload(file);
    await visit(address.picture({ upload: record.upload }));
  } catch (error) {
    show(problem(error, () => upload(file)), true);
  } finally {
    busy(false);
    $("upload").value = "";
  }
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-link]");
  if (!link || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  const query = new URL(location.href).searchParams.get("q");
  if (link.dataset.id && query) api.opened({ query, image_id: link.dataset.id });
  const back = "back" in link.dataset ? new URL(location.href).searchParams.get("id") : undefined;
  visit(link.getAttribute("href"), link.dataset.id, back);
});

$("search").addEventListener("submit", (event) => {
  event.preventDefault();
  visit(address.results($("query").value.trim()));
});

$("upload").addEventListener("change", (event) => upload(event.target.files[0]));
$("help-open").addEventListener("click", () => $("help").showModal());

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input:not([type=radio]):not([type=file]), textarea");
  if (event.altKey || event.ctrlKey || event.metaKey || $("help").open) return;
  if (event.key === "Escape") {
    if (typing) typing.blur();
    else main.querySelector("[data-back]")?.click();
    return;
  }
  if (typing) return;
  if (event.key === "/") {
    event.preventDefault();
    $("query").focus();
    $("query").select();
  } else if (event.key === "?") {
    $("help").showModal();
  } else if (event.key === "a" && $("question")) {
    event.preventDefault();
    $("question").focus();
  } else if (event.target.type !== "radio" && !event.target.closest(".scroll")) {
    const step = { ArrowLeft: "-1", ArrowRight: "1" }[event.key];
    if (step) main.querySelector(`[data-step="${step}"]`)?.click();
  }
});

let depth = 0;
const carriesFile = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
addEventListener("dragenter", (event) => { if (carriesFile(event)) { depth += 1; $("drop").hidden = false; } });
addEventListener("dragleave", () => { depth = Math.max(0, depth - 1); if (!depth) $("drop").hidden = true; });
addEventListener("dragover", (event) => { if (carriesFile(event)) event.preventDefault(); });
addEventListener("drop", (event) => {
  if (!carriesFile(event)) return;
  event.preventDefault();
  depth = 0;
  $("drop").hidden = true;
  upload(event.dataTransfer.files[0]);
});

history.scrollRestoration = "manual";
addEventListener("popstate", () => { if (here() !== state.shown) route(); });
route({ focus: false });
