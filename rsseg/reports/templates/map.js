"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const find = (selector) => [...document.querySelectorAll(selector)];
  const panes = document.querySelector(".panes");
  const cut = document.getElementById("cut");
  const views = find(".chip[data-view]");
  const legend = find(".chip[data-class]");
  const pressed = (chip) => chip.getAttribute("aria-pressed") === "true";

  const show = (view) => {
    panes.dataset.view = view;
    for (const chip of views) chip.setAttribute("aria-pressed", String(chip.dataset.view === view));
    document.getElementById("mixer").hidden = view === "side";
    root.dataset.view = view;
    here.hidden = true;
    filter();
  };
  for (const chip of views) {
    chip.addEventListener("click", () => {
      history.replaceState(null, "", `#${chip.dataset.view}`);
      show(chip.dataset.view);
    });
  }
  const fromAddress = () => {
    const view = location.hash.slice(1);
    if (views.length) show(views.some((chip) => chip.dataset.view === view) ? view : "side");
  };
  cut?.addEventListener("input", () => panes.style.setProperty("--cut", `${cut.value}%`));

  // Zoom and place are shared by both pictures: scale z, and shift x, y in widths and heights of a picture.
  const at = { z: 1, x: 0, y: 0 };
  const place = () => {
    at.z = Math.min(Math.max(at.z, 1), 32);
    for (const axis of ["x", "y"]) at[axis] = Math.min(Math.max(at[axis], 1 - at.z), 0);
    for (const key of ["x", "y", "z"]) panes.style.setProperty(`--${key}`, at[key]);
    panes.classList.toggle("zoomed", at.z > 1);
    panes.classList.toggle("near", at.z > 3);
    root.dataset.zoom = at.z.toFixed(2);
    closer.disabled = at.z === 32;
    farther.disabled = at.z === 1;
    measure();
  };

  // The scale bar: 1, 2 or 5 times a power of ten of metres, or of pixels where they have no size.
  const scale = document.querySelector(".scale");
  const measure = () => {
    const width = document.querySelector("#map .ground").clientWidth;
    const unit = ((data.metres ?? 1) * data.size[1]) / (width * at.z); // of a pixel on the screen
    const most = unit * Math.min(150, width / 2);
    const power = 10 ** Math.floor(Math.log10(most));
    const long = power * [5, 2, 1].find((digit) => digit * power <= most);
    const brief = (value) => Number(value.toPrecision(1)).toLocaleString("en", { maximumFractionDigits: 6 });
    const metres = long >= 1000 ? `${brief(long / 1000)} km` : long >= 1 ? `${brief(long)} m` : `${brief(long * 100)} cm`;
    const text = data.metres === null ? `${brief(long)} ${long === 1 ? "pixel" : "pixels"}` : metres;
    scale.style.setProperty("--long", `${long / unit}px`);
    scale.lastElementChild.textContent = text;
    scale.setAttribute("aria-label", `Scale bar: ${text}`);
    root.dataset.scale = text;
  };
  const zoom = (factor, u, v) => {
    const z = Math.min(Math.max(at.z * factor, 1), 32);
    at.x = u - ((u - at.x) * z) / at.z;
    at.y = v - ((v - at.y) * z) / at.z;
    at.z = z;
    place();
  };
  const ground = (target) => target.closest(".ground")?.getBoundingClientRect();
  panes.addEventListener(
    "wheel",
    (event) => {
      const box = ground(event.target);
      if (!box || event.ctrlKey || (at.z === 1 && event.deltaY > 0)) return; // the page scrolls
      event.preventDefault();
      const factor = Math.exp(-Math.sign(event.deltaY) * 0.2);
      zoom(factor, (event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
    },
    { passive: false },
  );
  const fingers = new Map(); // where the pointers are that are down, by their ids
  let area = null; // the picture on which they went down
  let last = null;
  const grip = () => {
    const points = [...fingers.values()];
    const mean = (key) => points.reduce((sum, point) => sum + point[key], 0) / points.length;
    const apart = points.length > 1 ? Math.hypot(points[0].x - points[1].x, points[0].y - points[1].y) : 0;
    return points.length ? { x: mean("x"), y: mean("y"), apart } : null;
  };
  panes.addEventListener("pointerdown", (event) => {
    const found = event.target.closest(".ground");
    if (!found && !fingers.size) return;
    area = fingers.size ? area : found;
    if (event.pointerType === "touch" && !fingers.size) tell(event, area);
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    last = grip();
    panes.setPointerCapture(event.pointerId);
  });
  panes.addEventListener("pointermove", (event) => {
    if (!fingers.has(event.pointerId)) {
      tell(event, event.target.closest(".ground"));
      return;
    }
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    const now = grip();
    const box = area.getBoundingClientRect();
    at.x += (now.x - last.x) / box.width;
    at.y += (now.y - last.y) / box.height;
    if (now.apart && last.apart) zoom(now.apart / last.apart, (now.x - box.left) / box.width, (now.y - box.top) / box.height);
    else place();
    if (Math.hypot(now.x - last.x, now.y - last.y) > 2 || now.apart) here.hidden = true;
    last = now;
  });
  for (const name of ["pointerup", "pointercancel"]) {
    panes.addEventListener(name, (event) => {
      fingers.delete(event.pointerId);
      last = grip();
    });
  }
  panes.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && (here.hidden = true));
  for (const name of ["touchstart", "touchmove"]) {
    // two fingers zoom the map and not the page; one scrolls the page until the map is zoomed
    panes.addEventListener(name, (event) => event.touches.length > 1 && event.preventDefault(), { passive: false });
  }
  panes.addEventListener("keydown", (event) => {
    const factor = { "+": 1.5, "=": 1.5, "-": 1 / 1.5 }[event.key];
    const step = { ArrowLeft: [0.1, 0], ArrowRight: [-0.1, 0], ArrowUp: [0, 0.1], ArrowDown: [0, -0.1] }[event.key];
    if (factor) zoom(factor, 0.5, 0.5);
    if (step && at.z > 1) {
      event.preventDefault();
      at.x += step[0];
      at.y += step[1];
      place();
    }
  });
  const closer = document.getElementById("closer");
  const farther = document.getElementById("farther");
  closer.addEventListener("click", () => zoom(1.5, 0.5, 0.5));
  farther.addEventListener("click", () => zoom(1 / 1.5, 0.5, 0.5));
  document.getElementById("fit").addEventListener("click", () => {
    Object.assign(at, { z: 1, x: 0, y: 0 });
    place();
  });

  const picture = document.querySelector("#map img");
  const word = ([r, g, b]) => (r | (g << 8) | (b << 16) | (255 << 24)) >>> 0;
  const draw = (canvas) => {
    canvas.width = picture.naturalWidth;
    canvas.height = picture.naturalHeight;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(picture, 0, 0);
    return context;
  };

  // The class at a place is found by the colour there; classes of one colour are all named.
  const here = document.getElementById("here");
  const names = new Map();
  data.colours.forEach((colour, i) => names.set(word(colour), [...(names.get(word(colour)) ?? []), data.names[i]]));
  let words = null;
  const tell = (event, ground) => {
    if (!words && picture.naturalWidth) {
      const pixels = draw(document.createElement("canvas")).getImageData(0, 0, picture.naturalWidth, picture.naturalHeight);
      words = new Uint32Array(pixels.data.buffer);
    }
    here.hidden = !ground || !words;
    if (here.hidden) return;
    const box = ground.getBoundingClientRect();
    const along = (part, shift, count) => Math.min(Math.max(Math.floor(((part - shift) / at.z) * count), 0), count - 1);
    const x = along((event.clientX - box.left) / box.width, at.x, picture.naturalWidth);
    const y = along((event.clientY - box.top) / box.height, at.y, picture.naturalHeight);
    const found = words[y * picture.naturalWidth + x];
    const dot = Object.assign(document.createElement("i"), { className: names.has(found) ? "dot" : "dot none" });
    dot.style.setProperty("--c", `rgb(${found & 255} ${(found >> 8) & 255} ${(found >> 16) & 255})`);
    here.replaceChildren(dot, names.get(found)?.join(" or ") ?? "no data");
    here.style.left = `${Math.min(event.clientX + 14, innerWidth - here.offsetWidth - 4)}px`;
    here.style.top = `${event.clientY + 18 + here.offsetHeight > innerHeight ? event.clientY - here.offsetHeight - 8 : event.clientY + 18}px`;
    root.dataset.here = here.textContent;
  };

  // Classes that are not chosen fade in a copy of the map; over the image they vanish.
  const canvas = document.createElement("canvas");
  const filter = () => {
    const chosen = legend.filter(pressed).map((chip) => data.colours[chip.dataset.class]);
    root.dataset.chosen = chosen.length;
    picture.style.display = chosen.length ? "none" : "";
    panes.classList.toggle("filtered", chosen.length > 0);
    canvas.remove();
    if (!chosen.length) return;
    const context = draw(canvas);
    const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
    const own = new Uint32Array(pixels.data.buffer);
    const kept = new Set(chosen.map(word));
    const paper = getComputedStyle(root).getPropertyValue("--panel").trim();
    const ground = [1, 3, 5].map((start) => parseInt(paper.slice(start, start + 2), 16));
    const fade = (colour) => word(colour.map((value, i) => Math.round(0.15 * value + 0.85 * ground[i])));
    const stripe = word([148, 156, 166]); // of no data, where the image is seen through the map
    const vanish = panes.dataset.view === "blend";
    const faded = new Map(data.colours.map((colour) => [word(colour), vanish ? 0 : fade(colour)]));
    let count = 0;
    for (let i = 0; i < own.length; i++) {
      if (kept.has(own[i])) count++;
      else own[i] = faded.get(own[i]) ?? (vanish && ((i % canvas.width) + Math.floor(i / canvas.width)) % 8 < 2 ? stripe : 0);
    }
    context.putImageData(pixels, 0, 0);
    picture.after(canvas);
    root.dataset.kept = count;
  };
  for (const chip of legend) {
    chip.addEventListener("click", () => {
      chip.setAttribute("aria-pressed", String(!pressed(chip)));
      filter();
    });
  }

  window.addEventListener("hashchange", fromAddress);
  window.addEventListener("load", () => {
    const images = [...document.images];
    root.dataset.images = images.length;
    root.dataset.broken = images.filter((image) => !image.naturalWidth).length;
  });
  new ResizeObserver(measure).observe(panes);
  fromAddress();
  place();
})();
