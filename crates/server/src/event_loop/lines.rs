//! The connections of one loop: where they sit, which have something to write, which are to be read again.
//! Owns: the slab, the lists, the pools of outboxes.
//! Invariants: a slot is in each list at most once; a name finds its own tenant or nobody; an outbox is with a connection
//! only while something waits in it.
//! Not here: what is done with them (`receive`, `flush`, `switch`, `closing`).

use session::{EndReason, Outbox};
use slab::Slab;

use crate::connection::Connection;
use crate::letter::{GENERATION_MASK, SessionName};

/// Outboxes kept ready a pool: more than a turn's writers are rare.
const POOL_MAX: usize = 512;
/// An outbox that held more than this is not kept.
const POOLED_OUTPUT_MAX: usize = 64 * 1024;

/// The connections of one loop.
pub(crate) struct Lines {
    this: u8,
    slots: Slab<Box<Connection>>,
    generation: u32,
    again: Vec<usize>,
    dirty: Vec<usize>,
    waiting: Vec<SessionName>,
    ended: Vec<(usize, EndReason)>,
    pools: Pools,
}

/// Empty outboxes.
#[allow(clippy::vec_box, reason = "an outbox goes to its connection and back as a pointer")]
pub(crate) struct Pools {
    stream: Vec<Box<Outbox>>,
    framed: Vec<Box<Outbox>>,
}

impl Pools {
    /// The connection's outbox; it gets one if it has none.
    pub(crate) fn outbox<'a>(&mut self, place: &'a mut Option<Box<Outbox>>, framed: bool) -> &'a mut Outbox {
        place.get_or_insert_with(|| {
            let pool = if framed { &mut self.framed } else { &mut self.stream };
            pool.pop().unwrap_or_else(|| Box::new(if framed { Outbox::framed() } else { Outbox::stream() }))
        })
    }

    /// Takes an empty outbox back. `most` is what it held.
    pub(crate) fn give_back(&mut self, outbox: Box<Outbox>, most: usize) {
        debug_assert!(outbox.is_empty());
        let pool = if outbox.is_framed() { &mut self.framed } else { &mut self.stream };
        if most <= POOLED_OUTPUT_MAX && pool.len() < POOL_MAX {
            pool.push(outbox);
        }
    }
}

impl Lines {
    pub(crate) fn new(this: u8) -> Self {
        Self {
            this,
            slots: Slab::new(),
            generation: 0,
            again: Vec::new(),
            dirty: Vec::new(),
            waiting: Vec::new(),
            ended: Vec::new(),
            pools: Pools { stream: Vec::new(), framed: Vec::new() },
        }
    }

    /// The slot that the next connection gets.
    pub(crate) fn vacant_slot(&self) -> usize {
        self.slots.vacant_key()
    }

    /// Seats a connection.
    pub(crate) fn insert(&mut self, mut connection: Box<Connection>) -> usize {
        self.generation = self.generation.wrapping_add(1) & GENERATION_MASK;
        connection.generation = self.generation;
        connection.flags.in_again = false;
        connection.flags.in_dirty = false;
        connection.armed = None;
        self.slots.insert(connection)
    }

    pub(crate) fn remove(&mut self, slot: usize) -> Option<Box<Connection>> {
        self.slots.try_remove(slot)
    }

    pub(crate) fn get(&self, slot: usize) -> Option<&Connection> {
        self.slots.get(slot).map(|connection| &**connection)
    }

    pub(crate) fn get_mut(&mut self, slot: usize) -> Option<&mut Connection> {
        self.slots.get_mut(slot).map(|connection| &mut **connection)
    }

    /// The connection and the pools, for those who write to it.
    pub(crate) fn with_pools(&mut self, slot: usize) -> Option<(&mut Connection, &mut Pools)> {
        Some((&mut **self.slots.get_mut(slot)?, &mut self.pools))
    }

    /// The slot of a session, if it is still that session's.
    pub(crate) fn find(&self, name: SessionName) -> Option<usize> {
        let slot = name.slot as usize;
        let connection = self.slots.get(slot)?;
        (name.event_loop == self.this && connection.generation == name.generation).then_some(slot)
    }

    pub(crate) fn name(&self, slot: usize) -> Option<SessionName> {
        let generation = self.slots.get(slot)?.generation;
        Some(SessionName { event_loop: self.this, generation, slot: slot as u32 })
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Connection> {
        self.slots.iter().map(|(_, connection)| &**connection)
    }

    /// Every slot that is taken now.
    pub(crate) fn slots(&self) -> Vec<usize> {
        self.slots.iter().map(|(slot, _)| slot).collect()
    }

    /// To be flushed, and its timer looked at, at the end of the turn.
    pub(crate) fn mark_dirty(&mut self, slot: usize) {
        if let Some(connection) = self.slots.get_mut(slot)
            && !std::mem::replace(&mut connection.flags.in_dirty, true)
        {
            self.dirty.push(slot);
        }
    }

    pub(crate) fn has_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    pub(crate) fn take_dirty(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.dirty)
    }

    pub(crate) fn give_back_dirty(&mut self, mut dirty: Vec<usize>) {
        dirty.append(&mut self.dirty);
        self.dirty = dirty;
    }

    /// To be read again, in this turn if it is not over and else in the next.
    pub(crate) fn mark_again(&mut self, slot: usize) {
        if let Some(connection) = self.slots.get_mut(slot)
            && !std::mem::replace(&mut connection.flags.in_again, true)
        {
            self.again.push(slot);
        }
    }

    pub(crate) fn has_again(&self) -> bool {
        !self.again.is_empty()
    }

    pub(crate) fn take_again(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.again)
    }

    pub(crate) fn give_back_again(&mut self, mut again: Vec<usize>) {
        again.append(&mut self.again);
        self.again = again;
    }

    /// A queue between threads is full: this connection is no longer read until there is room.
    pub(crate) fn wait_for_room(&mut self, slot: usize) {
        let Some(name) = self.name(slot) else { return };
        let connection = &mut self.slots[slot];
        if !std::mem::replace(&mut connection.flags.awaits_room, true) {
            self.waiting.push(name);
        }
    }

    /// There is room: those who waited are read again.
    pub(crate) fn resume_waiting(&mut self) {
        while let Some(name) = self.waiting.pop() {
            if let Some(slot) = self.find(name) {
                self.slots[slot].flags.awaits_room = false;
                self.mark_again(slot);
            }
        }
    }

    /// A conversation that is over, to be closed once whoever found out is done.
    pub(crate) fn end_later(&mut self, slot: usize, reason: EndReason) {
        self.ended.push((slot, reason));
    }

    pub(crate) fn take_ended(&mut self) -> Option<(usize, EndReason)> {
        self.ended.pop()
    }
}
