// The tool "Draw": click or box an object, look at the mask that the model proposes, keep it as a polygon with a class.

import { area, element, makeList } from "/static/shapes_list.js";
import { makePointer } from "/static/shapes_pointer.js";

const WAIT = 1; // seconds that the server may wait for a quick model
const SLOW = 250; // milliseconds until the progress is shown
const EMPTY = { type: "FeatureCollection", features: [] };
const MODES = [["add", "+ Point", "Click on the object"], ["remove", "\u2212 Point", "Click what is not part of it"],
  ["box", "Box", "Drag a box around it"]];

function client() {
  const known = sessionStorage.getItem("rsseg-client");
  if (known) return known;
  const made = [...crypto.getRandomValues(new Uint8Array(9))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  sessionStorage.setItem("rsseg-client", made);
  return made;
}

function build(page) {
  const modes = MODES.map(([value, text, title]) => {
    const input = element("input", { type: "radio", name: "shapes-mode", value });
    return { input, label: element("label", { title }, input, element("span", { textContent: text })) };
  });
  const segments = element("div", { className: "segments" }, ...modes.map((mode) => mode.label));
  segments.setAttribute("role", "radiogroup");
  segments.setAttribute("aria-label", "What a click or a drag does");
  const hint = element("p", { className: "soft shapes-hint" });
  const progress = element("progress", { hidden: true, max: 1 });
  progress.setAttribute("aria-label", "Work of the model");
  const status = element("p", { className: "shapes-status" });
  status.setAttribute("role", "status");
  const names = element("datalist", { id: "shapes-names" });
  const label = element("input", { id: "shapes-class", maxLength: 100, autocomplete: "off", enterKeyHint: "done",
    placeholder: "for example roof" });
  label.setAttribute("list", "shapes-names");
  const quick = element("div", { className: "shapes-quick" });
  const accept = element("button", { type: "button", className: "primary", id: "shapes-accept", textContent: "Accept" });
  const reject = element("button", { type: "button", id: "shapes-reject", textContent: "Reject" });
  accept.setAttribute("aria-keyshortcuts", "Enter");
  reject.setAttribute("aria-keyshortcuts", "Escape");
  const tools = element("div", { className: "shapes-tools" }, segments, hint, progress, status,
    element("div", { className: "field" }, element("label", { htmlFor: "shapes-class", textContent: "Class" }), label, names), quick,
    element("div", { className: "row shapes-decide" }, accept, reject));
  const list = element("div", { className: "shapes-list" });
  const none = element("p", { className: "soft", hidden: true,
    textContent: "A set of labels has many images; its labels are corrected with the tool Review." });
  page.panel.append(tools, list, none);
  return { modes: modes.map((mode) => mode.input), hint, progress, status, label, names, quick, accept, reject, tools, list, none };
}

class Draw {
  constructor(page) {
    document.head.append(element("link", { rel: "stylesheet", href: "/static/shapes.css" }));
    this.page = page;
    this.client = client();
    this.ui = build(page);
    this.active = false;
    this.model = { predictor: "", points: true };
    this.turn = 0;
    this.list = makeList(page, this.ui.list, this.client, (listing) => this.listed(listing));
    this.pointer = makePointer(page, { click: (at, off) => this.click(at, off), box: (box) => this.box(box) });
    this.forget();
    this.ui.modes.forEach((input) => input.addEventListener("change", () => this.mode(input.value)));
    this.ui.accept.addEventListener("click", () => this.accept());
    this.ui.reject.addEventListener("click", () => this.reject());
    document.addEventListener("keydown", (event) => this.key(event));
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && this.active && this.drawable()) this.list.load().catch(this.fail);
    });
    this.mode("add");
    page.api.get("/api/masks").then((model) => {
      this.model = model;
      for (const input of this.ui.modes) input.disabled = !model.points && input.value !== "box";
      if (!model.points) this.mode("box");
    }).catch(this.fail);
    page.onLayer(() => this.layer());
  }

  fail = (error) => this.page.toast(error.message, "error");

  drawable() {
    const layer = this.page.current();
    return layer && layer.kind !== "set";
  }

  forget() {
    this.prompt = { box: null, points: [] };
    this.view = null;
    this.proposal = [];
  }

  mode(value) {
    this.chosen = value;
    for (const input of this.ui.modes) input.checked = input.value === value;
    this.pointer.set(this.active && this.drawable() ? value : null);
    this.hint();
  }

  hint() {
    const text = { add: "Click an object. Shift-click takes away what is not part of it.",
      remove: "Click what is not part of the object.", box: "Drag a box around an object." }[this.chosen];
    this.ui.hint.textContent = this.proposal.length ? "Refine it with more clicks, then accept it (Enter) or reject it (Escape)." : text;
  }

  // The layer or the tool has changed.
  layer() {
    this.reject();
    const drawable = this.drawable();
    for (const part of [this.ui.tools, this.ui.list]) part.hidden = !drawable;
    this.ui.none.hidden = drawable;
    this.mode(this.chosen);
    if (!this.active) return;
    if (drawable) this.list.load().catch(this.fail);
    else this.list.clear();
  }

  show(active) {
    this.active = active;
    this.list.show(active);
    if (active) this.layer();
    else {
      this.reject();
      this.pointer.set(null);
    }
  }

  listed({ classes }) {
    this.classes = classes;
    this.ui.names.replaceChildren(...classes.map(({ name }) => new Option(name)));
    this.ui.quick.replaceChildren(...classes.slice(0, 9).map(({ name, color }, i) => {
      const made = element("button", { type: "button", title: `Key ${i + 1}` }, element("span", { className: "swatch" }), name);
      made.firstChild.style.background = color;
      made.setAttribute("aria-keyshortcuts", String(i + 1));
      made.addEventListener("click", () => { this.ui.label.value = name; this.draw(); });
      return made;
    }));
    if (!this.ui.label.value && classes.length) this.ui.label.value = classes[0].name;
    this.draw();
  }

  click({ lng, lat }, off) {
    const { points } = this.prompt;
    const label = off || this.chosen === "remove" ? 0 : 1;
    if (!label && !this.prompt.box && !points.some((point) => point[2])) {
      this.page.toast("First click the object itself, or draw a box around it.");
      return;
    }
    points.push([lng, lat, label]);
    this.ask();
  }

  box(box) {
    this.forget();
    this.prompt.box = box;
    this.ask();
  }

  inside(view) {
    const { box, points } = this.prompt;
    const all = [...points, ...(box ? [[box[0], box[1]], [box[2], box[3]]] : [])];
    return all.every(([lon, lat]) => lon >= view.west && lon <= view.east && lat >= view.south && lat <= view.north);
  }

  // Ask the model about the object; what it was asked before is not awaited any more.
  async ask() {
    const turn = ++this.turn;
    const { ui, page } = this;
    this.cancel();
    this.state("busy");
    this.draw();
    const slow = setTimeout(() => { ui.progress.hidden = false; ui.progress.removeAttribute("value"); }, SLOW);
    try {
      const now = page.view();
      if (!this.view || !this.inside(this.view)) this.view = now; // the same view again needs the decoder only
      const { box, points } = this.prompt;
      const body = { layer: page.current().id, view: this.view, boxes: box ? [box] : [], points };
      const ticket = await page.api.post(`/segment/boxes?wait=${WAIT}`, body);
      if (turn !== this.turn) return this.end(ticket);
      this.ticket = ticket;
      const done = await page.api.finish(ticket, (found) => {
        if (turn === this.turn && found.progress) ui.progress.value = found.progress;
        if (turn === this.turn) ui.status.textContent = found.position
          ? `Waiting: ${found.position} before this one${found.message && ` (now: ${found.message})`}` : found.message;
      });
      if (turn === this.turn) this.propose(done.result);
    } catch (error) {
      if (turn !== this.turn) return;
      this.state("failed");
      ui.status.textContent = "";
      this.fail(error);
      this.prompt.points.pop();
      if (!this.prompt.points.length) this.forget();
      this.draw();
    } finally {
      clearTimeout(slow);
      if (turn === this.turn) {
        this.ticket = null;
        ui.progress.hidden = true;
      }
    }
  }

  end(ticket) {
    if (["queued", "running"].includes(ticket.state)) this.page.api.del(`/work/${ticket.id}`).catch(() => {});
  }

  cancel() {
    if (this.ticket) this.end(this.ticket);
    this.ticket = null;
  }

  propose(result) {
    this.proposal = result.features.filter((feature) => feature.geometry);
    const [found] = this.proposal;
    this.state(found ? "proposed" : "nothing");
    const parts = found ? [area(found.properties)] : ["Nothing was found here."];
    if (found && found.properties.score !== null) parts.push(`score ${found.properties.score.toFixed(2)}`);
    this.ui.status.textContent = parts.join(" \u00b7 ");
    this.draw();
  }

  state(value) {
    this.page.panel.dataset.state = value;
    this.ui.accept.disabled = value !== "proposed";
    this.ui.reject.disabled = value === "idle";
    this.hint();
  }

  reject() {
    this.turn++;
    this.cancel();
    this.forget();
    this.ui.progress.hidden = true;
    this.ui.status.textContent = "";
    this.state("idle");
    this.draw();
  }

  async accept() {
    const label = this.ui.label.value.trim();
    if (!this.proposal.length || this.page.panel.dataset.state !== "proposed") return;
    if (!label) {
      this.page.toast("Name the class of the object first.");
      this.ui.label.focus();
      return;
    }
    const shapes = this.proposal.map(({ geometry, properties }) => ({ class: label, geometry,
      score: properties.score === null ? null : Math.min(Math.max(properties.score, 0), 1) }));
    this.state("saving");
    try {
      await this.list.add(shapes);
      this.reject();
    } catch (error) {
      this.state("proposed");
      this.fail(error);
    }
  }

  key(event) {
    const { target } = event;
    if (!this.active || !this.drawable() || event.isComposing) return;
    const own = target === this.ui.label;
    const typing = !own && target.closest("input:not([type=radio]), select, textarea, button, a, [contenteditable]");
    if (event.key === "Escape" && !this.list.editing(target)) {
      if (!this.pointer.cancel()) this.reject();
    } else if (typing) {
      return;
    } else if (event.key === "Enter") {
      const { map } = this.page;
      if (this.page.panel.dataset.state === "proposed") this.accept();
      else if (target === map.getCanvas() && this.chosen !== "box") this.click(map.getCenter(), false);
      else return;
    } else if (own) {
      return;
    } else if ((event.ctrlKey || event.metaKey) && event.key === "z") {
      this.list.undo();
    } else if (/^[1-9]$/.test(event.key) && this.classes && this.classes[event.key - 1]) {
      this.ui.label.value = this.classes[event.key - 1].name;
      this.draw();
    } else return;
    event.preventDefault();
  }

  // Show proposal and prompts on the map.
  draw() {
    const { map } = this.page;
    const known = (this.classes || []).find(({ name }) => name === this.ui.label.value.trim());
    const points = this.prompt.points.map(([lon, lat, on]) => ({ type: "Feature", properties: { on },
      geometry: { type: "Point", coordinates: [lon, lat] } }));
    const [w, s, e, n] = this.prompt.box || [];
    const box = this.prompt.box ? [{ type: "Feature", properties: {},
      geometry: { type: "LineString", coordinates: [[w, s], [e, s], [e, n], [w, n], [w, s]] } }] : [];
    const color = known ? known.color : "#ffcf33";
    const set = (id, features, layers) => {
      if (map.getSource(id)) map.getSource(id).setData({ ...EMPTY, features });
      else if (features.length) {
        map.addSource(id, { type: "geojson", data: { ...EMPTY, features } });
        const above = id === "shapes-new" && map.getLayer("shapes-prompts-box") ? "shapes-prompts-box" : undefined;
        for (const layer of layers) map.addLayer({ source: id, ...layer }, above);
      }
    };
    set("shapes-new", this.proposal.map((feature) => ({ ...feature, properties: { color } })), [
      { id: "shapes-new-fill", type: "fill", paint: { "fill-color": ["get", "color"], "fill-opacity": 0.45 } },
      { id: "shapes-new-edge", type: "line", paint: { "line-color": "#fff", "line-width": 4 } },
      { id: "shapes-new-line", type: "line", paint: { "line-color": "#1d2733", "line-width": 2, "line-dasharray": [2, 1.5] } },
    ]);
    set("shapes-prompts", [...box, ...points], [
      { id: "shapes-prompts-box", type: "line", filter: ["==", ["geometry-type"], "LineString"],
        paint: { "line-color": "#ffcf33", "line-width": 2 } },
      { id: "shapes-prompts-points", type: "circle", filter: ["==", ["geometry-type"], "Point"],
        paint: { "circle-radius": 6, "circle-color": ["case", ["==", ["get", "on"], 1], "#1b9e4b", "#d3302f"],
          "circle-stroke-color": "#fff", "circle-stroke-width": 2 } },
    ]);
  }
}

export const tool = {
  id: "shapes",
  title: "Draw",
  start(page) {
    const draw = new Draw(page);
    return { show: () => draw.show(true), hide: () => draw.show(false) };
  },
};
