// What the mouse, a finger or a pen does on the map while the tool "Draw" is open: clicks, and boxes that are dragged.

const LEAST = 4; // pixels; a shorter drag is no box

export function makePointer(page, { click, box }) {
  const { map } = page;
  const area = map.getCanvasContainer();
  const band = Object.assign(document.createElement("div"), { className: "shapes-band", hidden: true });
  area.append(band);
  let mode = null;
  let from = null;

  const at = (event) => {
    const { left, top } = area.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  };

  function show([x, y]) {
    const [x1, x2] = [from.at[0], x].sort((a, b) => a - b);
    const [y1, y2] = [from.at[1], y].sort((a, b) => a - b);
    Object.assign(band.style, { left: `${x1}px`, top: `${y1}px`, width: `${x2 - x1}px`, height: `${y2 - y1}px` });
    band.hidden = false;
    return [x1, y1, x2, y2];
  }

  function cancel() {
    const was = from !== null;
    from = null;
    band.hidden = true;
    return was;
  }

  area.addEventListener("pointerdown", (event) => {
    if (mode !== "box" || event.target !== map.getCanvas()) return;
    if (from || event.button !== 0) return void cancel(); // a second finger moves the map
    from = { id: event.pointerId, at: at(event) };
    area.setPointerCapture(event.pointerId);
  });
  area.addEventListener("pointermove", (event) => {
    if (from && event.pointerId === from.id) show(at(event));
  });
  area.addEventListener("pointerup", (event) => {
    if (!from || event.pointerId !== from.id) return;
    const [x1, y1, x2, y2] = show(at(event));
    cancel();
    if (x2 - x1 < LEAST || y2 - y1 < LEAST) return;
    const [a, b] = [map.unproject([x1, y2]), map.unproject([x2, y1])];
    box([a.lng, a.lat, b.lng, b.lat]);
  });
  area.addEventListener("pointercancel", cancel);
  map.on("click", (event) => {
    if (mode === "add" || mode === "remove") click(event.lngLat, event.originalEvent.shiftKey);
  });

  return {
    cancel,
    // "add", "remove", "box", or null where the map is only looked at.
    set(value) {
      mode = value;
      cancel();
      for (const [handler, on] of [[map.dragPan, value !== "box"], [map.boxZoom, !value], [map.doubleClickZoom, !value]]) {
        if (on) handler.enable();
        else handler.disable();
      }
      for (const part of [area, map.getCanvas()]) part.style.touchAction = value === "box" ? "none" : "";
      map.getCanvas().style.cursor = value ? "crosshair" : "";
    },
  };
}
