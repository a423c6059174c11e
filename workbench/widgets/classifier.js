// Draw, drop or flip through images on the left; the answers, which come from the kernel, are on the right.

import { h, uid } from "../serving/page/elements.js";
import { formatBytes, formatSeconds, formatShare, plural, SPACE } from "../serving/page/numbers.js";
import { createPaper, PENS } from "../serving/page/paper.js";
import { button, dropdown, KERNEL, note, slider, statusLine } from "./controls.js";
import { createRoot, everyFrame, fill, isLive, observe, update } from "./frame.js";

const SIDE = 280;
const INTERVAL = 125; // ms from one request to the next
const PATIENCE = 3000; // ms for an answer
const GRACE = 700; // ms before an answer is shown as missing: most arrive before anyone notices
const SETTLED = 300; // ms before a sentence about only some engines is shown, which would flicker while drawing
const ANNOUNCED_AFTER = 900; // ms
const IMAGE_TYPES = "image/png,image/jpeg,image/webp,image/gif,image/bmp";

// Send images to the kernel, one at a time. Of those that arrive before the answer, only the latest is sent; its traits
// are computed just before.
function requestQueue(model, isGone) {
  let next = null;
  let timer = 0;
  let sentAt = Number.NEGATIVE_INFINITY;
  const isOpen = () => model.get("handled") < model.get("request").serial && Date.now() - sentAt < PATIENCE;
  const send = () => {
    timer = 0;
    if (!next || isGone()) return;
    const wait = sentAt + INTERVAL - Date.now();
    if (wait > 0 || isOpen()) {
      timer = setTimeout(send, Math.max(wait, isOpen() ? 40 : 0, 5));
      return;
    }
    const { source, traits } = next;
    next = null;
    sentAt = Date.now();
    const values = traits();
    const request = { serial: model.get("request").serial + 1, source, index: values.index ?? 0 };
    update(model, { ...values, request });
  };
  return (source, traits) => {
    next = { source, traits };
    if (!timer) send();
  };
}

function drawingArea(model, request) {
  const help = uid("help");
  const changed = () => request("drawing", () => ({ drawing: paper.canvas.toDataURL("image/png") }));
  const paper = createPaper({
    side: SIDE,
    dark: model.get("dark"),
    help,
    onChange: changed,
    isDisabled: () => paper.canvas.closest(".wb-dead"),
  });
  if (model.get("request").source === "drawing" && model.get("drawing")) {
    const kept = h("img", { src: model.get("drawing") });
    kept.decode().then(
      () => paper.reset(kept),
      () => {},
    );
  }
  const { pen } = paper;
  const setColour = colour => {
    pen.colour = colour;
  };
  const setWidth = width => {
    pen.width = width;
  };
  const format = value => `${value}${SPACE}px`;
  const colours = dropdown({ label: "Pen", options: PENS, value: pen.colour, onChange: setColour });
  const widths = slider({
    label: "Width",
    min: 2,
    max: 40,
    step: 2,
    value: pen.width,
    text: format,
    onInput: setWidth,
  });
  const clear = () => {
    paper.reset(null);
    changed();
  };
  const element = h(
    "div",
    { class: "cl-draw" },
    paper.element,
    note(
      "Draw with the mouse or a finger, or drop an image here. By keyboard: arrow keys move the pen, " +
        "with Shift in small steps; hold Space to draw. Or pick a file, or flip through the images.",
      { id: help },
    ),
    h(
      "div",
      { class: "wb-controls" },
      colours.element,
      widths.element,
      button("Undo", paper.undo),
      button("Clear", clear),
    ),
  );
  return { element, paper };
}

// The three most probable labels, as bars and numbers.
function answerBars({ probabilities }) {
  const best = Object.entries(probabilities)
    .sort((a, b) => b[1] - a[1])
    .slice(0, 3);
  return best.map(([label, probability]) => {
    const bar = h("span", { class: "cl-bar", "aria-hidden": "true" });
    bar.style.width = `${100 * probability}%`;
    const share = h("span", { class: "wb-n" }, formatShare(probability));
    return h("li", {}, h("span", { class: "cl-label" }, label), share, bar);
  });
}

function engineCard(engine, words) {
  const bars = h("ol", { class: "cl-bars" });
  const time = note("");
  const threads = engine.device === "cpu" ? `, ${plural(engine.threads, "thread")}` : "";
  const element = h(
    "div",
    { class: "cl-card", role: "group", "aria-label": engine.title },
    h("h4", {}, engine.title),
    note(`${engine.model}, ${engine.device}, ${engine.precision}${threads}`),
    bars,
    time,
  );
  let timer = 0;
  const showWaiting = () => {
    time.textContent = words.waiting;
  };
  // answer: undefined while there is none. isEmpty: whether there is no image at all.
  const set = (answer, isEmpty) => {
    clearTimeout(timer);
    element.classList.toggle("cl-old", !answer);
    if (answer) {
      bars.replaceChildren(...answerBars(answer));
      const median = `median of ${plural(answer.calls, "call")}`;
      time.textContent = `${formatSeconds(answer.seconds)}, ${median} (${words.origin})`;
    } else if (isEmpty) {
      bars.replaceChildren();
      time.textContent = "";
    } else timer = setTimeout(showWaiting, GRACE);
  };
  return { element, set };
}

function problemLine() {
  const element = h("p", { class: "wb-bad", role: "alert", hidden: true });
  const set = text => {
    element.textContent = text;
    element.hidden = !text;
  };
  return { element, set };
}

// Files: dropped on the paper, or picked.
function filePicker(model, paper, request, problem) {
  const words = model.get("words");
  const take = async file => {
    if (!file) return problem.set(words.no_file);
    const limit = model.get("max_file_bytes");
    const sizes = { name: file.name, bytes: formatBytes(file.size), limit: formatBytes(limit) };
    if (file.size > limit) return problem.set(fill(words.too_large, sizes));
    const data = new DataView(await file.arrayBuffer());
    paper.reset(null);
    request("file", () => ({ file: { name: file.name, data } }));
  };
  paper.canvas.addEventListener("dragover", event => event.preventDefault());
  paper.canvas.addEventListener("drop", event => {
    event.preventDefault();
    event.stopPropagation();
    take(event.dataTransfer.files[0]);
  });
  const id = uid("file");
  const onchange = () => {
    if (control.files.length) take(control.files[0]);
    control.value = "";
  };
  const control = h("input", { type: "file", id, accept: IMAGE_TYPES, ...KERNEL, onchange });
  return h("div", { class: "wb-field" }, h("label", { for: id }, "Pick an image"), control);
}

function inputs(model, root, problem) {
  const request = requestQueue(model, () => root.classList.contains("wb-dead"));
  const drawing = drawingArea(model, request);
  const count = model.get("count");
  const flip = slider({
    label: "Images to flip through",
    min: 1,
    max: count,
    kernel: true,
    value: Math.min(count, (model.get("request").index ?? 0) + 1),
    text: value => `${value} of ${count}`,
    onInput: value => {
      drawing.paper.reset(null);
      request("image", () => ({ index: value - 1 }));
    },
  });
  return h("div", {}, drawing.element, filePicker(model, drawing.paper, request, problem), count > 1 && flip.element);
}

function answers(model, problem) {
  const image = h("img", { class: "cl-seen", width: 140, height: 140 });
  const caption = h("figcaption", { class: "wb-note" });
  const figure = h("figure", {}, image, caption);
  const sentence = h("p", { class: "cl-sentence" });
  const announcement = statusLine("wb-visually-hidden");
  const engines = model.get("engines").map(engine => ({ ...engineCard(engine, model.get("words")), ...engine }));
  let settling = 0;
  let announcing = 0;
  const showSentence = () => {
    sentence.textContent = model.get("sentence");
  };
  const draw = () => {
    const given = model.get("answers");
    const address = model.get("image_address");
    for (const { title, set } of engines)
      set(
        given.find(answer => answer.title === title),
        !address,
      );
    figure.hidden = !address;
    if (address) image.src = address;
    caption.textContent = image.alt = model.get("caption");
    clearTimeout(settling);
    if (given.length === engines.length || !address) showSentence();
    else settling = setTimeout(showSentence, SETTLED);
    problem.set(model.get("problem"));
    clearTimeout(announcing);
    announcing = setTimeout(() => {
      announcement.textContent = sentence.textContent;
    }, ANNOUNCED_AFTER);
  };
  const cards = h(
    "div",
    { class: "cl-cards" },
    engines.map(({ element }) => element),
  );
  return { element: h("div", {}, figure, sentence, announcement, cards), draw };
}

function render({ model, el }) {
  const root = createRoot(model, el, "What is in the image?");
  const live = isLive(model);
  const problem = problemLine();
  const right = answers(model, problem);
  root.append(
    live ? "" : h("p", { class: "wb-gone" }, model.get("words").no_kernel),
    problem.element,
    h("div", { class: live ? "cl-columns" : "" }, live && inputs(model, root, problem), right.element),
  );
  observe(model, ["answers", "image_address", "caption", "sentence", "problem"], everyFrame(right.draw));
  right.draw();
}

export default { render };
