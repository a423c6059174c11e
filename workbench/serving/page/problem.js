// Show what went wrong, with a button to try again if that may help.

import { $, h } from "./elements.js";

export const STOPPED = "The application does not answer; is it still running?";

let tryAgain = null;

// Show a problem; "" removes the previous one.
export function showProblem(text, retry) {
  tryAgain = retry;
  if (($("problem").firstChild?.textContent ?? "") === text) return;
  $("problem").replaceChildren(...(text ? [h("p", {}, text)] : []));
  if (retry) $("problem").append(h("button", { type: "button", onclick: () => tryAgain() }, "Try again"));
}
