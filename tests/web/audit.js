// Checks of a page's accessibility that run inside the browser; each finding is a sentence.
// WCAG 2.2 AA: contrast of text 4.5 (3 when large) and of fields' borders 3, names of controls and
// pictures, headings in order, targets of 24 pixels, no sideways scrolling.
() => {
  const found = [];
  const visible = (element) => {
    const box = element.getBoundingClientRect();
    const style = getComputedStyle(element);
    return box.width > 1 && box.height > 1 && style.visibility !== "hidden" && style.display !== "none"
      && !element.closest("[hidden]") && Number(style.opacity) > 0;
  };
  const name = (element) => `${element.tagName.toLowerCase()}.${element.className} "${(element.textContent ?? "").trim().slice(0, 30)}"`;
  // -- colours: blend every background under an element, then compare with its text
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const parse = (text) => {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = text;
    pen.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, bottom) => [0, 1, 2].map((i) => top[i] * top[3] + bottom[i] * (1 - top[3]));
  const behind = (element) => {
    const layers = [];
    for (let node = element; node; node = node.parentElement) layers.push(parse(getComputedStyle(node).backgroundColor));
    return layers.reverse().reduce((under, layer) => over(layer, under), [255, 255, 255]);
  };
  const light = (colour) => {
    const [r, g, b] = colour.map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [high, low] = [light(one), light(other)].sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05);
  };
  for (const element of document.querySelectorAll("body *")) {
    const texts = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    const field = element.matches("input:not([type=radio]):not([type=file])");
    if ((!texts && !field) || !visible(element) || element.closest(".hidden, option")) continue;
    const style = getComputedStyle(element);
    const ground = behind(element);
    const colours = [style.color];
    if (field) colours.push(getComputedStyle(element, "::placeholder").color);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.6 && Number(style.fontWeight) >= 700);
    for (const colour of colours) {
      const ratio = contrast(over(parse(colour), ground), ground);
      if (ratio < (large ? 3 : 4.5)) found.push(`contrast ${ratio.toFixed(2)} of ${name(element)}`);
    }
    if (field && contrast(over(parse(style.borderTopColor), ground), behind(element.parentElement)) < 3) {
      found.push(`border of ${name(element)}`);
    }
  }
  // -- names
  const label = (element) => element.getAttribute("aria-label")
    || (element.labels && [...element.labels].map((item) => item.textContent.trim()).join(" "))
    || element.textContent.trim() || element.querySelector("img[alt]:not([alt=''])")?.alt || "";
  for (const element of document.querySelectorAll("a, button, input, select, textarea, summary")) {
    if (!label(element)) found.push(`no label: ${name(element)}`);
  }
  for (const image of document.querySelectorAll("img")) {
    if (!image.hasAttribute("alt")) found.push(`no alt: ${image.src}`);
    if (image.closest("main") && image.complete && !image.naturalWidth) found.push(`not loaded: ${image.src}`);
  }
  // -- structure
  if (!document.documentElement.lang) found.push("no language");
  if (document.querySelectorAll("h1").length !== 1) found.push(`${document.querySelectorAll("h1").length} h1`);
  if (document.querySelectorAll("main").length !== 1) found.push("not one main");
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  if (new Set(ids).size !== ids.length) found.push("an id twice");
  let level = 0;
  for (const heading of document.querySelectorAll("main h1, main h2, main h3")) {
    const next = Number(heading.tagName[1]);
    if (next > level + 1) found.push(`heading skips to ${heading.tagName}: ${heading.textContent}`);
    level = next;
  }
  for (const element of document.querySelectorAll("[tabindex]")) {
    if (element.tabIndex > 0) found.push(`tabindex of ${name(element)}`);
  }
  // -- fingers and narrow windows
  for (const element of document.querySelectorAll("button, .button, input[type=search], input[type=text]")) {
    const box = element.getBoundingClientRect();
    if (visible(element) && (box.height < 24 || box.width < 24)) found.push(`small target: ${name(element)}`);
  }
  const wide = document.documentElement.scrollWidth - innerWidth;
  if (wide > 0) found.push(`${wide} pixels wider than the window`);
  return found;
}
