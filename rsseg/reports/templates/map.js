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
  let last = null;
  panes.addEventListener("pointerdown", (event) => {
    const box = ground(event.target);
    if (!box) return;
    last = { x: event.clientX, y: event.clientY, box };
    panes.setPointerCapture(event.pointerId);
  });
  panes.addEventListener("pointermove", (event) => {
    if (!last) return;
    at.x += (event.clientX - last.x) / last.box.width;
    at.y += (event.clientY - last.y) / last.box.height;
    last = { ...last, x: event.clientX, y: event.clientY };
    place();
  });
  for (const name of ["pointerup", "pointercancel"]) panes.addEventListener(name, () => (last = null));
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
  document.getElementById("fit").addEventListener("click", () => {
    Object.assign(at, { z: 1, x: 0, y: 0 });
    place();
  });

  // Classes that are not chosen are made transparent in a copy of the map.
  const picture = document.querySelector("#map img");
  const canvas = document.createElement("canvas");
  const filter = () => {
    const chosen = legend.filter(pressed).map((chip) => data.colours[chip.dataset.class]);
    root.dataset.chosen = chosen.length;
    picture.style.display = chosen.length ? "none" : "";
    canvas.remove();
    if (!chosen.length) return;
    canvas.width = picture.naturalWidth;
    canvas.height = picture.naturalHeight;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(picture, 0, 0);
    const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
    const words = new Uint32Array(pixels.data.buffer);
    const kept = new Set(chosen.map(([r, g, b]) => (r | (g << 8) | (b << 16) | (255 << 24)) >>> 0));
    let count = 0;
    for (let i = 0; i < words.length; i++) {
      if (kept.has(words[i])) count++;
      else words[i] = 0;
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
  fromAddress();
  place();
})();
