// The application's page: a picture goes to the server that sent this page, its answer comes back. Addresses are relative,
// so that it also works behind a proxy that puts a folder in front.

const GAP = 100, PATIENCE = 30000, SETTLED = 900, CALM = 500, SIDE = 320, DARK = 0.35, FEW = 12;
const PARTS = [["network", "Network and waiting", "by this page"], ["decoding", "Decoding the picture", "by the server"],
  ["inference", "Inference", "by the server"]];
const INVITING = "Draw something, or choose a picture.", STOPPED = "The application does not answer; is it still running?";
const $ = id => document.getElementById(id);
const pause = milliseconds => new Promise(resolve => setTimeout(resolve, milliseconds));
const plural = (count, what) => `${commas(count)} ${what}${count === 1 ? "" : "s"}`;

// What went wrong, in a sentence; and a way to ask again where that may help.
let retry = null;
function say(text, again) {
  retry = again;
  if (($("problem").firstChild?.textContent ?? "") === text) return;
  $("problem").replaceChildren(...text ? [h("p", {}, text)] : []);
  if (again) $("problem").append(h("button", {type: "button", onclick: () => retry()}, "Try again"));
}

// A question gives the picture's bytes when its turn comes: its name, if it has one, and what to note beside the answer.
// One is asked at a time; of those that come meanwhile, the newest is asked next. A round ends where nothing is shown.
let next = null, asking = false, round = 0;
async function ask(question) {
  next = question;
  if (asking) return;
  asking = true;
  while (next) {
    const asked = next, began = round, start = performance.now();
    next = null;
    const outcome = await put(asked).catch(() => ({problem: STOPPED, again: () => { say(""); ask(asked); }}));
    if (began === round) {
      say(outcome.problem ?? "", outcome.again);
      if (outcome.wait) next ??= asked;
      if (outcome.wait) $("bars").classList.add("old");
      else if (outcome.problem) blank("No answer to this picture.");
      else await show(outcome, asked.notes);
      await pause(outcome.wait ? 1000 * outcome.wait : start + GAP - performance.now());
    }
  }
  asking = false;
}
async function put({bytes, name}) {
  const body = await bytes();
  const start = performance.now();
  performance.clearResourceTimings();
  const response = await fetch("classify", {method: "POST", body, signal: AbortSignal.timeout(PATIENCE)});
  const told = await response.json().catch(() => ({}));
  // The browser's own record, where there is one: an answer that is there may have to wait for what else this page does.
  const {requestStart = start, responseEnd = performance.now()} = performance.getEntriesByName(response.url)[0] ?? {};
  const whole = (responseEnd - requestStart) / 1000;
  if (response.ok) {
    const {decoding, inference} = told.seconds;
    return {...told.answers[0], body, version: told.model.version, seconds: {network: Math.max(0, whole - decoding - inference), decoding, inference}};
  }
  if (response.status === 503) {
    const wait = Math.min(30, Math.max(1, Number(response.headers.get("Retry-After"))));
    return {wait, problem: `The server is busy. Asking again in ${plural(wait, "second")}.`};
  }
  return {problem: told.detail?.replace(/^the picture\b/, name ?? "The picture") ?? `The server could not answer: status ${response.status}.`};
}
function forget() {
  next = null;
  round += 1;
  say("");
  blank(INVITING);
}

// The answer.
const rows = new Map();
function list(labels) {
  rows.clear();
  for (const label of labels) {
    const bar = h("span", {class: "bar"}), number = h("span", {class: "number"}, "–");
    const row = h("li", {}, h("span", {class: "label"}, label), h("span", {class: "track", "aria-hidden": "true"}, bar), number);
    rows.set(label, {row, bar, number});
  }
  $("bars").replaceChildren(...[...rows.values()].map(({row}) => row));
  $("all").hidden = rows.size <= FEW;
  $("all").textContent = `All ${rows.size} labels`;
}
$("all").onclick = () => $("all").setAttribute("aria-expanded", $("bars").classList.toggle("whole"));

// Rows that change places glide there, unless the reader wants no motion.
function arrange(sorted) {
  if (sorted.every((row, place) => $("bars").children[place] === row)) return;
  const before = new Map(sorted.map(row => [row, row.offsetTop]));
  $("bars").replaceChildren(...sorted);
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  for (const row of sorted) {
    const way = before.get(row) - row.offsetTop;
    if (way) row.animate([{transform: `translateY(${way}px)`}, {transform: "none"}], {duration: 220, easing: "ease-out"});
  }
}
let settling = 0;
function hear(text) {
  clearTimeout(settling);
  settling = setTimeout(() => { $("heard").textContent = text; }, SETTLED);
}
async function show({label, probability, probabilities, notes, body, version, seconds}, own) {
  const picture = await createImageBitmap(body).catch(() => null);
  if (version !== card?.version) await meet();
  if (!rows.has(label)) list(Object.keys(probabilities));
  thumbnail(picture);
  for (const [name, {bar, number}] of rows) {
    bar.style.width = `${100 * probabilities[name]}%`;
    number.textContent = formatShare(probabilities[name]);
  }
  // What rounds to the same share keeps its place, or the last rows would dance while one draws.
  const rank = name => name === label ? 1001 : Math.round(1000 * probabilities[name]);
  arrange([...rows.keys()].sort((one, other) => rank(other) - rank(one)).map(name => rows.get(name).row));
  $("bars").classList.remove("old");
  $("bars").classList.add("answered");
  $("sentence").replaceChildren("It says: ", h("strong", {}, label), `, ${formatShare(probability)}.`);
  $("notes").replaceChildren(...[...own, ...notes].map(note => h("li", {}, note)));
  if (!next || performance.now() - timed > CALM) showTimes(seconds);
  hear([$("sentence").textContent, ...own, ...notes].join(" "));
}
function blank(sentence) {
  for (const {bar, number} of rows.values()) { bar.style.width = 0; number.textContent = "–"; }
  $("bars").classList.remove("old", "answered");
  $("sentence").textContent = sentence;
  $("notes").replaceChildren();
  thumbnail(null);
  showTimes(null);
  hear(sentence);
}
function thumbnail(picture) {
  const {width, height} = Object.assign($("seen"), {width: size().width, height: size().height});
  $("seen").setAttribute("aria-label", picture ? `The picture that was sent, at ${width} by ${height} pixels` : "No picture yet");
  const pen = $("seen").getContext("2d");
  pen.imageSmoothingQuality = "high";
  if (picture) pen.drawImage(picture, ...middle(picture, width, height), 0, 0, width, height);
}
const segments = PARTS.map(([part]) => h("span", {class: part}));
const figures = PARTS.map(() => h("dd", {}, "–"));
$("split").append(...segments);
$("times").append(...PARTS.map(([part, name, who], place) => h("div", {}, h("span", {class: `swatch ${part}`, "aria-hidden": "true"}),
  h("dt", {}, name), figures[place], h("dd", {class: "origin"}, `measured just now ${who}`))));
let timed = -Infinity;
function showTimes(seconds) {
  timed = seconds ? performance.now() : -Infinity;
  const whole = seconds && PARTS.reduce((sum, [part]) => sum + seconds[part], 0);
  $("split").classList.toggle("measured", Boolean(seconds));
  $("total").textContent = seconds ? formatSeconds(whole) : "";
  PARTS.forEach(([part], place) => {
    segments[place].style.flexGrow = seconds ? seconds[part] / whole : 0;
    figures[place].textContent = seconds ? formatSeconds(seconds[part]) : "–";
  });
}

// The network's card. It is asked for again when another network has taken over.
let card = null;
const size = () => card?.input ?? {width: 32, height: 32};
async function meet() {
  card = await fetch("card").then(response => response.ok ? response.json() : null).catch(() => null);
  if (!card) return say(STOPPED, () => location.reload());
  const {name, version, created, labels, accuracy, engine, input, data, hyperparameters, versions, examples, limits} = card;
  list(labels);
  $("about").replaceChildren("Draw something or choose a picture: the network ", h("strong", {}, name),
    ` tells how probable each of its ${plural(labels.length, "label")} is.`);
  $("examples").replaceChildren(...examples.map(({picture, label}, place) => {
    const source = picture.replace(/^\//, "");
    const take = () => fetch(source).then(response => response.blob()).then(blob => choose(blob, [`Its label is ${label}.`]), () => say(STOPPED));
    return h("li", {}, h("button", {type: "button", "aria-label": `Example ${place + 1}: ${label}`, onclick: take},
      h("img", {src: source, alt: "", width: 64, height: 64}), h("span", {}, label)));
  }));
  $("shelf").hidden = !examples.length;
  const plain = value => value === null ? "–" : typeof value === "boolean" ? (value ? "yes" : "no") : String(value);
  const spaced = values => Object.entries(values).map(([key, value]) => [key.replaceAll("_", " "), plain(value)]);
  const facts = {
    "The bundle": [["name", name], ["version", version],
      ["created", new Date(created).toLocaleDateString("en-GB", {day: "numeric", month: "long", year: "numeric"})],
      ["trained on", data ?? "data of its own"],
      ["a picture goes in as", `${input.width} × ${input.height} pixels, ${input.channels === 1 ? "grey" : "colour"}`],
      ["labels", labels.slice(0, 30).join(", ") + (labels.length > 30 ? `, and ${labels.length - 30} more` : "")]],
    "On the test set": [["accuracy", formatShare(engine.accuracy)], ["accuracy in PyTorch", formatShare(accuracy)],
      ["same label as in PyTorch", formatShare(engine.agreement)], ["a probability differs by at most", formatShare(engine.largest_difference)]],
    "What runs here, in ONNX Runtime": [["engine", engine.name], ["precision", engine.precision], ["size", formatBytes(engine.bytes)]],
    "Limits of a request": [["size", formatBytes(limits.body_bytes)], ["pixels of a picture", commas(limits.pixels)], ["pictures", commas(limits.pictures)]],
    "Made with": spaced(versions),
    "Hyper-parameters": spaced(hyperparameters),
  };
  $("facts").replaceChildren(...Object.entries(facts).filter(([, pairs]) => pairs.length).map(([title, pairs]) => h("section", {},
    h("h3", {}, title), h("dl", {}, pairs.map(([key, value]) => h("div", {}, h("dt", {}, key), h("dd", {}, value)))))));
  if ($("card").hidden) $("card").open = matchMedia("(min-width: 900px)").matches;
  $("card").hidden = false;
}
await meet();

// Drawing. Networks that learned from bright strokes on black, such as MNIST's, are given black paper.
const {mean = [1]} = size(), dark = mean.reduce((sum, value) => sum + value, 0) / mean.length < DARK;
const sheet = paper({side: SIDE, dark, help: "help", changed: () => sheet.isBlank() ? forget()
  : ask({bytes: () => new Promise(resolve => sheet.canvas.toBlob(resolve)), notes: []})});
$("board").replaceWith(sheet.element);
$("pens").append(...PENS.map(([value, name]) => {
  const dot = h("span", {class: "dot", "aria-hidden": "true"});
  dot.style.background = value;
  return h("label", {title: name}, h("input", {type: "radio", name: "pen", "aria-label": name, checked: value === sheet.pen.colour,
    onchange: () => { sheet.pen.colour = value; }}), dot);
}));
$("width").oninput = () => {
  sheet.pen.width = Number($("width").value);
  $("width").setAttribute("aria-valuetext", plural(sheet.pen.width, "pixel"));
};
$("width").oninput();
$("undo").onclick = sheet.undo;
$("clear").onclick = () => { sheet.lay(null); forget(); };

// Pictures that are there already.
async function take(files, none) {
  const [file] = files;
  if (!file) return say(none);
  const limit = card?.limits.body_bytes ?? Infinity;
  if (file.size > limit) return say(`${file.name} has ${formatBytes(file.size)}, more than the limit of ${formatBytes(limit)}. Save the picture smaller.`);
  const content = await file.arrayBuffer().catch(() => null);
  if (!content) return say(`${file.name} cannot be read. Is it a folder?`);
  choose(new Blob([content]), files.length > 1 ? [`This is the first of ${files.length} files.`] : [], file.name);
}
async function choose(blob, notes, name) {
  ask({bytes: () => blob, notes, name});
  $("sentence").scrollIntoView({block: "nearest"});
  sheet.lay(await createImageBitmap(blob).catch(() => null));
}
$("file").onchange = async () => { await take($("file").files, "No file was picked."); $("file").value = ""; };
document.onpaste = event => take(event.clipboardData.files, "The clipboard holds no picture.");
document.ondragover = event => { event.preventDefault(); document.body.classList.add("dropping"); };
document.ondragleave = event => { if (!event.relatedTarget) document.body.classList.remove("dropping"); };
document.ondrop = event => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  take(event.dataTransfer.files, "What was dropped is no file. Save the picture first, and drop or pick its file.");
};
