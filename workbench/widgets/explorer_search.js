// A search as parallel coordinates, with an axis for each hyper-parameter and a line for each trial; and as a table.

import { h, s } from "../serving/page/elements.js";
import { chartSvg, label, legendSvg, linearScale, responsive, segment } from "./charts.js";
import { button, dropdown, KERNEL, scroller, scrollTable, tableRow } from "./controls.js";
import { isLive, observe, update } from "./frame.js";

const AXIS_WIDTH = 84; // px, at least: a narrower chart scrolls
const TOP = 66;
const BOTTOM = 250;
const CHARACTER = 6.9; // px
const DASHED = { complete: "", pruned: "6 4", failed: "1.5 4" };
const KEY = [
  ["hx-best", "", "best"],
  ["hx-better", "", "better half"],
  ["", "", "other half"],
  ["", DASHED.pruned, "stopped early"],
  ["", DASHED.failed, "failed"],
];

// A trial's line and table row light up together.
const lighting = (number, light) => ({
  "data-number": number,
  onpointerenter: () => light(number),
  onpointerleave: () => light(null),
});

function trialLine(trial, { x, y, last }, { lit, light }) {
  const points = trial.heights.flatMap((height, axis) => (height === null ? [] : [`${x(axis)} ${y(height)}`]));
  if (trial.value === null) points.push(`${x(last)} ${BOTTOM + 12}`);
  const classes = ["hx-trial"];
  if (trial.best) classes.push("hx-best");
  else if (trial.strong) classes.push("hx-better");
  if (trial.number === lit) classes.push("hx-lit");
  return s("path", {
    d: `M${points.join("L")}`,
    fill: "none",
    class: classes.join(" "),
    "stroke-dasharray": DASHED[trial.state],
    ...lighting(trial.number, light),
  });
}

// The labels of the end values lie above and below the axis, the others beside it.
function tickLabel([height, text], axis, { x, y, last }) {
  const look = anchor => ({ class: "wb-axis hx-halo", "text-anchor": anchor });
  if (height === 1) return label(x(axis), TOP - 8, text, look("middle"));
  if (height === 0) return label(x(axis), BOTTOM + 16, text, look("middle"));
  if (axis === last) return label(x(axis) - 5, y(height) + 4, text, look("end"));
  return label(x(axis) + 5, y(height) + 4, text, look("start"));
}

function drawAxis(axis, index, scales) {
  const x = scales.x(index);
  const words = axis.label.split(" ");
  const isBroken = words.length > 1 && scales.gap < 130;
  const lines = isBroken ? [words.slice(0, -1).join(" "), words.at(-1)] : [axis.label];
  const top = 42 - 14 * lines.length;
  return [
    segment(x, TOP, x, BOTTOM, { stroke: "var(--wb-edge)", "stroke-width": 1.5 }),
    lines.map((text, line) => label(x, top + 14 * line, text, { class: "hx-strong", "text-anchor": "middle" })),
    axis.ticks.map(tick => tickLabel(tick, index, scales)),
  ];
}

function bestFlag(best, text, { x, y, last }) {
  const width = CHARACTER * text.length + 12;
  const [right, top] = [x(last) - 8, y(best.heights.at(-1)) + 6];
  return [
    s("rect", { class: "hx-flag", x: right - width, y: top, width, height: 20, rx: 4 }),
    label(right - 6, top + 14, text, { class: "hx-strong hx-named", "text-anchor": "end" }),
  ];
}

function drawTrials(space, { axes, label: text }, trials, highlight) {
  const width = Math.max(space, AXIS_WIDTH * axes.length);
  const margin = Math.min(70, width / (2 * axes.length));
  const last = axes.length - 1;
  const x = linearScale(0, last || 1, margin, width - margin);
  const scales = { x, y: linearScale(0, 1, BOTTOM, TOP), last, gap: (width - 2 * margin) / Math.max(1, last) };
  const best = trials.find(trial => trial.best);
  const inOrder = [...trials].sort((a, b) => a.best - b.best); // the best on top
  const chart = chartSvg(
    width,
    BOTTOM + 24,
    `Parallel coordinates of ${trials.length} trials; the table lists them`,
    inOrder.map(trial => trialLine(trial, scales, highlight)),
    axes.map((axis, index) => drawAxis(axis, index, scales)),
    best && bestFlag(best, text, scales),
  );
  chart.style.width = `${width}px`;
  return chart;
}

const legend = () =>
  h(
    "ul",
    { class: "hx-key" },
    KEY.map(([name, dashed, words]) => {
      const line = s("path", { d: "M1 6H29", class: `hx-trial ${name}`, "stroke-dasharray": dashed });
      return h("li", {}, legendSvg(30, 12, "hx-sample", line), words);
    }),
  );

function trialTable(model, { head: [first, ...others] }, trials, light) {
  const head = [first, "the controls", ...others];
  const numeric = [...head.keys()].slice(2, -1);
  const rows = trials.map(({ number, best, values, cells: [name, ...cells] }) => {
    const take = button("take these values", () => update(model, { values }), {
      ...KERNEL,
      "aria-label": `Take the values of trial ${number}`,
    });
    take.disabled = !isLive(model);
    return tableRow([best ? `${name} (best)` : name, take, ...cells], numeric, {
      ...lighting(number, light),
      onfocusin: () => light(number),
      onfocusout: () => light(null),
    });
  });
  const caption = "Trials of the search (accuracies measured in it)";
  return scrollTable({ label: caption, head, rows, numeric, className: "wb-scroll hx-table" });
}

export function createSearch(model) {
  let least = 0;
  let lit = null;
  const found = () => model.get("search");
  const trials = () => found().lines.filter(({ value }) => least === 0 || (value !== null && value >= least));
  const light = number => {
    lit = number;
    for (const one of element.querySelectorAll("[data-number]"))
      one.classList.toggle("hx-lit", one.dataset.number === String(number));
  };
  const summary = h("p");
  const filter = dropdown({
    label: "show trials with a validation accuracy of at least",
    options: [],
    value: "0",
    onChange: value => {
      least = Number(value);
      draw();
    },
  });
  const chart = responsive(width => found().lines && drawTrials(width, found(), trials(), { lit, light }), "hx-chart");
  const table = h("div");
  const element = h(
    "div",
    { class: "hx-part" },
    h("h3", {}, "What a search found"),
    summary,
    h("div", { class: "wb-controls" }, filter.element),
    scroller("Chart of the trials", chart.element),
    legend(),
    table,
  );
  const draw = () => {
    const search = found();
    element.hidden = !search.lines;
    if (!search.lines) return;
    summary.textContent = search.summary;
    if (!search.cuts.some(([value]) => value === least)) least = 0;
    filter.offer(
      search.cuts.map(([value, text]) => [String(value), text]),
      String(least),
    );
    table.replaceChildren(trialTable(model, search, trials(), light));
    chart.redraw();
  };
  observe(model, ["search"], draw);
  draw();
  return element;
}
