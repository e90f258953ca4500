// Forwarded: messages that came wrapped: carbons from our other devices, pages from the archive.
// Spec: XEP-0297; XEP-0280 11 (who may send a carbon); XEP-0313 4; XEP-0059 (paging).
// Invariants: a carbon is believed from our own bare address only; an archive's page holds what we asked for.
// Not here: reading the message inside (`message`), storing it (`engine`).

import { bare } from "../xmpp/jid.js";
import { NS } from "../xmpp/ns.js";
import { randomWord } from "../xmpp/octets.js";
import { child, childText, x } from "../xmpp/xml.js";
import { readMessage } from "./message.js";

/** Messages a page of the archive holds at most. */
export const PAGE = 50;

/** A carbon: `{ sent, message }`; undefined: it is none; null: someone else pretends to send one. */
export function readCarbon(stanza, own, at) {
  const wrapper = child(stanza, "received", NS.carbons) ?? child(stanza, "sent", NS.carbons);
  if (!wrapper) return undefined;
  const from = stanza.getAttribute("from");
  if (from && from !== own) return null;
  const message = unwrapped(wrapper, at);
  return message ? { sent: wrapper.localName === "sent", message } : null;
}

/** The message inside `<forwarded/>`, its time the one of the wrapper. */
function unwrapped(wrapper, at) {
  const forwarded = child(wrapper, "forwarded", NS.forward);
  const inner = child(forwarded, "message", NS.client);
  if (!inner) return null;
  const stamp = Date.parse(child(forwarded, "delay", NS.delay)?.getAttribute("stamp") ?? "");
  const message = readMessage(inner, Number.isNaN(stamp) ? at : stamp);
  if (!Number.isNaN(stamp)) message.at = stamp;
  return message;
}

/** The archive of our account. */
export class Archive {
  #connection;
  #own;
  #pages = new Map();

  constructor(connection, own) {
    this.#connection = connection;
    this.#own = own;
  }

  /** Takes a stanza if it is a result of ours. */
  take(stanza) {
    const result = child(stanza, "result", NS.mam);
    if (!result) return false;
    const from = stanza.getAttribute("from");
    const page = this.#pages.get(result.getAttribute("queryid"));
    if (!page || (from && bare(from) !== this.#own)) return true;
    const message = unwrapped(result, Date.now());
    if (message && page.length < PAGE * 4) {
      const sid = result.getAttribute("id");
      message.sids = [[this.#own, sid]];
      page.push({ sid, message });
    }
    return true;
  }

  /**
   * One page. `query`: `{ with, before, after, max }`; `before: ""` is the newest page. Returns
   * `{ items: [{ sid, message }], complete, first, last }`, oldest first. Throws `RequestFailed`.
   */
  async page({ with: peer, before, after, max = PAGE }) {
    const queryid = randomWord();
    const page = [];
    this.#pages.set(queryid, page);
    try {
      const field = (name, type, value) => x("field", { var: name, type }, x("value", null, value));
      const form = x(
        "x",
        { xmlns: NS.dataForm, type: "submit" },
        field("FORM_TYPE", "hidden", NS.mam),
        peer && field("with", "jid-single", peer),
      );
      const set = x(
        "set",
        { xmlns: NS.rsm },
        x("max", null, String(max)),
        before !== undefined && x("before", null, before),
        after !== undefined && x("after", null, after),
      );
      const answer = await this.#connection.request("set", undefined, x("query", { xmlns: NS.mam, queryid }, form, set));
      const fin = child(answer, "fin", NS.mam);
      const found = child(fin, "set", NS.rsm);
      return {
        items: page,
        complete: fin?.getAttribute("complete") === "true" || page.length === 0,
        first: childText(found, "first", NS.rsm) ?? page[0]?.sid,
        last: childText(found, "last", NS.rsm) ?? page.at(-1)?.sid,
      };
    } finally {
      this.#pages.delete(queryid);
    }
  }
}
