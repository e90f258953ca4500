//! The archive: what was said, kept for the one account that it belongs to.
//!
//! Spec: XEP-0313 (what is asked of an archive), XEP-0059 (pages).
//! Owns: the values. Invariants: ids of one account grow in the order in which its home loop saw the messages, and so do
//! the times inside them; rows leave at the old end only.
//! Not here: which messages are kept (the router's archive feature), who may read them.
//!
//! An id is drawn by the router before the store has the row, so that a message can bear it (XEP-0359) without waiting:
//! ```text
//!  63 62 61                               20 19        0
//! +-----+-----------------------------------+-----------+
//! |  0  | milliseconds since 1970: received | a counter |
//! +-----+-----------------------------------+-----------+
//! ```

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use xmpp::address::{AccountNumber, BareJid};
use xmpp::time::Wallclock;

/// A message's place in its account's archive, and when it was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ArchiveId(pub u64);

/// Bits that tell messages of one millisecond apart.
const COUNTER_BITS: u32 = 20;

impl ArchiveId {
    /// The last of all.
    pub const MAX: ArchiveId = ArchiveId((1 << 62) - 1);

    /// The first that a message received then can have.
    #[must_use]
    pub const fn first_at(received: Wallclock) -> ArchiveId {
        let millis = received.as_millis();
        let last = Self::MAX.0 >> COUNTER_BITS;
        ArchiveId(if millis > last { Self::MAX.0 } else { millis << COUNTER_BITS })
    }

    /// The last that a message received then can have.
    #[must_use]
    pub const fn last_at(received: Wallclock) -> ArchiveId {
        ArchiveId(Self::first_at(received).0 | ((1 << COUNTER_BITS) - 1))
    }

    /// The id of what is received now, when `self` was the last that was drawn. A clock that was set back does not lead
    /// back: the time inside stays until the clock has caught up.
    #[must_use]
    pub const fn next(self, now: Wallclock) -> ArchiveId {
        let (next, first) = (self.0 + 1, Self::first_at(now).0);
        ArchiveId(if next > first { next } else { first })
    }

    /// When the message was received.
    #[must_use]
    pub const fn received(self) -> Wallclock {
        Wallclock::from_millis(self.0 >> COUNTER_BITS)
    }
}

impl fmt::Display for ArchiveId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ArchiveId {
    type Err = std::num::ParseIntError;
    /// Exactly what `Display` prints; so no two texts are the same id.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id: u64 = text.parse()?;
        if id.to_string() == text { Ok(Self(id)) } else { "-".parse().map(Self) }
    }
}

/// What can be asked of the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArchiveOp {
    /// Keeps a message: [`Answer::Done`](crate::Answer::Done), or [`StoreError::NoSuchAccount`](crate::StoreError::NoSuchAccount). The
    /// oldest go where [`Limits::archive_rows_max`](crate::Limits::archive_rows_max) asks for it. An id that is not above
    /// the account's last is there already, and changes nothing.
    Append {
        /// Whose archive.
        number: AccountNumber,
        /// Its id.
        id: ArchiveId,
        /// The bare address at the other end.
        with: Box<str>,
        /// The message as it was sent onward, without this archive's `stanza-id`.
        stanza: Vec<u8>,
    },
    /// A page: [`Answer::Archive`](crate::Answer::Archive), or [`StoreError::NoSuchAccount`](crate::StoreError::NoSuchAccount), or
    /// [`StoreError::NoSuchItem`](crate::StoreError::NoSuchItem) if an id that the question names is not there.
    Page {
        /// Whose archive.
        number: AccountNumber,
        /// Boxed, so that the ops of every message stay small.
        query: Box<ArchiveQuery>,
    },
    /// These messages, oldest first: answered like a page.
    Pick {
        /// Whose archive.
        number: AccountNumber,
        /// Which: at most [`limits::ARCHIVE_PAGE_ROWS_MAX`](crate::limits::ARCHIVE_PAGE_ROWS_MAX).
        ids: Vec<ArchiveId>,
    },
    /// The first and the last id: [`Answer::ArchiveEnds`](crate::Answer::ArchiveEnds), or
    /// [`StoreError::NoSuchAccount`](crate::StoreError::NoSuchAccount).
    Ends {
        /// Whose archive.
        number: AccountNumber,
    },
    /// Forgets some of what is older than [`Limits::archive_keep`](crate::Limits::archive_keep), going round all accounts
    /// from call to call, and of what deleted accounts had: [`Answer::Swept`](crate::Answer::Swept).
    Sweep {
        /// How many rows at most.
        rows_max: u32,
    },
}

/// Which messages, and which page of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveQuery {
    /// Only those with this address at the other end.
    pub with: Option<BareJid>,
    /// And of these only those to or from exactly this full address.
    pub full: Option<Box<str>>,
    /// Only those received then or later.
    pub start: Option<Wallclock>,
    /// Only those received then or earlier.
    pub end: Option<Wallclock>,
    /// Only those behind this one, which must be there.
    pub after: Option<ArchiveId>,
    /// Only those before this one, which must be there.
    pub before: Option<ArchiveId>,
    /// Which page.
    pub page: ArchivePaging,
    /// How many at most; a page also ends at [`limits::ARCHIVE_PAGE_ROWS_MAX`](crate::limits::ARCHIVE_PAGE_ROWS_MAX) rows and
    /// once it holds [`limits::ARCHIVE_PAGE_BYTES_MAX`](crate::limits::ARCHIVE_PAGE_BYTES_MAX) bytes.
    pub limit: u32,
}

impl ArchiveQuery {
    /// Everything, from the oldest on.
    #[must_use]
    pub fn all(limit: u32) -> Self {
        Self {
            with: None,
            full: None,
            start: None,
            end: None,
            after: None,
            before: None,
            page: ArchivePaging::First,
            limit,
        }
    }
}

/// Which page (XEP-0059).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArchivePaging {
    /// The oldest.
    First,
    /// Those right behind this one, which must be there (2.2).
    After(ArchiveId),
    /// Those right before this one, which must be there (2.3).
    Before(ArchiveId),
    /// The latest (2.5).
    Last,
    /// From the one with this place on, the oldest being 0 (2.6).
    Index(u64),
}

/// A message that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveRow {
    /// Its id.
    pub id: ArchiveId,
    /// Byte for byte as it was appended.
    pub stanza: Vec<u8>,
}

/// A page, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ArchivePage {
    /// In order of their ids.
    pub rows: Vec<ArchiveRow>,
    /// There are no more in the direction in which the pages go.
    pub complete: bool,
    /// The place of the first among all that the question asks for, where that is known.
    pub index: Option<u64>,
    /// How many the question asks for, where that is known.
    pub count: Option<u64>,
}

/// What is older than this has left the archive, whether or not it was swept.
#[must_use]
pub(crate) fn floor(now: Wallclock, keep: Option<Duration>) -> ArchiveId {
    let Some(keep) = keep else { return ArchiveId(0) };
    let keep = u64::try_from(keep.as_millis()).unwrap_or(u64::MAX);
    ArchiveId::first_at(Wallclock::from_millis(now.as_millis().saturating_sub(keep)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_grow_whatever_the_clock_does() {
        let at = Wallclock::from_millis;
        let first = ArchiveId(0).next(at(1_000));
        let second = first.next(at(1_000));
        let back = second.next(at(10));
        let later = back.next(at(1_001));
        assert!(first < second && second < back && back < later);
        assert_eq!(first.received(), at(1_000));
        assert_eq!(later, ArchiveId::first_at(at(1_001)));
        assert!(back <= ArchiveId::last_at(at(1_000)));
        assert_eq!(ArchiveId::first_at(at(u64::MAX)), ArchiveId::MAX);
    }

    #[test]
    fn an_id_has_one_text() {
        assert_eq!("17".parse(), Ok(ArchiveId(17)));
        for wrong in ["", "+17", "017", " 17", "x", "-1", "99999999999999999999"] {
            assert!(wrong.parse::<ArchiveId>().is_err(), "{wrong}");
        }
    }
}
