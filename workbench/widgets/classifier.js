// Drawing, dropping and flipping on the left, answers on the right. Pictures go to the kernel, which fits and answers.

const SIDE = 280, EVERY = 125, GRACE = 700;

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

function sheetOf(model, changed) {
  const help = uid("help");
  const sheet = paper({side: SIDE, dark: model.get("dark"), help, changed: () => changed(address),
    dead: () => sheet.canvas.closest(".wb-dead")});
  const address = () => sheet.canvas.toDataURL("image/png");
  const {pen} = sheet;
  if (model.get("asked").source === "drawing" && model.get("drawing")) {
    const kept = h("img", {src: model.get("drawing")});
    kept.decode().then(() => sheet.lay(kept), () => {});
  }
  const pens = choice({label: "Pen", options: PENS, value: pen.colour, change: value => { pen.colour = value; }});
  const widths = slider({label: "Width", min: 2, max: 40, step: 2, value: pen.width, text: value => `${value}${SPACE}px`, input: value => { pen.width = value; }});
  const element = h("div", {class: "cl-draw"}, sheet.element,
    h("p", {class: "wb-note", id: help}, "Draw with the mouse or a finger, or drop a picture here. By keyboard: arrow keys move the pen, "
      + "with Shift in small steps; hold Space to draw. Or pick a file, or flip through the pictures."),
    h("div", {class: "wb-controls"}, pens.element, widths.element,
      button("Undo", sheet.undo), button("Clear", () => { sheet.lay(null); changed(address); })));
  return {element, canvas: sheet.canvas, empty: () => sheet.lay(null)};
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

  const sheet = sheetOf(model, address => ask("drawing", () => ({drawing: address()})));
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
