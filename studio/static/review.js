// Review: one candidate large, its nearest real crop beside it, decisions by keys.
import { $, ask, complain, drawn, fill, keyOf, made, notice, rgb } from "./page.js";
import { TileList } from "./list.js";

let table, list;
let shown = []; // numbers of the candidates that fit the filters, in order
let place = -1;
let wanted = 0; // the newest candidate asked for: answers to older calls are passed over
const known = new Map(); // number -> what the server told of it
const waiting = new Map(); // number -> decisions on their way, in turn: shown, and not settled
const worded = (number) => (WORDS[table.choice[number]] || "undecided") + (waiting.has(number) ? ", not written yet" : "");
const WORDS = { accepted: "accepted by you", rejected: "rejected by you" };

export async function open() {
  table = await ask("api/candidates");
  // On a narrow screen the candidate matters more.
  $("choosing").open = !matchMedia("(max-width: 60rem)").matches;
  filters();
  list = new TileList($("list"), $("rows"), {
    width: 112, ratio: 0.75, address: (number) => `c/${number}/tile.jpg`, show: tile, picked: go,
  });
  for (const button of document.querySelectorAll("#page-review .keys button"))
    button.addEventListener("click", () => act(button.dataset.key));
  $("filters").addEventListener("input", () => apply());
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  apply(firstOpen());
  setInterval(() => { if (!document.hidden) learn().catch(() => {}); }, 4000);
  addEventListener("focus", () => again());
  addEventListener("beforeunload", (event) => { if (waiting.size) event.preventDefault(); });
}

export const again = () => learn().catch(complain);

const firstOpen = () => Math.max(0, table.choice.findIndex((choice) => !choice));

function filters() {
  fill($("by-class"), [["", "any"], ...table.classes.map((name, i) => [i, name]), ["none", "not told"]]);
  fill($("by-method"), [["", "any"], ...table.methods.map((name, i) => [i, name || "not told"])]);
  const names = [...new Set(table.scores.flatMap((one) => Object.keys(one)))].sort();
  fill($("by-score"), [["", "none"], ...names.map((name) => [name, name])]);
  fill($("by-order"), [["", "as made"], ...names.flatMap((name) => [
    [`+${name}`, `${name}, low first`], [`-${name}`, `${name}, high first`]])]);
}

function fits(number) {
  const [own, method, choice, score] = ["class", "method", "choice", "score"].map((n) => $(`by-${n}`).value);
  const of = table.of[number];
  if (own === "none" ? of.length : own && !of.includes(Number(own))) return false;
  if (method && table.method[number] !== Number(method)) return false;
  if (choice === "open" && table.choice[number]) return false;
  if ((choice === "accepted" || choice === "rejected") && table.choice[number] !== choice) return false;
  if (choice.startsWith("f-") && table.verdict[number] !== choice.slice(2)) return false;
  if (!score) return true;
  const value = table.scores[number][score];
  const [low, high] = ["low", "high"].map((n) => $(`score-${n}`).valueAsNumber);
  return value !== undefined && !(value < low) && !(value > high);
}

function apply(number = shown[place]) {
  const scored = $("by-score").value !== "";
  $("score-low").disabled = $("score-high").disabled = !scored;
  shown = table.id.map((_, i) => i).filter(fits);
  const order = $("by-order").value;
  if (order) {
    const worth = (i) => table.scores[i][order.slice(1)] ?? Infinity;
    const sign = order[0] === "-" ? -1 : 1;
    const far = (i) => (worth(i) === Infinity ? Infinity : sign * worth(i));
    shown.sort((a, b) => (far(a) < far(b) ? -1 : far(a) > far(b) ? 1 : a - b));
  }
  place = shown.length ? Math.max(0, shown.indexOf(number)) : -1;
  list.set(shown, place);
  count();
  present();
}

function count() {
  const decided = table.choice.filter(Boolean).length;
  const accepted = table.choice.filter((choice) => choice === "accepted").length;
  $("done").max = table.id.length;
  $("done").value = decided;
  $("counts").textContent = `${decided} of ${table.id.length} decided: ${accepted} accepted, `
    + `${decided - accepted} rejected${waiting.size ? `, ${waiting.size} not written yet` : ""} · ${shown.length} shown`;
}

function tile(element, number) {
  const choice = table.choice[number] || "";
  element.classList.toggle("accepted", choice === "accepted");
  element.classList.toggle("rejected", choice === "rejected");
  element.classList.toggle("pending", waiting.has(number));
  element.lastChild.textContent = waiting.has(number) ? "…" : { accepted: "✓", rejected: "✗" }[choice] || "";
  element.setAttribute("aria-label", `${table.id[number]}, ${worded(number)}`);
}

function go(next) {
  if (next < 0 || next >= shown.length) {
    notice(next < 0 ? "This is the first one." : "This is the last one.");
    return;
  }
  place = next;
  list.select(place);
  present();
}

async function look(number) {
  if (!known.has(number)) {
    known.set(number, ask(`c/${number}/look`).catch((error) => { known.delete(number); throw error; }));
    if (known.size > 300) known.delete(known.keys().next().value);
  }
  return known.get(number);
}

function present() {
  const number = shown[place];
  $("candidate").hidden = number === undefined;
  $("none").hidden = number !== undefined;
  if (number === undefined) return;
  wanted = number;
  state(number);
  look(number).then((told) => { if (wanted === number) picture(number, told); }).catch(complain);
  for (const next of [shown[place + 1], shown[place + 2]].filter((n) => n !== undefined))
    look(next).then(() => { if (wanted === number) new Image().src = `c/${next}/crop.jpg`; }).catch(() => {});
  $("near").hidden = !table.near;
  if (table.near) nearest(number);
}

function state(number) {
  const choice = table.choice[number];
  $("state").className = `state ${waiting.has(number) ? "" : choice || ""}`;
  $("state").textContent = worded(number);
  const verdict = table.verdict[number];
  const reason = table.reasons[table.reason[number]];
  $("reason").textContent = verdict ? `Filter: ${verdict}${reason ? `: ${reason}` : ""}` : "No filter has judged it";
  const scores = Object.entries(table.scores[number]);
  $("scores").replaceChildren(...scores.map(([name, value]) =>
    made("div", {}, made("dt", { text: name }), made("dd", { text: String(value) }))));
  $("clear").disabled = !choice;
}

function paths(told) {
  const shapes = told.outlines.map((one) => {
    const colour = rgb(table.colours[table.classes.indexOf(one.class)] || [213, 94, 0]);
    return [drawn("path", { d: one.path, class: "shape rim" }), drawn("path", { d: one.path, class: "shape", stroke: colour })];
  });
  return shapes.flat();
}

function picture(number, told) {
  const [x, y, width, height] = told.box;
  const crop = drawn("image", { href: `c/${number}/crop.jpg`, x, y, width, height, preserveAspectRatio: "none" });
  $("crop").setAttribute("viewBox", told.box.join(" "));
  $("crop").replaceChildren(crop, ...paths(told));
  const names = told.outlines.length ? `class ${told.outlines.map((one) => one.class).join(", ")}` : "no defect";
  const method = table.methods[table.method[number]];
  const on = told.background ? ` on ${told.background}` : "";
  $("crop-name").textContent = `${told.id} · ${names} · ${method || "unknown method"}${on} · ${width} × ${height} of ${told.size.join(" × ")} px`;
  const all = width === told.size[0] && height === told.size[1];
  $("whole").parentElement.hidden = all;
  if (all) return;
  $("whole").setAttribute("viewBox", `0 0 ${told.size.join(" ")}`);
  $("whole").replaceChildren(
    drawn("image", { href: `c/${number}/whole.jpg`, x: 0, y: 0, width: told.size[0], height: told.size[1], preserveAspectRatio: "none" }),
    drawn("rect", { x, y, width, height, class: "frame" }));
}

let asking = 0;
function nearest(number) {
  clearTimeout(asking);
  $("near-picture").removeAttribute("src");
  $("near-picture").alt = "";
  $("near-name").textContent = "looking for the nearest real defect…";
  // Who leafs through quickly does not want every answer.
  asking = setTimeout(async () => {
    try {
      const told = await ask(`c/${number}/near`);
      if (wanted !== number) return;
      if (told) {
        $("near-picture").src = `c/${number}/near.jpg`;
        $("near-picture").alt = `Real defect of class ${told.class}, of ${told.id}`;
      }
      $("near-name").textContent = told ? `nearest real defect of class ${told.class}: ${told.id}, distance ${told.distance}` : "no real defect of its class";
    } catch (error) {
      if (wanted === number) $("near-name").textContent = error.message;
    }
  }, 120);
}

function act(key) {
  const number = shown[place];
  if (number === undefined) return;
  if (key === "a" || key === "r") {
    decide(number, key === "a" ? "accepted" : "rejected");
    if (place + 1 < shown.length) go(place + 1);
  } else if (key === "c") decide(number, null);
  else if (key === "s") go(place + 1);
  else if (key === "b") go(place - 1);
  else if (key === "o") {
    const plain = $("candidate").classList.toggle("plain");
    $("outline").setAttribute("aria-pressed", String(!plain));
  }
}

// Shown at once; decisions on one candidate are sent one after the other.
function decide(number, choice) {
  const was = table.choice[number];
  if (was === choice) return;
  const before = waiting.get(number) || Promise.resolve();
  const sent = before.then(() => ask("api/decide", { number, choice, was }, { keepalive: true })).catch((error) => {
    settle(number, error.status === 409 ? error.told.choice : was);
    const told = error.status === 409 ? `${table.id[number]}: ${error.message}; it is ${WORDS[error.told.choice] || "undecided"}` : `${table.id[number]} is not decided: ${error.message}`;
    notice(told, true);
  }).finally(() => {
    if (waiting.get(number) !== sent) return;
    waiting.delete(number);
    settle(number, table.choice[number]);
  });
  waiting.set(number, sent);
  settle(number, choice);
}

function settle(number, choice) {
  table.choice[number] = choice;
  list.refresh();
  count();
  if (number === shown[place]) state(number);
}

// What other tabs decided meanwhile.
async function learn() {
  const told = await ask(`api/changes/${table.change}`);
  table.change = told.change;
  for (const [number, choice] of Object.entries(told.choices))
    if (!waiting.has(Number(number)) && table.choice[number] !== choice) settle(Number(number), choice);
}

const KEYS = { a: "a", r: "r", s: "s", " ": "s", b: "b", c: "c", o: "o" };
const MOVES = { ArrowRight: "s", ArrowLeft: "b" };

export function typed(event) {
  const key = keyOf(event);
  const moving = !event.target.closest("#list") && MOVES[key];
  const pressing = key === " " && event.target.closest("button, summary");
  const wanted = pressing ? "" : KEYS[key] || moving;
  if (!wanted || !table) return;
  event.preventDefault();
  // A key that is held leafs, and decides once.
  if (!event.repeat || wanted === "s" || wanted === "b") act(wanted);
}
