//! An XMPP client over any carrier: TCP with STARTTLS, direct TLS, WebSocket, QUIC.
//!
//! Spec: RFC 6120 (streams, SASL, binding), RFC 7395 (WebSocket), XEP-0368 (direct TLS), XEP-0467 (QUIC), XEP-0198
//! (acknowledgements).
//! Invariants: [`session`] decides and does no IO; [`connection`] does IO and decides nothing; a wrong password is
//! tried once; every wait has an end; a message is sent only when the exchange has acknowledged it, and taken only when
//! its reader says so.
//! Not here: what is printed, where passwords come from (`switchboard`).
//!
//! It reads XML with `rxml`, not with the exchange's own scanner, so that the two check each other.
//!
//! Reading order: `session` (the conversation) with `sasl`, `stream` and `element` below it; `connection` (what drives
//! it) with `carrier` and `trust` below it; `error` for all that can go wrong.

#![forbid(unsafe_code)]

pub mod carrier;
pub mod connection;
pub mod element;
pub mod error;
pub mod message;
mod sasl;
pub mod session;
mod stream;
pub mod trust;

pub use carrier::{Over, Server};
pub use connection::{Connection, Options};
pub use error::Error;
pub use message::Message;
pub use trust::Trust;
