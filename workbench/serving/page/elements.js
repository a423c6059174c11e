// Making elements. Put before each widget and before the application's page, like all files here; so nothing is exported.

let serial = 0;
const uid = stem => `wb-${stem}-${Date.now().toString(36)}-${++serial}`;

// An element with attributes, listeners (functions under "on…") and children. Text is text, never HTML.
function build(namespace, name, attributes, children) {
  const element = document.createElementNS(namespace, name);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === "function") element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat(9).filter(child => child !== null && child !== undefined && child !== false));
  return element;
}
const h = (name, attributes, ...children) => build("http://www.w3.org/1999/xhtml", name, attributes, children);
const s = (name, attributes, ...children) => build("http://www.w3.org/2000/svg", name, attributes, children);
