// The panel of the tool "Review": what can be done, what is known of the object, filters, and how far the review is.

import { element } from "/static/review_stage.js";

const SHOWN = { undecided: "undecided", all: "all", accept: "accepted", reject: "rejected", class: "class changed", redraw: "redrawn" };

function button(text, key, act, options = {}) {
  const at = text.toLowerCase().indexOf(key.toLowerCase());
  const made = element("button", { type: "button", title: `Key: ${key}`, on: { click: act }, ...options });
  if (at < 0) made.textContent = text;
  else made.append(text.slice(0, at), element("kbd", { textContent: text[at] }), text.slice(at + 1));
  return made;
}

// act: accept, reject, reclass(name), mode(name), undo, step(by), context(by), filter(), reviewer(name), finish, reopen
export function makePanel(panel, act) {
  const progress = element("progress", { attributes: { "aria-label": "Decided objects" } });
  const count = element("span", { className: "soft", id: "review-count" });
  const accept = button("Accept", "A", act.accept, { className: "good", id: "review-accept" });
  const reject = button("Reject", "R", act.reject, { className: "bad", id: "review-reject" });
  const box = button("Box", "B", () => act.mode("box"), { id: "review-box" });
  const click = button("Click", "K", () => act.mode("click"), { id: "review-click" });
  const undo = button("Undo", "U", act.undo, { id: "review-undo" });
  // Keys only lead through the classes, Enter takes one; then the keys of the page work again.
  let byKey = false;
  const leave = () => { classes.value = ""; byKey = false; classes.blur(); };
  const take = () => { const chosen = classes.value; leave(); if (chosen) act.reclass(chosen); };
  const classes = element("select", { id: "review-class", title: "Key: C, then arrows or letters, and Enter",
    attributes: { "aria-label": "Change the class (key C): arrows or letters, then Enter" },
    on: { change: () => { if (!byKey) take(); }, pointerdown: () => { byKey = false; }, blur: () => { classes.value = ""; byKey = false; },
      keydown: (event) => {
        if (event.key === "Escape") return leave();
        byKey = event.key !== "Enter";
        if (event.key !== "Enter" || !classes.value) return;
        event.preventDefault();
        event.stopPropagation();
        take();
      } } });
  const step = (text, by, name) => element("button", { type: "button", textContent: text, className: "narrow",
    attributes: { "aria-label": name }, title: `${name} (arrow keys)`, on: { click: () => act.step(by) } });
  const zoom = (text, by, name) => element("button", { type: "button", textContent: text, className: "narrow",
    attributes: { "aria-label": name }, title: name, on: { click: () => act.context(by) } });
  const acts = element("div", { className: "review-acts" },
    element("div", { className: "row" }, progress, count),
    element("div", { className: "row" }, step("‹", -1, "Previous object"), accept, reject, step("›", 1, "Next object")),
    element("div", { className: "row" }, box, click, undo, zoom("−", 1, "More of the surroundings"), zoom("+", -1, "Less of the surroundings")),
    element("div", { className: "row" }, classes));
  const facts = element("dl", { className: "review-facts" });
  const flags = element("p");
  const comment = element("input", { id: "review-comment", maxLength: 1000, placeholder: "goes with the next decision" });
  const name = element("input", { id: "review-reviewer", maxLength: 64, spellcheck: false, autocomplete: "off",
    on: { change: () => act.reviewer(name.value.trim()) } });
  const order = element("select", { id: "review-order", on: { change: act.filter } });
  const label = element("select", { id: "review-label", on: { change: act.filter } });
  const shown = element("select", { id: "review-shown", on: { change: act.filter } });
  shown.append(...Object.entries(SHOWN).map(([value, text]) => new Option(text, value)));
  const field = (text, input) => [element("label", { htmlFor: input.id, textContent: text }), input];
  const fields = element("div", { className: "review-fields" }, ...field("Show", shown), ...field("Class", label),
    ...field("Order", order), ...field("Comment", comment), ...field("Reviewer", name));
  const finish = element("button", { type: "button", id: "review-finish", on: { click: () => (closed ? act.reopen() : act.finish()) } });
  const after = element("p", { className: "soft", id: "review-after" });
  let closed = false;
  const told = element("div", { id: "review-agreement" });
  const file = element("p", { className: "soft", id: "review-file" });
  const work = element("div", {}, acts, facts, flags, fields, element("h2", { textContent: "At the end" }),
    element("div", { className: "row" }, finish), after, told, file);
  const none = element("div");
  panel.replaceChildren(none, work);

  return {
    classes, comment, order, label, shown,
    // Without a set: which ones there are.
    choose(sets, open) {
      work.hidden = true;
      none.hidden = false;
      none.replaceChildren(element("p", { textContent: sets.length ? "Choose a converted set to review its labels:"
        : "There is no converted set here. Name one: rsseg serve FOLDER_OF_THE_SET" }),
      ...sets.map((layer) => element("div", { className: "row" }, element("button", { type: "button", className: "primary",
        textContent: `Review ${layer.name}`, on: { click: () => open(layer.id) } }))));
    },
    begin(summary, kept) {
      work.hidden = false;
      none.hidden = true;
      const there = summary.classes.filter((own) => own.count);
      classes.replaceChildren(new Option("Change the class (C) …", ""), ...summary.classes.map((own) => new Option(own.name)));
      label.replaceChildren(new Option("all", ""), ...there.map((own) => new Option(`${own.name} (${own.count})`, own.name)));
      order.replaceChildren(...Object.entries(summary.orders).map(([value, text]) => new Option(text, value)));
      for (const [input, key] of [[label, "label"], [order, "order"], [shown, "shown"]]) {
        if (kept[key] !== undefined && [...input.options].some((option) => option.value === kept[key])) input.value = kept[key];
      }
      if (!summary.takes_boxes) box.title = "A conversion of this set does not ask with boxes";
      box.disabled = !summary.takes_boxes;
      told.replaceChildren();
      this.count(summary);
    },
    count(summary) {
      progress.max = Math.max(summary.total, 1);
      progress.value = summary.decided;
      count.textContent = `${summary.decided} of ${summary.total} decided`;
      name.value = summary.reviewer;
      closed = summary.finished && !summary.reopened;
      finish.textContent = closed ? "Reopen my review" : "Finish my review";
      after.textContent = closed ? "Finished: nothing more can be decided, unless you reopen your review."
        : summary.finished ? "Reopened: what you decide now is kept, but does not count for the agreement."
          : summary.blind ? "Others' decisions are shown then, so yours cannot be changed any more." : "";
      file.textContent = `Decisions are kept in ${summary.file} of the server's folder; rsseg convert CONFIG --review FILE applies them.`;
    },
    mode(value) {
      box.setAttribute("aria-pressed", String(value === "box"));
      click.setAttribute("aria-pressed", String(value === "click"));
    },
    tell(item, summary) {
      const fixed = !item || (summary.finished && !summary.reopened);
      for (const own of [accept, reject, classes, click]) own.disabled = fixed;
      undo.disabled = summary.finished && !summary.reopened;
      box.disabled = fixed || !summary.takes_boxes;
      const share = (value) => (value === null ? null : value.toFixed(3));
      const rows = !item ? [] : [["Class", item.label], ["Decided", item.decision && item.decision.verdict], ["Score", share(item.score)],
        ["Predicted IoU", share(item.predicted_iou)], ["Stability", share(item.stability)], ["Area", `${item.area} px`],
        ["Mask / box", share(item.mask_to_box)], ["Tile", item.tile], ["Object", item.object],
        ["Comment", item.decision && item.decision.comment],
        ["Others", item.others && item.others.map((own) => `${own.reviewer}: ${own.verdict}`).join(", ")]];
      facts.replaceChildren(...rows.filter(([, value]) => value !== null && value !== "").flatMap(([key, value]) =>
        [element("dt", { textContent: key }), element("dd", { textContent: value })]));
      flags.replaceChildren(...(item ? item.flags : []).map((flag) => element("span", { className: "review-flag",
        textContent: summary.flags[flag] })));
    },
    agreement(found) {
      const share = (value) => (value === null ? "–" : `${(100 * value).toFixed(0)} %`);
      const number = (value) => (value === null ? "–" : value.toFixed(2));
      const table = (head, rows) => element("table", {}, element("tr", {}, ...head.map((text) => element("th", { textContent: text }))),
        ...rows.map((row) => element("tr", {}, ...row.map((text) => element("td", { textContent: text })))));
      told.replaceChildren(...(found.pairs.length ? [
        table(["Reviewers", "Objects", "Equal", "Kappa"], found.pairs.map((own) => [`${own.first}, ${own.second}`, own.items, share(own.equal), number(own.kappa)])),
        table(["Class", "Objects", "Equal", "Alpha"], found.groups.map((own) => [own.name, own.items, share(own.equal), number(own.alpha)])),
      ] : [element("p", { className: "soft", textContent: "Nobody else has reviewed this set yet." })]));
    },
  };
}
