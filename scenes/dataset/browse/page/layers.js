// Label rasters over the picture: one switch a layer, with its opacity and what its colours mean.

import { ask, colour, count, find, make, swatch } from "./tools.js";

const DATES = ["pre", "post"];
const dated = ({ meanings }) => DATES.filter((date) => date in meanings);
const meaning = ({ meanings }) => [...new Set(Object.values(meanings))].join("; after: ").replaceAll("`", "");
const per = (share) => (share ? `${(share * 100).toFixed(share < 0.0995 ? 1 : 0)} %` : "–");

export class Layers {
  constructor(stage) {
    this.stage = stage;
    this.chosen = new Map(); // by name: whether it is on, and how opaque; kept from sample to sample
  }

  // the layers of a sample, those that were on before still on
  show(key, layers) {
    this.key = key;
    this.layers = layers;
    for (const date of DATES) for (const old of this.stage.worlds[date].querySelectorAll(".layer")) old.remove();
    this.boxes = new Map(layers.map((layer) => [layer.name, this.box(layer)]));
    for (const [id, n] of [["both", 2], ["after", 1]]) {
      find(id).replaceChildren(...layers.filter((layer) => dated(layer).length === n).map(({ name }) => this.boxes.get(name)));
    }
    for (const layer of layers) if (this.state(layer).on) this.draw(layer);
  }

  state({ name }) {
    if (!this.chosen.has(name)) this.chosen.set(name, { on: false, opacity: 70 });
    return this.chosen.get(name);
  }

  box(layer) {
    const state = this.state(layer);
    const tick = make("input", { type: "checkbox", name: layer.name, checked: state.on, onchange: () => this.turn(layer, tick.checked) });
    const label = make("label", { class: "switch", title: meaning(layer) }, tick, make("span", {}, layer.title ?? layer.name), make("code", {}, layer.name));
    return make("div", { class: "choice" }, label, make("div", { class: "legend" }));
  }

  turn(layer, on) {
    this.state(layer).on = on;
    this.boxes.get(layer.name).querySelector("input").checked = on;
    if (on) this.draw(layer);
    else this.erase(layer);
  }

  // all off, or, when none is on, those that were on last
  toggle() {
    const on = this.layers.filter((layer) => this.state(layer).on);
    if (on.length) this.last = on.map(({ name }) => name);
    const last = this.last ?? ["damage", "class"];
    for (const layer of this.layers) this.turn(layer, !on.length && last.includes(layer.name));
  }

  erase({ name }) {
    for (const date of DATES) this.stage.worlds[date].querySelector(`.layer[data-name="${name}"]`)?.remove();
    this.boxes.get(name).querySelector(".legend").replaceChildren();
  }

  async draw(layer) {
    this.erase(layer);
    const key = this.key, place = this.boxes.get(layer.name).querySelector(".legend");
    const dates = dated(layer);
    dates.forEach((date) => this.image(layer, date));
    try {
      const legends = await Promise.all(dates.map((date) => ask(`/api/legend/${key}/${date}_${layer.name}`)));
      if (key === this.key && this.state(layer).on) place.replaceChildren(this.slider(layer), make("p", { class: "note" }, meaning(layer)), ...explain(dates, legends));
    } catch (error) {
      place.replaceChildren(make("p", { class: "fault", role: "alert" }, error.message));
    }
  }

  // layers lie over each other in the order of the list, whenever they were turned on
  image(layer, date) {
    const order = this.layers.indexOf(layer);
    const image = make("img", { class: "layer", alt: "", draggable: "false", "data-name": layer.name, "data-order": order, src: `/picture/${this.key}/${date}_${layer.name}.png` });
    image.style.opacity = this.state(layer).opacity / 100;
    image.addEventListener("error", () => image.remove());
    const above = [...this.stage.worlds[date].querySelectorAll(".layer")].find((other) => other.dataset.order > order);
    this.stage.worlds[date].insertBefore(image, above ?? this.stage.worlds[date].querySelector("svg"));
  }

  slider(layer) {
    const range = make("input", { type: "range", min: 0, max: 100, value: this.state(layer).opacity, "aria-label": `Opacity of ${layer.title ?? layer.name}` });
    range.addEventListener("input", () => {
      this.state(layer).opacity = Number(range.value);
      for (const image of this.stage.root.querySelectorAll(`.layer[data-name="${layer.name}"]`)) image.style.opacity = range.value / 100;
    });
    return range;
  }
}

// what the colours of a layer mean, at its one date or at both
function explain(dates, legends) {
  const [first] = legends;
  if (first.kind === "scale") return scale(dates, legends);
  const parts = legends.map((legend, k) => ("count" in legend ? `${count(legend.count, "object")} ${said(dates[k])}` : "")).filter(Boolean);
  const counted = parts.length ? [make("p", { class: "note" }, parts.join(", "))] : [];
  const graded = dates.filter((date, k) => legends[k].kind === "classes");
  return graded.length ? [...counted, classes(graded, legends.filter(({ kind }) => kind === "classes"))] : counted;
}

const said = (date) => ({ pre: "before", post: "after" })[date];

function scale(dates, legends) {
  const { ramp, top, unit } = legends[0];
  const bar = make("div", { class: "ramp", role: "img", "aria-label": `Colours from 0 to ${top} ${unit}` });
  bar.style.background = `linear-gradient(to right, ${ramp.map(colour).join(", ")})`;
  const ends = make("div", { class: "ends" }, make("span", {}, "0"), make("span", {}, `${top} ${unit}`));
  const most = legends.map((legend, k) => `${said(dates[k])} ${legend.highest}`).join(", ");
  return [bar, ends, make("p", { class: "note" }, `Highest: ${most}`)];
}

function classes(dates, legends) {
  const entries = new Map();
  legends.forEach((legend, k) => (legend.entries ?? []).forEach((entry) => {
    if (!entries.has(entry.value)) entries.set(entry.value, { ...entry, shares: {} });
    entries.get(entry.value).shares[dates[k]] = entry.share;
  }));
  if (!entries.size) return make("p", { class: "note" }, "nowhere in this tile");
  const head = dates.length > 1 ? [make("thead", {}, make("tr", {}, make("th", { scope: "col" }, make("span", { class: "unseen" }, "Value")), ...dates.map((d) => make("th", { scope: "col" }, said(d)))))] : [];
  const rows = [...entries.values()].sort((a, b) => a.value - b.value).map((entry) => make("tr", {},
    make("th", { scope: "row" }, swatch(entry.colour), entry.name),
    ...dates.map((date) => make("td", {}, per(entry.shares[date] ?? 0)))));
  return make("table", { class: "classes" }, make("caption", { class: "unseen" }, "Share of the tile"), ...head, make("tbody", {}, ...rows));
}
