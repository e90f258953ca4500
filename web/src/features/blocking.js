// Blocking: whom our account hears nothing of.
// Spec: XEP-0191.
// Owns: the list. Invariants: a push is believed only from our own account.

import { bare } from "../xmpp/jid.js";
import { NS } from "../xmpp/ns.js";
import { child, children, x } from "../xmpp/xml.js";

export class Blocking {
  #connection;
  #own;

  constructor(connection, own) {
    this.#connection = connection;
    this.#own = own;
    this.jids = new Set();
  }

  async load() {
    const answer = await this.#connection.request("get", undefined, x("blocklist", { xmlns: NS.blocking }));
    this.jids = new Set(jidsOf(child(answer, "blocklist", NS.blocking)));
  }

  /** Takes a push; returns whether it was one. */
  push(stanza) {
    const from = stanza.getAttribute("from");
    if (from && bare(from) !== this.#own) return false;
    const blocked = child(stanza, "block", NS.blocking);
    const freed = child(stanza, "unblock", NS.blocking);
    if (!blocked && !freed) return false;
    for (const jid of jidsOf(blocked)) this.jids.add(jid);
    if (freed && freed.children.length === 0) this.jids.clear();
    for (const jid of jidsOf(freed)) this.jids.delete(jid);
    return true;
  }

  async block(jid) {
    await this.#connection.request("set", undefined, x("block", { xmlns: NS.blocking }, x("item", { jid })));
    this.jids.add(jid);
  }

  async unblock(jid) {
    await this.#connection.request("set", undefined, x("unblock", { xmlns: NS.blocking }, x("item", { jid })));
    this.jids.delete(jid);
  }
}

const jidsOf = (node) => children(node, "item", NS.blocking).map((item) => bare(item.getAttribute("jid") ?? ""));
