//! The scoreboard: which octets in flight the peer says it holds, and what follows from that.
//! Spec: RFC 2018 section 5; RFC 6675 section 4 (`Update`, `IsLost`, `SetPipe`); RFC 2883 (recognising D-SACK).
//! Owns: the SACKed ranges. Borrows: SND.UNA, SND.NXT, SMSS from the caller.
//! Invariants: ranges ascend, neither touch nor overlap, lie within SND.UNA..SND.NXT, never begin at SND.UNA, and are at
//! most [`MAX_RANGES`].
//! Not here: what is sent again, and when (`recovery`).

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

    /// RFC 6675 `Update()`: `una` is the acknowledgment that came with the blocks, which are as received.
    pub(crate) fn update(&mut self, una: SeqNum, nxt: SeqNum, blocks: &[SeqRange]) -> Update {
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
                update.newly_sacked += self.insert(*block);
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

    /// Adds a range; returns how many of its octets are new.
    fn insert(&mut self, mut range: SeqRange) -> u32 {
        let first = self.ranges.partition_point(|held| held.end.before(range.start));
        let mut known = 0;
        let mut after = first;
        for held in &self.ranges[first..] {
            if held.start.after(range.end) {
                break;
            }
            known += held.end.earlier(range.end).distance(held.start.later(range.start)).max(0) as u32;
            after += 1;
        }
        let new = range.len() - known;
        if first == after {
            if self.ranges.len() == MAX_RANGES {
                return 0;
            }
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

    /// The start of the highest SACKed range: holes end there.
    pub(crate) fn last_hole_end(&self) -> Option<SeqNum> {
        self.ranges.last().map(|range| range.start)
    }

    /// The octet after the highest SACKed one.
    pub(crate) fn highest(&self) -> Option<SeqNum> {
        self.ranges.last().map(|range| range.end)
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

    /// Octets of `start..end` that are not SACKed.
    pub(crate) fn unsacked(&self, start: SeqNum, end: SeqNum) -> u32 {
        if !start.before(end) {
            return 0;
        }
        let first = self.ranges.partition_point(|range| range.end.at_or_before(start));
        let sacked: u32 = self.ranges[first..]
            .iter()
            .take_while(|range| range.start.before(end))
            .map(|range| range.end.earlier(end) - range.start.later(start))
            .sum();
        (end - start) - sacked
    }

    /// The first un-SACKed octets at or after `from` and before `limit`, at most `smss` of them.
    pub(crate) fn next_hole(&self, from: SeqNum, limit: SeqNum, smss: u32) -> Option<SeqRange> {
        let mut start = from;
        let index = self.ranges.partition_point(|range| range.end.at_or_before(from));
        let mut rest = self.ranges[index..].iter();
        let mut next = rest.next();
        if let Some(range) = next.filter(|range| range.start.at_or_before(from)) {
            start = range.end;
            next = rest.next();
        }
        if !start.before(limit) {
            return None;
        }
        let end = next.map_or(limit, |range| range.start.earlier(limit));
        Some(SeqRange::new(start, end.earlier(start + smss)))
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
