// A canvas to draw on with mouse, finger or keyboard, used by the application's page and by the Classifier.

import { h, s } from "./elements.js";

export const PENS = [
  ["#111111", "black"],
  ["#ffffff", "white"],
  ["#7a4a21", "brown"],
  ["#8a8a8a", "grey"],
  ["#e08a1e", "orange"],
  ["#c62828", "red"],
  ["#2e7d32", "green"],
  ["#1565c0", "blue"],
];

// Return the largest centred crop of an image with the proportions width : height, as arguments of drawImage. It is the
// crop of workbench/bundle/preprocessing.py.
export function centreCrop(image, width, height) {
  const scale = Math.min(image.width / width, image.height / height);
  return [(image.width - scale * width) / 2, (image.height - scale * height) / 2, scale * width, scale * height];
}

// Strokes on top of an image or a plain background. onChange: called by `begin`, `extend` and `undo`.
class Drawing {
  strokes = [];
  stroke = null;
  background = null;

  constructor(canvas, ground, onChange) {
    Object.assign(this, { canvas, context: canvas.getContext("2d"), ground, onChange });
    this.paint();
  }

  paint() {
    const { canvas, context } = this;
    context.fillStyle = this.ground;
    context.fillRect(0, 0, canvas.width, canvas.height);
    if (this.background) context.drawImage(this.background, 0, 0);
    for (const stroke of this.strokes) this.paintStroke(stroke);
  }

  paintStroke({ colour, width, points }) {
    const { context } = this;
    Object.assign(context, { strokeStyle: colour, lineWidth: width, lineCap: "round", lineJoin: "round" });
    context.beginPath();
    context.moveTo(...points[0]);
    for (const point of points) context.lineTo(...point);
    context.stroke();
  }

  begin(pen, point) {
    this.stroke = { ...pen, points: [] };
    this.strokes.push(this.stroke);
    this.extend(point);
  }

  extend(point) {
    if (!this.stroke) return;
    this.stroke.points.push(point);
    this.paint();
    this.onChange();
  }

  end() {
    this.stroke = null;
  }

  undo() {
    if (!this.strokes.pop()) return;
    this.paint();
    this.onChange();
  }

  // Start again on an image, or on nothing (null).
  reset(image) {
    const { width, height } = this.canvas;
    this.background = image && h("canvas", { width, height });
    if (image) {
      const context = this.background.getContext("2d");
      context.imageSmoothingEnabled = image.width >= width;
      context.drawImage(image, ...centreCrop(image, 1, 1), 0, 0, width, height);
    }
    this.strokes = [];
    this.end();
    this.paint();
  }
}

// The cursor for drawing by keyboard: an element above the canvas, so that it is not part of the drawing.
class Cursor {
  constructor(side) {
    const d = "M-11 0H-4M4 0H11M0-11V-4M0 4V11";
    this.element = s(
      "svg",
      { class: "cl-cross", viewBox: "-12 -12 24 24", "aria-hidden": "true" },
      s("path", { d, stroke: "#fff", "stroke-width": 5 }),
      s("path", { d, stroke: "#000", "stroke-width": 2 }),
    );
    this.side = side;
    this.point = [side / 2, side / 2];
    this.hide();
  }

  hide() {
    this.element.style.display = "none";
  }

  move(step) {
    this.point = this.point.map((value, axis) => Math.min(this.side, Math.max(0, value + step[axis])));
    const [left, top] = this.point.map(value => `${(100 * value) / this.side}%`);
    Object.assign(this.element.style, { display: "", left, top });
  }
}

function drawWithPointer({ canvas, drawing, cursor, pen, isDisabled }) {
  const pointOf = event => {
    const { left, top, width, height } = canvas.getBoundingClientRect();
    return [((event.clientX - left) / width) * canvas.width, ((event.clientY - top) / height) * canvas.height];
  };
  canvas.addEventListener("pointerdown", event => {
    if (event.button || isDisabled()) return;
    event.preventDefault();
    canvas.focus({ preventScroll: true, focusVisible: false });
    canvas.setPointerCapture(event.pointerId);
    cursor.hide();
    drawing.begin(pen, pointOf(event));
  });
  canvas.addEventListener("pointermove", event => {
    if (canvas.hasPointerCapture(event.pointerId)) drawing.extend(pointOf(event));
  });
  for (const name of ["pointerup", "pointercancel", "lostpointercapture"])
    canvas.addEventListener(name, () => drawing.end());
}

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1], " ": [0, 0] };

// Arrow keys move the cursor, in small steps with Shift; it draws while Space is held.
function drawWithKeys({ canvas, drawing, cursor, pen }) {
  canvas.addEventListener("keydown", event => {
    const direction = STEPS[event.key];
    if (!direction) return;
    event.preventDefault();
    const length = canvas.width / (event.shiftKey ? 140 : 35);
    cursor.move(direction.map(part => part * length));
    if (event.key === " " && !event.repeat) drawing.begin(pen, cursor.point);
    else drawing.extend(cursor.point);
  });
  canvas.addEventListener("keyup", event => {
    if (event.key !== " ") return;
    event.preventDefault();
    drawing.end();
  });
  canvas.addEventListener("blur", () => {
    drawing.end();
    cursor.hide();
  });
}

// help: the id of the element that explains the keys. onChange: called after each change by the user.
// The result's `pen` is used for the next stroke.
export function createPaper({ side, dark, help, onChange, isDisabled = () => false }) {
  const canvas = h("canvas", {
    width: side,
    height: side,
    tabindex: 0,
    class: "cl-paper",
    role: "application",
    "aria-label": "Paper to draw on",
    "aria-describedby": help,
  });
  const pen = { colour: dark ? "#ffffff" : "#111111", width: side / 28 };
  const drawing = new Drawing(canvas, dark ? "#000000" : "#ffffff", onChange);
  const cursor = new Cursor(side);
  drawWithPointer({ canvas, drawing, cursor, pen, isDisabled });
  drawWithKeys({ canvas, drawing, cursor, pen });
  return {
    element: h("div", { class: "cl-board" }, canvas, cursor.element),
    canvas,
    pen,
    isBlank: () => !drawing.background && !drawing.strokes.length,
    undo: () => drawing.undo(),
    reset: image => drawing.reset(image),
  };
}
