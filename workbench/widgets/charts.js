// Scales, axes and marks of the widgets' charts, as SVG.

import { h, s } from "../serving/page/elements.js";
import { everyFrame } from "./frame.js";

export function logScale(low, high, from, to) {
  const span = Math.log(high / low) || 1;
  const scale = value => from + ((to - from) * Math.log(value / low)) / span;
  scale.invert = position => low * Math.exp((span * (position - from)) / (to - from));
  return scale;
}

export const linearScale = (low, high, from, to) => value => from + ((to - from) * (value - low)) / (high - low || 1);

// Return the powers of ten between two values, thinned to about `most`.
export function decades(low, high, most = 7) {
  const first = Math.floor(Math.log10(low));
  const last = Math.ceil(Math.log10(high));
  const step = Math.max(1, Math.ceil((last - first) / most));
  const found = [];
  for (let power = first; power <= last; power += step) found.push(10 ** power);
  return found.filter(value => value >= low * 0.999 && value <= high * 1.001);
}

// Return about `count` round values between two.
export function evenTicks(low, high, count = 5) {
  const raw = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map(factor => factor * power).find(value => value >= raw * 0.999);
  const found = [];
  for (let value = Math.ceil(low / step - 1e-9) * step; value <= high + step * 1e-9; value += step) found.push(value);
  return found;
}

// Series differ by colour and by dashes, since colour alone is not enough for everyone.
const HUES = 6;
const DASHES = ["", "7 4", "2 3"];
export const hue = index => `var(--wb-series-${index % HUES})`;
export const dashes = index => DASHES[Math.floor(index / HUES) % DASHES.length];

// The shape shows the origin: a filled disc for measured, a ring for recorded, a hollow triangle for modelled.
export function mark(origin, x, y, colour, size = 5) {
  const fill = origin === "measured" ? colour : "var(--wb-paper)";
  if (origin !== "modelled") return s("circle", { cx: x, cy: y, r: size, fill, stroke: colour, "stroke-width": 2 });
  const d = `M${x} ${y - size}l${size} ${1.75 * size}h${-2 * size}z`;
  return s("path", { d, fill, stroke: colour, "stroke-width": 1.8 });
}

export const segment = (x1, y1, x2, y2, attributes) => s("line", { x1, y1, x2, y2, ...attributes });

export const label = (x, y, content, attributes) => s("text", { x, y, ...attributes }, content);

export const cutText = (content, most) => (content.length <= most ? content : `${content.slice(0, most - 1)}…`);

// A label of an axis; `anchor` ("start", "middle" or "end") is the part of it that lies at x.
export const axisText = (x, y, content, anchor = "start") =>
  label(x, y, content, { class: "wb-axis", "text-anchor": anchor });

// Horizontal grid lines, labelled on the left.
export const yAxis = (ticks, scale, [left, right], format) =>
  ticks.map(tick => [
    segment(left, scale(tick), right, scale(tick), { class: "wb-grid" }),
    axisText(left - 6, scale(tick) + 4, format(tick), "end"),
  ]);

export function polyline(points, attributes) {
  const d = points.map(([x, y], index) => `${index ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
  return s("path", { d, fill: "none", ...attributes });
}

export const chartSvg = (width, height, name, ...children) =>
  s("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": name }, children);

// A small sample in a legend.
export const legendSvg = (width, height, className, ...children) =>
  s("svg", { class: className, viewBox: `0 0 ${width} ${height}`, width, height, "aria-hidden": "true" }, children);

// Call `onChange` with each new width of an element, in pixels, until the returned function is called.
export function observeWidth(element, onChange) {
  let width = 0;
  const observer = new ResizeObserver(([entry]) => {
    const now = Math.floor(entry.contentRect.width);
    if (now === width) return;
    width = now;
    onChange(width);
  });
  observer.observe(element);
  return () => observer.disconnect();
}

// A chart that is redrawn for each width, so that its text keeps its size. `draw` takes the width in pixels and returns
// the chart, or null.
export function responsive(draw, className) {
  const element = h("div", { class: className });
  let width = 0;
  const redraw = () => {
    if (width > 0) element.replaceChildren(...[draw(width)].flat().filter(Boolean));
  };
  observeWidth(element, now => {
    width = now;
    redraw();
  });
  return { element, redraw: everyFrame(redraw) };
}
