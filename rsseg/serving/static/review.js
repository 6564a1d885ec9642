// The tool "Review": accept, reject, reclass and redraw the objects of a converted set; every decision is kept at once.

import { makePanel } from "/static/review_panel.js";
import { makeStage } from "/static/review_stage.js";

const PAGE = 24;
const CLOSED = "Your review is finished. Reopen it to decide again.";
const NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/;
const remembered = (key) => { try { return localStorage.getItem(`rsseg.review.${key}`); } catch { return null; } };
const remember = (key, value) => { try { localStorage.setItem(`rsseg.review.${key}`, value); } catch { /* private windows have none */ } };

// Outlines and holes of GeoJSON polygons, as one list of rings.
function ringsOf(features) {
  return features.flatMap(({ geometry }) => (!geometry ? [] : geometry.type === "Polygon" ? geometry.coordinates : geometry.coordinates.flat()));
}

function start(page) {
  document.head.append(Object.assign(document.createElement("link"), { rel: "stylesheet", href: "/static/review.css" }));
  let layer = null, summary = null, items = [], at = 0, following = null, starts = [0], mode = "", context = 1;
  let visible = false, points = [], drawn = null, asked = 0, queue = Promise.resolve();
  let turn = 0; // counts layers: what belongs to one that was there before is left out
  const state = (value) => { stage.stage.dataset.state = value; };
  const fail = (error) => { state("ready"); page.toast(error.message, "error"); };
  const address = (path) => `/api/review/${encodeURIComponent(layer)}${path}`;
  // One thing after the other, in the order of the keys.
  const enqueue = (work) => { queue = queue.then(work).catch(fail); return queue; };
  const run = (work) => () => { const own = turn; return enqueue(() => own === turn && work()); };
  const there = (act) => (value) => summary && act(value);
  const query = (more) => new URLSearchParams({ reviewer: summary.reviewer, ...more });
  const item = () => items[at] || null;

  const stage = makeStage(page.map.getContainer(), { onPick: (i) => select(i), onBox: offerBox, onClick: addPoint });
  const panel = makePanel(page.panel, {
    accept: () => decide({ decision: "accept" }), reject: () => decide({ decision: "reject" }),
    reclass: (name) => decide({ decision: "class", new_class: name }),
    mode: (name) => setMode(mode === name ? "" : name), undo: there(undo), step: (by) => run(() => step(by))(),
    context: (by) => { context = Math.min(Math.max(context + by, 1), 4); run(showItem)(); },
    filter: there(() => { keepFilters(); run(() => load([0]))(); }),
    reviewer: there(changeReviewer), finish: there(run(finish)), reopen: there(run(reopen)),
  });

  async function begin() {
    stage.stage.hidden = !(visible && layer);
    if (!visible) return;
    if (!layer) return panel.choose(page.layers.filter((own) => own.kind === "set"), (id) => page.choose(id).catch(fail));
    state("busy");
    items = [];
    const name = remembered("reviewer"), own = turn;
    const found = await page.api.get(address(name && NAME.test(name) ? `?${new URLSearchParams({ reviewer: name })}` : ""));
    if (own !== turn) return;
    summary = found;
    panel.begin(summary, JSON.parse(remembered(`filters.${summary.set}`) || "{}"));
    if (summary.finished) await showAgreement();
    if (own === turn) await load([0]);
  }

  function keepFilters() {
    remember(`filters.${summary.set}`, JSON.stringify({ label: panel.label.value, order: panel.order.value, shown: panel.shown.value }));
  }

  async function load(places, last = false) {
    state("busy");
    const wanted = { order: panel.order.value, shown: panel.shown.value, start: places[places.length - 1], limit: PAGE };
    if (panel.label.value) wanted.label = panel.label.value;
    const own = turn, found = await page.api.get(address(`/items?${query(wanted)}`));
    if (own !== turn) return;
    items = found.items;
    following = found.following;
    starts = places;
    stage.fill(items);
    if (items.length) return void select(last ? items.length - 1 : 0);
    at = 0;
    setMode("");
    panel.tell(null, summary);
    stage.say(summary.decided === summary.total ? "All objects are decided. Thank you!" : "No object fits these filters.");
    state("ready");
  }

  function select(i) {
    at = i;
    setMode("");
    stage.choose(i);
    panel.tell(item(), summary);
    return context === 1 ? showItem() : run(showItem)();
  }

  async function showItem() {
    const chosen = item();
    if (!chosen) return;
    const seen = context === 1 ? chosen : await page.api.get(address(`/items/${chosen.number}?${query({ context })}`));
    if (item() !== chosen) return;
    stage.show({ ...seen, decision: chosen.decision }, `${chosen.label}${chosen.decision ? ` → ${chosen.decision.verdict}` : ""}`);
    stage.stage.dataset.number = String(chosen.number);
    state("ready");
  }

  async function step(by) {
    if (at + by >= 0 && at + by < items.length) return void select(at + by);
    if (by > 0 && following !== null) return load([...starts, following]);
    if (by < 0 && starts.length > 1) return load(starts.slice(0, -1), true);
    page.toast(by > 0 ? "This is the last object." : "This is the first object.");
  }

  // The page goes on at once; where the server refuses, the object is as before.
  function decide(body) {
    const chosen = item();
    if (!chosen) return;
    if (closed()) return page.toast(CLOSED);
    state("busy");
    const where = address("/decisions"), who = summary.reviewer, own = turn; // they may change before the request leaves
    const comment = panel.comment.value.trim();
    panel.comment.value = "";
    setMode("");
    const before = chosen.decision;
    put(chosen, { verdict: [body.decision, body.new_class].filter(Boolean).join(": "), comment: null, ...body });
    enqueue(async () => {
      try {
        const found = await page.api.post(where, { reviewer: who, number: chosen.number, state: chosen.state,
          ...body, ...(comment ? { comment } : {}) });
        chosen.decision = found.decision;
      } catch (error) {
        if (own === turn) put(chosen, before);
        if (own === turn && error.status === 409) await refresh(); // finished in another window
        throw error;
      }
    });
    next();
  }

  function put(chosen, decision) {
    summary.decided += (decision ? 1 : 0) - (chosen.decision ? 1 : 0);
    chosen.decision = decision;
    panel.count(summary);
    stage.mark(items.indexOf(chosen), decision);
  }

  // The next object that has no decision yet, else the next one.
  function next() {
    const open = items.findIndex((own, i) => i > at && !own.decision);
    if (open >= 0) return void select(open);
    if (following !== null) return leave([...starts, following]);
    if (panel.shown.value === "undecided" && summary.decided < summary.total) return leave([0]);
    if (at + 1 < items.length) return void select(at + 1);
    if (summary.decided === summary.total) page.toast("All objects are decided. Thank you!", "good");
    run(showAgain)();
  }

  // Until the other objects are there, keys and buttons decide nothing.
  function leave(places) {
    at = items.length;
    run(() => load(places))();
  }

  function showAgain() {
    panel.tell(item(), summary);
    return showItem();
  }

  function undo() {
    if (closed()) return void page.toast(CLOSED);
    const where = address("/undo"), who = summary.reviewer, own = turn; // they may change before the request leaves
    enqueue(async () => showUndone(own, await page.api.post(where, { reviewer: who })));
  }

  async function showUndone(own, undone) {
    if (own !== turn) return;
    if (!undone) return void page.toast("There is nothing to undo.");
    await refresh();
    if (own !== turn) return;
    const place = items.findIndex((own) => own.number === undone.number);
    if (place < 0) return void await load([0]);
    items[place].decision = undone.decision;
    stage.mark(place, undone.decision);
    select(place);
  }

  function setMode(value) {
    mode = value;
    points = [];
    drawn = null;
    asked += 1;
    stage.clear();
    stage.setMode(value);
    panel.mode(value);
    if (value === "box") stage.offer([["Draw a box around the object", false, () => {}], ["Cancel", false, () => setMode("")]]);
    if (value === "click") stage.offer([["Click on the object; with Shift beside it", false, () => {}], ["Cancel", false, () => setMode("")]]);
  }

  function offerBox(box) {
    drawn = { decision: "box", box };
    stage.drawBox(box);
    stage.offer([["Use this box", true, useDrawn], ["Cancel", false, () => setMode("")]]);
  }

  function addPoint(x, y, off) {
    points.push([x, y, off ? 0 : 1]);
    drawn = null;
    const number = (asked += 1);
    run(() => askModel(number))();
  }

  // Asks the mask model about the clicks; an answer that comes after the next click is not shown.
  async function askModel(number) {
    if (number !== asked) return;
    const chosen = item();
    stage.drawMask([], points);
    stage.offer([["The model is asked …", false, () => {}], ["Cancel", false, () => setMode("")]]);
    const ticket = await page.api.post(address("/segment?wait=1"), { number: chosen.number, state: chosen.state, context, points });
    const found = await page.api.finish(ticket);
    if (number !== asked || item() !== chosen) return;
    const rings = ringsOf(found.result.features);
    stage.drawMask(rings, points);
    drawn = rings.length ? { decision: "mask", rings } : null;
    stage.offer([...(drawn ? [["Use this mask", true, useDrawn]] : [["Nothing was found", false, () => {}]]), ["Cancel", false, () => setMode("")]]);
  }

  function useDrawn() {
    if (drawn) decide(drawn);
  }

  function changeReviewer(name) {
    if (!NAME.test(name)) {
      panel.count(summary);
      return page.toast("A name has letters, digits, '_', '.' and '-', 64 at most.", "error");
    }
    remember("reviewer", name);
    return run(begin)();
  }

  const closed = () => summary.finished && !summary.reopened;

  async function refresh() {
    const own = turn, found = await page.api.get(address(`?${query({})}`));
    if (own !== turn) return;
    summary = found;
    panel.count(summary);
    panel.tell(item(), summary);
  }

  async function finish() {
    const own = turn, found = await page.api.post(address("/finish"), { reviewer: summary.reviewer });
    if (own !== turn) return;
    summary = found;
    panel.count(summary);
    await showAgreement();
    if (own === turn) await load(starts);
  }

  async function reopen() {
    const own = turn, found = await page.api.post(address("/reopen"), { reviewer: summary.reviewer });
    if (own !== turn) return;
    summary = found;
    panel.count(summary);
    await load(starts);
  }

  async function showAgreement() {
    const own = turn, found = await page.api.get(address(`/agreement?${query({})}`));
    if (own === turn) panel.agreement(found);
  }

  const KEYS = { a: () => decide({ decision: "accept" }), r: () => decide({ decision: "reject" }), c: () => panel.classes.focus(),
    b: () => summary.takes_boxes && item() && !closed() && setMode(mode === "box" ? "" : "box"),
    k: () => item() && !closed() && setMode(mode === "click" ? "" : "click"),
    u: undo, arrowright: () => run(() => step(1))(), arrowleft: () => run(() => step(-1))(), enter: useDrawn, escape: () => setMode(""),
    m: () => stage.bare(!stage.stage.querySelector("svg.bare")) };
  document.addEventListener("keydown", (event) => {
    const { target } = event;
    const typing = target.closest?.("input, select, textarea") || (event.key === "Enter" && target.closest?.("button"))
      || (event.key.startsWith("Arrow") && target.closest?.("[role=tab]"));
    if (visible && typing && event.key === "Escape") target.blur();
    if (!visible || !layer || !summary || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const act = KEYS[event.key.toLowerCase()];
    if (!act || (event.repeat && !event.key.startsWith("Arrow"))) return; // a key held down decides once
    event.preventDefault();
    act();
  });

  page.onLayer((shown) => {
    const id = shown.kind === "set" ? shown.id : null;
    if (id !== layer) {
      layer = id;
      turn += 1;
      summary = null;
      items = []; // nothing is decided until those of this layer are there
      setMode("");
    }
    if (visible) run(begin)();
  });
  return {
    show() { visible = true; run(begin)(); },
    hide() { visible = false; setMode(""); stage.stage.hidden = true; },
  };
}

export const tool = { id: "review", title: "Review", start };
