//! The floor below as TCP sees it.
//! Owns: nothing. Why a trait: the host's rules can be tried against a cable, without addresses, routes and neighbours.
//! Not here: the implementation over IP (`floor`), how a packet finds its way (`ip`).

use crate::counters::Counters;
use crate::events::Events;
use crate::flow::FlowKey;
use crate::ready::ReadyQueue;
use std::net::{IpAddr, Ipv4Addr};
use tcp::{Instant, Settings, Slices};
use wire::ip::Ecn;
use wire::tcp::Header;

/// What a way takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// The largest packet, as far as is known.
    pub(crate) mtu: u32,
    /// The largest packet that the link takes.
    pub(crate) link_mtu: u32,
    /// The largest super-packet that the device cuts; 0: none.
    pub(crate) tso_max: u32,
}

/// What a socket says of the IP header of its segments (RFC 9293 3.9.2, MUST-48, MUST-49).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Marks {
    pub(crate) dscp: u8,
    /// Zero, which no packet leaves with: what the interface uses.
    hop_limit: u8,
}

impl Marks {
    /// What a socket has set.
    pub(crate) fn of(settings: &Settings) -> Self {
        Marks { dscp: settings.dscp, hop_limit: settings.hop_limit.unwrap_or(0) }
    }

    pub(crate) fn hop_limit(self) -> Option<u8> {
        (self.hop_limit != 0).then_some(self.hop_limit)
    }
}

/// One segment or super-segment on its way out.
#[derive(Debug, Clone)]
pub(crate) struct Packet<'a> {
    pub(crate) src: IpAddr,
    pub(crate) dst: IpAddr,
    pub(crate) ecn: Ecn,
    pub(crate) marks: Marks,
    pub(crate) header: Header,
    pub(crate) text: Slices<'a>,
    /// The most text that one packet of the wire carries; more makes it a super-segment.
    pub(crate) segment_size: u16,
}

/// Why a segment did not leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotSent {
    /// The sink is full.
    Blocked,
    /// The path takes no more than this.
    TooBig,
}

/// What TCP asks of the floor below.
pub(crate) trait Below {
    /// A way, good for the rest of the turn.
    type Path: Copy;

    /// The way to `dst`.
    fn path(&mut self, now: Instant, dst: IpAddr) -> Option<(Self::Path, Limits)>;

    /// The source for a new conversation with `dst`.
    fn choose_source(&self, dst: IpAddr) -> Option<IpAddr>;

    /// Whether a socket may be bound to `addr`.
    fn may_bind(&self, addr: IpAddr) -> bool;

    /// Whether packets to `dst` go to everybody on a link of ours.
    fn is_broadcast(&self, dst: IpAddr) -> bool {
        dst == IpAddr::V4(Ipv4Addr::BROADCAST)
    }

    /// How many packets, however large, would be taken now; at least that many.
    fn room(&mut self, path: &Self::Path) -> usize;

    /// Hands one out.
    fn emit(&mut self, now: Instant, path: &Self::Path, packet: &Packet<'_>) -> Result<(), NotSent>;

    /// Hands a super-segment out in pieces of its `segment_size`, if this floor is quicker at it than one by one: how many left, and how it
    /// ended.
    fn emit_cut(
        &mut self,
        _now: Instant,
        _path: &Self::Path,
        _packet: &Packet<'_>,
    ) -> Option<(usize, Result<(), NotSent>)> {
        None
    }

    /// A connection makes progress: whoever is on the way to its peer is reachable (RFC 4861 7.3.1).
    fn confirm(&mut self, _now: Instant, _flow: &FlowKey) {}

    fn counters(&mut self) -> &mut Counters;

    fn events(&mut self) -> &mut Events;

    fn ready(&mut self) -> &mut ReadyQueue;
}

/// Octets that the fixed headers take from a packet: IP without options and TCP without options.
pub(crate) fn fixed_headers(addr: IpAddr) -> u32 {
    let ip = if addr.is_ipv4() { wire::ipv4::HEADER_LEN } else { wire::ipv6::HEADER_LEN };
    (ip + wire::tcp::HEADER_LEN) as u32
}

/// The MSS of a packet size (RFC 9293 3.7.1, MUST-67: fixed headers only).
pub(crate) fn mss(mtu: u32, addr: IpAddr) -> u16 {
    u16::try_from(mtu.saturating_sub(fixed_headers(addr))).unwrap_or(u16::MAX)
}
