// Richtext: a message's text as nodes: links can be opened, everything else is as it was written.
// Invariants: text nodes and `<a>` only; a link leads to http, https or xmpp and to nowhere else.

import { h } from "./dom.js";

const LINK = /\b(?:https?:\/\/|xmpp:)[^\s<>"'“”‘’（）《》，。；：！？、]+/gi;
/** Characters at the end of a link that more likely end the sentence. */
const TAIL = /[.,;:!?)\]}'"*_~]+$/;
/** Emoji alone are shown large, up to this many. */
const LARGE_MAX = 5;

/** Nodes for a text. `onxmpp(jid)` opens a conversation instead of leaving the page. */
export function richText(text, onxmpp) {
  const nodes = [];
  let from = 0;
  for (const match of text.matchAll(LINK)) {
    const found = trimmed(match[0]);
    const link = anchor(found, onxmpp);
    if (!link) continue;
    nodes.push(text.slice(from, match.index), link);
    from = match.index + found.length;
  }
  nodes.push(text.slice(from));
  return nodes.filter((node) => node !== "");
}

/** A link without the end of the sentence; a bracket that opens inside the link may close there. */
function trimmed(found) {
  let link = found;
  for (;;) {
    const tail = TAIL.exec(link)?.[0];
    if (!tail) return link;
    if (tail.startsWith(")") && link.includes("(") && !link.slice(0, -tail.length).includes(")")) {
      return link.slice(0, link.length - tail.length + 1);
    }
    link = link.slice(0, -tail.length);
  }
}

function anchor(text, onxmpp) {
  let url;
  try {
    url = new URL(text);
  } catch {
    return null;
  }
  if (url.protocol === "xmpp:") {
    const onclick = (event) => {
      event.preventDefault();
      onxmpp?.(text);
    };
    return h("a", { href: url.href, onclick }, text);
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") return null;
  return h("a", { href: url.href, target: "_blank", rel: "noopener noreferrer nofollow" }, text);
}

/** Whether a text is a few emoji and nothing else. */
export function isLarge(text) {
  const trimmedText = text.trim();
  if (!trimmedText || trimmedText.length > LARGE_MAX * 12 || !/^[\p{Extended_Pictographic}\p{Emoji_Component}\s]+$/u.test(trimmedText)) return false;
  if (/^[0-9#*\s]+$/.test(trimmedText)) return false;
  return [...new Intl.Segmenter().segment(trimmedText)].filter(({ segment }) => segment.trim()).length <= LARGE_MAX;
}
