//! Tags: what a delivered message is known by until the client has confirmed it.
//!
//! Spec: XEP-0198 section 4 (what was not acknowledged is handed back), XEP-0203 (when it was first received).
//! Invariants: a tag holds all that the router must know of a message that comes back, or says where the router keeps the
//! rest: of one that is known by its time the router keeps nothing.
//! Not here: which messages get a tag (`hands`).
//!
//! ```text
//!  63 62 61                                      0
//! +-----+-----------------------------------------+
//! |  0  | milliseconds since 1970: when received  |  one session has it, the store does not
//! |  1  | number of a shared delivery             |  sessions that confirm have it, soon the store too
//! |  2  | id of the waiting message               |  the store has it
//! |  3  | number of a shared delivery             |  to a session elsewhere whose client never confirms
//! +-----+-----------------------------------------+
//! ```

use store::OfflineId;
use xmpp::time::Wallclock;

/// What a session hands back when the client confirmed the message, or when it ended before that. Opaque.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tag(u64);

const VALUE_BITS: u32 = 62;
const VALUE_MASK: u64 = (1 << VALUE_BITS) - 1;

/// A tag, read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// One session has the message, received then.
    Live(Wallclock),
    /// Several sessions have it.
    Shared(u64),
    /// The store has it too.
    Row(OfflineId),
    /// Several sessions have it, and this one's client never confirms: its loop tells whether it has reached it.
    Quiet(u64),
}

impl Tag {
    /// The bits, for those who carry tags in a field of their own.
    pub fn to_bits(self) -> u64 {
        self.0
    }

    /// The tag with these bits.
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(crate) fn live(received: Wallclock) -> Self {
        Self(received.as_millis() & VALUE_MASK)
    }

    pub(crate) fn shared(number: u64) -> Self {
        Self(1 << VALUE_BITS | number & VALUE_MASK)
    }

    pub(crate) fn row(id: OfflineId) -> Self {
        Self(2 << VALUE_BITS | id.0 & VALUE_MASK)
    }

    pub(crate) fn quiet(number: u64) -> Self {
        Self(3 << VALUE_BITS | number & VALUE_MASK)
    }

    pub(crate) fn read(self) -> Mark {
        let value = self.0 & VALUE_MASK;
        match self.0 >> VALUE_BITS {
            0 => Mark::Live(Wallclock::from_millis(value)),
            1 => Mark::Shared(value),
            2 => Mark::Row(OfflineId(value)),
            _ => Mark::Quiet(value),
        }
    }
}
