//! What the program may want to hear about, as bits that rise once.
//! Spec: RFC 9293 3.9.1.8 (asynchronous reports, MUST-47), 3.8.5 (urgent data, MUST-32).
//! Owns: the set. A bit rises when something happened, not while it lasts: edge-triggered.
//! Not here: the state itself (`info`), the ready queue (`stack`).

use core::fmt;
use core::ops::{BitOr, BitOrAssign};

/// A set of things that have happened since the last look.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Events(u16);

impl Events {
    /// Nothing.
    pub const NONE: Events = Events(0);
    /// The connection is open.
    pub const OPENED: Events = Events(1);
    /// More can be read, the low-water mark permitting.
    pub const READABLE: Events = Events(1 << 1);
    /// After a `send` that could not take everything: there is room again.
    pub const WRITABLE: Events = Events(1 << 2);
    /// The peer has finished: after what is readable, the end.
    pub const PEER_FINISHED: Events = Events(1 << 3);
    /// The connection is over; [`crate::Connection::end`] says why.
    pub const ENDED: Events = Events(1 << 4);
    /// Urgent data is ahead (RFC 9293 MUST-32).
    pub const URGENT: Events = Events(1 << 5);
    /// A soft error: retransmission passed R1, or ICMP said something (RFC 9293 MUST-47, SHLD-25).
    pub const TROUBLE: Events = Events(1 << 6);
    /// SO_LINGER's time is over, or everything was acknowledged before.
    pub const LINGER_OVER: Events = Events(1 << 7);

    /// Every bit of `other` is set.
    #[must_use]
    pub const fn contains(self, other: Events) -> bool {
        self.0 & other.0 == other.0
    }

    /// No bit is set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for Events {
    type Output = Events;
    fn bitor(self, other: Events) -> Events {
        Events(self.0 | other.0)
    }
}

impl BitOrAssign for Events {
    fn bitor_assign(&mut self, other: Events) {
        self.0 |= other.0;
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 8] =
            ["OPENED", "READABLE", "WRITABLE", "PEER_FINISHED", "ENDED", "URGENT", "TROUBLE", "LINGER_OVER"];
        let mut set = f.debug_set();
        for (bit, name) in NAMES.iter().enumerate() {
            if self.0 & (1 << bit) != 0 {
                set.entry(&format_args!("{name}"));
            }
        }
        set.finish()
    }
}
