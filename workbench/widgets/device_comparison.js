// Devices compared. Everything but measuring happens here, so that sliders react at once, even without a kernel.

import { h, s } from "../serving/page/elements.js";
import { commas, fixed, formatRate, SPACE } from "../serving/page/numbers.js";
import { mark, observeWidth } from "./charts.js";
import { batchWords, bestOfEach, quantity } from "./comparison.js";
import { button, details, KERNEL, note, progressBar, scroller, tableHead, tableRow } from "./controls.js";
import { drawCurves, drawRanking, TITLES } from "./device_charts.js";
import { budgetControl, createChoice, mainControls, moreControls, PHASES } from "./device_controls.js";
import { saveCsv, savePng } from "./downloads.js";
import { createRoot, everyFrame, isLive, observe, update } from "./frame.js";

const ORIGINS = [
  ["measured", "measured here"],
  ["recorded", "recorded"],
  ["modelled", "modelled from a data sheet"],
];
const NO_KERNEL = "This page has no kernel: open the notebook to measure your own machine.";
const ANNOUNCED_AFTER = 500; // ms

function csvRows({ rows, how }) {
  const head = ["device", "phase", "network", "engine", "precision", "threads", "batch size", how.title, "as text"];
  const figures = [...rows.values()]
    .flat()
    .map(({ value, text, m }) => [
      m.device,
      m.phase,
      m.model,
      m.engine,
      m.precision,
      m.threads,
      m.batch_size,
      value ?? "",
      text,
      m.p50,
      m.p90,
      m.origin_text,
    ]);
  return [[...head, "median seconds of a batch", "p90 seconds of a batch", "origin"], ...figures];
}

// Measuring: the buttons, the progress, and the failures.
function measuring(model, announce) {
  const bar = progressBar("Measuring");
  const outcome = note("");
  const failures = h("ul", { class: "wb-bad" });
  const request = action => update(model, { request: { action, serial: (model.get("request").serial ?? 0) + 1 } });
  const measure = button("Measure this machine", () => request("measure"), { class: "wb-button wb-main", ...KERNEL });
  const cancel = button("Cancel", () => request("stop"), { ...KERNEL, hidden: true });
  const draw = () => {
    const { state, share, text } = model.get("progress");
    const isBusy = state === "waiting" || state === "running";
    bar.set(isBusy ? share : null, text);
    outcome.textContent = isBusy ? "" : text;
    measure.disabled = isBusy;
    cancel.hidden = !isBusy;
    if (!isBusy && text) announce(text);
    failures.replaceChildren(
      ...model
        .get("failures")
        .map(({ device, engine, precision, batch_size: size, reason }) =>
          h(
            "li",
            {},
            `Failed: ${device}, ${engine} ${precision}${size ? `, from batch ${commas(size)} on` : ""}: ${reason}`,
          ),
        ),
    );
  };
  observe(model, ["progress", "failures"], draw);
  const buttons = isLive(model) ? [measure, cancel] : [h("span", { class: "wb-note" }, NO_KERNEL)];
  return { buttons, elements: [bar.element, outcome, failures], draw };
}

function legend() {
  const overBudget = h("span", { hidden: true }, "dashed line across: your budget, to be dragged");
  const origins = ORIGINS.map(([origin, words]) => {
    const sample = s("svg", { viewBox: "-8 -8 16 16", "aria-hidden": "true" }, mark(origin, 0, 0, "var(--wb-ink)"));
    return h("span", {}, sample, words);
  });
  const marks = ["bar: up to the slowest tenth", "dashed ring: before your last change", "◆ another takes the lead"];
  const element = h(
    "p",
    { class: "wb-note dc-key" },
    origins,
    marks.map(words => h("span", {}, words)),
    overBudget,
  );
  return { element, overBudget };
}

const NUMERIC = [1, 2, 3];
function tableParts(rows, how, { model, phase, batch_size: size }) {
  const cells = rows.map(({ name, text, m }) => {
    const slower = m.count ? `+${fixed(100 * (m.p90 / m.p50 - 1))}${SPACE}%` : "–";
    return tableRow([name, text, slower, formatRate(m.batch_size / m.p50), m.setting, m.origin_text], NUMERIC);
  });
  return [
    h("caption", {}, `${model}, ${PHASES[phase]}: ${batchWords(size).toLowerCase()}`),
    tableHead(["device", TITLES[how.name], "90 % within", "images/s", "with", "figure is"], NUMERIC),
    h("tbody", {}, cells),
  ];
}

// Charts, sentences and table.
function createFigures(model, state) {
  const heading = h("h3", {});
  const [ranking, curves] = [s("svg", { role: "img" }), s("svg", { role: "img" })];
  const key = legend();
  const sentences = h("ul", { class: "dc-sentences" });
  const missing = note("");
  const table = h("table", {});
  const draw = (shown, range, lit) => {
    const { choice, ghost } = state;
    const { how, rows } = shown;
    const here = rows.get(choice.batch_size) ?? [];
    const budget = choice.budgets[choice.metric];
    const order = bestOfEach(state.points(), quantity(model.get("rules"), "latency", {})).names;
    const look = {
      how,
      order,
      budget,
      range,
      lit,
      ghost: ghost?.metric === choice.metric ? ghost : null,
      onBudget: state.setBudget,
    };
    heading.textContent = `Which device for ${choice.model}, ${PHASES[choice.phase]}?`;
    key.overBudget.hidden = budget === undefined;
    drawRanking(ranking, here, look, choice.batch_size);
    drawCurves(curves, shown, look, choice.batch_size);
    sentences.replaceChildren(...shown.sentences.map(text => h("li", {}, text)));
    missing.textContent = (model.get("notes")[choice.model]?.[choice.phase] ?? []).join(" ");
    table.replaceChildren(...tableParts(here, how, choice));
  };
  const name = () => {
    const { phase, metric, batch_size: size } = state.choice;
    return `devices-${phase}-${metric}-batch-${size}`;
  };
  const downloads = [
    button("Chart as PNG", () => savePng(name(), heading.textContent, [ranking, curves])),
    button("Figures as CSV", () => saveCsv(name(), csvRows(state.shown()))),
  ];
  const charts = h(
    "div",
    { class: "wb-columns dc-charts" },
    [ranking, curves].map(chart => h("figure", {}, chart)),
  );
  const asTable = details("The same as a table", scroller("Figures as a table", table));
  return { heading, charts, key: key.element, sentences, missing, downloads, asTable, draw };
}

// Return a function that returns the name of the device under the pointer, or null.
function followPointer(element, onChange) {
  let lit = null;
  element.addEventListener("pointerover", event => {
    const name = event.target.closest("[data-name]")?.getAttribute("data-name") ?? null;
    if (name === lit) return;
    lit = name;
    onChange();
  });
  return () => lit;
}

function rangeOf({ rows }) {
  const values = [...rows.values()]
    .flat()
    .map(row => row.value)
    .filter(value => value > 0);
  return values.length ? [Math.min(...values) / 1.3, Math.max(...values) * 1.3] : [1, 10];
}

// A live region that waits until the controls rest, or a screen reader would read out every stop of a slider.
function createAnnouncer() {
  const element = h("p", { class: "wb-visually-hidden", "aria-live": "polite" });
  let waiting = 0;
  const cancel = () => clearTimeout(waiting);
  const announce = text => {
    element.textContent = text;
  };
  const announceLater = text => {
    cancel();
    waiting = setTimeout(announce, ANNOUNCED_AFTER, text);
  };
  return { element, announce, announceLater, cancel };
}

function render({ model, el }) {
  const root = createRoot(model, el, "Devices compared");
  const announcer = createAnnouncer();
  const redraw = everyFrame(() => draw());
  const offerAndRedraw = () => {
    more.offer();
    redraw();
  };
  const state = createChoice(model, offerAndRedraw);
  const main = mainControls(model, state);
  const budget = budgetControl(model, state);
  const more = moreControls(model, state, budget);
  const figures = createFigures(model, state);
  const work = measuring(model, announcer.announce);
  const lit = followPointer(figures.charts, redraw);
  const { heading, charts, key, sentences, missing, downloads, asTable } = figures;
  const buttons = h("div", { class: "wb-controls" }, work.buttons, downloads);
  root.append(heading, main.element, ...more.elements, charts, key, sentences, missing, announcer.element);
  root.append(buttons, ...work.elements, asTable);

  function draw() {
    const shown = state.shown();
    const range = rangeOf(shown);
    budget.follow(range);
    figures.draw(shown, range, lit());
    more.prices.hidden = state.choice.metric !== "cost";
    announcer.announceLater(shown.sentences.join(" "));
    root.dataset.drawn = String(Number(root.dataset.drawn ?? 0) + 1); // benchmarks/slider.py waits for it
  }
  observe(model, ["points"], offerAndRedraw);
  observe(model, ["choice"], () => {
    if (JSON.stringify(model.get("choice")) === JSON.stringify(state.choice)) return;
    state.choice = model.get("choice");
    main.follow(state.choice);
    more.offer(true);
    redraw();
  });
  const unobserve = observeWidth(root, redraw);
  more.offer();
  work.draw();
  draw();
  return () => {
    unobserve();
    state.leave();
    announcer.cancel();
  };
}

export default { render };
