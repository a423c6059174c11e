// The choice in DeviceComparison, and the controls for it.

import { h, uid } from "../serving/page/elements.js";
import { plural } from "../serving/page/numbers.js";
import { compare, quantity } from "./comparison.js";
import { details, dropdown, slider } from "./controls.js";
import { TITLES } from "./device_charts.js";
import { update } from "./frame.js";

export const PHASES = { inference: "answering (inference)", training: "learning (a training step)" };
const PRICES =
  "Price of an hour, in US dollars. Where it was not given: the price of the device over three years, and its " +
  "power at 0.15 a kilowatt-hour (assumed).";
const BUDGET_STEPS = 400;
const SENT_AFTER = 150; // ms before the kernel gets a choice, so that it never delays a slider
const ONE_CHANGE = 600; // ms: changes in quick succession count as one, and are compared with what was shown before
const without = (facts, name) => Object.fromEntries(Object.entries(facts).filter(([key]) => key !== name));
const twoDigits = value => Number(value.toPrecision(2));

// The choice, and `ghost`, what was shown before the last change. onChange: called after each change in the browser.
export function createChoice(model, onChange) {
  const state = { choice: model.get("choice"), ghost: null };
  let changedAt = 0;
  let sending = 0;
  const shown = () => compare(model.get("rules"), model.get("points"), state.choice);
  const choose = change => {
    const now = performance.now();
    const { batch_size: size, metric } = state.choice;
    if (now - changedAt > ONE_CHANGE) state.ghost = { size, metric, rows: shown().rows };
    changedAt = now;
    state.choice = { ...state.choice, ...change };
    clearTimeout(sending);
    sending = setTimeout(() => update(model, { choice: state.choice }), SENT_AFTER);
    onChange();
  };
  const setBudget = value => {
    const { budgets, metric } = state.choice;
    choose({ budgets: value === null ? without(budgets, metric) : { ...budgets, [metric]: twoDigits(value) } });
  };
  const points = () =>
    model.get("points").filter(m => m.phase === state.choice.phase && m.model === state.choice.model);
  return Object.assign(state, { choose, setBudget, shown, points, leave: () => clearTimeout(sending) });
}

// The first row of controls: phase, batch size and metric.
export function mainControls(model, state) {
  const sizes = model.get("sizes");
  const indexOf = size => Math.max(0, sizes.indexOf(size));
  const { choice, choose } = state;
  const phase = dropdown({
    label: "Phase",
    options: Object.entries(PHASES),
    value: choice.phase,
    onChange: value => choose({ phase: value, engine: "", precision: "" }),
  });
  const size = slider({
    label: "Batch size",
    min: 0,
    max: sizes.length - 1,
    value: indexOf(choice.batch_size),
    text: index => plural(sizes[index], "image"),
    onInput: index => choose({ batch_size: sizes[index] }),
  });
  const metric = dropdown({
    label: "Compare by",
    options: Object.entries(TITLES),
    value: choice.metric,
    onChange: value => choose({ metric: value }),
  });
  const follow = now => {
    phase.control.value = now.phase;
    metric.control.value = now.metric;
    size.set(indexOf(now.batch_size));
  };
  return { element: h("div", { class: "wb-controls dc-first" }, phase.element, size.element, metric.element), follow };
}

// The budget's slider covers the figures of all batch sizes.
export function budgetControl(model, state) {
  let range = [1, 10];
  const valueAt = index => range[0] * (range[1] / range[0]) ** (index / BUDGET_STEPS);
  const budget = () => state.choice.budgets[state.choice.metric];
  const text = () => {
    const how = quantity(model.get("rules"), state.choice.metric, state.choice.prices);
    return budget() === undefined ? "none" : `${how.higher_wins ? "at least" : "at most"} ${how.text(budget())}`;
  };
  const limit = slider({
    label: "Budget",
    min: 0,
    max: BUDGET_STEPS,
    value: BUDGET_STEPS / 2,
    text,
    onInput: index => state.setBudget(valueAt(index)),
  });
  const isLimited = h("input", { type: "checkbox", id: uid("budget") });
  isLimited.addEventListener("change", () =>
    state.setBudget(isLimited.checked ? valueAt(Number(limit.control.value)) : null),
  );
  const follow = now => {
    range = now;
    isLimited.checked = budget() !== undefined;
    limit.control.disabled = !isLimited.checked;
    const position = Math.log(budget() / range[0]) / Math.log(range[1] / range[0]);
    limit.set(isLimited.checked ? Math.round(BUDGET_STEPS * position) : limit.control.value);
  };
  const switched = h("label", { class: "wb-label" }, isLimited, "Set a budget");
  return { element: h("div", { class: "wb-controls dc-budget" }, switched, limit.element), follow };
}

function deviceSwitches(state, devices) {
  const { devices: chosen } = state.choice;
  const boxes = devices.map(device =>
    h("input", { type: "checkbox", checked: !chosen.length || chosen.includes(device), onchange: () => choose() }),
  );
  const choose = () => {
    const on = devices.filter((_, index) => boxes[index].checked);
    const some = on.length ? on : ["none"];
    state.choose({ devices: on.length === devices.length ? [] : some });
  };
  return boxes.map((box, index) => h("label", {}, box, devices[index]));
}

function priceFields(state, devices) {
  return devices.map(device => {
    const id = uid("price");
    const price = state.choice.prices[device];
    const oninput = event => {
      const value = Number(event.target.value);
      const { prices } = state.choice;
      state.choose({ prices: value > 0 ? { ...prices, [device]: value } : without(prices, device) });
    };
    const value = price === undefined ? null : Number(price.toPrecision(3));
    const field = h("input", { id, type: "number", min: 0, step: "any", placeholder: "none", value, oninput });
    return h("div", { class: "wb-field" }, h("label", { for: id }, device), field);
  });
}

// The controls under More, and the prices. They offer only what has figures.
export function moreControls(model, state, budget) {
  const { choose } = state;
  const network = dropdown({
    label: "Network",
    options: model.get("models"),
    value: state.choice.model,
    onChange: value => choose({ model: value, engine: "", precision: "" }),
  });
  const engine = dropdown({ label: "Engine", options: [], value: "", onChange: value => choose({ engine: value }) });
  const precision = dropdown({
    label: "Precision",
    options: [],
    value: "",
    onChange: value => choose({ precision: value }),
  });
  const devices = h("fieldset", {}, h("legend", {}, "Devices"));
  const prices = h("fieldset", { class: "dc-prices" }, h("legend", {}, PRICES));
  const more = details(
    "More: network, engine, devices, budget",
    [h("div", { class: "wb-controls" }, network.element, engine.element, precision.element), devices, budget.element],
    { class: "dc-more" },
  );
  let offered = "";
  // Replace nothing without need: a new measurement must not remove the control that has the focus.
  const offer = isForced => {
    const unique = name => [...new Set(state.points().map(m => m[name]))];
    const { phase, model: name } = state.choice;
    const now = JSON.stringify([phase, name, unique("engine"), unique("precision"), unique("device")]);
    if (now === offered && !isForced) return;
    offered = now;
    network.control.value = name;
    engine.offer([["", "the best of each"], ...unique("engine")], state.choice.engine);
    precision.offer([["", "any"], ...unique("precision")], state.choice.precision);
    devices.replaceChildren(devices.firstChild, ...deviceSwitches(state, unique("device")));
    prices.replaceChildren(prices.firstChild, ...priceFields(state, unique("device")));
  };
  return { elements: [more, prices], prices, offer };
}
