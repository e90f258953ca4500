//! The byte budget: one purse for all buffers of a stack, paid out in blocks of one size and recycled.
//! Spec: none; RFC 9293 leaves buffer management to the implementation. Why blocks: a free list of equal pieces never
//! fragments, never re-copies a growing queue, and hands back the piece that is still warm in the cache.
//! Owns: the count of bytes out, the free list. Borrows nothing.
//! Invariants: bytes out never exceed the limit; only in-order data, which lets a reader make room, may use the last quarter.
//! Not here: who deserves a block (`buffer`, `reassembly`).

/// Octets in a block: one Ethernet-sized segment and a bit, and 32 of them make the largest TSO segment.
pub const BLOCK_SIZE: usize = 2048;

/// A piece of buffer.
pub type Block = Box<[u8; BLOCK_SIZE]>;

/// What a block is wanted for. Under pressure the kinds that can wait are refused first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// Received in order: refused only when nothing is left.
    InOrder,
    /// Received out of order: may be refused, the peer will send it again.
    Hole,
    /// The user's data to send: may be refused, `send` then takes less.
    Send,
}

/// The purse of one stack.
#[derive(Debug)]
pub struct Budget {
    limit: usize,
    used: usize,
    free: Vec<Block>,
    free_max: usize,
    refused: u64,
}

impl Budget {
    /// Free blocks kept for the next taker: 4 MiB. What is beyond goes back to the allocator.
    pub const FREE_MAX: usize = 2048;

    /// A purse of `limit` bytes. Nothing is allocated until it is asked for.
    pub const fn new(limit: usize) -> Self {
        Budget { limit, used: 0, free: Vec::new(), free_max: Self::FREE_MAX, refused: 0 }
    }

    /// Bytes paid out.
    pub const fn used(&self) -> usize {
        self.used
    }

    /// Bytes that may be out at once.
    pub const fn limit(&self) -> usize {
        self.limit
    }

    /// How often a block was refused.
    pub const fn refused(&self) -> u64 {
        self.refused
    }

    /// Whether only in-order data still gets blocks.
    pub const fn under_pressure(&self) -> bool {
        self.used + BLOCK_SIZE > self.limit - self.limit / 4
    }

    /// A block, or nothing if the purse is empty for this purpose. Its content is whatever its last user left.
    pub fn take(&mut self, purpose: Purpose) -> Option<Block> {
        let limit = match purpose {
            Purpose::InOrder => self.limit,
            Purpose::Hole | Purpose::Send => self.limit - self.limit / 4,
        };
        if self.used + BLOCK_SIZE > limit {
            self.refused += 1;
            return None;
        }
        self.used += BLOCK_SIZE;
        Some(self.free.pop().unwrap_or_else(|| Box::new([0; BLOCK_SIZE])))
    }

    /// Takes a block back.
    pub fn give(&mut self, block: Block) {
        debug_assert!(self.used >= BLOCK_SIZE, "a block comes back only if it went out");
        self.used -= BLOCK_SIZE;
        if self.free.len() < self.free_max {
            self.free.push(block);
        }
    }
}

#[cfg(test)]
mod tests;
