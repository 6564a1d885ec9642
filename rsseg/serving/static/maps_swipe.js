// The swipe: a second map over the first one, cut off at a divider that mouse, touch and arrow keys move.

const STEP = 0.05;

export function makeSwipe(page, draw) {
  const root = page.map.getContainer();
  const listeners = [];
  let other = null;
  let ready = false; // whether sources and layers may be added to it
  let divider = null;
  let share = 0.5;

  function place() {
    if (!other) return;
    const x = share * 100;
    other.getContainer().style.clipPath = `inset(0 0 0 ${x}%)`;
    divider.style.left = `${x}%`;
    divider.setAttribute("aria-valuenow", String(Math.round(x)));
    divider.setAttribute("aria-valuetext", `image ${Math.round(x)} %, map ${100 - Math.round(x)} %`);
  }

  function move(value) {
    if (!Number.isFinite(value)) return;
    share = Math.min(1, Math.max(0, value));
    place();
  }

  function follow() {
    document.body.dataset.swipe = "busy";
    other.jumpTo({ center: page.map.getCenter(), zoom: page.map.getZoom() });
  }

  function makeDivider() {
    divider = Object.assign(document.createElement("div"), { id: "divider", tabIndex: 0 });
    for (const [name, value] of [["role", "slider"], ["aria-label", "Divider between image and map"], ["aria-valuemin", "0"],
      ["aria-valuemax", "100"], ["aria-orientation", "horizontal"]]) divider.setAttribute(name, value);
    const drag = (event) => {
      const { left, width } = root.getBoundingClientRect();
      move((event.clientX - left) / width);
    };
    divider.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      event.stopPropagation();
      divider.focus();
      divider.setPointerCapture(event.pointerId);
      divider.addEventListener("pointermove", drag);
    });
    for (const name of ["mousedown", "touchstart", "dblclick", "click"]) divider.addEventListener(name, (event) => event.stopPropagation());
    const drop = () => {
      divider.removeEventListener("pointermove", drag);
      for (const listener of listeners) listener();
    };
    divider.addEventListener("pointerup", drop);
    divider.addEventListener("pointercancel", drop);
    divider.addEventListener("keydown", (event) => {
      const to = { ArrowLeft: share - STEP, ArrowRight: share + STEP, Home: 0, End: 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      event.stopPropagation();
      move(to);
      for (const listener of listeners) listener();
    });
    root.append(divider);
  }

  function open() {
    const container = Object.assign(document.createElement("div"), { id: "swipe-map" });
    container.setAttribute("aria-hidden", "true");
    root.append(container);
    document.body.dataset.swipe = "busy";
    const style = { version: 8, sources: {}, layers: [{ id: "ground", type: "background", paint: { "background-color": "#e9ecef" } }] };
    const made = new page.maplibregl.Map({ container, style, interactive: false, attributionControl: false, maxZoom: 26,
      center: page.map.getCenter(), zoom: page.map.getZoom(), canvasContextAttributes: { preserveDrawingBuffer: true } });
    other = made;
    made.getCanvas().tabIndex = -1;
    made.on("load", () => {
      if (other !== made) return;
      ready = true;
      draw(made);
    });
    made.on("dataloading", () => { if (other === made) document.body.dataset.swipe = "busy"; });
    made.on("idle", () => { if (other === made) document.body.dataset.swipe = "idle"; });
    page.map.on("move", follow);
    makeDivider();
    place();
  }

  function close() {
    page.map.off("move", follow);
    other.remove();
    other.getContainer().remove();
    divider.remove();
    other = divider = null;
    ready = false;
    document.body.dataset.swipe = "off";
  }

  return {
    set(active) {
      if (active && !other) open();
      else if (!active && other) close();
    },
    move,
    position: () => share,
    onMove: (listener) => listeners.push(listener),
    each: (action) => { if (ready) action(other); },
    redraw() {
      if (!ready) return;
      document.body.dataset.swipe = "busy";
      draw(other);
      other.triggerRepaint();
    },
  };
}
