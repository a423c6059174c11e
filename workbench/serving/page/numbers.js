// Format numbers as workbench/units.py does. A test compares the two.

export const SPACE = "\u00a0";

// Round halves to even, as Python does. With enough digits, toFixed shows the exact value.
export function fixed(value, digits = 0) {
  const shown = Math.min(100, digits + 60);
  const whole = value.toFixed(shown);
  const end = whole.length - (shown - digits);
  const kept = whole.slice(0, end).replace(/\.$/, "");
  return /^\.?50*$/.test(whole.slice(end)) && Number(kept.at(-1)) % 2 === 0 ? kept : value.toFixed(digits);
}

function significant(value, count) {
  const power = Math.floor(Math.log10(value));
  const text = fixed(value, Math.max(0, count - 1 - power));
  return Number(text) >= 10 ** (power + 1) ? fixed(value, Math.max(0, count - 2 - power)) : text;
}

export const commas = (value, digits = 0) => fixed(value, digits).replace(/\B(?=(\d{3})+(?!\d))/g, ",");

export const plural = (count, noun) => `${commas(count)} ${noun}${count === 1 ? "" : "s"}`;

function withUnit(value, units, zero) {
  if (!value) return zero;
  const [factor, unit] = units.find(([least]) => value >= 0.9995 * least) ?? units.at(-1);
  return significant(value / factor, 3) + SPACE + unit;
}

const SECONDS = [
  [1, "s"],
  [1e-3, "ms"],
  [1e-6, "µs"],
  [1e-9, "ns"],
];
const BYTES = [
  [1e12, "TB"],
  [1e9, "GB"],
  [1e6, "MB"],
  [1e3, "kB"],
];
const JOULES = [
  [1e3, "kJ"],
  [1, "J"],
  [1e-3, "mJ"],
  [1e-6, "µJ"],
  [1e-9, "nJ"],
];

export function formatSeconds(value) {
  if (value < 59.95) return withUnit(value, SECONDS, `0${SPACE}s`);
  const seconds = Number(fixed(value));
  if (seconds < 3600) return `${Math.floor(seconds / 60)}${SPACE}min${SPACE}${seconds % 60}${SPACE}s`;
  const minutes = Number(fixed(value / 60));
  return `${commas(Math.floor(minutes / 60))}${SPACE}h${SPACE}${minutes % 60}${SPACE}min`;
}

export const formatBytes = value => (value < 999.5 ? `${fixed(value)}${SPACE}bytes` : withUnit(value, BYTES));
export const formatEnergy = value => withUnit(value, JOULES, `0${SPACE}J`);
export const formatRate = value => (value >= 9.95 ? commas(value) : String(Number(significant(value, 2))));

export function formatDollars(value) {
  const digits = Math.max(0, 2 - Math.floor(Math.log10(value)));
  return `US$${value >= 999.5 || !value ? commas(value) : fixed(value, digits)}`;
}

export function formatRatio(value) {
  if (value >= 9.95) return `${commas(value)}×`;
  return `${value >= 0.995 ? fixed(value, 1) : significant(value, 2)}×`;
}

export function formatShare(share, digits = 1) {
  const step = 10 ** -digits;
  const rounded = fixed(100 * share, digits);
  const text = share < 1 && Number(rounded) >= 100 ? fixed(100 - step, digits) : rounded; // 100 % only for all
  const less = share > 0 && Number(text) === 0;
  return `${less ? `<${SPACE}${fixed(step, digits)}` : text}${SPACE}%`;
}
