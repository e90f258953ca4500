// Message: a chat message as a value, read from a stanza and written into one.
// Spec: RFC 6121 5; XEP-0359 (ids), 0203 (delay), 0308 (correction), 0424 (retraction), 0461 (reply), 0428 (fallback),
// 0184 (receipts), 0333 (markers), 0085 (states), 0380 and 0384 (encrypted), 0334 (hints).
// Pure. Invariants: `body` is text and stays text; of who sent it only the stanza's own `from` is believed.
// Not here: where it is kept (`store/history`), who may have forwarded it (`carbons`, `archive`).

import { bare } from "../xmpp/jid.js";
import { NS } from "../xmpp/ns.js";
import { child, childText, children, condition, x } from "../xmpp/xml.js";

/** Characters of a body that are kept and shown; the exchange's stanza limit lies above. */
export const BODY_MAX = 60_000;
/** Characters of a quoted message that go along for clients without replies. */
const QUOTE_MAX = 280;

/** Reads `<message/>`. `at` is when it came, for those that carry no delay. */
export function readMessage(stanza, at) {
  const delay = child(stanza, "delay", NS.delay)?.getAttribute("stamp");
  const stamped = delay ? Date.parse(delay) : NaN;
  const value = {
    from: stanza.getAttribute("from") ?? "",
    to: stanza.getAttribute("to") ?? "",
    id: stanza.getAttribute("id"),
    type: stanza.getAttribute("type") ?? "normal",
    origin: child(stanza, "origin-id", NS.sid)?.getAttribute("id") ?? null,
    sids: children(stanza, "stanza-id", NS.sid).map((node) => [bare(node.getAttribute("by") ?? ""), node.getAttribute("id")]),
    at: Number.isNaN(stamped) ? at : stamped,
    body: childText(stanza, "body", NS.client)?.slice(0, BODY_MAX) ?? null,
    wantsReceipt: Boolean(child(stanza, "request", NS.receipts)),
    markable: Boolean(child(stanza, "markable", NS.markers)),
    received: child(stanza, "received", NS.receipts)?.getAttribute("id") ?? null,
    displayed: child(stanza, "displayed", NS.markers)?.getAttribute("id") ?? null,
    state: child(stanza, null, NS.states)?.localName ?? null,
    replaces: child(stanza, "replace", NS.correct)?.getAttribute("id") ?? null,
    retracts: child(stanza, "retract", NS.retract)?.getAttribute("id") ?? null,
    reply: null,
    encrypted: false,
    error: null,
  };
  if (value.type === "error") value.error = condition(stanza);
  const reply = child(stanza, "reply", NS.reply);
  if (reply?.getAttribute("id")) {
    value.reply = { id: reply.getAttribute("id"), to: bare(reply.getAttribute("to") ?? "") };
    value.body = withoutFallback(stanza, value.body, NS.reply);
  }
  const encrypted = child(stanza, "encryption", NS.eme) ?? child(stanza, "encrypted", NS.omemo) ?? child(stanza, "encrypted", NS.omemo2);
  // A key transport without payload is for devices, not for people.
  if (encrypted && (child(stanza, "encryption", NS.eme) || child(encrypted, "payload", encrypted.namespaceURI))) {
    value.encrypted = true;
    value.body = "";
  }
  return value;
}

/** The body without what stands there for clients that know no replies. XEP-0428: positions count code points. */
function withoutFallback(stanza, body, feature) {
  if (body === null) return null;
  const marks = children(stanza, "fallback", NS.fallback).filter((node) => node.getAttribute("for") === feature);
  const points = [...body];
  for (const mark of marks) {
    for (const range of children(mark, "body", NS.fallback)) {
      const start = Number(range.getAttribute("start") ?? 0);
      const end = Number(range.getAttribute("end") ?? points.length);
      if (start >= 0 && start <= end && end <= points.length) points.fill("", start, end);
    }
  }
  return points.join("");
}

/** Writes a message of ours. `message`: `{ id, peer, body, replaces, retracts, reply: { id, to, quote } }`. */
export function makeMessage(message) {
  const { id, peer, body, replaces, retracts, reply } = message;
  const head = { xmlns: NS.client, to: peer, type: "chat", id };
  const origin = x("origin-id", { xmlns: NS.sid, id });
  if (retracts) {
    const told = "/me retracted a message, but this client cannot show that";
    return x(
      "message",
      head,
      x("retract", { xmlns: NS.retract, id: retracts }),
      x("fallback", { xmlns: NS.fallback, for: NS.retract }),
      x("body", null, told),
      x("store", { xmlns: NS.hints }),
      origin,
    );
  }
  let text = body;
  let fallback = null;
  if (reply?.quote) {
    const points = [...reply.quote];
    const cut = points.length > QUOTE_MAX ? `${points.slice(0, QUOTE_MAX).join("")}…` : reply.quote;
    const quoted = `${cut.split("\n").map((line) => `> ${line}`).join("\n")}\n`;
    text = quoted + body;
    fallback = x("fallback", { xmlns: NS.fallback, for: NS.reply }, x("body", { start: 0, end: [...quoted].length }));
  }
  return x(
    "message",
    head,
    x("body", null, text),
    replaces && x("replace", { xmlns: NS.correct, id: replaces }),
    reply && x("reply", { xmlns: NS.reply, id: reply.id, to: reply.to }),
    fallback,
    origin,
    x("request", { xmlns: NS.receipts }),
    x("markable", { xmlns: NS.markers }),
    x("active", { xmlns: NS.states }),
  );
}

/** "It came" (XEP-0184). */
export const makeReceipt = (to, id) =>
  x("message", { xmlns: NS.client, to, type: "chat" }, x("received", { xmlns: NS.receipts, id }), x("store", { xmlns: NS.hints }));

/** "It was read" (XEP-0333). */
export const makeDisplayed = (to, id) =>
  x("message", { xmlns: NS.client, to, type: "chat" }, x("displayed", { xmlns: NS.markers, id }), x("store", { xmlns: NS.hints }));

/** `composing`, `paused`, `active`, `inactive` or `gone` (XEP-0085); nothing that anyone should keep. */
export const makeState = (to, state) =>
  x("message", { xmlns: NS.client, to, type: "chat" }, x(state, { xmlns: NS.states }), x("no-store", { xmlns: NS.hints }));
