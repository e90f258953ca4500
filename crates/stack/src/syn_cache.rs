//! The SYN cache: handshakes that wait for the ACK of our SYN.
//! Spec: RFC 9293 3.10.7.4 for SYN-RECEIVED (the rules are `tcp::SynReceived`'s); RFC 4987 3.3.
//! Owns: the entries and their timers' names. Invariants: an entry is 64 bytes over IPv4 (88 over IPv6), timer name included;
//! together they weigh no more than `syn_backlog` entries of IPv4 do, however many SYNs come.
//! Not here: what happens when it is full (`syn_cookie`), finding an entry by its key (`demux`).

use crate::flow::{FlowKey, FlowKeyV4};
use crate::slab::Slab;
use crate::wheel::TimerId;
use tcp::SynReceived;

#[derive(Debug)]
struct Entry<K> {
    key: K,
    syn: SynReceived,
    timer: TimerId,
}

/// What an entry over IPv4 weighs, and what the bound is counted in.
const WEIGHT_V4: usize = 64;
/// What an entry over IPv6 weighs: its two addresses are 24 bytes longer.
const WEIGHT_V6: usize = 88;

/// Set in places of IPv6 entries.
const V6: u32 = 1 << 29;

/// The cache of one host.
#[derive(Debug)]
pub(crate) struct SynCache {
    v4: Slab<Entry<FlowKeyV4>>,
    v6: Slab<Entry<FlowKey>>,
    weight_max: usize,
}

impl SynCache {
    /// A cache for `backlog` entries of IPv4, or as many of IPv6 as weigh the same.
    pub(crate) const fn new(backlog: usize) -> Self {
        SynCache { v4: Slab::new(), v6: Slab::new(), weight_max: backlog.saturating_mul(WEIGHT_V4) }
    }

    /// Entries now.
    pub(crate) const fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// No entry for `key` would be taken.
    pub(crate) fn is_full_for(&self, key: &FlowKey) -> bool {
        let entry = if key.v4().is_some() { WEIGHT_V4 } else { WEIGHT_V6 };
        self.weight() + entry > self.weight_max
    }

    /// Bytes of all entries.
    pub(crate) const fn weight(&self) -> usize {
        self.v4.len() * WEIGHT_V4 + self.v6.len() * WEIGHT_V6
    }

    /// Adds an entry; returns its place.
    pub(crate) fn insert(&mut self, key: FlowKey, syn: SynReceived) -> u32 {
        match key.v4() {
            Some(key) => self.v4.insert(Entry { key, syn, timer: TimerId::IDLE }).0,
            None => self.v6.insert(Entry { key, syn, timer: TimerId::IDLE }).0 | V6,
        }
    }

    /// The key at a place.
    pub(crate) fn key(&self, place: u32) -> Option<FlowKey> {
        if place & V6 == 0 {
            self.v4.get(place).map(|entry| entry.key.widen())
        } else {
            self.v6.get(place & !V6).map(|entry| entry.key)
        }
    }

    /// The automaton and its timer.
    pub(crate) fn get_mut(&mut self, place: u32) -> Option<(&mut SynReceived, &mut TimerId)> {
        if place & V6 == 0 {
            self.v4.get_mut(place).map(|entry| (&mut entry.syn, &mut entry.timer))
        } else {
            self.v6.get_mut(place & !V6).map(|entry| (&mut entry.syn, &mut entry.timer))
        }
    }

    /// Takes an entry out. Its timer is the caller's to cancel.
    pub(crate) fn remove(&mut self, place: u32) -> Option<(SynReceived, TimerId)> {
        if place & V6 == 0 {
            self.v4.remove(place).map(|entry| (entry.syn, entry.timer))
        } else {
            self.v6.remove(place & !V6).map(|entry| (entry.syn, entry.timer))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Entry, WEIGHT_V4, WEIGHT_V6};
    use crate::flow::{FlowKey, FlowKeyV4};

    /// Issue: unfinished handshakes hold at most `syn_backlog` times 64 bytes. That a flood of either family stays within it is
    /// `tcp_host`'s to show, where SYNs are.
    #[test]
    fn an_entry_weighs_what_it_is_charged_for() {
        assert!(size_of::<Entry<FlowKeyV4>>() <= WEIGHT_V4, "{}", size_of::<Entry<FlowKeyV4>>());
        assert!(size_of::<Entry<FlowKey>>() <= WEIGHT_V6, "{}", size_of::<Entry<FlowKey>>());
    }
}
