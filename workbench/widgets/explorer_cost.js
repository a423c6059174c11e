// The cost of the hyper-parameters: bytes as bars, and the seconds of an epoch on each device.

import { h, s } from "../serving/page/elements.js";
import { formatBytes, formatSeconds } from "../serving/page/numbers.js";
import {
  axisText,
  chartSvg,
  cutText,
  decades,
  hue,
  label,
  legendSvg,
  linearScale,
  logScale,
  mark,
  responsive,
  segment,
} from "./charts.js";
import { details, note, scrollTable, statusLine, tableRow } from "./controls.js";
import { everyFrame, observe, setText } from "./frame.js";

const PARTS = ["weights", "gradients", "optimizer state", "activations", "working memory"];
const ORIGINS = {
  measured: "measured here, now",
  recorded: "recorded on that machine",
  modelled: "modelled from its data sheet",
};
const BLUE = "var(--wb-series-0)";
const ROW = 37; // px of a device
const ANNOUNCED_AFTER = 250; // ms, or a screen reader would read out every stop of a slider
const CHARACTER = 7; // px

const partHue = name => hue(PARTS.indexOf(name));

function byteSegments(bar, scale) {
  let from = 0;
  return bar.parts.map(part => {
    const left = scale(from);
    from += part.bytes;
    const width = scale(from) - left;
    const text = `${part.name} ${part.text}`;
    const fits = width > CHARACTER * text.length + 12;
    return [
      s("rect", { x: 1 + left, y: 5, width: Math.max(width, 0.5), height: 22, fill: partHue(part.name) }),
      fits && label(1 + left + 6, 20.5, text, { class: "hx-on" }),
    ];
  });
}

// before: the bytes before the last change, if any.
function byteBar(bar, most, before) {
  const chart = responsive(width => {
    const scale = linearScale(0, most, 0, width - 2);
    const ghost =
      before && s("rect", { class: "hx-ghost", x: 1, y: 1.5, width: Math.max(scale(before), 1), height: 29 });
    return chartSvg(width, 32, `${bar.name}: ${bar.text}`, byteSegments(bar, scale), ghost);
  }, "hx-chart");
  const was = before && h("span", { class: "wb-note" }, ` dashed: before, ${formatBytes(before)}`);
  const key = bar.parts.map(part => {
    const swatch = h("span", { class: "hx-swatch", style: `background: ${partHue(part.name)}` });
    return h("li", {}, swatch, `${part.name} ${part.text}`);
  });
  return h(
    "div",
    { class: "hx-bar" },
    h("p", {}, h("strong", {}, bar.name), ` ${bar.text} (modelled)`, was),
    chart.element,
    h("ul", { class: "hx-key" }, key),
  );
}

function byteBars({ bars, before }) {
  const most = Math.max(...bars.map(bar => bar.bytes), ...(before ?? []));
  return bars.map((bar, index) => byteBar(bar, most, before?.[index]));
}

function deviceRow(device, index, scale, width) {
  const [x, y] = [scale(device.seconds), index * ROW + 25];
  const isFarRight = x > width - 90;
  const [side, anchor] = isFarRight ? [x - 11, "end"] : [x + 11, "start"];
  return [
    label(0, y - 11, cutText(device.device, Math.floor(width / 6.4)), { class: "hx-halo" }),
    segment(8, y, x, y, { stroke: "var(--wb-line)", "stroke-width": 2 }),
    mark(device.origin, x, y, BLUE),
    label(side, y + 4, device.text, { class: "hx-halo hx-strong", "text-anchor": anchor }),
  ];
}

function epochChart(devices) {
  const name = "Seconds of an epoch on each device, on a logarithmic axis; the table below lists them";
  const seconds = devices.map(device => device.seconds);
  const low = 10 ** Math.floor(Math.log10(Math.min(...seconds)));
  const high = 10 ** Math.ceil(Math.log10(Math.max(...seconds) * 1.0001));
  const bottom = devices.length * ROW + 4;
  const anchor = tick => ({ [low]: "start", [high]: "end" })[tick] ?? "middle";
  return responsive(width => {
    const scale = logScale(low, high, 8, width - 14);
    const ticks = decades(low, high, Math.max(2, Math.floor(width / 75)));
    return chartSvg(
      width,
      bottom + 22,
      name,
      ticks.map(tick => [
        segment(scale(tick), 0, scale(tick), bottom, { class: "wb-grid" }),
        axisText(scale(tick), bottom + 16, formatSeconds(tick), anchor(tick)),
      ]),
      devices.map((device, index) => deviceRow(device, index, scale, width)),
    );
  }, "hx-chart").element;
}

function originKey(devices) {
  const used = Object.entries(ORIGINS).filter(([origin]) => devices.some(device => device.origin === origin));
  return h(
    "ul",
    { class: "hx-key" },
    used.map(([origin, words]) => h("li", {}, legendSvg(16, 16, "hx-mark", mark(origin, 8, 8, BLUE)), words)),
  );
}

function epochTable(devices) {
  const rows = devices.map(device => tableRow([device.device, device.text, device.origin_text], [1]));
  const head = ["device", "an epoch", "origin"];
  return scrollTable({ label: "Seconds of an epoch", head, rows, numeric: [1], className: "wb-scroll hx-table" });
}

function epochTimes({ devices, basis }) {
  const timed = devices.filter(device => device.seconds !== null);
  const others = devices.filter(device => device.seconds === null);
  return h(
    "div",
    {},
    h("h3", {}, "Seconds of an epoch, on each device"),
    timed.length > 0 && epochChart(timed),
    originKey(timed),
    h(
      "ul",
      { class: "hx-without" },
      others.map(({ device, origin_text: reason }) => h("li", {}, h("strong", {}, device), ` ${reason}`)),
    ),
    note(basis),
  );
}

export function createCosts(model, counting) {
  const shown = h("div");
  const problem = h("p", { class: "wb-bad", role: "alert", hidden: true });
  const change = statusLine();
  let announcing = 0;
  let isOpen = false;
  const ontoggle = event => {
    isOpen = event.target.open;
  };
  const draw = () => {
    const figures = model.get("figures");
    counting.textContent = model.get("counting");
    problem.textContent = model.get("problem");
    problem.hidden = !model.get("problem");
    shown.classList.toggle("hx-old", Boolean(model.get("counting")));
    clearTimeout(announcing);
    announcing = setTimeout(() => setText(change, model.get("change")), ANNOUNCED_AFTER);
    if (!figures.bars) return shown.replaceChildren();
    const numbers = figures.numbers.map(([name, text]) => h("div", {}, h("dt", {}, name), h("dd", {}, text)));
    const bytes = h("div", {}, h("h3", {}, "Bytes to hold"), byteBars(figures), note(figures.comparison));
    shown.replaceChildren(
      h("dl", { class: "hx-numbers" }, numbers),
      h("div", { class: "wb-columns" }, bytes, epochTimes(figures)),
      details("The same as a table", epochTable(figures.devices), { open: isOpen, ontoggle }),
    );
  };
  observe(model, ["figures", "counting", "problem", "change"], everyFrame(draw));
  draw();
  return h("div", {}, change, problem, shown);
}
