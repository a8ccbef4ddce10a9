// One sample: its picture before and after, its layers, vectors and facts.

import { Pixel, showObject, showSample } from "./facts.js";
import { Layers } from "./layers.js";
import { Stage } from "./stage.js";
import { ask, find, make, number } from "./tools.js";
import { Vectors } from "./vectors.js";

const PAN = 60; // screen pixels a key press
const DATES = { pre: "Before", post: "After" };

export class Viewer {
  constructor(dataset) {
    this.dataset = dataset;
    this.pixel = new Pixel();
    this.stage = new Stage({ look: (place, event) => this.look(place, event), pick: (target) => this.pick(target) });
    this.layers = new Layers(this.stage);
    this.vectors = new Vectors(this.stage, dataset.grades, showObject);
    this.base = ""; // the picture under the layers: none is colour, else SENSOR_BAND
    find("base").addEventListener("change", (event) => { this.base = event.target.value; this.photograph(); });
    find("picture").addEventListener("click", (event) => this.press(event.target.closest("button")));
    find("help").addEventListener("click", () => find("keys").showModal());
    this.stage.root.addEventListener("blur", () => { find("cross").hidden = true; });
  }

  // shows the sample; `query` is the list that it stands in
  async open(key, query) {
    this.key = key;
    find("key").replaceChildren(make("bdi", {}, key));
    document.title = `${key} · ${this.dataset.name}`;
    try {
      const sample = await ask(`/api/sample/${encodeURIComponent(key)}?${query}`);
      if (key === this.key) this.show(sample);
    } catch (error) {
      if (key === this.key) this.fail(error.message);
    }
  }

  show(sample) {
    this.sample = sample;
    const { record, position, total, previous, next } = sample;
    this.fault("");
    document.querySelector(".columns").inert = false;
    find("tags").replaceChildren(...[record.hazard, record.city, record.split].map((text) => make("span", { class: "tag" }, text)));
    find("position").textContent = position === null ? "not in the list" : `${number(position + 1)} of ${number(total)}`;
    link("previous", previous);
    link("next", next);
    for (const [date, word] of Object.entries(DATES)) {
      this.stage.panes[date].querySelector(".badge").replaceChildren(make("b", {}, word), ` ${record[date].capture_date.slice(0, 10)}`);
    }
    this.stage.size(record.grid.columns, record.grid.rows, record.grid.gsd);
    this.offerBands();
    this.photograph();
    this.layers.show(this.key, sample.layers);
    this.vectors.show(record);
    this.pixel.show(this.key);
    find("where").textContent = "";
    find("tip").hidden = true;
    showSample(record, this.dataset);
  }

  // a sample that cannot be read at all
  fail(reason) {
    this.sample = null;
    for (const world of Object.values(this.stage.worlds)) world.replaceChildren();
    for (const id of ["tags", "position", "both", "after", "vectors", "pixel", "object", "sample"]) find(id).replaceChildren();
    for (const id of ["previous", "next"]) link(id, null);
    document.querySelector(".columns").inert = true;
    this.fault(reason);
  }

  fault(reason) {
    find("fault").textContent = reason;
    find("fault").hidden = !reason;
  }

  offerBands() {
    const bands = this.sample.bands.map((band) => ({ ...band, value: `${band.sensor}_${band.band}` }));
    const sensors = [...new Set(bands.map(({ sensor }) => sensor))];
    find("base").replaceChildren(make("option", { value: "" }, "Colour"), ...sensors.map((sensor) => make("optgroup", { label: sensor },
      ...bands.filter((band) => band.sensor === sensor).map((band) => make("option", { value: band.value }, `${band.band} · ${sensor}`)))));
    if (!bands.some(({ value }) => value === this.base)) this.base = "";
    find("base").value = this.base;
    find("base").closest("label").hidden = !bands.length;
    find("layers").querySelector("h2").hidden = !bands.length;
  }

  // the pictures of both dates; a band's cover what they cover, from the north-west corner on
  photograph() {
    const { grid } = this.sample.record, band = this.sample.bands.find(({ sensor, band: name }) => `${sensor}_${name}` === this.base);
    for (const date of Object.keys(DATES)) {
      const member = band ? `${date}_${this.base}` : date;
      const image = make("img", { class: "base", draggable: "false", alt: `The tile ${DATES[date].toLowerCase()}`, src: `/picture/${this.key}/${member}.png` });
      if (band) {
        image.style.width = `${(band.columns * band.gsd * 100) / (grid.columns * grid.gsd)}%`;
        image.style.height = `${(band.rows * band.gsd * 100) / (grid.rows * grid.gsd)}%`;
      }
      image.addEventListener("error", () => this.broken(image));
      this.stage.worlds[date].querySelector(".base")?.remove();
      this.stage.worlds[date].prepend(image);
    }
    this.stretch(band && this.base);
  }

  async stretch(band) {
    const legend = band ? await ask(`/api/legend/${this.key}/post_${band}`).catch(() => null) : null;
    find("stretch").textContent = legend ? `Stretched alike at both dates: black is ${number(Math.round(legend.low))}, white ${number(Math.round(legend.high))}.` : "";
  }

  async broken(image) {
    const reason = await ask(new URL(image.src).pathname).catch((error) => error.message);
    if (image.isConnected) this.fault(String(reason));
  }

  look(place, event) {
    if (!this.sample) return;
    const id = place && event?.target.closest?.("[data-object]")?.dataset.object;
    this.tip(id, event);
    if (!place) return;
    find("cross").hidden = true;
    this.read(place);
  }

  read([column, row]) {
    const { grid } = this.sample.record;
    const east = grid.west + (column + 0.5) * grid.gsd, north = grid.north - (row + 0.5) * grid.gsd;
    find("where").textContent = `column ${column}, row ${row} · E ${east.toFixed(1)}, N ${north.toFixed(1)} m`;
    this.pixel.look(column, row);
  }

  tip(id, event) {
    const tip = find("tip");
    tip.hidden = !id;
    if (!id) return;
    const [name, more] = this.vectors.tell(id), box = this.stage.root.getBoundingClientRect();
    tip.replaceChildren(make("b", {}, name), ...(more ? [make("br"), more] : []));
    tip.style.left = `${Math.min(event.clientX - box.left + 14, box.width - tip.offsetWidth - 4)}px`;
    tip.style.top = `${Math.min(event.clientY - box.top + 14, box.height - tip.offsetHeight - 4)}px`;
  }

  pick(target) {
    if (this.sample) this.vectors.choose(target.closest("[data-object]")?.dataset.object ?? "");
  }

  press(button) {
    if (button?.dataset.split) this.stage.split(Number(button.dataset.split));
    if (button?.dataset.zoom) this.zoom(button.dataset.zoom);
  }

  zoom(how) {
    if (how === "fit") this.stage.fit();
    else this.stage.zoom({ in: this.stage.scale * 1.5, out: this.stage.scale / 1.5, one: 1 / devicePixelRatio }[how]);
  }

  // true when the key meant something here
  keydown(event) {
    if (event.key === "?") return find("keys").showModal() ?? true;
    if (!this.sample) return false;
    const letter = event.key.toLowerCase();
    const splits = { b: 100, s: 50, a: 0 }, zooms = { "+": "in", "=": "in", "-": "out", 0: "fit", 1: "one" };
    if (letter in splits) this.stage.split(splits[letter]);
    else if (letter in zooms) this.zoom(zooms[letter]);
    else if (letter === "v") this.vectors.toggle();
    else if (letter === "l") this.layers.toggle();
    else if (letter === "n" || letter === "p") find(letter === "n" ? "next" : "previous").click();
    else if (document.activeElement === this.stage.root) return this.pan(event.key);
    else return false;
    return true;
  }

  // the picture moves under a cross, and the pixel there is read
  pan(key) {
    const ways = { ArrowLeft: [PAN, 0], ArrowRight: [-PAN, 0], ArrowUp: [0, PAN], ArrowDown: [0, -PAN] };
    if (!(key in ways)) return false;
    this.stage.move(...ways[key]);
    find("cross").hidden = false;
    const centre = this.stage.centre();
    if (centre) this.read(centre);
    return true;
  }
}

function link(id, key) {
  const anchor = find(id);
  if (key) anchor.setAttribute("href", `#${key}`);
  else anchor.removeAttribute("href");
  anchor.setAttribute("aria-disabled", !key);
}
