//! Reassembly: which octets arrived ahead of RCV.NXT, and what the SACK option reports of them.
//! Spec: RFC 9293 3.10.7.4 (seventh, "process the segment text"; SHLD-31: early segments are kept); RFC 2018 section 4
//! (what SACK reports, in which order); RFC 2883 (D-SACK).
//! Owns: the ranges. Borrows: the receive queue, where the octets lie at their place and are copied once.
//! Invariants: ranges ascend, neither touch nor overlap, all lie after RCV.NXT, and are at most [`MAX_RANGES`]; an octet
//! that was stored is never overwritten by a later copy, so nobody can change what a hole's neighbours already hold.
//! Not here: trimming to the window (`acceptability`), the order of FIN (`arrives`).

use crate::budget::{Budget, Purpose};
use crate::buffer::ReceiveQueue;
use crate::seq::{SackBlocks, SeqNum, SeqRange};

/// Ranges kept at once: 8 KiB at worst. A window of 64 MiB that loses one segment in 45 stays below it; beyond,
/// a segment that would open another range is refused and the peer sends it again.
pub(crate) const MAX_RANGES: usize = 1024;

/// What became of a segment's text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Stored {
    /// Octets that RCV.NXT moves by.
    pub(crate) advanced: u32,
    /// It began after RCV.NXT.
    pub(crate) out_of_order: bool,
    /// It came while there was a hole and moved RCV.NXT: RFC 5681 4.2 asks for an immediate ACK.
    pub(crate) filled_hole: bool,
    /// All of it was here already.
    pub(crate) duplicate: bool,
    /// Some of it could not be kept, for want of budget or ranges.
    pub(crate) refused: bool,
}

/// The record of what arrived early.
#[derive(Debug, Default)]
pub(crate) struct Reassembly {
    ranges: Vec<SeqRange>,
    /// Octets inside ranges that changed lately, latest first; each names the range it now lies in.
    recent: [Option<SeqNum>; SackBlocks::MAX],
    duplicate: Option<SeqRange>,
}

impl Reassembly {
    /// Forgets everything but keeps its room.
    pub(crate) fn reset(&mut self) {
        self.ranges.clear();
        self.recent = [None; SackBlocks::MAX];
        self.duplicate = None;
    }

    /// Whether nothing arrived early.
    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Whether an ACK has anything to report.
    #[inline]
    pub(crate) fn has_blocks(&self) -> bool {
        !self.ranges.is_empty() || self.duplicate.is_some()
    }

    /// Octets that arrived early.
    pub(crate) fn bytes(&self) -> u32 {
        self.ranges.iter().map(|range| range.len()).sum()
    }

    /// Takes the text of a segment that was already trimmed to the window, so that `seq` is at or after RCV.NXT.
    pub(crate) fn store(
        &mut self,
        queue: &mut ReceiveQueue,
        budget: &mut Budget,
        rcv_nxt: SeqNum,
        seq: SeqNum,
        data: &[u8],
    ) -> Stored {
        debug_assert!(seq.at_or_after(rcv_nxt), "trimmed to the window");
        if data.is_empty() || seq.before(rcv_nxt) {
            return Stored::default();
        }
        if seq == rcv_nxt {
            self.store_in_order(queue, budget, rcv_nxt, data)
        } else {
            self.store_early(queue, budget, rcv_nxt, seq, data)
        }
    }

    fn store_in_order(
        &mut self,
        queue: &mut ReceiveQueue,
        budget: &mut Budget,
        rcv_nxt: SeqNum,
        data: &[u8],
    ) -> Stored {
        if self.ranges.is_empty() {
            let done = queue.place(budget, Purpose::InOrder, 0, data);
            queue.commit(done);
            return Stored { advanced: done as u32, refused: done < data.len(), ..Stored::default() };
        }
        let end = rcv_nxt + data.len() as u32;
        self.note_overlap(SeqRange::new(rcv_nxt, end));
        let mut reach = self.fill(queue, budget, Purpose::InOrder, rcv_nxt, rcv_nxt, data);
        if reach.before(end) && budget.under_pressure() {
            // RFC 2018 section 8 lets a receiver renege: what is in order matters more than what came early.
            self.forget(queue, budget);
            reach = self.fill(queue, budget, Purpose::InOrder, rcv_nxt, rcv_nxt, data);
        }
        // Whatever touches what is now in order becomes in order too.
        let passed = self.ranges.iter().take_while(|range| range.start.at_or_before(reach)).count();
        if let Some(last) = self.ranges.drain(..passed).next_back() {
            reach = reach.later(last.end);
        }
        let advanced = reach - rcv_nxt;
        queue.commit(advanced as usize);
        for slot in &mut self.recent {
            *slot = slot.filter(|seq| seq.at_or_after(reach));
        }
        Stored { advanced, filled_hole: advanced > 0, refused: reach.before(end), ..Stored::default() }
    }

    fn store_early(
        &mut self,
        queue: &mut ReceiveQueue,
        budget: &mut Budget,
        rcv_nxt: SeqNum,
        seq: SeqNum,
        data: &[u8],
    ) -> Stored {
        let range = SeqRange::new(seq, seq + data.len() as u32);
        let first = self.first_ending_at_or_after(seq);
        let touches = self.ranges.get(first).is_some_and(|r| r.start.at_or_before(range.end));
        if touches && self.ranges[first].covers(range) {
            self.note_duplicate(range);
            self.touch(seq);
            return Stored { out_of_order: true, duplicate: true, ..Stored::default() };
        }
        if !touches && self.ranges.len() == MAX_RANGES {
            return Stored { out_of_order: true, refused: true, ..Stored::default() };
        }
        self.note_overlap(range);
        let reach = self.fill(queue, budget, Purpose::Hole, rcv_nxt, seq, data);
        if seq.before(reach) {
            self.insert(SeqRange::new(seq, reach));
            self.touch(seq);
        }
        Stored { out_of_order: true, refused: reach.before(range.end), ..Stored::default() }
    }

    /// Copies those octets of `data` that no range holds. Returns how far the text is now held without a gap.
    fn fill(
        &self,
        queue: &mut ReceiveQueue,
        budget: &mut Budget,
        purpose: Purpose,
        rcv_nxt: SeqNum,
        seq: SeqNum,
        data: &[u8],
    ) -> SeqNum {
        let end = seq + data.len() as u32;
        let mut at = seq;
        let mut next = self.first_ending_at_or_after(seq);
        while at.before(end) {
            let held = self.ranges.get(next).copied();
            let gap_end = held.map_or(end, |range| range.start.earlier(end));
            if at.before(gap_end) {
                let piece = &data[(at - seq) as usize..(gap_end - seq) as usize];
                let done = queue.place(budget, purpose, (at - rcv_nxt) as usize, piece);
                if done < piece.len() {
                    return at + done as u32;
                }
            }
            at = held.map_or(end, |range| range.end.later(at));
            next += 1;
        }
        end
    }

    /// The first range that ends at or after `seq`: the only one, or the first of several, that `seq` can join.
    fn first_ending_at_or_after(&self, seq: SeqNum) -> usize {
        self.ranges.partition_point(|range| range.end.before(seq))
    }

    /// Adds a range and melts it with all that it touches.
    fn insert(&mut self, mut range: SeqRange) {
        let first = self.first_ending_at_or_after(range.start);
        let after =
            first + self.ranges[first..].iter().take_while(|r| r.start.at_or_before(range.end)).count();
        if first == after {
            self.ranges.insert(first, range);
            return;
        }
        range.start = range.start.earlier(self.ranges[first].start);
        range.end = range.end.later(self.ranges[after - 1].end);
        self.ranges[first] = range;
        self.ranges.drain(first + 1..after);
    }

    fn touch(&mut self, seq: SeqNum) {
        let Some(range) = self.containing(seq) else { return };
        // The range moves to the front; older mentions of it go, so that four slots are four ranges.
        let mut kept = [None; SackBlocks::MAX];
        kept[0] = Some(seq);
        let others = self.recent.iter().flatten().filter(|seq| !range.contains(**seq));
        for (slot, seq) in kept[1..].iter_mut().zip(others) {
            *slot = Some(*seq);
        }
        self.recent = kept;
    }

    fn containing(&self, seq: SeqNum) -> Option<SeqRange> {
        let index = self.ranges.partition_point(|range| range.end.at_or_before(seq));
        self.ranges.get(index).copied().filter(|range| range.contains(seq))
    }

    /// Part of `range` may be here already: RFC 2883 4.2 reports the first part that is.
    fn note_overlap(&mut self, range: SeqRange) {
        let index = self.ranges.partition_point(|held| held.end.at_or_before(range.start));
        if let Some(held) = self.ranges.get(index).filter(|held| held.overlaps(range)) {
            let part = SeqRange::new(held.start.later(range.start), held.end.earlier(range.end));
            self.note_duplicate(part);
        }
    }

    /// These octets arrived though they were here already; the next ACK says so (RFC 2883 section 4).
    pub(crate) fn note_duplicate(&mut self, range: SeqRange) {
        if !range.is_empty() {
            self.duplicate = Some(range);
        }
    }

    /// The blocks for the next ACK, at most `max`: a duplicate first, once (RFC 2883 section 4); then the range that the
    /// latest segment lies in; then those reported before, latest first (RFC 2018 section 4).
    pub(crate) fn sack_blocks(&mut self, max: usize) -> SackBlocks {
        let max = max.min(SackBlocks::MAX);
        let mut blocks = SackBlocks::new();
        if max == 0 {
            return blocks;
        }
        if let Some(duplicate) = self.duplicate.take() {
            blocks.push(duplicate);
            // RFC 2883 4.1.2: the block after the D-SACK is the range that the duplicate lies in.
            if max > 1
                && let Some(range) = self.containing(duplicate.start)
            {
                blocks.push(range);
            }
        }
        let reported = self.recent.iter().flatten().filter_map(|seq| self.containing(*seq));
        for range in reported {
            let known = blocks.as_slice().contains(&range);
            if blocks.as_slice().len() < max && !known {
                blocks.push(range);
            }
        }
        // Fewer are remembered than there are once some have melted together: the highest stand in.
        for range in self.ranges.iter().rev().take(2 * SackBlocks::MAX) {
            if blocks.as_slice().len() < max && !blocks.as_slice().contains(range) {
                blocks.push(*range);
            }
        }
        blocks
    }

    /// Drops all that arrived early (RFC 2018 section 8), so that its blocks serve data in order.
    pub(crate) fn forget(&mut self, queue: &mut ReceiveQueue, budget: &mut Budget) {
        self.reset();
        queue.forget_early(budget);
    }
}

#[cfg(test)]
mod tests;
