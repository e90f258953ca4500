//! Who receives what: routing, presence, rosters, and the features that answer for the exchange.
//!
//! Spec: RFC 6121 (all of it, for one domain); RFC 6120 section 8 (stanzas) and 10 (server rules).
//! Owns: the sessions that are bound, the accounts they belong to, and what is on its way to the store and back.
//! Invariants: each stanza that a session sends is answered by exactly one [`Output::Processed`]; what must outlive a
//! crash is committed before it; a message is in the hands of one session, of several that share it, or of the store,
//! and of nobody twice; a router never sees a socket, a clock or a byte that was not checked.
//! Not here: the grammar (`xmpp`), one client's conversation (`session`), how things are kept (`store`).
//!
//! # Driving it
//! There is one [`Router`] an event loop, and each number has a home among them ([`Router::home`]). Call one of the
//! `handle_*`, then [`Router::poll_output`] until it is empty, then ask [`Router::next_deadline`].
//! - [`Output::Store`] goes to the store, whose reply comes back by [`Router::handle_reply`], in the store's order.
//! - [`Output::Post`] goes to another loop's router, first in, first out between each pair of loops, and enters it by
//!   [`Router::handle_parcel`].
//! - [`Output::Close`] means: end that session with this stream error and hand what its client has not confirmed back
//!   by [`Router::handle_unbound`], in the same turn. A session that ends by itself, overflows, or can no longer be
//!   resumed is handed back in the same way.
//! - [`Output::Surrender`] means: a client has come back for a session that is parked, or half-open; what is left of it
//!   goes to [`Router::handle_surrendered`] in the same turn. An [`Output::Processed`] whose session is not there goes to
//!   [`Router::handle_late`].
//! - Before the last of it ends, the exchange says [`Router::handle_stopping`], hands over each parked session by
//!   [`Router::handle_stowed`], and says [`Router::handle_stopped`], each once all parcels and replies of the step before have
//!   been read. What was saved so comes back by [`Router::handle_restored`].
//! - A session whose client begins to confirm what it receives (XEP-0198) is reported by
//!   [`Router::handle_acknowledging`]; from then on each tag comes back exactly once, by [`Router::handle_delivered`]
//!   or by [`Router::handle_unbound`].
//!
//! # Reading order
//! [`router`] (the conductor), `send` (a stanza enters at its sender's home), [`route`] (the rule table), `arrive` (it
//! reaches its recipient's home), `hands` (who has what), `account` and `line` (who there is), `presence`, [`subscription`] and `subscribe`,
//! `roster`, [`resume`] (a line changes hands), [`restart`] (it outlives the exchange), `features` (each file there can be removed).

#![forbid(unsafe_code)]

mod account;
mod again;
mod arrive;
mod chat_state;
mod config;
mod features;
mod form;
pub mod fuzz;
mod hands;
mod line;
mod numbers;
mod output;
mod parcel;
mod presence;
mod reply;
pub mod restart;
pub mod resume;
mod roster;
pub mod route;
pub mod router;
mod send;
mod subscribe;
pub mod subscription;
mod tag;
mod waiting;

pub use config::{ArchivePolicy, RouterConfig, StrangerPolicy};
pub use line::{AccountChange, LineFacts, SessionId};
pub use output::{BindError, Errand, Output};
pub use parcel::{Parcel, Place, Undelivered};
pub use restart::Stowed;
pub use resume::{Handover, Resumption};
pub use router::Router;
pub use tag::Tag;
