// The answer: a sentence, a bar for each label, and how long each part took.

import { $, h } from "./elements.js";
import { formatSeconds, formatShare } from "./numbers.js";
import { centreCrop } from "./paper.js";

const FEW = 12; // labels shown at first
const ANNOUNCED_AFTER = 900; // ms without a new answer, so that drawing does not interrupt a screen reader
const CALM = 500; // ms between updates of the times, which would flicker while drawing
const PARTS = [
  ["network", "Network and waiting", "by this page"],
  ["decoding", "Decoding the image", "by the server"],
  ["inference", "Inference", "by the server"],
];
const NO_VALUE = "–";

// The elements of each label.
const rows = new Map();

export function listLabels(labels) {
  rows.clear();
  for (const label of labels) {
    const bar = h("span", { class: "bar" });
    const number = h("span", { class: "number" }, NO_VALUE);
    const track = h("span", { class: "track", "aria-hidden": "true" }, bar);
    rows.set(label, { row: h("li", {}, h("span", { class: "label" }, label), track, number), bar, number });
  }
  $("bars").replaceChildren(...[...rows.values()].map(({ row }) => row));
  $("all").hidden = rows.size <= FEW;
  $("all").textContent = `All ${rows.size} labels`;
}
$("all").onclick = () => $("all").setAttribute("aria-expanded", $("bars").classList.toggle("whole"));

// Reorder the rows, with an animation unless the user prefers reduced motion.
function arrange(sorted) {
  if (sorted.every((row, index) => $("bars").children[index] === row)) return;
  const before = new Map(sorted.map(row => [row, row.offsetTop]));
  $("bars").replaceChildren(...sorted);
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  for (const row of sorted) {
    const distance = before.get(row) - row.offsetTop;
    const frames = [{ transform: `translateY(${distance}px)` }, { transform: "none" }];
    if (distance) row.animate(frames, { duration: 220, easing: "ease-out" });
  }
}

let announcing = 0;
function announce(text) {
  clearTimeout(announcing);
  announcing = setTimeout(() => {
    $("announcement").textContent = text;
  }, ANNOUNCED_AFTER);
}

function showThumbnail(image, { width, height }) {
  const canvas = Object.assign($("thumbnail"), { width, height });
  canvas.setAttribute(
    "aria-label",
    image ? `The image that was sent, at ${width} by ${height} pixels` : "No image yet",
  );
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  if (image) context.drawImage(image, ...centreCrop(image, width, height), 0, 0, width, height);
}

const segments = PARTS.map(([part]) => h("span", { class: part }));
const times = PARTS.map(() => h("dd", {}, NO_VALUE));
$("split").append(...segments);
$("times").append(
  ...PARTS.map(([part, name, source], index) =>
    h(
      "div",
      {},
      h("span", { class: `swatch ${part}`, "aria-hidden": "true" }),
      h("dt", {}, name),
      times[index],
      h("dd", { class: "origin" }, `measured just now ${source}`),
    ),
  ),
);

let timesShown = -Infinity;
function showTimes(seconds) {
  timesShown = seconds ? performance.now() : -Infinity;
  const whole = seconds && PARTS.reduce((sum, [part]) => sum + seconds[part], 0);
  $("split").classList.toggle("measured", Boolean(seconds));
  $("total").textContent = seconds ? formatSeconds(whole) : "";
  for (const [index, [part]] of PARTS.entries()) {
    segments[index].style.flexGrow = seconds ? seconds[part] / whole : 0;
    times[index].textContent = seconds ? formatSeconds(seconds[part]) : NO_VALUE;
  }
}

// The answer includes the `image` that was sent and the `seconds` of each part. size: of the network's input. isLast:
// whether no further request is waiting.
export function showAnswer({ label, probability, probabilities, image, notes, seconds }, size, isLast) {
  if (!rows.has(label)) listLabels(Object.keys(probabilities));
  showThumbnail(image, size);
  for (const [name, { bar, number }] of rows) {
    bar.style.width = `${100 * probabilities[name]}%`;
    number.textContent = formatShare(probabilities[name]);
  }
  // Labels that round to the same share keep their order, or the last rows would dance while drawing.
  const rank = name => (name === label ? 1001 : Math.round(1000 * probabilities[name]));
  arrange([...rows.keys()].sort((a, b) => rank(b) - rank(a)).map(name => rows.get(name).row));
  $("bars").classList.remove("old");
  $("bars").classList.add("answered");
  $("sentence").replaceChildren("It says: ", h("strong", {}, label), `, ${formatShare(probability)}.`);
  $("notes").replaceChildren(...notes.map(note => h("li", {}, note)));
  if (isLast || performance.now() - timesShown > CALM) showTimes(seconds);
  announce([$("sentence").textContent, ...notes].join(" "));
}

export const fadeAnswer = () => $("bars").classList.add("old");

export function clearAnswer(sentence, size) {
  for (const { bar, number } of rows.values()) {
    bar.style.width = 0;
    number.textContent = NO_VALUE;
  }
  $("bars").classList.remove("old", "answered");
  $("sentence").textContent = sentence;
  $("notes").replaceChildren();
  showThumbnail(null, size);
  showTimes(null);
  announce(sentence);
}
