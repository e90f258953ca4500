//! Listeners: which one a SYN is for, and what waits for accept().
//! Spec: RFC 9293 3.9.1.1 (passive OPEN), 3.10.7.2; the choice among several is Linux's (`compute_score`).
//! Owns: the index by port; each listener's accept queue. Borrows: the hash of the flow, to choose within a group.
//! Invariants: an accept queue holds at most `backlog + 1` connections, as in Linux.
//! Not here: bind rules (`port`), the handshakes themselves (`syn_cache`).

use crate::port::{Scope, Sharing};
use crate::ready::Readiness;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use tcp::Settings;

/// A listening socket.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) scope: Scope,
    /// Zero: every port that has no listener of its own.
    pub(crate) port: u16,
    pub(crate) sharing: Sharing,
    pub(crate) settings: Arc<Settings>,
    /// What its owner has not been told yet.
    pub(crate) pending: Readiness,
    backlog: u32,
    queue: VecDeque<u32>,
}

impl Listener {
    pub(crate) fn new(
        scope: Scope,
        port: u16,
        sharing: Sharing,
        settings: Arc<Settings>,
        backlog: u32,
    ) -> Self {
        Listener { scope, port, sharing, settings, pending: Readiness::NONE, backlog, queue: VecDeque::new() }
    }

    /// listen() again changes the bound.
    pub(crate) fn set_backlog(&mut self, backlog: u32) {
        self.backlog = backlog;
    }

    /// No more connections wait than the program asked for, and one (Linux's `sk_acceptq_is_full`).
    pub(crate) fn is_full(&self) -> bool {
        self.queue.len() > self.backlog as usize
    }

    /// A connection is open and waits.
    pub(crate) fn push(&mut self, connection: u32) {
        self.queue.push_back(connection);
    }

    /// accept().
    pub(crate) fn pop(&mut self) -> Option<u32> {
        self.queue.pop_front()
    }

    /// A connection that waited is gone (reset before it was accepted). Linux keeps it to be accepted; so do we, but a
    /// listener that closes must forget the rest.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = u32> + '_ {
        self.queue.drain(..)
    }

    /// Connections that wait.
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }
}

/// Listeners by port.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    /// Only we put listeners here, so that no stranger can choose what lies close together.
    by_port: BTreeMap<u16, Vec<(Scope, u32)>>,
}

impl Listeners {
    /// A socket begins to listen.
    pub(crate) fn add(&mut self, scope: Scope, port: u16, place: u32) {
        self.by_port.entry(port).or_default().push((scope, place));
    }

    /// A socket listens no longer.
    pub(crate) fn remove(&mut self, port: u16, place: u32) {
        if let Some(all) = self.by_port.get_mut(&port) {
            all.retain(|(_, other)| *other != place);
            if all.is_empty() {
                self.by_port.remove(&port);
            }
        }
    }

    /// The listener for packets to `addr` and `port`: the most precise address wins, then any port. Within a group that shares its
    /// port (SO_REUSEPORT) the flow's hash decides, so that one peer's SYNs meet the same listener.
    pub(crate) fn find(&self, addr: IpAddr, port: u16, flow_hash: u64) -> Option<u32> {
        self.find_at(port, addr, flow_hash).or_else(|| self.find_at(0, addr, flow_hash))
    }

    fn find_at(&self, port: u16, addr: IpAddr, flow_hash: u64) -> Option<u32> {
        let all = self.by_port.get(&port)?;
        // Most often there is one.
        if let [(scope, place)] = all[..] {
            return scope.covers(addr).then_some(place);
        }
        let best = all.iter().filter_map(|(scope, _)| score(*scope, addr)).max()?;
        let group = || all.iter().filter(|(scope, _)| score(*scope, addr) == Some(best));
        let count = group().count();
        group().nth((flow_hash % count as u64) as usize).map(|(_, place)| *place)
    }
}

/// How precisely a scope means an address.
fn score(scope: Scope, addr: IpAddr) -> Option<u8> {
    scope.covers(addr).then_some(match scope {
        Scope::One(_) => 3,
        Scope::AnyV4 | Scope::AnyV6 => 2,
        Scope::Any => 1,
    })
}

#[cfg(test)]
mod tests {
    use super::{Listener, Listeners};
    use crate::port::{Scope, Sharing};
    use std::net::IpAddr;
    use std::sync::Arc;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn the_most_precise_listener_wins() {
        let mut listeners = Listeners::default();
        listeners.add(Scope::Any, 0, 1);
        listeners.add(Scope::Any, 80, 2);
        listeners.add(Scope::AnyV4, 80, 3);
        listeners.add(Scope::One(ip("10.0.0.1")), 80, 4);
        let table = [
            ("10.0.0.1", 80, Some(4)),
            ("10.0.0.2", 80, Some(3)),
            ("fe80::1", 80, Some(2)),
            ("10.0.0.1", 81, Some(1)),
        ];
        for (addr, port, want) in table {
            assert_eq!(listeners.find(ip(addr), port, 0), want, "{addr}:{port}");
        }
        listeners.remove(0, 1);
        assert_eq!(listeners.find(ip("10.0.0.1"), 81, 0), None);
    }

    #[test]
    fn a_group_shares_by_flow() {
        let mut listeners = Listeners::default();
        (0..4).for_each(|place| listeners.add(Scope::AnyV4, 80, place));
        let found: Vec<_> = (0..8).map(|hash| listeners.find(ip("10.0.0.1"), 80, hash)).collect();
        assert_eq!(found[..4], [Some(0), Some(1), Some(2), Some(3)]);
        assert_eq!(found[..4], found[4..]);
    }

    #[test]
    fn the_backlog_holds_one_more_than_it_says() {
        let mut listener = Listener::new(Scope::AnyV4, 80, Sharing::default(), Arc::default(), 1);
        listener.push(5);
        assert!(!listener.is_full());
        listener.push(6);
        assert!(listener.is_full());
        assert_eq!((listener.pop(), listener.pop(), listener.pop()), (Some(5), Some(6), None));
        listener.set_backlog(0);
        assert!(!listener.is_full());
    }
}
