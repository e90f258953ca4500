// XML: building elements as text, and reading elements that were parsed.
// Spec: XML 1.0 2.2 (characters); RFC 6120 11.1 (what XMPP leaves out of XML).
// Invariants: every text and attribute that goes out is escaped here, and only here; what came in is never HTML.
// Not here: the socket it goes over (`stream`).

import { trustedXml } from "../trusted.js";

/** Serialised XML, so that it is not escaped again inside its parent. */
class Markup {
  constructor(text) {
    this.text = text;
  }
  toString() {
    return this.text;
  }
}

const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;" };
// XML 1.0 2.2: these characters cannot be written at all, not even escaped. Lone surrogates are mended before.
// eslint-disable-next-line no-control-regex
const FORBIDDEN = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g;

/** Text as it may stand in XML: what cannot be written is left out. */
export function cleaned(text) {
  return String(text).toWellFormed().replace(FORBIDDEN, "");
}

const escaped = (text) => cleaned(text).replace(/[&<>"']/g, (c) => ENTITIES[c]);

/**
 * An element as text: `x("body", null, "hello")`. Attributes that are null or undefined are left out; children are
 * markup, text, or nothing.
 */
export function x(name, attributes, ...children) {
  let text = `<${name}`;
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value !== null && value !== undefined) text += ` ${key}="${escaped(value)}"`;
  }
  const inner = children
    .flat()
    .filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Markup ? child.text : escaped(child)))
    .join("");
  return new Markup(inner === "" ? `${text}/>` : `${text}>${inner}</${name}>`);
}

/** Parses one element, as a WebSocket message holds one (RFC 7395 3.3.3). Null: it is not well-formed, or no XMPP. */
export function parse(text) {
  // RFC 6120 11.1: no document type; entities could grow without bound.
  if (text.includes("<!DOCTYPE") || text.includes("<!ENTITY")) return null;
  const document = new DOMParser().parseFromString(trustedXml(text), "application/xml");
  if (document.getElementsByTagName("parsererror").length > 0) return null;
  return document.documentElement;
}

/** Whether an element has this name and namespace. */
export const is = (element, name, ns) => element?.localName === name && element.namespaceURI === ns;

/** The first child element with this name and namespace, or undefined. Without a name: any child of the namespace. */
export function child(element, name, ns) {
  if (!element) return undefined;
  for (const node of element.children) {
    if ((name === null || node.localName === name) && node.namespaceURI === ns) return node;
  }
  return undefined;
}

/** Every child element with this name and namespace. */
export function children(element, name, ns) {
  if (!element) return [];
  return [...element.children].filter((node) => node.localName === name && node.namespaceURI === ns);
}

/** The text of a child element, or undefined where there is none. */
export const childText = (element, name, ns) => child(element, name, ns)?.textContent;

/** The condition of a stanza error (RFC 6120 8.3.3), `undefined-condition` where none is named. */
export function condition(stanza) {
  const error = child(stanza, "error", stanza.namespaceURI);
  const found = [...(error?.children ?? [])].find((node) => node.namespaceURI === NS_STANZAS && node.localName !== "text");
  return found?.localName ?? "undefined-condition";
}
const NS_STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas";
