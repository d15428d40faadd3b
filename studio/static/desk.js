// What all parts of the paint page work on, and read from its fields.
import { $ } from "./page.js";

export const desk = {
  about: null, // what the server says of the run: classes, colours, where pairs are saved
  easel: null,
  picture: "", // id of the clean picture
  tool: "brush",
};

export const chosenClass = () => Number($("class").value);

export const say = (text) => { $("paint-state").textContent = text; };

// Middle of the pixel that the keyboard's pen is on; none without a picture.
export const penPoint = () => desk.easel.pen?.map((n) => n + 0.5);

// Show the picture as it was before it was painted on.
export function showBefore(on) {
  const { easel } = desk;
  if (!easel?.picture || easel.before === on) return;
  easel.before = on;
  $("before").setAttribute("aria-pressed", String(on));
  easel.draw();
}
