// What the tool "Review" shows in place of the map: one object large, the others of the page in a strip, and what is drawn.

const SVG = "http://www.w3.org/2000/svg";
const MARKS = { accept: "✓", reject: "✕", class: "C", box: "▢", mask: "▣" };
const LEAST = 4; // pixels of the picture below which a drawn box is a slip

export function element(name, options = {}, ...children) {
  const { dataset, attributes, on, ...own } = options;
  const made = Object.assign(document.createElement(name), own);
  Object.assign(made.dataset, dataset || {});
  for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
  for (const [key, value] of Object.entries(on || {})) made.addEventListener(key, value);
  made.append(...children);
  return made;
}

function shape(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

// Between pixels of the picture and of the tile.
function scales(item) {
  const [x1, y1, x2, y2] = item.window;
  return { toTile: ([x, y]) => [x1 + (x * (x2 - x1)) / item.width, y1 + (y * (y2 - y1)) / item.height],
    toPicture: ([x, y]) => [((x - x1) * item.width) / (x2 - x1), ((y - y1) * item.height) / (y2 - y1)] };
}

const pathOf = (rings, to) => rings.map((ring) => "M" + ring.map((at) => to(at).map((v) => v.toFixed(1)).join(" ")).join("L") + "Z").join("");

// onPick(index), onBox(box in tile pixels), onClick(x, y in tile pixels, whether it is off the object)
export function makeStage(container, { onPick, onBox, onClick }) {
  const svg = shape("svg", { role: "img", tabindex: "-1" });
  const empty = element("p", { className: "empty", hidden: true });
  const name = element("div", { className: "review-name" });
  const draft = element("div", { className: "review-draft", hidden: true });
  const view = element("div", { className: "review-view" }, svg, empty, name, draft);
  const strip = element("div", { className: "review-strip", attributes: { role: "listbox", "aria-label": "Objects" } });
  const stage = element("div", { id: "review-stage", hidden: true }, view, strip);
  container.append(stage);
  let shown = null;
  let mode = "";
  let start = null;
  let rectangle = null;

  const at = (event) => {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    return [Math.min(Math.max(point.x, 0), shown.width), Math.min(Math.max(point.y, 0), shown.height)];
  };
  const corners = (a, b) => [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[0], b[0]), Math.max(a[1], b[1])];
  const clear = () => svg.querySelectorAll(".review-new, .review-on, .review-off").forEach((own) => own.remove());

  svg.addEventListener("pointerdown", (event) => {
    if (!shown || mode !== "box" || event.button > 0) return;
    event.preventDefault();
    svg.setPointerCapture(event.pointerId);
    clear();
    start = at(event);
    rectangle = shape("rect", { class: "review-new" });
    svg.append(rectangle);
  });
  svg.addEventListener("pointermove", (event) => {
    if (!start) return;
    const [x1, y1, x2, y2] = corners(start, at(event));
    for (const [key, value] of [["x", x1], ["y", y1], ["width", x2 - x1], ["height", y2 - y1]]) rectangle.setAttribute(key, value);
  });
  const end = (event) => {
    if (!start) return;
    const [x1, y1, x2, y2] = corners(start, at(event));
    start = null;
    if (x2 - x1 < LEAST || y2 - y1 < LEAST) return clear();
    const { toTile } = scales(shown);
    onBox([...toTile([x1, y1]), ...toTile([x2, y2])].map((value) => Math.round(value * 100) / 100));
  };
  svg.addEventListener("pointerup", end);
  svg.addEventListener("pointercancel", () => { start = null; clear(); });
  svg.addEventListener("click", (event) => {
    if (shown && mode === "click") onClick(...scales(shown).toTile(at(event)), event.shiftKey || event.altKey);
  });
  svg.addEventListener("contextmenu", (event) => {
    if (!shown || mode !== "click") return;
    event.preventDefault();
    onClick(...scales(shown).toTile(at(event)), true);
  });

  return {
    stage,
    show(item, label) {
      shown = item;
      svg.replaceChildren();
      empty.hidden = true;
      name.hidden = !item;
      if (!item) return;
      svg.setAttribute("viewBox", `0 0 ${item.width} ${item.height}`);
      svg.setAttribute("aria-label", `${item.label} in ${item.tile}, object ${item.object}`);
      const picture = shape("image", { href: item.picture, width: item.width, height: item.height });
      picture.addEventListener("load", () => { stage.dataset.picture = String(item.number); });
      svg.append(picture, shape("path", { class: "review-box", d: item.boxes }), shape("path", { class: "review-mask", d: item.outline }));
      name.textContent = label;
      if (item.decision && item.decision.box) this.drawBox(item.decision.box);
    },
    say(text) {
      this.show(null);
      empty.textContent = text;
      empty.hidden = false;
    },
    setMode(value) {
      mode = value;
      svg.classList.toggle("drawing", Boolean(value));
      if (!value) this.offer([]);
    },
    bare: (value) => svg.classList.toggle("bare", value),
    clear,
    drawBox([x1, y1, x2, y2]) {
      clear();
      const { toPicture } = scales(shown);
      const [a, b] = [toPicture([x1, y1]), toPicture([x2, y2])];
      svg.append(shape("rect", { class: "review-new", x: a[0], y: a[1], width: b[0] - a[0], height: b[1] - a[1] }));
    },
    drawMask(rings, points) {
      clear();
      const { toPicture } = scales(shown);
      svg.append(shape("path", { class: "review-new", d: pathOf(rings, toPicture) }));
      for (const [x, y, on] of points) {
        const [cx, cy] = toPicture([x, y]);
        svg.append(shape("circle", { class: on ? "review-on" : "review-off", cx, cy, r: shown.width / 90 }));
      }
    },
    // Buttons over the picture: [text, whether it is the main one, what it does].
    offer(buttons) {
      draft.hidden = !buttons.length;
      draft.replaceChildren(...buttons.map(([text, main, act]) => element("button", { type: "button", textContent: text,
        className: main ? "primary" : "", on: { click: act } })));
    },
    fill(items) {
      strip.replaceChildren(...items.map((item, i) => {
        const picture = shape("svg", { viewBox: `0 0 ${item.width} ${item.height}`, preserveAspectRatio: "xMidYMid slice", "aria-hidden": "true" });
        picture.append(shape("image", { href: item.picture, width: item.width, height: item.height }), shape("path", { class: "review-mask", d: item.outline }));
        return element("button", { type: "button", title: `${item.label}, ${item.tile}, object ${item.object}`,
          attributes: { role: "option", "aria-label": `${item.label}, object ${item.object} in ${item.tile}` }, on: { click: () => onPick(i) } }, picture);
      }));
      items.forEach((item, i) => this.mark(i, item.decision));
    },
    mark(i, decision) {
      const button = strip.children[i];
      button?.querySelector("i")?.remove();
      if (button && decision) button.append(element("i", { textContent: MARKS[decision.decision], dataset: { kind: decision.decision } }));
    },
    choose(i) {
      [...strip.children].forEach((button, k) => button.setAttribute("aria-selected", String(k === i)));
      strip.children[i]?.scrollIntoView({ block: "nearest", inline: "nearest" });
    },
  };
}
