//! Events: what the stack did, as values, in one stream that ladders, tests and logs read.
//! Owns: a ring of the latest events. Invariants: nothing is recorded, built or allocated unless the owner asked for events;
//! the ring never holds more than its bound, and says how many it lost.
//! Not here: counting (`counters`), which is always on.

use crate::counters::DropReason;
use crate::frame::InterfaceId;
use crate::ip::neighbor::NeighborState;
use crate::ip::prefix::Prefix;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use tcp::Instant;
use wire::ip::{Ecn, Protocol};

/// Which way a packet went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// To this host.
    Received,
    /// From this host.
    Sent,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A packet went no further.
    Dropped {
        /// Where it was.
        interface: InterfaceId,
        /// Why.
        reason: DropReason,
    },
    /// A TCP segment was accepted for processing, or handed out.
    Segment {
        /// Which way.
        direction: Direction,
        /// Source address and port.
        src: SocketAddr,
        /// Destination address and port.
        dst: SocketAddr,
        /// Its header.
        header: wire::tcp::Header,
        /// Octets of text.
        payload_len: u32,
        /// Its ECN mark.
        ecn: Ecn,
    },
    /// A UDP datagram was queued for a socket, or handed out.
    Datagram {
        /// Which way.
        direction: Direction,
        /// Source address and port.
        src: SocketAddr,
        /// Destination address and port.
        dst: SocketAddr,
        /// Octets of payload.
        payload_len: u32,
    },
    /// An ICMP message was accepted, or handed out.
    Icmp {
        /// Which way.
        direction: Direction,
        /// Source address.
        src: IpAddr,
        /// Destination address.
        dst: IpAddr,
        /// ICMP or ICMPv6.
        protocol: Protocol,
        /// The type field.
        kind: u8,
        /// The code field.
        code: u8,
    },
    /// A neighbour's entry changed its state; `None`: it was removed.
    Neighbor {
        /// On which link.
        interface: InterfaceId,
        /// Whose.
        addr: IpAddr,
        /// Its state now.
        state: Option<NeighborState>,
    },
    /// An address of ours was added, changed its state, or went.
    Address {
        /// On which interface.
        interface: InterfaceId,
        /// The address and its prefix.
        prefix: Prefix,
        /// What happened to it.
        change: AddressChange,
    },
    /// The path to a destination turned out to be narrower.
    PathMtu {
        /// The destination.
        dst: IpAddr,
        /// The largest packet that fits.
        mtu: u32,
    },
}

/// What happened to an address of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddressChange {
    /// Added; it may not be used before duplicate address detection is over (RFC 4862 5.4).
    Tentative,
    /// Usable.
    Preferred,
    /// Usable, but not for new conversations (RFC 4862 5.5.4).
    Deprecated,
    /// Another host has it (RFC 4862 5.4.5, RFC 5227 2.1.1).
    Duplicate,
    /// Gone.
    Removed,
}

/// The ring of events.
#[derive(Debug)]
pub struct Events {
    ring: VecDeque<(Instant, Event)>,
    events_max: usize,
    lost: u64,
}

impl Events {
    /// A ring of at most `events_max` events; zero switches events off.
    pub(crate) fn new(events_max: usize) -> Self {
        Self { ring: VecDeque::new(), events_max, lost: 0 }
    }

    /// Whether anyone asked for events.
    pub fn is_on(&self) -> bool {
        self.events_max > 0
    }

    /// Events that fell out of the ring before they were read.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// The oldest event not yet read.
    pub fn poll(&mut self) -> Option<(Instant, Event)> {
        self.ring.pop_front()
    }

    /// Records what `make` returns, which is not called when events are off.
    #[inline]
    pub(crate) fn record(&mut self, now: Instant, make: impl FnOnce() -> Event) {
        if self.events_max > 0 {
            self.push(now, make());
        }
    }

    #[cold]
    fn push(&mut self, now: Instant, event: Event) {
        if self.ring.len() == self.events_max {
            self.ring.pop_front();
            self.lost += 1;
        }
        self.ring.push_back((now, event));
    }
}

#[cfg(test)]
mod tests;
