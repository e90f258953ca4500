//! Who has taken what: the counts of both directions, and what has to be sent again.
//!
//! Spec: XEP-0198 4 (acknowledgements), 5 (resumption).
//! Owns: the counts, what waits for a reader, and with resumption what was sent and is not acknowledged. Invariants: `taken`
//! never passes a stanza that was not released; what is to be said behind a stanza is said only once that one counts;
//! `acknowledged` never passes `sent`; where it is kept, what was sent is kept until it is acknowledged, and no longer.
//! Not here: the elements on the wire (`session`).

use std::collections::VecDeque;

/// Stanzas that may wait for their reader. Beyond it the exchange has ignored every acknowledgement it did not get.
const WAITING_MAX: usize = 100_000;

/// Octets that are kept to be sent again; whoever has more under way cannot resume. Sixteen of the longest stanzas.
const KEPT_MAX: usize = 16 * 1024 * 1024;

/// The counts of one session.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    sent: u64,
    acknowledged: u64,
    /// From `acknowledged + 1` on, where the session may be resumed.
    kept: Option<Kept>,
    /// Stanzas that came, and how many of them count as taken.
    received: u64,
    taken: u64,
    /// Those that came before the exchange began to count.
    uncounted: u64,
    /// From `taken + 1` on.
    waiting: VecDeque<Waiting>,
}

#[derive(Debug, Clone)]
struct Waiting {
    released: bool,
    reply: Option<Vec<u8>>,
}

/// What was sent and is not acknowledged.
#[derive(Debug, Clone, Default)]
struct Kept {
    stanzas: VecDeque<Vec<u8>>,
    octets: usize,
}

impl Counts {
    /// From here on what is sent is kept until it is acknowledged.
    pub(super) fn keep(&mut self) {
        debug_assert_eq!(self.sent, 0, "what was sent before could not be sent again");
        self.kept = Some(Kept::default());
    }

    /// The exchange does not resume.
    pub(super) fn keep_no_more(&mut self) {
        self.kept = None;
    }

    /// Whether all that is not acknowledged could be sent again.
    pub(super) fn is_kept(&self) -> bool {
        self.kept.is_some()
    }

    /// Whether something is not acknowledged.
    pub(super) fn is_waiting(&self) -> bool {
        self.acknowledged < self.sent
    }

    /// A stanza left; its serial.
    pub(super) fn on_sent(&mut self, stanza: &[u8]) -> u64 {
        self.sent += 1;
        if let Some(kept) = &mut self.kept {
            kept.octets += stanza.len();
            kept.stanzas.push_back(stanza.to_vec());
            if kept.octets > KEPT_MAX {
                self.kept = None;
            }
        }
        self.sent
    }

    /// The exchange says `h`; how many it has taken, if that is news. `Err` is what is wrong with it.
    pub(super) fn on_acknowledged(&mut self, h: u32) -> Result<Option<u64>, String> {
        // XEP-0198 4: h counts modulo 2^32.
        let news = h.wrapping_sub(self.acknowledged as u32);
        let acknowledged = self.acknowledged + u64::from(news);
        if acknowledged > self.sent {
            return Err(format!("{h} stanzas acknowledged of {}", self.sent));
        }
        self.acknowledged = acknowledged;
        if let Some(kept) = &mut self.kept {
            for _ in 0..news {
                kept.octets -= kept.stanzas.pop_front().map_or(0, |stanza| stanza.len());
            }
        }
        Ok((news > 0).then_some(acknowledged))
    }

    /// How many the exchange has taken.
    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// What has to be sent again when the session is resumed, in order.
    pub(super) fn unacknowledged(&self) -> impl Iterator<Item = &[u8]> {
        self.kept.iter().flat_map(|kept| &kept.stanzas).map(Vec::as_slice)
    }

    /// The connection is lost: what was not taken comes again, with the same serials.
    pub(super) fn rewind(&mut self) {
        self.waiting.clear();
        self.received = self.taken;
    }

    /// The exchange counts from here.
    pub(super) fn on_enabled(&mut self) {
        self.uncounted = self.received;
    }

    /// A stanza came: whether it counts at once or waits for its reader, and what is to be said once it counts. `None`:
    /// too many wait.
    pub(super) fn on_received(&mut self, released: bool, reply: Option<Vec<u8>>) -> Option<u64> {
        if self.waiting.len() >= WAITING_MAX {
            return None;
        }
        self.received += 1;
        self.waiting.push_back(Waiting { released, reply });
        Some(self.received)
    }

    /// The reader of this stanza has done with it.
    pub(super) fn release(&mut self, serial: u64) {
        let index = serial.checked_sub(self.taken + 1).and_then(|index| usize::try_from(index).ok());
        if let Some(waiting) = index.and_then(|index| self.waiting.get_mut(index)) {
            waiting.released = true;
        }
    }

    /// Counts what has been released, in order, and hands out what waited to be said. Whether the count has moved.
    pub(super) fn settle(&mut self, mut say: impl FnMut(Vec<u8>)) -> bool {
        let before = self.taken;
        while let Some(waiting) = self.waiting.pop_front_if(|waiting| waiting.released) {
            self.taken += 1;
            if let Some(reply) = waiting.reply {
                self.on_sent(&reply);
                say(reply);
            }
        }
        self.taken > before
    }

    /// What to answer to `<r/>`.
    pub(super) fn h(&self) -> u32 {
        self.taken.saturating_sub(self.uncounted) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h_goes_round_at_two_to_the_thirty_second() {
        let last = u64::from(u32::MAX);
        let mut counts = Counts { sent: last + 3, acknowledged: last - 1, ..Counts::default() };
        assert_eq!(counts.on_acknowledged(u32::MAX), Ok(Some(last)));
        assert_eq!(counts.on_acknowledged(1), Ok(Some(last + 2)));
        assert_eq!(counts.on_acknowledged(1), Ok(None));
        assert!(counts.on_acknowledged(3).is_err());
        assert_eq!(counts.on_acknowledged(2), Ok(Some(last + 3)));
    }

    #[test]
    fn a_count_that_goes_back_is_refused() {
        let mut counts = Counts { sent: 5, ..Counts::default() };
        assert_eq!(counts.on_acknowledged(4), Ok(Some(4)));
        assert!(counts.on_acknowledged(3).is_err());
    }

    #[test]
    fn what_came_before_the_count_is_not_in_it() {
        let mut counts = Counts::default();
        counts.on_received(false, None);
        counts.on_enabled();
        let second = counts.on_received(false, None).unwrap();
        assert_eq!(counts.h(), 0);
        counts.release(1);
        assert!(counts.settle(|_| {}));
        assert_eq!(counts.h(), 0);
        counts.release(second);
        assert!(counts.settle(|_| {}));
        assert_eq!(counts.h(), 1);
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut counts = Counts::default();
        for _ in 0..WAITING_MAX {
            assert!(counts.on_received(false, None).is_some());
        }
        assert_eq!(counts.on_received(false, None), None);
    }

    #[test]
    fn what_is_not_acknowledged_is_kept_and_what_is_not() {
        let mut counts = Counts::default();
        counts.keep();
        for stanza in [b"a", b"b", b"c"] {
            counts.on_sent(stanza);
        }
        assert_eq!(counts.on_acknowledged(2), Ok(Some(2)));
        assert_eq!(counts.unacknowledged().collect::<Vec<_>>(), [b"c"]);
        counts.on_sent(b"d");
        assert_eq!(counts.unacknowledged().collect::<Vec<_>>(), [b"c", b"d"]);
        assert_eq!(counts.on_acknowledged(4), Ok(Some(4)));
        assert!(counts.unacknowledged().next().is_none() && counts.is_kept());
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut counts = Counts::default();
        counts.keep();
        let long = vec![b'x'; KEPT_MAX / 2];
        counts.on_sent(&long);
        counts.on_sent(&long);
        assert!(counts.is_kept());
        counts.on_sent(b"y");
        assert!(!counts.is_kept());
        // The counts go on.
        assert_eq!(counts.on_acknowledged(3), Ok(Some(3)));
    }

    #[test]
    fn what_was_not_taken_comes_again_under_its_serial() {
        let mut counts = Counts::default();
        counts.on_received(true, None);
        counts.settle(|_| {});
        let second = counts.on_received(false, None);
        counts.on_received(true, Some(b"pong".to_vec()));
        counts.settle(|_| panic!("nothing is said ahead of what is not taken"));
        counts.rewind();
        assert_eq!(counts.h(), 1);
        assert_eq!(counts.on_received(false, None), second);
    }
}
