//! Delayed ACK: when the acknowledgment of received data leaves, and in whose company.
//! Spec: RFC 9293 3.8.6.3 (SHLD-18, SHLD-19, MUST-40), RFC 5681 4.2; the quick start and the 40 ms are Linux's.
//! Owns: what is not acknowledged yet, and whether the program answers interactively.
//! Invariants: an ACK waits at most `delayed_ack`; more than one full-sized segment never waits. What arrives in order shares an
//! ACK with what arrives with it; what does not is owed one of its own.
//! Not here: what the ACK says (`ack`, `reassembly`), window updates without data (`window`).

use core::time::Duration;

use crate::config::TcpConfig;
use crate::tick::Tick;
use crate::time::Instant;

/// What arrived, as far as the timing of its ACK is concerned.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Arrival {
    /// Octets of text.
    pub(crate) len: u32,
    /// As large as the peer's segments get.
    pub(crate) full_sized: bool,
    /// Segments of the wire it stands for, if a device put several together; 0 counts as 1.
    pub(crate) segments: u32,
    pub(crate) out_of_order: bool,
    pub(crate) filled_hole: bool,
    pub(crate) fin: bool,
    /// Marked "congestion experienced".
    pub(crate) ce: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Pending {
    None,
    Waiting,
    Due,
    /// Due, and owed to one segment alone: it tells the peer of a loss, or that there was none.
    Each,
}

/// The idle form of the rule.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DelayedAck {
    since: Tick,
    last_data: Tick,
    unacked: u32,
    /// What the peer's full-sized segments seem to measure.
    full_size: u16,
    /// ACKs still sent at once; `INTERACTIVE` while the program answers by itself.
    quick: u8,
    pending: Pending,
}

/// As Linux's first guess at a peer's segment size: the default MSS.
const FULL_SIZE_AT_FIRST: u16 = 536;

/// Marks `quick`: the program answers what it reads (Linux's "pingpong"), so an ACK may wait for the answer.
const INTERACTIVE: u8 = u8::MAX;

impl DelayedAck {
    pub(crate) fn new(now: Instant, config: &TcpConfig) -> Self {
        DelayedAck {
            since: Tick::at(now),
            last_data: Tick::at(now),
            unacked: 0,
            full_size: FULL_SIZE_AT_FIRST,
            quick: config.quick_acks.min(INTERACTIVE - 1),
            pending: Pending::None,
        }
    }

    /// Text or FIN arrived and must be acknowledged.
    pub(crate) fn on_data(&mut self, now: Instant, arrival: &Arrival, config: &TcpConfig) {
        let each = arrival.len / arrival.segments.max(1);
        self.full_size = self.full_size.max(u16::try_from(each).unwrap_or(u16::MAX));
        // After a pause the peer is in slow start again: help it along, as Linux does.
        if self.last_data.elapsed(now) > config.rto_initial {
            self.quick = config.quick_acks.min(INTERACTIVE - 1);
        }
        self.last_data = Tick::at(now);
        self.unacked = self.unacked.saturating_add(arrival.len);
        // RFC 5681 4.2: at least every second full-sized segment, and at once when the order is disturbed or restored.
        let second = self.unacked > u32::from(self.full_size)
            || (arrival.full_sized && (arrival.segments > 1 || self.unacked > arrival.len));
        let at_once = second || arrival.out_of_order || arrival.filled_hole || arrival.fin || arrival.ce;
        let quick = self.quick > 0 && self.quick != INTERACTIVE;
        if arrival.out_of_order {
            self.ack_each();
        } else if at_once || quick {
            self.ack_now();
        } else if self.pending == Pending::None {
            self.pending = Pending::Waiting;
            self.since = Tick::at(now);
        }
    }

    /// Something wants an ACK that waits for nothing.
    pub(crate) const fn ack_now(&mut self) {
        if !self.owes_own() {
            self.pending = Pending::Due;
        }
    }

    /// A segment wants an ACK that no other shares (RFC 5681 3.2 counts them; RFC 2883 4 reports one duplicate in each).
    pub(crate) const fn ack_each(&mut self) {
        self.pending = Pending::Each;
    }

    /// An ACK should leave now.
    pub(crate) const fn is_due(&self) -> bool {
        matches!(self.pending, Pending::Due | Pending::Each)
    }

    /// An ACK should leave before the next segment is looked at.
    pub(crate) const fn owes_own(&self) -> bool {
        matches!(self.pending, Pending::Each)
    }

    /// An ACK is owed, now or later.
    pub(crate) const fn is_pending(&self) -> bool {
        !matches!(self.pending, Pending::None)
    }

    /// The connection is open: data is expected from now on.
    pub(crate) const fn on_open(&mut self, now: Instant) {
        self.last_data = Tick::at(now);
    }

    /// How long ago data last came.
    pub(crate) const fn since_data(&self, now: Instant) -> Duration {
        self.last_data.elapsed(now)
    }

    /// When the ACK that waits must go. A tick early rather than late.
    pub(crate) fn deadline(&self, now: Instant, config: &TcpConfig) -> Option<Instant> {
        (self.pending == Pending::Waiting).then(|| self.since.near(now) + self.delay(config))
    }

    fn delay(&self, config: &TcpConfig) -> Duration {
        // MUST-40: less than half a second whatever is configured.
        config.delayed_ack.min(Duration::from_millis(499))
    }

    /// The timer expired.
    pub(crate) fn on_timeout(&mut self, now: Instant, config: &TcpConfig) {
        if self.deadline(now, config).is_some_and(|deadline| deadline <= now) {
            self.pending = Pending::Due;
            // As Linux: the answer that the ACK waited for did not come, so the program is not answering interactively.
            if self.quick == INTERACTIVE {
                self.quick = 0;
            }
        }
    }

    /// An ACK left, alone or with data.
    pub(crate) const fn on_ack_sent(&mut self) {
        if self.quick != INTERACTIVE && !matches!(self.pending, Pending::None) {
            self.quick = self.quick.saturating_sub(1);
        }
        self.pending = Pending::None;
        self.unacked = 0;
    }

    /// Our own data left. Soon after the peer's it is an answer.
    pub(crate) fn on_data_sent(&mut self, now: Instant, config: &TcpConfig) {
        if self.unacked > 0 && self.last_data.elapsed(now) < self.delay(config) {
            self.quick = INTERACTIVE;
        }
    }

    /// TCP_QUICKACK.
    pub(crate) fn set_quick(&mut self, quick: bool, config: &TcpConfig) {
        if quick {
            self.quick = config.quick_acks.min(INTERACTIVE - 1);
            if self.pending == Pending::Waiting {
                self.pending = Pending::Due;
            }
        } else {
            self.quick = INTERACTIVE;
        }
    }
}

#[cfg(test)]
mod tests;
