// Masks of the real defects, to be laid on the picture, turned and scaled.
import { $, ask, made } from "./page.js";
import { chosenClass, desk, penPoint } from "./desk.js";
import { unpacked } from "./mask.js";
import { repaint } from "./painting.js";

let bank;
let stamp = null; // the chosen mask
let centre = null; // where it would lie

const turn = () => (Number($("turn").value) * Math.PI) / 180;
const scale = () => Number($("scale").value) / 100;

export function aim(point) {
  centre = point;
  if (desk.tool === "stamp") show();
  desk.easel.draw();
}

// Show where the mask would lie, for as long as the tool is the stamp.
export function show() {
  desk.easel.ghost = ghost;
}

function ghost(context) {
  if (desk.tool !== "stamp" || !stamp || !centre) return;
  context.save();
  context.translate(...centre);
  context.rotate(turn());
  context.scale(scale(), scale());
  context.globalAlpha = 0.65;
  context.drawImage(stamp.image, -stamp.size[0] / 2, -stamp.size[1] / 2);
  context.restore();
}

export function place() {
  if (!stamp || !centre) return;
  const { easel } = desk;
  easel.mask.begin();
  easel.changed(easel.mask.stamp(stamp, centre, turn(), scale(), chosenClass()));
  if (easel.mask.end()) repaint(0);
}

// Show the masks of the chosen class.
export async function offer() {
  bank ??= await ask("api/paint/bank");
  const own = bank.filter((one) => one.class === chosenClass());
  $("bank").replaceChildren(...own.map((one, i) => {
    one.bits ??= unpacked(one.runs, one.size[0] * one.size[1]);
    one.image ??= bitmap(one);
    const cell = made("canvas", { role: "option", tabindex: "0", "aria-label": `Mask ${i + 1} of ${own.length}, of ${one.id}, ${one.size.join(" by ")} pixels` });
    Object.assign(cell, { width: one.size[0], height: one.size[1] });
    cell.getContext("2d").drawImage(one.image, 0, 0);
    const pick = () => {
      for (const other of $("bank").children) other.setAttribute("aria-selected", String(other === cell));
      stamp = one;
      aim(centre ?? penPoint());
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
  const colour = desk.about.colours[one.class - 1];
  one.bits.forEach((bit, i) => { if (bit) data.data.set([...colour, 255], 4 * i); });
  context.putImageData(data, 0, 0);
  return canvas;
}
