//! The record: frames as they were sent, for replays, counts and checks.
//! Owns: nothing beside the list. Invariants: a frame stands in it once, when it is sent, whether it arrives or not.
//! Not here: what is drawn (`picture`).

use super::{A, DELAY, Stage, Which};
use crate::frame::Seg;
use sim::link::End;
use std::time::Duration;

/// A frame that a host has sent.
pub(super) struct Sent {
    pub(super) at: Duration,
    pub(super) from: End,
    pub(super) frame: Vec<u8>,
    pub(super) lost: bool,
}

impl Stage {
    /// The longest packet of `from` that arrived since the router narrowed, or at all.
    #[must_use]
    pub fn largest_arrived(&self, from: End) -> usize {
        let sent = self
            .sent
            .iter()
            .filter(|sent| sent.from == from && !sent.lost && self.narrow_at.is_none_or(|at| sent.at >= at));
        sent.map(|sent| sent.frame.len()).max().unwrap_or(0)
    }

    /// When `from` sent segments that `which` means, from `since` on.
    #[must_use]
    pub fn times(&self, from: End, which: Which, since: Duration) -> Vec<Duration> {
        let sent = self.sent.iter().filter(|sent| sent.from == from && sent.at >= since);
        sent.filter(|sent| Seg::read(&sent.frame).is_some_and(|seg| which(&seg)))
            .map(|sent| sent.at)
            .collect()
    }

    /// How many those are.
    #[must_use]
    pub fn count_since(&self, from: End, which: Which, since: Duration) -> usize {
        self.times(from, which, since).len()
    }

    /// How long after `since` the last segment of the client's with text had arrived.
    #[must_use]
    pub fn arrived_after(&self, since: Duration) -> Duration {
        let last = self.times(A, Seg::is_data, since).last().copied().unwrap_or(since);
        (last + DELAY).saturating_sub(since)
    }

    /// The latest segment of `from` that `which` means, as it was sent.
    #[must_use]
    pub fn latest(&self, from: End, which: Which) -> Option<(Seg, Vec<u8>)> {
        self.sent
            .iter()
            .rev()
            .filter(|sent| sent.from == from)
            .filter_map(|sent| Some((Seg::read(&sent.frame)?, &sent.frame)))
            .find(|(seg, _)| which(seg))
            .map(|(seg, frame)| (seg, frame.clone()))
    }

    /// Segments of `from` so far that `which` means.
    #[must_use]
    pub fn count(&self, from: End, which: Which) -> usize {
        self.count_since(from, which, Duration::ZERO)
    }

    pub(super) fn mark_lost(&mut self) {
        if let Some(sent) = self.sent.last_mut() {
            sent.lost = true;
        }
    }
}
