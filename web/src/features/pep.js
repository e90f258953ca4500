// PEP: what people publish about themselves: name, picture, how far they have read.
// Spec: XEP-0163 and 0060 (publishing, events); XEP-0172 (name), 0084 (picture), 0490 (read state).
// Invariants: an event counts for the bare address that it comes from, and for no other; a picture has a bound.
// Not here: where pictures are kept (`store/pictures`).

import { bare } from "../xmpp/jid.js";
import { NS } from "../xmpp/ns.js";
import { base64, digest, hex, unbase64 } from "../xmpp/octets.js";
import { child, children, childText, x } from "../xmpp/xml.js";

/** Bytes of a picture that are taken from others. */
const PICTURE_MAX = 256 * 1024;
const PICTURE_TYPES = ["image/png", "image/jpeg", "image/webp", "image/gif"];

export class Pep {
  #connection;

  constructor(connection) {
    this.#connection = connection;
  }

  /** Reads an event: `{ jid, kind: "nick"|"picture"|"read", ... }`; undefined: it is none that we know. */
  event(stanza) {
    const items = child(child(stanza, "event", NS.pubsubEvent), "items", NS.pubsubEvent);
    if (!items) return undefined;
    return this.#read(bare(stanza.getAttribute("from") ?? ""), items, NS.pubsubEvent);
  }

  #read(jid, items, ns) {
    const all = children(items, "item", ns);
    switch (items.getAttribute("node")) {
      case NS.nick:
        return { jid, kind: "nick", nick: (childText(all[0], "nick", NS.nick) ?? "").trim().slice(0, 100) };
      case NS.avatarMeta: {
        const info = child(child(all[0], "metadata", NS.avatarMeta), "info", NS.avatarMeta);
        return { jid, kind: "picture", hash: info?.getAttribute("id") ?? null };
      }
      case NS.displayed:
        return {
          jid,
          kind: "read",
          until: all.map((item) => {
            const sid = child(child(item, "displayed", NS.displayed), "stanza-id", NS.sid);
            return [bare(item.getAttribute("id") ?? ""), sid?.getAttribute("id") ?? null];
          }),
        };
      default:
        return undefined;
    }
  }

  /** The items of a node, read as `event` reads them; undefined where there are none or we may not. */
  async fetch(jid, node) {
    try {
      const answer = await this.#connection.request("get", jid, x("pubsub", { xmlns: NS.pubsub }, x("items", { node })));
      const items = child(child(answer, "pubsub", NS.pubsub), "items", NS.pubsub);
      return items ? this.#read(jid, items, NS.pubsub) : undefined;
    } catch {
      return undefined;
    }
  }

  /** A picture by its hash: `{ type, bytes }`, or null where it is not to be had or not what it says. */
  async picture(jid, hash) {
    let answer;
    try {
      const items = x("items", { node: NS.avatarData }, x("item", { id: hash }));
      answer = await this.#connection.request("get", jid, x("pubsub", { xmlns: NS.pubsub }, items));
    } catch {
      return null;
    }
    const items = child(child(answer, "pubsub", NS.pubsub), "items", NS.pubsub);
    const data = childText(child(items, "item", NS.pubsub), "data", NS.avatarData)?.replace(/\s+/g, "");
    if (!data || data.length > PICTURE_MAX * 1.4) return null;
    const bytes = unbase64(data);
    // XEP-0084 4.1: the id is the hash of the data.
    if (hex(await digest("SHA-1", bytes)) !== hash.toLowerCase()) return null;
    const type = sniffed(bytes);
    return type ? { type, bytes } : null;
  }

  /** Publishes our name. */
  setNick(nick) {
    return this.#publish(NS.nick, "current", x("nick", { xmlns: NS.nick }, nick), { access: "presence" });
  }

  /** Publishes our picture, data first (XEP-0084 3.1, 3.2); null takes it away. Returns its hash. */
  async setPicture(picture) {
    if (!picture) {
      await this.#publish(NS.avatarMeta, "current", x("metadata", { xmlns: NS.avatarMeta }), { access: "presence" });
      return null;
    }
    const hash = hex(await digest("SHA-1", picture.bytes));
    await this.#publish(NS.avatarData, hash, x("data", { xmlns: NS.avatarData }, base64(picture.bytes)), { access: "presence" });
    const info = { id: hash, type: picture.type, bytes: picture.bytes.length, width: picture.side, height: picture.side };
    await this.#publish(NS.avatarMeta, hash, x("metadata", { xmlns: NS.avatarMeta }, x("info", info)), { access: "presence" });
    return hash;
  }

  /** Publishes how far a conversation is read (XEP-0490 3.1). */
  setRead(own, peer, sid) {
    const payload = x("displayed", { xmlns: NS.displayed }, x("stanza-id", { xmlns: NS.sid, by: own, id: sid }));
    return this.#publish(NS.displayed, peer, payload, { access: "whitelist", many: true });
  }

  #publish(node, id, payload, { access, many }) {
    const field = (name, value, type) => x("field", { var: name, type }, x("value", null, value));
    const options = x(
      "publish-options",
      null,
      x(
        "x",
        { xmlns: NS.dataForm, type: "submit" },
        field("FORM_TYPE", NS.publishOptions, "hidden"),
        field("pubsub#persist_items", "true"),
        field("pubsub#access_model", access),
        many && field("pubsub#max_items", "max"),
        many && field("pubsub#send_last_published_item", "never"),
      ),
    );
    const publish = x("publish", { node }, x("item", { id }, payload));
    return this.#connection.request("set", undefined, x("pubsub", { xmlns: NS.pubsub }, publish, options));
  }
}

/** What kind of picture the bytes are, by their first octets; null: none that is shown. */
function sniffed(bytes) {
  const starts = (...head) => head.every((byte, at) => byte === null || bytes[at] === byte);
  const found =
    (starts(0x89, 0x50, 0x4e, 0x47) && "image/png") ||
    (starts(0xff, 0xd8, 0xff) && "image/jpeg") ||
    (starts(0x47, 0x49, 0x46, 0x38) && "image/gif") ||
    (starts(0x52, 0x49, 0x46, 0x46, null, null, null, null, 0x57, 0x45, 0x42, 0x50) && "image/webp");
  return PICTURE_TYPES.includes(found) ? found : null;
}
