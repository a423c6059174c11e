// Short runs: a button to start one, the curves of the latest runs, and a table of all.

import { h, uid } from "../serving/page/elements.js";
import { formatShare } from "../serving/page/numbers.js";
import {
  axisText,
  chartSvg,
  cutText,
  dashes,
  evenTicks,
  hue,
  label,
  legendSvg,
  linearScale,
  mark,
  polyline,
  responsive,
  segment,
  yAxis,
} from "./charts.js";
import { button, dropdown, KERNEL, note, progressBar, scrollTable, statusLine, tableRow } from "./controls.js";
import { everyFrame, isLive, observe, setText, update } from "./frame.js";

const MOST_CURVES = 12;
const HEIGHT = 250;
const TOP = 26;
const LEFT = 56;
const CHARACTER = 6.6; // px
const LABEL_GAP = 14; // px from one label to the next
const HEAD = ["what differs from the recommended", "epochs", "validation accuracy", "time", "how it ended"];
const NUMERIC = [1, 2, 3];
// Columns of a curve's points: epoch, accuracy, loss.
const METRICS = {
  1: { name: "validation accuracy", format: value => formatShare(value, 0) },
  2: { name: "validation loss (nats)", format: value => value.toPrecision(2) },
};

const series = index => ({ stroke: hue(index), "stroke-width": 2.5, "stroke-dasharray": dashes(index) });
const title = ({ index, run }) => `${index + 1}: ${run.name}`;

// Add the heights of the labels beside the curves' ends: in the same order, without overlap.
function spreadLabels(ends) {
  let floor = TOP - 10;
  return ends
    .sort((a, b) => a.height - b.height)
    .map(end => {
      floor = Math.max(end.height, floor + LABEL_GAP);
      return { ...end, labelHeight: floor };
    });
}

function curve({ index, run, height, labelHeight }, column, { x, y, right, most }) {
  const points = run.curve.map(point => [x(point[0]), y(point[column])]);
  const [end] = points.at(-1);
  return [
    polyline(points, series(index)),
    points.map(([left, top]) => mark("measured", left, top, hue(index), 3.5)),
    segment(end + 6, height, right + 10, labelHeight, { stroke: "var(--wb-edge)", "stroke-width": 1 }),
    label(right + 14, labelHeight + 4, cutText(title({ index, run }), most)),
  ];
}

// runs: {index, run}; some may have no points yet.
function drawCurves(width, runs, column) {
  const { name, format } = METRICS[column];
  const shown = runs.filter(({ run }) => run.curve.length);
  if (!shown.length) return null;
  const longest = Math.max(...shown.map(run => title(run).length));
  const margin = Math.min(0.42 * width, 30 + CHARACTER * longest);
  const right = width - margin;
  const values = shown.flatMap(({ run }) => run.curve.map(point => point[column]));
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const gap = 0.08 * (high - low) || 0.05;
  const range = [Math.max(0, low - gap), high + gap];
  const last = Math.max(2, ...shown.flatMap(({ run }) => run.curve.map(([epoch]) => epoch)));
  const x = linearScale(1, last, LEFT, right);
  const y = linearScale(...range, HEIGHT - 30, TOP);
  const ends = spreadLabels(shown.map(run => ({ ...run, height: y(run.run.curve.at(-1)[column]) })));
  const height = Math.max(HEIGHT, ends.at(-1).labelHeight + 10);
  const epochs = evenTicks(1, last, Math.min(last - 1, 6)).filter(Number.isInteger);
  const most = Math.floor((margin - 16) / CHARACTER);
  return chartSvg(
    width,
    height,
    `${name} by epoch of ${shown.length} short runs; the table lists them`,
    axisText(0, 12, `${name}, measured`),
    yAxis(evenTicks(...range, 4), y, [LEFT, right], format),
    epochs.map(tick => axisText(x(tick), HEIGHT - 10, tick === 1 ? "epoch 1" : tick, "middle")),
    ends.map(end => curve(end, column, { x, y, right, most })),
  );
}

function runRow(run, index) {
  const key = legendSvg(30, 12, "hx-sample", segment(1, 6, 29, 6, series(index)));
  const name = h("span", { class: "hx-name" }, key, title({ index, run }));
  return tableRow([name, run.epochs, run.accuracy || "–", run.seconds || "–", run.outcome], NUMERIC);
}

// The field for the epochs, and the buttons.
function createControls(model) {
  const epochs = h("input", {
    type: "number",
    id: uid("epochs"),
    min: 1,
    max: 100,
    value: model.get("epochs_of_run"),
    ...KERNEL,
  });
  epochs.disabled = !isLive(model);
  epochs.addEventListener("change", () => {
    const count = Math.round(Number(epochs.value));
    if (count >= 1 && count <= 100) update(model, { epochs_of_run: count });
    else epochs.value = model.get("epochs_of_run");
  });
  const start = button("Run it", () => update(model, { starts: model.get("starts") + 1 }), {
    class: "wb-button wb-main",
    ...KERNEL,
  });
  const stop = button("Stop", () => update(model, { stops: model.get("stops") + 1 }), KERNEL);
  const draw = isRunning => {
    start.disabled = isRunning || !isLive(model);
    stop.hidden = !isRunning || !isLive(model);
    if (document.activeElement !== epochs) epochs.value = model.get("epochs_of_run");
  };
  const field = h(
    "div",
    { class: "wb-field" },
    h("label", { for: epochs.id }, "epochs of this short run, at most"),
    epochs,
  );
  return { elements: [field, start, stop], draw };
}

export function createRuns(model) {
  let column = 1;
  const runs = () => model.get("table").map((run, index) => ({ run, index }));
  const chart = responsive(width => drawCurves(width, runs().slice(-MOST_CURVES), column), "hx-chart");
  const metrics = [
    ["1", "validation accuracy"],
    ["2", "validation loss"],
  ];
  const metric = dropdown({
    label: "curves of",
    options: metrics,
    value: "1",
    onChange: value => {
      column = Number(value);
      chart.redraw();
    },
  });
  const controls = createControls(model);
  const bar = progressBar("The short run");
  const outcome = statusLine();
  const [older, list] = [note(""), h("div")];
  const draw = () => {
    const { share, text } = model.get("progress");
    const isRunning = share !== undefined;
    controls.draw(isRunning);
    bar.set(isRunning ? share : null, text);
    setText(outcome, model.get("outcome"));
  };
  const drawRuns = () => {
    const all = runs();
    metric.element.hidden = !all.some(({ run }) => run.curve.length);
    older.textContent =
      all.length > MOST_CURVES
        ? `The chart shows the newest ${MOST_CURVES} of ${all.length} runs; the table lists all.`
        : "";
    const rows = all.map(({ run, index }) => runRow(run, index));
    const table = { label: `Short runs on ${model.get("subset")}`, head: HEAD, rows, numeric: NUMERIC };
    list.replaceChildren(...(rows.length ? [scrollTable({ ...table, className: "wb-scroll hx-table" })] : []));
    chart.redraw();
  };
  observe(model, ["progress", "outcome", "epochs_of_run"], everyFrame(draw));
  observe(model, ["table"], everyFrame(drawRuns));
  draw();
  drawRuns();
  return h(
    "div",
    { class: "hx-part" },
    h("h3", {}, "Try it: a short run"),
    note(`It learns from ${model.get("subset")}.`),
    h("div", { class: "wb-controls" }, controls.elements, metric.element),
    bar.element,
    outcome,
    chart.element,
    older,
    list,
  );
}
