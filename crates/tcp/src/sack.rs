//! The scoreboard: which octets in flight the peer says it holds, and what follows from that.
//! Spec: RFC 2018 section 5; RFC 6675 section 4 (`Update`, `IsLost`); RFC 2883 (recognising D-SACK).
//! Owns: the SACKed ranges. Borrows: SND.UNA, SND.NXT, SMSS from the caller.
//! Invariants: ranges ascend, neither touch nor overlap, lie within SND.UNA..SND.NXT, never begin at SND.UNA, and are at
//! most [`MAX_RANGES`].
//! Not here: when each of them was sent (`retransmit`), what is lost (`rack`), what is sent again, and when (`recovery`).

use crate::seq::{SeqNum, SeqRange};

/// Ranges kept: 8 KiB at worst. A peer that reports more holes has the surplus sent again.
pub(crate) const MAX_RANGES: usize = 1024;

/// RFC 5681 and 6675: duplicate ACKs, or discontiguous SACKed ranges, that mean loss.
pub(crate) const DUP_THRESH: usize = 3;

/// What the SACK option of one ACK brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Update {
    /// Octets that were not SACKed before.
    pub(crate) newly_sacked: u32,
    /// The peer got these twice.
    pub(crate) dsack: Option<SeqRange>,
}

/// The SACKed ranges between SND.UNA and SND.NXT.
#[derive(Debug, Default)]
pub(crate) struct Scoreboard {
    ranges: Vec<SeqRange>,
}

impl Scoreboard {
    pub(crate) fn clear(&mut self) {
        self.ranges.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// SND.UNA is now `una`. True if the peer reneged.
    pub(crate) fn advance_to(&mut self, una: SeqNum) -> bool {
        let had = self.ranges.last().is_some_and(|last| last.end.after(una));
        self.advance(una);
        had && self.ranges.is_empty()
    }

    /// RFC 6675 `Update()`: `una` is the acknowledgment that came with the blocks, which are as received. `hear` is told of each
    /// range that was not SACKed before.
    pub(crate) fn update(
        &mut self,
        una: SeqNum,
        nxt: SeqNum,
        blocks: &[SeqRange],
        hear: &mut impl FnMut(SeqRange),
    ) -> Update {
        self.advance(una);
        let mut update = Update::default();
        let flight = nxt - una;
        for (index, block) in blocks.iter().enumerate() {
            if index == 0 && is_dsack(una, block, blocks.get(1)) {
                update.dsack = Some(*block);
                continue;
            }
            // Only what is in flight can have been received; what begins at SND.UNA would have been acknowledged.
            let sane = block.start.after(una) && block.end - una <= flight && block.end.after(block.start);
            if sane && block.start.before(nxt) {
                update.newly_sacked += self.insert(*block, hear);
            }
        }
        update
    }

    /// SND.UNA moved. If it stopped just where a SACKed range begins, the peer threw away what it had SACKed (RFC 2018
    /// section 8): nothing it said before can be relied upon.
    fn advance(&mut self, una: SeqNum) {
        let passed = self.ranges.iter().take_while(|range| range.end.at_or_before(una)).count();
        self.ranges.drain(..passed);
        if self.ranges.first().is_some_and(|first| first.start.at_or_before(una)) {
            self.ranges.clear();
        }
    }

    /// Adds a range; returns how many of its octets are new, and tells which.
    fn insert(&mut self, mut range: SeqRange, hear: &mut impl FnMut(SeqRange)) -> u32 {
        let first = self.ranges.partition_point(|held| held.end.before(range.start));
        let joined = self.ranges[first..].iter().take_while(|held| !held.start.after(range.end)).count();
        let after = first + joined;
        if first == after && self.ranges.len() == MAX_RANGES {
            return 0;
        }
        let (mut new, mut at) = (0, range.start);
        for held in &self.ranges[first..after] {
            if held.start.after(at) {
                new += held.start - at;
                hear(SeqRange::new(at, held.start));
            }
            at = at.later(held.end);
        }
        if range.end.after(at) {
            new += range.end - at;
            hear(SeqRange::new(at, range.end));
        }
        if first == after {
            self.ranges.insert(first, range);
            return new;
        }
        range.start = range.start.earlier(self.ranges[first].start);
        range.end = range.end.later(self.ranges[after - 1].end);
        self.ranges[first] = range;
        self.ranges.drain(first + 1..after);
        new
    }

    /// Whether the peer says it holds `seq`.
    #[cfg(test)]
    pub(crate) fn is_sacked(&self, seq: SeqNum) -> bool {
        let index = self.ranges.partition_point(|range| range.end.at_or_before(seq));
        self.ranges.get(index).is_some_and(|range| range.contains(seq))
    }

    /// RFC 6675 `IsLost()` holds for exactly the un-SACKed octets before this edge: above it lie DupThresh discontiguous
    /// ranges, or more than (DupThresh - 1) * SMSS SACKed octets. At most DupThresh ranges are looked at.
    pub(crate) fn lost_edge(&self, smss: u32) -> Option<SeqNum> {
        let mut octets = 0u32;
        for (count, range) in self.ranges.iter().rev().enumerate() {
            octets = octets.saturating_add(range.len());
            if count + 1 >= DUP_THRESH || octets > (DUP_THRESH as u32 - 1) * smss {
                return Some(range.start);
            }
        }
        None
    }

    /// Octets of `start..end` that are SACKed.
    #[cfg_attr(not(debug_assertions), allow(dead_code))]
    pub(crate) fn sacked(&self, start: SeqNum, end: SeqNum) -> u32 {
        let first = self.ranges.partition_point(|range| range.end.at_or_before(start));
        self.ranges[first..]
            .iter()
            .take_while(|range| range.start.before(end))
            .map(|range| range.end.earlier(end) - range.start.later(start))
            .sum()
    }
}

/// RFC 2883 section 4: the first block is a D-SACK if it lies below the acknowledgment or inside the second block.
fn is_dsack(una: SeqNum, first: &SeqRange, second: Option<&SeqRange>) -> bool {
    first.end.after(first.start)
        && (first.end.at_or_before(una)
            || second.is_some_and(|second| second.end.after(second.start) && second.covers(*first)))
}

#[cfg(test)]
mod tests;
