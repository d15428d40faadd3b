// Tools that draw the mask: a stroke begins, goes on, and is finished or given up.
import { $, complain, rgb } from "./page.js";
import { aim, offer } from "./bank.js";
import { chosenClass, desk, penPoint } from "./desk.js";
import { repaint } from "./painting.js";

let stroke = null; // under the pointer, or a line begun by a key

export const underWay = () => stroke !== null;
export const dabbing = () => desk.tool === "brush" || desk.tool === "eraser";
export const width = () => Number($("brush").value);
const value = () => (desk.tool === "eraser" ? 0 : chosenClass());

export function begin(point) {
  desk.easel.mask.begin();
  stroke = { from: point, last: point, points: [point] };
  if (dabbing()) dab(point);
}

function dab(point) {
  desk.easel.changed(desk.easel.mask.stroke(stroke.last, point, width(), value()));
  stroke.last = point;
}

export function onward(point) {
  if (dabbing()) {
    dab(point);
    return;
  }
  stroke.last = point;
  if (desk.tool === "lasso") stroke.points.push(point);
  desk.easel.ghost = ghost;
  desk.easel.draw();
}

export function finish() {
  const { easel, tool } = desk;
  const { from, last, points } = stroke;
  let box = null;
  if (tool === "line") box = easel.mask.stroke(from, last, width(), value());
  if (tool === "lasso" && points.length > 2) box = easel.mask.area(points, value());
  easel.changed(box);
  stroke = null;
  easel.ghost = null;
  if (easel.mask.end()) repaint();
  easel.draw();
}

// What is under way is given up.
export function stop() {
  const { easel } = desk;
  if (stroke && easel.mask?.open) {
    easel.mask.end();
    easel.changed(easel.mask.undo());
    easel.mask.undone = [];
  }
  stroke = null;
  if (easel.mask) easel.ghost = null;
  easel.draw();
}

function ghost(context, scale) {
  if (!stroke) return;
  const line = desk.tool === "line";
  context.strokeStyle = rgb(desk.about.colours[Math.max(1, value()) - 1]);
  context.beginPath();
  context.lineWidth = line ? width() : 1.5 / scale;
  context.lineCap = "round";
  const points = line ? [stroke.from, stroke.last] : stroke.points;
  points.forEach((point, i) => (i ? context.lineTo(...point) : context.moveTo(...point)));
  context.globalAlpha = line ? 0.5 : 1;
  context.stroke();
  context.globalAlpha = 1;
}

export function take(name) {
  stop();
  desk.tool = name;
  hover(null);
  for (const button of $("tools").children) button.setAttribute("aria-checked", String(button.dataset.tool === name));
  $("stamp-tools").hidden = name !== "stamp";
  $("canvas").style.cursor = name === "move" ? "grab" : "crosshair";
  if (name === "stamp") {
    aim(penPoint());
    offer().catch(complain);
  }
}

// Show how wide the tool is, under the mouse; null: it is not over the picture.
export function hover(point) {
  const { easel } = desk;
  const brushing = point && (dabbing() || desk.tool === "line");
  if (!brushing && !easel.hover) return;
  easel.hover = brushing ? { at: point, width: width() } : null;
  easel.draw();
}

export function back(which) {
  stop();
  const box = desk.easel.mask?.[which]();
  if (!box) return;
  desk.easel.changed(box);
  repaint();
}

export function wipe() {
  stop();
  const { easel } = desk;
  const box = easel.mask.box();
  if (!easel.mask.wipe()) return;
  easel.changed(box);
  repaint(0);
}
