// Paint: a clean picture, a mask drawn on it, and the defect that the run paints there.
import { $, arrows, ask, call, complain, fill, notice } from "./page.js";
import { offer, place } from "./bank.js";
import { desk, say, showBefore } from "./desk.js";
import { back, stop, take, wipe } from "./drawing.js";
import { Easel } from "./easel.js";
import { TileList } from "./list.js";
import { Mask } from "./mask.js";
import { buttons, eight, forget, idle, nextSeed, repaint, save } from "./painting.js";
import { listen } from "./pointers.js";

export { released, typed } from "./keys.js";

const DROPPED = 128 * 2 ** 20; // bytes; the server takes no more

let list;
let ids = [];
// Counted, as an answer to an earlier request comes too late.
let listing = 0;
let choosing = 0;

export async function open() {
  const about = desk.about = await ask("api/paint/about");
  fill($("class"), about.classes.map((name, i) => [i + 1, name]));
  const easel = desk.easel = new Easel($("canvas"));
  list = new TileList($("pictures"), $("picture-rows"), {
    width: 200, ratio: 0.5, address: (name) => `p/${encodeURIComponent(name)}/tile.jpg`,
    show: (tile, name) => tile.setAttribute("aria-label", name), picked: (at) => choose(at).catch(complain),
  });
  wire();
  say(`${about.saved} pairs saved in ${about.save}`);
  await pictures();
  window.studio = { easel, mask: () => easel.mask, idle };
}

async function pictures(wanted) {
  const own = ++listing;
  const told = await ask("api/paint/pictures");
  if (own !== listing) return;
  ids = told.ids;
  $("pictures-note").textContent = told.notices.join(" ") || `${ids.length} clean pictures`;
  const at = Math.max(0, ids.indexOf(wanted));
  list.set(ids, ids.length ? at : -1);
  if (ids.length) await choose(at);
}

async function choose(at) {
  list.select(at);
  const own = ++choosing;
  const name = ids[at];
  const image = await pictureOf(name).catch((error) => {
    if (own === choosing) list.select(ids.indexOf(desk.picture));
    throw error;
  });
  if (own !== choosing) return;
  stop();
  forget();
  desk.picture = name;
  desk.easel.put(image, new Mask(image.width, image.height), desk.about.colours);
  $("canvas").setAttribute("aria-label", `Picture ${name} to draw on, ${image.width} by ${image.height} pixels`);
  buttons();
}

async function pictureOf(name) {
  const answer = await call(`p/${encodeURIComponent(name)}/picture`);
  return createImageBitmap(await answer.blob(), { colorSpaceConversion: "none" });
}

function wire() {
  const { easel } = desk;
  for (const button of $("tools").children) button.addEventListener("click", () => take(button.dataset.tool));
  for (const id of ["tools", "bank", "strip"]) arrows($(id));
  const outputs = { brush: (v) => v, strength: (v) => (v / 100).toFixed(2), turn: (v) => `${v}°`, scale: (v) => `${v}%` };
  for (const [id, text] of Object.entries(outputs))
    $(id).addEventListener("input", () => { $(`${id}-value`).textContent = text($(id).value); easel.draw(); });
  for (const id of ["strength", "seed"])
    $(id).addEventListener("input", () => { if ($(id).value !== "") repaint(120, { another: id === "seed" }); });
  $("class").addEventListener("change", () => { if (desk.tool === "stamp") offer().catch(complain); });
  const clicks = {
    undo: () => back("undo"), redo: () => back("redo"), wipe, again: nextSeed, eight: () => eight().catch(complain),
    save: () => save().catch(complain), fit: () => easel.fit(), place,
    "zoom-in": () => easel.zoom(1.25), "zoom-out": () => easel.zoom(0.8),
    mask: () => { easel.lines = !easel.lines; $("mask").setAttribute("aria-pressed", String(easel.lines)); easel.draw(); },
  };
  for (const [id, act] of Object.entries(clicks)) $(id).addEventListener("click", () => { if (easel.picture) act(); });
  $("before").addEventListener("click", () => showBefore(!easel.before));
  for (const name of ["focus", "blur"]) $("canvas").addEventListener(name, () => easel.draw());
  listen($("canvas"));
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
