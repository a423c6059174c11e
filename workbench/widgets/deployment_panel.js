// Start, stop and load on top; below, what the application counts: the kernel asks it once a second.

const MINUTE = 60, CLIENTS = [1, 2, 4, 8, 16, 32, 64, 128];

function render({model, el}) {
  const root = box(model, el, "The application at work");
  const live = model.get("live") !== false;
  const words = model.get("words"), heads = model.get("heads");
  const shown = () => model.get("shown");

  const sentence = h("p", {class: "wb-said"});
  const address = h("a", {target: "_blank", rel: "noopener"});
  const link = h("p", {}, "Its page: ", address, h("span", {class: "wb-note"}, ` (${words.link})`));
  const problem = h("p", {class: "wb-bad"});
  const heard = h("p", {class: "wb-heard", role: "status", "aria-live": "polite"});

  // A button that cannot be used now keeps the focus: it is told so, not disabled.
  const ask = (what, name, kind) => {
    const control = button(name, () => {
      if (control.getAttribute("aria-disabled") === "false")
        tellKernel(model, {asked: {serial: model.get("asked").serial + 1, what}});
    }, {class: `wb-button ${kind}`, "data-kernel": true});
    return control;
  };
  const start = ask("start", "Start", "wb-main"), stop = ask("stop", "Stop", ""), press = ask("press", "Put load on it", "");
  const clients = choice({label: "How many ask at once", options: [], value: "", kernel: true,
    change: value => tellKernel(model, {at_once: Number(value)})});
  const controls = h("div", {class: "wb-controls", hidden: !live}, start, stop, clients.element, press);
  const offer = () => {
    const now = model.get("at_once");
    const all = [...new Set([...CLIENTS, now])].sort((one, other) => one - other);
    clients.offer(all.map(count => [String(count), commas(count)]), String(now));
  };

  const figures = figureList();
  const line = rateLine(() => shown().rates ?? [], () => shown().rates_told ?? "");
  const statuses = grid(words.counted, heads.status, [2]);
  const answers = h("ul", {class: "dp-answers"});
  const nothing = h("p", {class: "wb-note"}, words.nothing);
  const loadTold = h("p", {});
  const loads = grid(words.loads, heads.load, heads.load.map((_, place) => place));
  const counted = h("div", {}, figures.element, h("p", {class: "wb-note"}, words.origin), line.element, h("div", {class: "wb-columns"},
    h("div", {}, h("h3", {}, "Requests by status"), statuses.element),
    h("div", {}, h("h3", {}, "Pictures by the label they were given"), answers)), nothing);
  const measured = h("div", {}, h("h3", {}, "Load put on it"), loadTold, loads.element, h("p", {class: "wb-note"}, words.apart));
  root.classList.add("dp");
  root.append(sentence, link, h("div", {role: "alert"}, problem), controls,
    h("p", {class: "wb-note", hidden: live}, words.no_kernel), counted, measured, heard);

  function draw() {
    const {state, pressing, figures: rows = [], answers: labels = []} = shown();
    sentence.textContent = shown().sentence;
    link.hidden = !shown().address || !live;
    address.textContent = address.href = shown().address;
    if (problem.textContent !== model.get("problem")) problem.textContent = model.get("problem");
    start.setAttribute("aria-disabled", state !== "off");
    stop.setAttribute("aria-disabled", state !== "on");
    press.setAttribute("aria-disabled", state !== "on" || pressing);
    press.textContent = pressing ? "Load is on it …" : "Put load on it";
    counted.hidden = !rows.length;
    measured.hidden = !shown().loads?.length;
    figures.put(rows);
    line.draw();
    nothing.hidden = Boolean(shown().statuses?.length);
    statuses.element.parentElement.parentElement.hidden = !nothing.hidden;
    statuses.put(shown().statuses ?? []);
    answers.replaceChildren(...labels.map(({label, bar, told}) => h("li", {}, h("span", {class: "dp-label"}, label),
      h("span", {class: "dp-track", "aria-hidden": "true"}, h("span", {style: `width:${100 * bar}%`, hidden: !bar})), h("span", {class: "wb-n"}, told))));
    loadTold.textContent = shown().load_told ?? "";
    loads.put(shown().loads ?? []);
  }
  const redraw = everyFrame(draw);
  model.on("change:shown", redraw);
  model.on("change:problem", redraw);
  model.on("change:at_once", offer);
  model.on("change:said", () => { heard.textContent = model.get("said"); });
  offer();
  draw();
}

// A table whose rows change while it may be scrolled: only its body is drawn anew.
function grid(caption, head, numeric) {
  const body = h("tbody", {}), style = place => numeric.includes(place) && "wb-n";
  const cells = texts => texts.map((text, place) => h(place ? "td" : "th", {scope: place ? null : "row", class: style(place)}, text));
  const element = h("div", {class: "wb-scroll", tabindex: 0, role: "region", "aria-label": caption}, h("table", {}, h("caption", {}, caption),
    h("thead", {}, h("tr", {}, head.map((name, place) => h("th", {scope: "col", class: style(place)}, name)))), body));
  return {element, put: rows => { body.replaceChildren(...rows.map(texts => h("tr", {}, cells(texts)))); }};
}

// Requests a second over the last minute, with the sentence that says the same.
function rateLine(rates, told) {
  const host = h("div", {class: "dp-line"}), sentence = h("p", {class: "wb-note"});
  const height = 130, top = 8, bottom = height - 22, left = 48;
  let width = 0;
  new ResizeObserver(() => { if (host.clientWidth !== width) draw(); }).observe(host);
  function draw() {
    if (sentence.textContent !== told()) sentence.textContent = told();
    width = host.clientWidth;
    if (!width) return;
    const right = width - 10, most = Math.max(4, ...rates().map(([, rate]) => rate)) * 1.05;
    const across = linearScale(MINUTE, 0, left, right), up = linearScale(0, most, bottom, top);
    const points = rates().map(([ago, rate]) => [across(ago), up(rate)]);
    const path = points.map(([x, y], place) => `${place ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
    const ticks = width > 420 ? [60, 45, 30, 15, 0] : [60, 30, 0];
    host.replaceChildren(s("svg", {viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Requests a second over the last minute. ${told()}`},
      evenTicks(0, most, 3).map(tick => [s("line", {class: "wb-grid", x1: left, x2: right, y1: up(tick), y2: up(tick)}),
        s("text", {class: "wb-axis", x: left - 6, y: up(tick) + 4, "text-anchor": "end"}, commas(tick))]),
      ticks.map(tick => s("text", {class: "wb-axis", x: across(tick), y: height - 5, "text-anchor": tick === 60 ? "start" : tick ? "middle" : "end"}, tick ? `${tick} s ago` : "now")),
      s("path", {d: path, fill: "none", stroke: hue(0), "stroke-width": 2}),
      points.length ? mark("measured", ...points.at(-1), hue(0), 3.5) : null));
  }
  return {element: h("div", {}, h("h3", {}, "Requests a second"), host, sentence), draw};
}

export default { render };
