//! A queue of datagrams: what arrived and was not read, or was written and not sent.
//! Owns: the octets, in blocks of the stack's budget, and a record for each datagram. Borrows: the budget, for each call.
//! Invariants: octets and datagrams stay inside the queue's bounds; a datagram is queued whole or not at all; a warm queue does
//! not allocate; an empty one holds no block.
//! Not here: what a full queue means to its socket (`udp`).

use std::collections::VecDeque;
use tcp::{BLOCK_SIZE, Block, Budget, Purpose};

/// Records that an empty queue may keep room for; more are given back to the allocator.
const IDLE_RECORDS: usize = 256;

/// Why a datagram was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// The queue's own bound.
    Queue,
    /// The stack's budget.
    Budget,
}

/// The queue; `M` is what is known of each datagram besides its octets.
#[derive(Debug)]
pub(crate) struct DatagramQueue<M> {
    records: VecDeque<(M, usize)>,
    blocks: VecDeque<Block>,
    /// Where the front datagram starts in the first block.
    start: usize,
    /// Octets of all datagrams.
    len: usize,
    pub(crate) bytes_max: usize,
    datagrams_max: usize,
}

impl<M: Copy> DatagramQueue<M> {
    pub(crate) fn new(bytes_max: usize, datagrams_max: usize) -> Self {
        Self { records: VecDeque::new(), blocks: VecDeque::new(), start: 0, len: 0, bytes_max, datagrams_max }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Octets queued.
    pub(crate) fn bytes(&self) -> usize {
        self.len
    }

    /// Whether a datagram of `len` octets would fit the queue's own bounds. One always fits an empty queue.
    pub(crate) fn has_room(&self, len: usize) -> bool {
        self.records.is_empty()
            || (self.len + len <= self.bytes_max && self.records.len() < self.datagrams_max)
    }

    /// Queues a datagram.
    pub(crate) fn push(
        &mut self,
        budget: &mut Budget,
        purpose: Purpose,
        meta: M,
        data: &[u8],
    ) -> Result<(), Full> {
        if !self.has_room(data.len()) {
            return Err(Full::Queue);
        }
        let end = self.start + self.len;
        let needed = (end + data.len()).div_ceil(BLOCK_SIZE);
        let had = self.blocks.len();
        while self.blocks.len() < needed {
            match budget.take(purpose) {
                Some(block) => self.blocks.push_back(block),
                None => {
                    while self.blocks.len() > had {
                        budget.give(self.blocks.pop_back().expect("one more than there were"));
                    }
                    return Err(Full::Budget);
                }
            }
        }
        let (mut at, mut rest) = (end, data);
        while !rest.is_empty() {
            let within = at % BLOCK_SIZE;
            let now = rest.len().min(BLOCK_SIZE - within);
            self.blocks[at / BLOCK_SIZE][within..within + now].copy_from_slice(&rest[..now]);
            rest = &rest[now..];
            at += now;
        }
        self.len += data.len();
        self.records.push_back((meta, data.len()));
        Ok(())
    }

    /// The front datagram's record and length.
    pub(crate) fn front(&self) -> Option<(&M, usize)> {
        self.records.front().map(|(meta, len)| (meta, *len))
    }

    /// Copies the front datagram's octets from `offset` on to `out`, which must not reach past its end.
    pub(crate) fn copy_front(&self, offset: usize, out: &mut [u8]) {
        debug_assert!(self.records.front().is_some_and(|&(_, len)| offset + out.len() <= len));
        let (mut at, mut rest) = (self.start + offset, out);
        while !rest.is_empty() {
            let within = at % BLOCK_SIZE;
            let now = rest.len().min(BLOCK_SIZE - within);
            let (head, tail) = rest.split_at_mut(now);
            head.copy_from_slice(&self.blocks[at / BLOCK_SIZE][within..within + now]);
            rest = tail;
            at += now;
        }
    }

    /// Removes the front datagram.
    pub(crate) fn pop(&mut self, budget: &mut Budget) -> Option<M> {
        let (meta, len) = self.records.pop_front()?;
        self.start += len;
        self.len -= len;
        let done = if self.len == 0 { self.blocks.len() } else { self.start / BLOCK_SIZE };
        for block in self.blocks.drain(..done) {
            budget.give(block);
        }
        self.start = if self.len == 0 { 0 } else { self.start % BLOCK_SIZE };
        if self.records.is_empty() && self.records.capacity() > IDLE_RECORDS {
            self.records.shrink_to(IDLE_RECORDS);
        }
        Some(meta)
    }

    /// Removes all.
    pub(crate) fn clear(&mut self, budget: &mut Budget) {
        while self.pop(budget).is_some() {}
    }
}

#[cfg(test)]
mod tests;
