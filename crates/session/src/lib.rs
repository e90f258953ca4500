//! One client's XMPP conversation, from the first byte to the last, without any IO.
//!
//! Spec: RFC 6120 (streams, STARTTLS, SASL, binding, closing), RFC 5802 and 7677 (SCRAM), RFC 9266 (channel binding),
//! RFC 7395 (framing), XEP-0198 (acknowledgements), XEP-0388, 0386 and 0484 (log-in in one message), XEP-0077 and 0445
//! (registration), XEP-0440 (channel-binding types), XEP-0474 (downgrade protection), XEP-0478 (limits).
//! Owns: the state of the negotiation, the scanner, what XEP-0198 has not confirmed.
//! Invariants: a stanza leaves a session only after its client has proved a number and bound a resource; `h` never covers
//! a stanza that was not reported as processed; what is written to the client is well-formed whatever it sent.
//! Not here: sockets, TLS, WebSocket frames (`server`), who receives what (`router`), looking up keys (`store`).
//!
//! # The contract
//! [`Session::handle_input`] takes bytes and gives back at most one [`Event`] a call; call it until the input is used up
//! and it answers `None`. What is to be written to the client is appended to the caller's [`Outbox`] by every call.
//! [`Session::next_deadline`] says when [`Session::handle_timer`] wants to be called.
//!
//! ```text
//!        bytes                Credentials, Tokens, Bind, Stanza, Delivered, Finished
//!   ───────────────▶ Session ───────────────────────────────────────────────▶ server, router
//!   ◀─── Outbox ────         ◀── handle_credentials, handle_tokens, handle_bound, handle_delivery, handle_processed
//! ```
//!
//! Reading order: this file; [`config`] (what a session is told), [`event`] (what it tells); `session` (the conductor)
//! and `session::talk` (what each token leads to);
//! `negotiation` (what may come before binding); [`sasl`]; `acknowledge` (XEP-0198); [`limits`] (slowing down guesses).

#![forbid(unsafe_code)]

mod acknowledge;
pub mod config;
pub mod event;
pub mod fuzz;
pub mod limits;
mod negotiation;
mod outbox;
pub mod register;
pub mod sasl;
mod session;

pub use config::{Carrier, CarrierFacts, ChannelBindings, SessionConfig};
pub use event::{BindFacts, EndReason, Event, Overflow, Tag, TokensAnswer};
pub use outbox::Outbox;
pub use register::{RegisterAnswer, RegisterRefusal, RegisterRequest, Registration, invite_mark};
pub use sasl::token::TokenMechanism;
pub use sasl::{CredentialsAnswer, CredentialsRequest, LogInName, Mechanism};
pub use session::Session;
