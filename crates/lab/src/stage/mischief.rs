//! Mischief: what a scenario does to frames on their way: some get lost, some are late, some are forged, some are too big for a router.
//! Owns: what is in store for which segment. Invariants: a segment is counted once, by the first fate that means it.
//! Not here: what a link does by chance (`sim::link`).

use super::record::Sent;
use super::{A, B, Flying, Stage, Which};
use crate::frame::{self, Seg};
use ladder::mark::Mark;
use sim::link::End;
use std::time::Duration;

/// A segment that something happens to.
pub(super) struct Fate {
    pub(super) from: End,
    pub(super) which: Which,
    /// How many to let by first.
    pub(super) skip: usize,
    pub(super) count: usize,
    pub(super) does: Does,
}

/// What happens to it.
#[derive(Clone, Copy)]
pub(super) enum Does {
    Lose,
    Hold(Duration),
}

impl Stage {
    /// A router on the way forwards nothing of the client's that is longer than `mtu`, and tells it so.
    pub fn narrow(&mut self, mtu: u16) {
        self.narrow = Some(mtu);
    }

    /// The next `count` segments of `from` that `which` means get lost, after `skip` that do not.
    pub fn lose(&mut self, from: End, which: Which, skip: usize, count: usize) {
        self.fates.push(Fate { from, which, skip, count, does: Does::Lose });
    }

    /// The next segment of `from` that `which` means is under way for so much longer, after `skip` that are not.
    pub fn hold(&mut self, from: End, which: Which, skip: usize, longer: Duration) {
        self.fates.push(Fate { from, which, skip, count: 1, does: Does::Hold(longer) });
    }

    /// Somebody puts a frame on the wire in `from`'s name.
    pub fn inject(&mut self, from: End, frame: Vec<u8>) {
        self.put_in(from, frame, Mark::Forged);
    }

    /// An old frame of `from`'s arrives, which was late on its way.
    pub fn inject_old(&mut self, from: End, frame: Vec<u8>) {
        self.put_in(from, frame, Mark::OldDuplicate);
    }

    pub(super) fn put_in(&mut self, from: End, frame: Vec<u8>, what: Mark) {
        let arrives = self.now + self.link.conditions(from).delay;
        self.record_packet(from, &frame, true);
        let item = self.draw(from, &frame, None, Some(what));
        self.flying.push(Flying { from, frame: frame.clone(), item });
        self.link.inject(arrives, from, frame);
    }

    /// The router that is too narrow drops a packet and says so, at half of the way.
    pub(super) fn refuse(&mut self, frame: Vec<u8>) {
        let Some(mtu) = self.narrow else { return };
        self.narrow_at.get_or_insert(self.elapsed());
        let why = self.lang.pick("dropped by a router: too big", "被途中路由器丢弃：太大").to_owned();
        self.draw(A, &frame, Some(why), None);
        let error = frame::too_big(&frame, mtu);
        let arrives = self.now + self.link.conditions(B).delay;
        let item = self.draw(B, &error, None, Some(Mark::FromRouter));
        self.sent.push(Sent { at: self.elapsed(), from: A, frame, lost: true });
        self.flying.push(Flying { from: B, frame: error.clone(), item });
        self.link.inject(arrives, B, error);
    }

    /// What a scenario has in store for a frame.
    pub(super) fn fate(&mut self, from: End, frame: &[u8]) -> Option<Does> {
        let seg = Seg::read(frame)?;
        let index = self.fates.iter().position(|fate| fate.from == from && (fate.which)(&seg))?;
        let fate = &mut self.fates[index];
        if fate.skip > 0 {
            fate.skip -= 1;
            return None;
        }
        fate.count -= 1;
        let does = fate.does;
        if fate.count == 0 {
            self.fates.remove(index);
        }
        Some(does)
    }
}
