// Comparing devices as workbench/comparison.py and ranking.py do; a test holds the two together, sentence by sentence.

const FORMATS = {seconds: formatSeconds, rate: formatRate, energy: formatEnergy, bytes: formatBytes, dollars: formatDollars};

function quantity(rules, name, prices) {
  const facts = rules.metrics[name];
  const read = {
    latency: m => m.p50,
    throughput: m => m.batch_size / m.p50,
    energy: m => m.energy === null ? null : m.energy / m.batch_size,
    memory: m => m.memory,
    cost: m => prices[m.device] === undefined ? null : prices[m.device] / 3600 * (m.p50 / m.batch_size) * 1e6,
  }[name];
  const text = value => FORMATS[facts.format](value) + facts.unit;
  const assumes = m => facts.assumed !== "" && m.origin === "modelled";
  const told = m => {
    const value = read(m);
    if (value === null) return "–";
    if (value === 0) return "too little to measure";
    return assumes(m) ? `${text(value)} ${facts.assumed}` : text(value);
  };
  return {...facts, name, value: read, text, assumes, told};
}

// Of each device and origin, at each batch size, the best that it does; named by what tells them apart.
function bestOfEach(points, how) {
  const order = (a, b) => a.missing - b.missing || a.signed - b.signed || a.p50 - b.p50;
  const place = m => {
    const value = how.value(m);
    return {missing: value === null, signed: (how.higher_wins ? -1 : 1) * (value ?? 0), p50: m.p50};
  };
  const chosen = new Map();
  for (const m of points) {
    const key = JSON.stringify([m.device, m.origin, m.batch_size]);
    if (!chosen.has(key) || order(place(m), place(chosen.get(key))) < 0) chosen.set(key, m);
  }
  const kept = [...chosen.values()];
  const devices = new Set(kept.map(m => m.device));
  const origins = device => new Set(kept.filter(m => m.device === device).map(m => m.origin)).size;
  const several = new Map([...devices].map(device => [device, origins(device) > 1]));
  const name = m => several.get(m.device) ? `${m.device}, ${m.origin}` : m.device;
  const sizes = [...new Set(kept.map(m => m.batch_size))].sort((a, b) => a - b);
  const rows = new Map(sizes.map(size => [size, kept
    .filter(m => m.batch_size === size)
    .map(m => ({name: name(m), value: how.value(m), text: how.told(m), m, place: place(m)}))
    .sort((a, b) => order(a.place, b.place))]));
  return {sizes, rows, names: [...new Set(kept.map(name))], how};
}

const ratioOf = (a, b) => {
  const [low, high] = [a.value, b.value].sort((x, y) => x - y);
  return low > 0 ? high / low : high === low ? 1 : Infinity;
};
const margin = (rules, a, b) => a.m.origin === "modelled" || b.m.origin === "modelled" ? rules.doubt : rules.draw;
const leads = (rules, best, other) => ratioOf(best, other) > margin(rules, best, other);

// The batch sizes at which two or more have a figure, with these; none where figures rest on an assumption.
function contests({sizes, rows, how}) {
  const all = [...rows.values()].flat();
  if (all.some(row => how.assumes(row.m) && row.value !== null)) return [];
  return sizes.map(size => [size, rows.get(size).filter(row => row.value !== null)]).filter(([, known]) => known.length > 1);
}
function crossovers(rules, compared) {
  const found = [];
  const all = contests(compared);
  let before = new Set(), leader = null, last = 0;
  all.forEach(([size, ranked], place) => {
    const here = new Map(ranked.map(row => [row.name, row]));
    const best = ranked[0];
    if (leader !== null && (!here.has(leader) || leads(rules, best, here.get(leader)))) {
      const keeps = known => {
        const both = known.filter(row => row.name === best.name || row.name === leader);
        return both.length < 2 || (both[0].name === best.name && leads(rules, both[0], both[1]));
      };
      found.push({batch_size: size, last, before: leader, after: best.name,
        met: here.has(leader) && before.has(best.name), lasting: all.slice(place).every(([, known]) => keeps(known))});
      leader = null;
    }
    leader ??= best.name;
    if (leader === best.name) last = size;
    before = new Set(here.keys());
  });
  return found;
}

const batchWords = size => size === 1 ? "One picture at a time" : `${commas(size)} pictures at once`;
const toldOf = m => `${m.setting}, ${m.told}`;

// What there is to say: names of templates with what fills them.
function facts(rules, compared, size, phase) {
  const {how, rows} = compared;
  const all = rows.get(size);
  if (!all) return [["no size", {batch: batchWords(size)}]];
  const known = all.filter(row => row.value !== null);
  const said = [];
  if (known.length) {
    said.push([known[0].value === 0 ? "nothing" : how.name, firstFact(rules, how, known, size, phase)]);
    if (known.length > 1) said.push(...leadFacts(rules, compared));
  }
  if (known.length < all.length) {
    const names = all.filter(row => row.value === null).map(row => row.name).join(", ");
    said.push(how.name === "cost" ? ["no price", {names}] : ["no figure", {names: `${how.title} of ${names}`}]);
  }
  if (known.some(row => row.m.origin === "modelled")) said.push(["modelled", {}]);
  return said;
}
function firstFact(rules, how, [best, second], size, phase) {
  let lead = "";
  if (second) {
    const ratio = ratioOf(best, second);
    const kind = how.assumes(best.m) || how.assumes(second.m) || ratio === Infinity ? "beside"
      : leads(rules, best, second) ? "lead" : margin(rules, best, second) === rules.draw ? "draw" : "doubt";
    lead = fill(rules.templates[kind], {ratio: formatRatio(ratio), better: how.better, second: second.name,
      second_value: second.text, second_origin: toldOf(second.m)});
  }
  return {batch: batchWords(size), best: best.name, does: phase === "training" ? "takes a training step" : "answers",
    what: how.name, value: best.text, origin: toldOf(best.m), lead};
}
function leadFacts(rules, compared) {
  const all = contests(compared);
  if (all.length < 2) return [];
  const found = crossovers(rules, compared);
  if (found.length) return found.map(each => [
    !each.met ? "succession" : each.lasting ? "crossover" : "passing crossover",
    {...each, batch_size: commas(each.batch_size), last: commas(each.last)}]);
  const best = all[0][1][0].name;
  const alone = all.every(([, known]) => known[0].name === best && known.slice(1).every(row => leads(rules, known[0], row)));
  return [[alone ? "no crossover" : "level", {best, first: commas(all[0][0]), last: commas(all.at(-1)[0])}]];
}
function budgetFacts(compared, size, limit) {
  const {how, rows} = compared;
  const known = (rows.get(size) ?? []).filter(row => row.value !== null);
  const keeps = row => how.higher_wins ? row.value >= limit : row.value <= limit;
  const kept = known.filter(keeps), broken = known.filter(row => !keeps(row));
  const budget = how.text(limit);
  const said = kept.length ? [["within", {budget, names: kept.map(row => row.name).join(", ")}]] : [];
  if (broken.length) {
    if (!kept.length) said.push(["nobody", {budget}]);
    said.push([how.higher_wins ? "below" : "breaks", {budget, names: broken.map(row => `${row.name} (${row.text})`).join(", ")}]);
  }
  return said;
}

// Everything that a choice shows.
function compare(rules, points, choice) {
  const asked = points.filter(m => m.phase === choice.phase && m.model === choice.model
    && (!choice.engine || m.engine === choice.engine) && (!choice.precision || m.precision === choice.precision)
    && (!choice.devices.length || choice.devices.includes(m.device)));
  const compared = bestOfEach(asked, quantity(rules, choice.metric, choice.prices));
  const limit = choice.budgets[choice.metric];
  const said = facts(rules, compared, choice.batch_size, choice.phase);
  if (limit !== undefined && compared.rows.has(choice.batch_size)) said.push(...budgetFacts(compared, choice.batch_size, limit));
  return {...compared, crossovers: crossovers(rules, compared), sentences: said.map(([name, filled]) => fill(rules.templates[name], filled))};
}
