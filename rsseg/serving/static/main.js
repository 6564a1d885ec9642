// The page of rsseg serve: one map, the layers of the server, and a tab for each tool.

import * as maplibregl from "/static/maplibre/maplibre-gl.mjs";
import { api } from "/static/api.js";
import { tool as maps } from "/static/maps.js";
import { tool as review } from "/static/review.js";
import { tool as shapes } from "/static/shapes.js";
import { tool as words } from "/static/words.js";

const TOOLS = [maps, words, shapes, review];
const byId = (id) => document.getElementById(id);

function toast(text, kind = "info") {
  const same = [...byId("toasts").children].find((other) => other.textContent === text);
  if (same) same.remove(); // one is enough, with its time begun anew
  const box = document.createElement("div");
  box.className = `toast ${kind}`;
  box.textContent = text;
  box.title = "Click to close";
  box.addEventListener("click", () => box.remove());
  byId("toasts").append(box);
  setTimeout(() => box.remove(), kind === "error" ? 12000 : 5000);
}

function makeMap() {
  maplibregl.setWorkerUrl(new URL("/static/maplibre/maplibre-gl-worker.mjs", location).href);
  const style = { version: 8, sources: {}, layers: [{ id: "ground", type: "background",
    paint: { "background-color": "#e9ecef" } }] };
  const map = new maplibregl.Map({ container: "map", style, center: [0, 0], zoom: 1, maxZoom: 26, dragRotate: false,
    pitchWithRotate: false, touchPitch: false, attributionControl: false, canvasContextAttributes: { preserveDrawingBuffer: true } });
  map.touchZoomRotate.disableRotation();
  map.addControl(new maplibregl.NavigationControl({ showCompass: false }), "top-right");
  map.addControl(new maplibregl.ScaleControl({ maxWidth: 120 }), "bottom-right");
  map.addControl(new maplibregl.AttributionControl({ compact: true }), "bottom-right");
  const busy = () => { document.body.dataset.idle = "false"; };
  map.on("movestart", busy);
  map.on("dataloading", busy);
  map.on("idle", () => { document.body.dataset.idle = "true"; });
  map.on("error", (event) => console.warn(event.error ? event.error.message : event));
  return map;
}

// What tools share; see start() of each.
function makePage(map) {
  const listeners = [];
  let shown = null;
  let asked = 0;
  const page = {
    map, maplibregl, api, toast, layers: [],
    current: () => shown,
    onLayer(listener) {
      listeners.push(listener);
      if (shown) listener(shown);
    },
    view() {
      const bounds = map.getBounds();
      const canvas = map.getContainer();
      return { west: bounds.getWest(), south: bounds.getSouth(), east: bounds.getEast(), north: bounds.getNorth(),
        width: Math.round(canvas.clientWidth), height: Math.round(canvas.clientHeight) };
    },
    async refresh(choose) {
      page.layers = await api.get("/api/layers");
      const select = byId("layer");
      const kept = choose || (shown && shown.id) || select.value;
      select.replaceChildren(...page.layers.map((layer) => new Option(`${layer.name} (${layer.kind})`, layer.id)));
      const found = page.layers.find((layer) => layer.id === kept) || page.layers[0];
      if (found && (!shown || shown.id !== found.id)) await page.choose(found.id);
      else if (found) select.value = found.id;
      return page.layers;
    },
    async choose(id) {
      const number = (asked += 1);
      let found;
      try {
        found = await api.get(`/api/layers/${encodeURIComponent(id)}`);
      } catch (error) {
        if (number === asked && shown) byId("layer").value = shown.id;
        throw error;
      }
      if (number !== asked) return; // another one was chosen meanwhile
      shown = found;
      byId("layer").value = id;
      document.title = `${shown.name} - rsseg`;
      for (const listener of listeners) listener(shown);
    },
    open: (id) => open(id),
  };
  return page;
}

const started = new Map();

function open(id) {
  for (const [name, { tab, panel, hooks }] of started) {
    const chosen = name === id;
    if (panel.hidden !== !chosen && hooks) (chosen ? hooks.show : hooks.hide)?.();
    panel.hidden = !chosen;
    tab.setAttribute("aria-selected", String(chosen));
    tab.tabIndex = chosen ? 0 : -1;
  }
}

function addTools(page) {
  for (const tool of TOOLS) {
    const tab = Object.assign(document.createElement("button"), { type: "button", id: `tab-${tool.id}`,
      textContent: tool.title });
    const panel = Object.assign(document.createElement("section"), { id: `panel-${tool.id}`, hidden: true });
    for (const [name, value] of [["role", "tab"], ["aria-controls", panel.id]]) tab.setAttribute(name, value);
    for (const [name, value] of [["role", "tabpanel"], ["aria-labelledby", tab.id]]) panel.setAttribute(name, value);
    byId("tabs").append(tab);
    byId("panels").append(panel);
    started.set(tool.id, { tab, panel, hooks: tool.start(Object.assign(Object.create(page), { panel })) });
    tab.addEventListener("click", () => open(tool.id));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const names = [...started.keys()];
      const next = names[(names.indexOf(tool.id) + step + names.length) % names.length];
      open(next);
      started.get(next).tab.focus();
    });
  }
  open(TOOLS[0].id);
}

async function start() {
  const map = makeMap();
  await new Promise((done) => map.once("load", done));
  const page = makePage(map);
  window.rsseg = { page, map };
  addTools(page);
  byId("layer").addEventListener("change", (event) => page.choose(event.target.value).catch((error) => toast(error.message, "error")));
  byId("fold").addEventListener("click", (event) => {
    const folded = byId("side").classList.toggle("folded");
    event.currentTarget.setAttribute("aria-expanded", String(!folded));
  });
  const layers = await page.refresh(new URLSearchParams(location.hash.slice(1)).get("layer"));
  if (!layers.length) toast("There is nothing to show: name maps, images or folders of them.", "error");
  document.body.dataset.ready = "true";
}

start().catch((error) => toast(error.message, "error"));
