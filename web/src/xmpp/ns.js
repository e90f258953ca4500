// Namespaces: every XML namespace the client speaks, by the name the code uses.
// Spec: the document each one comes from.

export const NS = {
  framing: "urn:ietf:params:xml:ns:xmpp-framing", // RFC 7395
  stream: "http://etherx.jabber.org/streams", // RFC 6120
  client: "jabber:client",
  sasl: "urn:ietf:params:xml:ns:xmpp-sasl",
  bind: "urn:ietf:params:xml:ns:xmpp-bind",
  session: "urn:ietf:params:xml:ns:xmpp-session",
  stanzas: "urn:ietf:params:xml:ns:xmpp-stanzas",
  streams: "urn:ietf:params:xml:ns:xmpp-streams",
  roster: "jabber:iq:roster", // RFC 6121
  sasl2: "urn:xmpp:sasl:2", // XEP-0388
  bind2: "urn:xmpp:bind:0", // XEP-0386
  fast: "urn:xmpp:fast:0", // XEP-0484
  sm: "urn:xmpp:sm:3", // XEP-0198
  register: "jabber:iq:register", // XEP-0077
  registerFeature: "http://jabber.org/features/iq-register",
  preauth: "urn:xmpp:pars:0", // XEP-0379, XEP-0445
  invite: "urn:xmpp:invite", // XEP-0401
  commands: "http://jabber.org/protocol/commands", // XEP-0050
  dataForm: "jabber:x:data", // XEP-0004
  info: "http://jabber.org/protocol/disco#info", // XEP-0030
  items: "http://jabber.org/protocol/disco#items",
  caps: "http://jabber.org/protocol/caps", // XEP-0115
  ping: "urn:xmpp:ping", // XEP-0199
  version: "jabber:iq:version", // XEP-0092
  carbons: "urn:xmpp:carbons:2", // XEP-0280
  forward: "urn:xmpp:forward:0", // XEP-0297
  delay: "urn:xmpp:delay", // XEP-0203
  mam: "urn:xmpp:mam:2", // XEP-0313
  rsm: "http://jabber.org/protocol/rsm", // XEP-0059
  sid: "urn:xmpp:sid:0", // XEP-0359
  receipts: "urn:xmpp:receipts", // XEP-0184
  markers: "urn:xmpp:chat-markers:0", // XEP-0333
  states: "http://jabber.org/protocol/chatstates", // XEP-0085
  correct: "urn:xmpp:message-correct:0", // XEP-0308
  retract: "urn:xmpp:message-retract:1", // XEP-0424
  fallback: "urn:xmpp:fallback:0", // XEP-0428
  reply: "urn:xmpp:reply:0", // XEP-0461
  hints: "urn:xmpp:hints", // XEP-0334
  eme: "urn:xmpp:eme:0", // XEP-0380
  omemo: "eu.siacs.conversations.axolotl", // XEP-0384 before 0.4
  omemo2: "urn:xmpp:omemo:2",
  csi: "urn:xmpp:csi:0", // XEP-0352
  blocking: "urn:xmpp:blocking", // XEP-0191
  blockErrors: "urn:xmpp:blocking:errors",
  pubsub: "http://jabber.org/protocol/pubsub", // XEP-0060, XEP-0163
  pubsubEvent: "http://jabber.org/protocol/pubsub#event",
  publishOptions: "http://jabber.org/protocol/pubsub#publish-options",
  nick: "http://jabber.org/protocol/nick", // XEP-0172
  avatarData: "urn:xmpp:avatar:data", // XEP-0084
  avatarMeta: "urn:xmpp:avatar:metadata",
  displayed: "urn:xmpp:mds:displayed:0", // XEP-0490
  lines: "urn:switchboard:lines:0", // docs/web-client.md
  tokens: "urn:switchboard:tokens:0", // docs/web-client.md
};
