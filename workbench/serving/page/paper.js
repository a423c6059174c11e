// Paper to draw on with mouse, finger and keyboard; in the application's page and in the Classifier. What lies around it,
// and what happens to a drawing, is theirs.

const PENS = [["#111111", "black"], ["#ffffff", "white"], ["#7a4a21", "brown"], ["#8a8a8a", "grey"], ["#e08a1e", "orange"],
  ["#c62828", "red"], ["#2e7d32", "green"], ["#1565c0", "blue"]];

// The largest rectangle in the middle of a picture with these proportions, as drawImage wants it: as preprocessing.py fits one.
function middle(picture, width, height) {
  const scale = Math.min(picture.width / width, picture.height / height);
  return [(picture.width - scale * width) / 2, (picture.height - scale * height) / 2, scale * width, scale * height];
}

// dark: white on black. help: id of the element that says how. changed: called at each change, and dead, if given, says
// when nothing may change. pen: what the next stroke is drawn with.
function paper({side, dark, help, changed, dead = () => false}) {
  const canvas = h("canvas", {width: side, height: side, tabindex: 0, class: "cl-paper", role: "application",
    "aria-label": "Paper to draw on", "aria-describedby": help});
  const context = canvas.getContext("2d");
  const pen = {colour: dark ? "#ffffff" : "#111111", width: side / 28};
  const strokes = [];
  let below = null, stroke = null;
  const cursor = {x: side / 2, y: side / 2, shown: false};
  const line = ({colour, width, points}) => {
    context.strokeStyle = context.fillStyle = colour;
    context.lineWidth = width;
    context.lineCap = context.lineJoin = "round";
    context.beginPath();
    context.moveTo(...points[0]);
    for (const point of points) context.lineTo(...point);
    context.stroke();
  };
  const paint = () => {
    context.fillStyle = dark ? "#000000" : "#ffffff";
    context.fillRect(0, 0, side, side);
    if (below) context.drawImage(below, 0, 0);
    strokes.forEach(line);
  };
  // The cursor of the keyboard is no part of the drawing: it is laid over it.
  const cross = s("svg", {class: "cl-cross", viewBox: "-12 -12 24 24", "aria-hidden": "true"},
    s("path", {d: "M-11 0H-4M4 0H11M0-11V-4M0 4V11", stroke: "#fff", "stroke-width": 5}),
    s("path", {d: "M-11 0H-4M4 0H11M0-11V-4M0 4V11", stroke: "#000", "stroke-width": 2}));
  const place = () => {
    cross.style.display = cursor.shown ? "" : "none";
    cross.style.left = `${100 * cursor.x / side}%`;
    cross.style.top = `${100 * cursor.y / side}%`;
  };
  const begin = (x, y) => { stroke = {...pen, points: [[x, y]]}; strokes.push(stroke); paint(); changed(); };
  const go = (x, y) => { if (stroke) { stroke.points.push([x, y]); paint(); changed(); } };
  const end = () => { stroke = null; };
  const at = event => {
    const {left, top, width, height} = canvas.getBoundingClientRect();
    return [(event.clientX - left) / width * side, (event.clientY - top) / height * side];
  };
  canvas.addEventListener("pointerdown", event => {
    if (event.button || dead()) return;
    event.preventDefault();
    canvas.focus({preventScroll: true, focusVisible: false});
    canvas.setPointerCapture(event.pointerId);
    cursor.shown = false;
    place();
    begin(...at(event));
  });
  canvas.addEventListener("pointermove", event => { if (canvas.hasPointerCapture(event.pointerId)) go(...at(event)); });
  for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) canvas.addEventListener(name, end);
  canvas.addEventListener("keydown", event => {
    const step = side / (event.shiftKey ? 140 : 35);
    const [x, y] = {ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step]}[event.key] ?? [0, 0];
    if (!x && !y && event.key !== " ") return;
    event.preventDefault();
    Object.assign(cursor, {x: Math.min(side, Math.max(0, cursor.x + x)), y: Math.min(side, Math.max(0, cursor.y + y)), shown: true});
    place();
    if (event.key === " " && !event.repeat) begin(cursor.x, cursor.y);
    else go(cursor.x, cursor.y);
  });
  canvas.addEventListener("keyup", event => { if (event.key === " ") { event.preventDefault(); end(); } });
  canvas.addEventListener("blur", () => { end(); cursor.shown = false; place(); });
  paint();
  place();
  return {
    element: h("div", {class: "cl-board"}, canvas, cross), canvas, pen,
    isBlank: () => !below && !strokes.length,
    undo() { if (strokes.pop()) { paint(); changed(); } },
    // A picture to draw upon, or null for nothing; what was drawn before goes. The caller knows, and is not told.
    lay(picture) {
      below = picture && h("canvas", {width: side, height: side});
      if (below) {
        const fit = below.getContext("2d");
        fit.imageSmoothingEnabled = picture.width >= side;
        fit.drawImage(picture, ...middle(picture, 1, 1), 0, 0, side, side);
      }
      stroke = null;
      strokes.length = 0;
      paint();
    },
  };
}
