//! A site: a client's host, its cable to the exchange, and what passed there.
//! Owns: the host's stack, the link, the NAT box. Invariants: what was seen is noted only while frames are kept, and so often at most.
//! Not here: when it is its turn (`world`), who sits there (`client`).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use sim::fault::Schedule;
use sim::link::Link;
use sim::trace::Trace;
use stack::config::RouteConfig;
use stack::{InterfaceConfig, InterfaceId, Prefix, Secret, Stack};
use tcp::Instant;
use wire::ip::Protocol;
use wire::meta::Capabilities;
use wire::{ipv4, tcp as segment};

use crate::nat::Nat;

/// The interface of every host.
pub(crate) const INTERFACE: InterfaceId = InterfaceId(0);

/// A client's host and its link.
pub struct Site {
    pub(crate) address: Ipv4Addr,
    pub(crate) stack: Stack,
    /// The cable to the exchange: A is here, B is there.
    pub link: Link,
    pub(crate) nat: Option<Nat>,
    pub(crate) schedule: Option<Schedule>,
    /// What passed on the cable, outside of a NAT box if there is one.
    pub trace: Trace,
    /// The segments among it, as the host saw them: what it sent, and what arrived.
    pub(crate) seen: Vec<Seen>,
    pub(crate) clients: Vec<usize>,
}

impl Site {
    /// The host's own address.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The address that the exchange sees.
    pub fn outside(&self) -> Ipv4Addr {
        self.nat.as_ref().map_or(self.address, Nat::outside)
    }

    /// The host's stack.
    pub fn stack(&self) -> &Stack {
        &self.stack
    }

    /// Every segment that the host sent or got, in this order, while frames are kept.
    pub fn seen(&self) -> &[Seen] {
        &self.seen
    }

    /// Notes the state of this end after a segment, as many times as frames are kept at most.
    pub(crate) fn see(&mut self, frame: &[u8], sent: bool, frames_max: usize) {
        if self.seen.len() < frames_max
            && let Some([src, dst]) = segment_ends(frame)
        {
            let (local, remote) = if sent { (src, dst) } else { (dst, src) };
            let state = self.stack.tcp_state(local, remote).unwrap_or(tcp::State::Closed);
            self.seen.push(Seen { sent, state });
        }
    }
}

/// Source and destination of a segment.
fn segment_ends(frame: &[u8]) -> Option<[SocketAddr; 2]> {
    let packet = ipv4::Packet::new(frame).ok()?;
    let segment =
        (packet.protocol() == Protocol::TCP).then(|| segment::Packet::new(packet.payload()).ok())??;
    let end = |address: Ipv4Addr, port| SocketAddr::new(address.into(), port);
    Some([end(packet.src(), segment.src_port()), end(packet.dst(), segment.dst_port())])
}

/// A segment at one of its ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// This end sent it.
    pub sent: bool,
    /// The state of this end once it was sent, or dealt with.
    pub state: tcp::State,
}

/// A host with one interface and one address.
pub(crate) fn host(address: Ipv4Addr, seed: u64, now: Instant) -> Stack {
    let mut interface = InterfaceConfig::ip(Capabilities::default());
    interface.addresses.push(Prefix::new(IpAddr::V4(address), 24).expect("24 is a length"));
    let everywhere =
        RouteConfig { prefix: Prefix::DEFAULT_V4, gateway: None, interface: INTERFACE, metric: 0 };
    let config =
        stack::Config { interfaces: vec![interface], routes: vec![everywhere], ..stack::Config::default() };
    Stack::new(&config, &Secret::from_seed(seed), now).expect("one interface with one address")
}
