//! A chat in the terminal: conversations, history, marks, typing; over any carrier, with any XMPP server.
//!
//! Spec: RFC 6121 (roster, presence, messages); XEP-0085 (typing), 0184 and 0333 (marks), 0191 (blocking), 0198, 0280
//! (carbons), 0308 (corrections), 0313 with 0059 (history), 0380 (what another device can read).
//! Invariants: [`talk`] decides and does no IO; [`mod@run`] does IO and decides nothing; drawing looks at the [`book`] and changes
//! nothing. Nothing waits for the network: what is written while it is away waits in the book, and goes out when it is
//! back, once.
//! Not here: the conversation with the server below stanzas (`client`), what was typed on the command line (`switchboard`).
//!
//! ```text
//!   keys ──▶ keys ──Action──▶ talk ──stanza──▶ client
//!                              │  ▲
//!                        changes  stanza
//!                              ▼  │
//!   screen ◀── view ◀──────── book
//! ```
//! Reading order: [`entry`] and [`book`] (what there is), [`words`] (what is said to the server), [`talk`] (what is made of
//! what it says), [`command`] and [`keys`] (what a person can do), [`view`] (what it looks like), [`mod@run`].

#![forbid(unsafe_code)]

pub mod book;
pub mod command;
pub mod entry;
pub mod keys;
pub mod run;
pub mod talk;
pub mod view;
pub mod words;

pub use run::{ChatError, Settings, run};
