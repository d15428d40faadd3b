// The drawn mask: a class number a pixel, what was done to it, and how it travels.

const MOST = 200; // steps that can be undone
const HELD = 96 << 20; // bytes that they may hold together

export class Mask {
  constructor(width, height) {
    this.width = width;
    this.height = height;
    this.values = new Uint8Array(width * height);
    this.done = [];
    this.undone = [];
    this.origins = {}; // class number -> ids of bank masks
    this.open = null; // the step being drawn
    this.reach = null; // no mark lies outside of it: a plate has too many pixels to look at all
  }

  // A step is everything between begin and end: it is undone as a whole.
  begin() { this.open = { box: null, before: this.values.slice(), origins: structuredClone(this.origins) }; }

  end() {
    const { box, before, origins } = this.open;
    this.open = null;
    if (!box) return false;
    this.done.push({ box, values: cut(before, this.width, box), origins });
    let held = this.done.reduce((sum, step) => sum + step.values.length, 0);
    while (this.done.length > 1 && (this.done.length > MOST || held > HELD)) held -= this.done.shift().values.length;
    this.undone = [];
    return true;
  }

  undo() { return this.swap(this.done, this.undone); }

  redo() { return this.swap(this.undone, this.done); }

  swap(from, to) {
    const step = from.pop();
    if (!step) return null;
    to.push({ box: step.box, values: cut(this.values, this.width, step.box), origins: this.origins });
    const [x, y, w, h] = step.box;
    for (let row = 0; row < h; row += 1)
      this.values.set(step.values.subarray(row * w, (row + 1) * w), (y + row) * this.width + x);
    this.origins = step.origins;
    this.reach = joined(this.reach, step.box);
    return step.box;
  }

  // Marks all pixels of a box for which inside(x, y) holds; returns the box within the picture.
  mark(left, top, right, bottom, value, inside) {
    return this.rows(left, top, right, bottom, (y, x0, x1) => {
      for (let x = x0; x < x1; x += 1)
        if (inside(x + 0.5, y + 0.5)) this.values[y * this.width + x] = value;
    });
  }

  // Calls row(y, x0, x1) for each row of a box within the picture; returns that box.
  rows(left, top, right, bottom, row) {
    const x0 = Math.max(0, Math.floor(left)), y0 = Math.max(0, Math.floor(top));
    const x1 = Math.min(this.width, Math.ceil(right)), y1 = Math.min(this.height, Math.ceil(bottom));
    if (x0 >= x1 || y0 >= y1) return null;
    for (let y = y0; y < y1; y += 1) row(y, x0, x1);
    const box = [x0, y0, x1 - x0, y1 - y0];
    this.reach = joined(this.reach, box);
    if (this.open) this.open.box = joined(this.open.box, box);
    return box;
  }

  // A stroke of some width from one point to another, with round ends.
  stroke(from, to, width, value) {
    const reach = Math.max(0.72, width / 2); // no width is so small that it hits no pixel
    const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
    const length = dx * dx + dy * dy;
    const near = (x, y) => {
      const t = length ? Math.min(1, Math.max(0, ((x - from[0]) * dx + (y - from[1]) * dy) / length)) : 0;
      return (x - from[0] - t * dx) ** 2 + (y - from[1] - t * dy) ** 2 <= reach * reach;
    };
    return this.mark(Math.min(from[0], to[0]) - reach, Math.min(from[1], to[1]) - reach,
      Math.max(from[0], to[0]) + reach, Math.max(from[1], to[1]) + reach, value, near);
  }

  // The inside of a closed line, by the even-odd rule: a row at a time, between its crossings.
  area(points, value) {
    const xs = points.map((p) => p[0]), ys = points.map((p) => p[1]);
    const low = (values) => values.reduce((a, b) => Math.min(a, b)), high = (values) => values.reduce((a, b) => Math.max(a, b));
    return this.rows(low(xs), low(ys), high(xs), high(ys), (row, x0, x1) => {
      const y = row + 0.5, at = [], start = row * this.width;
      for (let i = 0, j = points.length - 1; i < points.length; j = i, i += 1) {
        const ax = xs[i], ay = ys[i], bx = xs[j], by = ys[j];
        if (ay > y !== by > y) at.push(((bx - ax) * (y - ay)) / (by - ay) + ax);
      }
      at.sort((a, b) => a - b);
      const pixel = (x) => Math.min(x1, Math.max(x0, Math.ceil(x - 0.5)));
      for (let i = 0; i + 1 < at.length; i += 2)
        this.values.fill(value, start + pixel(at[i]), start + pixel(at[i + 1]));
    });
  }

  // A mask of the bank around a point, turned (radians) and scaled.
  stamp(stamp, centre, turn, scale, value) {
    const [w, h] = stamp.size;
    const reach = (Math.hypot(w, h) / 2) * scale + 1;
    const [cos, sin] = [Math.cos(turn) / scale, Math.sin(turn) / scale];
    const inside = (x, y) => {
      const [dx, dy] = [x - centre[0], y - centre[1]];
      const column = Math.floor(dx * cos + dy * sin + w / 2), row = Math.floor(dy * cos - dx * sin + h / 2);
      return column >= 0 && row >= 0 && column < w && row < h && stamp.bits[row * w + column] === 1;
    };
    const box = this.mark(centre[0] - reach, centre[1] - reach, centre[0] + reach, centre[1] + reach, value, inside);
    if (box) this.origins[value] = [...new Set([...(this.origins[value] || []), stamp.id])].slice(0, 60);
    return box;
  }

  wipe() {
    const box = this.box();
    if (!box) return false;
    this.begin();
    this.mark(box[0], box[1], box[0] + box[2], box[1] + box[3], 0, () => true);
    this.origins = {};
    return this.end();
  }

  // The box of all marks, or null.
  box() {
    if (!this.reach) return null;
    const [x, y, w, h] = this.reach;
    let [left, top, right, bottom] = [this.width, -1, -1, -1];
    for (let row = y; row < y + h; row += 1) {
      let first = row * this.width + x, last = first + w - 1;
      const start = row * this.width;
      while (first <= last && !this.values[first]) first += 1;
      if (first > last) continue;
      while (!this.values[last]) last -= 1;
      if (top < 0) top = row;
      bottom = row;
      left = Math.min(left, first - start);
      right = Math.max(right, last - start);
    }
    this.reach = top < 0 ? null : [left, top, right - left + 1, bottom - top + 1];
    return this.reach;
  }

  // As the server wants it: a box, and value, pixels in turn.
  packed() {
    const box = this.box();
    if (!box) return null;
    const values = cut(this.values, this.width, box);
    const runs = [];
    for (let start = 0; start < values.length;) {
      let end = start;
      while (end < values.length && values[end] === values[start]) end += 1;
      runs.push(values[start], end - start);
      start = end;
    }
    return { box, runs };
  }
}

export function unpacked(runs, length) {
  const bits = new Uint8Array(length);
  let at = 0;
  for (let i = 0; i < runs.length; i += 2) {
    bits.fill(runs[i], at, at + runs[i + 1]);
    at += runs[i + 1];
  }
  return bits;
}

export function joined(a, b) {
  if (!a || !b) return a || b;
  const [x, y] = [Math.min(a[0], b[0]), Math.min(a[1], b[1])];
  return [x, y, Math.max(a[0] + a[2], b[0] + b[2]) - x, Math.max(a[1] + a[3], b[1] + b[3]) - y];
}

function cut(values, width, [x, y, w, h]) {
  const found = new Uint8Array(w * h);
  for (let row = 0; row < h; row += 1)
    found.set(values.subarray((y + row) * width + x, (y + row) * width + x + w), row * w);
  return found;
}
