// Buildings, roads, tents, changes and annotators' outlines as lines over the picture, each of which can be asked.

import { colour, find, make, number, swatch } from "./tools.js";

const SVG = "http://www.w3.org/2000/svg";
const ROADS = { open: [72, 190, 255], truck: [250, 204, 60], closed: [255, 64, 110] };
const PLAIN = [255, 255, 255];
const KINDS = {
  buildings: { noun: "building", title: "Buildings", on: true },
  roads: { noun: "road", title: "Roads", on: false },
  tents: { noun: "tent", title: "Tents", on: true, colour: [255, 92, 200] },
  changes: { noun: "change", title: "Benign changes", on: false, colour: [190, 140, 255] },
  annotations: { noun: "outline", title: "Annotators’ outlines", on: false, colour: [255, 236, 120] },
};
const SEEN = { tents: ["post"], buildings: ["pre", "post"], roads: ["pre", "post"], annotations: ["pre", "post"] };

export class Vectors {
  // `picked(kind, thing)` is called when one is chosen
  constructor(stage, grades, picked) {
    this.stage = stage;
    this.grades = grades;
    this.picked = picked;
    this.on = Object.fromEntries(Object.entries(KINDS).map(([kind, { on }]) => [kind, on]));
    find("objects").addEventListener("change", (event) => this.choose(event.target.value));
  }

  show(record) {
    this.record = record;
    this.things = new Map();
    for (const date of ["pre", "post"]) this.stage.worlds[date].querySelector("svg")?.remove();
    for (const date of ["pre", "post"]) this.stage.worlds[date].append(this.drawing(date));
    find("vectors").replaceChildren(...Object.keys(KINDS).filter((kind) => this.list(kind).length).map((kind) => this.box(kind)));
    if (!find("vectors").childElementCount) find("vectors").replaceChildren(make("p", { class: "note" }, "none in this tile"));
    this.offer();
    this.apply();
  }

  list(kind) {
    return this.record[kind] ?? [];
  }

  drawing(date) {
    const { rows, columns } = this.record.grid;
    const svg = element("svg", { viewBox: `0 0 ${columns} ${rows}`, preserveAspectRatio: "none", "aria-hidden": "true", class: "vectors" });
    for (const kind of ["changes", "roads", "buildings", "annotations", "tents"]) {
      const group = element("g", { "data-kind": kind });
      this.list(kind).forEach((thing, place) => {
        const id = `${kind}/${place}`;
        this.things.set(id, { kind, thing });
        if (this.seen(kind, thing, date)) group.append(this.path(kind, thing, date, id));
      });
      svg.append(group);
    }
    return svg;
  }

  seen(kind, thing, date) {
    if (kind === "changes") return thing.seen === date;
    return SEEN[kind].includes(date) && !(kind === "buildings" && thing.new && date === "pre");
  }

  path(kind, thing, date, id) {
    const view = thing[`${date}_view`]; // off nadir: where the building shows, with the shift of its date in it
    const [dx, dy] = view || kind === "annotations" ? [0, 0] : this.record[date].shift_px;
    const lines = kind === "roads" ? thing.lines_px : (view?.outline_px ?? thing.polygons_px).flat();
    const data = lines.map((line) => `M${line.map(([x, y]) => `${x + dx} ${y + dy}`).join("L")}${kind === "roads" ? "" : "Z"}`).join("");
    const path = element("path", { d: data, "data-object": id, class: kind === "roads" ? "line" : "area" });
    path.style.stroke = colour(this.colour(kind, thing, date));
    return path;
  }

  colour(kind, thing, date) {
    if (KINDS[kind].colour) return kind === "annotations" && date === "post" ? this.grades[thing.grade - 1].colour : KINDS[kind].colour;
    if (date === "pre") return kind === "roads" ? ROADS.open : PLAIN;
    if (kind === "buildings") return this.grades[thing.jds].colour;
    return ROADS[thing.car ? "open" : thing.truck ? "truck" : "closed"];
  }

  box(kind) {
    const { title } = KINDS[kind];
    const tick = make("input", { type: "checkbox", name: kind, checked: this.on[kind], onchange: () => { this.on[kind] = tick.checked; this.apply(); } });
    const label = make("label", { class: "switch" }, tick, make("span", {}, title), make("small", {}, number(this.list(kind).length)));
    return make("div", { class: "choice" }, label, make("div", { class: "legend" }, this.legend(kind)));
  }

  legend(kind) {
    const parts = { buildings: this.grades.map((grade) => [grade.colour, grade.name]),
      roads: [[ROADS.open, "open"], [ROADS.truck, "emergency vehicles only"], [ROADS.closed, "closed"]] }[kind] ?? [];
    return make("p", { class: "key" }, ...parts.map(([rgb, name]) => make("span", {}, swatch(rgb), name)));
  }

  apply() {
    for (const group of this.stage.root.querySelectorAll("svg g")) group.toggleAttribute("hidden", !this.on[group.dataset.kind]);
    for (const tick of find("vectors").querySelectorAll("input")) {
      tick.checked = this.on[tick.name];
      tick.closest(".choice").querySelector(".legend").hidden = !tick.checked;
    }
  }

  toggle() {
    const any = Object.keys(KINDS).some((kind) => this.list(kind).length && this.on[kind]);
    for (const kind of Object.keys(KINDS)) this.on[kind] = !any;
    this.apply();
  }

  // all objects by name, the worst first: the way to them without a pointer
  offer() {
    const groups = Object.keys(KINDS).map((kind) => {
      const mine = [...this.things].filter(([, entry]) => entry.kind === kind);
      mine.sort(([, a], [, b]) => (b.thing.jds ?? 0) - (a.thing.jds ?? 0));
      return mine.length ? make("optgroup", { label: KINDS[kind].title }, ...mine.map(([id, entry]) => make("option", { value: id }, this.name(entry)))) : null;
    });
    find("objects").replaceChildren(make("option", { value: "" }, "Choose, or click one in the picture"), ...groups.filter(Boolean));
    this.choose("");
  }

  name({ kind, thing }) {
    const what = { buildings: () => this.grades[thing.jds].name, roads: () => thing.kind,
      tents: () => thing.colour, changes: () => thing.kind, annotations: () => this.grades[thing.grade - 1].name }[kind]();
    return `${KINDS[kind].noun} ${thing.id ?? ""} · ${what}`.replace("  ", " ");
  }

  // one line about an object under the cursor
  tell(id) {
    const { kind, thing } = this.things.get(id);
    const more = [];
    if (kind === "buildings") more.push(`EMS-98 ${thing.ems98}, seen ${thing.visible}`, thing.causes.join(", "));
    if (kind === "roads") more.push(thing.car ? "open" : thing.truck ? "emergency vehicles only" : "closed", thing.reason);
    if (thing.depth_at_image) more.push(`water ${thing.depth_at_image.toFixed(2)} m`);
    if (thing.collapse && thing.collapse !== "none") more.push(thing.collapse.replaceAll("_", " "));
    return [this.name({ kind, thing }), more.filter(Boolean).join(" · ")];
  }

  choose(id) {
    for (const old of this.stage.root.querySelectorAll(".picked")) old.classList.remove("picked");
    find("objects").value = id;
    const entry = this.things.get(id);
    if (entry) {
      this.on[entry.kind] = true;
      this.apply();
      for (const path of this.stage.root.querySelectorAll(`[data-object="${id}"]`)) path.classList.add("picked");
      const ring = entry.thing.lines_px?.[0] ?? entry.thing.polygons_px[0][0];
      if (ring?.length) this.stage.reveal(...ring[Math.floor(ring.length / 2)]);
    }
    this.picked(entry?.thing);
  }
}

function element(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}
