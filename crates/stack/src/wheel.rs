//! The timing wheel: when to look at a record again.
//! Spec: none; the hierarchical wheel of Varghese and Lauck (1987), scheme 7.
//! Units: ticks of one millisecond, rounded up, so that no timer fires early.
//! Owns: one node of 16 bytes for each timer that runs. A record without a timer holds four bytes, its empty [`TimerId`].
//! Invariants: setting, moving and cancelling cost O(1); a timer that is moved later stays where it is and is moved when its old
//! time comes (the record is asked again anyway), which is what makes a restart for every ACK cheap.
//! Not here: what the timer is for (`tcp::Connection::next_deadline` knows).

use std::time::Duration;
use tcp::Instant;

/// Slots of a level.
const SLOTS: usize = 64;
const SLOT_BITS: u32 = 6;
/// Levels: 64^5 ms are twelve days. What lies beyond waits in the last slot and is looked at again.
const LEVELS: usize = 5;
const HORIZON: u64 = 1 << (SLOT_BITS * LEVELS as u32);

const NONE: u32 = u32::MAX;

/// A record's timer, if it runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TimerId(u32);

impl TimerId {
    /// No timer runs.
    pub(crate) const IDLE: TimerId = TimerId(NONE);

    pub(crate) fn is_idle(self) -> bool {
        self == Self::IDLE
    }
}

#[derive(Clone, Copy, Debug)]
struct Node {
    previous: u32,
    next: u32,
    owner: u32,
    /// The tick it fires at, modulo 2^32: ticks in the wheel lie within twelve days of each other.
    tick: u32,
}

/// Nodes a chunk (16 KiB): growing allocates, and moves nothing.
const CHUNK: usize = 1024;

/// The nodes, by number.
#[derive(Debug, Default)]
struct Nodes {
    chunks: Vec<Vec<Node>>,
}

impl Nodes {
    fn get(&self, index: u32) -> Option<&Node> {
        self.chunks.get(index as usize / CHUNK)?.get(index as usize % CHUNK)
    }

    fn get_mut(&mut self, index: u32) -> Option<&mut Node> {
        self.chunks.get_mut(index as usize / CHUNK)?.get_mut(index as usize % CHUNK)
    }

    fn push(&mut self, node: Node) -> u32 {
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            // The first chunk grows as it must, so that a small host stays small.
            let capacity = if self.chunks.is_empty() { 0 } else { CHUNK };
            self.chunks.push(Vec::with_capacity(capacity));
        }
        let before = (self.chunks.len() - 1) * CHUNK;
        let chunk = self.chunks.last_mut().expect("pushed if there was none");
        chunk.push(node);
        (before + chunk.len() - 1) as u32
    }
}

impl std::ops::Index<u32> for Nodes {
    type Output = Node;

    fn index(&self, index: u32) -> &Node {
        &self.chunks[index as usize / CHUNK][index as usize % CHUNK]
    }
}

impl std::ops::IndexMut<u32> for Nodes {
    fn index_mut(&mut self, index: u32) -> &mut Node {
        &mut self.chunks[index as usize / CHUNK][index as usize % CHUNK]
    }
}

/// All timers of one kind of record.
#[derive(Debug)]
pub(crate) struct Wheel {
    nodes: Nodes,
    free: u32,
    slots: Box<[[u32; SLOTS]; LEVELS]>,
    /// A bit for each slot that is not empty.
    occupied: [u64; LEVELS],
    /// Every timer before this tick has fired.
    now: u64,
    len: usize,
}

fn tick_of(at: Instant) -> u64 {
    at.as_nanos().div_ceil(1_000_000)
}

impl Wheel {
    pub(crate) fn new(now: Instant) -> Self {
        Wheel {
            nodes: Nodes::default(),
            free: NONE,
            slots: Box::new([[NONE; SLOTS]; LEVELS]),
            occupied: [0; LEVELS],
            now: now.as_millis(),
            len: 0,
        }
    }

    /// Timers that run.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Sees to it that `owner` is looked at no later than `at`, or not at all.
    #[inline]
    pub(crate) fn set(&mut self, id: &mut TimerId, owner: u32, at: Option<Instant>) {
        if at.is_some() || !id.is_idle() {
            self.move_to(id, owner, at);
        }
    }

    fn move_to(&mut self, id: &mut TimerId, owner: u32, at: Option<Instant>) {
        let Some(at) = at else {
            self.cancel(id);
            return;
        };
        let tick = tick_of(at).clamp(self.now, self.now + HORIZON - 1);
        if let Some(node) = self.nodes.get(id.0) {
            // Moved later: it fires at its old time and is set again then.
            if self.widen(node.tick) <= tick {
                return;
            }
            self.unlink(id.0);
        } else {
            *id = TimerId(self.allocate(owner));
            self.len += 1;
        }
        self.nodes[id.0].tick = tick as u32;
        self.link(id.0, tick);
    }

    /// Stops the timer, if it runs.
    pub(crate) fn cancel(&mut self, id: &mut TimerId) {
        if id.is_idle() {
            return;
        }
        self.unlink(id.0);
        self.release(id.0);
        *id = TimerId::IDLE;
    }

    /// The next owner whose time has come. Its timer no longer runs: the caller sets its [`TimerId`] to idle.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<u32> {
        let target = now.as_millis();
        loop {
            let slot = (self.now % SLOTS as u64) as usize;
            let index = self.slots[0][slot];
            if index != NONE && self.now <= target {
                let owner = self.nodes[index].owner;
                self.unlink(index);
                self.release(index);
                return Some(owner);
            }
            if self.now >= target {
                return None;
            }
            self.step(target);
        }
    }

    /// Moves to the next tick at which anything can happen, at most to `target`.
    fn step(&mut self, target: u64) {
        let next = self.next_tick().map_or(target, |tick| tick.min(target)).max(self.now + 1);
        self.now = next;
        // Entering a new turn of a level opens its next slot: what waits there is spread over the levels below.
        for level in (1..LEVELS).rev() {
            let shift = SLOT_BITS * level as u32;
            if next & ((1 << shift) - 1) == 0 {
                self.cascade(level, ((next >> shift) % SLOTS as u64) as usize);
            }
        }
    }

    fn cascade(&mut self, level: usize, slot: usize) {
        let mut index = core::mem::replace(&mut self.slots[level][slot], NONE);
        self.occupied[level] &= !(1 << slot);
        while index != NONE {
            let Node { next, tick, .. } = self.nodes[index];
            self.link(index, self.widen(tick).max(self.now));
            index = next;
        }
    }

    /// The next tick at which a timer fires or a slot of a higher level opens; never later than the first of them.
    fn next_tick(&self) -> Option<u64> {
        (0..LEVELS)
            .filter_map(|level| {
                let shift = SLOT_BITS * level as u32;
                let current = self.now >> shift;
                // Level 0 holds this tick too; the others hold later slots only.
                let from = if level == 0 { current } else { current + 1 };
                let turned = self.occupied[level].rotate_right((from % SLOTS as u64) as u32);
                (turned != 0).then(|| (from + u64::from(turned.trailing_zeros())) << shift)
            })
            .min()
    }

    /// When to poll again: the time of the next timer, or earlier.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.next_tick().map(|tick| Instant::ZERO + Duration::from_millis(tick))
    }

    fn widen(&self, tick: u32) -> u64 {
        let ahead = tick.wrapping_sub(self.now as u32) as i32;
        self.now.saturating_add_signed(i64::from(ahead))
    }

    fn place(&self, tick: u64) -> (usize, usize) {
        // The highest digit in which the tick differs from now names the level.
        let differs = (tick ^ self.now).max(1);
        let level = ((63 - differs.leading_zeros()) / SLOT_BITS) as usize;
        let level = level.min(LEVELS - 1);
        (level, ((tick >> (SLOT_BITS * level as u32)) % SLOTS as u64) as usize)
    }

    fn link(&mut self, index: u32, tick: u64) {
        let (level, slot) = self.place(tick);
        let head = core::mem::replace(&mut self.slots[level][slot], index);
        self.occupied[level] |= 1 << slot;
        if let Some(head) = self.nodes.get_mut(head) {
            head.previous = index;
        }
        let node = &mut self.nodes[index];
        node.next = head;
        // A head's `previous` names its slot, so that it can be taken out without a search.
        node.previous = NONE - 1 - (level * SLOTS + slot) as u32;
    }

    fn unlink(&mut self, index: u32) {
        let Node { previous, next, .. } = self.nodes[index];
        if let Some(next) = self.nodes.get_mut(next) {
            next.previous = previous;
        }
        if let Some(previous) = self.nodes.get_mut(previous) {
            previous.next = next;
        } else {
            let at = (NONE - 1 - previous) as usize;
            let (level, slot) = (at / SLOTS, at % SLOTS);
            self.slots[level][slot] = next;
            if next == NONE {
                self.occupied[level] &= !(1 << slot);
            }
        }
    }

    fn allocate(&mut self, owner: u32) -> u32 {
        let node = Node { previous: NONE, next: NONE, owner, tick: 0 };
        if self.free == NONE {
            return self.nodes.push(node);
        }
        let index = self.free;
        self.free = self.nodes[index].next;
        self.nodes[index] = node;
        index
    }

    fn release(&mut self, index: u32) {
        self.nodes[index].next = self.free;
        self.free = index;
        self.len -= 1;
    }
}

#[cfg(test)]
mod tests;
