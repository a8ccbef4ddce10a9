// What is known of a pixel, an object and a sample, as tables.

import { ask, find, grid, make, terms } from "./tools.js";

const SHAPES = /^(polygons|lines|outline|roof)_(px|map)$|_view$/;

// the values under the cursor: one question at a time, the latest place next
export class Pixel {
  constructor() {
    this.busy = false;
  }

  show(key) {
    Object.assign(this, { key, next: null });
    find("pixel").replaceChildren(make("p", { class: "note" }, "Move over the picture."));
  }

  async look(column, row) {
    this.next = [column, row];
    if (this.busy) return;
    this.busy = true;
    while (this.next) {
      const key = this.key, [x, y] = this.next;
      this.next = null;
      const answer = await ask(`/api/pixel/${key}/${x}/${y}`).catch((error) => error);
      if (key === this.key) find("pixel").replaceChildren(answer instanceof Error ? answer.message : pixelTable(answer));
    }
    this.busy = false;
  }
}

function pixelTable({ pre, post }) {
  const names = [...new Set([...Object.keys(post), ...Object.keys(pre)])];
  const ranked = ["colour", "class", "building", "damage", ...names].filter((name, k, all) => names.includes(name) && all.indexOf(name) === k);
  const quiet = (text) => (["none", "background", "0 %", "0.00 m", undefined].includes(text) ? make("span", { class: "quiet" }, text ?? "·") : text);
  const table = grid(["", "before", "after"], ranked.map((name) => [name, quiet(pre[name]), quiet(post[name])]), "Values of the pixel");
  table.tHead.rows[0].cells[0].append(make("span", { class: "unseen" }, "Raster"));
  return table;
}

// the full record of an object
export function showObject(thing) {
  if (!thing) return find("object").replaceChildren();
  const rows = Object.entries(thing).filter(([name]) => !SHAPES.test(name)).map(([name, value]) => [name.replaceAll("_", " "), said(value)]);
  const whole = make("details", {}, make("summary", {}, "As JSON"), make("pre", { tabindex: 0 }, JSON.stringify(thing, null, 1)));
  return find("object").replaceChildren(terms(rows), whole);
}

function said(value) {
  if (Array.isArray(value)) return value.map(said).join(", ");
  if (value && typeof value === "object") return Object.entries(value).map(([name, inner]) => `${name} ${said(inner)}`).join(", ");
  if (typeof value === "boolean") return value ? "yes" : "no";
  return typeof value === "number" ? String(Math.round(value * 1000) / 1000) : (value ?? "–");
}

const degrees = (value) => `${value.toFixed(1)}°`;

export function showSample(record, dataset) {
  const { grid: tile, pre, post } = record;
  const dates = [["date", "capture_date", (t) => t.slice(0, 10)], ["time", "capture_date", (t) => t.slice(11, 16)], ["sun elevation", "sun_elevation", degrees],
    ["sun azimuth", "sun_azimuth", degrees], ["off nadir", "off_nadir_angle", degrees], ["target azimuth", "target_azimuth", degrees],
    ["sensor", "sensor", said], ["shift px", "shift_px", said], ["cloud", "cloud_cover", said], ["haze", "haze", said]];
  find("sample").replaceChildren(
    grid(["", "before", "after"], dates.map(([name, field, say]) => [name, say(pre[field]), say(post[field])]), "How the images were taken"),
    terms([["city", record.city], ["event", record.event], ["hazard", record.hazard], ["split", record.split],
      ["tile", `${tile.columns} × ${tile.rows} px at ${tile.gsd} m`], ["CRS", tile.crs ?? "local"], ["west, north", `${said(tile.west)}, ${said(tile.north)}`],
      ["smoke", said(record.smoke)], ["inferred", said(record.inferred)]]),
    section("Parameters", terms(Object.entries(record.parameters).map(([name, value]) => [name.replaceAll("_", " "), said(value)]))),
    section("Sources and licences", ...dataset.sources.map((source) => terms(Object.entries(source).map(([name, value]) => [name, said(value)])))),
    section("Provenance", terms([["seed", record.seed], ["recipe", record.recipe_hash], ...Object.entries(dataset.versions)])));
}

function section(title, ...content) {
  return make("details", {}, make("summary", {}, title), ...content);
}
