// A list of any length: only the tiles that can be seen exist.
import { made } from "./page.js";

const BEYOND = 3; // rows kept above and below
const SETTLE = 70; // milliseconds without scrolling before pictures load

export class TileList {
  // show(tile, item) fills a tile; picked(place) is called for a click or a key.
  constructor(box, rows, { width, ratio, address, show, picked }) {
    Object.assign(this, { box, rows, width, ratio, address, show, picked });
    this.items = [];
    this.place = -1;
    this.alive = new Map();
    this.moved = 0;
    box.addEventListener("scroll", () => {
      this.moved = performance.now();
      requestAnimationFrame(() => this.draw());
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.load(), SETTLE);
    }, { passive: true });
    box.addEventListener("click", (event) => {
      const tile = event.target.closest(".tile");
      if (tile) this.picked(Number(tile.dataset.place));
    });
    box.addEventListener("keydown", (event) => this.typed(event));
    new ResizeObserver(() => { this.measure(); this.draw(); this.load(); }).observe(box);
  }

  set(items, place = -1) {
    this.items = items;
    this.place = place;
    for (const row of this.alive.values()) row.remove();
    this.alive.clear();
    this.measure();
    this.reveal();
    this.draw();
    this.load();
  }

  select(place) {
    this.place = place;
    this.reveal();
    this.draw();
    this.refresh();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.load(), SETTLE);
  }

  measure() {
    const inner = this.box.clientWidth;
    const before = this.columns;
    this.columns = Math.max(1, Math.round(inner / this.width));
    this.height = Math.round((inner / this.columns) * this.ratio) + 4;
    if (before !== this.columns) {
      for (const row of this.alive.values()) row.remove();
      this.alive.clear();
    }
    this.rows.style.height = `${Math.ceil(this.items.length / this.columns) * this.height}px`;
  }

  reveal() {
    if (this.place < 0 || !this.columns) return;
    const top = Math.floor(this.place / this.columns) * this.height;
    const { scrollTop, clientHeight } = this.box;
    if (top < scrollTop || top + this.height > scrollTop + clientHeight)
      this.box.scrollTop = Math.max(0, top - (clientHeight - this.height) / 2);
  }

  draw() {
    if (!this.columns || !this.box.clientHeight) return;
    const total = Math.ceil(this.items.length / this.columns);
    const first = Math.max(0, Math.floor(this.box.scrollTop / this.height) - BEYOND);
    const last = Math.min(total, Math.ceil((this.box.scrollTop + this.box.clientHeight) / this.height) + BEYOND);
    for (const [number, row] of this.alive)
      if (number < first || number >= last) { row.remove(); this.alive.delete(number); }
    for (let number = first; number < last; number += 1)
      if (!this.alive.has(number)) this.alive.set(number, this.row(number));
  }

  row(number) {
    const row = made("div", { classes: "row" });
    row.style.top = `${number * this.height}px`;
    row.style.height = `${this.height - 4}px`;
    row.style.gridTemplateColumns = `repeat(${this.columns}, minmax(0, 1fr))`;
    const start = number * this.columns;
    for (let place = start; place < Math.min(start + this.columns, this.items.length); place += 1) {
      const tile = made("div", { classes: "tile", role: "option" }, made("img", { alt: "" }),
        made("span", { classes: "mark", "aria-hidden": "true" }));
      tile.dataset.place = place;
      row.append(tile);
      this.fill(tile);
    }
    this.rows.append(row);
    return row;
  }

  fill(tile) {
    const place = Number(tile.dataset.place);
    tile.id = `${this.box.id}-${place}`;
    tile.setAttribute("aria-selected", String(place === this.place));
    tile.setAttribute("aria-setsize", String(this.items.length));
    tile.setAttribute("aria-posinset", String(place + 1));
    this.show(tile, this.items[place]);
    if (place === this.place) this.box.setAttribute("aria-activedescendant", tile.id);
  }

  refresh() {
    for (const row of this.alive.values()) for (const tile of row.children) this.fill(tile);
  }

  // Pictures of rows that were scrolled past are never asked for.
  load() {
    if (performance.now() - this.moved < SETTLE - 5) return;
    for (const row of this.alive.values())
      for (const tile of row.children) {
        const image = tile.firstChild;
        if (!image.getAttribute("src"))
          image.src = this.address(this.items[Number(tile.dataset.place)]);
      }
  }

  typed(event) {
    const page = Math.max(1, Math.floor(this.box.clientHeight / this.height)) * this.columns;
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: this.columns, ArrowUp: -this.columns,
      PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity }[event.key];
    if (step === undefined || !this.items.length) return;
    event.preventDefault();
    const wanted = Math.min(this.items.length - 1, Math.max(0, Math.max(0, this.place) + step));
    this.picked(wanted);
  }
}
