// The application's page: send images to the server and show its answers. All addresses are relative, so that the page
// also works behind a proxy that adds a folder.

import { inputSize, largestBody, loadCard } from "./card.js";
import { $, h } from "./elements.js";
import { formatBytes, plural } from "./numbers.js";
import { createPaper, PENS } from "./paper.js";
import { STOPPED, showProblem } from "./problem.js";
import { classify, reset } from "./requests.js";

const SIDE = 320;
const DARK = 0.35; // networks trained on bright strokes on black, such as MNIST's, get black paper

await loadCard();

// Drawing.
const { mean = [1] } = inputSize();
const sheet = createPaper({
  side: SIDE,
  dark: mean.reduce((sum, value) => sum + value, 0) / mean.length < DARK,
  help: "help",
  onChange: () => {
    if (sheet.isBlank()) reset();
    else classify({ bytes: () => new Promise(resolve => sheet.canvas.toBlob(resolve)), notes: [] });
  },
});
$("board").replaceWith(sheet.element);

function penButton([colour, name]) {
  const dot = h("span", { class: "dot", "aria-hidden": "true" });
  dot.style.background = colour;
  const onchange = () => {
    sheet.pen.colour = colour;
  };
  const checked = colour === sheet.pen.colour;
  return h(
    "label",
    { title: name },
    h("input", { type: "radio", name: "pen", "aria-label": name, checked, onchange }),
    dot,
  );
}
$("pens").append(...PENS.map(penButton));

$("width").oninput = () => {
  sheet.pen.width = Number($("width").value);
  $("width").setAttribute("aria-valuetext", plural(sheet.pen.width, "pixel"));
};
$("width").oninput();
$("undo").onclick = sheet.undo;
$("clear").onclick = () => {
  sheet.reset(null);
  reset();
};

// Images from files, the clipboard and the examples.
async function chooseImage(blob, notes, name) {
  classify({ bytes: () => blob, notes, name });
  $("sentence").scrollIntoView({ block: "nearest" });
  sheet.reset(await createImageBitmap(blob).catch(() => null));
}

async function chooseFile(files, noFile) {
  const [file] = files;
  if (!file) return showProblem(noFile);
  const limit = largestBody();
  if (file.size > limit)
    return showProblem(
      `${file.name} has ${formatBytes(file.size)}, more than the limit of ${formatBytes(limit)}. ` +
        "Save the image smaller.",
    );
  const content = await file.arrayBuffer().catch(() => null);
  if (!content) return showProblem(`${file.name} cannot be read. Is it a folder?`);
  const notes = files.length > 1 ? [`This is the first of ${files.length} files.`] : [];
  return chooseImage(new Blob([content]), notes, file.name);
}

$("examples").onclick = async event => {
  const example = event.target.closest("button");
  if (!example) return;
  const { src } = example.querySelector("img");
  const blob = await fetch(src)
    .then(response => response.blob())
    .catch(() => null);
  if (blob) chooseImage(blob, [`Its label is ${example.dataset.label}.`]);
  else showProblem(STOPPED);
};
$("file").onchange = async () => {
  await chooseFile($("file").files, "No file was picked.");
  $("file").value = "";
};
document.onpaste = event => chooseFile(event.clipboardData.files, "The clipboard holds no image.");
document.ondragover = event => {
  event.preventDefault();
  document.body.classList.add("dropping");
};
document.ondragleave = event => {
  if (!event.relatedTarget) document.body.classList.remove("dropping");
};
document.ondrop = event => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  chooseFile(event.dataTransfer.files, "What was dropped is no file. Save the image first, and drop or pick its file.");
};
