// The frame: which pages there are, which one is shown, who gets the keys.
import { $, ask, complain, notice } from "./page.js";
import * as paint from "./paint.js";
import * as review from "./review.js";
import * as see from "./see.js";

const pages = { review, paint, see };
let shown = "";
const opened = new Set();

function show(name) {
  shown = name;
  for (const key of Object.keys(pages)) {
    $(`page-${key}`).hidden = key !== name;
    const link = document.querySelector(`[data-page=${key}]`);
    if (key === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  notice("");
  const first = !opened.has(name);
  opened.add(name);
  Promise.resolve(first ? pages[name].open() : pages[name].again?.()).catch(complain);
}

async function start() {
  const about = await ask("api/about");
  $("folder").textContent = about.name;
  document.title = `${about.name} · flawsmith studio`;
  const there = { review: about.review > 0, paint: about.paint, see: about.see };
  const names = Object.keys(pages).filter((name) => there[name]);
  for (const name of names) document.querySelector(`[data-page=${name}]`).hidden = false;
  const wanted = () => {
    const name = location.hash.slice(1);
    const next = names.includes(name) ? name : names.includes(shown) ? shown : names[0];
    if (next && next !== shown) show(next);
  };
  addEventListener("hashchange", wanted);
  document.addEventListener("keydown", (event) => { if (shown) pages[shown].typed(event); });
  document.addEventListener("keyup", (event) => { if (shown) pages[shown].released?.(event); });
  wanted();
}

start().catch(complain);
