// The samples found: filters, order, pages and thumbnails. The filters are kept in the page's address.

import { ask, colour, count, find, make, number, swatch } from "./tools.js";

const LIMIT = 60;
const FILTERS = ["city", "hazard", "event", "split", "grade", "text", "sort"];
const FIRST = { city: "All cities", hazard: "All hazards", event: "All events", split: "All splits", grade: "Any grade" };

export class Gallery {
  constructor(dataset) {
    this.dataset = dataset;
    this.form = find("filters");
    this.grid = find("grid");
    this.values = Object.fromEntries(new URLSearchParams(location.search));
    this.offset = Math.max(0, (Number(this.values.page) || 1) - 1) * LIMIT;
    this.asked = 0;
    this.kind = "post";
    this.prepare();
  }

  prepare() {
    const { name, samples, counts } = this.dataset;
    find("name").textContent = name;
    find("summary").textContent = [count(samples, "sample"), count(counts.buildings ?? 0, "building"),
      `${this.dataset.size} px at ${this.dataset.gsd} m`].join(" · ");
    find("grades").replaceChildren(...this.dataset.grades.map((grade) => make("span", {}, swatch(grade.colour), grade.name)));
    const orders = Object.entries(this.dataset.sorts);
    this.form.sort.replaceChildren(make("option", { value: "" }, "As in the dataset"),
      ...orders.map(([value, words]) => make("option", { value }, words)));
    this.form.sort.value = this.values.sort ?? "";
    this.form.text.value = this.values.text ?? "";
    const wide = matchMedia("(min-width: 50rem)");
    const fold = () => { find("fold").open = wide.matches; };
    wide.addEventListener("change", fold);
    fold();
    this.listen();
  }

  listen() {
    let timer;
    this.form.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => this.filter(), 150);
    });
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("reset", () => {
      for (const name of FILTERS) this.form[name].value = "";
      setTimeout(() => this.filter());
    });
    find("kinds").addEventListener("change", (event) => {
      this.kind = event.target.value;
      for (const card of this.grid.querySelectorAll("a")) this.thumbnail(card.firstElementChild, card.dataset.key);
    });
    find("earlier").addEventListener("click", () => this.turn(this.offset - LIMIT));
    find("later").addEventListener("click", () => this.turn(this.offset + LIMIT));
    find("page").addEventListener("change", (event) => this.turn((Math.round(event.target.value) - 1) * LIMIT));
  }

  filter() {
    this.values = Object.fromEntries(FILTERS.map((name) => [name, this.form[name].value.trim()]));
    this.offset = 0;
    this.load();
  }

  turn(offset) {
    const last = Math.max(0, Math.ceil(this.total / LIMIT) - 1) * LIMIT;
    this.offset = Math.min(Math.max(0, offset || 0), last);
    this.load().then(() => scrollTo(0, 0));
  }

  // the filters as a query, for the server and for the address
  query() {
    return new URLSearchParams(FILTERS.filter((name) => this.values[name]).map((name) => [name, this.values[name]]));
  }

  async load() {
    const query = this.query(), asked = ++this.asked;
    const shown = new URLSearchParams(query);
    if (this.offset) shown.set("page", this.offset / LIMIT + 1);
    history.replaceState(null, "", `?${shown}${location.hash}`.replace(/^\?(?=#|$)/, location.pathname));
    query.set("offset", this.offset);
    query.set("limit", LIMIT);
    try {
      const answer = await ask(`/api/samples?${query}`);
      if (asked === this.asked) this.show(answer);
    } catch (error) {
      find("found").textContent = error.message;
      this.grid.replaceChildren();
    }
  }

  show({ total, rows, facets }) {
    this.total = total;
    const all = this.dataset.samples;
    find("found").textContent = total === all ? count(all, "sample") : `${number(total)} of ${count(all, "sample")}`;
    for (const name of ["city", "hazard", "event", "split"]) this.options(name, facets[name]);
    const grades = this.dataset.grades.map(({ name }, grade) => [String(grade), facets.grade[grade], name]);
    this.fill("grade", grades);
    this.grid.replaceChildren(...rows.map((row) => this.card(row)));
    if (!total) this.grid.replaceChildren(make("li", { class: "empty" }, "No sample is like that."));
    this.pager();
  }

  options(name, { values, more }) {
    const listed = values.map(([value, n]) => [value, n, value || "(none)"]);
    this.fill(name, listed, more && `… and ${number(more)} more: use Search`);
  }

  fill(name, values, last) {
    const select = this.form[name], chosen = this.values[name] ?? "";
    const options = values.map(([value, n, text]) => make("option", { value }, `${text} (${number(n)})`));
    if (chosen && !values.some(([value]) => value === chosen)) options.push(make("option", { value: chosen }, `${chosen} (0)`));
    if (last) options.push(make("option", { disabled: true }, last));
    select.replaceChildren(make("option", { value: "" }, FIRST[name]), ...options);
    select.value = chosen;
  }

  card(row) {
    const image = make("img", { loading: "lazy", decoding: "async", width: 320, height: 320, alt: "" });
    this.thumbnail(image, row.key);
    image.addEventListener("error", () => this.broken(image, row.key));
    const about = [row.hazard, row.split, count(row.buildings, "building")];
    if (row.tents) about.push(count(row.tents, "tent"));
    return make("li", {}, make("a", { href: `#${row.key}`, "data-key": row.key }, image, make("strong", { title: row.key }, make("bdi", {}, row.key)),
      this.bar(row), make("span", { class: "note" }, about.join(" · "))));
  }

  thumbnail(image, key) {
    if (image.tagName === "IMG") image.src = `/thumbnail/${key}/${this.kind}.jpg`;
  }

  async broken(image, key) {
    const reason = await ask(image.src).catch((error) => error.message);
    image.replaceWith(make("span", { class: "broken", role: "img", "aria-label": `${key} cannot be read` }, String(reason)));
  }

  // buildings per damage grade as a bar of shares
  bar(row) {
    const bar = make("span", { class: "bar" }), words = [];
    this.dataset.grades.forEach((grade, g) => {
      const n = row[`jds_${g}`];
      if (!n) return;
      const part = make("i");
      part.style.flexGrow = n;
      part.style.backgroundColor = colour(grade.colour);
      bar.append(part);
      words.push(`${number(n)} ${grade.name}`);
    });
    bar.title = words.join(", ");
    bar.append(make("span", { class: "unseen" }, words.join(", ")));
    return bar;
  }

  pager() {
    const pages = Math.max(1, Math.ceil(this.total / LIMIT)), page = this.offset / LIMIT + 1;
    find("pager").hidden = pages === 1;
    find("page").value = page;
    find("page").max = pages;
    find("pages").textContent = `of ${number(pages)}`;
    find("earlier").disabled = page <= 1;
    find("later").disabled = page >= pages;
  }
}
