// Curves of training runs over the epochs: thin lines for training images, discs for validation after each epoch.

import { h } from "../serving/page/elements.js";
import {
  axisText,
  chartSvg,
  decades,
  evenTicks,
  hue,
  linearScale,
  logScale,
  mark,
  polyline,
  responsive,
  segment,
  yAxis,
} from "./charts.js";
import { note } from "./controls.js";

const HEIGHT = 220;
const TOP = 22;
const BOTTOM = HEIGHT - 34;
const LEFT = 44;
const MOST_DISCS = 60;
const PATTERNS = ["", "7 4", "2 3", "9 3 2 3"];
export const pattern = index => PATTERNS[index % PATTERNS.length];
export const shortNumber = value => String(Number(value.toPrecision(3)));

const by = (a, b) => a - b;

// Return 1, 3, 10, 30, …, or only powers of ten if those would be too many.
function logTicks(low, high) {
  const powers = decades(low / 10, high * 10, 99);
  const ticks = powers.flatMap(power => [power, 3 * power]).filter(tick => tick >= low && tick <= high);
  return ticks.length > 6 ? ticks.filter(tick => powers.includes(tick)) : ticks;
}

// Return the vertical scale. It is logarithmic if a few losses are so high that they would flatten all others.
function verticalScale(values, isLoss) {
  const sorted = [...values].sort(by);
  const most = isLoss ? Math.max(0.1, ...values) * 1.05 : 1;
  const isLog = isLoss && most > 6 * sorted[sorted.length >> 1] && sorted[0] > 0;
  const least = isLog ? sorted[0] / 1.1 : 0;
  return {
    isLog,
    y: (isLog ? logScale : linearScale)(least, most, BOTTOM, TOP),
    ticks: isLog ? logTicks(least, most) : evenTicks(least, most, 4),
  };
}

// Vertical lines where the learning rate changed, with the new value where there is space.
function rateChanges(runs, x, right) {
  let free = Number.NEGATIVE_INFINITY;
  return runs.flatMap((run, index) =>
    run.changes.map(([epoch, rate]) => {
      const text = shortNumber(rate);
      const half = 3.6 * text.length;
      const middle = Math.min(right - half, Math.max(LEFT + half, x(epoch)));
      const fits = middle - half > free;
      if (fits) free = middle + half + 3;
      const attributes = { stroke: hue(index), "stroke-width": 1.2, "stroke-dasharray": "4 3" };
      return [segment(x(epoch), TOP, x(epoch), BOTTOM, attributes), fits && axisText(middle, TOP - 6, text, "middle")];
    }),
  );
}

// The points of training: all records, or only the epochs if a run has no other records.
const trained = (run, { training }) =>
  (run.line.length ? run.line : run.epochs).filter(point => point[training] !== null);
const validated = (run, { validation }) => run.epochs.filter(point => point[validation] !== null);

function summary(run, metric) {
  const last = validated(run, metric).at(-1);
  const value = last ? last[metric.validation] : trained(run, metric).at(-1)?.[metric.training];
  return `${run.name}: ${value === undefined ? "nothing yet" : metric.format(value, true)}`;
}

function curves(run, index, metric, { x, y }) {
  const look = { stroke: hue(index), "stroke-dasharray": pattern(index) };
  const at = column => point => [x(point[0]), y(point[column])];
  const discs = validated(run, metric).map(at(metric.validation));
  return [
    polyline(trained(run, metric).map(at(metric.training)), { ...look, "stroke-width": 1, opacity: 0.75 }),
    polyline(discs, { ...look, "stroke-width": 2.2 }),
    discs.length <= MOST_DISCS && discs.map(([left, top]) => mark("measured", left, top, hue(index), 3.5)),
  ];
}

function drawChart(width, metric, runs) {
  const right = width - 12;
  const values = runs.flatMap(run => [
    ...trained(run, metric).map(point => point[metric.training]),
    ...validated(run, metric).map(point => point[metric.validation]),
  ]);
  const { y, ticks, isLog } = verticalScale(values, metric.isLoss);
  const last = Math.max(1, ...runs.map(run => run.of));
  const x = linearScale(0, last, LEFT, right);
  const epochs = evenTicks(0, last, Math.max(2, Math.min(6, Math.floor(width / 70)))).filter(Number.isInteger);
  const pointer = segment(0, TOP, 0, BOTTOM, { stroke: "var(--wb-muted)", visibility: "hidden" });
  const chart = chartSvg(
    width,
    HEIGHT,
    `${metric.title}. ${runs.map(run => summary(run, metric)).join("; ")}.`,
    yAxis(ticks, y, [LEFT, right], tick => metric.format(tick, false)),
    epochs.map(tick => axisText(x(tick), BOTTOM + 16, tick, "middle")),
    axisText((LEFT + right) / 2, HEIGHT - 3, "epoch", "middle"),
    rateChanges(runs, x, right),
    runs.map((run, index) => curves(run, index, metric, { x, y })),
    pointer,
  );
  return { chart, pointer, x, title: isLog ? `${metric.title} (log scale)` : metric.title };
}

// Describe all runs at an epoch.
function valuesAt(epoch, nearest, metric, runs) {
  const texts = runs.map(run => {
    const before = validated(run, metric)
      .filter(point => point[0] <= epoch)
      .at(-1);
    const validation = before && metric.format(before[metric.validation], true);
    const training = metric.format(nearest(trained(run, metric))[metric.training], true);
    return `${run.name} training ${training}${before ? `, validation ${validation} after epoch ${before[0]}` : ""}`;
  });
  return `Epoch ${shortNumber(epoch)}: ${texts.join("; ")}.`;
}

// metric: title, `training` and `validation` (columns of a run's points), isLoss, and `format`, which takes a value and
// whether to show all its digits.
export function trainingChart(metric, getRuns) {
  const heading = h("h3", {}, metric.title);
  const readout = note("", { class: "wb-note wb-readout" });
  const host = responsive(width => {
    const { chart, pointer, x, title } = drawChart(width, metric, getRuns());
    heading.textContent = title;
    chart.addEventListener("pointermove", event => {
      const left = event.clientX - host.element.getBoundingClientRect().left;
      const distance = point => Math.abs(x(point[0]) - left);
      const nearest = points => points.reduce((best, point) => (distance(point) < distance(best) ? point : best));
      const runs = getRuns().filter(run => trained(run, metric).length);
      if (!runs.length) return;
      const [epoch] = nearest(runs.flatMap(run => trained(run, metric)));
      for (const end of ["x1", "x2"]) pointer.setAttribute(end, x(epoch));
      pointer.setAttribute("visibility", "visible");
      readout.textContent = valuesAt(epoch, nearest, metric, runs);
    });
    chart.addEventListener("pointerleave", () => {
      pointer.setAttribute("visibility", "hidden");
      readout.textContent = "";
    });
    return chart;
  }, "wb-chart");
  return { element: h("div", {}, heading, host.element, readout), redraw: host.redraw };
}
