//! Accounts to and from XEP-0227, the format in which servers hand their users to each other.
//!
//! Spec: XEP-0227 version 1.1; inside of it RFC 6121 (rosters, requests), XEP-0049, 0054, 0060, 0191, 0313, 0441.
//! Owns: what of an account is written, and how it is read again. Invariants: neither a document nor an account is ever
//! held whole; nothing that was read is believed: lengths, depths, addresses, keys and times are checked, and each stanza
//! is written anew; what is not taken is told.
//! Not here: files, the store's transactions, passwords (the caller gives what derives their keys).
//!
//! Reading order: `export`, which shows the format by writing it, then `import`.
//!
//! What XEP-0227 has no word for stands in elements of our own namespace ([`OURS`]), which others pass over.

#![forbid(unsafe_code)]

mod export;
pub mod fuzz;
mod import;
mod node_config;
mod words;

use std::fmt;

use store::{Answer, Op, StoreError};
use xmpp::address::AccountNumber;

pub use export::{ExportError, export};
pub use import::{Import, ImportError, Quotas, Report};

/// What a store is asked through: one request, one answer.
pub type Ask<'a> = dyn FnMut(Op) -> Result<Answer, StoreError> + 'a;

/// The format's namespace.
pub const PIE: &str = "urn:xmpp:pie:0";
/// Keys of passwords in it.
pub const PIE_SCRAM: &str = "urn:xmpp:pie:0#scram";
/// Archives in it.
pub const PIE_MAM: &str = "urn:xmpp:pie:0#mam";
/// Our own elements in it.
pub const OURS: &str = "urn:switchboard:account:0";

/// How far it has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Accounts that are done.
    pub accounts: u64,
    /// Messages that wait.
    pub waiting: u64,
    /// Messages in archives.
    pub archived: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { accounts, waiting, archived } = self;
        let s = if *accounts == 1 { "" } else { "s" };
        write!(f, "{accounts} account{s}, {waiting} waiting and {archived} archived messages")
    }
}

/// An answer of another kind than the question.
fn unexpected(number: AccountNumber, what: &'static str) -> (AccountNumber, &'static str, StoreError) {
    (number, what, StoreError::Failed("it gave another answer than was asked for".into()))
}
