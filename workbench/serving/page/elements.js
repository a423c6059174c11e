// Create HTML and SVG elements, for the application's page and the widgets.

let serial = 0;
export const uid = stem => `wb-${stem}-${Date.now().toString(36)}-${++serial}`;

// Create an element with attributes, listeners (functions under "on…") and children. Strings become text, never HTML.
// Attributes and children that are undefined, null or false are omitted.
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

export const h = (name, attributes, ...children) => build("http://www.w3.org/1999/xhtml", name, attributes, children);
export const s = (name, attributes, ...children) => build("http://www.w3.org/2000/svg", name, attributes, children);

export const $ = id => document.getElementById(id);
