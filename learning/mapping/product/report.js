"use strict";
// The map of the report: two images, one clipped at a divider, and what was found over them. Places are decimetres to
// the right of and below the north-west corner of the map; `scale` is screen pixels per decimetre.

const data = JSON.parse(document.getElementById("data").textContent);
const find = (id) => document.getElementById(id);
const CLICK = 4, PAN = 60; // screen pixels that a press may move and still be a click; that an arrow key moves
const LARGEST = 4; // screen pixels per decimetre
const SNAP = 6; // screen pixels from which a road is hit

function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name in made && name !== "class") made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

function swatch(colour) {
  const made = make("span", { class: "swatch" });
  made.style.background = colour;
  return made;
}

const percent = (share) => (share === null ? "not known" : `${(100 * share).toFixed(share > 0.1 || share === 0 ? 0 : 1)} %`);
const minutes = (seconds) => (seconds === null ? "not known" : seconds < 0 ? "cut off" : `${(seconds / 60).toFixed(1)} min`);

// rings are written as a place and steps from it
function decoded(steps) {
  const places = new Float64Array(steps.length);
  for (let k = 0; k < steps.length; k++) places[k] = steps[k] + (k > 1 ? places[k - 2] : 0);
  return places;
}

function boxOf(rings) {
  const box = [Infinity, Infinity, -Infinity, -Infinity];
  for (const ring of rings) {
    for (let k = 0; k < ring.length; k += 2) {
      box[0] = Math.min(box[0], ring[k]); box[1] = Math.min(box[1], ring[k + 1]);
      box[2] = Math.max(box[2], ring[k]); box[3] = Math.max(box[3], ring[k + 1]);
    }
  }
  return box;
}

function pathOf(rings, closed) {
  const path = new Path2D();
  for (const ring of rings) {
    path.moveTo(ring[0], ring[1]);
    for (let k = 2; k < ring.length; k += 2) path.lineTo(ring[k], ring[k + 1]);
    if (closed) path.closePath();
  }
  return path;
}

function joined(things) {
  const path = new Path2D();
  for (const thing of things) path.addPath(thing.path);
  return path;
}

function shaped(thing, closed = true) {
  const rings = thing.rings.map(decoded);
  return { ...thing, rings, box: boxOf(rings), path: pathOf(rings, closed) };
}

function inside(rings, x, y) {
  let within = false;
  for (const ring of rings) {
    for (let k = 0, j = ring.length - 2; k < ring.length; j = k, k += 2) {
      const [x1, y1, x2, y2] = [ring[k], ring[k + 1], ring[j], ring[j + 1]];
      if (y1 > y !== y2 > y && x < ((x2 - x1) * (y - y1)) / (y2 - y1) + x1) within = !within;
    }
  }
  return within;
}

function distance(rings, x, y) {
  let least = Infinity;
  for (const ring of rings) {
    for (let k = 2; k < ring.length; k += 2) {
      const [x1, y1] = [ring[k - 2], ring[k - 1]], dx = ring[k] - x1, dy = ring[k + 1] - y1;
      const along = Math.min(Math.max(((x - x1) * dx + (y - y1) * dy) / (dx * dx + dy * dy || 1), 0), 1);
      least = Math.min(least, Math.hypot(x - x1 - along * dx, y - y1 - along * dy));
    }
  }
  return least;
}

// ---- what was found

const buildings = data.buildings.map((thing, place) => shaped({ ...thing, place, sort: "building" }));
const roads = data.roads.map((thing) => shaped({ ...thing, sort: "road" }, false));
const extents = data.extents.map((thing) => shaped(thing));
const hot = data.hot.map((rings) => shaped({ rings }));
const areas = data.areas.map((thing) => shaped(thing));
const isolated = data.isolated.map((rings) => shaped({ rings }));
const changes = data.changes.map((thing) => ({ ...shaped(thing), streets: pathOf(thing.lines.map(decoded), false) }));
const aoi = shaped({ rings: data.area });
const route = data.route && shaped({ rings: [data.route] }, false);
const byVerdict = data.verdicts.map(({ name, colour }, index) => ({ name, colour, path: joined(buildings.filter((b) => b.verdict === index)) }));
const byState = data.states.map(({ name, colour }, index) => ({ name, colour, path: joined(roads.filter((r) => r.state === index)) }));
const byEvent = data.events.map(({ name, colour }, index) => ({ name, colour, path: joined(extents.filter((e) => e.event === index)) }));
const most = Math.max(1e-9, ...areas.map((area) => area.damaged));

const LAYERS = [
  { id: "density", title: "Density of damage", on: false, there: Boolean(find("density")), legend: [["rgb(196 22 28)", `to ${data.densest.toLocaleString("en")} damaged buildings per km²`]] },
  { id: "areas", title: "Affected areas", on: data.product === "FEP", count: areas.length, legend: [["rgb(196 22 28 / 0.55)", "the redder, the more damaged buildings expected"]] },
  { id: "event", title: "Observed event", on: true, count: extents.length, legend: byEvent.map((e) => [e.colour, e.name]) },
  { id: "roads", title: "Roads", on: true, count: roads.length, legend: byState.map((s) => [s.colour, s.name]) },
  { id: "buildings", title: "Buildings", on: data.product !== "FEP", count: buildings.length, legend: byVerdict.map((v) => [v.colour, v.name]) },
  { id: "changes", title: "What changed", on: true, count: changes.length, legend: changes.map((c) => [c.colour, c.name]) },
  { id: "isolated", title: "Likely cut off", on: true, count: isolated.length, legend: [[data.colours.isolated, "no way in is likely open"]] },
  { id: "hot", title: "Hot spots", on: true, count: hot.length, legend: [[data.colours.hot, "damage clusters beyond chance"]] },
  { id: "route", title: "Route", on: true, count: route ? 1 : 0, legend: [[data.colours.route, "best way between the places asked for"]] },
  { id: "facilities", title: "Facilities and ways in", on: true, count: data.facilities.length + data.starts.length, legend: [[data.colours.route, "facility"], [data.colours.start, "way in"]] },
].filter((layer) => layer.there ?? layer.count);
const shown = Object.fromEntries(LAYERS.map(({ id, on }) => [id, on]));

// ---- the picture

const stage = find("stage"), canvas = find("canvas"), divider = find("divider"), context = canvas.getContext("2d");
const view = { scale: 1, x: 0, y: 0, fitted: true, percent: 50 };
const images = { pre: find("pre"), post: find("post") };
let chosen = null, waiting = false;

function redraw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; draw(); });
}

function draw() {
  const ratio = devicePixelRatio, { clientWidth: width, clientHeight: height } = stage;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, canvas.width, canvas.height);
  const at = images.pre ? (width * view.percent) / 100 : 0;
  if (images.pre && at > 0) side("pre", 0, at, ratio);
  if (at < width) side("post", at, width, ratio);
}

// all between two places of the stage; before the event outlines only, so that what stood there can be seen
function side(date, from, to, ratio) {
  context.save();
  context.beginPath();
  context.rect(from * ratio, 0, (to - from) * ratio, canvas.height);
  context.clip();
  context.setTransform(ratio * view.scale, 0, 0, ratio * view.scale, ratio * view.x, ratio * view.y);
  const [left, top, wide, high] = data.frames[date];
  context.imageSmoothingEnabled = view.scale * 10 * data.pixel < 3;
  if (images[date].complete && images[date].naturalWidth) context.drawImage(images[date], left, top, wide, high);
  context.imageSmoothingEnabled = true;
  vectors(date === "post");
  context.restore();
}

function line(path, colour, width, dash = []) {
  context.setLineDash(dash.map((part) => part / view.scale));
  context.lineWidth = width / view.scale;
  context.strokeStyle = colour;
  context.stroke(path);
  context.setLineDash([]);
}

function fill(path, colour, alpha) {
  context.globalAlpha = alpha;
  context.fillStyle = colour;
  context.fill(path);
  context.globalAlpha = 1;
}

function vectors(after) {
  context.lineJoin = context.lineCap = "round";
  if (shown.density && after) {
    context.globalAlpha = 0.75;
    context.drawImage(find("density"), ...data.frames.density);
    context.globalAlpha = 1;
  }
  if (shown.areas) for (const area of areas) {
    if (after) fill(area.path, data.colours.worst, (0.5 * area.damaged) / most);
    line(area.path, data.colours.worst, 1);
  }
  if (shown.event) for (const { path, colour } of byEvent) {
    if (after) fill(path, colour, 0.35);
    line(path, colour, 1.5);
  }
  if (shown.roads) {
    const width = Math.min(Math.max(view.scale * 55, 1.5), 6); // a street of 5.5 m
    for (const { path } of byState) line(path, "#333333", width + 1.2);
    for (const { path, colour } of [...byState].reverse()) line(path, colour, width);
  }
  if (shown.buildings) for (const { path, colour } of [...byVerdict].reverse()) {
    if (after) fill(path, colour, 0.45);
    line(path, "rgb(0 0 0 / 0.6)", 2.6);
    line(path, colour, 1.5);
  }
  if (shown.changes) for (const { path, streets, colour } of changes) {
    line(streets, colour, 6);
    line(path, "#ffffff", 5);
    line(path, colour, 3);
  }
  if (shown.isolated) for (const part of isolated) {
    if (after) fill(part.path, data.colours.isolated, 0.15);
    line(part.path, data.colours.isolated, 2);
  }
  if (shown.hot) for (const part of hot) {
    line(part.path, "#ffffff", 4);
    line(part.path, data.colours.hot, 2.2);
  }
  line(aoi.path, "#ffffff", 3);
  line(aoi.path, "#111111", 1.5, [8, 4]);
  if (shown.areas) areas.forEach(name);
  if (shown.route && route) {
    line(route.path, "#ffffff", 6);
    line(route.path, data.colours.route, 3.5);
  }
  if (shown.facilities) places();
  if (chosen) {
    line(chosen.path, "#000000", 6);
    line(chosen.path, "#00e5ff", 3.5);
  }
}

// an area's name in its middle, where there is room for it
function name({ box, name: words }) {
  context.font = `700 ${12 / view.scale}px system-ui, sans-serif`;
  if (context.measureText(words).width > 0.9 * (box[2] - box[0])) return;
  context.textAlign = "center";
  context.textBaseline = "middle";
  const at = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];
  context.lineWidth = 3 / view.scale;
  context.strokeStyle = "#ffffff";
  context.strokeText(words, ...at);
  context.fillStyle = "#7a0d12";
  context.fillText(words, ...at);
}

function places() {
  const mark = (x, y, colour, size) => {
    const half = size / view.scale;
    const path = new Path2D();
    path.rect(x - half, y - half, 2 * half, 2 * half);
    fill(path, colour, 1);
    line(path, "#ffffff", 1.5);
  };
  for (const [x, y] of data.starts) mark(x, y, data.colours.start, 4);
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.font = `700 ${11 / view.scale}px system-ui, sans-serif`;
  for (const { at, letter } of data.facilities) {
    mark(at[0], at[1], data.colours.route, 8);
    context.fillStyle = "#ffffff";
    context.fillText(letter, at[0], at[1]);
  }
}

// ---- moving

function fit(box = aoi.box) {
  const { clientWidth: width, clientHeight: height } = stage;
  const wide = Math.max(box[2] - box[0], 200), high = Math.max(box[3] - box[1], 200);
  view.scale = Math.min((0.94 * width) / wide, (0.94 * height) / high, LARGEST);
  view.x = width / 2 - ((box[0] + box[2]) / 2) * view.scale;
  view.y = height / 2 - ((box[1] + box[3]) / 2) * view.scale;
  view.fitted = box === aoi.box;
  measure();
}

function zoom(factor, at = [stage.clientWidth / 2, stage.clientHeight / 2]) {
  const least = 0.25 * Math.min(stage.clientWidth / data.size[0], stage.clientHeight / data.size[1]);
  const next = Math.min(Math.max(view.scale * factor, least), LARGEST), by = next / view.scale;
  view.x = at[0] - (at[0] - view.x) * by;
  view.y = at[1] - (at[1] - view.y) * by;
  view.scale = next;
  move(0, 0);
}

function move(dx, dy) {
  const { clientWidth: width, clientHeight: height } = stage;
  view.x = Math.min(Math.max(view.x + dx, width / 2 - data.size[0] * view.scale), width / 2);
  view.y = Math.min(Math.max(view.y + dy, height / 2 - data.size[1] * view.scale), height / 2);
  view.fitted = false;
  measure();
}

// a bar of a round number of metres, about a tenth of the stage or longer
function measure() {
  const least = Math.max(stage.clientWidth / 10, 48) / view.scale / 10, power = 10 ** Math.floor(Math.log10(least));
  const metres = [1, 2, 5, 10].map((step) => step * power).find((length) => length >= least * (1 - 1e-9));
  const words = metres < 1000 ? `${Number(metres.toPrecision(1))} m` : `${metres / 1000} km`;
  find("scale").style.width = `${metres * 10 * view.scale}px`;
  find("scale").textContent = words;
  find("scale").setAttribute("aria-label", `Scale bar: ${words}`);
  redraw();
}

// the divider at a share of the stage's width, in per cent: all before at 100, all after at 0
function split(percentage) {
  if (!images.pre) return;
  view.percent = Math.min(Math.max(percentage, 0), 100);
  divider.style.left = `${view.percent}%`;
  divider.setAttribute("aria-valuenow", Math.round(view.percent));
  divider.setAttribute("aria-valuetext", `${Math.round(view.percent)} % before`);
  for (const button of document.querySelectorAll("[data-split]")) {
    const at = Number(button.dataset.split), swiping = view.percent > 0 && view.percent < 100;
    button.setAttribute("aria-pressed", at === 50 ? swiping : at === view.percent);
  }
  find("badge-pre").hidden = view.percent === 0;
  find("badge-post").hidden = view.percent === 100;
  redraw();
}

// ---- asking

function hit(x, y) {
  const within = ({ box }, by) => x >= box[0] - by && x <= box[2] + by && y >= box[1] - by && y <= box[3] + by;
  if (shown.buildings) {
    const found = buildings.findLast((thing) => within(thing, 0) && inside(thing.rings, x, y));
    if (found) return found;
  }
  if (!shown.roads) return null;
  const by = SNAP / view.scale;
  const near = roads.filter((thing) => within(thing, by)).map((thing) => [distance(thing.rings, x, y), thing]).sort((a, b) => a[0] - b[0])[0];
  return near && near[0] <= by ? near[1] : null;
}

function called(thing) {
  return thing.sort === "building"
    ? [thing.name || `Building ${thing.id}`, data.verdicts[thing.verdict].name]
    : [thing.name || "Road without a name", `${data.states[thing.state].name} · closed for a car with ${percent(thing.car)}`];
}

function tell(thing, x, y) {
  const tip = find("tip");
  tip.hidden = !thing;
  if (!thing) return;
  const [name, more] = called(thing);
  tip.replaceChildren(make("b", {}, name), make("br"), more);
  tip.style.left = `${Math.max(Math.min(x + 14, stage.clientWidth - tip.offsetWidth - 4), 0)}px`;
  tip.style.top = `${Math.max(Math.min(y + 14, stage.clientHeight - tip.offsetHeight - 4), 0)}px`;
}

function pairs(rows) {
  return make("table", { class: "pairs" }, make("tbody", {}, ...rows.filter(([, value]) => value !== "" && value !== undefined)
    .map(([name, value]) => make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, value)))));
}

function bar(share, colour) {
  const made = make("div", { class: "bar" });
  made.style.width = `${Math.max(100 * share, 0.5)}%`;
  made.style.background = colour;
  return made;
}

function ofBuilding(thing) {
  const rows = thing.p && make("table", {}, make("caption", {}, "Probability of each grade"), make("tbody", {}, ...thing.p.map((share, grade) => make("tr", {},
    make("th", { scope: "row" }, data.grades[grade].name), make("td", { class: "n" }, percent(share)), make("td", {}, bar(share, data.grades[grade].colour))))));
  return [rows, pairs([
    ["Verdict", make("span", {}, swatch(data.verdicts[thing.verdict].colour), data.verdicts[thing.verdict].name)],
    ["Damaged at all", thing.p ? percent(1 - thing.p[0]) : "not known"],
    ["Number", make("code", {}, thing.id)], ["Use", thing.kind], ["Determined by", thing.method],
    ["Doubt between grades", thing.entropy === null ? "not known" : `${percent(thing.entropy)} of the greatest (entropy)`],
    ["Could be looked at", percent(thing.valid)],
    ["Hot spot", thing.hot === null ? undefined : thing.hot ? `yes, q = ${thing.q}` : `no, q = ${thing.q}`],
    ["Can be reached", thing.reached === undefined ? undefined : percent(thing.reached)],
    ["Time from the nearest start", thing.seconds === undefined ? undefined : minutes(thing.seconds)],
  ])];
}

function ofRoad(thing) {
  return [pairs([
    ["State", make("span", {}, swatch(data.states[thing.state].colour), data.states[thing.state].name)], ["Kind", thing.kind.replaceAll("_", " ")],
    ["Closed for a car", percent(thing.car)], ["Closed for a truck", percent(thing.truck)], ["Length", `${thing.metres} m`],
  ])];
}

function choose(thing, reveal = false) {
  chosen = thing;
  const facts = find("facts");
  if (!thing) facts.replaceChildren(make("p", { class: "note" }, "Click a building or a road, or find one by its number."));
  else facts.replaceChildren(make("p", {}, make("b", {}, called(thing)[0])), ...(thing.sort === "building" ? ofBuilding(thing) : ofRoad(thing)).filter(Boolean));
  if (thing && reveal) {
    const margin = Math.min(400, (aoi.box[2] - aoi.box[0]) / 5), [left, top, right, bottom] = thing.box;
    fit([left - margin, top - margin, right + margin, bottom + margin]);
    if (view.percent === 100) split(50);
  }
  redraw();
}

function search(text) {
  const sought = text.trim().toLowerCase();
  if (!sought) return choose(null);
  const things = [...buildings, ...roads], match = (test) => things.find(test);
  const found = match((t) => (t.id ?? "").toLowerCase() === sought) ?? match((t) => t.name.toLowerCase().includes(sought)) ?? match((t) => (t.id ?? "").toLowerCase().includes(sought));
  const place = data.facilities.find((f) => `${f.name} ${f.kind}`.toLowerCase().includes(sought));
  find("where").textContent = found || place ? "" : "nothing of that number or name";
  if (found) return choose(found, true);
  if (place) fit([place.at[0] - 800, place.at[1] - 800, place.at[0] + 800, place.at[1] + 800]);
  return undefined;
}

// ---- listening

const pointers = new Map();
const placed = (event) => { const box = stage.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
const onMap = ([x, y]) => [(x - view.x) / view.scale, (y - view.y) / view.scale];

function look(event) {
  const at = placed(event), [x, y] = onMap(at);
  tell(hit(x, y), ...at);
  find("where").textContent = `E ${(data.west + x / 10).toFixed(0)}, N ${(data.north - y / 10).toFixed(0)} m`;
}

stage.addEventListener("pointerdown", (event) => {
  if (event.button) return;
  const swipes = divider.contains(event.target);
  pointers.set(event.pointerId, { x: event.clientX, y: event.clientY, fromX: event.clientX, fromY: event.clientY, swipes, moved: false });
  stage.setPointerCapture(event.pointerId);
});

stage.addEventListener("pointermove", (event) => {
  const pointer = pointers.get(event.pointerId);
  if (!pointer) return look(event);
  const dx = event.clientX - pointer.x, dy = event.clientY - pointer.y;
  if (Math.hypot(event.clientX - pointer.fromX, event.clientY - pointer.fromY) > CLICK) pointer.moved = true;
  if (pointer.swipes) split((placed(event)[0] / stage.clientWidth) * 100);
  else if (pointers.size === 2) pinch(event, dx, dy);
  else if (pointer.moved) move(dx, dy);
  else return undefined;
  pointer.x = event.clientX;
  pointer.y = event.clientY;
  return undefined;
});

// two fingers: the picture follows both
function pinch(event, dx, dy) {
  const other = [...pointers].find(([id]) => id !== event.pointerId)[1], box = stage.getBoundingClientRect();
  const before = Math.hypot(event.clientX - dx - other.x, event.clientY - dy - other.y);
  const after = Math.hypot(event.clientX - other.x, event.clientY - other.y);
  zoom(after / Math.max(before, 1), [(event.clientX + other.x) / 2 - box.left, (event.clientY + other.y) / 2 - box.top]);
  move(dx / 2, dy / 2);
}

for (const kind of ["pointerup", "pointercancel"]) stage.addEventListener(kind, (event) => {
  const pointer = pointers.get(event.pointerId);
  pointers.delete(event.pointerId);
  if (kind === "pointerup" && pointer && !pointer.moved && !pointer.swipes) {
    look(event);
    choose(hit(...onMap(placed(event))));
  }
});
stage.addEventListener("pointerleave", () => tell(null));
stage.addEventListener("wheel", (event) => {
  event.preventDefault();
  const step = event.deltaMode ? event.deltaY * 20 : event.deltaY;
  zoom(2 ** (-Math.min(Math.max(step, -200), 200) / 240), placed(event));
}, { passive: false });

divider.addEventListener("keydown", (event) => {
  const step = event.shiftKey ? 10 : 1, at = view.percent;
  const to = { ArrowLeft: at - step, ArrowDown: at - step, ArrowRight: at + step, ArrowUp: at + step, PageDown: at - 10, PageUp: at + 10, Home: 0, End: 100 };
  if (!(event.key in to)) return;
  event.preventDefault();
  event.stopPropagation();
  split(to[event.key]);
});

stage.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const ways = { ArrowLeft: [PAN, 0], ArrowRight: [-PAN, 0], ArrowUp: [0, PAN], ArrowDown: [0, -PAN] };
  const splits = { b: 100, s: 50, a: 0 }, zooms = { "+": 1.5, "=": 1.5, "-": 1 / 1.5 };
  if (event.key in ways) move(...ways[event.key]);
  else if (event.key.toLowerCase() in splits) split(splits[event.key.toLowerCase()]);
  else if (event.key in zooms) zoom(zooms[event.key]);
  else if (event.key === "0") fit();
  else return;
  event.preventDefault();
});

document.addEventListener("click", (event) => {
  const { split: to, zoom: how, building, area } = event.target.closest("button")?.dataset ?? {};
  if (to) split(Number(to));
  if (how === "fit") fit();
  else if (how) zoom(how === "in" ? 1.5 : 1 / 1.5);
  if (building) choose(buildings[Number(building)], true);
  if (area) show("areas", true) ?? fit(areas[Number(area)].box);
  if (building || area) stage.scrollIntoView({ block: "center" });
});

find("search").addEventListener("submit", (event) => { event.preventDefault(); search(find("sought").value); });

function show(id, on) {
  if (!(id in shown)) return;
  shown[id] = on;
  find(`layer-${id}`).checked = on;
  redraw();
}

find("layers").append(...LAYERS.map(({ id, title, count, legend }) => make("div", {},
  make("label", { class: "switch" }, make("input", { type: "checkbox", id: `layer-${id}`, checked: shown[id], onchange: (event) => show(id, event.target.checked) }),
    make("span", {}, title), count === undefined ? null : make("small", {}, count.toLocaleString("en"))),
  make("p", { class: "legend" }, ...legend.map(([colour, words]) => make("span", {}, swatch(colour), words))))));
for (const element of [divider, find("splits"), find("badge-pre")]) element.hidden = !images.pre;
for (const image of Object.values(images)) image?.decode().then(redraw, redraw);
find("density")?.decode().then(redraw, redraw);
split(50);
new ResizeObserver(() => (view.fitted ? fit() : measure())).observe(stage);
