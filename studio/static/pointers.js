// Mouse, pen and fingers on the easel: one draws, two move and zoom.
import { $ } from "./page.js";
import { aim, show } from "./bank.js";
import { desk } from "./desk.js";
import { begin, finish, hover, onward, stop, underWay } from "./drawing.js";

const seen = new Map(); // pointer id -> last event, for two fingers

export function listen(canvas) {
  canvas.addEventListener("pointerdown", pressed);
  canvas.addEventListener("pointermove", moved);
  canvas.addEventListener("pointerleave", () => hover(null));
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, lifted);
  canvas.addEventListener("wheel", wheeled, { passive: false });
}

function pressed(event) {
  const { easel } = desk;
  if (!easel.picture) return;
  $("canvas").setPointerCapture(event.pointerId);
  seen.set(event.pointerId, event);
  easel.keyboard = false;
  if (seen.size === 2) { stop(); return; }
  if (event.button === 1 || desk.tool === "move" || seen.size > 2) return;
  if (event.button !== 0) return;
  if (desk.tool === "stamp") aim(easel.at(event));
  else begin(easel.at(event));
}

function moved(event) {
  const { easel } = desk;
  hover(easel.picture && event.pointerType === "mouse" ? easel.at(event) : null);
  const last = seen.get(event.pointerId);
  if (!last) return;
  if (seen.size === 2) pinched(event, last);
  else if (underWay()) {
    const parts = event.getCoalescedEvents?.() || [];
    for (const part of parts.length ? parts : [event]) onward(easel.at(part));
  } else if (desk.tool === "stamp" && event.buttons === 1) aim(easel.at(event));
  else easel.move(event.clientX - last.clientX, event.clientY - last.clientY);
  seen.set(event.pointerId, event);
}

function pinched(event, last) {
  const { easel } = desk;
  const other = [...seen].find(([id]) => id !== event.pointerId)[1];
  const far = (a) => Math.hypot(a.clientX - other.clientX, a.clientY - other.clientY) || 1;
  const box = $("canvas").getBoundingClientRect();
  easel.zoom(far(event) / far(last), [other.clientX - box.left, other.clientY - box.top]);
  easel.move((event.clientX - last.clientX) / 2, (event.clientY - last.clientY) / 2);
}

function lifted(event) {
  if (!seen.delete(event.pointerId)) return;
  if (underWay() && event.type === "pointerup") finish();
  else stop();
  if (desk.tool === "stamp") show();
}

function wheeled(event) {
  const { easel } = desk;
  if (!easel.picture) return;
  event.preventDefault();
  const box = $("canvas").getBoundingClientRect();
  easel.zoom(Math.exp(-event.deltaY / 400), [event.clientX - box.left, event.clientY - box.top]);
}
