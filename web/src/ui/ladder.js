// Ladder: the latest packets of one line, as the exchange draws them, while they pass; and the same as text.
// Invariants: the drawing stands alone in an image, where nothing in it can run or load; who looks at the latest packet keeps
// seeing the latest, who has scrolled back is left there.
// Not here: asking for it (`lines`).

import { t } from "../i18n.js";
import { parse } from "../xmpp/xml.js";
import { fill, h } from "./dom.js";

/** So near to the end, in pixels, counts as looking at the end. */
const NEAR = 24;

export class Ladder {
  #note = h("p", { class: "faint", "aria-live": "polite" });
  #image = h("img", { alt: "" });
  #view;
  #text = h("pre", { tabindex: "0" });
  #drawn = false;

  constructor() {
    this.#view = h("div", { class: "ladder-view", tabindex: "0", role: "region", "aria-label": t("lines.ladder") }, this.#image);
    this.element = h("figure", { class: "ladder" }, h("figcaption", null, t("lines.ladder")));
    this.#image.addEventListener("load", () => {
      if (this.follows) this.#view.scrollTop = this.#view.scrollHeight;
    });
  }

  /** Shows an answer of the exchange: `{ shown, svg }`. */
  show({ shown, svg }) {
    if (!shown) return this.tell(t("lines.noLadder"));
    if (!svg) return this.#drawn ? undefined : this.tell(t("lines.noPacket"));
    this.follows = !this.#drawn || this.#view.scrollTop + this.#view.clientHeight >= this.#view.scrollHeight - NEAR;
    const text = asText(svg);
    this.#image.src = `data:image/svg+xml;base64,${btoa(String.fromCharCode(...new TextEncoder().encode(svg)))}`;
    this.#image.alt = t("lines.ladderAlt");
    this.#text.textContent = text;
    if (!this.#drawn) {
      this.#drawn = true;
      this.#fill(this.#view, h("details", null, h("summary", null, t("lines.asText")), this.#text));
    }
    return undefined;
  }

  /** Says why there is no drawing. */
  tell(why) {
    this.#drawn = false;
    // What is said already is not said again by a screen reader.
    if (this.#note.textContent !== why) this.#note.textContent = why;
    if (!this.element.contains(this.#note)) this.#fill(this.#note);
  }

  #fill(...what) {
    fill(this.element, this.element.firstChild, what);
  }
}

/** The words of a drawing, a row of it a line. */
export function asText(svg) {
  const rows = new Map();
  // How it looks is no text, and what is parsed here would be held to the page's policy, which knows no inline style.
  const bare = svg.replace(/<style>[^<]*<\/style>/g, "").replace(/ style="[^"]*"/g, "");
  for (const node of parse(bare)?.getElementsByTagNameNS("http://www.w3.org/2000/svg", "text") ?? []) {
    const place = (name) => Number(node.getAttribute(name));
    const row = Math.round(place("y"));
    rows.set(row, [...(rows.get(row) ?? []), { x: place("x"), words: node.textContent.trim() }]);
  }
  const inOrder = [...rows].sort(([a], [b]) => a - b);
  return inOrder.map(([, texts]) => texts.sort((a, b) => a.x - b.x).map(({ words }) => words).join("   ")).join("\n");
}
