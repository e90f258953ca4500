// DOM: making elements. Text goes in as text nodes; there is no way to put markup in.
// Invariants: no `innerHTML`, no handler attributes, no inline style attributes (the page's policy forbids them too).

/**
 * An element: `h("button", { class: "plain", onclick }, "Send")`. Properties that start with `on` are listeners; `style`
 * is an object; booleans set or leave out an attribute; null and undefined are left out.
 */
export function h(tag, properties, ...children) {
  return dress(document.createElement(tag), properties, children);
}

/** The same for SVG. */
export function svg(tag, properties, ...children) {
  return dress(document.createElementNS("http://www.w3.org/2000/svg", tag), properties, children);
}

function dress(element, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [rule, text] of Object.entries(value)) element.style.setProperty(rule, text);
    else if (name === "value" && "value" in element) element.value = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Fills an element anew. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Text that only screen readers say. */
export const spokenOnly = (text) => h("span", { class: "spoken" }, text);

/**
 * Brings the children of `parent` to `items`, reusing elements by key: `make(item)` makes one, `update(element, item)`
 * brings it up to date. The order of focus and of scrolling survives.
 */
export function reconcile(parent, items, { key, make, update }) {
  const names = items.map(key);
  const before = new Map([...parent.children].map((element) => [element.dataset.key, element]));
  keepFocus(parent, () => {
    const wanted = new Set(names);
    for (const [name, element] of before) if (!wanted.has(name)) element.remove();
    let place = parent.firstElementChild;
    for (const [at, item] of items.entries()) {
      let element = before.get(names[at]);
      if (!element) {
        element = make(item);
        element.dataset.key = names[at];
      }
      update(element, item);
      if (element === place) place = place.nextElementSibling;
      else parent.insertBefore(element, place);
    }
  });
}

/** Does work that may move elements of `parent`: an element that is moved loses the focus, so it is given back. */
export function keepFocus(parent, work) {
  const focused = parent.contains(document.activeElement) ? document.activeElement : null;
  work();
  if (focused?.isConnected && document.activeElement !== focused) focused.focus({ preventScroll: true });
}
