"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const find = (selector) => [...document.querySelectorAll(selector)];
  const byId = (id) => document.getElementById(id);
  const cards = find(".card");
  const holder = byId("cards");
  const original = [...cards];
  const chips = { class: find(".chip[data-class]"), kind: find(".chip[data-kind]") };
  const sliders = ["min", "max"].map(byId);
  const scored = sliders[0] !== null;
  const end = (slider) => Number(slider[slider.id]);
  const moved = (slider) => Number(slider.value) !== end(slider);

  // What is chosen lives in the address: #class=ship&class=plane&kind=best&min=0.5&max=0.9&flag=border&sort=low
  const read = () => {
    const query = new URLSearchParams(location.hash.slice(1));
    const ids = query.getAll("class").map((name) => data.classes.indexOf(name)).filter((id) => id >= 0);
    return {
      class: new Set(ids.map(String)),
      kind: new Set(query.getAll("kind")),
      min: query.get("min"),
      max: query.get("max"),
      flag: query.get("flag") || "",
      sort: query.get("sort") || "",
      lines: query.get("lines") !== "0",
    };
  };

  const write = () => {
    const query = new URLSearchParams();
    for (const chip of chips.class) if (pressed(chip)) query.append("class", data.classes[chip.dataset.class]);
    for (const chip of chips.kind) if (pressed(chip)) query.append("kind", chip.dataset.kind);
    for (const slider of scored ? sliders : []) {
      if (moved(slider)) query.set(slider.id, slider.value);
    }
    if (byId("flag").value) query.set("flag", byId("flag").value);
    if (byId("sort").value) query.set("sort", byId("sort").value);
    if (!byId("lines").checked) query.set("lines", "0");
    history.replaceState(null, "", "#" + query.toString());
    apply();
  };

  const pressed = (chip) => chip.getAttribute("aria-pressed") === "true";

  const show = (state) => {
    for (const [name, group] of Object.entries(chips)) {
      for (const chip of group) chip.setAttribute("aria-pressed", String(state[name].has(chip.dataset[name])));
    }
    for (const slider of scored ? sliders : []) {
      const value = parseFloat(state[slider.id]);
      slider.value = Number.isFinite(value) ? value : end(slider);
      slider.nextElementSibling.value = Number(slider.value).toFixed(2);
    }
    for (const name of ["flag", "sort"]) {
      byId(name).value = state[name];
      if (byId(name).selectedIndex < 0) byId(name).value = "";
    }
    byId("lines").checked = state.lines;
    holder.classList.toggle("bare", !state.lines);
  };

  const orders = {
    low: (a, b) => rank(a, 1) - rank(b, 1),
    high: (a, b) => rank(a, -1) - rank(b, -1),
    small: (a, b) => a.dataset.area - b.dataset.area,
  };
  const rank = (card, sign) => (card.dataset.score === "" ? Infinity : sign * card.dataset.score);

  const apply = () => {
    const state = read();
    if (holder) {
      show(state);
      const [low, high] = scored ? sliders.map((s) => (moved(s) ? Number(s.value) : null)) : [null, null];
      let shown = 0;
      for (const card of cards) {
        const { score, flags } = card.dataset;
        const value = score === "" ? NaN : Number(score);
        const visible =
          (!state.class.size || state.class.has(card.dataset.class)) &&
          (!state.kind.size || state.kind.has(card.dataset.kind)) &&
          (low === null || value >= low) &&
          (high === null || value <= high) &&
          (!byId("flag").value || flags.split(" ").includes(byId("flag").value));
        card.hidden = !visible;
        shown += visible;
      }
      const order = orders[byId("sort").value];
      holder.append(...(order ? [...original].sort(order) : original));
      byId("count").textContent = `${shown} of ${cards.length} masks`;
      root.dataset.shown = shown;
    }
    draw(state.class);
  };

  const SVG = "http://www.w3.org/2000/svg";
  const element = (name, attributes, text) => {
    const node = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== undefined) node.textContent = text;
    return node;
  };

  // A bar chart of counts; limit(i) says where bar i begins.
  const bars = (id, counts, limit, ticks, unit) => {
    const figure = byId(`chart-${id}`);
    figure.querySelectorAll("svg").forEach((old) => old.remove());
    const most = counts === null ? 0 : Math.max(...counts);
    figure.hidden = !most;
    if (!most) return;
    const [width, height, left, bottom] = [300, 150, 34, 16];
    const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": figure.innerText });
    const [w, h] = [(width - left) / counts.length, height - bottom - 12];
    for (const count of new Set([Math.ceil(most / 2), most])) { // whole numbers
      const y = height - bottom - (count / most) * h;
      svg.append(element("line", { x1: left, x2: width, y1: y, y2: y }));
      svg.append(element("text", { x: left - 4, y: y + 3, "text-anchor": "end" }, brief(count)));
    }
    svg.append(element("text", { x: left, y: 8 }, unit));
    counts.forEach((count, i) => {
      const tall = (count / most) * h;
      const bar = element("rect", {
        x: left + i * w + w * 0.06, width: w * 0.88, y: height - bottom - tall, height: tall,
      });
      bar.append(element("title", {}, `${limit(i)} to ${limit(i + 1)}: ${count} ${unit}`));
      svg.append(bar);
    });
    for (const i of ticks) {
      const anchor = i === 0 ? "start" : i === counts.length ? "end" : "middle";
      svg.append(element("text", { x: left + i * w, y: height - 4, "text-anchor": anchor }, limit(i)));
    }
    figure.append(svg);
  };

  const brief = (value) => {
    for (const [limit, unit] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
      if (value >= limit) return Number((value / limit).toPrecision(3)) + unit;
    }
    return String(Number(value.toPrecision(3)));
  };

  const sum = (rows, chosen) => {
    if (!rows) return null;
    const used = chosen.size ? rows.filter((_, i) => chosen.has(String(i))) : rows;
    return rows[0].map((_, k) => used.reduce((total, row) => total + row[k], 0));
  };

  const every = (count, step) => Array.from({ length: Math.floor(count / step) + 1 }, (_, i) => i * step);

  const draw = (chosen) => {
    const names = [...chosen].map((id) => data.classes[id]).join(", ");
    byId("of").textContent = names && `of ${names}`;
    const sizes = sum(data.sizes, chosen);
    const filled = sizes.map((count, i) => (count ? i : -1)).filter((i) => i >= 0);
    const first = filled.length ? filled[0] : 0;
    const cut = sizes.slice(first, filled.length ? filled[filled.length - 1] + 1 : 0);
    bars("sizes", cut, (i) => brief(2 ** (first + i)), every(cut.length, Math.ceil(cut.length / 5)), "masks");
    if (data.score) byId("chart-score").querySelector("figcaption").textContent = data.score_name;
    const score = sum(data.score, chosen);
    bars("score", score, (i) => brief(i / 50), every(50, 10), "masks");
    const fills = sum(data.mask_box_ratios, chosen);
    bars("mask_box_ratios", fills, (i) => (i > 100 ? "more" : brief(i / 50)), every(100, 25), "masks");
    bars("unlabelled", data.unlabelled, (i) => `${2 * i} %`, every(50, 10), "tiles");
  };

  const sortTable = (button) => {
    const head = button.parentElement;
    const column = [...head.parentElement.children].indexOf(head);
    const down = head.getAttribute("aria-sort") !== "descending" && column > 0;
    find("#classes th[aria-sort]").forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const value = (row) => row.children[column].dataset.v;
    const compare = column ? (a, b) => value(a) - value(b) : (a, b) => value(a).localeCompare(value(b));
    const rows = find("#classes tbody tr").sort((a, b) => (down ? compare(b, a) : compare(a, b)));
    document.querySelector("#classes tbody").append(...rows);
  };

  find("#classes thead button").forEach((button) => button.addEventListener("click", () => sortTable(button)));
  find("#classes a[data-pick]").forEach((link) =>
    link.addEventListener("click", (event) => {
      event.preventDefault();
      const query = new URLSearchParams(location.hash.slice(1));
      query.delete("class");
      query.append("class", data.classes[link.dataset.pick]);
      location.hash = query.toString();
      byId("gallery")?.scrollIntoView();
    }),
  );
  for (const chip of [...chips.class, ...chips.kind]) {
    chip.addEventListener("click", () => {
      chip.setAttribute("aria-pressed", String(!pressed(chip)));
      write();
    });
  }
  if (holder) {
    byId("tools").addEventListener("input", write);
    byId("tools").addEventListener("submit", (event) => event.preventDefault());
    byId("tools").addEventListener("reset", (event) => {
      event.preventDefault();
      history.replaceState(null, "", "#");
      apply();
    });
  }
  window.addEventListener("hashchange", apply);
  window.addEventListener("load", () => {
    const images = [...document.images];
    root.dataset.images = images.length;
    root.dataset.broken = images.filter((image) => !image.naturalWidth).length;
  });
  apply();
})();
