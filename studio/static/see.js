// See: the report as it lies in the folder, the training's curves, its previews.
import { $, ask, made } from "./page.js";

let about = {};
const views = ["report", "curves", "previews"];

export async function open() {
  about = await ask("api/see");
  const there = { report: about.report, curves: about.curves, previews: about.previews.some((one) => one.steps.length) };
  for (const name of views) {
    $(`see-${name}`).disabled = !there[name];
    $(`see-${name}`).addEventListener("click", () => show(name));
  }
  show(views.find((name) => there[name]));
}

function show(name) {
  for (const one of views) $(`see-${one}`).setAttribute("aria-pressed", String(one === name));
  $("frame").hidden = name === "previews";
  $("gallery").hidden = name !== "previews";
  if (name === "previews") gallery();
  else if (name) {
    $("frame").title = name === "report" ? "Report" : "Training curves";
    if ($("frame").getAttribute("src") !== `see/${name}`) $("frame").src = `see/${name}`;
  }
}

function gallery() {
  const told = (one, step) => `${one.name}, after step ${step}`;
  $("gallery").replaceChildren(...about.previews.flatMap((one) => one.steps.toReversed().map((step) => made("figure", {},
    made("img", { src: `see/previews/${one.run}/${step}.jpg`, alt: `Preview: ${told(one, step)}`, loading: "lazy" }),
    made("figcaption", { text: told(one, step) })))));
}

export function typed() {}
