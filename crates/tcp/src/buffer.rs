//! Byte queues for both directions, made of blocks from the stack's [`Budget`].
//! Spec: RFC 9293 3.8 ("Data Communication"); buffering itself is left to the implementation.
//! Units: offsets and lengths in octets; offset 0 is the oldest octet held.
//! Owns: the blocks of one queue. Borrows: the budget, for every call that may take or give a block.
//! Invariants: an empty queue holds no block; a queue never re-copies what it holds in order to grow.
//! Not here: sequence numbers (`reassembly`, `retransmit`), how much may be held (`window`, the socket's options).

use std::collections::VecDeque;

use crate::budget::{BLOCK_SIZE, Block, Budget, Purpose};

/// Slots a cleared queue keeps, so that a connection that wakes again does not allocate.
const SLOTS_KEPT: usize = 512;

/// Blocks in a row, some of them missing: the octet at offset `n` lies `head + n` octets into it.
#[derive(Debug, Default)]
struct Chain {
    blocks: VecDeque<Option<Block>>,
    head: usize,
    present: usize,
}

impl Chain {
    /// Copies as much of `data` as blocks can be had for; returns how much that was.
    fn place(&mut self, budget: &mut Budget, purpose: Purpose, offset: usize, data: &[u8]) -> usize {
        let mut done = 0;
        while done < data.len() {
            let at = self.head + offset + done;
            let (index, within) = (at / BLOCK_SIZE, at % BLOCK_SIZE);
            if !self.obtain(budget, purpose, index) {
                break;
            }
            let Some(Some(block)) = self.blocks.get_mut(index) else { break };
            let len = (data.len() - done).min(BLOCK_SIZE - within);
            block[within..within + len].copy_from_slice(&data[done..done + len]);
            done += len;
        }
        done
    }

    fn obtain(&mut self, budget: &mut Budget, purpose: Purpose, index: usize) -> bool {
        if matches!(self.blocks.get(index), Some(Some(_))) {
            return true;
        }
        let Some(block) = budget.take(purpose) else { return false };
        match self.blocks.get_mut(index) {
            Some(slot) => *slot = Some(block),
            None => {
                while self.blocks.len() < index {
                    self.blocks.push_back(None);
                }
                self.blocks.push_back(Some(block));
            }
        }
        self.present += 1;
        true
    }

    /// Drops the first `count` octets.
    fn advance(&mut self, budget: &mut Budget, count: usize) {
        self.head += count;
        while self.head >= BLOCK_SIZE && !self.blocks.is_empty() {
            self.head -= BLOCK_SIZE;
            if let Some(Some(block)) = self.blocks.pop_front() {
                self.present -= 1;
                budget.give(block);
            }
        }
    }

    /// Keeps the first `count` octets.
    fn truncate(&mut self, budget: &mut Budget, count: usize) {
        let keep = if count == 0 { 0 } else { (self.head + count).div_ceil(BLOCK_SIZE) };
        while self.blocks.len() > keep {
            if let Some(Some(block)) = self.blocks.pop_back() {
                self.present -= 1;
                budget.give(block);
            }
        }
        if count == 0 {
            self.head = 0;
            if self.blocks.capacity() > SLOTS_KEPT {
                self.blocks.shrink_to(SLOTS_KEPT);
            }
        }
    }

    fn slices(&self, offset: usize, len: usize) -> Slices<'_> {
        Slices { blocks: Some(&self.blocks), at: self.head + offset, left: len }
    }
}

/// A range of a queue, piece by piece.
#[derive(Clone, Debug, Default)]
pub struct Slices<'a> {
    blocks: Option<&'a VecDeque<Option<Block>>>,
    at: usize,
    left: usize,
}

impl Slices<'_> {
    /// Octets not yet given out.
    #[allow(clippy::len_without_is_empty)] // `left == 0` is what `next` answers.
    pub const fn len(&self) -> usize {
        self.left
    }

    /// Gives the first `len` octets out as a range of their own.
    #[inline]
    #[must_use]
    pub fn split_front(&mut self, len: usize) -> Self {
        let len = len.min(self.left);
        let front = Slices { left: len, ..self.clone() };
        self.at += len;
        self.left -= len;
        front
    }

    /// Copies everything that is left into the front of `out`; returns how much fitted.
    #[inline]
    pub fn copy_to(self, out: &mut [u8]) -> usize {
        let mut done = 0;
        for piece in self {
            let len = piece.len().min(out.len() - done);
            out[done..done + len].copy_from_slice(&piece[..len]);
            done += len;
            if done == out.len() {
                break;
            }
        }
        done
    }
}

impl<'a> Iterator for Slices<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.left == 0 {
            return None;
        }
        let (index, within) = (self.at / BLOCK_SIZE, self.at % BLOCK_SIZE);
        let block = self.blocks?.get(index)?.as_ref()?;
        let len = self.left.min(BLOCK_SIZE - within);
        self.at += len;
        self.left -= len;
        Some(&block[within..within + len])
    }
}

/// What the user gave and the peer has not acknowledged, from SND.UNA on.
#[derive(Debug, Default)]
pub(crate) struct SendQueue {
    chain: Chain,
    len: usize,
}

impl SendQueue {
    /// Empty; allocates nothing.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Octets held.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is held.
    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of blocks charged to the budget.
    #[cfg(test)]
    pub(crate) const fn held(&self) -> usize {
        self.chain.present * BLOCK_SIZE
    }

    /// Appends as much of `data` as keeps the queue within `limit` and the budget; returns how much that was.
    pub(crate) fn write(&mut self, budget: &mut Budget, data: &[u8], limit: usize) -> usize {
        let room = limit.saturating_sub(self.len).min(data.len());
        let done = self.chain.place(budget, Purpose::Send, self.len, &data[..room]);
        self.len += done;
        done
    }

    /// `len` octets from `offset` past SND.UNA.
    pub(crate) fn slices(&self, offset: usize, len: usize) -> Slices<'_> {
        debug_assert!(offset + len <= self.len, "the segment lies inside the queue");
        self.chain.slices(offset, len.min(self.len.saturating_sub(offset)))
    }

    /// Drops the `count` oldest octets: the peer has them.
    pub(crate) fn acknowledge(&mut self, budget: &mut Budget, count: usize) {
        let count = count.min(self.len);
        self.len -= count;
        if self.len == 0 {
            self.chain.truncate(budget, 0);
        } else {
            self.chain.advance(budget, count);
        }
    }

    /// Drops everything.
    pub(crate) fn clear(&mut self, budget: &mut Budget) {
        self.len = 0;
        self.chain.truncate(budget, 0);
    }
}

/// What the peer sent and the user has not read: first the octets in order, up to RCV.NXT; behind them, at their
/// place, those that arrived early. Which places are filled only `reassembly` knows.
#[derive(Debug, Default)]
pub(crate) struct ReceiveQueue {
    chain: Chain,
    readable: usize,
    span: usize,
}

impl ReceiveQueue {
    /// Octets in order, ready to be read.
    pub(crate) const fn readable(&self) -> usize {
        self.readable
    }

    /// Octets of sequence space from the first readable one to the last one placed, holes included.
    pub(crate) const fn span(&self) -> usize {
        self.span
    }

    /// Bytes of blocks charged to the budget.
    #[cfg(test)]
    pub(crate) const fn held(&self) -> usize {
        self.chain.present * BLOCK_SIZE
    }

    /// Copies up to `out.len()` octets out and drops them.
    pub(crate) fn read(&mut self, budget: &mut Budget, out: &mut [u8]) -> usize {
        let done = self.peek().copy_to(out);
        self.consume(budget, done);
        done
    }

    /// Everything readable, without copying.
    pub(crate) fn peek(&self) -> Slices<'_> {
        self.chain.slices(0, self.readable)
    }

    /// Drops the `count` oldest readable octets.
    pub(crate) fn consume(&mut self, budget: &mut Budget, count: usize) {
        let count = count.min(self.readable);
        self.readable -= count;
        self.span -= count;
        if self.span == 0 {
            self.chain.truncate(budget, 0);
        } else {
            self.chain.advance(budget, count);
        }
    }

    /// Drops everything.
    pub(crate) fn clear(&mut self, budget: &mut Budget) {
        self.readable = 0;
        self.span = 0;
        self.chain.truncate(budget, 0);
    }

    /// Puts `data` at `offset` past RCV.NXT; returns how many octets there was budget for.
    pub(crate) fn place(
        &mut self,
        budget: &mut Budget,
        purpose: Purpose,
        offset: usize,
        data: &[u8],
    ) -> usize {
        let at = self.readable + offset;
        let done = self.chain.place(budget, purpose, at, data);
        if done > 0 {
            self.span = self.span.max(at + done);
        }
        done
    }

    /// The next `count` octets past RCV.NXT are all in place: they become readable.
    pub(crate) fn commit(&mut self, count: usize) {
        debug_assert!(self.readable + count <= self.span, "what becomes readable was placed");
        self.readable += count;
    }

    /// Drops all that is not readable yet.
    pub(crate) fn forget_early(&mut self, budget: &mut Budget) {
        self.span = self.readable;
        self.chain.truncate(budget, self.readable);
    }
}

#[cfg(test)]
mod tests;
