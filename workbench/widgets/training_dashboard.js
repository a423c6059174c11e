const RATES = {low: -2, high: 1, step: 0.05};  // powers of ten around the rate the run began with
const PATTERNS = ["", "7 4", "2 3", "9 3 2 3"];
const pattern = place => PATTERNS[place % PATTERNS.length];
const logTicks = (low, high) => {
  const all = decades(low / 10, high * 10, 99).flatMap(power => [power, 3 * power]).filter(tick => tick >= low && tick <= high);
  return all.length > 6 ? all.filter(tick => /^1|^0.0*1$/.test(String(tick))) : all;
};
const shortNumber = value => String(Number(value.toPrecision(3)));

function render({model, el}) {
  const root = box(model, el, "Training dashboard");
  const live = model.get("live") !== false;
  const shown = () => model.get("shown");

  const sentence = h("p", {class: "wb-said"});
  const status = h("p", {class: "wb-heard", role: "status", "aria-live": "polite"});
  const bar = progress("Share of the steps that are done");
  const hold = button("Pause", () => tellKernel(model, {paused: !model.get("paused")}), {"data-kernel": true});
  const stop = button("Stop", () => tellKernel(model, {stops: model.get("stops") + 1}), {"data-kernel": true});
  const rate = slider({
    label: "Peak learning rate from here on", min: RATES.low, max: RATES.high, step: RATES.step, value: 0, kernel: true,
    text: power => shown().start ? shortNumber(atPower(power)) : "–",
    input: power => tellKernel(model, {learning_rate: atPower(power)}),
  });
  const kept = h("p", {class: "wb-note"});
  const controls = h("div", {class: "wb-controls wb-training-controls", hidden: !live}, h("div", {class: "wb-training-buttons"}, hold, stop), rate.element);
  const figures = figureList();
  const origin = h("p", {class: "wb-note"});
  const legend = h("ul", {class: "wb-legend"});
  const charts = [
    chart("Loss in nats: lower is better", 1, 3, (value, digits) => digits ? value.toPrecision(3) : shortNumber(value)),
    chart("Accuracy: share of pictures that are right", 2, 4, (value, digits) => formatShare(value, digits ? 1 : 0)),
  ];
  const key = h("p", {class: "wb-note"});
  const tables = h("div", {});
  const details = h("details", {ontoggle: () => drawTables()}, h("summary", {}, "The same as a table"), tables);
  root.append(sentence, bar.element, controls, kept, figures.element, origin, legend,
    h("div", {class: "wb-columns"}, charts.map(each => each.element)), key, details, status);

  // Rounded as the slider shows it; in the middle exactly the rate the run began with.
  function atPower(power) {
    const start = shown().start;
    return power === 0 ? start : Math.min(100, Math.max(1e-7, Number((start * 10 ** power).toPrecision(3))));
  }
  function putRate() {
    const {start} = shown(), now = model.get("learning_rate");
    rate.element.hidden = !(start && now);
    if (start && now && document.activeElement !== rate.control) rate.put(Math.log10(now / start));
  }

  function draw() {
    const {runs = [], figures: rows = [], share = 0, ended = false} = shown();
    sentence.textContent = shown().sentence ?? "";
    bar.put(rows.length ? share : null, rows.length ? shown().place : "");
    const dead = root.classList.contains("wb-dead");
    hold.textContent = model.get("paused") ? "Resume" : "Pause";
    for (const control of [hold, stop, rate.control]) control.disabled = ended || dead;
    kept.textContent = live ? ended ? "" : shown().advice : "This page has no kernel: nothing can be trained here.";
    putRate();
    figures.put(rows);
    origin.textContent = (live ? shown().origin : shown().recorded) ?? "";
    legend.replaceChildren(...runs.map((run, place) => h("li", {},
      s("svg", {class: "wb-sample", viewBox: "0 0 34 12", "aria-hidden": "true"}, s("path", {d: "M0 6H34", fill: "none", stroke: hue(place), "stroke-width": 2, "stroke-dasharray": pattern(place)}), mark("measured", 17, 6, hue(place), 3.5)),
      h("strong", {}, run.name), ` ${run.state}`)));
    const thinned = runs.some(run => run.every > 1) ? " Long runs are thinned to what a chart can show." : "";
    const changed = runs.some(run => run.changes.length) ? " Vertical lines: the peak learning rate was changed to the value beside them." : "";
    key.textContent = `Thin lines: training pictures, while the network was changing. Lines with discs: validation pictures, after each epoch.${changed}${thinned}`;
    for (const each of charts) each.draw();
    drawTables();
  }

  function drawTables() {
    if (!details.open) return;
    const number = value => value === null ? "–" : shortNumber(value);
    const percent = value => value === null ? "–" : formatShare(value);
    tables.replaceChildren(...shown().runs.filter(run => run.epochs.length).map(run => h("div", {class: "wb-scroll", tabindex: 0, role: "region", "aria-label": `Epochs of ${run.name}`}, h("table", {},
      h("caption", {}, `${run.name} on ${run.device}${run.every > 1 ? `; every ${run.every}th epoch` : ""}`),
      h("thead", {}, h("tr", {}, ["Epoch", "Training loss", "Training accuracy", "Validation loss", "Validation accuracy", "Learning rate", "Time"].map(name => h("th", {scope: "col", class: "wb-n"}, name)))),
      h("tbody", {}, run.epochs.map(([epoch, loss, accuracy, lossThen, accuracyThen, rateThen, seconds]) => h("tr", {},
        h("th", {scope: "row", class: "wb-n"}, commas(epoch)),
        [number(loss), percent(accuracy), number(lossThen), percent(accuracyThen), number(rateThen), formatSeconds(seconds)].map(text => h("td", {class: "wb-n"}, text)))))))));
  }

  // One chart: `training` and `validation` say which number of a point it shows.
  function chart(title, training, validation, told) {
    const host = h("div", {class: "wb-chart"}), heading = h("h3", {}, title);
    const readout = h("p", {class: "wb-note wb-readout"});
    const height = 220, top = 22, bottom = height - 34, left = 44;
    let across = null, pointer = null, width = 0;
    new ResizeObserver(() => { if (host.clientWidth !== width) drawChart(); }).observe(host);
    // What was computed of training: each record, or where an epoch has but one, the epochs.
    const lineOf = run => (run.line.length ? run.line : run.epochs).filter(point => point[training] !== null);
    const markedOf = run => run.epochs.filter(point => point[validation] !== null);

    function drawChart() {
      width = host.clientWidth;
      if (!width) return;
      const runs = shown().runs ?? [];
      const right = width - 12;
      const all = runs.flatMap(run => [...lineOf(run).map(point => point[training]), ...markedOf(run).map(point => point[validation])]);
      const last = Math.max(1, ...runs.map(run => run.of));
      const most = training === 2 ? 1 : Math.max(0.1, ...all) * 1.05;
      // A few losses far above the rest would press all others flat.
      const middle = all.sort((one, other) => one - other)[all.length >> 1];
      const far = training === 1 && most > 6 * middle && all[0] > 0;
      const least = far ? all[0] / 1.1 : 0;
      heading.textContent = far ? `${title} (log scale)` : title;
      across = linearScale(0, last, left, right);
      const up = (far ? logScale : linearScale)(least, most, bottom, top);
      const path = points => points.map(([x, y], place) => `${place ? "L" : "M"}${across(x).toFixed(1)} ${up(y).toFixed(1)}`).join("");
      const ticks = evenTicks(0, last, Math.max(2, Math.min(6, Math.floor(width / 70)))).filter(tick => Number.isInteger(tick));
      const words = runs.map(run => {
        const end = markedOf(run).at(-1) ?? lineOf(run).at(-1);
        return end ? `${run.name}: ${told(end[markedOf(run).length ? validation : training], true)}` : `${run.name}: nothing yet`;
      });
      let free = -Infinity;
      const changes = runs.flatMap((run, place) => run.changes.map(([x, peak]) => {
        const at = across(x), text = shortNumber(peak), half = 3.6 * text.length;
        const middle = Math.min(right - half, Math.max(left + half, at));
        const room = middle - half > free;
        if (room) free = middle + half + 3;
        return [s("line", {x1: at, x2: at, y1: top, y2: bottom, stroke: hue(place), "stroke-width": 1.2, "stroke-dasharray": "4 3"}),
          room ? s("text", {x: middle, y: top - 6, class: "wb-axis", "text-anchor": "middle"}, text) : null];
      }));
      pointer = s("line", {y1: top, y2: bottom, stroke: "var(--wb-muted)", visibility: "hidden"});
      host.replaceChildren(s("svg", {viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${title}. ${words.join("; ")}.`, onpointermove: point, onpointerleave: leave},
        (far ? logTicks(least, most) : evenTicks(0, most, 4)).map(tick => [s("line", {class: "wb-grid", x1: left, x2: right, y1: up(tick), y2: up(tick)}),
          s("text", {class: "wb-axis", x: left - 6, y: up(tick) + 4, "text-anchor": "end"}, told(tick))]),
        ticks.map(tick => s("text", {class: "wb-axis", x: across(tick), y: bottom + 16, "text-anchor": "middle"}, commas(tick))),
        s("text", {class: "wb-axis", x: (left + right) / 2, y: height - 3, "text-anchor": "middle"}, "epoch"),
        changes,
        runs.map((run, place) => [
          s("path", {d: path(lineOf(run).map(point => [point[0], point[training]])), fill: "none", stroke: hue(place), "stroke-width": 1, opacity: 0.75, "stroke-dasharray": pattern(place)}),
          s("path", {d: path(markedOf(run).map(point => [point[0], point[validation]])), fill: "none", stroke: hue(place), "stroke-width": 2.2, "stroke-dasharray": pattern(place)}),
          markedOf(run).length > 60 ? null : markedOf(run).map(point => mark("measured", across(point[0]), up(point[validation]), hue(place), 3.5))]),
        pointer));
    }
    function point(event) {
      const x = event.clientX - host.getBoundingClientRect().left;
      const near = points => points.reduce((best, one) => Math.abs(across(one[0]) - x) < Math.abs(across(best[0]) - x) ? one : best);
      const runs = (shown().runs ?? []).filter(run => lineOf(run).length);
      if (!runs.length) return;
      const at = near(runs.flatMap(lineOf))[0];
      pointer.setAttribute("x1", across(at));
      pointer.setAttribute("x2", across(at));
      pointer.setAttribute("visibility", "visible");
      readout.textContent = `Epoch ${shortNumber(at)}: ` + runs.map(run => {
        const validated = markedOf(run).filter(point => point[0] <= at).at(-1);
        const after = validated ? `, validation ${told(validated[validation], true)} after epoch ${validated[0]}` : "";
        return `${run.name} training ${told(near(lineOf(run))[training], true)}${after}`;
      }).join("; ") + ".";
    }
    function leave() {
      pointer.setAttribute("visibility", "hidden");
      readout.textContent = "";
    }
    return {element: h("div", {}, heading, host, readout), draw: drawChart};
  }

  const redraw = everyFrame(draw);
  model.on("change:shown", redraw);
  model.on("change:paused", redraw);
  model.on("change:learning_rate", redraw);
  model.on("change:said", () => { status.textContent = model.get("said"); });
  draw();
}

export default { render };
