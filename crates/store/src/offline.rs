//! Messages for who is away, in the order in which they came.
//!
//! Spec: XEP-0160; XEP-0203 (the stamp).
//! Owns: the values. Invariants: ids of one account grow and are never used again, so a row that is deleted twice takes
//! no later row with it.
//! Not here: which stanzas are kept (the router's offline feature).

use xmpp::time::Wallclock;

/// A row's place in its account's queue: 1, 2, 3 and so on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct OfflineId(pub u64);

/// A stanza that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfflineRow {
    /// Its place in the queue.
    pub id: OfflineId,
    /// When the exchange received it.
    pub stamp: Wallclock,
    /// Byte for byte as it was pushed.
    pub stanza: Vec<u8>,
}

/// Part of a queue, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OfflinePage {
    /// In order of their ids.
    pub rows: Vec<OfflineRow>,
    /// Whether there are more above the last.
    pub more: bool,
}
