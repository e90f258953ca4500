// Presence: who is there, by address and device; and what we say of ourselves.
// Spec: RFC 6121 4; XEP-0115 (what we understand, as a hash); XEP-0172.
// Owns: the table of who is there, emptied when the session ends. Bound: [`RESOURCES_MAX`] an address.
// Not here: subscriptions (`roster`).

import { bare, resource } from "../xmpp/jid.js";
import { NS } from "../xmpp/ns.js";
import { base64, digest, utf8 } from "../xmpp/octets.js";
import { child, childText, x } from "../xmpp/xml.js";

const RESOURCES_MAX = 50;
/** How far from "there" a `show` is: the nearest device of an address speaks for it. */
const DISTANCE = { chat: 0, "": 1, away: 2, xa: 3, dnd: 1.5 };

const NODE = "https://switchboard.invalid/web";
const IDENTITY = "client/web//Switchboard";
/** What this page understands. `+notify` asks for the events of that node. */
export const FEATURES = [
  NS.info,
  NS.caps,
  NS.ping,
  NS.version,
  NS.receipts,
  NS.markers,
  NS.states,
  NS.correct,
  NS.retract,
  NS.fallback,
  NS.reply,
  NS.sid,
  `${NS.nick}+notify`,
  `${NS.avatarMeta}+notify`,
  `${NS.displayed}+notify`,
].sort();

let ver;
/** XEP-0115 5.1. */
export async function capsVersion() {
  ver ??= base64(await digest("SHA-1", utf8(`${IDENTITY}<${FEATURES.map((feature) => `${feature}<`).join("")}`)));
  return ver;
}

/** The answer to a question about us (XEP-0030). */
export function makeInfo(node) {
  return x(
    "query",
    { xmlns: NS.info, node },
    x("identity", { category: "client", type: "web", name: "Switchboard" }),
    FEATURES.map((feature) => x("feature", { var: feature })),
  );
}

/** Our own presence. */
export async function makePresence({ show, status, nick, avatar }) {
  return x(
    "presence",
    { xmlns: NS.client },
    show && x("show", null, show),
    status && x("status", null, status),
    nick && x("nick", { xmlns: NS.nick }, nick),
    x("c", { xmlns: NS.caps, hash: "sha-1", node: NODE, ver: await capsVersion() }),
    avatar && x("x", { xmlns: "vcard-temp:x:update" }, x("photo", null, avatar)),
  );
}

export class Presence {
  #devices = new Map();

  /** Takes a presence of availability; returns the address it changes, or null. */
  take(stanza) {
    const type = stanza.getAttribute("type");
    const from = stanza.getAttribute("from") ?? "";
    if (type !== null && type !== "unavailable") return null;
    const jid = bare(from);
    const devices = this.#devices.get(jid) ?? new Map();
    if (type === "unavailable") {
      if (resource(from)) devices.delete(resource(from));
      else devices.clear();
    } else if (devices.has(resource(from)) || devices.size < RESOURCES_MAX) {
      const show = childText(stanza, "show", NS.client)?.trim() ?? "";
      devices.set(resource(from), {
        show: show in DISTANCE ? show : "",
        status: childText(stanza, "status", NS.client)?.slice(0, 500) ?? "",
        caps: child(stanza, "c", NS.caps)?.getAttribute("node") ?? "",
      });
    }
    if (devices.size > 0) this.#devices.set(jid, devices);
    else this.#devices.delete(jid);
    return jid;
  }

  /** `{ show, status, devices }` of an address; null: not there. */
  of(jid) {
    const devices = [...(this.#devices.get(jid)?.values() ?? [])];
    if (devices.length === 0) return null;
    const nearest = devices.reduce((a, b) => (DISTANCE[b.show] < DISTANCE[a.show] ? b : a));
    return { show: nearest.show, status: nearest.status || (devices.find((d) => d.status)?.status ?? ""), devices: devices.length };
  }

  /** Everyone who is there. */
  all() {
    return [...this.#devices.keys()].map((jid) => [jid, this.of(jid)]);
  }

  /** The table, for a page that goes on with the session. */
  save() {
    return [...this.#devices].map(([jid, devices]) => [jid, [...devices]]);
  }

  restore(saved) {
    this.#devices = new Map((saved ?? []).map(([jid, devices]) => [jid, new Map(devices)]));
  }

  clear() {
    this.#devices.clear();
  }
}
