// The two charts of DeviceComparison: a ranking at one batch size, and curves over all batch sizes.

import { s } from "../serving/page/elements.js";
import { axisText, dashes, decades, hue, label, logScale, mark, polyline, segment, yAxis } from "./charts.js";
import { batchWords, FORMATS, originOf } from "./comparison.js";

export const TITLES = {
  latency: "Time of a batch",
  throughput: "Images a second",
  energy: "Energy of an image",
  memory: "Working memory of a batch",
  cost: "Cost of a million images",
};
const TOP = 22;
const STEP = 52; // px of a device in the ranking
const AXIS_FONT = "11.5px";
const NAME_FONT = "600 12.5px";
const MUTED = "var(--wb-muted)";

// Cut text to a width in pixels, as measured in its font.
const context = document.createElement("canvas").getContext("2d");
function widthOf(text, font) {
  context.font = `${font} system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif`;
  return context.measureText(text).width;
}
const cuts = new Map();
function cut(text, width, font) {
  const key = `${text}|${Math.floor(width)}|${font}`;
  if (!cuts.has(key)) {
    let kept = text;
    while (kept.length > 1 && widthOf(kept === text ? text : `${kept}…`, font) > width) kept = kept.slice(0, -1);
    cuts.set(key, kept === text ? text : `${kept.trimEnd()}…`);
  }
  return cuts.get(key);
}

// Empty a chart, set its size and name, and return its width.
function clear(svg, height, name) {
  const width = Math.max(260, svg.parentNode.clientWidth || 460);
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("aria-label", name);
  svg.replaceChildren();
  return width;
}

const seriesGroup = (name, lit, title, ...children) =>
  s("g", { "data-name": name, opacity: lit && lit !== name ? 0.25 : null }, s("title", {}, title), children);

// The 90th percentile as a multiple of the median.
const slowness = (how, { m }) => (how.name === "memory" || m.count === 0 ? 1 : m.p90 / m.p50);
const slowEnd = (how, row) => row.value * slowness(how, row) ** (how.higher_wins ? -1 : 1);

function isOverBudget({ value }, { how, budget }) {
  if (budget === undefined || value === null) return false;
  return how.higher_wins ? value < budget : value > budget;
}

// The name, figure and origin in a row of the ranking.
function rowTexts(row, y, width, look, series) {
  const { how, order } = look;
  const isOver = isOverBudget(row, look);
  const figure = isOver ? `${row.text}, ${how.higher_wins ? "short of" : "over"} budget` : row.text;
  const line = { stroke: series, "stroke-width": 3, "stroke-dasharray": dashes(order.indexOf(row.name)) };
  return [
    s("rect", { x: 0, y, width, height: STEP, fill: "transparent" }),
    segment(0, y + 10, 20, y + 10, line),
    label(26, y + 14, cut(row.name, width - 40 - figure.length * 7.4, NAME_FONT), { class: "dc-name" }),
    label(width, y + 14, figure, { "text-anchor": "end", class: isOver ? "dc-over" : "dc-name" }),
    segment(10, y + 41, width - 10, y + 41, { class: "wb-grid" }),
    axisText(26, y + 29, cut(originOf(row.m), width - 30, AXIS_FONT)),
  ];
}

// The marks in a row: the figure, the slowest tenth, and the figure before the last change.
function rowMarks(row, before, y, x, how, series) {
  if (!(row.value > 0)) return [];
  const now = x(row.value);
  const hasMoved = before > 0 && Math.abs(x(before) - now) > 2;
  const ghost = { r: 5, fill: "none", stroke: MUTED, "stroke-dasharray": "2 2", "stroke-width": 1.5 };
  return [
    hasMoved && segment(x(before), y, now, y, { stroke: MUTED, "stroke-dasharray": "2 3" }),
    hasMoved && s("circle", { cx: x(before), cy: y, ...ghost }),
    slowness(how, row) > 1 && segment(now, y, x(slowEnd(how, row)), y, { stroke: series, "stroke-width": 3 }),
    mark(row.m.origin, now, y, series, 6),
  ];
}

// A draggable line across the ranking.
function budgetLine(svg, look, x, bottom, [low, high]) {
  const at = x(look.budget);
  const line = s(
    "g",
    { class: "dc-line" },
    s("title", {}, "Drag to change the budget"),
    s("rect", { x: at - 8, y: TOP - 6, width: 16, height: bottom - TOP + 6, fill: "transparent" }),
    segment(at, TOP - 6, at, bottom, { stroke: "var(--wb-bad)", "stroke-width": 2, "stroke-dasharray": "6 3" }),
    s("path", { d: `M${at - 6} ${bottom}h12l-6 -8z`, fill: "var(--wb-bad)" }),
  );
  line.addEventListener("pointerdown", event => {
    event.preventDefault();
    const box = svg.getBoundingClientRect();
    const scale = svg.viewBox.baseVal.width / box.width;
    const move = to => look.onBudget(Math.min(high, Math.max(low, x.invert((to.clientX - box.left) * scale))));
    const release = () => {
      removeEventListener("pointermove", move);
      removeEventListener("pointerup", release);
    };
    addEventListener("pointermove", move);
    addEventListener("pointerup", release);
  });
  return line;
}

// Draw one row for each device, best first: its figure as a mark on a logarithmic axis, and a bar to its slowest tenth.
// look: how (from comparison.js), the order of the series, and the budget, ghost and lit name, if any.
export function drawRanking(svg, rows, look, size) {
  const { how, order, budget, ghost, lit } = look;
  const height = TOP + STEP * Math.max(1, rows.length) + 26;
  const title = `${TITLES[how.name]}, ${batchWords(size).toLowerCase()}`;
  const width = clear(svg, height, `${title.replace(",", " by device,")}; the table below says the same`);
  svg.append(axisText(0, 12, cut(`${title}; best first`, width, AXIS_FONT)));
  if (!rows.length) svg.append(label(0, TOP + 24, "No figures for this choice."));
  const before = new Map((ghost?.rows.get(ghost.size) ?? []).map(row => [row.name, row.value]));
  const values = rows.flatMap(row => [row.value, row.value && slowEnd(how, row), before.get(row.name)]);
  const positive = values.filter(value => value > 0);
  if (!positive.length) return;
  if (budget !== undefined) positive.push(budget);
  const range = [Math.min(...positive) / 1.25, Math.max(...positive) * 1.25];
  const x = logScale(...range, 10, width - 10);
  const bottom = height - 22;
  for (const tick of decades(...range, Math.floor(width / 90))) {
    const middle = Math.min(Math.max(x(tick), 20), width - 24);
    const text = axisText(middle, height - 6, FORMATS[how.format](tick), "middle");
    svg.append(segment(x(tick), TOP, x(tick), bottom, { class: "wb-grid" }), text);
  }
  for (const [index, row] of rows.entries()) {
    const y = TOP + index * STEP;
    const series = hue(order.indexOf(row.name));
    const marks = rowMarks(row, before.get(row.name), y + 41, x, how, series);
    svg.append(
      seriesGroup(
        row.name,
        lit,
        `${row.name}: ${row.text}; ${originOf(row.m)}`,
        rowTexts(row, y, width, look, series),
        marks,
      ),
    );
  }
  if (budget !== undefined) svg.append(budgetLine(svg, look, x, bottom, range));
}

// The curve of a device.
function deviceCurve(name, shown, { order, lit }, { x, y }) {
  const rows = [...shown.rows.values()].flat().filter(row => row.name === name && row.value > 0);
  if (!rows.length) return "";
  const index = order.indexOf(name);
  const points = rows.map(row => [x(row.m.batch_size), y(row.value)]);
  const width = lit === name ? 3.5 : 2;
  return seriesGroup(
    name,
    lit,
    name,
    polyline(points, { stroke: hue(index), "stroke-width": width, "stroke-dasharray": dashes(index) }),
    rows.map(({ m }, point) => mark(m.origin, ...points[point], hue(index), 3.5)),
  );
}

// A diamond where another device takes the lead.
function crossoverMark({ batch_size: size, after }, shown, { x, y }) {
  const row = shown.rows.get(size).find(({ name }) => name === after);
  if (!(row.value > 0)) return "";
  const d = `M${x(size)} ${y(row.value) - 9}l7 9l-7 9l-7 -9z`;
  const look = { fill: "var(--wb-ink)", stroke: "var(--wb-paper)", "stroke-width": 1.5 };
  return s("path", { class: "dc-crossover", d, ...look }, s("title", {}, `From batch ${size} on: ${after}`));
}

// Draw lines at the chosen batch size, at the previous one, and at the budget.
function guides(svg, shown, { budget, ghost, range: [low, high] }, size, { x, y, left, right, bottom }) {
  const upright = (at, attributes) => segment(x(at), TOP, x(at), bottom, attributes);
  if (ghost && x(ghost.size) <= right) svg.append(upright(ghost.size, { stroke: MUTED, "stroke-dasharray": "2 3" }));
  if (shown.sizes.includes(size)) svg.append(upright(size, { stroke: "var(--wb-accent)", "stroke-width": 2 }));
  const look = { stroke: "var(--wb-bad)", "stroke-width": 1.5, "stroke-dasharray": "6 3" };
  if (budget > low && budget < high) svg.append(segment(left, y(budget), right, y(budget), look));
}

// Draw the metric over the batch size, with a line for each device.
export function drawCurves(svg, shown, look, size) {
  const { how, range } = look;
  const ticks = decades(...range);
  const format = FORMATS[how.format];
  const labelWidth = Math.max(...ticks.map(tick => widthOf(format(tick), AXIS_FONT))); // dollars can be long
  const left = Math.max(62, 10 + labelWidth);
  const height = 380;
  const bottom = height - 40;
  const title = `${TITLES[how.name]} over the batch size`;
  const right = clear(svg, height, `${title}, a line for each of ${shown.names.length} devices`);
  svg.append(axisText(0, 12, cut(`${title}; both axes logarithmic`, right, AXIS_FONT)));
  if (!shown.sizes.length) return;
  const [first, last] = [shown.sizes[0], shown.sizes.at(-1)];
  const x = logScale(first, last === first ? first * 2 : last, left, right - 14);
  const y = logScale(...range, bottom, TOP + 4);
  const every = Math.ceil((shown.sizes.length * 36) / (right - left));
  svg.append(
    ...yAxis(ticks, y, [left, right], format).flat(),
    ...shown.sizes
      .filter((_, index) => index % every === 0)
      .map(each => axisText(x(each), bottom + 16, each, "middle")),
    axisText((left + right) / 2, height - 6, "images at once (batch size)", "middle"),
  );
  guides(svg, shown, look, size, { x, y, left, right, bottom });
  svg.append(
    ...shown.names.map(name => deviceCurve(name, shown, look, { x, y })),
    ...shown.crossovers.map(crossover => crossoverMark(crossover, shown, { x, y })),
  );
}
