//! What a connection is handed with every call: the time, the rules, and the memory it may use.
//! Spec: none; this is how a core without clock, allocator policy or device asks for them.
//! Owns: the pools of boxed working state, which idle connections do without.
//! Invariants: a pool keeps at most `POOL_MAX` boxes of a kind; what lies in it holds no byte of the budget.
//! Not here: the budget itself (`budget`), what one socket has set (`config`).

use crate::budget::Budget;
use crate::config::TcpConfig;
use crate::tcb::{Receiving, Sending};
use crate::time::Instant;

/// Boxes of one kind kept for the next connection that wakes; what is beyond goes back to the allocator.
const POOL_MAX: usize = 256;

/// The surroundings of one call.
pub struct Ctx<'a> {
    /// The moment of the call. Never earlier than that of the call before.
    pub now: Instant,
    /// The rules of the stack.
    pub config: &'a TcpConfig,
    /// The memory of the stack.
    pub memory: &'a mut Memory,
    /// The most text that one polled segment may carry when the device cuts it (TSO), in octets; 0: never more than one
    /// segment of the wire.
    pub tso_max: u32,
    /// Where the device does not cut: the most segments of the wire that one polled segment may stand for, which the caller cuts it
    /// into; what leaves is what as many calls would have given. 0 and 1: it does not cut.
    pub cut_max: u32,
}

impl<'a> Ctx<'a> {
    /// Surroundings without segmentation offload.
    pub fn new(now: Instant, config: &'a TcpConfig, memory: &'a mut Memory) -> Self {
        Ctx { now, config, memory, tso_max: 0, cut_max: 1 }
    }
}

/// The memory that all connections of a stack share: one budget of buffer bytes, and spare working state.
#[derive(Debug)]
pub struct Memory {
    /// The bytes of all buffers.
    pub budget: Budget,
    #[expect(clippy::vec_box, reason = "what is pooled is the box, which moves into a connection as it is")]
    sending: Vec<Box<Sending>>,
    #[expect(clippy::vec_box, reason = "as above")]
    receiving: Vec<Box<Receiving>>,
}

impl Memory {
    /// Memory whose buffers hold at most `limit` bytes together.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Memory { budget: Budget::new(limit), sending: Vec::new(), receiving: Vec::new() }
    }

    /// Sending state for a connection that wakes: new, whatever it was before.
    pub(crate) fn take_sending(&mut self) -> Box<Sending> {
        self.sending.pop().unwrap_or_default()
    }

    /// Takes sending state back from a connection that has nothing left to send.
    pub(crate) fn give_sending(&mut self, mut sending: Box<Sending>) {
        sending.reset(&mut self.budget);
        if self.sending.len() < POOL_MAX {
            self.sending.push(sending);
        }
    }

    /// Receiving state for a connection that has something to hold.
    pub(crate) fn take_receiving(&mut self) -> Box<Receiving> {
        self.receiving.pop().unwrap_or_default()
    }

    /// Takes receiving state back from a connection whose reader has taken everything.
    pub(crate) fn give_receiving(&mut self, mut receiving: Box<Receiving>) {
        receiving.reset(&mut self.budget);
        if self.receiving.len() < POOL_MAX {
            self.receiving.push(receiving);
        }
    }
}
