function render({model, el}) {
  const {templates, metrics, limits, doubt, nothing, lengths} = model.get("words");
  const root = box(model, el, `Decide: ${model.get("question")}`);
  const live = model.get("live") !== false;
  let revising = false, waiting = false;  // whether a decision is being replaced; whether the kernel has yet to answer

  const draft = {device: "", setting: "", batch_size: 0, metric: "latency", limit: "none", at_most: "", words: "", proof: "",
    ...model.get("draft")};
  const put = (name, value) => { draft[name] = value; draw(); tellKernel(model, {draft: {...draft}}); };
  const pick = (label, name, read = value => value) =>
    choice({label, options: [], value: "", change: value => put(name, read(value)), kernel: true});
  const device = pick("Device", "device"), setting = pick("Engine and precision", "setting");
  const size = pick("Batch size", "batch_size", Number), metric = pick("Chosen for its", "metric");
  const limit = pick("A limit to keep", "limit");
  const atMost = written("input", "at_most", 20), words = written("input", "words", lengths[0]), proof = written("textarea", "proof", lengths[1]);

  const card = h("div", {class: "wb-card", tabindex: "-1"});
  const when = h("p", {class: "wb-note"});
  const revise = button("Revise", () => { revising = true; draw(); device.control.focus(); }, {"data-kernel": true});
  const again = button("Look for new measurements", () => tellKernel(model, {refreshed: model.get("refreshed") + 1}), {"data-kernel": true});
  const preview = h("p", {class: "wb-preview"});
  const problem = h("p", {class: "wb-bad"});
  const form = h("form", {class: "wb-decide", novalidate: true, onsubmit: decide},
    h("div", {class: "wb-controls"}, device.element, setting.element, size.element, metric.element),
    h("div", {class: "wb-controls"}, limit.element, atMost.element, words.element),
    proof.element, h("p", {class: "wb-label"}, "As it would read"), preview,
    h("div", {class: "wb-controls"},
      h("button", {type: "submit", class: "wb-button wb-main", "data-kernel": true}, "Decide"),
      button("Keep the decision as it is", () => { revising = false; draw(); card.focus(); }, {class: "wb-button wb-keep"})));
  const empty = h("p", {}, nothing);
  const status = announcer();
  const kept = h("p", {class: "wb-note"});
  const without = h("p", {class: "wb-note", hidden: live}, "This page has no kernel: nothing can be decided in here.");
  root.append(h("h3", {}, model.get("question")), card, when, revise, form, empty, again, h("div", {role: "alert"}, problem), status, kept, without);

  function written(kind, name, most) {
    const id = uid(name);
    const control = h(kind, {id, maxlength: most, autocomplete: "off", "data-kernel": true, rows: kind === "textarea" ? 3 : null,
      inputmode: name === "at_most" ? "decimal" : null, size: name === "at_most" ? 10 : null,
      oninput: () => { draft[name] = control.value; draw(); }, onchange: () => put(name, control.value)}, kind === "textarea" ? draft[name] : "");
    if (kind === "input") control.value = draft[name];
    const label = h("label", {for: id}, {words: "In your words", proof: `What could prove it wrong (at most ${most} characters)`}[name] ?? "");
    return {element: h("div", {class: `wb-field wb-${name}`}, label, control), control, label};
  }
  function decide(event) {
    event.preventDefault();
    waiting = true;
    draw();
    tellKernel(model, {draft: {...draft}, asked: model.get("asked") + 1});
  }
  function answered() {
    const inside = form.contains(document.activeElement);
    waiting = false;
    if (!model.get("problem")) revising = false;
    draw();
    if (inside && form.hidden) card.focus();
  }

  // What workbench/decisions.py says of a choice; a test compares the two.
  function readNumber(text, unit) {
    let bare = text.trim();
    if (unit && bare.endsWith(unit)) bare = bare.slice(0, -unit.length).trim();
    if (/^\d{1,3}(,\d{3})+(\.\d*)?$/.test(bare)) bare = bare.replaceAll(",", "");
    else if (/^\d*,\d+$/.test(bare)) bare = bare.replace(",", ".");
    return {number: /^\+?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(bare) ? Number(bare) : NaN, bare: bare};
  }
  function verdict(offer, unit, factor) {
    const {number} = readNumber(draft.at_most, unit);
    if (!unit || !Number.isFinite(number)) return "";
    if (!offer?.held[draft.limit]) return "unknown";
    const value = offer.held[draft.limit][0], most = number * factor;
    if (offer.modelled && value < most * doubt && most < value * doubt) return "doubt";
    return value <= most ? "keeps" : "breaks";
  }
  function sentences(offer) {
    const line = text => text.trim().replace(/\s+/g, " ").replace(/\.+$/, "");
    const figure = offer?.figures[draft.metric], [title, unit, factor] = limits[draft.limit];
    const batch = draft.batch_size === 1 ? templates.one : fill(templates.many, {count: commas(draft.batch_size)});
    const facts = {...draft, batch, metric: metrics[draft.metric], value: figure?.[1], origin: offer?.origin};
    const must = draft.limit === "other" ? line(draft.words) || "…"
      : fill(templates["at most"], {title, unit, at_most: readNumber(draft.at_most, unit).bare || "…"});
    const held = verdict(offer, unit, factor);
    return [
      fill(templates[figure ? "figure" : "no figure"], facts),
      draft.limit === "none" ? templates.none : fill(templates.limit, {limit: must}),
      ...(held ? [fill(templates[held], {value: offer?.held[draft.limit]?.[1], origin: offer?.origin})] : []),
      fill(templates.proof, {proof: line(draft.proof) || "…"}),
    ];
  }

  function draw() {
    const offers = model.get("offers"), decision = model.get("decision");
    const settled = decision && !revising, unique = values => [...new Set(values)];
    card.hidden = when.hidden = !decision;
    card.replaceChildren(...(decision?.sentences ?? []).map((said, place) => h("p", {
      class: place === 0 ? "wb-said" : place === 2 && decision.verdict === "breaks" ? "wb-bad" : null}, said)));
    when.textContent = model.get("told_when");
    revise.hidden = !live || !settled || !offers.length;
    form.hidden = !live || settled || !offers.length;
    form.querySelector(".wb-keep").hidden = !decision;
    empty.hidden = !live || offers.length > 0 || Boolean(decision);
    again.hidden = !live || !model.get("grows") || settled;
    problem.textContent = waiting || !live ? "" : model.get("problem");
    kept.textContent = model.get("kept");
    const told = waiting ? "Deciding …" : "";
    if (status.textContent !== told) status.textContent = told;
    if (!offers.length) return;

    const devices = unique(offers.map(offer => offer.device));
    if (!devices.includes(draft.device)) draft.device = "";
    const settings = unique(offers.filter(offer => offer.device === draft.device).map(offer => offer.setting));
    if (!settings.includes(draft.setting)) draft.setting = settings[0] ?? "";
    const sizes = unique(offers.map(offer => offer.batch_size)).sort((a, b) => a - b);
    if (!sizes.includes(draft.batch_size)) draft.batch_size = sizes[0];
    device.offer([["", "choose one"], ...devices.map(name => [name, name])], draft.device);
    setting.offer(draft.device ? settings : [["", "choose a device first"]], draft.setting);
    size.offer(sizes.map(value => [String(value), commas(value)]), String(draft.batch_size));
    metric.offer(Object.entries(metrics), draft.metric);
    limit.offer(Object.entries(limits).map(([kind, [title]]) => [kind, title]), draft.limit);
    const unit = limits[draft.limit][1];
    atMost.element.hidden = !unit;
    atMost.label.textContent = `At most, in ${unit}`;
    words.element.hidden = draft.limit !== "other";
    const offer = offers.find(one => one.device === draft.device && one.setting === draft.setting && one.batch_size === draft.batch_size);
    preview.textContent = draft.device ? sentences(offer).join(" ") : "Choose a device first.";
  }
  model.on("change:done", answered);
  for (const name of ["decision", "told_when", "offers", "problem", "kept"]) model.on(`change:${name}`, draw);
  draw();
}
export default { render };
