// A guess before a measurement, and what came out.

import { h, uid } from "../serving/page/elements.js";
import { button, KERNEL, note, statusLine } from "./controls.js";
import { createRoot, isLive, observe, setText, update } from "./frame.js";

function numberField(model) {
  const id = uid("guess");
  const unit = model.get("unit");
  const control = h("input", {
    type: "text",
    inputmode: "decimal",
    id,
    size: 10,
    maxlength: 40,
    autocomplete: "off",
    ...KERNEL,
    value: model.get("draft"),
    onchange: () => update(model, { draft: control.value }),
  });
  const label = h("label", { for: id }, unit ? `Your guess, a number (${unit})` : "Your guess, a number");
  return {
    element: h("div", { class: "wb-field" }, label, control),
    controls: [control],
    read: () => control.value,
    focus: () => control.focus(),
  };
}

function choiceField(model) {
  const name = uid("choice");
  const controls = model.get("choices").map(value =>
    h("input", {
      type: "radio",
      name,
      value,
      ...KERNEL,
      checked: value === model.get("draft"),
      onchange: () => update(model, { draft: value }),
    }),
  );
  const checked = () => controls.find(control => control.checked);
  const labels = controls.map(control => h("label", {}, control, control.value));
  return {
    element: h("fieldset", {}, h("legend", {}, "Your guess"), labels),
    controls,
    read: () => checked()?.value ?? "",
    focus: () => (checked() ?? controls[0]).focus(),
  };
}

function createParts(model) {
  const field = model.get("choices").length ? choiceField(model) : numberField(model);
  const lateNote = note("");
  const lock = h("button", { type: "submit", class: "wb-button wb-main", ...KERNEL }, "Lock in my guess");
  const controls = h("div", { class: "wb-controls" }, field.element, lock);
  return {
    field,
    lateNote,
    form: h("form", { class: "wb-guess", novalidate: true }, lateNote, controls),
    problem: h("p", { class: "wb-bad", id: uid("problem") }),
    guess: h("p", { class: "wb-status", tabindex: "-1" }),
    locked: note(""),
    change: button("Guess again", undefined, KERNEL),
    bars: h("div", { class: "wb-bars", "aria-hidden": "true" }),
    status: statusLine(),
    recordProblem: note(""),
  };
}

function bar(name, value, text, largest, colour) {
  const style = `width:${largest > 0 ? (100 * value) / largest : 0}%;background:${colour}`;
  const track = h("span", { class: "wb-track" }, h("span", { style }));
  return [h("span", {}, name), track, h("span", { class: "wb-n" }, text)];
}

// The guess and the outcome as bars, if both are numbers of 0 or more.
function comparison(model) {
  const [outcome, guess, guessText] = ["outcome", "value", "guess_text"].map(name => model.get(name));
  if (!guessText || model.get("choices").length || !(outcome.value >= 0)) return [];
  const largest = Math.max(guess, outcome.value);
  return [
    ...bar("Your guess", guess, guessText, largest, "var(--wb-series-5)"),
    ...bar("What came out", outcome.value, outcome.text, largest, "var(--wb-series-0)"),
  ];
}

function draw(model, parts, { isGuessing, isWaiting }) {
  const live = isLive(model);
  const guess = model.get("guess_text");
  parts.form.hidden = !live || (Boolean(guess) && !isGuessing);
  parts.lateNote.textContent = model.get("late_note");
  parts.problem.textContent = isWaiting || !live ? "" : model.get("problem");
  for (const control of parts.field.controls) {
    control.setAttribute("aria-invalid", Boolean(parts.problem.textContent));
    control.setAttribute("aria-describedby", parts.problem.id);
  }
  parts.guess.hidden = parts.locked.hidden = !guess;
  parts.guess.textContent = `Your guess: ${guess}`;
  parts.locked.textContent = model.get("locked_text");
  parts.change.hidden = !live || !guess || isGuessing || Boolean(model.get("late_note"));
  parts.bars.replaceChildren(...comparison(model));
  setText(parts.status, isWaiting ? "Locking in …" : (model.get("outcome").sentence ?? ""));
  parts.recordProblem.textContent = model.get("record_problem");
}

function render({ model, el }) {
  const root = createRoot(model, el, `Predict: ${model.get("question")}`);
  const parts = createParts(model);
  const { field, form, problem, guess, locked, change, bars, status, recordProblem } = parts;
  const state = { isGuessing: false, isWaiting: false }; // waiting for the kernel's reply
  const redraw = changes => draw(model, parts, Object.assign(state, changes));
  root.append(
    h("h3", {}, model.get("question")),
    form,
    h("div", { role: "alert" }, problem),
    guess,
    locked,
    change,
    bars,
    status,
    recordProblem,
    note("This page has no kernel: no guess can be locked in here.", { hidden: isLive(model) }),
  );
  form.addEventListener("submit", event => {
    event.preventDefault();
    redraw({ isWaiting: true });
    update(model, { draft: field.read(), requests: model.get("requests") + 1 });
  });
  change.addEventListener("click", () => {
    redraw({ isGuessing: true });
    field.focus();
  });
  observe(model, ["handled"], () => {
    const hadFocus = form.contains(document.activeElement);
    redraw({ isWaiting: false, isGuessing: state.isGuessing && Boolean(model.get("problem")) });
    if (hadFocus) (form.hidden ? guess : field).focus();
  });
  const shown = ["problem", "value", "guess_text", "locked_text", "outcome", "late_note", "record_problem"];
  observe(model, shown, () => redraw({}));
  redraw({});
}

export default { render };
