"use strict";
// A map of one dataset: tiles of a raster, or features of a table, on a grid of degrees. Needs nothing from elsewhere.
// Web Mercator throughout: a position is x, y in 0..1 of the world square; `zoom` is the power of two of its width in tiles.
const TILE = 256;
const FEATURES = 1000;
const root = document.getElementById("map");
const canvas = root.querySelector("canvas");
const note = document.getElementById("note");
const form = document.getElementById("key");
const { kind, source } = root.dataset;
const view = { x: 0.5, y: 0.5, zoom: 1 };
const tiles = new Map();
let tilejson = null;
let features = [];
let asked = 0;

const lonToX = (lon) => lon / 360 + 0.5;
const latToY = (lat) => {
  const s = Math.sin((Math.max(-85.0511, Math.min(85.0511, lat)) * Math.PI) / 180);
  return 0.5 - Math.log((1 + s) / (1 - s)) / (4 * Math.PI);
};
const xToLon = (x) => (x - 0.5) * 360;
const yToLat = (y) => (Math.atan(Math.sinh((0.5 - y) * 2 * Math.PI)) * 180) / Math.PI;
const world = () => TILE * 2 ** view.zoom;
const toScreen = (x, y) => [(x - view.x) * world() + root.clientWidth / 2, (y - view.y) * world() + root.clientHeight / 2];
const toWorld = (px, py) => [(px - root.clientWidth / 2) / world() + view.x, (py - root.clientHeight / 2) / world() + view.y];

async function get(url) {
  const key = sessionStorage.getItem("geomachine-key");
  const answer = await fetch(url, key ? { headers: { "X-API-Key": key } } : {});
  if (!answer.ok && answer.status !== 404) throw new Error(`${answer.status} ${answer.statusText}`);
  return answer;
}

function fit([west, south, east, north]) {
  const [left, right, top, bottom] = [lonToX(west), lonToX(east < west ? east + 360 : east), latToY(north), latToY(south)];
  view.x = (left + right) / 2;
  view.y = (top + bottom) / 2;
  const side = Math.max((right - left) / root.clientWidth, (bottom - top) / root.clientHeight, 1e-9) * TILE * 1.2;
  view.zoom = Math.max(0, Math.min(Math.floor(Math.log2(1 / side)), 17));
}

async function start() {
  tiles.clear();
  features = [];
  root.querySelectorAll("img").forEach((img) => img.remove());
  const answer = await get(kind === "raster" ? `${source}/WebMercatorQuad/tilejson.json` : source);
  if (answer.status === 404) {
    note.textContent = "There is nothing here, or it takes a key to see it.";
    return draw();
  }
  const told = await answer.json();
  tilejson = kind === "raster" ? told : null;
  const box = kind === "raster" ? told.bounds : told.extent?.spatial?.bbox?.[0];
  if (box) fit(box.length === 6 ? [box[0], box[1], box[3], box[4]] : box);
  note.textContent = told.title || told.name || decodeURIComponent(source.split("/").pop());
  refresh();
}

function refresh() {
  draw();
  (kind === "raster" ? loadTiles() : loadFeatures()).catch((e) => (note.textContent = String(e.message)));
}

async function loadTiles() {
  if (!tilejson) return;
  const z = Math.max(0, Math.min(Math.round(view.zoom), tilejson.maxzoom ?? 18));
  const count = 2 ** z;
  const [x0, y0] = toWorld(0, 0);
  const [x1, y1] = toWorld(root.clientWidth, root.clientHeight);
  const wanted = new Set();
  for (let x = Math.floor(x0 * count); x <= Math.floor(x1 * count); x += 1)
    for (let y = Math.max(0, Math.floor(y0 * count)); y <= Math.min(count - 1, Math.floor(y1 * count)); y += 1)
      wanted.add(`${z}/${x}/${y}`);
  for (const [name, tile] of tiles)
    if (!wanted.has(name)) {
      tile.img?.remove();
      if (tile.img) URL.revokeObjectURL(tile.img.src);
      tiles.delete(name);
    }
  await Promise.all([...wanted].filter((name) => !tiles.has(name)).map(loadTile));
}

async function loadTile(name) {
  const [z, x, y] = name.split("/").map(Number);
  const tile = { z, x, y, img: null };
  tiles.set(name, tile);
  const column = ((x % 2 ** z) + 2 ** z) % 2 ** z;
  const url = tilejson.tiles[0].replace("{z}", z).replace("{x}", column).replace("{y}", y);
  const answer = await get(url);
  if (!answer.ok || tiles.get(name) !== tile) return;
  tile.img = new Image();
  tile.img.src = URL.createObjectURL(await answer.blob());
  root.insertBefore(tile.img, canvas);
  place(tile);
}

function place({ z, x, y, img }) {
  if (!img) return;
  const [left, top] = toScreen(x / 2 ** z, y / 2 ** z);
  const side = world() / 2 ** z;
  img.style.cssText = `left:${left}px;top:${top}px;width:${side}px;height:${side}px`;
}

async function loadFeatures() {
  const number = (asked += 1);
  const [x0, y0] = toWorld(0, 0);
  const [x1, y1] = toWorld(root.clientWidth, root.clientHeight);
  const box = [Math.max(-180, xToLon(x0)), yToLat(Math.min(1, y1)), Math.min(180, xToLon(x1)), yToLat(Math.max(0, y0))];
  const answer = await get(`${source}/items?limit=${FEATURES}&bbox=${box.map((n) => n.toFixed(6)).join(",")}`);
  if (!answer.ok || number !== asked) return;
  const found = await answer.json();
  features = found.features;
  draw();
  if (found.numberMatched > FEATURES) note.textContent = `${FEATURES} of ${found.numberMatched} features`;
}

function draw() {
  const scale = window.devicePixelRatio || 1;
  canvas.width = root.clientWidth * scale;
  canvas.height = root.clientHeight * scale;
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  drawGrid(pen);
  tiles.forEach(place);
  pen.strokeStyle = "#d6336c";
  pen.fillStyle = "rgba(214, 51, 108, 0.25)";
  pen.lineWidth = 1.5;
  features.forEach((feature) => feature.geometry && drawGeometry(pen, feature.geometry));
}

function drawGrid(pen) {
  const steps = [90, 45, 30, 10, 5, 2, 1, 0.5, 0.25, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001];
  const step = steps.find((s) => (s / 360) * world() < 160) ?? 0.001;
  const [x0, y0] = toWorld(0, 0);
  const [x1, y1] = toWorld(root.clientWidth, root.clientHeight);
  pen.strokeStyle = "rgba(0, 0, 0, 0.15)";
  pen.fillStyle = "#555";
  pen.font = "11px sans-serif";
  for (let lon = Math.ceil(xToLon(x0) / step) * step; lon <= xToLon(x1); lon += step) {
    const [px] = toScreen(lonToX(lon), 0);
    line(pen, [[px, 0], [px, root.clientHeight]]);
    pen.fillText(`${Number(lon.toFixed(3))}°`, px + 3, 12);
  }
  for (let lat = Math.ceil(Math.max(-85, yToLat(y1)) / step) * step; lat <= Math.min(85, yToLat(y0)); lat += step) {
    const [, py] = toScreen(0, latToY(lat));
    line(pen, [[0, py], [root.clientWidth, py]]);
    pen.fillText(`${Number(lat.toFixed(3))}°`, 3, py - 3);
  }
}

function line(pen, points) {
  pen.beginPath();
  points.forEach(([x, y]) => pen.lineTo(x, y));
  pen.stroke();
}

const onScreen = (positions) => positions.map(([lon, lat]) => toScreen(lonToX(lon), latToY(lat)));

function drawGeometry(pen, geometry) {
  const parts = geometry.coordinates;
  switch (geometry.type) {
    case "Point":
      return drawPoints(pen, [parts]);
    case "MultiPoint":
      return drawPoints(pen, parts);
    case "LineString":
      return line(pen, onScreen(parts));
    case "MultiLineString":
      return parts.forEach((part) => line(pen, onScreen(part)));
    case "Polygon":
      return drawPolygon(pen, parts);
    case "MultiPolygon":
      return parts.forEach((part) => drawPolygon(pen, part));
    default:
      return (geometry.geometries || []).forEach((part) => drawGeometry(pen, part));
  }
}

function drawPoints(pen, positions) {
  onScreen(positions).forEach(([x, y]) => {
    pen.beginPath();
    pen.arc(x, y, 4, 0, 2 * Math.PI);
    pen.fill();
    pen.stroke();
  });
}

function drawPolygon(pen, rings) {
  pen.beginPath();
  rings.forEach((ring) => {
    onScreen(ring).forEach(([x, y], i) => (i ? pen.lineTo(x, y) : pen.moveTo(x, y)));
    pen.closePath();
  });
  pen.fill("evenodd");
  pen.stroke();
}

function zoomBy(steps, px = root.clientWidth / 2, py = root.clientHeight / 2) {
  const [x, y] = toWorld(px, py);
  view.zoom = Math.max(0, Math.min(view.zoom + steps, 20));
  view.x = x - (px - root.clientWidth / 2) / world();
  view.y = y - (py - root.clientHeight / 2) / world();
  refresh();
}

root.addEventListener("wheel", (event) => {
  event.preventDefault();
  zoomBy(event.deltaY < 0 ? 1 : -1, event.offsetX, event.offsetY);
}, { passive: false });
root.addEventListener("pointerdown", (event) => {
  if (event.target.closest("button")) return;
  root.setPointerCapture(event.pointerId);
  root.onpointermove = (move) => {
    view.x -= move.movementX / world();
    view.y -= move.movementY / world();
    draw();
  };
});
root.addEventListener("pointerup", () => {
  if (root.onpointermove) refresh();
  root.onpointermove = null;
});
document.getElementById("nearer").addEventListener("click", () => zoomBy(1));
document.getElementById("farther").addEventListener("click", () => zoomBy(-1));
window.addEventListener("resize", refresh);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("geomachine-key", form.elements.key.value);
  form.elements.key.value = "";
  begin();
});

function begin() {
  start().catch((e) => (note.textContent = String(e.message)));
}

begin();
