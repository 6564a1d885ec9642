// The legend of a class map: which classes are shown, and how much of what is in view each one is.

const HECTARE = 1e4;
const KM2 = 1e6;
const LIMITS = [[KM2, KM2, "km²"], [HECTARE / 10, HECTARE, "ha"], [0, 1, "m²"]];

// An area in the unit that people say it in.
export function size(metres) {
  const [, unit, name] = LIMITS.find(([least]) => metres >= least);
  const value = metres / unit;
  return `${value.toLocaleString("en", { maximumFractionDigits: value < 10 ? 2 : value < 100 ? 1 : 0 })} ${name}`;
}

function button(id, text, action) {
  const made = Object.assign(document.createElement("button"), { type: "button", id, textContent: text });
  made.addEventListener("click", action);
  return made;
}

export function makeLegend(root, changed) {
  const list = Object.assign(document.createElement("ul"), { className: "legend" });
  const head = Object.assign(document.createElement("div"), { className: "row" });
  const title = Object.assign(document.createElement("strong"), { textContent: "Classes" });
  const note = Object.assign(document.createElement("p"), { className: "soft", id: "map-areas-note" });
  let rows = [];
  const all = button("classes-all", "All", () => choose(rows.map((row) => row.id), true));
  const none = button("classes-none", "None", () => choose([], true));
  head.append(title, all, none);
  root.append(head, list, note);

  function choose(ids, tell = false) {
    for (const row of rows) row.box.checked = ids.includes(row.id);
    mark();
    if (tell) changed();
  }

  function mark() {
    for (const row of rows) row.item.classList.toggle("off", !row.box.checked);
  }

  function row({ id, name, color }) {
    const item = document.createElement("li");
    item.dataset.class = id;
    const label = document.createElement("label");
    const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: true });
    const swatch = Object.assign(document.createElement("span"), { className: "swatch" });
    swatch.style.background = color;
    label.append(box, swatch, Object.assign(document.createElement("span"), { className: "name", textContent: name }));
    const only = button("", "only", () => choose([id], true));
    only.className = "only";
    only.setAttribute("aria-label", `Only ${name}`);
    const bar = Object.assign(document.createElement("div"), { className: "bar" });
    const fill = document.createElement("i");
    fill.style.background = color;
    fill.style.width = "0";
    bar.append(fill);
    const amount = Object.assign(document.createElement("span"), { className: "amount" });
    item.append(label, only, bar, amount);
    box.addEventListener("change", () => { mark(); changed(); });
    return { id, item, box, fill, amount };
  }

  return {
    size,
    choose,
    set(classes) {
      rows = classes.map(row);
      list.replaceChildren(...rows.map((one) => one.item));
      note.textContent = "";
    },
    // Ids that are shown, or null where all are.
    classes() {
      const shown = rows.filter((one) => one.box.checked).map((one) => one.id);
      return shown.length === rows.length ? null : shown;
    },
    areas(found) {
      if (found.problem) {
        note.textContent = found.problem;
        for (const one of rows) one.amount.textContent = "";
        return;
      }
      for (const [index, { pixels, m2, share }] of found.classes.entries()) {
        if (!rows[index]) return;
        rows[index].fill.style.width = `${100 * share}%`;
        const amount = m2 === null ? `${pixels.toLocaleString("en")} px` : size(m2);
        rows[index].amount.textContent = `${(100 * share).toFixed(1)} % · ${amount}`;
      }
      note.textContent = `Areas of what is in view${found.estimated ? ", estimated from an overview" : ""} (${found.method}).${
        found.estimated ? ` What is narrower than ${found.factor} pixels may be missing; zoom in for exact ones.` : ""}`;
    },
  };
}
