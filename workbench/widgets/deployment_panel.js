// Start, stop and load test at the top; below, what the application counts, which the kernel polls once a second.

import { h } from "../serving/page/elements.js";
import { commas } from "../serving/page/numbers.js";
import { axisText, chartSvg, evenTicks, hue, linearScale, mark, polyline, responsive, yAxis } from "./charts.js";
import { button, dropdown, figureList, KERNEL, note, scrollTable, statusLine, tableRow } from "./controls.js";
import { createRoot, everyFrame, isLive, observe, setText, update } from "./frame.js";

const MINUTE = 60;
const CLIENTS = [1, 2, 4, 8, 16, 32, 64, 128];

// A button that keeps the focus while it is off: disabled for screen readers only.
function actionButton(model, action, name, className = "") {
  const control = button(
    name,
    () => {
      if (control.getAttribute("aria-disabled") === "true") return;
      update(model, { request: { serial: model.get("request").serial + 1, action } });
    },
    { class: `wb-button ${className}`, ...KERNEL },
  );
  return control;
}

function clientsDropdown(model) {
  const clients = dropdown({
    label: "Concurrent clients",
    options: [],
    value: "",
    kernel: true,
    onChange: value => update(model, { concurrency: Number(value) }),
  });
  const offer = () => {
    const chosen = model.get("concurrency");
    const counts = [...new Set([...CLIENTS, chosen])].sort((a, b) => a - b);
    clients.offer(
      counts.map(count => [String(count), commas(count)]),
      String(chosen),
    );
  };
  observe(model, ["concurrency"], offer);
  offer();
  return clients;
}

// A table that keeps its scroll position when its rows are replaced.
function growingTable(label, head, numeric) {
  const element = scrollTable({ label, head, rows: [], numeric });
  const body = element.querySelector("tbody");
  return { element, set: rows => body.replaceChildren(...rows.map(cells => tableRow(cells, numeric))) };
}

// Draw the requests a second over the last minute. rates: pairs of seconds ago and rate.
function drawRates(width, rates, summary) {
  const [height, top, left] = [130, 8, 48];
  const [bottom, right] = [height - 22, width - 10];
  const most = Math.max(4, ...rates.map(([, rate]) => rate)) * 1.05;
  const x = linearScale(MINUTE, 0, left, right);
  const y = linearScale(0, most, bottom, top);
  const points = rates.map(([ago, rate]) => [x(ago), y(rate)]);
  const anchor = ago => ({ 60: "start", 0: "end" })[ago] ?? "middle";
  return chartSvg(
    width,
    height,
    `Requests a second over the last minute. ${summary}`,
    yAxis(evenTicks(0, most, 3), y, [left, right], commas),
    (width > 420 ? [60, 45, 30, 15, 0] : [60, 30, 0]).map(ago =>
      axisText(x(ago), height - 5, ago ? `${ago} s ago` : "now", anchor(ago)),
    ),
    polyline(points, { stroke: hue(0), "stroke-width": 2 }),
    points.length > 0 && mark("measured", ...points.at(-1), hue(0), 3.5),
  );
}

function answerRow({ label, share, text }) {
  const bar = h("span", { style: `width:${100 * share}%`, hidden: !share });
  const track = h("span", { class: "dp-track", "aria-hidden": "true" }, bar);
  return h("li", {}, h("span", { class: "dp-label" }, label), track, h("span", { class: "wb-n" }, text));
}

// What the application counts.
function createCounts(model, words, heads) {
  const shown = () => model.get("shown");
  const chart = responsive(width => drawRates(width, shown().rates ?? [], shown().rates_summary ?? ""), "dp-line");
  const summary = note("");
  const figures = figureList();
  const statuses = growingTable(words.counted, heads.status, [2]);
  const answers = h("ul", { class: "dp-answers" });
  const nothing = note(words.nothing);
  const tables = h(
    "div",
    { class: "wb-columns" },
    h("div", {}, h("h3", {}, "Requests by status"), statuses.element),
    h("div", {}, h("h3", {}, "Images by the label they were given"), answers),
  );
  const rates = h("div", {}, h("h3", {}, "Requests a second"), chart.element, summary);
  const element = h("div", {}, figures.element, note(words.origin), rates, tables, nothing);
  const draw = () => {
    const { figures: rows = [], statuses: counted = [], answers: labels = [], rates_summary: text = "" } = shown();
    element.hidden = !rows.length;
    figures.set(rows);
    setText(summary, text);
    chart.redraw();
    nothing.hidden = Boolean(counted.length);
    tables.hidden = !counted.length;
    statuses.set(counted);
    answers.replaceChildren(...labels.map(answerRow));
  };
  return { element, draw };
}

// What the clients of load tests measured.
function createLoadTests(model, words, heads) {
  const summary = h("p", {});
  const table = growingTable(words.load_tests, heads.load_test, [...heads.load_test.keys()]);
  const element = h("div", {}, h("h3", {}, "Load tests"), summary, table.element, note(words.difference));
  const draw = () => {
    const { load_tests: rows = [], load_summary: text = "" } = model.get("shown");
    element.hidden = !rows.length;
    summary.textContent = text;
    table.set(rows);
  };
  return { element, draw };
}

// The sentence, the address, the problem and the buttons.
function createHead(model, words) {
  const live = isLive(model);
  const sentence = h("p", { class: "wb-status" });
  const address = h("a", { target: "_blank", rel: "noopener" });
  const link = h("p", {}, "Its page: ", address, h("span", { class: "wb-note" }, ` (${words.link})`));
  const problem = h("p", { class: "wb-bad" });
  const start = actionButton(model, "start", "Start", "wb-main");
  const stop = actionButton(model, "stop", "Stop");
  const load = actionButton(model, "load_test", "Run a load test");
  const buttons = [start, stop, clientsDropdown(model).element, load];
  const controls = h("div", { class: "wb-controls", hidden: !live }, buttons);
  const draw = () => {
    const { state, sentence: text, address: url, is_load_testing: isLoaded } = model.get("shown");
    sentence.textContent = text;
    link.hidden = !url || !live;
    address.textContent = address.href = url;
    setText(problem, model.get("problem"));
    start.setAttribute("aria-disabled", state !== "off");
    stop.setAttribute("aria-disabled", state !== "on");
    load.setAttribute("aria-disabled", state !== "on" || isLoaded);
    load.textContent = isLoaded ? "Load test is running …" : "Run a load test";
  };
  const kernelless = note(words.no_kernel, { hidden: live });
  return { elements: [sentence, link, h("div", { role: "alert" }, problem), controls, kernelless], draw };
}

function render({ model, el }) {
  const root = createRoot(model, el, "The application at work");
  const words = model.get("words");
  const heads = model.get("heads");
  const head = createHead(model, words);
  const counts = createCounts(model, words, heads);
  const loadTests = createLoadTests(model, words, heads);
  const announcement = statusLine("wb-visually-hidden");
  root.classList.add("dp");
  root.append(...head.elements, counts.element, loadTests.element, announcement);
  const draw = () => {
    for (const part of [head, counts, loadTests]) part.draw();
  };
  observe(model, ["shown", "problem"], everyFrame(draw));
  observe(model, ["announcement"], () => {
    announcement.textContent = model.get("announcement");
  });
  draw();
}

export default { render };
