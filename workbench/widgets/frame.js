// The frame of every widget: its root element, and its traits in the kernel.

import { h } from "../serving/page/elements.js";
import { keepKeys } from "./keyboard.js";

// Create the widget's root element. It reports when the kernel is gone, and keeps its key strokes from the notebook.
export function createRoot(model, el, name) {
  const gone = h("p", { class: "wb-gone", role: "alert", hidden: true });
  const root = h("section", { class: "wb", "aria-label": name }, gone);
  keepKeys(root);
  model.on("comm_live_update", () => {
    gone.hidden = false;
    gone.textContent = "The kernel behind this widget is gone. What it shows stays; run its cell again to go on.";
    root.classList.add("wb-dead");
    for (const control of root.querySelectorAll("[data-kernel]")) control.disabled = true;
  });
  el.replaceChildren(root);
  return root;
}

// Whether there is a kernel: not on a page that to_html() wrote.
export const isLive = model => model.get("live") !== false;

// Set traits, and send them to the kernel.
export function update(model, traits) {
  for (const [name, value] of Object.entries(traits)) model.set(name, value);
  model.save_changes();
}

// Call `listener` after a change of any of these traits.
export const observe = (model, names, listener) => model.on(names.map(name => `change:${name}`).join(" "), listener);

// Limit `draw` to one call per frame.
export function everyFrame(draw) {
  let isWaiting = false;
  return () => {
    if (isWaiting) return;
    isWaiting = true;
    requestAnimationFrame(() => {
      isWaiting = false;
      draw();
    });
  };
}

// Set text only if it differs, or a live region would be read out again.
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Replace the {names} in a template.
export const fill = (template, facts) => template.replace(/\{(\w+)\}/g, (_, name) => facts[name]);
