// What a weights file holds: the list of its tensors, the chosen one at three precisions, and the files as bars.

const PARTS = ["weights", "text", "optimizer state", "records and random state", "rest"];
const short = value => String(Number(value.toPrecision(3)));

// A long name may go on in a new line after each dot or underscore.
const broken = name => name.split(/(?<=[._])/).map(part => [part, h("wbr")]);

// The list: native radio buttons, so that the arrow keys move through it.
function tensorList(model, choose) {
  const group = uid("tensor"), heading = uid("tensors");
  const largest = Math.max(...model.get("tensors").map(tensor => tensor.share), 1e-9);
  const radios = new Map();
  const rows = model.get("tensors").map((tensor, place) => {
    const radio = h("input", {type: "radio", name: group, value: tensor.name, onchange: () => choose(tensor.name)});
    radios.set(tensor.name, radio);
    const bar = h("span", {class: "wb-share", "aria-hidden": "true"});
    bar.style.width = `${Math.max(2, 100 * tensor.share / largest)}%`;
    const {shape, share} = model.get("details")[place];
    return h("tr", {onclick: () => { radio.checked = true; choose(tensor.name); }},
      h("th", {scope: "row"}, h("label", {class: "wb-named"}, radio, h("span", {}, broken(tensor.name)))), h("td", {class: "wb-shape"}, shape),
      h("td", {class: "wb-n"}, formatBytes(tensor.bytes)), h("td", {class: "wb-n"}, share, h("span", {class: "wb-share-line"}, bar)));
  });
  const table = h("table", {"aria-labelledby": heading},
    h("thead", {}, h("tr", {}, h("th", {scope: "col"}, "name"), h("th", {scope: "col", class: "wb-shape"}, "shape"),
      h("th", {scope: "col", class: "wb-n"}, "bytes"), h("th", {scope: "col", class: "wb-n"}, "share"))),
    h("tbody", {}, rows));
  const scroller = h("div", {class: "wb-tensors"}, table);
  const element = h("div", {}, h("h3", {id: heading}, "Tensors"),
    h("p", {class: "wb-note wb-path"}, `Choose one; the arrow keys move on. Bytes as stored in ${model.get("name")} (measured).`), scroller);
  return {element, put(name) {
    for (const [other, radio] of radios) {
      radio.checked = other === name;
      radio.closest("tr").classList.toggle("wb-on", other === name);
    }
    const row = radios.get(name).closest("tr"), above = row.offsetTop - table.tHead.offsetHeight;
    if (above < scroller.scrollTop) scroller.scrollTop = above;
    else if (row.offsetTop + row.offsetHeight > scroller.scrollTop + scroller.clientHeight)
      scroller.scrollTop = row.offsetTop + row.offsetHeight - scroller.clientHeight;
  }};
}

// fp32 filled; the rounded ones as lines of their own dashes over it.
function histogram(tensor, kinds, width) {
  const [height, left, top, bottom] = [230, 58, 26, 36];
  const names = Object.keys(kinds);
  const most = Math.max(1, ...names.flatMap(name => kinds[name].counts));
  const x = linearScale(0, kinds.fp32.counts.length, left, width - 8);
  const y = linearScale(0, most, height - bottom, top);
  const outline = counts => counts.map((count, bin) => `${bin ? "L" : "M"}${x(bin)} ${y(count)}H${x(bin + 1)}`).join("");
  const drawn = names.map((name, place) => name === "fp32"
    ? s("path", {d: `M${x(0)} ${y(0)}${outline(kinds[name].counts).replace("M", "L")}V${y(0)}z`, fill: "var(--wb-line)",
      stroke: "var(--wb-edge)", "stroke-width": 1})
    : s("path", {d: outline(kinds[name].counts), fill: "none", stroke: hue(place - 1), "stroke-width": 1.8,
      "stroke-dasharray": ["", "", "3 2.5"][place]}));
  const ticks = tensor.max > tensor.min ? evenTicks(tensor.min, tensor.max, width < 400 ? 3 : 5) : [];
  const across = value => linearScale(tensor.min, tensor.max, left, width - 8)(value);
  const counts = evenTicks(0, most, 4).filter(count => Number.isInteger(count));
  return s("svg", {viewBox: `0 0 ${width} ${height}`, role: "img",
      "aria-label": `Histogram of ${tensor.name}: from ${short(tensor.min)} to ${short(tensor.max)}, ${names.join(", ")}`},
    counts.map(count => [s("line", {class: "wb-grid", x1: left, x2: width - 8, y1: y(count), y2: y(count)}),
      s("text", {class: "wb-axis", x: left - 6, y: y(count) + 4, "text-anchor": "end"}, commas(count))]),
    drawn,
    s("line", {x1: left, x2: width - 8, y1: y(0), y2: y(0), stroke: "var(--wb-edge)"}),
    ticks.map(value => s("text", {class: "wb-axis", x: across(value), y: height - bottom + 15, "text-anchor": "middle"}, short(value))),
    s("text", {class: "wb-axis", x: width - 8, y: height - 4, "text-anchor": "end"}, "value of the number →"),
    s("text", {class: "wb-axis", x: 0, y: 12}, "how many numbers ↑"));
}

const swatch = (name, place) => s("svg", {class: "wb-swatch", viewBox: "0 0 24 12", "aria-hidden": "true"}, name === "fp32"
  ? s("rect", {x: 1, y: 1, width: 22, height: 10, fill: "var(--wb-line)", stroke: "var(--wb-edge)"})
  : s("line", {x1: 0, x2: 24, y1: 6, y2: 6, stroke: hue(place - 1), "stroke-width": 2.5, "stroke-dasharray": ["", "", "3 2.5"][place]}));

function precisionTable(tensor, detail, precisions) {
  return h("div", {class: "wb-scroll", tabindex: 0, role: "region", "aria-label": "Precisions"}, h("table", {},
    h("thead", {}, h("tr", {}, h("th", {scope: "col"}, "precision"), h("th", {scope: "col", class: "wb-n"}, "this tensor"),
      h("th", {scope: "col", class: "wb-n"}, "largest error"), h("th", {scope: "col", class: "wb-n"}, "mean error"),
      h("th", {scope: "col", class: "wb-n"}, "all tensors"))),
    h("tbody", {}, Object.keys(precisions).map((name, place) => {
      const kind = detail.precisions[name];
      return h("tr", {}, h("th", {scope: "row"}, kind && swatch(name, place), name),
        h("td", {class: "wb-n"}, kind ? formatBytes(kind.bytes) : "as it is"),
        h("td", {class: "wb-n"}, kind ? kind.largest : "–"), h("td", {class: "wb-n"}, kind ? kind.mean : "–"),
        h("td", {class: "wb-n"}, formatBytes(precisions[name])));
    }))));
}

// The files as bars on one scale; each part has a colour, a pattern and a line in the table.
function fileBars(model) {
  const files = model.get("files");
  const total = parts => Object.values(parts).reduce((sum, bytes) => sum + bytes, 0);
  const most = Math.max(1, ...files.map(([, parts]) => total(parts)));
  const piece = name => `wb-part wb-part-${PARTS.indexOf(name)}`;
  const bars = files.map(([name, parts]) => h("div", {class: "wb-file"},
    h("span", {class: "wb-label"}, `${name}: ${formatBytes(total(parts))}`),
    h("div", {class: "wb-bar", "aria-hidden": "true"}, Object.entries(parts).map(([part, bytes]) => {
      const element = h("span", {class: piece(part)});
      element.style.width = `${100 * bytes / most}%`;
      return element;
    }))));
  const named = PARTS.filter(part => files.some(([, parts]) => part in parts));
  const table = h("table", {}, h("caption", {}, "Bytes of each part (measured)"),
    h("thead", {}, h("tr", {}, h("th", {scope: "col"}, "part"), files.map(([name]) => h("th", {scope: "col", class: "wb-n"}, name)))),
    h("tbody", {}, named.map(part => h("tr", {},
      h("th", {scope: "row"}, h("span", {class: "wb-named"}, h("span", {class: `${piece(part)} wb-key`, "aria-hidden": "true"}), part)),
      files.map(([, parts]) => h("td", {class: "wb-n"}, part in parts ? formatBytes(parts[part]) : "–"))))));
  return h("div", {class: "wb-files"}, h("h3", {}, files.length > 1 ? "The weights file and the resume point" : "The file"),
    h("div", {class: "wb-columns"}, h("div", {}, bars), table));
}

function render({model, el}) {
  const root = box(model, el, "What the weights file holds");
  const list = tensorList(model, name => tellKernel(model, {chosen: name}));
  const name = h("h3", {}), chart = h("div", {}), told = announcer(), precisions = h("div", {}), about = h("p", {class: "wb-note"});
  const draw = everyFrame(() => {
    const place = model.get("tensors").findIndex(tensor => tensor.name === model.get("chosen"));
    if (place < 0 || !chart.clientWidth) return;
    chart.replaceChildren(histogram(model.get("tensors")[place], model.get("details")[place].precisions, chart.clientWidth));
  });
  const put = () => {
    const place = model.get("tensors").findIndex(tensor => tensor.name === model.get("chosen"));
    if (place < 0) return;
    const tensor = model.get("tensors")[place], detail = model.get("details")[place];
    list.put(tensor.name);
    name.textContent = `${tensor.name}, ${detail.shape}, ${tensor.dtype}`;
    told.textContent = detail.told;
    precisions.replaceChildren(precisionTable(tensor, detail, model.get("precisions")));
    about.textContent = detail.about;
    draw();
  };
  root.append(
    h("p", {}, model.get("sentence")),
    h("div", {class: "wb-columns wb-inspector"}, list.element,
      h("div", {class: "wb-tensor"}, name, told, chart, precisions, about, h("p", {class: "wb-note"}, model.get("rounding")))),
    fileBars(model),
    h("details", {}, h("summary", {}, "What its text says"), h("table", {class: "wb-facts"}, h("tbody", {},
      model.get("facts").map(([key, text]) => h("tr", {}, h("th", {scope: "row"}, key), h("td", {}, text)))))));
  model.on("change:chosen", put);
  const watch = new ResizeObserver(() => { if (!chart.firstChild || chart.firstChild.viewBox.baseVal.width !== chart.clientWidth) put(); });
  watch.observe(chart);
  return () => { watch.disconnect(); model.off("change:chosen", put); };
}

export default { render };
