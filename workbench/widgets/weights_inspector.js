// The content of a weights file: its tensors, the chosen one at three precisions, and the files as bars.

import { h, s, uid } from "../serving/page/elements.js";
import { commas, formatBytes } from "../serving/page/numbers.js";
import { axisText, chartSvg, evenTicks, hue, legendSvg, linearScale, responsive, segment, yAxis } from "./charts.js";
import { details, note, scrollTable, statusLine, tableHead, tableRow } from "./controls.js";
import { createRoot, observe, update } from "./frame.js";

const PARTS = ["weights", "text", "optimizer state", "records and random state", "rest"];
const DASHED = ["", "", "3 2.5"]; // of the precisions
const short = value => String(Number(value.toPrecision(3)));

// Allow line breaks in a long name after each dot or underscore.
const breakable = name => name.split(/(?<=[._])/).map(part => [part, h("wbr")]);

function tensorRow(tensor, { shape, share }, { group, largest, onChoose }) {
  const choose = () => onChoose(tensor.name);
  const radio = h("input", { type: "radio", name: group, value: tensor.name, onchange: choose });
  const bar = h("span", { class: "wb-share", "aria-hidden": "true" });
  bar.style.width = `${Math.max(2, (100 * tensor.share) / largest)}%`;
  const onclick = () => {
    radio.checked = true;
    choose();
  };
  const row = h(
    "tr",
    { onclick },
    h("th", { scope: "row" }, h("label", { class: "wb-named" }, radio, h("span", {}, breakable(tensor.name)))),
    h("td", { class: "wb-shape" }, shape),
    h("td", { class: "wb-n" }, formatBytes(tensor.bytes)),
    h("td", { class: "wb-n" }, share, h("span", { class: "wb-share-line" }, bar)),
  );
  return { row, radio };
}

// Scroll a row into view, below the table's head, without scrolling the page.
function reveal(row, table, box) {
  const above = row.offsetTop - table.tHead.offsetHeight;
  const below = row.offsetTop + row.offsetHeight - box.clientHeight;
  if (above < box.scrollTop) box.scrollTop = above;
  else if (below > box.scrollTop) box.scrollTop = below;
}

// A list of native radio buttons, so that arrow keys move through it.
function tensorList(model, onChoose) {
  const [tensors, shown] = [model.get("tensors"), model.get("details")];
  const heading = uid("tensors");
  const list = { group: uid("tensor"), largest: Math.max(...tensors.map(tensor => tensor.share), 1e-9), onChoose };
  const rows = new Map(tensors.map((tensor, index) => [tensor.name, tensorRow(tensor, shown[index], list)]));
  const table = h(
    "table",
    { "aria-labelledby": heading },
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        h("th", { scope: "col" }, "name"),
        h("th", { scope: "col", class: "wb-shape" }, "shape"),
        h("th", { scope: "col", class: "wb-n" }, "bytes"),
        h("th", { scope: "col", class: "wb-n" }, "share"),
      ),
    ),
    h(
      "tbody",
      {},
      [...rows.values()].map(({ row }) => row),
    ),
  );
  const box = h("div", { class: "wb-tensors" }, table);
  const explanation = `Choose one; the arrow keys move on. Bytes as stored in ${model.get("name")} (measured).`;
  const element = h(
    "div",
    {},
    h("h3", { id: heading }, "Tensors"),
    note(explanation, { class: "wb-note wb-path" }),
    box,
  );
  const set = name => {
    for (const [other, { row, radio }] of rows) {
      radio.checked = other === name;
      row.classList.toggle("wb-on", other === name);
    }
    reveal(rows.get(name).row, table, box);
  };
  return { element, set };
}

// Return the upper outline of the bars.
const outline = (counts, x, y) =>
  counts.map((count, bin) => `${bin ? "L" : "M"}${x(bin)} ${y(count)}H${x(bin + 1)}`).join("");

// fp32 is filled; the rounded precisions are lines over it.
function outlines(precisions, x, y) {
  return Object.entries(precisions).map(([name, { counts }], index) => {
    const top = outline(counts, x, y);
    if (name !== "fp32")
      return s("path", {
        d: top,
        fill: "none",
        stroke: hue(index - 1),
        "stroke-width": 1.8,
        "stroke-dasharray": DASHED[index],
      });
    const d = `M${x(0)} ${y(0)}${top.replace("M", "L")}V${y(0)}z`;
    return s("path", { d, fill: "var(--wb-line)", stroke: "var(--wb-edge)", "stroke-width": 1 });
  });
}

function histogram(width, tensor, precisions) {
  const [height, left, right, top] = [230, 58, width - 8, 26];
  const bottom = height - 36;
  const bins = precisions.fp32.counts.length;
  const most = Math.max(1, ...Object.values(precisions).flatMap(({ counts }) => counts));
  const x = linearScale(0, bins, left, right);
  const y = linearScale(0, most, bottom, top);
  const value = linearScale(tensor.min, tensor.max, left, right);
  const ticks = tensor.max > tensor.min ? evenTicks(tensor.min, tensor.max, width < 400 ? 3 : 5) : [];
  const range = `from ${short(tensor.min)} to ${short(tensor.max)}`;
  return chartSvg(
    width,
    height,
    `Histogram of ${tensor.name}: ${range}, ${Object.keys(precisions).join(", ")}`,
    yAxis(evenTicks(0, most, 4).filter(Number.isInteger), y, [left, right], commas),
    outlines(precisions, x, y),
    segment(left, y(0), right, y(0), { stroke: "var(--wb-edge)" }),
    ticks.map(tick => axisText(value(tick), bottom + 15, short(tick), "middle")),
    axisText(right, height - 4, "value of the number →", "end"),
    axisText(0, 12, "how many numbers ↑"),
  );
}

const swatch = (name, index) =>
  legendSvg(
    24,
    12,
    "wb-swatch",
    name === "fp32"
      ? s("rect", { x: 1, y: 1, width: 22, height: 10, fill: "var(--wb-line)", stroke: "var(--wb-edge)" })
      : segment(0, 6, 24, 6, { stroke: hue(index - 1), "stroke-width": 2.5, "stroke-dasharray": DASHED[index] }),
  );

function precisionTable(precisions, totals) {
  const rows = Object.entries(totals).map(([name, total], index) => {
    const own = precisions[name];
    const figures = own ? [formatBytes(own.bytes), own.largest, own.mean] : ["as it is", "–", "–"];
    return tableRow([[own && swatch(name, index), name], ...figures, formatBytes(total)], [1, 2, 3, 4]);
  });
  const head = ["precision", "this tensor", "largest error", "mean error", "all tensors"];
  return scrollTable({ label: "Precisions", caption: "", head, rows, numeric: [1, 2, 3, 4] });
}

// The files as bars on one scale; each part has a colour, a pattern and a row in the table.
function fileBars(files) {
  const sum = parts => Object.values(parts).reduce((total, bytes) => total + bytes, 0);
  const most = Math.max(1, ...files.map(([, parts]) => sum(parts)));
  const partClass = name => `wb-part wb-part-${PARTS.indexOf(name)}`;
  const bars = files.map(([name, parts]) =>
    h(
      "div",
      { class: "wb-file" },
      h("span", { class: "wb-label" }, `${name}: ${formatBytes(sum(parts))}`),
      h(
        "div",
        { class: "wb-bar", "aria-hidden": "true" },
        Object.entries(parts).map(([part, bytes]) => {
          const element = h("span", { class: partClass(part) });
          element.style.width = `${(100 * bytes) / most}%`;
          return element;
        }),
      ),
    ),
  );
  const numeric = files.map((_, index) => index + 1);
  const rows = PARTS.filter(part => files.some(([, parts]) => part in parts)).map(part => {
    const key = h("span", { class: `${partClass(part)} wb-key`, "aria-hidden": "true" });
    const sizes = files.map(([, parts]) => (part in parts ? formatBytes(parts[part]) : "–"));
    return tableRow([h("span", { class: "wb-named" }, key, part), ...sizes], numeric);
  });
  const table = h(
    "table",
    {},
    h("caption", {}, "Bytes of each part (measured)"),
    tableHead(["part", ...files.map(([name]) => name)], numeric),
    h("tbody", {}, rows),
  );
  return h(
    "div",
    { class: "wb-files" },
    h("h3", {}, files.length > 1 ? "The weights file and the resume point" : "The file"),
    h("div", { class: "wb-columns" }, h("div", {}, bars), table),
  );
}

// The chosen tensor.
function tensorView(model) {
  const [name, text, precisions, about] = [h("h3", {}), statusLine(), h("div", {}), note("")];
  const chosen = () => {
    const index = model.get("tensors").findIndex(tensor => tensor.name === model.get("chosen"));
    return { tensor: model.get("tensors")[index], detail: model.get("details")[index] };
  };
  const chart = responsive(width => {
    const { tensor, detail } = chosen();
    return tensor && histogram(width, tensor, detail.precisions);
  });
  const draw = () => {
    const { tensor, detail } = chosen();
    name.textContent = `${tensor.name}, ${detail.shape}, ${tensor.dtype}`;
    text.textContent = detail.text;
    precisions.replaceChildren(precisionTable(detail.precisions, model.get("precisions")));
    about.textContent = detail.about;
    chart.redraw();
  };
  const parts = [name, text, chart.element, precisions, about, note(model.get("rounding"))];
  return { element: h("div", { class: "wb-tensor" }, parts), draw };
}

function render({ model, el }) {
  const root = createRoot(model, el, "What the weights file holds");
  const list = tensorList(model, name => update(model, { chosen: name }));
  const view = tensorView(model);
  const facts = h(
    "tbody",
    {},
    model.get("facts").map(fact => tableRow(fact)),
  );
  root.append(
    h("p", {}, model.get("sentence")),
    h("div", { class: "wb-columns wb-inspector" }, list.element, view.element),
    fileBars(model.get("files")),
    details("What its text says", h("table", { class: "wb-facts" }, facts)),
  );
  const draw = () => {
    if (!model.get("chosen")) return;
    list.set(model.get("chosen"));
    view.draw();
  };
  observe(model, ["chosen"], draw);
  draw();
}

export default { render };
