// The tool "Map": image and map together, legend, areas of what is in view, the class under the cursor, polygons.

import { makeLegend } from "/static/maps_legend.js";
import { makeSwipe } from "/static/maps_swipe.js";

const OWN = ["rsseg-image", "rsseg-map", "rsseg-polygons", "rsseg-outlines"];
const WAIT = 200; // milliseconds after the last move until the server is asked
const percent = (share) => `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)} %`;

function element(tag, attributes = {}, ...children) {
  const made = Object.assign(document.createElement(tag), attributes);
  made.append(...children);
  return made;
}

// The source of a layer's tiles, as MapLibre wants it.
function source(info, classes) {
  const query = new URLSearchParams({ v: info.version });
  if (classes) query.set("classes", classes.join(","));
  const kind = info.kind === "map" ? "png" : "webp";
  const [west, south, east, north] = info.bounds;
  return { type: "raster", tileSize: 512, minzoom: info.minzoom, maxzoom: Math.max(info.minzoom, info.maxzoom),
    tiles: [`${location.origin}/api/layers/${info.id}/tiles/{z}/{x}/{y}.${kind}?${query}`],
    ...(west >= -180 && east <= 180 ? { bounds: [west, south, east, north] } : {}) };
}

function showRaster(map, id, info, classes, opacity) {
  if (map.getLayer(id)) map.removeLayer(id);
  if (map.getSource(id)) map.removeSource(id);
  if (!info || !info.bounds) return;
  map.addSource(id, source(info, classes));
  const layers = map.getStyle().layers.map((layer) => layer.id);
  const above = OWN.slice(OWN.indexOf(id) + 1);
  const before = layers.find((name) => above.includes(name) || !(OWN.includes(name) || name === "ground"));
  map.addLayer({ id, type: "raster", source: id, paint: { "raster-opacity": opacity, "raster-fade-duration": 0,
    "raster-resampling": info.kind === "map" ? "nearest" : "linear" } }, before);
}

function inDegrees({ lng, lat }) {
  return `${Math.abs(lat).toFixed(6)}° ${lat < 0 ? "S" : "N"}, ${Math.abs(lng).toFixed(6)}° ${lng < 0 ? "W" : "E"}`;
}

function build(page) {
  const image = element("select", { id: "map-image" });
  const modes = ["over", "swipe"].map((value) => {
    const input = element("input", { type: "radio", name: "map-mode", value, checked: value === "over" });
    return { input, label: element("label", {}, input, element("span", { textContent: value === "over" ? "Overlay" : "Swipe" })) };
  });
  const opacity = element("input", { type: "range", id: "map-opacity", min: 0, max: 100, value: 70 });
  const opacityText = element("output", { htmlFor: "map-opacity", textContent: "70 %" });
  const outlines = element("input", { type: "checkbox", id: "map-polygons" });
  const polygonsNote = element("span", { className: "soft", id: "map-polygons-note" });
  const legend = element("div", { id: "map-legend" });
  const note = element("p", { className: "soft", id: "map-note" });
  const copy = element("button", { type: "button", id: "map-link", textContent: "Copy link to this view" });
  const fit = element("button", { type: "button", id: "map-fit", textContent: "Whole layer" });
  const polygonsRow = element("div", { className: "row" }, outlines,
    element("label", { htmlFor: "map-polygons", textContent: "Polygons" }), polygonsNote);
  const imageRow = element("div", { className: "field" }, element("label", { htmlFor: "map-image", textContent: "Image" }), image);
  const modeRow = element("div", { className: "field" }, element("span", { textContent: "Compare" }),
    element("div", { className: "segments", role: "radiogroup", ariaLabel: "Compare" }, ...modes.map((mode) => mode.label)));
  const opacityRow = element("div", { className: "field" }, element("label", { htmlFor: "map-opacity", textContent: "Opacity" }),
    element("div", { className: "withvalue" }, opacity, opacityText));
  page.panel.append(imageRow, modeRow, opacityRow, polygonsRow, legend, note,
    element("div", { className: "row" }, fit, copy));
  const readout = element("div", { id: "readout", hidden: true });
  readout.setAttribute("aria-live", "polite");
  page.map.getContainer().append(readout);
  return { image, modes: modes.map((mode) => mode.input), opacity, opacityText, outlines, polygonsNote, legend, note, copy, fit,
    polygonsRow, imageRow, modeRow, readout };
}

function start(page) {
  document.head.append(element("link", { rel: "stylesheet", href: "/static/maps.css" }));
  const { map } = page;
  const ui = build(page);
  const swipe = makeSwipe(page, (style) => drawSwipe(style));
  const legend = makeLegend(ui.legend, () => { drawMap(); remember(); });
  const state = { info: null, image: null, active: true, polygons: null, restoring: new URLSearchParams(location.hash.slice(1)) };
  const others = new Map(); // what is known of other layers, by id
  let asked = 0;
  let chosen = 0;
  let timer = 0;

  const swiping = () => state.active && state.image && state.info && state.info.kind === "map" && ui.modes[1].checked;
  const strength = () => Number(ui.opacity.value) / 100;
  const ask = (what, query) => page.api.get(`/api/layers/${state.info.id}/${what}?${new URLSearchParams(query)}`);
  const fail = (error) => page.toast(error.message, "error");

  // Tests and screenshots wait for the end of what was begun here.
  function begin() {
    document.body.dataset.idle = "false";
    map.triggerRepaint();
  }

  function drawMap() {
    begin();
    const { info } = state;
    const shown = info && info.kind === "map" ? info : null;
    showRaster(map, "rsseg-map", swiping() ? null : shown, legend.classes(), strength());
    swipe.redraw();
  }

  function drawImage() {
    begin();
    const { info } = state;
    showRaster(map, "rsseg-image", info && info.kind === "image" ? info : state.image, null, 1);
    swipe.redraw();
  }

  function drawSwipe(other) {
    showRaster(other, "rsseg-image", state.image, null, 1);
    showRaster(other, "rsseg-map", state.info, legend.classes(), strength());
    addPolygons(other);
  }

  async function details(id) {
    if (!others.has(id)) others.set(id, await page.api.get(`/api/layers/${encodeURIComponent(id)}`));
    return others.get(id);
  }

  async function chooseImage(id) {
    const number = (chosen += 1);
    const found = id ? await details(id) : null;
    if (number !== chosen) return; // another one was chosen meanwhile
    state.image = found;
    ui.image.value = id || "";
    for (const input of ui.modes) input.disabled = !state.image;
    ui.modeRow.hidden = !state.info || state.info.kind !== "map" || !state.image;
    swipe.set(swiping());
    drawImage();
    drawMap();
  }

  async function chooseLayer(info) {
    others.clear();
    others.set(info.id, info);
    const first = !state.info;
    state.info = info;
    page.panel.dataset.layer = "busy";
    const isMap = info.kind === "map";
    for (const row of [ui.imageRow, ui.legend, ui.opacity.closest(".field")]) row.hidden = !isMap;
    ui.polygonsRow.hidden = !info.polygons;
    ui.note.textContent = info.kind === "set" ? "A set of labels has no place on the map; the tool Review shows it."
      : [info.display, info.minzoom > 1 ? "This file has no overviews: zoom in to see it, or add them with gdaladdo." : "",
        info.bounds && info.bounds[1] >= info.bounds[3] ? "This file lies nearer to a pole than the map reaches (85.05° of latitude)." : "",
        info.crs || !info.bounds ? "" : "The file has no place on the Earth; it is shown with one metre for a pixel."].filter(Boolean).join(" ");
    ui.image.replaceChildren(new Option("none", ""), ...page.layers.filter((layer) => layer.kind === "image")
      .map((layer) => new Option(layer.name, layer.id)));
    legend.set(isMap ? info.classes : []);
    const given = restore(info);
    if (!given && info.bounds && (first || !meets(info.bounds))) fitLayer(0);
    look();
    const image = given && given.has("image") ? given.get("image") : info.image;
    await chooseImage(isMap && page.layers.some((layer) => layer.id === image) ? image : null);
    if (state.info !== info) return;
    page.panel.dataset.layer = info.id;
    remember();
  }

  function meets([west, south, east, north]) {
    const view = map.getBounds();
    const span = view.getEast() - view.getWest();
    return span < 100 * (east - west) && view.getWest() < east && west < view.getEast() && view.getSouth() < north && south < view.getNorth();
  }

  function fitLayer(duration = 500) {
    const [west, south, east, north] = state.info.bounds;
    map.fitBounds([[west, south], [east, north]], { padding: 24, duration, maxZoom: 22 });
  }

  // Link to the view ------------------------------------------------------------------------------------------------

  function remember() {
    if (!state.info || !state.active) return;
    const { lng, lat } = map.getCenter();
    const parts = { layer: state.info.id, at: `${lng.toFixed(6)},${lat.toFixed(6)},${map.getZoom().toFixed(2)}` };
    if (state.info.kind === "map") {
      parts.image = state.image ? state.image.id : "";
      parts.opacity = ui.opacity.value;
      if (legend.classes()) parts.classes = legend.classes().join(",");
      if (ui.modes[1].checked) parts.swipe = swipe.position().toFixed(3);
      if (ui.outlines.checked) parts.polygons = "1";
    }
    history.replaceState(null, "", `#${new URLSearchParams(parts).toString().replaceAll("%2C", ",")}`);
  }

  // What a link says of a layer, once; null where it says nothing of this one.
  function restore(info) {
    const given = state.restoring;
    state.restoring = null;
    if (!given || given.get("layer") !== info.id) return null;
    const at = (given.get("at") || "").split(",").map(Number);
    if (at.length === 3 && at.every(Number.isFinite) && Math.abs(at[1]) <= 90) map.jumpTo({ center: [at[0], at[1]], zoom: at[2] });
    const opacity = Number(given.get("opacity") ?? 70);
    if (opacity >= 0 && opacity <= 100) setOpacity(opacity);
    if (given.has("classes")) legend.choose(given.get("classes").split(",").filter(Boolean).map(Number));
    ui.modes[given.has("swipe") ? 1 : 0].checked = true;
    if (given.has("swipe")) swipe.move(Number(given.get("swipe")));
    ui.outlines.checked = given.get("polygons") === "1" && info.polygons;
    return given.has("at") ? given : null;
  }

  function setOpacity(value) {
    ui.opacity.value = value;
    ui.opacityText.textContent = `${value} %`;
    begin();
    if (map.getLayer("rsseg-map")) map.setPaintProperty("rsseg-map", "raster-opacity", strength());
    swipe.each((other) => other.getLayer("rsseg-map") && other.setPaintProperty("rsseg-map", "raster-opacity", strength()));
  }

  // What is in view -------------------------------------------------------------------------------------------------

  function look() {
    clearTimeout(timer);
    page.panel.dataset.areas = "busy";
    const number = (asked += 1);
    timer = setTimeout(() => measure(number).catch(fail), WAIT);
  }

  async function measure(number) {
    if (!state.active || !state.info || state.info.kind !== "map") {
      page.panel.dataset.areas = "none";
      showPolygons(null);
      return;
    }
    const { west, south, east, north, width } = page.view();
    const view = { west: Math.max(west, -540), south, east: Math.min(east, 540), north };
    const [areas, polygons] = await Promise.all([
      ask("areas", view).catch((error) => ({ problem: error.message })),
      ui.outlines.checked && state.info.polygons ? ask("polygons", { ...view, width }) : null,
    ]);
    if (number !== asked) return; // the view has moved on
    legend.areas(areas);
    showPolygons(polygons);
    page.panel.dataset.areas = areas.problem ? "failed" : "done";
  }

  function showPolygons(found) {
    state.polygons = found || { type: "FeatureCollection", features: [] };
    const count = state.polygons.features.length;
    ui.polygonsNote.textContent = !found ? "" : found.cut ? `the first ${count} in view; zoom in for all` : `${count} in view`;
    page.panel.dataset.polygons = found ? count : "none";
    addPolygons(map);
    swipe.each(addPolygons);
  }

  function addPolygons(one) {
    const data = state.polygons;
    if (one.getSource("rsseg-polygons")) one.getSource("rsseg-polygons").setData(data);
    else if (data && data.features.length) {
      one.addSource("rsseg-polygons", { type: "geojson", data, tolerance: 0 });
      const before = one.getStyle().layers.map((layer) => layer.id).find((id) => !OWN.includes(id) && id !== "ground");
      for (const [id, type, paint] of [["rsseg-polygons", "fill", { "fill-color": "#000", "fill-opacity": 0.01 }],
        ["rsseg-outlines", "line", { "line-color": "#111", "line-width": 1.5 }]]) {
        one.addLayer({ id, type, source: "rsseg-polygons", paint }, before);
      }
    }
  }

  // Under the cursor ------------------------------------------------------------------------------------------------

  let reading = false;
  let next = null;

  async function read(position) {
    next = position;
    if (reading || !state.active || !state.info || !state.info.bounds) return;
    reading = true;
    while (next) {
      const at = next;
      const { info } = state;
      next = null;
      const found = await ask("point", { lon: at.lng, lat: Math.max(-90, Math.min(90, at.lat)) })
        .catch((error) => ({ problem: error.message }));
      if (state.active && state.info === info) showReadout(at, found);
    }
    reading = false;
  }

  function showReadout(at, found) {
    const what = element("div", { className: "what" });
    if (found.name !== null && found.name !== undefined) {
      const swatch = element("span", { className: "swatch" });
      swatch.style.background = found.color;
      what.append(swatch, found.probability === null ? found.name : `${found.name}, ${percent(found.probability)}`);
    } else if (found.values) what.append(found.values.map((value) => (value === null ? "–" : Number(value.toPrecision(6)))).join(", "));
    else what.append(found.problem || (found.pixel ? "no class" : "outside of the layer"));
    const places = [];
    if (found.coordinates) places.push(`${found.crs}: ${found.coordinates.map((value) => value.toFixed(2)).join(", ")}`);
    if (found.pixel) places.push(`pixel ${found.pixel.join(", ")}`);
    ui.readout.replaceChildren(what, element("div", { className: "where" }, inDegrees(at),
      element("span", { className: "more", textContent: places.map((text) => ` · ${text}`).join("") })));
    ui.readout.hidden = false;
    ui.readout.dataset.class = found.name ?? "";
  }

  function popup(event) {
    const [feature] = map.getLayer("rsseg-polygons") ? map.queryRenderedFeatures(event.point, { layers: ["rsseg-polygons"] }) : [];
    if (!feature || !state.active) return;
    const { class: name, area_m2: metres, area_px: pixels } = feature.properties;
    const text = element("div", {}, element("strong", { textContent: name ?? "polygon" }), element("br"),
      metres !== undefined ? legend.size(metres) : `${pixels ?? "?"} pixels`);
    new page.maplibregl.Popup({ maxWidth: "16rem" }).setLngLat(event.lngLat).setDOMContent(text).addTo(map);
  }

  map.on("mousemove", (event) => read(event.lngLat.wrap()));
  map.on("click", (event) => { read(event.lngLat.wrap()); popup(event); });
  map.getCanvas().addEventListener("keydown", (event) => { if (event.key === "Enter") read(map.getCenter().wrap()); });
  map.on("moveend", () => { look(); remember(); });
  ui.image.addEventListener("change", () => chooseImage(ui.image.value).then(remember).catch(fail));
  ui.modes.forEach((input) => input.addEventListener("change", () => { swipe.set(swiping()); drawMap(); look(); remember(); }));
  ui.opacity.addEventListener("input", () => { setOpacity(ui.opacity.value); remember(); });
  ui.outlines.addEventListener("change", () => { look(); remember(); });
  ui.fit.addEventListener("click", () => state.info && state.info.bounds && fitLayer());
  ui.copy.addEventListener("click", async () => {
    remember();
    try {
      await navigator.clipboard.writeText(location.href);
      page.toast("The link is in the clipboard.", "good");
    } catch {
      page.toast(location.href);
    }
  });
  swipe.onMove(remember);
  window.addEventListener("hashchange", () => {
    state.restoring = new URLSearchParams(location.hash.slice(1));
    const id = state.restoring.get("layer");
    if (page.layers.some((layer) => layer.id === id)) page.choose(id).catch(fail);
  });
  page.onLayer((info) => chooseLayer(info).catch(fail));

  const activate = (active) => {
    state.active = active;
    ui.readout.hidden = true;
    swipe.set(swiping());
    if (state.info) drawMap();
    look();
  };
  return { show: () => activate(true), hide: () => activate(false) };
}

export const tool = { id: "maps", title: "Map", start };
