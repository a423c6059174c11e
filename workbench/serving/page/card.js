// The network's card: its labels, examples, accuracy, limits and versions.

import { listLabels } from "./answer.js";
import { $, h } from "./elements.js";
import { commas, formatBytes, formatShare, plural } from "./numbers.js";
import { STOPPED, showProblem } from "./problem.js";

const SHOWN_LABELS = 30;

let card = null;

export const cardVersion = () => card?.version;
export const inputSize = () => card?.input ?? { width: 32, height: 32 };
export const largestBody = () => card?.limits.body_bytes ?? Number.POSITIVE_INFINITY;

export async function loadCard() {
  card = await fetch("card")
    .then(response => (response.ok ? response.json() : null))
    .catch(() => null);
  if (!card) return showProblem(STOPPED, () => location.reload());
  listLabels(card.labels);
  $("about").replaceChildren(
    "Draw something or choose an image: the network ",
    h("strong", {}, card.name),
    ` tells how probable each of its ${plural(card.labels.length, "label")} is.`,
  );
  $("examples").replaceChildren(...card.examples.map(exampleButton));
  $("shelf").hidden = !card.examples.length;
  $("facts").replaceChildren(
    ...Object.entries(factsOf(card))
      .filter(([, pairs]) => pairs.length)
      .map(factList),
  );
  if ($("card").hidden) $("card").open = matchMedia("(min-width: 900px)").matches;
  $("card").hidden = false;
}

// page.js handles the clicks on the list: it reads the address of the image and `data-label`.
function exampleButton({ image, label }, index) {
  const preview = h("img", { src: image.replace(/^\//, ""), alt: "", width: 64, height: 64 });
  const attributes = { type: "button", "aria-label": `Example ${index + 1}: ${label}`, "data-label": label };
  return h("li", {}, h("button", attributes, preview, h("span", {}, label)));
}

const factList = ([title, pairs]) =>
  h(
    "section",
    {},
    h("h3", {}, title),
    h(
      "dl",
      {},
      pairs.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
    ),
  );

function plain(value) {
  if (value === null) return "–";
  if (typeof value === "boolean") return value ? "yes" : "no";
  return String(value);
}
const spaced = values => Object.entries(values).map(([name, value]) => [name.replaceAll("_", " "), plain(value)]);

function factsOf({ name, version, created, labels, accuracy, engine, input, data, hyperparameters, versions, limits }) {
  const day = new Date(created).toLocaleDateString("en-GB", { day: "numeric", month: "long", year: "numeric" });
  const more = labels.length > SHOWN_LABELS ? `, and ${labels.length - SHOWN_LABELS} more` : "";
  return {
    "The bundle": [
      ["name", name],
      ["version", version],
      ["created", day],
      ["trained on", data ?? "data of its own"],
      ["an image goes in as", `${input.width} × ${input.height} pixels, ${input.channels === 1 ? "grey" : "colour"}`],
      ["labels", labels.slice(0, SHOWN_LABELS).join(", ") + more],
    ],
    "On the test set": [
      ["accuracy", formatShare(engine.accuracy)],
      ["accuracy in PyTorch", formatShare(accuracy)],
      ["same label as in PyTorch", formatShare(engine.agreement)],
      ["a probability differs by at most", formatShare(engine.largest_difference)],
    ],
    "What runs here, in ONNX Runtime": [
      ["engine", engine.name],
      ["precision", engine.precision],
      ["size", formatBytes(engine.bytes)],
    ],
    "Limits of a request": [
      ["size", formatBytes(limits.body_bytes)],
      ["pixels of an image", commas(limits.pixels)],
      ["images", commas(limits.images)],
    ],
    "Made with": spaced(versions),
    "Hyper-parameters": spaced(hyperparameters),
  };
}
