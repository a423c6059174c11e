// Training runs in progress: figures, curves and controls.

import { h, s } from "../serving/page/elements.js";
import { commas, formatSeconds, formatShare } from "../serving/page/numbers.js";
import { hue, legendSvg, mark } from "./charts.js";
import {
  button,
  details,
  figureList,
  KERNEL,
  note,
  progressBar,
  scrollTable,
  slider,
  statusLine,
  tableRow,
} from "./controls.js";
import { createRoot, everyFrame, isLive, observe, update } from "./frame.js";
import { pattern, shortNumber, trainingChart } from "./training_chart.js";

const LOSS = {
  title: "Loss in nats: lower is better",
  training: 1,
  validation: 3,
  isLoss: true,
  format: (value, isFull) => (isFull ? value.toPrecision(3) : shortNumber(value)),
};
const ACCURACY = {
  title: "Accuracy: share of images that are right",
  training: 2,
  validation: 4,
  isLoss: false,
  format: (value, isFull) => formatShare(value, isFull ? 1 : 0),
};
const COLUMNS = [
  "Epoch",
  "Training loss",
  "Training accuracy",
  "Validation loss",
  "Validation accuracy",
  "Learning rate",
  "Time",
];
const EXPLANATION =
  "Thin lines: training images, while the network was changing. Lines with discs: validation images, after each epoch.";
const CHANGED = " Vertical lines: the peak learning rate was changed to the value beside them.";
const THINNED = " Long runs are thinned to what a chart can show.";

// The slider's values are powers of ten around the initial rate of the run.
function rateSlider(model) {
  const start = () => model.get("shown").start;
  // Rounded as shown, but exact in the middle.
  const rateAt = power => {
    const rate = Number((start() * 10 ** power).toPrecision(3));
    return power === 0 ? start() : Math.min(100, Math.max(1e-7, rate));
  };
  const rate = slider({
    label: "Peak learning rate from here on",
    min: -2,
    max: 1,
    step: 0.05,
    value: 0,
    kernel: true,
    text: power => (start() ? shortNumber(rateAt(power)) : "–"),
    onInput: power => update(model, { learning_rate: rateAt(power) }),
  });
  const draw = () => {
    const now = model.get("learning_rate");
    rate.element.hidden = !(start() && now);
    if (start() && now && document.activeElement !== rate.control) rate.set(Math.log10(now / start()));
  };
  return { ...rate, draw };
}

function createControls(model, root) {
  const live = isLive(model);
  const pause = button("Pause", () => update(model, { paused: !model.get("paused") }), KERNEL);
  const stop = button("Stop", () => update(model, { stops: model.get("stops") + 1 }), KERNEL);
  const rate = rateSlider(model);
  const buttons = h("div", { class: "wb-training-buttons" }, pause, stop);
  const element = h("div", { class: "wb-controls wb-training-controls", hidden: !live }, buttons, rate.element);
  const advice = note("");
  const draw = () => {
    const { ended = false, advice: text } = model.get("shown");
    pause.textContent = model.get("paused") ? "Resume" : "Pause";
    const isOff = ended || root.classList.contains("wb-dead");
    for (const control of [pause, stop, rate.control]) control.disabled = isOff;
    if (!live) advice.textContent = "This page has no kernel: nothing can be trained here.";
    else advice.textContent = ended ? "" : text;
    rate.draw();
  };
  return { elements: [element, advice], draw };
}

function legendItem(run, index) {
  const look = { fill: "none", stroke: hue(index), "stroke-width": 2, "stroke-dasharray": pattern(index) };
  const key = legendSvg(
    34,
    12,
    "wb-sample",
    s("path", { d: "M0 6H34", ...look }),
    mark("measured", 17, 6, hue(index), 3.5),
  );
  return h("li", {}, key, h("strong", {}, run.name), ` ${run.state}`);
}

function runTable(run) {
  const numeric = [...COLUMNS.keys()];
  const number = value => (value === null ? "–" : shortNumber(value));
  const share = value => (value === null ? "–" : formatShare(value));
  const formats = [commas, number, share, number, share, number, formatSeconds];
  const rows = run.epochs.map(point =>
    tableRow(
      point.map((value, column) => formats[column](value)),
      numeric,
    ),
  );
  const caption = `${run.name} on ${run.device}${run.every > 1 ? `; every ${run.every}th epoch` : ""}`;
  return scrollTable({ label: `Epochs of ${run.name}`, caption, head: COLUMNS, rows, numeric });
}

// A table for each run, drawn only while it is open.
function createTables(runs) {
  const tables = h("div", {});
  const draw = () => {
    const shown = runs().filter(run => run.epochs.length);
    if (element.open) tables.replaceChildren(...shown.map(runTable));
  };
  const element = details("The same as a table", tables, { ontoggle: draw });
  return { element, draw };
}

function explain(runs) {
  const changed = runs.some(run => run.changes.length) ? CHANGED : "";
  return `${EXPLANATION}${changed}${runs.some(run => run.every > 1) ? THINNED : ""}`;
}

function render({ model, el }) {
  const root = createRoot(model, el, "Training dashboard");
  const runs = () => model.get("shown").runs ?? [];
  const sentence = h("p", { class: "wb-status" });
  const announcement = statusLine("wb-visually-hidden");
  const bar = progressBar("Share of the steps that are done");
  const controls = createControls(model, root);
  const figures = figureList();
  const [origin, key] = [note(""), note("")];
  const legend = h("ul", { class: "wb-legend" });
  const charts = [LOSS, ACCURACY].map(metric => trainingChart(metric, runs));
  const tables = createTables(runs);
  const columns = h(
    "div",
    { class: "wb-columns" },
    charts.map(chart => chart.element),
  );
  root.append(
    sentence,
    bar.element,
    ...controls.elements,
    figures.element,
    origin,
    legend,
    columns,
    key,
    tables.element,
    announcement,
  );

  const draw = () => {
    const shown = model.get("shown");
    const rows = shown.figures ?? [];
    sentence.textContent = shown.sentence ?? "";
    bar.set(rows.length ? shown.share : null, rows.length ? shown.position : "");
    controls.draw();
    figures.set(rows);
    origin.textContent = (isLive(model) ? shown.origin : shown.recorded_origin) ?? "";
    legend.replaceChildren(...runs().map(legendItem));
    key.textContent = explain(runs());
    for (const chart of charts) chart.redraw();
    tables.draw();
  };
  observe(model, ["shown", "paused", "learning_rate"], everyFrame(draw));
  observe(model, ["announcement"], () => {
    announcement.textContent = model.get("announcement");
  });
  draw();
}

export default { render };
