// Keys of the paint page: its commands, and a pen that the arrows move.
import { $, complain, keyOf } from "./page.js";
import { aim, place } from "./bank.js";
import { desk, penPoint, say, showBefore } from "./desk.js";
import { back, begin, dabbing, finish, onward, stop, take, underWay, width } from "./drawing.js";
import { eight, nextSeed, save } from "./painting.js";

const TOOLS = { b: "brush", l: "line", f: "lasso", e: "eraser", m: "stamp", h: "move" };
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const ACTS = {
  n: nextSeed, 8: () => eight().catch(complain), x: () => showBefore(true), "Ctrl+s": () => save().catch(complain),
  "Ctrl+z": () => back("undo"), "Ctrl+Shift+z": () => back("redo"), "Ctrl+y": () => back("redo"),
  "+": () => desk.easel.zoom(1.25), "=": () => desk.easel.zoom(1.25), "-": () => desk.easel.zoom(0.8), 0: () => desk.easel.fit(),
  "[": () => brush(-1), "]": () => brush(1), o: () => $("mask").click(), Escape: stop,
};

export function typed(event) {
  const key = keyOf(event);
  if (!key || !desk.easel?.picture) return;
  const onCanvas = event.target === $("canvas");
  const act = TOOLS[key] ? () => take(TOOLS[key]) : ACTS[key];
  if (act && !event.repeat) { event.preventDefault(); act(); }
  else if (onCanvas) penned(event, key.replace("Shift+", ""));
}

export function released(event) {
  if (event.key.toLowerCase() === "x") showBefore(false);
}

function brush(by) {
  $("brush").value = width() + by;
  $("brush-value").textContent = $("brush").value;
}

function penned(event, key) {
  const step = STEPS[key];
  if (!step && key !== " " && key !== "Enter") return;
  event.preventDefault();
  desk.easel.keyboard = true;
  if (step) penMoved(step, event.shiftKey ? 10 : 1);
  else penPressed(penPoint());
}

function penMoved([right, down], by) {
  const { easel } = desk;
  const inside = (n, size) => Math.min(size - 1, Math.max(0, n));
  const [x, y] = easel.pen;
  easel.pen = [inside(x + by * right, easel.picture.width), inside(y + by * down, easel.picture.height)];
  if (desk.tool === "stamp") aim(penPoint());
  else if (underWay()) onward(penPoint());
  easel.follow();
  say(`pen at ${easel.pen.join(", ")}`);
}

function penPressed(point) {
  if (desk.tool === "stamp") place();
  else if (desk.tool === "move") return;
  else if (underWay()) { onward(point); finish(); }
  else { begin(point); if (dabbing()) finish(); }
}
