// What the server paints where the mask is, kept in step with it; and what of it is saved.
import { $, Refused, ask, call, complain, made, notice } from "./page.js";
import { strip } from "./easel.js";
import { desk, say } from "./desk.js";

let busy = null; // aborts the painting that is on its way
let stale = false; // the mask changed since the last painting
let shown = null; // the order whose painting is on the easel: this, and nothing else, is saved
let saving = false;
let seeds = null; // aborts the strip of eight seeds
let later = 0;

export const idle = () => !busy && !stale;

export function buttons() {
  const { mask } = desk.easel;
  $("undo").disabled = !mask?.done.length;
  $("redo").disabled = !mask?.undone.length;
  const nothing = !mask?.box();
  for (const id of ["wipe", "again", "eight"]) $(id).disabled = nothing;
  $("save").disabled = !seenWhole();
}

// Whether what is on the easel is what the mask, the seed and the strength say.
const seenWhole = () => Boolean(shown && !stale && !busy && !saving && !desk.easel.mask.open?.box);

// Another picture: no painting of this one stays or is waited for.
export function forget() {
  busy?.abort();
  dismiss();
  shown = null;
}

function order(seed = Number($("seed").value)) {
  const { about, easel, picture } = desk;
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

export function repaint(delay = 60, { another = false } = {}) {
  if (!desk.easel.mask) return;
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
    if (own.signal.aborted) return;
    // What is shown is of an older mask, and this one has no painting.
    unpainted();
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
  desk.easel.painted(null);
  say("");
  buttons();
}

function put(patch, took = "") {
  desk.easel.painted(patch);
  shown = patch.asked;
  buttons();
  say(patch.fault ? `a filter would reject this: ${patch.fault}` : `painted${took} with seed ${patch.seed}`);
  for (const cell of $("strip").children) cell.setAttribute("aria-selected", String(cell.dataset.seed === String(patch.seed)));
}

export function nextSeed() {
  $("seed").value = (Number($("seed").value) + 1) % 4294967296;
  repaint(0, { another: true });
}

function dismiss() {
  seeds?.abort();
  seeds = null;
  $("strip").hidden = true;
  $("strip").replaceChildren();
}

export async function eight() {
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
    const patch = await patchOf(one, own.signal).catch((error) => { if (!own.signal.aborted) throw error; });
    if (own.signal.aborted) return;
    cells[i].firstChild.replaceWith(strip(desk.easel, patch, 24));
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

export async function save() {
  if (!seenWhole()) {
    if (!saving && desk.easel.mask?.box()) notice("Not saved: what is drawn is not painted yet.", true);
    return;
  }
  saving = true;
  buttons();
  try {
    const told = await ask("api/save", shown);
    say(`saved as ${told.id}; ${told.saved} pairs in ${desk.about.save}`);
    notice(`Saved as ${told.id}.`);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    notice(error.message, true);
  } finally {
    saving = false;
    buttons();
  }
}
