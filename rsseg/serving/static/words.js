// The tool "Words": classes in the user's own words, in what the map shows.

import { chipField } from "/static/chips.js";

const DELAY = 80; // milliseconds between the last move of a slider and the request for its mask
const SOURCE = "words";
const SAVING = "rsseg-saving"; // where this tab keeps the request of the map that is made, also when it is loaded again

const PANEL = `
  <form class="words-ask">
    <p class="words-about soft" aria-live="polite"></p>
    <label for="words-input">Classes in your own words</label>
    <div class="chips"></div>
    <div class="row">
      <button type="submit" class="primary words-run">Run</button>
      <button type="button" class="words-stop" disabled>Stop</button>
    </div>
    <p class="soft words-hint">Looks at what the map shows. Without classes it takes those of the model.</p>
  </form>
  <div class="words-progress" hidden><progress max="1" aria-label="Progress"></progress>
    <p class="soft words-status" role="status"></p></div>
  <div class="words-result" hidden>
    <div class="row"><label for="words-threshold">Threshold</label>
      <input type="range" id="words-threshold" min="0" max="1" step="0.01" value="0"><output for="words-threshold">0.00</output></div>
    <div class="row"><label for="words-opacity">Opacity</label>
      <input type="range" id="words-opacity" min="0" max="1" step="0.05" value="0.6"><output for="words-opacity">60 %</output></div>
    <table><thead><tr><th>Class</th><th class="number">Share</th><th class="number">Area</th></tr></thead><tbody></tbody></table>
    <p class="soft words-unsure"></p>
    <p><a class="words-polygons" download="words.geojson">Polygons (GeoJSON)</a></p>
    <h2>Save as map</h2>
    <form class="words-save">
      <p class="soft">Maps the image with these classes and this threshold.</p>
      <div class="row"><label><input type="checkbox" class="words-part"> Only what the map shows</label></div>
      <div class="row"><label for="words-name">Name</label>
        <input id="words-name" maxlength="80" required autocomplete="off">
        <button type="submit">Save as map</button></div>
    </form>
  </div>
  <div class="words-saving" hidden><progress max="1" aria-label="Progress of the map"></progress>
    <div class="row"><p class="soft words-mapping" role="status"></p>
      <button type="button" class="words-halt">Stop the map</button></div></div>`;

const percent = (share) => `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)} %`;

function ground(metres) {
  if (metres === null) return "";
  return metres >= 1e5 ? `${(metres / 1e6).toPrecision(3)} km²` : `${Math.round(metres).toLocaleString("en")} m²`;
}

function status(ticket) {
  if (ticket.state === "queued") return `Waiting: ${ticket.position} before this one${ticket.message && ` (now: ${ticket.message})`}`;
  return `${ticket.message || "working"} … ${Math.round(100 * ticket.progress)} %`;
}

class Words {
  constructor(page) {
    this.page = page;
    this.panel = page.panel;
    this.panel.innerHTML = PANEL;
    this.ticket = null; // the request that runs
    this.mask = null; // {id, view} of what is shown
    this.hidden = new Set(); // ids of classes that are not shown
    this.field = chipField(this.find(".chips"), { id: "words-input", placeholder: "road, solar panel, …" });
    this.saving = null;
    this.listen();
  }

  find(selector) {
    return this.panel.querySelector(selector);
  }

  listen() {
    this.find(".words-ask").addEventListener("submit", (event) => { event.preventDefault(); this.run(); });
    this.find(".words-stop").addEventListener("click", () => this.stop(this.ticket));
    this.find(".words-save").addEventListener("submit", (event) => { event.preventDefault(); this.save(); });
    this.find(".words-halt").addEventListener("click", () => this.stop(this.saving));
    this.find("#words-threshold").addEventListener("input", () => this.refine());
    this.find("#words-opacity").addEventListener("input", () => this.fade());
    this.page.onLayer(() => this.clear());
    this.mark("idle");
  }

  mark(state) {
    this.panel.dataset.state = state;
  }

  threshold() {
    return Number(this.find("#words-threshold").value);
  }

  // The model, which is loaded when the tool is first looked at.
  async open() {
    if (this.opened) return;
    this.opened = true;
    const about = this.find(".words-about");
    try {
      const found = await this.page.api.get("/api/words");
      if (!found.model) {
        about.textContent = found.advice;
        this.find(".words-run").disabled = true;
        this.mark("none");
        return;
      }
      about.textContent = `Model: ${found.model} …`;
      const { result } = await this.page.api.finish(found.about, (ticket) => {
        about.textContent = `Model: ${found.model}, ${status(ticket)}`;
      });
      about.textContent = `Model: ${found.model}`;
      if (result.is_open) this.field.suggest(result.classes.map((row) => row.name));
      else this.fix(result.classes);
      this.panel.dataset.model = result.is_open ? "open" : "fixed";
    } catch (error) {
      this.opened = false;
      about.textContent = error.message;
      this.page.toast(error.message, "error");
    }
  }

  fix(classes) {
    this.field.lock();
    this.find("label[for=words-input]").textContent = "Classes of the model";
    this.find(".chips").replaceChildren(...classes.map((row) => {
      const chip = Object.assign(document.createElement("span"), { className: "chip", textContent: row.name });
      chip.prepend(swatch(row.color));
      return chip;
    }));
  }

  async run() {
    const layer = this.page.current();
    if (!layer) return;
    this.field.finish();
    const view = this.page.view();
    const show = (ticket) => (this.page.current().id === layer.id ? this.show(ticket.id, view) : null); // not on another layer
    this.busy(true);
    try {
      const body = { layer: layer.id, view, classes: this.field.words(), threshold: this.threshold() };
      this.ticket = await this.page.api.post("/segment/text", body);
      this.find(".words-stop").disabled = false;
      let shown = -1;
      const done = await this.page.api.finish(this.ticket, (ticket) => {
        this.report(ticket);
        if (ticket.partial && ticket.progress > shown) {
          shown = ticket.progress;
          show(ticket);
        }
      });
      await show(done);
      this.mark("done");
    } catch (error) {
      this.mark(error.state || "failed");
      if (error.state !== "cancelled") this.page.toast(error.message, "error");
    } finally {
      this.busy(false);
    }
  }

  report(ticket) {
    this.find(".words-progress progress").value = ticket.progress;
    this.find(".words-status").textContent = status(ticket);
    if (["queued", "running"].includes(ticket.state)) this.mark(ticket.state); // its end is marked once its mask is shown
  }

  busy(is) {
    this.find(".words-run").disabled = is;
    this.find(".words-stop").disabled = true; // until there is something to stop
    this.find(".words-progress").hidden = !is;
    if (is) this.report({ state: "queued", position: 0, progress: 0 });
    else this.ticket = null;
  }

  async stop(ticket) {
    try {
      if (ticket) await this.page.api.del(`/work/${ticket.id}`);
    } catch (error) {
      this.page.toast(error.message, "error");
    }
  }

  // A mask on the map, and its shares in the table.
  async show(id, view) {
    this.mask = { id, view };
    this.hidden.clear();
    this.find(".words-result").hidden = false;
    await this.refresh();
  }

  refine() {
    this.find("output[for=words-threshold]").value = this.threshold().toFixed(2);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.refresh(), DELAY);
  }

  async refresh() {
    if (!this.mask) return;
    const { id, view } = this.mask;
    this.turn = (this.turn || 0) + 1;
    const turn = this.turn;
    const threshold = this.threshold();
    const address = `/work/${encodeURIComponent(id)}/mask`;
    try {
      const shares = await this.page.api.get(`${address}.json?threshold=${threshold}`);
      if (turn !== this.turn) return; // another one was asked for in the meantime
      this.list(shares);
      const classes = shares.classes.map((row) => row.id).filter((number) => !this.hidden.has(number)).join(",");
      const query = `threshold=${threshold}&classes=${classes}`;
      this.find(".words-polygons").href = `${address}.geojson?${query}`;
      this.draw(`${address}.png?${query}&turn=${turn}`, view);
      this.panel.dataset.threshold = String(threshold);
    } catch (error) {
      if (turn === this.turn) this.page.toast(error.message, "error");
    }
  }

  draw(url, view) {
    const { map } = this.page;
    const coordinates = [[view.west, view.north], [view.east, view.north], [view.east, view.south], [view.west, view.south]];
    const source = map.getSource(SOURCE);
    if (source) {
      source.updateImage({ url, coordinates });
      return;
    }
    map.addSource(SOURCE, { type: "image", url, coordinates });
    map.addLayer({ id: SOURCE, type: "raster", source: SOURCE, layout: { visibility: this.visibility || "visible" },
      paint: { "raster-opacity": Number(this.find("#words-opacity").value), "raster-resampling": "nearest", "raster-fade-duration": 0 } });
  }

  // The mask is seen while the tool is.
  look(is) {
    this.visibility = is ? "visible" : "none";
    if (this.page.map.getLayer(SOURCE)) this.page.map.setLayoutProperty(SOURCE, "visibility", this.visibility);
  }

  fade() {
    const opacity = Number(this.find("#words-opacity").value);
    this.find("output[for=words-opacity]").value = `${Math.round(100 * opacity)} %`;
    if (this.page.map.getLayer(SOURCE)) this.page.map.setPaintProperty(SOURCE, "raster-opacity", opacity);
  }

  list(shares) {
    const rows = [...shares.classes].sort((one, other) => other.share - one.share || one.id - other.id);
    this.find("tbody").replaceChildren(...rows.map((row) => this.row(row)));
    this.find(".words-unsure").textContent = shares.unsure > 0 ? `${percent(shares.unsure)} have no class at this threshold.` : "";
  }

  row(row) {
    const line = document.createElement("tr");
    const name = document.createElement("label");
    name.className = "words-class";
    const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: !this.hidden.has(row.id) });
    box.addEventListener("change", () => {
      box.checked ? this.hidden.delete(row.id) : this.hidden.add(row.id);
      this.refresh();
    });
    const text = Object.assign(document.createElement("span"), { textContent: row.name });
    name.append(box, swatch(row.color), text);
    line.append(cell("", name), cell("number", percent(row.share)), cell("number", ground(row.square_metres)));
    return line;
  }

  async save() {
    const name = this.find("#words-name").value;
    const body = { layer: this.page.current().id, name, classes: this.field.words(), threshold: this.threshold() };
    if (this.find(".words-part").checked) body.view = this.page.view();
    await this.follow(() => this.page.api.post("/api/maps", body));
  }

  // A map that this tab has asked for before it was loaded again.
  async resume() {
    const id = sessionStorage.getItem(SAVING);
    if (!id || this.saving) return;
    const known = await this.page.api.get(`/work/${encodeURIComponent(id)}`).catch(() => null);
    if (known && !this.saving) await this.follow(async () => known);
    else if (!known) sessionStorage.removeItem(SAVING);
  }

  async follow(ask) {
    const [button, block] = [this.find(".words-save button[type=submit]"), this.find(".words-saving")];
    button.disabled = true;
    this.panel.dataset.saving = "running";
    try {
      this.saving = await ask();
      sessionStorage.setItem(SAVING, this.saving.id);
      block.hidden = false;
      const done = await this.page.api.finish(this.saving, (ticket) => {
        block.querySelector("progress").value = ticket.progress;
        this.find(".words-mapping").textContent = status(ticket);
      });
      await this.page.refresh();
      this.page.toast(`Saved as ${done.result.name}; it is in the list of layers.`, "good");
      this.panel.dataset.saving = "done";
    } catch (error) {
      this.panel.dataset.saving = error.state || "failed";
      const stopped = error.state === "cancelled";
      this.page.toast(stopped ? "Stopped; save it again to go on." : error.message, stopped ? "info" : "error");
    } finally {
      block.hidden = true;
      button.disabled = false;
      this.saving = null;
      sessionStorage.removeItem(SAVING);
    }
  }

  clear() {
    const { map } = this.page;
    this.mask = null;
    this.turn = (this.turn || 0) + 1;
    this.find(".words-result").hidden = true;
    if (map.getLayer(SOURCE)) map.removeLayer(SOURCE);
    if (map.getSource(SOURCE)) map.removeSource(SOURCE);
  }
}

function swatch(color) {
  const found = document.createElement("span");
  found.className = "swatch";
  found.style.background = color;
  return found;
}

function cell(kind, content) {
  const found = document.createElement("td");
  found.className = kind;
  found.append(content);
  return found;
}

export const tool = {
  id: "words",
  title: "Words",
  start(page) {
    const words = new Words(page);
    return {
      show() {
        words.look(true);
        words.open();
        words.resume();
      },
      hide: () => words.look(false),
    };
  },
};
