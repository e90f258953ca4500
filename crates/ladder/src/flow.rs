//! Flows: which conversation a packet belongs to, and what is known of each.
//! Owns: the table. Invariants: at most [`FLOWS_MAX`] flows are kept, later ones are counted; numbers are given in the order of first
//! packets, from 1, and never change; a packet costs one lookup and allocates nothing, unless its flow is new.
//! Not here: files (`capture`), drawing (`ladder`).

use crate::analysis::{Analysis, Plain, Vantage};
use crate::course::{Course, Ending, Opening};
use crate::dissect::{Body, Dissected, Transport};
use crate::item::{Item, Packet, Side, Step};
use hashbrown::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Flows that are kept, at most: half a gigabyte.
pub const FLOWS_MAX: usize = 1 << 20;

/// Two ends in a fixed order, and the transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    addresses: [u128; 2],
    ports: [u16; 2],
    tcp: bool,
    v6: bool,
}

impl Key {
    /// The key, and whether the sender is its second end.
    #[inline]
    fn of(packet: &Dissected<'_>) -> (Key, bool) {
        let bits = |addr: IpAddr| match addr {
            IpAddr::V4(v4) => u128::from(v4.to_bits()),
            IpAddr::V6(v6) => v6.to_bits(),
        };
        let (src, dst) =
            ((bits(packet.src.ip()), packet.src.port()), (bits(packet.dst.ip()), packet.dst.port()));
        let swapped = src > dst;
        let (low, high) = if swapped { (dst, src) } else { (src, dst) };
        let key = Key {
            addresses: [low.0, high.0],
            ports: [low.1, high.1],
            tcp: packet.body.transport() == Transport::Tcp,
            v6: packet.src.is_ipv6(),
        };
        (key, swapped)
    }
}

/// A conversation.
#[derive(Debug, Clone)]
pub struct Flow {
    /// Its number, from 1.
    pub number: u64,
    /// TCP or UDP.
    pub transport: Transport,
    /// The one that opened, or seems to have, then the other.
    pub ends: [SocketAddr; 2],
    /// Packets sent by each.
    pub packets: [u64; 2],
    /// Octets of packets sent by each, link headers included.
    pub bytes: [u64; 2],
    /// Segments sent again.
    pub retransmissions: u64,
    /// The times of its first packet and of its latest.
    pub first: Duration,
    /// The latest.
    pub last: Duration,
    /// The left end is the second one of its key.
    left_is_high: bool,
    analysis: Analysis,
    course: Course,
}

impl Flow {
    /// How it opened; UDP does not open.
    #[must_use]
    pub fn opening(&self) -> Option<Opening> {
        (self.transport == Transport::Tcp).then(|| self.course.opening())
    }

    /// How it ended.
    #[must_use]
    pub fn ending(&self) -> Option<Ending> {
        (self.transport == Transport::Tcp).then(|| self.course.ending())
    }

    /// From its first packet to its latest.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.last.saturating_sub(self.first)
    }

    /// Nothing more is expected of it.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.course.is_over()
    }
}

/// All flows of a capture.
#[derive(Debug, Default)]
pub struct Flows {
    places: HashMap<Key, u32>,
    flows: Vec<Flow>,
    /// The latest: packets come in trains.
    latest: Option<(Key, u32)>,
    /// Packets of flows beyond [`FLOWS_MAX`].
    beyond: u64,
}

/// Where a packet belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Index into [`Flows::list`].
    pub index: usize,
    /// Who sent it.
    pub from: Side,
    /// It is the first of its flow.
    pub is_first: bool,
}

impl Flows {
    /// None yet.
    #[must_use]
    pub fn new() -> Flows {
        Flows::default()
    }

    /// The flows, by number.
    #[must_use]
    pub fn list(&self) -> &[Flow] {
        &self.flows
    }

    /// Packets of flows that found no place.
    #[must_use]
    pub fn beyond(&self) -> u64 {
        self.beyond
    }

    /// A packet, and how long it was. `None`: its flow is one too many.
    #[inline]
    pub fn observe(&mut self, time: Duration, packet: &Dissected<'_>, wire_len: u32) -> Option<Seen> {
        let (key, swapped) = Key::of(packet);
        let known = match self.latest {
            Some((latest, index)) if latest == key => Some(index),
            _ => self.places.get(&key).copied(),
        };
        let known = known.filter(|index| !self.begins_anew(*index, swapped, packet));
        let is_first = known.is_none();
        let index = match known {
            Some(index) => index,
            None => self.begin(time, packet, key, swapped)?,
        };
        self.latest = Some((key, index));
        let index = index as usize;
        let flow = &mut self.flows[index];
        let from = if swapped == flow.left_is_high { Side::Left } else { Side::Right };
        flow.packets[from.index()] += 1;
        flow.bytes[from.index()] += u64::from(wire_len);
        flow.last = flow.last.max(time);
        if let Body::Tcp { seq, ack, flags, window, len, .. } = packet.body {
            flow.course.on_segment(from, seq, ack, flags, len);
            let at = time.saturating_sub(flow.first);
            if !flow.analysis.on_next(from, at, &Plain { seq, ack, flags, window, len })
                && let Some(header) = packet.body.header()
            {
                flow.retransmissions +=
                    u64::from(flow.analysis.on_segment(from, at, &header, len).marks.is_repeat());
            }
        }
        Some(Seen { index, from, is_first })
    }

    /// A SYN with another number, after the end: the four-tuple lives again.
    #[inline]
    fn begins_anew(&self, index: u32, swapped: bool, packet: &Dissected<'_>) -> bool {
        let Body::Tcp { seq, flags, .. } = packet.body else { return false };
        if !flags.syn() || flags.ack() {
            return false;
        }
        let flow = &self.flows[index as usize];
        let from = if swapped == flow.left_is_high { Side::Left } else { Side::Right };
        flow.course.is_over() && !flow.course.has_opened_with(from, seq)
    }

    #[cold]
    fn begin(&mut self, time: Duration, packet: &Dissected<'_>, key: Key, swapped: bool) -> Option<u32> {
        if self.flows.len() >= FLOWS_MAX {
            self.beyond += 1;
            return None;
        }
        // The opener is on the left: it sends the SYN, gets the SYN+ACK, speaks first. In mid-stream it likely has the higher port.
        let sender_is_left = match packet.body {
            Body::Tcp { flags, .. } if flags.syn() => !flags.ack(),
            Body::Tcp { .. } => packet.src.port() >= packet.dst.port(),
            Body::Udp { .. } => true,
        };
        let ends = if sender_is_left { [packet.src, packet.dst] } else { [packet.dst, packet.src] };
        let index = self.flows.len() as u32;
        self.flows.push(Flow {
            number: u64::from(index) + 1,
            transport: packet.body.transport(),
            ends,
            packets: [0; 2],
            bytes: [0; 2],
            retransmissions: 0,
            first: time,
            last: time,
            left_is_high: swapped == sender_is_left,
            analysis: Analysis::new(Vantage::Capture),
            course: Course::default(),
        });
        self.places.insert(key, index);
        Some(index)
    }
}

/// The packet as an item of its flow's ladder, whose time begins with the flow.
#[must_use]
pub fn item(flow: &Flow, from: Side, time: Duration, packet: &Dissected<'_>) -> Item {
    let at = time.saturating_sub(flow.first);
    let packet = match packet.body {
        Body::Tcp { len, .. } => match packet.body.header() {
            Some(header) => Packet::Segment { header, len },
            None => Packet::Other("segment".to_owned()),
        },
        Body::Udp { len } => Packet::Datagram { len, says: None },
    };
    Item::Step(Step::seen(from, at, packet))
}

#[cfg(test)]
mod tests;
