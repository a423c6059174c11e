// What the widgets share, besides what they share with the application's page (elements.js, numbers.js). view.py puts it
// before each widget's own module; so nothing here is exported.

// The widget's own box: named for screen readers; keeps its keys from the notebook, which would take the arrows of a
// slider (JupyterLab after the widget, Notebook 7 before it, unless the very element that has the focus says so); and
// says so when the kernel behind it is gone.
function box(model, el, name) {
  const gone = h("p", {class: "wb-gone", role: "alert", hidden: true});
  const root = h("section", {class: "wb", "aria-label": name}, gone);
  root.addEventListener("keydown", event => event.stopPropagation());
  root.addEventListener("focusin", event => { event.target.dataset.lmSuppressShortcuts = "true"; });
  model.on("comm_live_update", () => {
    gone.hidden = false;
    gone.textContent = "The kernel behind this widget is gone. What it shows stays; run its cell again to go on.";
    root.classList.add("wb-dead");
    for (const control of root.querySelectorAll("[data-kernel]")) control.disabled = true;
  });
  el.replaceChildren(root);
  return root;
}

// Controls: all native, all with a label that is seen and spoken. `text` says a slider's value in words.
function slider({label, min, max, step = 1, value, text, input, kernel}) {
  const id = uid("slider");
  const told = h("output", {for: id, class: "wb-value"});
  const control = h("input", {type: "range", id, min, max, step, "data-kernel": kernel, oninput: () => {
    tell();
    input(Number(control.value));
  }});
  const tell = () => {
    told.textContent = text(Number(control.value));
    control.setAttribute("aria-valuetext", told.textContent);
  };
  const put = to => { control.value = to; tell(); };
  put(value);
  return {element: h("div", {class: "wb-field"}, h("label", {for: id}, label), control, told), control, put, tell};
}
function choice({label, options, value, change, kernel}) {
  const id = uid("choice");
  const control = h("select", {id, "data-kernel": kernel, onchange: () => change(control.value)});
  const offer = (all, chosen) => {
    control.replaceChildren(...all.map(one => {
      const [key, name] = Array.isArray(one) ? one : [one, one];
      return h("option", {value: key, selected: key === chosen}, name);
    }));
    control.value = chosen;
  };
  offer(options, value);
  return {element: h("div", {class: "wb-field"}, h("label", {for: id}, label), control), control, offer};
}
const button = (name, onclick, attributes) => h("button", {type: "button", class: "wb-button", onclick, ...attributes}, name);
const announcer = () => h("p", {class: "wb-said", role: "status", "aria-live": "polite"});

// Progress: how much of the whole, and in words what is done and what is left.
function progress(label) {
  const bar = h("progress", {max: 1, value: 0, "aria-label": label});
  const told = h("span", {class: "wb-value"});
  const element = h("div", {class: "wb-progress", hidden: true}, bar, told);
  return {element, put(share, words) {
    element.hidden = share === null;
    if (share !== null) bar.value = share;
    told.textContent = words ?? "";
  }};
}

// Figures in a list: what, how much, and what to know about it. Only what is another is written.
function figureList() {
  const element = h("dl", {class: "wb-figures"});
  const item = () => element.appendChild(h("div", {}, h("dt"), h("dd", {class: "wb-figure"}), h("dd", {class: "wb-note"})));
  return {element, put(rows) {
    while (element.children.length > rows.length) element.lastChild.remove();
    rows.forEach((texts, place) => {
      const parts = (element.children[place] ?? item()).children;
      texts.forEach((text, part) => { if (parts[part].textContent !== text) parts[part].textContent = text; });
    });
  }};
}

// At most one call a frame, with the newest state.
function everyFrame(draw) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; draw(); });
  };
}

// Writing one trait of the model, to the kernel too.
function tellKernel(model, values) {
  for (const [name, value] of Object.entries(values)) model.set(name, value);
  model.save_changes();
}

const fill = (template, facts) => template.replace(/\{(\w+)\}/g, (_, name) => facts[name]);

// Scales and marks of charts.
const logScale = (low, high, from, to) => {
  const span = Math.log(high / low) || 1;
  const scale = value => from + (to - from) * Math.log(value / low) / span;
  scale.invert = place => low * Math.exp(span * (place - from) / (to - from));
  return scale;
};
const linearScale = (low, high, from, to) => value => from + (to - from) * (value - low) / ((high - low) || 1);
function decades(low, high, most = 7) {
  const first = Math.floor(Math.log10(low)), last = Math.ceil(Math.log10(high));
  const step = Math.max(1, Math.ceil((last - first) / most));
  const found = [];
  for (let power = first; power <= last; power += step) found.push(10 ** power);
  return found.filter(value => value >= low * 0.999 && value <= high * 1.001);
}
function evenTicks(low, high, count = 5) {
  const raw = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map(factor => factor * power).find(value => value >= raw * 0.999);
  const found = [];
  for (let value = Math.ceil(low / step - 1e-9) * step; value <= high + step * 1e-9; value += step) found.push(value);
  return found;
}
// The nth series: colour and dashes, both, so that neither stands alone.
const HUES = 6;
const DASHES = ["", "7 4", "2 3"];
const hue = place => `var(--wb-series-${place % HUES})`;
const dashes = place => DASHES[Math.floor(place / HUES) % DASHES.length];
// Origin by shape: measured a filled disc, recorded a ring, modelled a hollow triangle.
function mark(origin, x, y, colour, size = 5) {
  if (origin === "modelled")
    return s("path", {d: `M${x} ${y - size}l${size} ${1.75 * size}h${-2 * size}z`, fill: "var(--wb-paper)", stroke: colour, "stroke-width": 1.8});
  return s("circle", {cx: x, cy: y, r: size, fill: origin === "measured" ? colour : "var(--wb-paper)", stroke: colour, "stroke-width": 2});
}

// Files.
function save(name, blob) {
  const address = URL.createObjectURL(blob);
  h("a", {href: address, download: name}).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}
function saveCsv(name, rows) {
  const cell = value => /[",\n\r]/.test(value = String(value ?? "")) ? `"${value.replaceAll('"', '""')}"` : value;
  save(`${name}.csv`, new Blob([rows.map(row => row.map(cell).join(",")).join("\r\n") + "\r\n"], {type: "text/csv"}));
}
// Charts side by side under a title, as they look: what the style sheet says is written into copies, as a picture has none.
async function savePng(name, title, charts, scale = 2) {
  const pictures = await Promise.all(charts.map(pictureOf));
  const gap = 24, head = 34;
  const width = pictures.reduce((sum, picture) => sum + picture.width + gap, gap);
  const height = Math.max(...pictures.map(picture => picture.height)) + head + gap;
  const canvas = h("canvas", {width: width * scale, height: height * scale});
  const pen = canvas.getContext("2d");
  const colour = which => getComputedStyle(charts[0].closest(".wb")).getPropertyValue(which);
  pen.scale(scale, scale);
  pen.fillStyle = colour("--wb-paper");
  pen.fillRect(0, 0, width, height);
  pen.fillStyle = colour("--wb-ink");
  pen.font = "600 15px system-ui, sans-serif";
  pen.fillText(title, gap, 24, width - 2 * gap);
  let left = gap;
  for (const picture of pictures) {
    pen.drawImage(picture, left, head, picture.width, picture.height);
    left += picture.width + gap;
  }
  canvas.toBlob(blob => save(`${name}.png`, blob));
}
async function pictureOf(chart) {
  const copy = chart.cloneNode(true);
  const shown = [chart, ...chart.querySelectorAll("*")];
  [copy, ...copy.querySelectorAll("*")].forEach((element, place) => {
    const style = getComputedStyle(shown[place]);
    for (const name of ["fill", "stroke", "stroke-width", "stroke-dasharray", "opacity", "font", "text-anchor", "display", "paint-order"])
      element.style.setProperty(name, style.getPropertyValue(name));
  });
  const {width, height} = chart.getBoundingClientRect();
  copy.setAttribute("width", width * 2);
  copy.setAttribute("height", height * 2);
  const picture = new Image(width, height);
  picture.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(new XMLSerializer().serializeToString(copy));
  await picture.decode();
  return picture;
}
