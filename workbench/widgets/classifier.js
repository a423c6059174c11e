// Drawing, dropping and flipping on the left, answers on the right. Pictures go to the kernel, which fits and answers.

const SIDE = 280, EVERY = 125, GRACE = 700;
const PENS = [["#111111", "black"], ["#ffffff", "white"], ["#7a4a21", "brown"], ["#8a8a8a", "grey"], ["#e08a1e", "orange"],
  ["#c62828", "red"], ["#2e7d32", "green"], ["#1565c0", "blue"]];

// The newest question goes out when the one before it is answered, and at most eight times a second.
function questions(model, kernelGone) {
  let next = null, timer = 0, last = -Infinity, since = 0;
  const open = () => model.get("answered") < model.get("asked").serial && Date.now() - since < 3000;
  const send = () => {
    timer = 0;
    if (!next || kernelGone()) return;
    const wait = last + EVERY - Date.now();
    if (wait > 0 || open()) { timer = setTimeout(send, Math.max(wait, open() ? 40 : 0, 5)); return; }
    const {source, values} = next;
    next = null;
    last = since = Date.now();
    const extra = values();
    tellKernel(model, {...extra, asked: {serial: model.get("asked").serial + 1, source, index: extra.index ?? 0}});
  };
  return (source, values = () => ({})) => { next = {source, values}; if (!timer) send(); };
}

function paper(model, changed) {
  const help = uid("help");
  const canvas = h("canvas", {width: SIDE, height: SIDE, tabindex: 0, class: "cl-paper", role: "application",
    "aria-label": "Paper to draw on", "aria-describedby": help});
  const pen = canvas.getContext("2d");
  const ground = model.get("dark") ? "#000000" : "#ffffff";
  const strokes = [];
  let before = null, stroke = null, colour = model.get("dark") ? "#ffffff" : "#111111", width = 10;
  const cursor = {x: SIDE / 2, y: SIDE / 2, shown: false};
  const line = ({colour, width, points}) => {
    pen.strokeStyle = pen.fillStyle = colour;
    pen.lineWidth = width;
    pen.lineCap = pen.lineJoin = "round";
    pen.beginPath();
    pen.moveTo(...points[0]);
    for (const point of points) pen.lineTo(...point);
    pen.stroke();
  };
  const paint = () => {
    pen.fillStyle = ground;
    pen.fillRect(0, 0, SIDE, SIDE);
    if (before) pen.drawImage(before, 0, 0, SIDE, SIDE);
    strokes.forEach(line);
  };
  // The cursor of the keyboard is no part of the drawing: it is laid over it.
  const cross = s("svg", {class: "cl-cross", viewBox: "-12 -12 24 24", "aria-hidden": "true"},
    s("path", {d: "M-11 0H-4M4 0H11M0-11V-4M0 4V11", stroke: "#fff", "stroke-width": 5}),
    s("path", {d: "M-11 0H-4M4 0H11M0-11V-4M0 4V11", stroke: "#000", "stroke-width": 2}));
  const place = () => {
    cross.style.display = cursor.shown ? "" : "none";
    cross.style.left = `${100 * cursor.x / SIDE}%`;
    cross.style.top = `${100 * cursor.y / SIDE}%`;
  };
  const address = () => canvas.toDataURL("image/png");
  const told = () => changed(address);
  const begin = (x, y) => { stroke = {colour, width, points: [[x, y]]}; strokes.push(stroke); paint(); told(); };
  const go = (x, y) => { if (stroke) { stroke.points.push([x, y]); paint(); told(); } };
  const end = () => { stroke = null; };
  const at = event => {
    const {left, top, width, height} = canvas.getBoundingClientRect();
    return [(event.clientX - left) / width * SIDE, (event.clientY - top) / height * SIDE];
  };
  canvas.addEventListener("pointerdown", event => {
    if (event.button || canvas.closest(".wb-dead")) return;
    event.preventDefault();
    canvas.focus({preventScroll: true});
    canvas.setPointerCapture(event.pointerId);
    cursor.shown = false;
    place();
    begin(...at(event));
  });
  canvas.addEventListener("pointermove", event => { if (canvas.hasPointerCapture(event.pointerId)) go(...at(event)); });
  for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) canvas.addEventListener(name, end);
  canvas.addEventListener("keydown", event => {
    const step = event.shiftKey ? 2 : 8;
    const [x, y] = {ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step]}[event.key] ?? [0, 0];
    if (!x && !y && event.key !== " ") return;
    event.preventDefault();
    Object.assign(cursor, {x: Math.min(SIDE, Math.max(0, cursor.x + x)), y: Math.min(SIDE, Math.max(0, cursor.y + y)), shown: true});
    place();
    if (event.key === " " && !event.repeat) begin(cursor.x, cursor.y);
    else go(cursor.x, cursor.y);
  });
  canvas.addEventListener("keyup", event => { if (event.key === " ") { event.preventDefault(); end(); } });
  canvas.addEventListener("blur", () => { end(); cursor.shown = false; place(); });
  const empty = () => { before = null; strokes.length = 0; paint(); };
  if (model.get("asked").source === "drawing" && model.get("drawing")) {
    const kept = h("img", {src: model.get("drawing")});
    kept.decode().then(() => { before = kept; paint(); }, () => {});
  }
  paint();
  place();
  const pens = choice({label: "Pen", options: PENS, value: colour, change: value => { colour = value; }});
  const widths = slider({label: "Width", min: 2, max: 40, step: 2, value: width, text: value => `${value}${SPACE}px`, input: value => { width = value; }});
  const element = h("div", {class: "cl-draw"},
    h("div", {class: "cl-board"}, canvas, cross),
    h("p", {class: "wb-note", id: help}, "Draw with the mouse or a finger, or drop a picture here. By keyboard: arrow keys move the pen, "
      + "with Shift in small steps; hold Space to draw. Or pick a file, or flip through the pictures."),
    h("div", {class: "wb-controls"}, pens.element, widths.element,
      button("Undo", () => { strokes.pop(); paint(); told(); }), button("Clear", () => { empty(); told(); })));
  return {element, canvas, empty};
}

// One engine: the three most probable labels as bars and numbers, and the time.
function card(engine, words) {
  const bars = h("ol", {class: "cl-bars"}), time = h("p", {class: "wb-note"});
  const threads = `${engine.threads} thread${engine.threads > 1 ? "s" : ""}`;
  const element = h("div", {class: "cl-card", role: "group", "aria-label": engine.title},
    h("h4", {}, engine.title), h("p", {class: "wb-note"}, `${engine.model}, ${engine.device}, ${engine.precision}${engine.device === "cpu" ? `, ${threads}` : ""}`), bars, time);
  let timer = 0;
  return {element, put(answer, empty) {
    clearTimeout(timer);
    element.classList.toggle("cl-old", !answer);
    if (!answer) {
      if (empty) { bars.replaceChildren(); time.textContent = ""; }
      // Most answers come before the eye has seen that they were missing.
      else timer = setTimeout(() => { time.textContent = words.waiting; }, GRACE);
      return;
    }
    const best = Object.entries(answer.probabilities).sort((one, other) => other[1] - one[1]).slice(0, 3);
    bars.replaceChildren(...best.map(([label, probability]) => {
      const bar = h("span", {class: "cl-bar", "aria-hidden": "true"});
      bar.style.width = `${100 * probability}%`;
      return h("li", {}, h("span", {class: "cl-label"}, label), h("span", {class: "wb-n"}, formatShare(probability)), bar);
    }));
    time.textContent = `${formatSeconds(answer.seconds)}, median of ${answer.calls} call${answer.calls > 1 ? "s" : ""} (${words.origin})`;
  }};
}

function render({model, el}) {
  const root = box(model, el, "What is in the picture?");
  const words = model.get("words"), live = model.get("live") !== false;
  const ask = questions(model, () => root.classList.contains("wb-dead"));
  const problem = h("p", {class: "wb-bad", role: "alert", hidden: true});
  const say = text => { problem.textContent = text; problem.hidden = !text; };

  const sheet = paper(model, address => ask("drawing", () => ({drawing: address()})));
  const flip = slider({label: "Pictures to flip through", min: 1, max: model.get("count"), kernel: true,
    value: Math.min(model.get("count"), (model.get("asked").index ?? 0) + 1), text: value => `${value} of ${model.get("count")}`,
    input: value => { sheet.empty(); ask("picture", () => ({index: value - 1})); }});
  const take = async file => {
    if (!file) { say(words.no_file); return; }
    const limit = model.get("largest");
    if (file.size > limit) {
      say(fill(words.too_large, {name: file.name, bytes: formatBytes(file.size), limit: formatBytes(limit)}));
      return;
    }
    const data = new DataView(await file.arrayBuffer());
    sheet.empty();
    ask("file", () => ({file: {name: file.name, data}}));
  };
  const picker = uid("file");
  const pick = h("input", {type: "file", id: picker, accept: "image/png,image/jpeg,image/webp,image/gif,image/bmp", "data-kernel": true,
    onchange: () => { if (pick.files.length) take(pick.files[0]); pick.value = ""; }});
  sheet.canvas.addEventListener("dragover", event => { event.preventDefault(); });
  sheet.canvas.addEventListener("drop", event => { event.preventDefault(); event.stopPropagation(); take(event.dataTransfer.files[0]); });

  const seen = h("img", {class: "cl-seen", width: 140, height: 140}), about = h("figcaption", {class: "wb-note"});
  const figure = h("figure", {}, seen, about);
  const sentence = h("p", {class: "cl-sentence"}), heard = h("p", {class: "cl-heard", role: "status", "aria-live": "polite"});
  const cards = model.get("engines").map(engine => card(engine, words));
  let timer = 0, settle = 0;
  const put = () => {
    const answers = model.get("answers"), picture = model.get("seen");
    cards.forEach((each, place) => each.put(answers.find(one => one.title === model.get("engines")[place].title), !picture));
    figure.hidden = !picture;
    if (picture) seen.src = picture;
    about.textContent = seen.alt = model.get("about");
    const tell = () => { sentence.textContent = model.get("sentence"); };
    clearTimeout(settle);
    // A sentence about half of the engines would flicker while drawing.
    if (answers.length === cards.length || !picture) tell();
    else settle = setTimeout(tell, 300);
    say(model.get("problem"));
    clearTimeout(timer);
    timer = setTimeout(() => { heard.textContent = sentence.textContent; }, 900);
  };
  const left = h("div", {}, sheet.element,
    h("div", {class: "wb-field"}, h("label", {for: picker}, "Pick a picture"), pick), model.get("count") > 1 && flip.element);
  root.append(live ? "" : h("p", {class: "wb-gone"}, words.no_kernel), problem, h("div", {class: live ? "cl-columns" : ""}, live && left,
    h("div", {}, figure, sentence, heard, h("div", {class: "cl-cards"}, cards.map(each => each.element)))));
  const names = ["answers", "seen", "about", "sentence", "problem"].map(name => `change:${name}`).join(" ");
  const draw = everyFrame(put);
  model.on(names, draw);
  put();
  return () => model.off(names, draw);
}

export default { render };
