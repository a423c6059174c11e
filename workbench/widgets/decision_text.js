// Word a decision while it is being made, as workbench/teaching/decisions.py does. A test compares the two.

import { commas } from "../serving/page/numbers.js";
import { fill } from "./frame.js";

// Read a number as people type it, with or without its unit. bare: its text; number: NaN if it is invalid.
function readNumber(typed, unit) {
  let bare = typed.trim();
  if (unit && bare.endsWith(unit)) bare = bare.slice(0, -unit.length).trim();
  if (/^\d{1,3}(,\d{3})+(\.\d*)?$/.test(bare)) bare = bare.replaceAll(",", "");
  else if (/^\d*,\d+$/.test(bare)) bare = bare.replace(",", ".");
  const isNumber = /^\+?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(bare);
  return { number: isNumber ? Number(bare) : Number.NaN, bare };
}

// Return whether the offer keeps the limit: "keeps", "breaks", "doubt", "unknown", or "" without a numeric limit.
function verdict({ limit, at_most }, offer, [, unit, factor], doubt) {
  const { number } = readNumber(at_most, unit);
  if (!unit || !Number.isFinite(number)) return "";
  const [value] = offer?.held[limit] ?? [];
  if (value === undefined) return "unknown";
  const most = number * factor;
  if (offer.modelled && value < most * doubt && most < value * doubt) return "doubt";
  return value <= most ? "keeps" : "breaks";
}

// Return the text on one line, without the full stop at its end; "…" if it is empty.
const oneLine = text => text.trim().replace(/\s+/g, " ").replace(/\.+$/, "") || "…";

export function decisionSentences(draft, offer, { templates, metrics, limits, doubt }) {
  const limit = limits[draft.limit];
  const [title, unit] = limit;
  const [, value] = offer?.figures[draft.metric] ?? [];
  const batch = draft.batch_size === 1 ? templates.one : fill(templates.many, { count: commas(draft.batch_size) });
  const facts = { ...draft, batch, metric: metrics[draft.metric], value, origin: offer?.origin };
  const atMost = { title, unit, at_most: readNumber(draft.at_most, unit).bare || "…" };
  const condition = draft.limit === "other" ? oneLine(draft.words) : fill(templates["at most"], atMost);
  const held = verdict(draft, offer, limit, doubt);
  const sentences = [
    fill(templates[value === undefined ? "no figure" : "figure"], facts),
    draft.limit === "none" ? templates.none : fill(templates.limit, { limit: condition }),
  ];
  if (held) sentences.push(fill(templates[held], { value: offer?.held[draft.limit]?.[1], origin: offer?.origin }));
  return [...sentences, fill(templates.proof, { proof: oneLine(draft.proof) })];
}
