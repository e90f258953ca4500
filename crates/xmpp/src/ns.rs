//! The namespaces this exchange speaks, each with the document that defines it.
//! Not here: who serves them (`session`, `router::features`).

/// The XML namespace itself, bound to the prefix `xml` always (Namespaces in XML 3).
pub const XML: &str = "http://www.w3.org/XML/1998/namespace";
/// What the prefix `xmlns` is bound to, and nothing may be bound to (Namespaces in XML 3).
pub const XMLNS: &str = "http://www.w3.org/2000/xmlns/";
/// The stream's root element and `stream:features`, `stream:error` (RFC 6120 4.8.1).
pub const STREAMS: &str = "http://etherx.jabber.org/streams";
/// Conditions inside `stream:error` (RFC 6120 4.9.2).
pub const STREAM_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-streams";
/// Conditions inside a stanza's `error` (RFC 6120 8.3.2).
pub const STANZA_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";
/// Content namespace of client streams (RFC 6120 4.8.2).
pub const CLIENT: &str = "jabber:client";
/// Content namespace of server streams (RFC 6120 4.8.2), refused on a client's line.
pub const SERVER: &str = "jabber:server";
/// STARTTLS (RFC 6120 5).
pub const TLS: &str = "urn:ietf:params:xml:ns:xmpp-tls";
/// SASL (RFC 6120 6).
pub const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
/// SASL's second profile (XEP-0388).
pub const SASL2: &str = "urn:xmpp:sasl:2";
/// Resource binding inside of it (XEP-0386).
pub const BIND2: &str = "urn:xmpp:bind:0";
/// Tokens for it (XEP-0484).
pub const FAST: &str = "urn:xmpp:fast:0";
/// Channel-binding types offered (XEP-0440).
pub const SASL_CB: &str = "urn:xmpp:sasl-cb:0";
/// Resource binding (RFC 6120 7).
pub const BIND: &str = "urn:ietf:params:xml:ns:xmpp-bind";
/// The session establishment that RFC 6120 dropped and old clients still ask for (RFC 3921 3).
pub const SESSION: &str = "urn:ietf:params:xml:ns:xmpp-session";
/// WebSocket framing (RFC 7395 3.3).
pub const FRAMING: &str = "urn:ietf:params:xml:ns:xmpp-framing";
/// Stream management (XEP-0198).
pub const SM: &str = "urn:xmpp:sm:3";
/// Stream limits announced (XEP-0478).
pub const STREAM_LIMITS: &str = "urn:xmpp:stream-limits:0";
/// Roster (RFC 6121 2).
pub const ROSTER: &str = "jabber:iq:roster";
/// Roster versioning as a stream feature (RFC 6121 2.6).
pub const ROSTER_VERSIONING: &str = "urn:xmpp:features:rosterver";
/// Pre-approved subscriptions as a stream feature (RFC 6121 3.4).
pub const PRE_APPROVAL: &str = "urn:xmpp:features:pre-approval";
/// Service discovery, who and what (XEP-0030).
pub const DISCO_INFO: &str = "http://jabber.org/protocol/disco#info";
/// Service discovery, which parts (XEP-0030).
pub const DISCO_ITEMS: &str = "http://jabber.org/protocol/disco#items";
/// Entity capabilities (XEP-0115).
pub const CAPS: &str = "http://jabber.org/protocol/caps";
/// Software version (XEP-0092).
pub const VERSION: &str = "jabber:iq:version";
/// Last activity (XEP-0012).
pub const LAST: &str = "jabber:iq:last";
/// Ping (XEP-0199).
pub const PING: &str = "urn:xmpp:ping";
/// Entity time (XEP-0202).
pub const TIME: &str = "urn:xmpp:time";
/// Delayed delivery (XEP-0203).
pub const DELAY: &str = "urn:xmpp:delay";
/// Chat states (XEP-0085).
pub const CHAT_STATES: &str = "http://jabber.org/protocol/chatstates";
/// Delivery receipts (XEP-0184).
pub const RECEIPTS: &str = "urn:xmpp:receipts";
/// Chat markers (XEP-0333).
pub const MARKERS: &str = "urn:xmpp:chat-markers:0";
/// Message processing hints (XEP-0334).
pub const HINTS: &str = "urn:xmpp:hints";
/// Stanza ids (XEP-0359).
pub const STANZA_ID: &str = "urn:xmpp:sid:0";
/// Carbons (XEP-0280).
pub const CARBONS: &str = "urn:xmpp:carbons:2";
/// Forwarding (XEP-0297).
pub const FORWARD: &str = "urn:xmpp:forward:0";
/// Message archive (XEP-0313).
pub const MAM: &str = "urn:xmpp:mam:2";
/// The fields of a question to the archive that came later (XEP-0313 4.1).
pub const MAM_EXTENDED: &str = "urn:xmpp:mam:2#extended";
/// Result set management (XEP-0059).
pub const RSM: &str = "http://jabber.org/protocol/rsm";
/// Client state indication (XEP-0352).
pub const CSI: &str = "urn:xmpp:csi:0";
/// Blocking (XEP-0191).
pub const BLOCKING: &str = "urn:xmpp:blocking";
/// A stanza error that says the sender blocks the recipient (XEP-0191 3.5).
pub const BLOCKING_ERRORS: &str = "urn:xmpp:blocking:errors";
/// Reports of spam and abuse (XEP-0377).
pub const REPORTING: &str = "urn:xmpp:reporting:1";
/// Private XML storage (XEP-0049).
pub const PRIVATE: &str = "jabber:iq:private";
/// Vcard-temp (XEP-0054).
pub const VCARD: &str = "vcard-temp";
/// Vcard-based avatars (XEP-0153).
pub const VCARD_UPDATE: &str = "vcard-temp:x:update";
/// Publish-subscribe (XEP-0060).
pub const PUBSUB: &str = "http://jabber.org/protocol/pubsub";
/// Publish-subscribe, the owner's calls (XEP-0060).
pub const PUBSUB_OWNER: &str = "http://jabber.org/protocol/pubsub#owner";
/// Publish-subscribe notifications (XEP-0060).
pub const PUBSUB_EVENT: &str = "http://jabber.org/protocol/pubsub#event";
/// Publish-subscribe errors (XEP-0060).
pub const PUBSUB_ERRORS: &str = "http://jabber.org/protocol/pubsub#errors";
/// Data forms (XEP-0004).
pub const DATA_FORMS: &str = "jabber:x:data";
/// In-band registration (XEP-0077).
pub const REGISTER: &str = "jabber:iq:register";
/// In-band registration as a stream feature (XEP-0077 8).
pub const REGISTER_FEATURE: &str = "http://jabber.org/features/iq-register";
/// Registration by an invite as a stream feature (XEP-0445 3).
pub const IBR_TOKEN: &str = "urn:xmpp:ibr-token:0";
/// Showing an invite (XEP-0379, XEP-0445 4).
pub const PREAUTH: &str = "urn:xmpp:pars:0";
/// Ad-hoc commands (XEP-0050).
pub const COMMANDS: &str = "http://jabber.org/protocol/commands";
/// The lines of an exchange, for its administrators (docs/web-client.md).
pub const LINES: &str = "urn:switchboard:lines:0";
/// The end of all of an account's sessions and tokens (docs/web-client.md).
pub const TOKENS: &str = "urn:switchboard:tokens:0";
