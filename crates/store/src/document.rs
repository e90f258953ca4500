//! Documents: small named things that a feature keeps for an account, whole.
//!
//! Spec: XEP-0049 (private XML), XEP-0054 (vCards), XEP-0191 (block lists), XEP-0377 (reports), XEP-0441 (archive
//! preferences).
//! Owns: the values. Invariants: a document is written whole or not at all; what a space may hold is checked with the
//! write that would exceed it.
//! Not here: what a document says (its feature).

use xmpp::address::AccountNumber;

/// The namespace of what is kept of a report: `<reported stamp='...'/>` around XEP-0377's `<report/>`.
pub const REPORTS: &str = "urn:switchboard:reports:0";

/// Which feature's documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Space {
    /// Archive preferences: one document.
    ArchivePreferences = 1,
    /// Whom an account blocks: one document, an address a line.
    BlockList = 2,
    /// Private XML, each element as a document called `{namespace}name`.
    Private = 3,
    /// The vCard, called nothing; `photo`: its picture's hash; `avatar`: a `PHOTO` that was published beside it, and goes
    /// before the card's own.
    VCard = 4,
    /// Whom an account has reported, by address: a `reported` element of [`REPORTS`] around what it said.
    Reports = 5,
}

/// How much a space may hold of one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Documents.
    pub documents_max: u64,
    /// Their bytes together.
    pub bytes_max: u64,
}

/// What can be asked about documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DocumentOp {
    /// One document: [`Answer::Document`](crate::Answer::Document), none also where there is no such account.
    Load {
        /// Whose.
        number: AccountNumber,
        /// Which feature's.
        space: Space,
        /// By name.
        name: Box<str>,
    },
    /// The names of all documents of a space, in order: [`Answer::DocumentNames`](crate::Answer::DocumentNames), none also
    /// where there is no such account.
    Names {
        /// Whose.
        number: AccountNumber,
        /// Which feature's.
        space: Space,
    },
    /// Writes one: [`Answer::Done`](crate::Answer::Done), or [`StoreError::NoSuchAccount`](crate::StoreError::NoSuchAccount), or
    /// [`StoreError::QuotaExceeded`](crate::StoreError::QuotaExceeded).
    Put {
        /// Whose.
        number: AccountNumber,
        /// Which feature's.
        space: Space,
        /// By name.
        name: Box<str>,
        /// The document.
        value: Vec<u8>,
        /// How much the space may hold with it.
        quota: Quota,
    },
    /// Forgets one: [`Answer::Done`](crate::Answer::Done). One that is not there is no error.
    Remove {
        /// Whose.
        number: AccountNumber,
        /// Which feature's.
        space: Space,
        /// By name.
        name: Box<str>,
    },
}
