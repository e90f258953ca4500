//! How much an account may hold, and how much one answer may.
//!
//! Owns: every bound of the store. Not here: bounds on one stanza's size (`session`).

/// Accounts in one page of a list.
pub const ACCOUNTS_PAGE_MAX: u32 = 1_000;

/// Rows in one page of waiting messages.
pub const OFFLINE_PAGE_ROWS_MAX: u32 = 1_000;

/// A page of waiting messages ends with the row that reaches this many bytes: with stanzas of 256 KiB at most a page
/// stays below 512 KiB.
pub const OFFLINE_PAGE_BYTES_MAX: u64 = 256 * 1024;

/// How much an account may hold. They bound the disk, not memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Contacts, those that only wait for an answer included, so that strangers cannot fill a roster without bound.
    /// Default 2,000.
    pub roster_items_max: u64,
    /// Messages that wait. Default 100,000.
    pub offline_rows_max: u64,
    /// Their bytes together. Default 256 MiB.
    pub offline_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { roster_items_max: 2_000, offline_rows_max: 100_000, offline_bytes_max: 256 << 20 }
    }
}
