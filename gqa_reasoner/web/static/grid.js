// The grid of pictures: rows of equal height, boxes on hover and focus, arrow keys.
import { address } from "./api.js";
import { drawBoxes } from "./boxes.js";
import { bar, h, percent, shortName } from "./dom.js";

/**
 * A list of cards.
 * @param pictures [{image_id, width, height, score?, boxes?}]
 * @param link picture → address of its page
 */
export function grid(pictures, link, label) {
  return h("ul", { class: "grid", "aria-label": label, onkeydown: arrows },
    pictures.map((picture) => card(picture, link(picture))));
}

export function card(picture, href) {
  const { width, height, boxes = [] } = picture;
  const ratio = width / height || 4 / 3;
  const seen = boxes.slice(0, 3).map((item) => `${item.name} ${item.weight.toFixed(2)}`).join(" · ");
  const layer = h("span", { class: "boxes", "aria-hidden": "true" });
  const image = h("img", {
    src: address.thumbnail(picture.image_id),
    alt: boxes.length ? `Picture with ${[...new Set(boxes.map((item) => item.name))].join(", ")}` : "",
    width, height, loading: "lazy", decoding: "async",
    onerror: (event) => event.target.closest(".frame").classList.add("lost"),
  });
  if (boxes.length) drawBoxes(layer, boxes, picture, 0, false);
  return h("li", { class: "card" },
    h("a", { href, "data-link": true, "data-id": picture.image_id },
      h("span", { class: "frame" },
        h("span", { class: "fitted", vars: { "--ratio": ratio } }, image, layer)),
      h("span", { class: "meta" },
        h("span", { class: "name" }, shortName(picture.image_id)),
        picture.score !== undefined && h("span", { class: "score" }, bar(picture.score), percent(picture.score))),
      seen && h("span", { class: "reason" }, seen)));
}

const STEP = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Focus the nearest card in the arrow's direction. */
function arrows(event) {
  const direction = STEP[event.key];
  const from = event.target.closest("a[data-id]");
  if (!direction || !from || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  event.stopPropagation();
  const all = [...document.querySelectorAll(".grid a[data-id]")];
  const place = all.indexOf(from);
  if (direction[1] === 0) {
    all[place + direction[0]]?.focus();
    return;
  }
  const here = middle(from);
  const rows = all.map((item) => ({ item, at: middle(item) }))
    .filter(({ at }) => (at.y - here.y) * direction[1] > 20);
  const nearest = Math.min(...rows.map(({ at }) => Math.abs(at.y - here.y)));
  const next = rows.filter(({ at }) => Math.abs(at.y - here.y) < nearest + 20)
    .sort((one, other) => Math.abs(one.at.x - here.x) - Math.abs(other.at.x - here.x))[0];
  next?.item.focus();
}

function middle(element) {
  const box = element.getBoundingClientRect();
  return { x: box.left + box.width / 2, y: box.top + box.height / 2 };
}
