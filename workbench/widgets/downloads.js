// Download charts and figures.

import { h } from "../serving/page/elements.js";

// Styles to copy into a chart before it becomes an image, which has no style sheet.
const COPIED = [
  "fill",
  "stroke",
  "stroke-width",
  "stroke-dasharray",
  "opacity",
  "font",
  "text-anchor",
  "display",
  "paint-order",
];

function save(name, blob) {
  const address = URL.createObjectURL(blob);
  h("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

function csvCell(value) {
  const text = String(value ?? "");
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export function saveCsv(name, rows) {
  const lines = rows.map(row => `${row.map(csvCell).join(",")}\r\n`);
  save(`${name}.csv`, new Blob(lines, { type: "text/csv" }));
}

// Save charts side by side under a title.
export async function savePng(name, title, charts, scale = 2) {
  const images = await Promise.all(charts.map(imageOf));
  const gap = 24;
  const head = 34;
  const width = images.reduce((sum, image) => sum + image.width + gap, gap);
  const height = Math.max(...images.map(image => image.height)) + head + gap;
  const canvas = h("canvas", { width: width * scale, height: height * scale });
  const context = canvas.getContext("2d");
  const style = getComputedStyle(charts[0].closest(".wb"));
  context.scale(scale, scale);
  context.fillStyle = style.getPropertyValue("--wb-paper");
  context.fillRect(0, 0, width, height);
  context.fillStyle = style.getPropertyValue("--wb-ink");
  context.font = "600 15px system-ui, sans-serif";
  context.fillText(title, gap, 24, width - 2 * gap);
  let left = gap;
  for (const image of images) {
    context.drawImage(image, left, head, image.width, image.height);
    left += image.width + gap;
  }
  canvas.toBlob(blob => save(`${name}.png`, blob));
}

async function imageOf(chart) {
  const copy = chart.cloneNode(true);
  const originals = [chart, ...chart.querySelectorAll("*")];
  for (const [index, element] of [copy, ...copy.querySelectorAll("*")].entries()) {
    const style = getComputedStyle(originals[index]);
    for (const name of COPIED) element.style.setProperty(name, style.getPropertyValue(name));
  }
  const { width, height } = chart.getBoundingClientRect();
  copy.setAttribute("width", width * 2);
  copy.setAttribute("height", height * 2);
  const image = new Image(width, height);
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(copy))}`;
  await image.decode();
  return image;
}
