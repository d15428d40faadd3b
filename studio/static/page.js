// What all pages share: calls to the server, notices, small helpers.

export const $ = (id) => document.getElementById(id);

export class Refused extends Error {
  constructor(status, told) {
    super(told.error || `the server answered ${status}`);
    this.status = status;
    this.told = told;
  }
}

// Calls are relative: the page's own address holds the token.
export async function call(path, sent, signal, keepalive = false) {
  const raw = sent instanceof Blob;
  const options = sent === undefined ? { signal } : {
    method: "POST",
    body: raw ? sent : JSON.stringify(sent),
    headers: { "content-type": raw ? "application/octet-stream" : "application/json" },
    signal,
    keepalive,
  };
  let answer;
  try {
    answer = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, { error: "flawsmith studio does not answer; is it still running?" });
  }
  if (answer.ok) return answer;
  throw new Refused(answer.status, await answer.json().catch(() => ({})));
}

// keepalive: it is sent even if the page is left meanwhile.
export const ask = async (path, sent, { keepalive } = {}) => (await call(path, sent, undefined, keepalive)).json();

let fading = 0;
export function notice(text, bad = false) {
  const box = $("notice");
  box.textContent = text;
  box.classList.toggle("bad", bad);
  clearTimeout(fading);
  if (text && !bad) fading = setTimeout(() => { box.textContent = ""; }, 5000);
}

export const complain = (error) => {
  if (error.name !== "AbortError") notice(error.message, true);
};

export function made(kind, { classes, text, ...rest } = {}, ...inner) {
  const element = document.createElement(kind);
  if (classes) element.className = classes;
  if (text !== undefined) element.textContent = text;
  for (const [name, value] of Object.entries(rest)) element.setAttribute(name, value);
  element.append(...inner);
  return element;
}

export function drawn(kind, attributes = {}, ...inner) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", kind);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...inner);
  return element;
}

export const rgb = (colour) => `rgb(${colour.join(" ")})`;

export function fill(select, pairs) {
  select.replaceChildren(...pairs.map(([value, text]) => made("option", { value, text })));
}

// Arrow keys lead from one part of a group to the next, and choose it.
export function arrows(box) {
  box.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const parts = [...box.children].filter((part) => !part.disabled);
    if (!step || !parts.length) return;
    event.preventDefault();
    const at = parts.indexOf(document.activeElement);
    const next = parts[at < 0 ? 0 : (at + step + parts.length) % parts.length];
    next.focus();
    next.click();
  });
}

// A key with a letter or sign of its own; typing in a field is no command.
export function keyOf(event) {
  const typing = event.target.closest("select, input:not([type=range]):not([type=file])");
  if (typing || event.altKey || event.metaKey) return "";
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  return (event.ctrlKey ? "Ctrl+" : "") + (event.shiftKey && event.key.length > 1 || event.ctrlKey && event.shiftKey ? "Shift+" : "") + key;
}
