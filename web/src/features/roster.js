// Roster: who our contacts are, and who asks to be one.
// Spec: RFC 6121 2 (roster, versions, pushes), 3 (subscriptions).
// Owns: the items and the requests. Invariants: a push is believed only from our own account or without `from`.
// Not here: who is on line (`presence`), how it is shown.

import { bare } from "../xmpp/jid.js";
import { NS } from "../xmpp/ns.js";
import { child, children, childText, x } from "../xmpp/xml.js";

export class Roster {
  #connection;
  #own;

  constructor(connection, own, saved) {
    this.#connection = connection;
    this.#own = own;
    this.items = new Map(saved?.items ?? []);
    this.version = saved?.version ?? "";
    /** Bare addresses that ask to see our presence, with the name and words they gave. */
    this.requests = new Map(saved?.requests ?? []);
  }

  /** All of it, as it is stored and as other tabs get it. */
  save() {
    return { items: [...this.items], version: this.version, requests: [...this.requests] };
  }

  /** Asks for what changed since our version. */
  async load() {
    const answer = await this.#connection.request("get", undefined, x("query", { xmlns: NS.roster, ver: this.version }));
    const query = child(answer, "query", NS.roster);
    // RFC 6121 2.6.3: without a query what we have is what there is.
    if (!query) return;
    this.version = query.getAttribute("ver") ?? "";
    this.items = new Map(children(query, "item", NS.roster).map(readItem));
  }

  /** Takes a push. Returns whether it was one that counts. */
  push(stanza) {
    const query = child(stanza, "query", NS.roster);
    const from = stanza.getAttribute("from");
    if (!query || (from && bare(from) !== this.#own)) return false;
    for (const [jid, item] of children(query, "item", NS.roster).map(readItem)) {
      if (item.subscription === "remove") this.items.delete(jid);
      else this.items.set(jid, item);
      if (["from", "both"].includes(item.subscription)) this.requests.delete(jid);
    }
    this.version = query.getAttribute("ver") ?? this.version;
    return true;
  }

  /** Takes `<presence type='subscribe'/>` and its kin. Returns whether it was one. */
  subscription(stanza) {
    const type = stanza.getAttribute("type");
    const jid = bare(stanza.getAttribute("from") ?? "");
    if (type === "subscribe") {
      const nick = childText(stanza, "nick", NS.nick)?.slice(0, 100) ?? "";
      this.requests.set(jid, { nick, words: childText(stanza, "status", NS.client)?.slice(0, 500) ?? "", at: Date.now() });
    } else if (type === "unsubscribe") this.requests.delete(jid);
    return ["subscribe", "subscribed", "unsubscribe", "unsubscribed"].includes(type);
  }

  /** Adds or renames a contact. */
  set(jid, name) {
    return this.#connection.request("set", undefined, x("query", { xmlns: NS.roster }, x("item", { jid, name: name || null })));
  }

  /** Removes a contact, and both subscriptions with it. */
  remove(jid) {
    return this.#connection.request("set", undefined, x("query", { xmlns: NS.roster }, x("item", { jid, subscription: "remove" })));
  }

  /** Adds someone and asks to see when they are there; they may see us without asking (RFC 6121 3.4). */
  async add(jid, name, nick) {
    await this.set(jid, name);
    this.#presence(jid, "subscribed");
    this.#presence(jid, "subscribe", nick && x("nick", { xmlns: NS.nick }, nick));
  }

  /** Accepts a request, and asks back. */
  async accept(jid, nick) {
    const request = this.requests.get(jid);
    this.#presence(jid, "subscribed");
    const item = this.items.get(jid);
    if (!["to", "both"].includes(item?.subscription)) {
      if (!item) await this.set(jid, request?.nick ?? "");
      this.#presence(jid, "subscribe", nick && x("nick", { xmlns: NS.nick }, nick));
    }
    this.requests.delete(jid);
  }

  /** Refuses a request. */
  refuse(jid) {
    this.#presence(jid, "unsubscribed");
    this.requests.delete(jid);
  }

  #presence(to, type, payload) {
    this.#connection.send(x("presence", { xmlns: NS.client, to, type }, payload));
  }
}

function readItem(node) {
  return [
    bare(node.getAttribute("jid") ?? ""),
    {
      name: node.getAttribute("name") ?? "",
      subscription: node.getAttribute("subscription") ?? "none",
      asking: node.getAttribute("ask") === "subscribe",
    },
  ];
}
