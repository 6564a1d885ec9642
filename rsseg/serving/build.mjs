// Copies MapLibre GL, as it is published, to static/maplibre, without the names of source maps that are not shipped.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";

const source = new URL("node_modules/maplibre-gl/", import.meta.url);
const target = new URL("static/maplibre/", import.meta.url);
const files = ["dist/maplibre-gl.mjs", "dist/maplibre-gl-worker.mjs", "dist/maplibre-gl.css", "LICENSE.txt"];

mkdirSync(target, { recursive: true });
for (const file of files) {
  const text = readFileSync(new URL(file, source), "utf8");
  writeFileSync(new URL(file.split("/").pop(), target), text.replace(/\n\/\/# sourceMappingURL=.*\n?/, "\n"));
}
