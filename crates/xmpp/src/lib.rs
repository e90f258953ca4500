//! XMPP grammar: the XML stream and what stands in it. Nothing here decides anything; `session` and `router` do.
//!
//! Reading order: `scanner` cuts a byte stream into a header, stanzas and a closing tag and checks each of them once;
//! `stanza` looks into what it found without copying; `relay` writes a stanza onward; `write` builds new ones;
//! `address` is the only place that parses JIDs and numbers; `error` and `ns` are the wire's own words; `time` is the
//! clock that is handed in, since no core reads one.
//!
//! Spec: RFC 6120 (streams, stanzas, errors), RFC 7622 (addresses), RFC 7395 (framing), XEP-0082 (time),
//! XML 1.0 fifth edition and Namespaces in XML 1.0, less what RFC 6120 11.1 forbids.
//! Invariants: no input panics; a `Stanza` exists only for text that was checked; a checked stanza is never copied.
//! Not here: state of a conversation, any clock, any socket.

#![forbid(unsafe_code)]

pub mod address;
pub mod error;
pub mod fuzz;
mod hex;
pub mod ns;
pub mod relay;
pub mod scanner;
pub mod stanza;
pub mod time;
pub mod write;
pub mod xml;

pub use address::{AccountNumber, BareJid, Jid, JidError, JidRef};
pub use error::{ErrorType, StanzaCondition, StanzaError, StreamErrorKind};
pub use hex::hex;
pub use scanner::{Found, Limits, Scanner, StreamHeader, Token};
pub use stanza::{Node, Stanza, StanzaKind};
pub use time::{Instant, Now, Wallclock};
