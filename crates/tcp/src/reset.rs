//! When a RST is sent, when one is believed, and how often a doubt is answered.
//! Spec: RFC 9293 3.5.2, 3.5.3, 3.10.7.1; RFC 5961 3.2 (RST), 4.2 (SYN), 5.2 (ACK), 7 (limits).
//! Owns: the time of the last challenge ACK of one connection.
//! Invariants: a RST is never answered by a RST; challenge ACKs are counted per connection only, so that nobody can read from
//! one connection's silence what happens on another (CVE-2016-5696).
//! Not here: what a reset does to the connection (`close`).

use core::time::Duration;

use wire::tcp::Flags;

use crate::segment::{Segment, SegmentOut};
use crate::seq::SeqNum;
use crate::tick::Tick;
use crate::time::Instant;

/// The answer to a segment for which there is no connection, if it deserves one (RFC 9293 3.10.7.1).
#[must_use]
pub fn make_reset(seg: &Segment<'_>) -> Option<SegmentOut> {
    if seg.flags.rst() {
        return None;
    }
    Some(if seg.flags.ack() {
        SegmentOut::bare(Flags::RST, seg.ack, SeqNum(0), 0)
    } else {
        SegmentOut::bare(Flags::RST | Flags::ACK, SeqNum(0), seg.end(), 0)
    })
}

/// What to do about a RST in a synchronized state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum RstVerdict {
    /// It stands exactly at RCV.NXT: reset.
    Believe,
    /// It stands elsewhere in the window: ask the peer, who will repeat it at the right place if it meant it.
    Challenge,
    /// It stands outside.
    Ignore,
}

/// RFC 5961 3.2; RFC 9293 3.10.7.4, second step.
pub(crate) fn judge_rst(seq: SeqNum, nxt: SeqNum, wnd: u32) -> RstVerdict {
    if seq == nxt {
        RstVerdict::Believe
    } else if seq.within(nxt, wnd) {
        RstVerdict::Challenge
    } else {
        RstVerdict::Ignore
    }
}

/// The limit of RFC 5961 7, per connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChallengeLimit {
    last: Tick,
}

impl ChallengeLimit {
    /// None was sent lately.
    pub(crate) const fn new(now: Instant) -> Self {
        ChallengeLimit { last: Tick::long_before(now) }
    }

    /// Whether one more may be sent now; if so it counts.
    pub(crate) fn allows(&mut self, now: Instant, interval: Duration) -> bool {
        if self.last.turned(now) < interval {
            return false;
        }
        self.last = Tick::at(now);
        true
    }
}

#[cfg(test)]
mod tests;
