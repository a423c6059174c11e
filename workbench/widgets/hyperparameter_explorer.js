// Hyper-parameters to be moved: controls, cost, short runs, a search. All words about results come from Python.

const PARTS = {"weights": 0, "gradients": 1, "optimizer state": 2, "activations": 3, "working memory": 4};
const NO_KERNEL = "This page has no kernel: the controls and runs rest. What was chosen, run and searched stays.";

// A chart that is drawn anew for the width it has, so that its text keeps its size.
function drawn(draw) {
  const element = h("div", {class: "hx-chart"});
  let width = 0;
  const redraw = () => { if (width > 0) element.replaceChildren(...[draw(width)].flat().filter(Boolean)); };
  new ResizeObserver(([entry]) => {
    const now = Math.floor(entry.contentRect.width);
    if (now !== width) { width = now; redraw(); }
  }).observe(element);
  return {element, redraw: everyFrame(redraw)};
}
const picture = (width, height, label, ...children) =>
  s("svg", {width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label}, ...children);
const told = value => typeof value !== "number" ? String(value)
  : Number.isInteger(value) ? commas(value) : String(Number(value.toPrecision(4)));
const cutText = (text, most) => text.length <= most ? text : text.slice(0, most - 1) + "…";

// Controls -----------------------------------------------------------------------------------------------------------

function control(field, value, change, live) {
  const help = h("span", {id: uid("help"), hidden: true}, field.help);
  let made, put;
  if (field.kind === "stops") {
    let stops = field.stops;
    const around = now => stops.includes(now) ? stops : [...field.stops, now].sort((a, b) => a - b);
    stops = around(value);
    made = slider({label: field.label, min: 0, max: stops.length - 1, value: stops.indexOf(value), kernel: live,
      text: place => told(stops[place]), input: place => change(stops[place])});
    put = now => {
      stops = around(now);
      made.control.max = stops.length - 1;
      made.put(stops.indexOf(now));
    };
  } else if (field.kind === "choice") {
    const offered = now => field.choices.includes(now) ? field.choices : [...field.choices, now];
    made = choice({label: field.label, options: offered(value), value, change, kernel: live});
    put = now => made.offer(offered(now), now);
  } else {
    const input = h("input", {type: "checkbox", id: uid("switch"), "data-kernel": live, onchange: () => change(input.checked)});
    input.checked = value;
    made = {control: input, element: h("div", {class: "hx-switch"}, input, h("label", {for: input.id}, field.label))};
    put = now => { input.checked = now; };
  }
  made.control.setAttribute("aria-describedby", help.id);
  made.element.title = field.help;
  made.element.append(help);
  return {element: made.element, control: made.control, put};
}

function controls(model, live, waiting) {
  const fields = model.get("fields");
  const note = h("p", {class: "wb-note hx-help", "aria-hidden": "true"}, "Move to a control, and this line says what it does.");
  const change = name => value => tellKernel(model, {values: {...model.get("values"), [name]: value}});
  const made = fields.map(field => {
    const one = control(field, model.get("values")[field.name], change(field.name), live);
    const explain = () => { note.textContent = `${field.label}: ${field.help}`; };
    one.element.addEventListener("focusin", explain);
    one.element.addEventListener("pointerenter", explain);
    if (!live) one.control.disabled = true;
    return one;
  });
  model.on("change:values", () => {
    const values = model.get("values");
    fields.forEach((field, place) => { if (field.name in values) made[place].put(values[field.name]); });
  });
  const of = main => made.filter((_, place) => fields[place].main === main).map(one => one.element);
  return h("div", {}, h("div", {class: "hx-grid"}, of(true)),
    h("details", {}, h("summary", {}, `More: the other ${of(false).length} hyper-parameters`), h("div", {class: "hx-grid"}, of(false))),
    h("div", {class: "hx-line"}, note, waiting));
}

// Cost ---------------------------------------------------------------------------------------------------------------

function bars(figures) {
  const totals = figures.bars.map(bar => bar.bytes);
  const most = Math.max(...totals, ...(figures.before ?? []));
  return figures.bars.map((bar, place) => {
    const before = figures.before?.[place];
    const chart = drawn(width => {
      const scale = linearScale(0, most, 0, width - 2);
      let from = 0;
      const segments = bar.parts.map(part => {
        const left = scale(from), size = scale(from += part.bytes) - left;
        const text = `${part.name} ${part.text}`;
        return [
          s("rect", {x: 1 + left, y: 5, width: Math.max(size, 0.5), height: 22, fill: hue(PARTS[part.name])}),
          size > 7 * text.length + 12 && s("text", {class: "hx-on", x: 1 + left + 6, y: 20.5}, text),
        ];
      });
      const ghost = before && s("rect", {class: "hx-ghost", x: 1, y: 1.5, width: Math.max(scale(before), 1), height: 29});
      return picture(width, 32, `${bar.name}: ${bar.text}`, segments, ghost);
    });
    return h("div", {class: "hx-bar"},
      h("p", {}, h("strong", {}, bar.name), ` ${bar.text} (modelled)`, before && h("span", {class: "wb-note"}, ` dashed: before, ${formatBytes(before)}`)),
      chart.element,
      h("ul", {class: "hx-key"}, bar.parts.map(part =>
        h("li", {}, h("span", {class: "hx-swatch", style: `background: ${hue(PARTS[part.name])}`}), `${part.name} ${part.text}`))));
  });
}

function epochs(figures) {
  const able = figures.devices.filter(each => each.seconds !== null);
  if (!able.length) return null;
  const row = 37;
  return drawn(width => {
    const seconds = able.map(each => each.seconds);
    const low = 10 ** Math.floor(Math.log10(Math.min(...seconds))), high = 10 ** Math.ceil(Math.log10(Math.max(...seconds) * 1.0001));
    const scale = logScale(low, high, 8, width - 14);
    const bottom = able.length * row + 4;
    const ticks = decades(low, high, Math.max(2, Math.floor(width / 75)));
    return picture(width, bottom + 22, "Seconds of an epoch on each device, on a logarithmic axis; the table below lists them",
      ticks.map(tick => [s("line", {class: "wb-grid", x1: scale(tick), x2: scale(tick), y1: 0, y2: bottom}),
        s("text", {class: "wb-axis", x: scale(tick), y: bottom + 16, "text-anchor": tick === low ? "start" : tick === high ? "end" : "middle"}, formatSeconds(tick))]),
      able.map((each, place) => {
        const x = scale(each.seconds), y = place * row + 25;
        const left = x > width - 90;
        return [
          s("text", {class: "hx-halo", x: 0, y: y - 11}, cutText(each.device, Math.floor(width / 6.4))),
          s("line", {x1: 8, x2: x, y1: y, y2: y, stroke: "var(--wb-line)", "stroke-width": 2}),
          mark(each.origin, x, y, "var(--wb-series-0)"),
          s("text", {class: "hx-halo hx-strong", x: left ? x - 11 : x + 11, y: y + 4, "text-anchor": left ? "end" : "start"}, each.text),
        ];
      }));
  }).element;
}

function originKey(devices) {
  const words = {measured: "measured here, now", recorded: "recorded on that machine", modelled: "modelled from its data sheet"};
  const used = Object.keys(words).filter(origin => devices.some(each => each.seconds !== null && each.origin === origin));
  return h("ul", {class: "hx-key"}, used.map(origin =>
    h("li", {}, s("svg", {class: "hx-mark", viewBox: "0 0 16 16", width: 16, height: 16, "aria-hidden": "true"}, mark(origin, 8, 8, "var(--wb-series-0)")), words[origin])));
}

const table = (caption, head, rows, numeric = []) =>
  h("div", {class: "wb-scroll hx-table", tabindex: 0, role: "region", "aria-label": caption}, h("table", {}, h("caption", {}, caption),
    h("thead", {}, h("tr", {}, head.map((name, place) => h("th", {scope: "col", class: numeric.includes(place) && "wb-n"}, name)))),
    h("tbody", {}, rows)));
const line = (cells, numeric = [], attributes = {}) => h("tr", attributes, cells.map((cell, place) =>
  place ? h("td", {class: numeric.includes(place) && "wb-n"}, cell) : h("th", {scope: "row"}, cell)));

function costs(model, waiting) {
  const shown = h("div");
  const problem = h("p", {class: "wb-bad", role: "alert", hidden: true});
  const said = announcer();
  let later, open = false;
  const draw = () => {
    const figures = model.get("figures");
    waiting.textContent = model.get("counting");
    problem.textContent = model.get("problem");
    problem.hidden = !model.get("problem");
    shown.classList.toggle("hx-old", Boolean(model.get("counting")));
    // The sentence waits until the control rests: a screen reader would read every stop of a slider.
    clearTimeout(later);
    later = setTimeout(() => { if (said.textContent !== model.get("said")) said.textContent = model.get("said"); }, 250);
    if (!figures.bars) { shown.replaceChildren(); return; }
    const without = figures.devices.filter(each => each.seconds === null);
    const details = h("details", {open}, h("summary", {}, "The same as a table"), table("Seconds of an epoch", ["device", "an epoch", "origin"],
      figures.devices.map(each => line([each.device, each.text, each.told], [1])), [1]));
    details.addEventListener("toggle", () => { open = details.open; });
    shown.replaceChildren(
      h("dl", {class: "hx-numbers"}, figures.numbers.map(([name, text]) => h("div", {}, h("dt", {}, name), h("dd", {}, text)))),
      h("div", {class: "wb-columns"},
        h("div", {}, h("h3", {}, "Bytes to hold"), bars(figures), h("p", {class: "wb-note"}, figures.beside)),
        h("div", {}, h("h3", {}, "Seconds of an epoch, on each device"), epochs(figures), originKey(figures.devices),
          h("ul", {class: "hx-without"}, without.map(each => h("li", {}, h("strong", {}, each.device), ` ${each.told}`))),
          h("p", {class: "wb-note"}, figures.basis))),
      details);
  };
  for (const name of ["figures", "counting", "problem", "said"]) model.on(`change:${name}`, everyFrame(draw));
  draw();
  return h("div", {}, said, problem, shown);
}

// Short runs ---------------------------------------------------------------------------------------------------------

const sample = place => s("svg", {class: "hx-sample", viewBox: "0 0 30 12", width: 30, height: 12, "aria-hidden": "true"},
  s("line", {x1: 1, x2: 29, y1: 6, y2: 6, stroke: hue(place), "stroke-width": 2.5, "stroke-dasharray": dashes(place)}));

function curves(width, rows, measure) {
  const shown = rows.filter(({row}) => row.curve.some(point => point[measure] !== null));
  if (!shown.length) return null;
  const name = measure === 1 ? "validation accuracy" : "validation loss (nats)";
  const high = 250, top = 26;
  const labels = shown.map(({row, place}) => `${place + 1}: ${row.name}`);
  const right = Math.min(0.42 * width, 30 + 6.6 * Math.max(...labels.map(text => text.length)));
  const most = Math.floor((right - 16) / 6.6);
  const values = shown.flatMap(({row}) => row.curve.map(point => point[measure]));
  const gap = 0.08 * (Math.max(...values) - Math.min(...values)) || 0.05;
  const least = Math.max(0, Math.min(...values) - gap), greatest = Math.max(...values) + gap;
  const last = Math.max(2, ...shown.flatMap(({row}) => row.curve.map(point => point[0])));
  const x = linearScale(1, last, 56, width - right), y = linearScale(least, greatest, high - 30, top);
  const say = value => measure === 1 ? formatShare(value, 0) : value.toPrecision(2);
  const ends = shown.map(({row, place}) => ({row, place, at: y(row.curve.at(-1)[measure])})).sort((a, b) => a.at - b.at);
  let floor = top - 10;
  for (const end of ends) floor = end.label = Math.max(end.at, floor + 14);
  const height = Math.max(high, floor + 10);
  return picture(width, height, `${name} by epoch of ${shown.length} short runs; the table lists them`,
    s("text", {class: "wb-axis", x: 0, y: 12}, `${name}, measured`),
    evenTicks(least, greatest, 4).map(tick => [s("line", {class: "wb-grid", x1: 56, x2: width - right, y1: y(tick), y2: y(tick)}),
      s("text", {class: "wb-axis", x: 48, y: y(tick) + 4, "text-anchor": "end"}, say(tick))]),
    evenTicks(1, last, Math.min(last - 1, 6)).filter(Number.isInteger).map(tick =>
      s("text", {class: "wb-axis", x: x(tick), y: high - 10, "text-anchor": "middle"}, tick === 1 ? "epoch 1" : tick)),
    ends.map(({row, place, at, label}) => {
      const points = row.curve.map(point => [x(point[0]), y(point[measure])]);
      const [endX] = points.at(-1);
      return [
        s("path", {d: "M" + points.map(point => point.join(" ")).join("L"), fill: "none", stroke: hue(place), "stroke-width": 2.5, "stroke-dasharray": dashes(place)}),
        points.map(([px, py]) => mark("measured", px, py, hue(place), 3.5)),
        s("path", {d: `M${endX + 6} ${at}L${width - right + 10} ${label}`, stroke: "var(--wb-edge)", "stroke-width": 1}),
        s("text", {x: width - right + 14, y: label + 4}, cutText(`${place + 1}: ${row.name}`, most)),
      ];
    }));
}

const MOST_CURVES = 12;
function runs(model, live) {
  let measure = 1;
  const count = h("input", {type: "number", id: uid("epochs"), min: 1, max: 100, value: model.get("epochs_of_run"), "data-kernel": true, onchange: () => {
    const wanted = Math.round(Number(count.value));
    if (wanted >= 1 && wanted <= 100) tellKernel(model, {epochs_of_run: wanted});
    else count.value = model.get("epochs_of_run");
  }});
  const run = button("Run it", () => tellKernel(model, {started: model.get("started") + 1}), {class: "wb-button wb-main", "data-kernel": true});
  const stop = button("Stop", () => tellKernel(model, {stopped: model.get("stopped") + 1}), {"data-kernel": true});
  const bar = progress("The short run");
  const said = announcer();
  const which = choice({label: "curves of", options: [["1", "validation accuracy"], ["2", "validation loss"]], value: "1",
    change: value => { measure = Number(value); chart.redraw(); }});
  const newest = () => model.get("table").map((row, place) => ({row, place})).slice(-MOST_CURVES);
  const chart = drawn(width => curves(width, newest(), measure));
  const list = h("div"), older = h("p", {class: "wb-note"});
  const draw = () => {
    const now = model.get("progress"), rows = model.get("table");
    const running = now.share !== undefined;
    run.disabled = running || !live;
    stop.hidden = !running || !model.get("live");
    bar.put(running ? now.share : null, now.told);
    said.textContent === model.get("outcome") || (said.textContent = model.get("outcome"));
    if (document.activeElement !== count) count.value = model.get("epochs_of_run");
    which.element.hidden = !rows.some(row => row.curve.length);
    older.textContent = rows.length > MOST_CURVES ? `The chart shows the newest ${MOST_CURVES} of ${rows.length} runs; the table lists all.` : "";
  };
  const list_runs = () => {
    const rows = model.get("table"), numeric = [1, 2, 3];
    list.replaceChildren(...(rows.length ? [table(`Short runs on ${model.get("subset")}`, ["what differs from the recommended", "epochs", "validation accuracy", "time", "how it ended"],
      rows.map((row, place) => line([h("span", {class: "hx-name"}, sample(place), `${place + 1}: ${row.name}`), row.epochs, row.accuracy || "–", row.seconds || "–", row.told], numeric)), numeric)] : []));
    chart.redraw();
    draw();
  };
  for (const name of ["progress", "outcome", "epochs_of_run"]) model.on(`change:${name}`, everyFrame(draw));
  model.on("change:table", everyFrame(list_runs));
  if (!live) count.disabled = true;
  list_runs();
  return h("div", {class: "hx-part"}, h("h3", {}, "Try it: a short run"),
    h("p", {class: "wb-note"}, `It learns from ${model.get("subset")}.`),
    h("div", {class: "wb-controls"}, h("div", {class: "wb-field"}, h("label", {for: count.id}, "epochs of this short run, at most"), count), run, stop, which.element),
    bar.element, said, chart.element, older, list);
}

// A search -----------------------------------------------------------------------------------------------------------

const AXIS_ROOM = 84;
function coordinates(room_there, search, cut, lit, point) {
  const width = Math.max(room_there, AXIS_ROOM * search.axes.length);
  const top = 66, bottom = 250, side = Math.min(70, width / (2 * search.axes.length));
  const x = linearScale(0, search.axes.length - 1 || 1, side, width - side), y = linearScale(0, 1, bottom, top);
  const room = (width - 2 * side) / Math.max(1, search.axes.length - 1);
  const path = one => {
    const points = one.heights.map((height, place) => height === null ? null : `${x(place)} ${y(height)}`).filter(Boolean);
    if (one.value === null) points.push(`${x(search.axes.length - 1)} ${bottom + 12}`);
    return "M" + points.join("L");
  };
  const kept = search.lines.filter(one => cut === 0 || (one.value !== null && one.value >= cut));
  const order = [...kept].sort((a, b) => a.best - b.best);
  const best = kept.find(one => one.best);
  const named = best && 6.9 * search.label.length + 12;
  const [endX, endY] = best ? [x(search.axes.length - 1) - 8, y(best.heights.at(-1))] : [];
  const chart = picture(width, bottom + 24, `Parallel coordinates of ${kept.length} trials; the table lists them`,
    order.map(one => s("path", {d: path(one), fill: "none", "data-number": one.number,
      class: `hx-trial${one.best ? " hx-best" : one.strong ? " hx-better" : ""}${one.number === lit ? " hx-lit" : ""}`,
      "stroke-dasharray": {complete: "", pruned: "6 4", failed: "1.5 4"}[one.state],
      onpointerenter: () => point(one.number), onpointerleave: () => point(null)})),
    search.axes.map((axis, place) => {
      const words = axis.label.split(" ");
      const lines = words.length > 1 && room < 130 ? [words.slice(0, -1).join(" "), words.at(-1)] : [axis.label];
      return [
        s("line", {x1: x(place), x2: x(place), y1: top, y2: bottom, stroke: "var(--wb-edge)", "stroke-width": 1.5}),
        lines.map((text, at) => s("text", {class: "hx-strong", x: x(place), y: 14 + 14 * (at + 2 - lines.length), "text-anchor": "middle"}, text)),
        axis.ticks.map(([height, text]) => s("text", {class: "wb-axis hx-halo",
          ...(height === 1 ? {x: x(place), y: top - 8, "text-anchor": "middle"} : height === 0 ? {x: x(place), y: bottom + 16, "text-anchor": "middle"}
            : place === search.axes.length - 1 ? {x: x(place) - 5, y: y(height) + 4, "text-anchor": "end"} : {x: x(place) + 5, y: y(height) + 4})}, text)),
      ];
    }),
    best && [s("rect", {class: "hx-flag", x: endX - named, y: endY + 6, width: named, height: 20, rx: 4}),
      s("text", {class: "hx-strong hx-named", x: endX - 6, y: endY + 20, "text-anchor": "end"}, search.label)]);
  chart.style.width = `${width}px`;
  return chart;
}

function searched(model, live) {
  let cut = 0, lit = null;
  const said = h("p");
  const filter = choice({label: "show trials with a validation accuracy of at least", options: [["0", "all"]], value: "0",
    change: value => { cut = Number(value); draw(); }});
  const rows = h("div");
  const point = number => {
    lit = number;
    for (const one of element.querySelectorAll("[data-number]")) one.classList.toggle("hx-lit", one.dataset.number === String(number));
  };
  const chart = drawn(width => model.get("search").lines ? coordinates(width, model.get("search"), cut, lit, point) : null);
  const element = h("div", {class: "hx-part"}, h("h3", {}, "What a search found"), said, h("div", {class: "wb-controls"}, filter.element),
    h("div", {class: "wb-scroll", tabindex: 0, role: "region", "aria-label": "Chart of the trials"}, chart.element),
    h("ul", {class: "hx-key"}, [["hx-best", "", "best"], ["hx-better", "", "better half"], ["", "", "other half"], ["", "6 4", "stopped early"], ["", "1.5 4", "failed"]].map(([name, pattern, word]) =>
      h("li", {}, s("svg", {class: "hx-sample", viewBox: "0 0 30 12", width: 30, height: 12, "aria-hidden": "true"}, s("path", {d: "M1 6H29", class: `hx-trial ${name}`, "stroke-dasharray": pattern})), word))),
    rows);
  const draw = () => {
    const search = model.get("search");
    element.hidden = !search.lines;
    if (!search.lines) return;
    said.textContent = search.said;
    if (!search.cuts.some(([value]) => value === cut)) cut = 0;
    filter.offer(search.cuts.map(([value, text]) => [String(value), text]), String(cut));
    const numeric = search.head.map((_, place) => place).slice(2);
    const kept = search.lines.filter(one => cut === 0 || (one.value !== null && one.value >= cut));
    rows.replaceChildren(table("Trials of the search (accuracies measured in it)", [search.head[0], "the controls", ...search.head.slice(1)], kept.map(one => {
      const take = button("take these values", () => tellKernel(model, {values: one.values}), {"data-kernel": true, "aria-label": `Take the values of trial ${one.number}`});
      take.disabled = !live;
      return line([one.best ? `${one.cells[0]} (best)` : one.cells[0], take, ...one.cells.slice(1)], numeric, {"data-number": one.number,
        onpointerenter: () => point(one.number), onpointerleave: () => point(null), onfocusin: () => point(one.number), onfocusout: () => point(null)});
    }), numeric));
    chart.redraw();
  };
  model.on("change:search", draw);
  draw();
  return element;
}

export default {
  render({model, el}) {
    const live = model.get("live") !== false;
    const root = box(model, el, "Hyper-parameter explorer");
    if (!live) root.append(h("p", {class: "wb-note"}, NO_KERNEL));
    const waiting = h("p", {class: "wb-note", role: "status"});
    root.append(controls(model, live, waiting), costs(model, waiting), runs(model, live), searched(model, live));
  },
};
