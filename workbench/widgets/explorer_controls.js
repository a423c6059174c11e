// A control for each hyper-parameter, and a line that explains the current one.

import { h, uid } from "../serving/page/elements.js";
import { commas } from "../serving/page/numbers.js";
import { details, dropdown, note, slider } from "./controls.js";
import { isLive, observe, update } from "./frame.js";

function format(value) {
  if (typeof value !== "number") return String(value);
  return Number.isInteger(value) ? commas(value) : String(Number(value.toPrecision(4)));
}

// A slider over the field's stops, and any other value that was set in the kernel.
function stopsControl({ label, stops }, value, onChange, kernel) {
  const withValue = now => (stops.includes(now) ? stops : [...stops, now].sort((a, b) => a - b));
  let shown = withValue(value);
  const made = slider({
    label,
    min: 0,
    max: shown.length - 1,
    value: shown.indexOf(value),
    kernel,
    text: index => format(shown[index]),
    onInput: index => onChange(shown[index]),
  });
  const set = now => {
    shown = withValue(now);
    made.control.max = shown.length - 1;
    made.set(shown.indexOf(now));
  };
  return { ...made, set };
}

function choiceControl({ label, choices }, value, onChange, kernel) {
  const withValue = now => (choices.includes(now) ? choices : [...choices, now]);
  const made = dropdown({ label, options: withValue(value), value, onChange, kernel });
  return { ...made, set: now => made.offer(withValue(now), now) };
}

function switchControl({ label }, value, onChange, kernel) {
  const control = h("input", { type: "checkbox", id: uid("switch"), "data-kernel": kernel });
  const set = now => {
    control.checked = now;
  };
  control.addEventListener("change", () => onChange(control.checked));
  set(value);
  return { element: h("div", { class: "hx-switch" }, control, h("label", { for: control.id }, label)), control, set };
}

const KINDS = { stops: stopsControl, choice: choiceControl, switch: switchControl };

function createControl(model, field, explain) {
  const onChange = value => update(model, { values: { ...model.get("values"), [field.name]: value } });
  const made = KINDS[field.kind](field, model.get("values")[field.name], onChange, isLive(model));
  const help = h("span", { id: uid("help"), hidden: true }, field.help);
  made.control.setAttribute("aria-describedby", help.id);
  made.control.disabled = !isLive(model);
  made.element.title = field.help;
  made.element.append(help);
  for (const name of ["focusin", "pointerenter"]) made.element.addEventListener(name, () => explain(field));
  return made;
}

// counting: an element that shows what is being computed.
export function createControls(model, counting) {
  const fields = model.get("fields");
  const explanation = note("Move to a control, and this line says what it does.", {
    class: "wb-note hx-help",
    "aria-hidden": "true",
  });
  const explain = ({ label, help }) => {
    explanation.textContent = `${label}: ${help}`;
  };
  const controls = fields.map(field => createControl(model, field, explain));
  observe(model, ["values"], () => {
    const values = model.get("values");
    for (const [index, { name }] of fields.entries()) if (name in values) controls[index].set(values[name]);
  });
  const elements = isMain => controls.filter((_, index) => fields[index].main === isMain).map(({ element }) => element);
  const grid = isMain => h("div", { class: "hx-grid" }, elements(isMain));
  const more = details(`More: the other ${elements(false).length} hyper-parameters`, grid(false));
  return h("div", {}, grid(true), more, h("div", { class: "hx-line" }, explanation, counting));
}
