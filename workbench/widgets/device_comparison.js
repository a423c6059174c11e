// Devices compared: everything but measuring happens here, so that a slider answers at once and without a kernel.

const WORDS = {inference: "answering (inference)", training: "learning (a training step)"};
const ORIGINS = [["measured", "measured here"], ["recorded", "recorded"], ["modelled", "modelled from a data sheet"]];
const TITLES = {latency: "Time of a batch", throughput: "Pictures a second", energy: "Energy of a picture",
  memory: "Working memory of a batch", cost: "Cost of a million pictures"};
const STEPS = 400;  // of the budget's slider

function render({model, el}) {
  const root = box(model, el, "Devices compared");
  const live = model.get("live");
  const rules = model.get("rules"), sizes = model.get("sizes");
  let chosen = model.get("choice"), ghost = null, lastChange = 0, telling = 0, speaking = 0, lit = null;

  // What the learner chooses. The kernel is told a little later, so that it never holds the slider up.
  function choose(change) {
    const now = performance.now();
    if (now - lastChange > 600) ghost = {choice: chosen, shown: compare(rules, model.get("points"), chosen)};
    lastChange = now;
    chosen = {...chosen, ...change};
    clearTimeout(telling);
    telling = setTimeout(() => tellKernel(model, {choice: chosen}), 150);
    redraw();
  }
  const phase = choice({label: "Phase", options: Object.entries(WORDS), value: chosen.phase, change: value => choose({phase: value, engine: "", precision: ""})});
  const batch = slider({label: "Batch size", min: 0, max: sizes.length - 1, value: Math.max(0, sizes.indexOf(chosen.batch_size)),
    text: place => sizes[place] === 1 ? "1 picture" : `${commas(sizes[place])} pictures`, input: place => choose({batch_size: sizes[place]})});
  const metric = choice({label: "Compare by", options: Object.entries(TITLES), value: chosen.metric, change: value => choose({metric: value})});
  const network = choice({label: "Network", options: model.get("models"), value: chosen.model, change: value => choose({model: value, engine: "", precision: ""})});
  const engine = choice({label: "Engine", options: [["", "the best of each"]], value: "", change: value => choose({engine: value})});
  const precision = choice({label: "Precision", options: [["", "any"]], value: "", change: value => choose({precision: value})});
  const devices = h("fieldset", {}, h("legend", {}, "Devices"));
  const prices = h("fieldset", {class: "dc-prices"}, h("legend", {}, "Price of an hour, in US dollars. Where it was not given: the price of the device over three years, and its power at 0.15 a kilowatt-hour (assumed)."));
  const limit = slider({label: "Budget", min: 0, max: STEPS, value: STEPS / 2, text: () => budgetText(), input: place => setBudget(place)});
  const limited = h("input", {type: "checkbox", id: uid("budget"), onchange: () => limited.checked ? setBudget(Number(limit.control.value)) : choose({budgets: without(chosen.budgets, chosen.metric)})});
  const more = h("details", {class: "dc-more"}, h("summary", {}, "More: network, engine, devices, budget"),
    h("div", {class: "wb-controls"}, network.element, engine.element, precision.element), devices,
    h("div", {class: "wb-controls dc-budget"}, h("label", {class: "wb-label"}, limited, "Set a budget"), limit.element));

  // What is shown.
  const heading = h("h3", {}), overKey = h("span", {hidden: true}, "dashed line across: your budget, to be dragged");
  const ranking = s("svg", {role: "img"}), curves = s("svg", {role: "img"});
  const sentences = h("ul", {class: "dc-said"}), spoken = h("p", {class: "dc-spoken", "aria-live": "polite"});
  const table = h("table", {}), missing = h("p", {class: "wb-note"});
  const measuring = progress("Measuring");
  const words = h("p", {class: "wb-note"}), failures = h("ul", {class: "wb-bad"});
  const ask = what => tellKernel(model, {asked: {do: what, serial: (model.get("asked").serial ?? 0) + 1}});
  const measure = button("Measure this machine", () => ask("measure"), {class: "wb-button wb-main", "data-kernel": true});
  const cancel = button("Cancel", () => ask("stop"), {"data-kernel": true, hidden: true});
  const name = () => `devices-${chosen.phase}-${chosen.metric}-batch-${chosen.batch_size}`.replace(/[^\w-]+/g, "-");
  root.append(heading,
    h("div", {class: "wb-controls dc-first"}, phase.element, batch.element, metric.element), more, prices,
    h("div", {class: "wb-columns dc-charts"}, h("figure", {}, ranking), h("figure", {}, curves)),
    h("p", {class: "wb-note dc-key"}, ...ORIGINS.map(([origin, told]) => h("span", {}, s("svg", {viewBox: "-8 -8 16 16", "aria-hidden": "true"}, mark(origin, 0, 0, "var(--wb-ink)")), told)),
      h("span", {}, "bar: up to the slowest tenth"), h("span", {}, "dashed ring: before your last change"), h("span", {}, "◆ another takes the lead"), overKey),
    sentences, missing, spoken,
    h("div", {class: "wb-controls"}, live ? [measure, cancel] : h("span", {class: "wb-note"}, "This page has no kernel: open the notebook to measure your own machine."),
      button("Chart as PNG", () => savePng(name(), heading.textContent, [ranking, curves])), button("Figures as CSV", () => saveCsv(name(), csvRows()))),
    measuring.element, words, failures,
    h("details", {}, h("summary", {}, "The same as a table"), h("div", {class: "wb-scroll", tabindex: 0, role: "region", "aria-label": "Figures as a table"}, table)));

  const without = (facts, name) => Object.fromEntries(Object.entries(facts).filter(([key]) => key !== name));
  const points = () => model.get("points").filter(m => m.phase === chosen.phase && m.model === chosen.model);
  const nameOrder = () => bestOfEach(points(), quantity(rules, "latency", {})).names;

  // The budget's slider runs over all that this network's figures span, whatever the batch size.
  let span = [1, 10];
  const budgetAt = place => Number((span[0] * (span[1] / span[0]) ** (place / STEPS)).toPrecision(2));
  function setBudget(place) { choose({budgets: {...chosen.budgets, [chosen.metric]: budgetAt(place)}}); }
  function budgetText() {
    const how = quantity(rules, chosen.metric, chosen.prices);
    const value = chosen.budgets[chosen.metric];
    return value === undefined ? "none" : `${how.higher_wins ? "at least" : "at most"} ${how.text(value)}`;
  }

  function draw() {
    const shown = compare(rules, model.get("points"), chosen);
    const order = nameOrder(), how = shown.how;
    const values = [...shown.rows.values()].flat().map(row => row.value).filter(value => value > 0);
    span = values.length ? [Math.min(...values) / 1.3, Math.max(...values) * 1.3] : [1, 10];
    const budget = chosen.budgets[chosen.metric];
    limited.checked = budget !== undefined;
    overKey.hidden = budget === undefined;
    limit.control.disabled = budget === undefined;
    limit.put(budget === undefined ? limit.control.value : Math.round(STEPS * Math.log(budget / span[0]) / Math.log(span[1] / span[0])));
    heading.textContent = `Which device for ${chosen.model}, ${WORDS[chosen.phase]}?`;
    const look = {how, order, budget, span, lit, ghost: ghost && ghost.choice.metric === chosen.metric ? ghost : null,
      drag: value => choose({budgets: {...chosen.budgets, [chosen.metric]: Number(value.toPrecision(2))}})};
    drawRanking(ranking, shown.rows.get(chosen.batch_size) ?? [], look, chosen);
    drawCurves(curves, shown, look, chosen);
    sentences.replaceChildren(...shown.sentences.map(text => h("li", {}, text)));
    missing.textContent = (model.get("notes")[chosen.model]?.[chosen.phase] ?? []).join(" ");
    drawTable(table, shown.rows.get(chosen.batch_size) ?? [], how, chosen);
    clearTimeout(speaking);
    speaking = setTimeout(() => { spoken.textContent = shown.sentences.join(" "); }, 500);
    prices.hidden = chosen.metric !== "cost";
    root.dataset.drawn = String(Number(root.dataset.drawn ?? 0) + 1);
  }
  const redraw = everyFrame(draw);

  function csvRows() {
    const {rows, how} = compare(rules, model.get("points"), chosen);
    return [["device", "phase", "network", "engine", "precision", "threads", "batch size", how.title, "told", "median seconds of a batch", "p90 seconds of a batch", "origin"],
      ...[...rows.values()].flat().map(({value, text, m}) => [m.device, m.phase, m.model, m.engine, m.precision, m.threads, m.batch_size, value ?? "", text, m.p50, m.p90, m.told])];
  }

  // The controls under More offer what there are figures for.
  let offered = "";
  function offer() {
    const has = points();
    const uniq = key => [...new Set(has.map(m => m[key]))];
    // While somebody is at one of them, a new measurement must not take it away.
    const now = JSON.stringify([chosen.phase, chosen.model, uniq("engine"), uniq("precision"), uniq("device")]);
    if (now === offered) return;
    offered = now;
    engine.offer([["", "the best of each"], ...uniq("engine")], chosen.engine);
    precision.offer([["", "any"], ...uniq("precision")], chosen.precision);
    const all = uniq("device");
    const shown = device => !chosen.devices.length || chosen.devices.includes(device);
    devices.replaceChildren(devices.firstChild, ...all.map(device => h("label", {}, h("input", {type: "checkbox", checked: shown(device), "data-device": device, onchange: () => {
      const on = [...devices.querySelectorAll("input:checked")].map(input => input.dataset.device);
      choose({devices: on.length === all.length ? [] : on.length ? on : ["none"]});
    }}), device)));
    prices.replaceChildren(prices.firstChild, ...all.map(device => {
      const id = uid("price");
      return h("div", {class: "wb-field"}, h("label", {for: id}, device), h("input", {id, type: "number", min: 0, step: "any", placeholder: "none",
        value: chosen.prices[device] === undefined ? null : Number(chosen.prices[device].toPrecision(3)), oninput: event => {
          const value = Number(event.target.value);
          choose({prices: value > 0 ? {...chosen.prices, [device]: value} : without(chosen.prices, device)});
        }}));
    }));
  }
  function follow() {
    chosen = model.get("choice");
    phase.control.value = chosen.phase;
    metric.control.value = chosen.metric;
    network.control.value = chosen.model;
    batch.put(Math.max(0, sizes.indexOf(chosen.batch_size)));
    offered = "";
    offer();
    redraw();
  }
  function tell() {
    const {state, share, words: said} = model.get("progress");
    const busy = state === "waiting" || state === "running";
    measuring.put(busy ? share : null, said);
    words.textContent = busy ? "" : said;
    measure.disabled = busy;
    cancel.hidden = !busy;
    if (!busy && said) spoken.textContent = said;
    failures.replaceChildren(...model.get("failures").map(each => h("li", {},
      `Failed: ${each.device}, ${each.engine} ${each.precision}${each.batch_size ? `, from batch ${commas(each.batch_size)} on` : ""}: ${each.reason}`)));
  }
  for (const control of [phase, network]) control.control.addEventListener("change", offer);
  model.on("change:points", () => { offer(); redraw(); });
  model.on("change:choice", () => { if (JSON.stringify(model.get("choice")) !== JSON.stringify(chosen)) follow(); });
  model.on("change:progress change:failures", tell);
  for (const svg of [ranking, curves]) svg.addEventListener("pointerover", event => {
    const name = event.target.closest("[data-name]")?.getAttribute("data-name") ?? null;
    if (name !== lit) { lit = name; redraw(); }
  });
  let wide = 0;
  const watch = new ResizeObserver(() => {
    if (root.clientWidth !== wide) { wide = root.clientWidth; redraw(); }
  });
  watch.observe(root);
  offer();
  tell();
  draw();
  return () => { watch.disconnect(); clearTimeout(telling); clearTimeout(speaking); };
}

// Text cut to a width, by the font it will have.
const AXIS = "11.5px";
const pen = document.createElement("canvas").getContext("2d");
const widthOf = (text, font) => {
  pen.font = `${font} system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif`;
  return pen.measureText(text).width;
};
const cuts = new Map();
function cut(text, width, font = "12px") {
  const key = `${text}|${Math.floor(width)}|${font}`;
  if (!cuts.has(key)) {
    let kept = text;
    while (kept.length > 1 && widthOf(kept === text ? text : kept + "…", font) > width) kept = kept.slice(0, -1);
    cuts.set(key, kept === text ? text : kept.trimEnd() + "…");
  }
  return cuts.get(key);
}
const begin = (svg, height, label) => {
  const width = Math.max(260, svg.parentNode.clientWidth || 460);
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("aria-label", label);
  svg.replaceChildren();
  return width;
};
const faded = (look, name) => look.lit && look.lit !== name ? 0.25 : null;

// One row a device, the best first: its figure as a mark on a logarithmic axis, a bar to its slowest tenth.
function drawRanking(svg, rows, look, chosen) {
  const {how, order, budget} = look;
  const top = 22, step = 52, height = top + step * Math.max(1, rows.length) + 26;
  const width = begin(svg, height, `${TITLES[how.name]} by device, ${batchWords(chosen.batch_size).toLowerCase()}; the table below says the same`);
  const slow = row => how.name === "memory" || row.m.count === 0 ? 1 : row.m.p90 / row.m.p50;
  const before = new Map((look.ghost?.shown.rows.get(look.ghost.choice.batch_size) ?? []).map(row => [row.name, row.value]));
  const values = rows.flatMap(row => [row.value, row.value && row.value * (how.higher_wins ? 1 / slow(row) : slow(row)), before.get(row.name)]).filter(value => value > 0);
  svg.append(s("text", {x: 0, y: 12, class: "wb-axis"}, cut(`${TITLES[how.name]}, ${batchWords(chosen.batch_size).toLowerCase()}; best first`, width, AXIS)));
  if (!rows.length) svg.append(s("text", {x: 0, y: top + 24}, "No figures for this choice."));
  if (!values.length) return;
  if (budget !== undefined) values.push(budget);
  const low = Math.min(...values) / 1.25, high = Math.max(...values) * 1.25;
  const x = logScale(low, high, 10, width - 10), bottom = height - 22;
  for (const tick of decades(low, high, Math.floor(width / 90))) svg.append(
    s("line", {class: "wb-grid", x1: x(tick), x2: x(tick), y1: top, y2: bottom}),
    s("text", {class: "wb-axis", x: Math.min(Math.max(x(tick), 20), width - 24), y: height - 6, "text-anchor": "middle"}, FORMATS[how.format](tick)));
  rows.forEach((row, place) => {
    const y = top + place * step, track = y + 41, colour = hue(order.indexOf(row.name));
    const over = budget !== undefined && row.value !== null && (how.higher_wins ? row.value < budget : row.value > budget);
    const figure = over ? `${row.text}, ${how.higher_wins ? "short of" : "over"} budget` : row.text;
    const group = s("g", {"data-name": row.name, opacity: faded(look, row.name)}, s("title", {}, `${row.name}: ${row.text}; ${toldOf(row.m)}`),
      s("rect", {x: 0, y, width, height: step, fill: "transparent"}),
      s("line", {x1: 0, x2: 20, y1: y + 10, y2: y + 10, stroke: colour, "stroke-width": 3, "stroke-dasharray": dashes(order.indexOf(row.name))}),
      s("text", {x: 26, y: y + 14, class: "dc-name"}, cut(row.name, width - 40 - figure.length * 7.4, "600 12.5px")),
      s("text", {x: width, y: y + 14, "text-anchor": "end", class: over ? "dc-over" : "dc-name"}, figure),
      s("line", {x1: 10, x2: width - 10, y1: track, y2: track, class: "wb-grid"}),
      s("text", {x: 26, y: y + 29, class: "wb-axis"}, cut(toldOf(row.m), width - 30, AXIS)));
    const old = before.get(row.name);
    if (old > 0 && row.value > 0 && Math.abs(x(old) - x(row.value)) > 2) group.append(
      s("line", {x1: x(old), x2: x(row.value), y1: track, y2: track, stroke: "var(--wb-muted)", "stroke-dasharray": "2 3"}),
      s("circle", {cx: x(old), cy: track, r: 5, fill: "none", stroke: "var(--wb-muted)", "stroke-dasharray": "2 2", "stroke-width": 1.5}));
    if (row.value > 0) {
      const end = row.value * (how.higher_wins ? 1 / slow(row) : slow(row));
      if (slow(row) > 1) group.append(s("line", {x1: x(row.value), x2: x(end), y1: track, y2: track, stroke: colour, "stroke-width": 3}));
      group.append(mark(row.m.origin, x(row.value), track, colour, 6));
    }
    svg.append(group);
  });
  if (budget !== undefined) {
    const at = x(budget);
    const line = s("g", {class: "dc-line"}, s("title", {}, "Drag to change the budget"),
      s("rect", {x: at - 8, y: top - 6, width: 16, height: bottom - top + 6, fill: "transparent"}),
      s("line", {x1: at, x2: at, y1: top - 6, y2: bottom, stroke: "var(--wb-bad)", "stroke-width": 2, "stroke-dasharray": "6 3"}),
      s("path", {d: `M${at - 6} ${bottom}h12l-6 -8z`, fill: "var(--wb-bad)"}));
    line.addEventListener("pointerdown", event => {
      event.preventDefault();
      const {left, width: wide} = svg.getBoundingClientRect();
      const move = to => look.drag(Math.min(high, Math.max(low, x.invert((to.clientX - left) * width / wide))));
      const done = () => { removeEventListener("pointermove", move); removeEventListener("pointerup", done); };
      addEventListener("pointermove", move);
      addEventListener("pointerup", done);
    });
    svg.append(line);
  }
}

// The metric over the batch size, a line a device; the chosen batch size as a line across, crossovers as diamonds.
function drawCurves(svg, shown, look, chosen) {
  const {how, order, budget, span} = look;
  const ticks = decades(...span), format = FORMATS[how.format];
  const left = Math.max(62, 10 + Math.max(...ticks.map(tick => widthOf(format(tick), AXIS))));  // a tiny network's dollars are long
  const height = 380, top = 22, bottom = height - 40;
  const width = begin(svg, height, `${TITLES[how.name]} over the batch size, a line for each of ${shown.names.length} devices`);
  svg.append(s("text", {x: 0, y: 12, class: "wb-axis"}, cut(`${TITLES[how.name]} over the batch size; both axes logarithmic`, width, AXIS)));
  if (!shown.sizes.length) return;
  const [low, high] = span, first = shown.sizes[0], last = shown.sizes.at(-1);
  const x = logScale(first, last === first ? first * 2 : last, left, width - 14), y = logScale(low, high, bottom, top + 4);
  for (const tick of ticks) svg.append(
    s("line", {class: "wb-grid", x1: left, x2: width, y1: y(tick), y2: y(tick)}),
    s("text", {class: "wb-axis", x: left - 7, y: y(tick) + 4, "text-anchor": "end"}, format(tick)));
  const every = Math.ceil(shown.sizes.length * 36 / (width - left));
  shown.sizes.forEach((size, place) => { if (place % every === 0) svg.append(
    s("text", {class: "wb-axis", x: x(size), y: bottom + 16, "text-anchor": "middle"}, size)); });
  svg.append(s("text", {class: "wb-axis", x: (left + width) / 2, y: height - 6, "text-anchor": "middle"}, "pictures at once (batch size)"));
  const across = (size, attributes) => svg.append(s("line", {x1: x(size), x2: x(size), y1: top, y2: bottom, ...attributes}));
  if (look.ghost && x(look.ghost.choice.batch_size) <= width) across(look.ghost.choice.batch_size, {stroke: "var(--wb-muted)", "stroke-dasharray": "2 3"});
  if (shown.sizes.includes(chosen.batch_size)) across(chosen.batch_size, {stroke: "var(--wb-accent)", "stroke-width": 2});
  if (budget > low && budget < high) svg.append(s("line", {x1: left, x2: width, y1: y(budget), y2: y(budget), stroke: "var(--wb-bad)", "stroke-width": 1.5, "stroke-dasharray": "6 3"}));
  for (const name of shown.names) {
    const along = [...shown.rows.values()].flat().filter(row => row.name === name && row.value > 0);
    if (!along.length) continue;
    const place = order.indexOf(name);
    svg.append(s("g", {"data-name": name, opacity: faded(look, name)}, s("title", {}, name),
      s("path", {d: "M" + along.map(row => `${x(row.m.batch_size)} ${y(row.value)}`).join("L"), fill: "none", stroke: hue(place), "stroke-width": look.lit === name ? 3.5 : 2, "stroke-dasharray": dashes(place)}),
      along.map(row => mark(row.m.origin, x(row.m.batch_size), y(row.value), hue(place), 3.5))));
  }
  for (const each of shown.crossovers) {
    const row = shown.rows.get(each.batch_size).find(row => row.name === each.after);
    if (row.value > 0) svg.append(s("path", {class: "dc-crossover", d: `M${x(each.batch_size)} ${y(row.value) - 9}l7 9l-7 9l-7 -9z`, fill: "var(--wb-ink)", stroke: "var(--wb-paper)", "stroke-width": 1.5},
      s("title", {}, `From batch ${each.batch_size} on: ${each.after}`)));
  }
}

function drawTable(table, rows, how, chosen) {
  const head = ["device", TITLES[how.name], "90 % within", "pictures/s", "with", "figure is"];
  table.replaceChildren(
    h("caption", {}, `${chosen.model}, ${WORDS[chosen.phase]}: ${batchWords(chosen.batch_size).toLowerCase()}`),
    h("thead", {}, h("tr", {}, head.map((name, place) => h("th", {scope: "col", class: place > 0 && place < 4 ? "wb-n" : null}, name)))),
    h("tbody", {}, rows.map(({name, text, m}) => h("tr", {}, h("th", {scope: "row"}, name), h("td", {class: "wb-n"}, text),
      h("td", {class: "wb-n"}, m.count ? `+${fixed(100 * (m.p90 / m.p50 - 1))}${SPACE}%` : "–"), h("td", {class: "wb-n"}, formatRate(m.batch_size / m.p50)), h("td", {}, m.setting), h("td", {}, m.told)))));
}

export default {render};
