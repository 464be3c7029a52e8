// Boxes over a picture, in percent of its size, so that they fit at every width.
import { h } from "./dom.js";

/**
 * Draw boxes into a layer that lies over the picture.
 * @param layer element with class "boxes" above the image
 * @param objects [{name, box: [x1, y1, x2, y2], weight}] in pixels of the original
 * @param size {width, height} of the original
 * @param tint number of the colour
 * @param tags whether names are written at the boxes
 */
export function drawBoxes(layer, objects, size, tint, tags = true) {
  const placed = [];
  layer.replaceChildren(...objects.map((item) => {
    const [x1, y1, x2, y2] = item.box;
    const left = clamp((x1 / size.width) * 100);
    const top = clamp((y1 / size.height) * 100);
    const right = clamp((x2 / size.width) * 100);
    const bottom = clamp((y2 / size.height) * 100);
    const weight = item.weight ?? item.score;
    const tag = tags && h("span", { class: tagPlace(left, top, placed) }, item.name,
      weight !== undefined && h("b", {}, ` ${weight.toFixed(2)}`));
    return h("div", {
      class: `box tint-${tint % 8}`,
      vars: { left: `${left}%`, top: `${top}%`, width: `${right - left}%`, height: `${bottom - top}%` },
    }, tag);
  }));
}

export function clearBoxes(layer) {
  layer.replaceChildren();
}

function clamp(value) {
  return Math.max(0, Math.min(100, value));
}

/** Above the box, or inside where there is no room; right-aligned near the right edge. */
function tagPlace(left, top, placed) {
  const crowded = placed.some(([x, y]) => Math.abs(x - left) < 22 && Math.abs(y - top) < 6);
  placed.push([left, top]);
  return ["tag", (top < 9 || crowded) && "inside", left > 70 && "end"].filter(Boolean).join(" ");
}
