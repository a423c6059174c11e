// Compare devices as workbench/comparing does. A test compares the two, sentence by sentence.

import {
  commas,
  formatBytes,
  formatDollars,
  formatEnergy,
  formatRate,
  formatRatio,
  formatSeconds,
} from "../serving/page/numbers.js";
import { fill } from "./frame.js";

export const FORMATS = {
  seconds: formatSeconds,
  rate: formatRate,
  energy: formatEnergy,
  bytes: formatBytes,
  dollars: formatDollars,
};

// The figure of a measurement m in each metric, null if it has none.
const VALUES = {
  latency: m => m.p50,
  throughput: m => m.batch_size / m.p50,
  energy: m => (m.energy === null ? null : m.energy / m.batch_size),
  memory: m => m.memory,
  cost: (m, prices) => {
    const price = prices[m.device];
    return price === undefined ? null : (price / 3600) * (m.p50 / m.batch_size) * 1e6;
  },
};

// Return what is compared: `value` of a measurement, `text` of a value, `describe` of a measurement.
export function quantity(rules, name, prices) {
  const facts = rules.metrics[name];
  const value = m => VALUES[name](m, prices);
  const text = amount => FORMATS[facts.format](amount) + facts.unit;
  const assumes = m => facts.assumed !== "" && m.origin === "modelled";
  const describe = m => {
    const amount = value(m);
    if (amount === null) return "–";
    if (amount === 0) return "too little to measure";
    return assumes(m) ? `${text(amount)} ${facts.assumed}` : text(amount);
  };
  return { ...facts, name, value, text, assumes, describe };
}

// Return the best measurement of each device and origin at each batch size, as rows sorted from best to worst.
export function bestOfEach(points, how) {
  const signed = m => (how.higher_wins ? -1 : 1) * (how.value(m) ?? 0);
  const byRank = (a, b) => (how.value(a) === null) - (how.value(b) === null) || signed(a) - signed(b) || a.p50 - b.p50;
  const best = new Map();
  for (const m of points) {
    const key = JSON.stringify([m.device, m.origin, m.batch_size]);
    if (!best.has(key) || byRank(m, best.get(key)) < 0) best.set(key, m);
  }
  const kept = [...best.values()];
  const origins = new Map();
  for (const m of kept) origins.set(m.device, (origins.get(m.device) ?? new Set()).add(m.origin));
  const nameOf = m => (origins.get(m.device).size > 1 ? `${m.device}, ${m.origin}` : m.device);
  const sizes = [...new Set(kept.map(m => m.batch_size))].sort((a, b) => a - b);
  const row = m => ({ name: nameOf(m), value: how.value(m), text: how.describe(m), m });
  const rowsAt = size =>
    kept
      .filter(m => m.batch_size === size)
      .sort(byRank)
      .map(row);
  return { sizes, rows: new Map(sizes.map(size => [size, rowsAt(size)])), names: [...new Set(kept.map(nameOf))], how };
}

const withValue = rows => rows.filter(row => row.value !== null);

function ratioOf(a, b) {
  const [low, high] = [a.value, b.value].sort((x, y) => x - y);
  if (low > 0) return high / low;
  return high === low ? 1 : Number.POSITIVE_INFINITY;
}
const margin = (rules, ...rows) => (rows.some(row => row.m.origin === "modelled") ? rules.doubt : rules.draw);
const leads = (rules, best, other) => ratioOf(best, other) > margin(rules, best, other);

// Return the batch sizes where two or more have a figure, with their rows; none if figures rest on an assumption.
function contestsOf({ sizes, rows, how }) {
  const all = withValue([...rows.values()].flat());
  if (all.some(row => how.assumes(row.m))) return [];
  return sizes.map(size => [size, withValue(rows.get(size))]).filter(([, known]) => known.length > 1);
}

function keepsAhead(rules, after, before, rows) {
  const [first, second] = rows.filter(row => row.name === after || row.name === before);
  return !second || (first.name === after && leads(rules, first, second));
}

function crossoversOf(rules, contests) {
  const found = [];
  let before = new Set();
  let leader = null;
  let last = 0;
  for (const [index, [size, ranked]] of contests.entries()) {
    const rivals = new Map(ranked.map(row => [row.name, row]));
    const [best] = ranked;
    if (leader !== null && (!rivals.has(leader) || leads(rules, best, rivals.get(leader)))) {
      const [after, overtaken] = [best.name, leader];
      const met = rivals.has(leader) && before.has(after);
      const lasting = contests.slice(index).every(([, rows]) => keepsAhead(rules, after, overtaken, rows));
      found.push({ batch_size: size, last, before: overtaken, after, met, lasting });
      leader = null;
    }
    leader ??= best.name;
    if (leader === best.name) last = size;
    before = new Set(rivals.keys());
  }
  return found;
}

export const batchWords = size => (size === 1 ? "One image at a time" : `${commas(size)} images at once`);
export const originOf = m => `${m.setting}, ${m.origin_text}`;

// Facts are pairs of a template's name and the values that fill it.
function factsAt(rules, compared, size, phase) {
  const { how, rows } = compared;
  if (!rows.has(size)) return [["no size", { batch: batchWords(size) }]];
  const known = withValue(rows.get(size));
  const facts = [];
  if (known.length)
    facts.push([known[0].value === 0 ? "nothing" : how.name, firstFact(rules, how, known, size, phase)]);
  if (known.length > 1) facts.push(...leadFacts(rules, compared));
  const names = rows
    .get(size)
    .filter(row => row.value === null)
    .map(row => row.name)
    .join(", ");
  if (names && how.name === "cost") facts.push(["no price", { names }]);
  else if (names) facts.push(["no figure", { names: `${how.title} of ${names}` }]);
  if (known.some(row => row.m.origin === "modelled")) facts.push(["modelled", {}]);
  return facts;
}

// Choose the template that compares the second with the best.
function leadKind(rules, how, best, second) {
  if (how.assumes(best.m) || how.assumes(second.m) || ratioOf(best, second) === Number.POSITIVE_INFINITY)
    return "beside";
  if (leads(rules, best, second)) return "lead";
  return margin(rules, best, second) === rules.draw ? "draw" : "doubt";
}

function firstFact(rules, how, [best, second], size, phase) {
  const lead = second
    ? fill(rules.templates[leadKind(rules, how, best, second)], {
        ratio: formatRatio(ratioOf(best, second)),
        better: how.better,
        second: second.name,
        second_value: second.text,
        second_origin: originOf(second.m),
      })
    : "";
  return {
    batch: batchWords(size),
    best: best.name,
    does: phase === "training" ? "takes a training step" : "answers",
    what: how.name,
    value: best.text,
    origin: originOf(best.m),
    lead,
  };
}

function crossoverKind({ met, lasting }) {
  if (!met) return "succession";
  return lasting ? "crossover" : "passing crossover";
}

function leadFacts(rules, compared) {
  const contests = contestsOf(compared);
  if (contests.length < 2) return [];
  const found = crossoversOf(rules, contests);
  if (found.length)
    return found.map(each => [
      crossoverKind(each),
      { ...each, batch_size: commas(each.batch_size), last: commas(each.last) },
    ]);
  const [first, [{ name: best }]] = contests[0];
  const [last] = contests.at(-1);
  const isAlone = contests.every(
    ([, [top, ...others]]) => top.name === best && others.every(row => leads(rules, top, row)),
  );
  return [[isAlone ? "no crossover" : "level", { best, first: commas(first), last: commas(last) }]];
}

function budgetFacts({ how, rows }, size, limit) {
  const known = withValue(rows.get(size) ?? []);
  const isKept = row => (how.higher_wins ? row.value >= limit : row.value <= limit);
  const kept = known
    .filter(isKept)
    .map(row => row.name)
    .join(", ");
  const broken = known
    .filter(row => !isKept(row))
    .map(row => `${row.name} (${row.text})`)
    .join(", ");
  const budget = how.text(limit);
  const facts = [];
  if (kept) facts.push(["within", { budget, names: kept }]);
  if (broken && !kept) facts.push(["nobody", { budget }]);
  if (broken) facts.push([how.higher_wins ? "below" : "breaks", { budget, names: broken }]);
  return facts;
}

// Return everything that a choice shows: rows, crossovers and sentences.
export function compare(rules, points, choice) {
  const isChosen = m =>
    m.phase === choice.phase &&
    m.model === choice.model &&
    (!choice.engine || m.engine === choice.engine) &&
    (!choice.precision || m.precision === choice.precision) &&
    (!choice.devices.length || choice.devices.includes(m.device));
  const compared = bestOfEach(points.filter(isChosen), quantity(rules, choice.metric, choice.prices));
  const facts = factsAt(rules, compared, choice.batch_size, choice.phase);
  const limit = choice.budgets[choice.metric];
  if (limit !== undefined) facts.push(...budgetFacts(compared, choice.batch_size, limit));
  const sentences = facts.map(([name, values]) => fill(rules.templates[name], values));
  return { ...compared, crossovers: crossoversOf(rules, contestsOf(compared)), sentences };
}
