// Controls, texts and tables. All controls are native elements with a visible label.

import { h, uid } from "../serving/page/elements.js";
import { setText } from "./frame.js";

export const KERNEL = { "data-kernel": true }; // disabled as soon as the kernel is gone

// text: formats a value, also for screen readers.
export function slider({ label, min, max, step = 1, value, text, onInput, kernel }) {
  const id = uid("slider");
  const output = h("output", { for: id, class: "wb-value" });
  const control = h("input", { type: "range", id, min, max, step, "data-kernel": kernel });
  const describe = () => {
    output.textContent = text(Number(control.value));
    control.setAttribute("aria-valuetext", output.textContent);
  };
  const set = to => {
    control.value = to;
    describe();
  };
  control.addEventListener("input", () => {
    describe();
    onInput(Number(control.value));
  });
  set(value);
  return { element: h("div", { class: "wb-field" }, h("label", { for: id }, label), control, output), control, set };
}

// options: values, or pairs of a value and its name; `offer` replaces them.
export function dropdown({ label, options, value, onChange, kernel }) {
  const id = uid("choice");
  const control = h("select", { id, "data-kernel": kernel, onchange: () => onChange(control.value) });
  const offer = (all, chosen) => {
    const pairs = all.map(option => (Array.isArray(option) ? option : [option, option]));
    control.replaceChildren(...pairs.map(([key, name]) => h("option", { value: key, selected: key === chosen }, name)));
    control.value = chosen;
  };
  offer(options, value);
  return { element: h("div", { class: "wb-field" }, h("label", { for: id }, label), control), control, offer };
}

export const button = (name, onclick, attributes) =>
  h("button", { type: "button", class: "wb-button", onclick, ...attributes }, name);

export const note = (text, attributes) => h("p", { class: "wb-note", ...attributes }, text);

// A live region: screen readers read out what is written to it.
export const statusLine = (className = "wb-status") =>
  h("p", { class: className, role: "status", "aria-live": "polite" });

// Progress as a share in [0, 1] and in words; null hides it.
export function progressBar(label) {
  const bar = h("progress", { max: 1, value: 0, "aria-label": label });
  const text = h("span", { class: "wb-value" });
  const element = h("div", { class: "wb-progress", hidden: true }, bar, text);
  const set = (share, words = "") => {
    element.hidden = share === null;
    if (share !== null) bar.value = share;
    text.textContent = words;
  };
  return { element, set };
}

// Figures as rows of three texts: a name, a value, and a remark.
export function figureList() {
  const element = h("dl", { class: "wb-figures" });
  const add = () =>
    element.appendChild(h("div", {}, h("dt"), h("dd", { class: "wb-figure" }), h("dd", { class: "wb-note" })));
  const set = rows => {
    while (element.children.length > rows.length) element.lastChild.remove();
    for (const [index, texts] of rows.entries()) {
      const parts = (element.children[index] ?? add()).children;
      for (const [part, text] of texts.entries()) setText(parts[part], text);
    }
  };
  return { element, set };
}

// In tables, `numeric` lists the columns that are aligned to the right.
const alignment = (numeric, column) => numeric.includes(column) && "wb-n";

export const tableHead = (names, numeric = []) =>
  h(
    "thead",
    {},
    h(
      "tr",
      {},
      names.map((name, column) => h("th", { scope: "col", class: alignment(numeric, column) }, name)),
    ),
  );

// The first cell is the row's header.
export function tableRow([header, ...cells], numeric = [], attributes = {}) {
  const rest = cells.map((cell, index) => h("td", { class: alignment(numeric, index + 1) }, cell));
  return h("tr", attributes, h("th", { scope: "row", class: alignment(numeric, 0) }, header), rest);
}

// A region that scrolls on its own, by keyboard too.
export const scroller = (label, content, className = "wb-scroll") =>
  h("div", { class: className, tabindex: 0, role: "region", "aria-label": label }, content);

// rows: elements of tableRow.
export const scrollTable = ({ label, caption = label, head, rows, numeric, className }) =>
  scroller(
    label,
    h("table", {}, caption && h("caption", {}, caption), tableHead(head, numeric), h("tbody", {}, rows)),
    className,
  );

export const details = (summary, content, attributes) => h("details", attributes, h("summary", {}, summary), content);
