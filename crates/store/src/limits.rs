//! How much an account may hold, and how much one answer may.
//!
//! Owns: every bound of the store. Not here: bounds on one stanza's size (`session`).

use std::time::Duration;

/// Accounts in one page of a list.
pub const ACCOUNTS_PAGE_MAX: u32 = 1_000;

/// Rows in one page of waiting messages.
pub const OFFLINE_PAGE_ROWS_MAX: u32 = 1_000;

/// A page of waiting messages ends with the row that reaches this many bytes: with stanzas of 256 KiB at most a page
/// stays below 512 KiB.
pub const OFFLINE_PAGE_BYTES_MAX: u64 = 256 * 1024;

/// Rows in one page of the archive.
pub const ARCHIVE_PAGE_ROWS_MAX: u32 = 250;

/// A page of the archive ends with the row that reaches this many bytes.
pub const ARCHIVE_PAGE_BYTES_MAX: u64 = 256 * 1024;

/// Rows that a question for one full address looks at; with it the page ends, and goes on from there.
pub const ARCHIVE_SCAN_ROWS_MAX: u64 = 20_000;

/// Rows beyond an archive's bounds that one more message takes with it: more than one, so that a bound that was lowered
/// is reached, and few, so that no message pays for it.
pub const ARCHIVE_TRIM_ROWS: u64 = 4;

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
    /// Messages in the archive; with one more the oldest goes. Default 1,000,000.
    pub archive_rows_max: u64,
    /// How long messages stay in the archive; `None`: for ever. Default 365 days.
    pub archive_keep: Option<Duration>,
}

impl Limits {
    /// The defaults.
    pub const DEFAULT: Self = Self {
        roster_items_max: 2_000,
        offline_rows_max: 100_000,
        offline_bytes_max: 256 << 20,
        archive_rows_max: 1_000_000,
        archive_keep: Some(Duration::from_secs(365 * 24 * 3600)),
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
