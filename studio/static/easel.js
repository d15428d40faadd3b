// The easel: the picture, what was painted on it, the mask's outline; zoomed and moved.
import { joined } from "./mask.js";

const FARTHEST = 16;

export class Easel {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.view = { x: 0, y: 0, scale: 1 };
    this.picture = null;
    this.patch = null; // { box, image }
    this.before = false; // show the picture as it was
    this.lines = true;
    this.pen = null; // where the keyboard's pen is, in pixels of the picture
    this.ghost = null; // draws what a tool would do
    this.hover = null; // { at, width }: the brush under the mouse
    new ResizeObserver(() => this.resized()).observe(canvas);
  }

  put(picture, mask, colours) {
    Object.assign(this, { picture, mask, colours, patch: null, ghost: null });
    this.overlay = new OffscreenCanvas(picture.width, picture.height);
    this.layer = this.overlay.getContext("2d");
    this.pen = [Math.floor(picture.width / 2), Math.floor(picture.height / 2)];
    this.fit();
  }

  resized() {
    const [w, h] = [this.canvas.clientWidth, this.canvas.clientHeight];
    if (!w || !h) return;
    const dots = devicePixelRatio || 1;
    const before = this.shown;
    const first = before === undefined || (this.whole && this.picture);
    this.canvas.width = Math.round(w * dots);
    this.canvas.height = Math.round(h * dots);
    this.shown = [w, h];
    if (first) this.fit();
    else this.move((w - before[0]) / 2, (h - before[1]) / 2);
  }

  fit() {
    if (!this.picture || !this.shown) return;
    const [w, h] = this.shown;
    const scale = Math.min((w - 16) / this.picture.width, (h - 16) / this.picture.height, 8);
    this.view = { scale, x: (w - this.picture.width * scale) / 2, y: (h - this.picture.height * scale) / 2 };
    this.whole = true;
    this.draw();
  }

  // Zooms around a point of the screen.
  zoom(factor, at = [this.shown[0] / 2, this.shown[1] / 2]) {
    const least = Math.min(0.02, this.view.scale);
    const scale = Math.min(FARTHEST, Math.max(least, this.view.scale * factor));
    const by = scale / this.view.scale;
    this.view = { scale, x: at[0] - (at[0] - this.view.x) * by, y: at[1] - (at[1] - this.view.y) * by };
    this.whole = false;
    this.draw();
  }

  move(dx, dy) {
    this.view.x += dx;
    this.view.y += dy;
    this.whole = false;
    this.draw();
  }

  // A point of the screen in pixels of the picture.
  at(event) {
    const box = this.canvas.getBoundingClientRect();
    return [(event.clientX - box.left - this.view.x) / this.view.scale,
      (event.clientY - box.top - this.view.y) / this.view.scale];
  }

  // The mask changed inside of a box: its outline is drawn anew there.
  changed(box) {
    if (!box) return;
    const [x0, y0] = [Math.max(0, box[0] - 1), Math.max(0, box[1] - 1)];
    const x1 = Math.min(this.mask.width, box[0] + box[2] + 1), y1 = Math.min(this.mask.height, box[1] + box[3] + 1);
    const data = this.layer.createImageData(x1 - x0, y1 - y0);
    const { values, width, height } = this.mask;
    for (let y = y0, i = 0; y < y1; y += 1)
      for (let x = x0; x < x1; x += 1, i += 4) {
        const at = y * width + x, value = values[at];
        if (!value) continue;
        const edge = x === 0 || y === 0 || x === width - 1 || y === height - 1 || values[at - 1] !== value
          || values[at + 1] !== value || values[at - width] !== value || values[at + width] !== value;
        data.data.set(this.colours[value - 1], i);
        data.data[i + 3] = edge ? 255 : this.patch ? 0 : 90;
      }
    this.layer.putImageData(data, x0, y0);
    this.draw();
  }

  // What was painted, or null; inside of a mask that is painted nothing hides it.
  painted(patch) {
    const before = Boolean(this.patch);
    this.patch = patch;
    // How strongly the marks are filled in depends on it.
    if (before !== Boolean(patch)) this.changed(this.mask.box());
    this.draw();
  }

  draw() {
    if (this.queued) return;
    this.queued = true;
    requestAnimationFrame(() => { this.queued = false; this.render(); });
  }

  render() {
    const { context, view, picture } = this;
    if (!this.shown) return;
    const dots = this.canvas.width / this.shown[0];
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    if (!picture) return;
    context.setTransform(dots * view.scale, 0, 0, dots * view.scale, dots * view.x, dots * view.y);
    context.imageSmoothingEnabled = view.scale < 2;
    context.drawImage(picture, 0, 0);
    if (this.patch && !this.before) context.drawImage(this.patch.image, this.patch.box[0], this.patch.box[1]);
    if (this.lines && !this.before) context.drawImage(this.overlay, 0, 0);
    context.lineWidth = 1.5 / view.scale;
    this.ghost?.(context, view.scale);
    if (this.hover) this.ring(context, view.scale);
    if (document.activeElement === this.canvas && this.pen && this.keyboard) this.cross(context, view.scale);
  }

  ring(context, scale) {
    const { at, width } = this.hover;
    for (const [colour, thick] of [["#000", 3], ["#fff", 1.25]]) {
      context.strokeStyle = colour;
      context.lineWidth = thick / scale;
      context.beginPath();
      context.arc(...at, Math.max(0.72, width / 2), 0, 2 * Math.PI);
      context.stroke();
    }
  }

  cross(context, scale) {
    const [x, y] = [this.pen[0] + 0.5, this.pen[1] + 0.5], reach = 12 / scale;
    for (const [colour, width] of [["#000", 4], ["#fff", 1.5]]) {
      context.strokeStyle = colour;
      context.lineWidth = width / scale;
      context.beginPath();
      context.moveTo(x - reach, y); context.lineTo(x + reach, y);
      context.moveTo(x, y - reach); context.lineTo(x, y + reach);
      context.stroke();
    }
  }

  // Keeps the keyboard's pen on the screen.
  follow() {
    const [x, y] = [this.pen[0] * this.view.scale + this.view.x, this.pen[1] * this.view.scale + this.view.y];
    const [w, h] = this.shown;
    if (x < 20 || y < 20 || x > w - 20 || y > h - 20) this.move(w / 2 - x, h / 2 - y);
    else this.draw();
  }

  // The pixels as they stand, for whoever wants to compare: RGBA of the whole picture.
  pixels(before = false) {
    const canvas = new OffscreenCanvas(this.picture.width, this.picture.height);
    const context = canvas.getContext("2d");
    context.drawImage(this.picture, 0, 0);
    if (this.patch && !before) context.drawImage(this.patch.image, this.patch.box[0], this.patch.box[1]);
    return context.getImageData(0, 0, canvas.width, canvas.height);
  }
}

// A part of the picture with its painting, for the strip of seeds.
export function strip(easel, patch, margin) {
  const { picture } = easel;
  const box = joined(patch.box, patch.box);
  const x = Math.max(0, box[0] - margin), y = Math.max(0, box[1] - margin);
  const w = Math.min(picture.width, box[0] + box[2] + margin) - x, h = Math.min(picture.height, box[1] + box[3] + margin) - y;
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: w, height: h });
  const context = canvas.getContext("2d");
  context.drawImage(picture, -x, -y);
  context.drawImage(patch.image, patch.box[0] - x, patch.box[1] - y);
  return canvas;
}
