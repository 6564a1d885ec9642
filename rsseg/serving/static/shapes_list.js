// The accepted polygons of a layer: on the map and as a list, with another class, delete, undo and export.

import { size } from "/static/maps_legend.js";

const SHOWN = 100; // rows of the list
const EMPTY = { type: "FeatureCollection", features: [] };

export function element(tag, attributes = {}, ...children) {
  const made = Object.assign(document.createElement(tag), attributes);
  made.append(...children);
  return made;
}

// Objects are small: square metres up to ten hectares.
export function area({ area: found, unit }) {
  if (unit === "m2" && found >= 1e5) return size(found);
  const text = found.toLocaleString("en", { maximumFractionDigits: found < 100 ? 1 : 0 });
  return `${text} ${unit === "m2" ? "m\u00b2" : "px"}`;
}

export function makeList(page, root, client, changed) {
  const { map, api } = page;
  let listing = { features: [], classes: [], total: 0 };
  let edited = null;
  let asked = 0; // counts requests for all shapes: an answer that comes after the next request is not shown
  let loading = 0;
  const title = element("h2");
  const undoButton = element("button", { type: "button", id: "shapes-undo", textContent: "Undo", title: "Ctrl+Z" });
  const rows = element("ul", { className: "shapes-rows" });
  const more = element("p", { className: "soft" });
  const links = ["gpkg", "coco"].map((format) => element("a", { className: "button", download: "",
    textContent: format === "gpkg" ? "GeoPackage" : "COCO" }));
  root.append(element("div", { className: "row shapes-head" }, title, undoButton), rows, more,
    element("div", { className: "row" }, element("span", { className: "soft", textContent: "Export" }), ...links));

  const path = (rest = "", query = {}) => `/api/shapes${rest}?${new URLSearchParams({ layer: page.current().id, ...query })}`;
  const body = (more) => ({ layer: page.current().id, client, ...more });
  const fail = (error) => page.toast(error.message, "error");
  const color = (name) => (listing.classes.find((own) => own.name === name) || { color: "#888" }).color;

  function set(found) {
    listing = found;
    draw();
    changed(listing);
  }

  async function load() {
    const { id } = page.current();
    const number = (asked += 1);
    loading += 1;
    try {
      const found = await api.get(path());
      if (number === asked && page.current().id === id) set(found);
    } finally {
      loading -= 1;
    }
  }

  // Shows a change by what is known of it; where all shapes were asked for meanwhile, they may be without it.
  async function changes(before, known) {
    if (!loading && listing === before && known()) set(listing);
    else await load();
  }

  // Change what is known here without asking for all shapes again.
  function count(feature, step) {
    const own = listing.classes.find(({ name }) => name === feature.properties.class);
    if (!own) return false;
    own.count += step;
    own.area += step * feature.properties.area;
    listing.total += step;
    return true;
  }

  async function add(shapes) {
    const before = listing;
    const found = await api.post("/api/shapes", body({ shapes }));
    await changes(before, () => {
      listing.features.push(...found.features);
      return found.features.every((feature) => count(feature, 1));
    });
  }

  async function remove(feature) {
    try {
      const before = listing;
      await api.del(path(`/${feature.id}`, { client }));
      await changes(before, () => {
        listing.features = listing.features.filter(({ id }) => id !== feature.id);
        return count(feature, -1);
      });
    } catch (error) {
      fail(error);
      if (error.status === 404) load().catch(fail);
    }
  }

  async function relabel(feature, name) {
    edited = null;
    try {
      if (name && name !== feature.properties.class) await api.patch(`/api/shapes/${feature.id}`, body({ class: name }));
      await load();
    } catch (error) {
      fail(error);
      draw();
    }
  }

  async function undo() {
    try {
      const { id } = page.current();
      const found = await api.post("/api/shapes/undo", body());
      if (page.current().id !== id) return;
      asked += 1;
      set(found);
      if (!found.undone) page.toast("Nothing to undo: this page has changed no shape of the layer.");
    } catch (error) {
      fail(error);
    }
  }

  function look(feature) {
    const bounds = new page.maplibregl.LngLatBounds();
    const each = (part) => (typeof part[0] === "number" ? bounds.extend(part) : part.forEach(each));
    each(feature.geometry.coordinates);
    map.fitBounds(bounds, { padding: 80, maxZoom: Math.max(map.getZoom(), 18), animate: false });
  }

  function nameOf(feature) {
    const { class: name } = feature.properties;
    if (edited !== feature.id) {
      const made = element("button", { type: "button", className: "shapes-name", textContent: name, title: "Show it on the map" });
      made.addEventListener("click", () => look(feature));
      return made;
    }
    const input = element("input", { className: "shapes-rename", value: name, maxLength: 100, autocomplete: "off" });
    input.setAttribute("list", "shapes-names");
    input.setAttribute("aria-label", `Class of this ${name}`);
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.isComposing) relabel(feature, input.value.trim());
      if (event.key === "Escape") { edited = null; draw(); }
    });
    input.addEventListener("change", () => { if (edited === feature.id) relabel(feature, input.value.trim()); });
    setTimeout(() => input.focus());
    return input;
  }

  function row(feature) {
    const { class: name } = feature.properties;
    const swatch = element("span", { className: "swatch" });
    swatch.style.background = color(name);
    const edit = element("button", { type: "button", className: "small", textContent: "\u270e" });
    const gone = element("button", { type: "button", className: "small", textContent: "\u00d7" });
    edit.setAttribute("aria-label", `Change the class ${name}`);
    gone.setAttribute("aria-label", `Delete this ${name}`);
    edit.addEventListener("click", () => { edited = edited === feature.id ? null : feature.id; draw(); });
    gone.addEventListener("click", () => remove(feature));
    const made = element("li", {}, swatch, nameOf(feature),
      element("span", { className: "shapes-area", textContent: area(feature.properties) }), edit, gone);
    made.addEventListener("pointerenter", () => highlight(feature.id));
    made.addEventListener("pointerleave", () => highlight(""));
    return made;
  }

  function highlight(id) {
    if (map.getLayer("shapes-kept-chosen")) map.setFilter("shapes-kept-chosen", ["==", ["get", "id"], id]);
  }

  function draw() {
    const { features, total } = listing;
    title.textContent = `Accepted (${total.toLocaleString("en")})`;
    rows.replaceChildren(...features.slice(-SHOWN).reverse().map(row));
    const older = total - Math.min(features.length, SHOWN);
    more.textContent = older > 0 ? `and ${older.toLocaleString("en")} older` : "";
    more.hidden = older <= 0;
    links.forEach((link, i) => { link.href = path("/export", { format: ["gpkg", "coco"][i] }); });
    page.panel.dataset.count = total;
    const data = { ...EMPTY, features: features.map((feature) => ({ ...feature,
      properties: { id: feature.id, color: color(feature.properties.class) } })) };
    if (map.getSource("shapes-kept")) return void map.getSource("shapes-kept").setData(data);
    map.addSource("shapes-kept", { type: "geojson", data });
    const layers = [
      { id: "shapes-kept-fill", type: "fill", paint: { "fill-color": ["get", "color"], "fill-opacity": 0.35 } },
      { id: "shapes-kept-edge", type: "line", paint: { "line-color": "#fff", "line-width": 3.5, "line-opacity": 0.7 } },
      { id: "shapes-kept-line", type: "line", paint: { "line-color": ["get", "color"], "line-width": 2 } },
      { id: "shapes-kept-chosen", type: "line", filter: ["==", ["get", "id"], ""], paint: { "line-color": "#fff", "line-width": 4 } },
    ];
    const above = ["shapes-new-fill", "shapes-prompts-box"].find((id) => map.getLayer(id));
    for (const layer of layers) map.addLayer({ source: "shapes-kept", ...layer }, above);
  }

  function show(visible) {
    for (const id of ["shapes-kept-fill", "shapes-kept-edge", "shapes-kept-line", "shapes-kept-chosen"]) {
      if (map.getLayer(id)) map.setLayoutProperty(id, "visibility", visible ? "visible" : "none");
    }
  }

  undoButton.addEventListener("click", undo);
  return { load, add, undo, show, clear: () => set({ features: [], classes: [], total: 0 }),
    editing: (target) => target.classList && target.classList.contains("shapes-rename") };
}
