// Paint: a clean picture, a mask drawn on it, and the defect that the run paints there.
import { $, Refused, arrows, ask, call, complain, fill, keyOf, made, notice, rgb } from "./page.js";
import { Easel, strip } from "./easel.js";
import { TileList } from "./list.js";
import { Mask, unpacked } from "./mask.js";

const DROPPED = 128 * 2 ** 20; // bytes; the server takes no more

let about, easel, list, bank;
let ids = [];
let picture = ""; // id of the clean picture
let tool = "brush";
let stamp = null; // the chosen mask of the bank
let centre = null; // where it would lie
let busy = null; // aborts the painting that is on its way
let drawing = null; // a stroke under the pointer, or a line begun by a key
let stale = false; // the mask changed since the last painting
let shown = null; // the order whose painting is on the easel: this, and nothing else, is saved
let saving = false;
let seeds = null; // aborts the strip of eight seeds
const seen = new Map(); // pointer id -> last event, for two fingers

export async function open() {
  about = await ask("api/paint/about");
  fill($("class"), about.classes.map((name, i) => [i + 1, name]));
  easel = new Easel($("canvas"));
  list = new TileList($("pictures"), $("picture-rows"), {
    width: 200, ratio: 0.5, address: (name) => `p/${encodeURIComponent(name)}/tile.jpg`,
    show: (tile, name) => tile.setAttribute("aria-label", name), picked: (place) => choose(place).catch(complain),
  });
  wire();
  say(`${about.saved} pairs saved in ${about.save}`);
  await pictures();
  window.studio = { easel, mask: () => easel.mask, idle: () => !busy && !stale };
}

async function pictures(wanted) {
  const told = await ask("api/paint/pictures");
  ids = told.ids;
  $("pictures-note").textContent = told.notices.join(" ") || `${ids.length} clean pictures`;
  const place = Math.max(0, ids.indexOf(wanted));
  list.set(ids, ids.length ? place : -1);
  if (ids.length) await choose(place);
}

async function choose(place) {
  list.select(place);
  const name = ids[place];
  const answer = await call(`p/${encodeURIComponent(name)}/picture`);
  const image = await createImageBitmap(await answer.blob(), { colorSpaceConversion: "none" });
  busy?.abort();
  stop();
  dismiss();
  picture = name;
  shown = null;
  easel.put(image, new Mask(image.width, image.height), about.colours);
  $("canvas").setAttribute("aria-label", `Picture ${name} to draw on, ${image.width} by ${image.height} pixels`);
  buttons();
}

const value = () => (tool === "eraser" ? 0 : Number($("class").value));
const width = () => Number($("brush").value);
const say = (text) => { $("paint-state").textContent = text; };

function buttons() {
  const { mask } = easel;
  $("undo").disabled = !mask?.done.length;
  $("redo").disabled = !mask?.undone.length;
  const nothing = !mask?.box();
  for (const id of ["wipe", "again", "eight"]) $(id).disabled = nothing;
  $("save").disabled = !seenWhole();
}

// Whether what is on the easel is what the mask, the seed and the strength say.
const seenWhole = () => Boolean(shown && !stale && !busy && !saving && !easel.mask.open?.box);

// ---- painting

function order(seed = Number($("seed").value)) {
  const mask = easel.mask.packed();
  const origins = Object.fromEntries(Object.entries(easel.mask.origins).map(([number, own]) => [about.classes[number - 1], own]));
  return mask && { picture, mask, seed, strength: Number($("strength").value) / 100, origins };
}

async function patchOf(asked, signal) {
  const answer = await call("api/paint", asked, signal);
  const box = answer.headers.get("x-box").split(",").map(Number);
  const image = await createImageBitmap(await answer.blob(), { colorSpaceConversion: "none" });
  return { box, image, fault: answer.headers.get("x-fault"), seed: asked.seed, asked };
}

let later = 0;
function repaint(delay = 60, { another = false } = {}) {
  if (!another) dismiss(); // the strip shows another mask or strength
  stale = true;
  busy?.abort();
  clearTimeout(later);
  later = setTimeout(() => paint().catch(complain), delay);
  $("save").disabled = true;
}

async function paint() {
  const asked = order();
  stale = false;
  if (!asked) {
    unpainted();
    return;
  }
  const own = new AbortController();
  busy = own;
  buttons();
  $("wait").hidden = false;
  try {
    const start = performance.now();
    const patch = await patchOf(asked, own.signal);
    if (own.signal.aborted) return;
    put(patch, ` in ${((performance.now() - start) / 1000).toFixed(2)} s`);
  } catch (error) {
    // What is shown is of an older mask, and this one has no painting.
    if (busy === own && error.name !== "AbortError") unpainted();
    throw error;
  } finally {
    if (busy === own) {
      busy = null;
      $("wait").hidden = true;
      buttons();
    }
  }
}

function unpainted() {
  shown = null;
  easel.painted(null);
  say("");
  buttons();
}

function put(patch, took = "") {
  easel.painted(patch);
  shown = patch.asked;
  buttons();
  say(patch.fault ? `a filter would reject this: ${patch.fault}` : `painted${took} with seed ${patch.seed}`);
  for (const cell of $("strip").children) cell.setAttribute("aria-selected", String(cell.dataset.seed === String(patch.seed)));
}

function again() {
  $("seed").value = (Number($("seed").value) + 1) % 4294967296;
  repaint(0, { another: true });
}

function dismiss() {
  seeds?.abort();
  seeds = null;
  $("strip").hidden = true;
  $("strip").replaceChildren();
}

async function eight() {
  const first = Number($("seed").value);
  const asked = [...Array(8).keys()].map((i) => order((first + i) % 4294967296));
  if (!asked[0]) return;
  dismiss();
  const own = new AbortController();
  seeds = own;
  const cells = asked.map(({ seed }) => {
    const cell = made("button", { type: "button", role: "option", "aria-selected": String(seed === first), "aria-label": `Seed ${seed}`, disabled: "" }, made("span", { classes: "empty-cell" }), made("span", { text: String(seed) }));
    cell.dataset.seed = seed;
    return cell;
  });
  $("strip").replaceChildren(...cells);
  $("strip").hidden = false;
  await Promise.all(asked.map(async (one, i) => {
    const patch = await patchOf(one, own.signal);
    if (own.signal.aborted) return;
    cells[i].firstChild.replaceWith(strip(easel, patch, 24));
    cells[i].disabled = false;
    cells[i].addEventListener("click", () => {
      busy?.abort();
      busy = null;
      $("wait").hidden = true;
      clearTimeout(later);
      stale = false;
      $("seed").value = one.seed;
      put(patch);
    });
  }));
}

async function save() {
  if (!seenWhole()) {
    if (!saving && easel.mask?.box()) notice("Not saved: what is drawn is not painted yet.", true);
    return;
  }
  saving = true;
  buttons();
  try {
    const told = await ask("api/save", shown);
    say(`saved as ${told.id}; ${told.saved} pairs in ${about.save}`);
    notice(`Saved as ${told.id}.`);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    notice(error.message, true);
  } finally {
    saving = false;
    buttons();
  }
}

// ---- drawing

function begin(point) {
  easel.mask.begin();
  drawing = { from: point, last: point, points: [point] };
  if (tool === "brush" || tool === "eraser") dab(point);
}

function dab(point) {
  easel.changed(easel.mask.stroke(drawing.last, point, width(), value()));
  drawing.last = point;
}

function onward(point) {
  if (tool === "brush" || tool === "eraser") dab(point);
  else {
    drawing.last = point;
    if (tool === "lasso") drawing.points.push(point);
    easel.ghost = ghost;
    easel.draw();
  }
}

function finish() {
  const { from, last, points } = drawing;
  let box = null;
  if (tool === "line") box = easel.mask.stroke(from, last, width(), value());
  if (tool === "lasso" && points.length > 2) box = easel.mask.area(points, value());
  easel.changed(box);
  drawing = null;
  easel.ghost = tool === "stamp" ? ghost : null;
  if (easel.mask.end()) repaint();
  easel.draw();
}

// What is under way is given up.
function stop() {
  if (drawing && easel.mask?.open) {
    easel.mask.end();
    easel.changed(easel.mask.undo());
    easel.mask.undone = [];
  }
  drawing = null;
  if (easel.mask) easel.ghost = null;
  easel.draw();
}

function ghost(context, scale) {
  context.strokeStyle = rgb(about.colours[Math.max(1, value()) - 1]);
  context.beginPath();
  if (tool === "stamp") {
    if (!stamp || !centre) return;
    context.save();
    context.translate(...centre);
    context.rotate((Number($("turn").value) * Math.PI) / 180);
    context.scale(Number($("scale").value) / 100, Number($("scale").value) / 100);
    context.globalAlpha = 0.65;
    context.drawImage(stamp.image, -stamp.size[0] / 2, -stamp.size[1] / 2);
    context.restore();
    return;
  }
  if (!drawing) return;
  context.lineWidth = tool === "line" ? width() : 1.5 / scale;
  context.lineCap = "round";
  const points = tool === "line" ? [drawing.from, drawing.last] : drawing.points;
  points.forEach((point, i) => (i ? context.lineTo(...point) : context.moveTo(...point)));
  context.globalAlpha = tool === "line" ? 0.5 : 1;
  context.stroke();
  context.globalAlpha = 1;
}

function place() {
  if (!stamp || !centre) return;
  easel.mask.begin();
  const turn = (Number($("turn").value) * Math.PI) / 180;
  easel.changed(easel.mask.stamp(stamp, centre, turn, Number($("scale").value) / 100, value()));
  if (easel.mask.end()) repaint(0);
}

async function stamps() {
  bank ??= await ask("api/paint/bank");
  const own = bank.filter((one) => one.class === Number($("class").value));
  $("bank").replaceChildren(...own.map((one, i) => {
    one.bits ??= unpacked(one.runs, one.size[0] * one.size[1]);
    one.image ??= bitmap(one);
    const cell = made("canvas", { role: "option", tabindex: "0", "aria-label": `Mask ${i + 1} of ${own.length}, of ${one.id}, ${one.size.join(" by ")} pixels` });
    Object.assign(cell, { width: one.size[0], height: one.size[1] });
    cell.getContext("2d").drawImage(one.image, 0, 0);
    const pick = () => {
      for (const other of $("bank").children) other.setAttribute("aria-selected", String(other === cell));
      stamp = one;
      centre ??= easel.pen.map((n) => n + 0.5);
      easel.ghost = ghost;
      easel.draw();
    };
    cell.addEventListener("click", pick);
    cell.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); event.stopPropagation(); pick(); } });
    if (i === 0) queueMicrotask(pick);
    return cell;
  }));
  if (!own.length) stamp = null;
}

function bitmap(one) {
  const canvas = new OffscreenCanvas(...one.size);
  const context = canvas.getContext("2d");
  const data = context.createImageData(...one.size);
  const colour = about.colours[one.class - 1];
  one.bits.forEach((bit, i) => { if (bit) data.data.set([...colour, 255], 4 * i); });
  context.putImageData(data, 0, 0);
  return canvas;
}

function take(name) {
  stop();
  tool = name;
  hovered();
  for (const button of $("tools").children) button.setAttribute("aria-checked", String(button.dataset.tool === name));
  $("stamp-tools").hidden = name !== "stamp";
  $("canvas").style.cursor = name === "move" ? "grab" : "crosshair";
  if (name === "stamp") {
    centre = easel.pen?.map((n) => n + 0.5);
    stamps().catch(complain);
  }
}

// ---- pointers: one draws, two move and zoom

function pressed(event) {
  if (!easel.picture) return;
  $("canvas").setPointerCapture(event.pointerId);
  seen.set(event.pointerId, event);
  easel.keyboard = false;
  if (seen.size === 2) { stop(); return; }
  if (event.button === 1 || tool === "move" || seen.size > 2) return;
  if (event.button !== 0) return;
  if (tool === "stamp") { centre = easel.at(event); easel.draw(); } else begin(easel.at(event));
}

function hovered(event) {
  const brushing = ["brush", "eraser", "line"].includes(tool) && easel.picture && event?.pointerType === "mouse";
  if (!brushing && !easel.hover) return;
  easel.hover = brushing ? { at: easel.at(event), width: width() } : null;
  easel.draw();
}

function moved(event) {
  hovered(event);
  const before = seen.get(event.pointerId);
  if (!before) return;
  if (seen.size === 2) {
    const other = [...seen].find(([id]) => id !== event.pointerId)[1];
    const far = (a) => Math.hypot(a.clientX - other.clientX, a.clientY - other.clientY) || 1;
    const box = $("canvas").getBoundingClientRect();
    easel.zoom(far(event) / far(before), [other.clientX - box.left, other.clientY - box.top]);
    easel.move((event.clientX - before.clientX) / 2, (event.clientY - before.clientY) / 2);
  } else if (drawing) {
    const parts = event.getCoalescedEvents?.() || [];
    for (const part of parts.length ? parts : [event]) onward(easel.at(part));
  } else if (tool === "stamp" && event.buttons === 1) { centre = easel.at(event); easel.draw(); }
  else easel.move(event.clientX - before.clientX, event.clientY - before.clientY);
  seen.set(event.pointerId, event);
}

function lifted(event) {
  if (!seen.delete(event.pointerId)) return;
  if (drawing && event.type === "pointerup") finish();
  else stop();
  if (tool === "stamp") easel.ghost = ghost;
}

// ---- keys

const TOOLS = { b: "brush", l: "line", f: "lasso", e: "eraser", m: "stamp", h: "move" };
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function before(on) {
  if (!easel.picture || easel.before === on) return;
  easel.before = on;
  $("before").setAttribute("aria-pressed", String(on));
  easel.draw();
}

const ACTS = {
  n: again, 8: () => eight().catch(complain), x: () => before(true), "Ctrl+s": () => save().catch(complain),
  "Ctrl+z": () => back("undo"), "Ctrl+Shift+z": () => back("redo"), "Ctrl+y": () => back("redo"),
  "+": () => easel.zoom(1.25), "=": () => easel.zoom(1.25), "-": () => easel.zoom(0.8), 0: () => easel.fit(),
  "[": () => brush(-1), "]": () => brush(1), o: () => $("mask").click(), Escape: stop,
};

function brush(by) {
  $("brush").value = width() + by;
  $("brush-value").textContent = $("brush").value;
}

function back(which) {
  stop();
  const box = easel.mask?.[which]();
  if (!box) return;
  easel.changed(box);
  repaint();
}

export function typed(event) {
  const key = keyOf(event);
  if (!key || !easel?.picture) return;
  const onCanvas = event.target === $("canvas");
  const act = TOOLS[key] ? () => take(TOOLS[key]) : ACTS[key];
  if (act && !event.repeat) { event.preventDefault(); act(); }
  else if (onCanvas) penned(event, key.replace("Shift+", ""));
}

export function released(event) {
  if (event.key.toLowerCase() === "x") before(false);
}

// The pen of the keyboard.
function penned(event, key) {
  const step = STEPS[key];
  if (!step && key !== " " && key !== "Enter") return;
  event.preventDefault();
  easel.keyboard = true;
  if (step) {
    const by = event.shiftKey ? 10 : 1;
    const [w, h] = [easel.picture.width, easel.picture.height];
    easel.pen = [Math.min(w - 1, Math.max(0, easel.pen[0] + by * step[0])), Math.min(h - 1, Math.max(0, easel.pen[1] + by * step[1]))];
    const point = easel.pen.map((n) => n + 0.5);
    if (tool === "stamp") centre = point;
    else if (drawing) onward(point);
    easel.follow();
    say(`pen at ${easel.pen.join(", ")}`);
    return;
  }
  const point = easel.pen.map((n) => n + 0.5);
  if (tool === "stamp") place();
  else if (tool === "move") return;
  else if (drawing) { onward(point); finish(); }
  else { begin(point); if (tool === "brush" || tool === "eraser") finish(); }
}

// ---- wiring

function wire() {
  for (const button of $("tools").children) button.addEventListener("click", () => take(button.dataset.tool));
  for (const id of ["tools", "bank", "strip"]) arrows($(id));
  const outputs = { brush: (v) => v, strength: (v) => (v / 100).toFixed(2), turn: (v) => `${v}°`, scale: (v) => `${v}%` };
  for (const [id, text] of Object.entries(outputs))
    $(id).addEventListener("input", () => { $(`${id}-value`).textContent = text($(id).value); easel.draw(); });
  for (const id of ["strength", "seed"])
    $(id).addEventListener("input", () => { if ($(id).value !== "") repaint(120, { another: id === "seed" }); });
  $("class").addEventListener("change", () => { if (tool === "stamp") stamps().catch(complain); });
  const clicks = {
    undo: () => back("undo"), redo: () => back("redo"), again, eight: () => eight().catch(complain),
    wipe: () => { stop(); const box = easel.mask.box(); if (easel.mask.wipe()) { easel.changed(box); repaint(0); } },
    save: () => save().catch(complain), fit: () => easel.fit(), place,
    "zoom-in": () => easel.zoom(1.25), "zoom-out": () => easel.zoom(0.8),
    mask: () => { easel.lines = !easel.lines; $("mask").setAttribute("aria-pressed", String(easel.lines)); easel.draw(); },
  };
  for (const [id, act] of Object.entries(clicks)) $(id).addEventListener("click", () => { if (easel.picture) act(); });
  $("before").addEventListener("click", () => before(!easel.before));
  const canvas = $("canvas");
  canvas.addEventListener("pointerdown", pressed);
  canvas.addEventListener("pointermove", moved);
  canvas.addEventListener("pointerleave", () => hovered());
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, lifted);
  canvas.addEventListener("focus", () => easel.draw());
  canvas.addEventListener("blur", () => easel.draw());
  canvas.addEventListener("wheel", (event) => {
    if (!easel.picture) return;
    event.preventDefault();
    const box = canvas.getBoundingClientRect();
    easel.zoom(Math.exp(-event.deltaY / 400), [event.clientX - box.left, event.clientY - box.top]);
  }, { passive: false });
  dropping();
}

function dropping() {
  const send = async (file) => {
    if (!file) return;
    if (file.size > DROPPED) {
      notice(`${file.name} has ${Math.ceil(file.size / 2 ** 20)} MiB; at most ${DROPPED / 2 ** 20} can be dropped.`, true);
      return;
    }
    const told = await ask("api/drop", file);
    await pictures(told.id);
    notice(`${file.name} can be painted on; it is kept when a pair is saved.`);
  };
  $("drop-file").addEventListener("change", (event) => send(event.target.files[0]).catch(complain));
  const page = $("page-paint");
  page.addEventListener("dragover", (event) => { event.preventDefault(); $("drop").classList.add("over"); });
  page.addEventListener("dragleave", () => $("drop").classList.remove("over"));
  page.addEventListener("drop", (event) => {
    event.preventDefault();
    $("drop").classList.remove("over");
    send(event.dataTransfer.files[0]).catch(complain);
  });
}
