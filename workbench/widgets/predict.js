function render({model, el}) {
  const root = box(model, el, `Predict: ${model.get("question")}`);
  const live = model.get("live") !== false;
  const choices = model.get("choices"), unit = model.get("unit");
  let again = false, waiting = false;  // whether another guess is being made; whether the kernel has yet to answer

  const field = choices.length ? radios() : number();
  const problem = h("p", {class: "wb-bad", id: uid("problem")});
  const known = h("p", {class: "wb-note"});
  const form = h("form", {class: "wb-guess", novalidate: true, onsubmit: lock}, known,
    h("div", {class: "wb-controls"}, field.element,
      h("button", {type: "submit", class: "wb-button wb-main", "data-kernel": true}, "Lock in my guess")));
  const guess = h("p", {class: "wb-said", tabindex: "-1"});
  const when = h("p", {class: "wb-note"});
  const change = button("Guess again", () => { again = true; draw(); field.focus(); }, {"data-kernel": true});
  const bars = h("div", {class: "wb-bars", "aria-hidden": "true"});
  const status = announcer();
  const kept = h("p", {class: "wb-note"});
  const without = h("p", {class: "wb-note", hidden: live}, "This page has no kernel: no guess can be locked in here.");
  root.append(h("h3", {}, model.get("question")), form, h("div", {role: "alert"}, problem), guess, when, change, bars, status, kept, without);

  function number() {
    const id = uid("guess");
    const control = h("input", {type: "text", inputmode: "decimal", id, size: 10, maxlength: 40, autocomplete: "off",
      "data-kernel": true, value: model.get("draft"), onchange: () => tellKernel(model, {draft: control.value})});
    const label = h("label", {for: id}, unit ? `Your guess, a number (${unit})` : "Your guess, a number");
    return {element: h("div", {class: "wb-field"}, label, control), controls: [control], read: () => control.value, focus: () => control.focus()};
  }
  function radios() {
    const name = uid("choice");
    const controls = choices.map(choice => h("input", {type: "radio", name, value: choice, "data-kernel": true,
      checked: choice === model.get("draft"), onchange: () => tellKernel(model, {draft: choice})}));
    const read = () => controls.find(control => control.checked)?.value ?? "";
    return {
      element: h("fieldset", {}, h("legend", {}, "Your guess"), controls.map((control, place) => h("label", {}, control, choices[place]))),
      controls, read, focus: () => (controls.find(control => control.checked) ?? controls[0]).focus(),
    };
  }
  function lock(event) {
    event.preventDefault();
    waiting = true;
    draw();
    tellKernel(model, {draft: field.read(), asked: model.get("asked") + 1});
  }
  function answered() {
    const inside = form.contains(document.activeElement);
    if (!model.get("problem")) again = false;
    waiting = false;
    draw();
    if (inside && form.hidden) guess.focus();
    if (inside && !form.hidden) field.focus();
  }
  function bar(name, value, told, most, colour) {
    const width = `width:${most > 0 ? 100 * value / most : 0}%;background:${colour}`;
    return [h("span", {}, name), h("span", {class: "wb-track"}, h("span", {style: width})), h("span", {class: "wb-n"}, told)];
  }
  function draw() {
    const figure = model.get("figure"), guessed = model.get("guessed"), value = model.get("value");
    const revealed = figure.sentence !== undefined;
    form.hidden = !live || Boolean(guessed) && !again;
    known.textContent = model.get("known");
    problem.textContent = waiting || !live ? "" : model.get("problem");
    for (const control of field.controls) {
      control.setAttribute("aria-invalid", Boolean(problem.textContent));
      control.setAttribute("aria-describedby", problem.id);
    }
    guess.hidden = when.hidden = !guessed;
    guess.textContent = `Your guess: ${guessed}`;
    when.textContent = model.get("locked");
    change.hidden = !live || !guessed || again || Boolean(model.get("known"));
    const shown = revealed && guessed && !choices.length && figure.value >= 0;
    const most = Math.max(value, figure.value);
    bars.replaceChildren(...(shown ? [
      bar("Your guess", value, guessed, most, "var(--wb-series-5)"),
      bar("What came out", figure.value, figure.told, most, "var(--wb-series-0)")] : []).flat());
    const told = waiting ? "Locking in …" : revealed ? figure.sentence : "";
    if (status.textContent !== told) status.textContent = told;
    kept.textContent = model.get("kept");
  }
  model.on("change:done", answered);
  for (const name of ["problem", "value", "guessed", "locked", "figure", "known", "kept"]) model.on(`change:${name}`, draw);
  draw();
}
export default { render };
