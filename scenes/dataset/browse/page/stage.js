// The picture: two panes, one clipped at the divider, moved and zoomed as one. Sizes are in pixels of the tile.

import { find } from "./tools.js";

const CLICK = 4; // screen pixels that a press may move and still be a click
const LARGEST = 64; // screen pixels per pixel

export class Stage {
  // `look(column, row, target)` is called as the cursor moves, `pick(target)` at a click
  constructor({ look, pick }) {
    this.root = find("stage");
    this.divider = find("divider");
    this.panes = Object.fromEntries([...this.root.querySelectorAll(".pane")].map((pane) => [pane.dataset.date, pane]));
    this.worlds = Object.fromEntries(Object.entries(this.panes).map(([date, pane]) => [date, pane.querySelector(".world")]));
    Object.assign(this, { look, pick, columns: 1, rows: 1, gsd: 1, scale: 1, x: 0, y: 0, fitted: true });
    this.pointers = new Map();
    this.split(50);
    this.listen();
    new ResizeObserver(() => (this.fitted ? this.fit() : this.place())).observe(this.root);
  }

  // `gsd` is metres per pixel
  size(columns, rows, gsd) {
    const same = columns === this.columns && rows === this.rows;
    Object.assign(this, { columns, rows, gsd });
    if (same && !this.fitted) this.place();
    else this.fit();
  }

  fit() {
    const { clientWidth: width, clientHeight: height } = this.root;
    this.scale = Math.min(width / this.columns, height / this.rows) || 1;
    this.x = (width - this.columns * this.scale) / 2;
    this.y = (height - this.rows * this.scale) / 2;
    this.fitted = true;
    this.place();
  }

  // the point `at` of the stage stays where it is
  zoom(scale, at = [this.root.clientWidth / 2, this.root.clientHeight / 2]) {
    const least = Math.min(this.root.clientWidth / this.columns, this.root.clientHeight / this.rows, 1 / devicePixelRatio);
    const next = Math.min(Math.max(scale, least), LARGEST), factor = next / this.scale;
    this.x = at[0] - (at[0] - this.x) * factor;
    this.y = at[1] - (at[1] - this.y) * factor;
    this.scale = next;
    this.fitted = false;
    this.place();
  }

  move(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.fitted = false;
    this.place();
  }

  // brings a pixel into view
  reveal(column, row) {
    const { clientWidth: width, clientHeight: height } = this.root;
    const x = this.x + column * this.scale, y = this.y + row * this.scale;
    if (x < 0 || y < 0 || x > width || y > height) this.move(width / 2 - x, height / 2 - y);
  }

  place() {
    const { clientWidth: width, clientHeight: height } = this.root;
    const across = this.columns * this.scale, down = this.rows * this.scale;
    // a corner of the picture stays in view; one that is smaller than the stage stays in the middle
    this.x = across <= width ? (width - across) / 2 : Math.min(Math.max(this.x, width / 2 - across), width / 2);
    this.y = down <= height ? (height - down) / 2 : Math.min(Math.max(this.y, height / 2 - down), height / 2);
    for (const world of Object.values(this.worlds)) {
      world.style.width = `${across}px`;
      world.style.height = `${down}px`;
      world.style.transform = `translate(${this.x}px, ${this.y}px)`;
      world.classList.toggle("crisp", this.scale * devicePixelRatio > 1);
    }
    this.measure();
  }

  // a bar of a round number of metres, about a tenth of the stage or longer
  measure() {
    const least = (Math.max(this.root.clientWidth / 10, 48) / this.scale) * this.gsd, power = 10 ** Math.floor(Math.log10(least));
    const metres = [1, 2, 5, 10].map((step) => step * power).find((length) => length >= least);
    const words = metres < 1000 ? `${Number(metres.toPrecision(1))} m` : `${metres / 1000} km`, scale = find("scale");
    scale.style.width = `${(metres / this.gsd) * this.scale}px`;
    scale.textContent = words;
    scale.setAttribute("aria-label", `Scale bar: ${words}`);
  }

  // the divider at a share of the stage's width, in per cent: all before at 100, all after at 0
  split(percent) {
    this.percent = Math.min(Math.max(percent, 0), 100);
    this.divider.style.left = `${this.percent}%`;
    this.panes.pre.style.clipPath = `inset(0 ${100 - this.percent}% 0 0)`;
    this.panes.post.style.clipPath = `inset(0 0 0 ${this.percent}%)`;
    this.divider.setAttribute("aria-valuenow", Math.round(this.percent));
    this.divider.setAttribute("aria-valuetext", `${Math.round(this.percent)} % before`);
    for (const button of document.querySelectorAll("[data-split]")) {
      const at = Number(button.dataset.split), swiping = this.percent > 0 && this.percent < 100;
      button.setAttribute("aria-pressed", at === 50 ? swiping : at === this.percent);
    }
  }

  // column and row of the pixel at a place of the screen, or null beside the picture
  pixel(x, y) {
    const box = this.root.getBoundingClientRect();
    const column = Math.floor((x - box.left - this.root.clientLeft - this.x) / this.scale);
    const row = Math.floor((y - box.top - this.root.clientTop - this.y) / this.scale);
    return column >= 0 && row >= 0 && column < this.columns && row < this.rows ? [column, row] : null;
  }

  centre() {
    const box = this.root.getBoundingClientRect();
    return this.pixel(box.left + box.width / 2, box.top + box.height / 2);
  }

  listen() {
    this.root.addEventListener("pointerdown", (event) => this.down(event));
    this.root.addEventListener("pointermove", (event) => this.drag(event));
    for (const kind of ["pointerup", "pointercancel"]) this.root.addEventListener(kind, (event) => this.up(event));
    this.root.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") this.look(null); });
    this.root.addEventListener("wheel", (event) => {
      event.preventDefault();
      const box = this.root.getBoundingClientRect(), step = event.deltaMode ? event.deltaY * 20 : event.deltaY;
      this.zoom(this.scale * 2 ** (-Math.min(Math.max(step, -200), 200) / 240), [event.clientX - box.left, event.clientY - box.top]);
    }, { passive: false });
    this.divider.addEventListener("keydown", (event) => this.steer(event));
  }

  down(event) {
    if (event.button) return;
    const swipes = this.divider.contains(event.target);
    this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY, fromX: event.clientX, fromY: event.clientY, swipes, moved: false, target: event.target });
    if (swipes) this.root.setPointerCapture(event.pointerId);
  }

  drag(event) {
    const pointer = this.pointers.get(event.pointerId);
    if (!pointer) return this.look(this.pixel(event.clientX, event.clientY), event);
    const dx = event.clientX - pointer.x, dy = event.clientY - pointer.y;
    if (Math.hypot(event.clientX - pointer.fromX, event.clientY - pointer.fromY) > CLICK && !pointer.moved) {
      pointer.moved = true;
      this.root.setPointerCapture(event.pointerId);
    }
    if (pointer.swipes) {
      const box = this.root.getBoundingClientRect();
      this.split(((event.clientX - box.left) / box.width) * 100);
    } else if (this.pointers.size === 2) {
      this.pinch(event, dx, dy);
    } else if (pointer.moved) {
      this.move(dx, dy);
    } else {
      return undefined;
    }
    pointer.x = event.clientX;
    pointer.y = event.clientY;
    return undefined;
  }

  // two fingers: the picture follows both
  pinch(event, dx, dy) {
    const [other] = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, pointer]) => pointer);
    const box = this.root.getBoundingClientRect();
    const before = Math.hypot(event.clientX - dx - other.x, event.clientY - dy - other.y);
    const after = Math.hypot(event.clientX - other.x, event.clientY - other.y);
    const middle = [(event.clientX + other.x) / 2 - box.left, (event.clientY + other.y) / 2 - box.top];
    this.zoom(this.scale * (after / Math.max(before, 1)), middle);
    this.move(dx / 2, dy / 2);
  }

  up(event) {
    const pointer = this.pointers.get(event.pointerId);
    this.pointers.delete(event.pointerId);
    if (!pointer || pointer.moved || pointer.swipes || event.type === "pointercancel") return;
    this.look(this.pixel(event.clientX, event.clientY), event);
    this.pick(pointer.target);
  }

  steer(event) {
    const step = event.shiftKey ? 10 : 1;
    const places = { ArrowLeft: this.percent - step, ArrowDown: this.percent - step, ArrowRight: this.percent + step,
      ArrowUp: this.percent + step, PageDown: this.percent - 10, PageUp: this.percent + 10, Home: 0, End: 100 };
    if (!(event.key in places)) return;
    event.preventDefault();
    event.stopPropagation();
    this.split(places[event.key]);
  }
}
