// A decision between devices: which one, for which figure, within which limit, and what would refute it.

import { h, uid } from "../serving/page/elements.js";
import { commas } from "../serving/page/numbers.js";
import { button, dropdown, KERNEL, note, statusLine } from "./controls.js";
import { decisionSentences } from "./decision_text.js";
import { createRoot, isLive, observe, setText, update } from "./frame.js";

const EMPTY = {
  device: "",
  setting: "",
  batch_size: 0,
  metric: "latency",
  limit: "none",
  at_most: "",
  words: "",
  proof: "",
};
const unique = values => [...new Set(values)];

// A text field. Every keystroke updates the preview; leaving the field saves the draft.
function textField({ tag, name, label, maxlength, draft, onInput, onChange, ...attributes }) {
  const id = uid(name);
  const control = h(tag, {
    id,
    maxlength,
    autocomplete: "off",
    ...KERNEL,
    ...attributes,
    oninput: () => onInput(name, control.value),
    onchange: () => onChange(name, control.value),
  });
  control.value = draft[name];
  const labelled = h("label", { for: id }, label);
  return { element: h("div", { class: `wb-field wb-${name}` }, labelled, control), control, label: labelled };
}

function createFields({ draft, lengths: [words, proof], onInput, onChange }) {
  const pick = (label, name, read = value => value) =>
    dropdown({ label, options: [], value: "", onChange: value => onChange(name, read(value)), kernel: true });
  const type = field => textField({ ...field, draft, onInput, onChange });
  const disproof = `What could prove it wrong (at most ${proof} characters)`;
  return {
    device: pick("Device", "device"),
    setting: pick("Engine and precision", "setting"),
    size: pick("Batch size", "batch_size", Number),
    metric: pick("Chosen for its", "metric"),
    limit: pick("A limit to keep", "limit"),
    atMost: type({ tag: "input", name: "at_most", label: "", maxlength: 20, inputmode: "decimal", size: 10 }),
    words: type({ tag: "input", name: "words", label: "In your words", maxlength: words }),
    proof: type({ tag: "textarea", name: "proof", label: disproof, maxlength: proof, rows: 3 }),
  };
}

function createForm({ device, setting, size, metric, limit, atMost, words, proof }, preview, keep) {
  const decide = h("button", { type: "submit", class: "wb-button wb-main", ...KERNEL }, "Decide");
  return h(
    "form",
    { class: "wb-decide", novalidate: true },
    h("div", { class: "wb-controls" }, device.element, setting.element, size.element, metric.element),
    h("div", { class: "wb-controls" }, limit.element, atMost.element, words.element),
    proof.element,
    h("p", { class: "wb-label" }, "As it would read"),
    preview,
    h("div", { class: "wb-controls" }, decide, keep),
  );
}

function createParts(model, fields) {
  const preview = h("p", { class: "wb-preview" });
  const keep = button("Keep the decision as it is", undefined, { class: "wb-button wb-keep" });
  return {
    fields,
    preview,
    keep,
    form: createForm(fields, preview, keep),
    card: h("div", { class: "wb-card", tabindex: "-1" }),
    decidedText: note(""),
    revise: button("Revise", undefined, KERNEL),
    empty: h("p", {}, model.get("rules").nothing),
    refresh: button("Look for new measurements", undefined, KERNEL),
    problem: h("p", { class: "wb-bad" }),
    status: statusLine(),
    recordProblem: note(""),
  };
}

function drawDecision(model, { card, decidedText }) {
  const decision = model.get("decision");
  card.hidden = decidedText.hidden = !decision;
  const classes = ["wb-status", null, decision?.verdict === "breaks" && "wb-bad"];
  const sentences = decision?.sentences ?? [];
  card.replaceChildren(...sentences.map((text, index) => h("p", { class: classes[index] }, text)));
  decidedText.textContent = model.get("decided_text");
}

// Show the decision, the form, or neither.
function arrange(model, parts, { isRevising, isWaiting }) {
  const live = isLive(model);
  const isDecided = Boolean(model.get("decision"));
  const isSettled = isDecided && !isRevising;
  const isEmpty = !model.get("offers").length;
  parts.revise.hidden = !live || !isSettled || isEmpty;
  parts.form.hidden = !live || isSettled || isEmpty;
  parts.keep.hidden = !isDecided;
  parts.empty.hidden = !live || !isEmpty || isDecided;
  parts.refresh.hidden = !live || !model.get("is_refreshable") || isSettled;
  parts.problem.textContent = isWaiting || !live ? "" : model.get("problem");
  parts.recordProblem.textContent = model.get("record_problem");
  setText(parts.status, isWaiting ? "Deciding …" : "");
}

// Adapt the draft to the offers, and return the one it selects.
function chosenOffer(offers, draft) {
  const devices = unique(offers.map(offer => offer.device));
  if (!devices.includes(draft.device)) draft.device = "";
  const settings = unique(offers.filter(offer => offer.device === draft.device).map(offer => offer.setting));
  if (!settings.includes(draft.setting)) draft.setting = settings[0] ?? "";
  const sizes = unique(offers.map(offer => offer.batch_size)).sort((a, b) => a - b);
  if (!sizes.includes(draft.batch_size)) draft.batch_size = sizes[0];
  const isChosen = offer => ["device", "setting", "batch_size"].every(name => offer[name] === draft[name]);
  return { devices, settings, sizes, offer: offers.find(isChosen) };
}

function drawForm(model, { fields, preview }, draft) {
  const rules = model.get("rules");
  const { devices, settings, sizes, offer } = chosenOffer(model.get("offers"), draft);
  const first = draft.device ? settings : [["", "choose a device first"]];
  fields.device.offer([["", "choose one"], ...devices], draft.device);
  fields.setting.offer(first, draft.setting);
  fields.size.offer(
    sizes.map(size => [String(size), commas(size)]),
    String(draft.batch_size),
  );
  fields.metric.offer(Object.entries(rules.metrics), draft.metric);
  fields.limit.offer(
    Object.entries(rules.limits).map(([name, [title]]) => [name, title]),
    draft.limit,
  );
  const unit = rules.limits[draft.limit][1];
  fields.atMost.element.hidden = !unit;
  fields.atMost.label.textContent = `At most, in ${unit}`;
  fields.words.element.hidden = draft.limit !== "other";
  preview.textContent = draft.device ? decisionSentences(draft, offer, rules).join(" ") : "Choose a device first.";
}

// Connect the buttons, and the kernel's replies, to `redraw`.
function listen(model, { form, card, keep, revise, refresh, fields }, draft, redraw) {
  form.addEventListener("submit", event => {
    event.preventDefault();
    redraw({ isWaiting: true });
    update(model, { draft: { ...draft }, requests: model.get("requests") + 1 });
  });
  keep.addEventListener("click", () => {
    redraw({ isRevising: false });
    card.focus();
  });
  revise.addEventListener("click", () => {
    redraw({ isRevising: true });
    fields.device.control.focus();
  });
  refresh.addEventListener("click", () => update(model, { refreshes: model.get("refreshes") + 1 }));
  observe(model, ["handled"], () => {
    const hadFocus = form.contains(document.activeElement);
    redraw({ isWaiting: false, ...(!model.get("problem") && { isRevising: false }) });
    if (hadFocus && form.hidden) card.focus();
  });
  observe(model, ["decision", "decided_text", "offers", "problem", "record_problem"], () => redraw({}));
}

function render({ model, el }) {
  const root = createRoot(model, el, `Decide: ${model.get("question")}`);
  const draft = { ...EMPTY, ...model.get("draft") };
  const state = { isRevising: false, isWaiting: false }; // waiting for the kernel's reply
  const redraw = changes => {
    Object.assign(state, changes);
    drawDecision(model, parts);
    arrange(model, parts, state);
    if (model.get("offers").length) drawForm(model, parts, draft);
  };
  const onInput = (name, value) => {
    draft[name] = value;
    redraw({});
  };
  const onChange = (name, value) => {
    onInput(name, value);
    update(model, { draft: { ...draft } });
  };
  const parts = createParts(model, createFields({ draft, lengths: model.get("rules").lengths, onInput, onChange }));
  const { card, decidedText, revise, form, empty, refresh, problem, status, recordProblem } = parts;
  root.append(
    h("h3", {}, model.get("question")),
    card,
    decidedText,
    revise,
    form,
    empty,
    refresh,
    h("div", { role: "alert" }, problem),
    status,
    recordProblem,
    note("This page has no kernel: nothing can be decided in here.", { hidden: isLive(model) }),
  );
  listen(model, parts, draft, redraw);
  redraw({});
}

export default { render };
