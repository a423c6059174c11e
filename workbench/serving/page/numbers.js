// Numbers for people: the same words as workbench/units.py; a test compares the two.
const SPACE = "\u00a0";
// As Python rounds: what lies exactly between two goes to the even one. toFixed(100) shows the value's every digit.
function fixed(value, digits = 0) {
  const whole = value.toFixed(Math.min(100, digits + 60));
  const cut = whole.length - (Math.min(100, digits + 60) - digits);
  const kept = whole.slice(0, cut).replace(/\.$/, "");
  return /^\.?50*$/.test(whole.slice(cut)) && Number(kept.at(-1)) % 2 === 0 ? kept : value.toFixed(digits);
}
function significant(value, count) {
  const power = Math.floor(Math.log10(value));
  const text = fixed(value, Math.max(0, count - 1 - power));
  return Number(text) >= 10 ** (power + 1) ? fixed(value, Math.max(0, count - 2 - power)) : text;
}
const commas = (value, digits = 0) => fixed(value, digits).replace(/\B(?=(\d{3})+(?!\d))/g, ",");
const threeDigits = value => significant(value, 3);
function withUnit(value, units, zero) {
  for (const [factor, unit] of units)
    if (value >= 0.9995 * factor) return threeDigits(value / factor) + SPACE + unit;
  const [factor, unit] = units.at(-1);
  return value ? threeDigits(value / factor) + SPACE + unit : zero;
}
function formatSeconds(value) {
  if (value < 59.95) return withUnit(value, [[1, "s"], [1e-3, "ms"], [1e-6, "µs"], [1e-9, "ns"]], `0${SPACE}s`);
  const whole = Number(fixed(value));
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes}${SPACE}min${SPACE}${whole % 60}${SPACE}s`;
  const nearest = Number(fixed(value / 60));
  return `${commas(Math.floor(nearest / 60))}${SPACE}h${SPACE}${nearest % 60}${SPACE}min`;
}
const formatBytes = value => value < 999.5 ? `${fixed(value)}${SPACE}bytes`
  : withUnit(value, [[1e12, "TB"], [1e9, "GB"], [1e6, "MB"], [1e3, "kB"]], "");
const formatEnergy = value => withUnit(value, [[1e3, "kJ"], [1, "J"], [1e-3, "mJ"], [1e-6, "µJ"], [1e-9, "nJ"]], `0${SPACE}J`);
const formatRate = value => value >= 9.95 ? commas(value) : String(Number(significant(value, 2)));
const formatDollars = value => "US$" + (value >= 999.5 || !value ? commas(value)
  : fixed(value, Math.max(0, 2 - Math.floor(Math.log10(value)))));
const formatRatio = value => (value >= 9.95 ? commas(value) : value >= 0.995 ? fixed(value, 1) : significant(value, 2)) + "×";
function formatShare(share, digits = 1) {
  const step = 10 ** -digits;
  const text = fixed(share < 1 && Number(fixed(100 * share, digits)) >= 100 ? 100 - step : 100 * share, digits);
  return (share > 0 && Number(text) === 0 ? `<${SPACE}${fixed(step, digits)}` : text) + `${SPACE}%`;
}
