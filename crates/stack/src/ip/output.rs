//! Output: from a transport's octets to a frame in the device's memory.
//! Spec: RFC 1122 3.3.1 (next hop), RFC 8200 3, RFC 6864 (identification), RFC 1191 and RFC 8201 (path MTU), RFC 1112 6.1 and
//!       RFC 2464 7 (groups on Ethernet), RFC 919 (broadcast).
//! Owns: nothing; works on `Ip`'s rooms. Borrows: the sinks, for the length of one call.
//! Invariants: a packet that fits leaves in one copy, straight into the sink; nothing larger than its path leaves whole unless
//! the device cuts it; a packet whose neighbour is unknown waits in that neighbour's queue and nowhere else.
//! Not here: who may send next (`stack`), reading packets (`input`).

use crate::counters::{Counters, DropReason};
use crate::events::{Event, Events};
use crate::frame::{ChecksumOffload, Gso, GsoKind, InterfaceId, Medium, Outlets, TxMeta};
use crate::ip::neighbor::table::Waiting;
use crate::ip::queue::ControlPacket;
use crate::ip::{Fragmentation, Ip};
use std::net::{IpAddr, Ipv4Addr};
use tcp::Instant;
use wire::ethernet::{self, EtherType, MacAddr};
use wire::ip::{Ecn, Protocol, pseudo};
use wire::{ipv4, ipv6, udp};

/// What a transport says of a packet it sends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outgoing {
    pub(crate) src: IpAddr,
    pub(crate) dst: IpAddr,
    pub(crate) protocol: Protocol,
    pub(crate) ecn: Ecn,
    pub(crate) dscp: u8,
    /// `None`: what the interface uses.
    pub(crate) hop_limit: Option<u8>,
    pub(crate) fragmentation: Fragmentation,
    /// Through this interface only.
    pub(crate) interface: Option<InterfaceId>,
}

impl Outgoing {
    /// A packet with nothing special about it.
    pub(crate) fn new(src: IpAddr, dst: IpAddr, protocol: Protocol) -> Self {
        Self {
            src,
            dst,
            protocol,
            ecn: Ecn::NotEct,
            dscp: 0,
            hop_limit: None,
            fragmentation: Fragmentation::Allow,
            interface: None,
        }
    }
}

/// A super-packet's pieces.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pieces {
    /// Payload octets of each but the last.
    pub(crate) size: u16,
    /// The transport header, in octets.
    pub(crate) header_len: u16,
}

/// The way to a destination, good for the rest of a turn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Path {
    pub(crate) interface: InterfaceId,
    pub(super) link: Link,
    /// The largest packet, as far as is known.
    pub(crate) mtu: u32,
    /// The largest packet that the link takes.
    pub(crate) link_mtu: u32,
    /// The largest TCP super-packet that the device cuts, as an IP packet; 0: none.
    pub(crate) tso_max: u32,
    /// The largest UDP super-packet that the device cuts; 0: none.
    pub(crate) uso_max: u32,
    pub(super) tx_checksum: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Link {
    /// No link header.
    Bare,
    Ethernet(MacAddr),
    /// The next hop's link address is not known yet.
    Unresolved(IpAddr),
    Loopback,
}

/// Why a packet did not leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SendError {
    /// The sink (or the queue that stands in for it) is full: try again in the next turn.
    Blocked,
    /// Larger than the path, which takes this much, and not to be cut.
    TooBig(u32),
}

/// No interface leads there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoRoute;

/// The MTU of loopback: the largest IPv4 packet (Linux's is 65,536, which no IPv4 packet fills).
pub(crate) const LOOPBACK_MTU: u32 = 65_535;

impl Ip {
    /// The way to `dst`.
    pub(crate) fn path(
        &mut self,
        now: Instant,
        dst: IpAddr,
        interface: Option<InterfaceId>,
    ) -> Result<Path, NoRoute> {
        if self.is_ours(dst) || interface == Some(InterfaceId::LOOPBACK) {
            return Ok(Path {
                interface: InterfaceId::LOOPBACK,
                link: Link::Loopback,
                mtu: LOOPBACK_MTU,
                link_mtu: LOOPBACK_MTU,
                tso_max: 0,
                uso_max: 0,
                tx_checksum: true,
            });
        }
        let (id, next_hop) = if needs_no_neighbor(dst) {
            (self.outgoing_interface(dst, interface).ok_or(NoRoute)?, dst)
        } else {
            let route = self.routes.lookup(dst, interface).ok_or(NoRoute)?;
            (route.interface, route.gateway.unwrap_or(dst))
        };
        let outgoing = self.interface(id).ok_or(NoRoute)?;
        let capabilities = outgoing.config.capabilities;
        let link_mtu = outgoing.mtu(dst.is_ipv6()).min(65_535 + if dst.is_ipv6() { 40 } else { 0 });
        let broadcasts = || matches!(next_hop, IpAddr::V4(a) if outgoing.is_broadcast(a));
        let link = match outgoing.medium() {
            Medium::Ip => Link::Bare,
            Medium::Ethernet if dst.is_multicast() => Link::Ethernet(MacAddr::from_multicast(dst)),
            Medium::Ethernet if broadcasts() => Link::Ethernet(MacAddr::BROADCAST),
            Medium::Ethernet => match self.neighbors.resolve(now, id, next_hop) {
                Some(mac) => Link::Ethernet(mac),
                None => Link::Unresolved(next_hop),
            },
        };
        Ok(Path {
            interface: id,
            link,
            mtu: self.path_mtus.get(now, dst, link_mtu),
            link_mtu,
            tso_max: capabilities.tso_max,
            uso_max: capabilities.uso_max,
            tx_checksum: capabilities.tx_checksum,
        })
    }

    /// The interface that packets to `dst` leave through.
    pub(crate) fn outgoing_interface(&self, dst: IpAddr, bound: Option<InterfaceId>) -> Option<InterfaceId> {
        if let Some(id) = bound {
            return self.interface(id).map(|interface| interface.id);
        }
        if let Some(route) = self.routes.lookup(dst, None) {
            return Some(route.interface);
        }
        // Groups and the limited broadcast address need no route (RFC 1112 6.1): the first interface of that family.
        needs_no_neighbor(dst).then(|| {
            let speaks = |i: &&super::Interface| {
                i.addresses.iter().any(|a| a.prefix.addr().is_ipv4() == dst.is_ipv4())
            };
            self.interfaces.iter().find(speaks).or(self.interfaces.first()).map(|interface| interface.id)
        })?
    }

    /// How many frames along `path` would be taken now; at least that many.
    pub(crate) fn room(&self, outlets: &mut dyn Outlets, path: &Path) -> usize {
        match path.link {
            Link::Loopback => usize::from(self.loopback.has_room(path.mtu as usize)),
            Link::Unresolved(_) => 1,
            Link::Bare | Link::Ethernet(_) => {
                let longest = path.mtu.max(path.tso_max).max(path.uso_max) as usize + ethernet::HEADER_LEN;
                outlets.outlet(path.interface).map_or(0, |sink| sink.room_for(longest))
            }
        }
    }

    /// Sends one packet: `fill` writes the transport's `len` octets, header first, checksum zero, which is computed here.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn emit(
        &mut self,
        now: Instant,
        outlets: &mut dyn Outlets,
        counters: &mut Counters,
        path: &Path,
        out: &Outgoing,
        len: usize,
        pieces: Option<Pieces>,
        fill: impl FnOnce(&mut [u8]),
    ) -> Result<(), SendError> {
        let header_len = ip_header_len(out.dst);
        let total = header_len + len;
        let mtu = if out.fragmentation == Fragmentation::Probe { path.link_mtu } else { path.mtu };
        if pieces.is_none() && total > mtu as usize {
            if out.fragmentation != Fragmentation::Allow {
                return Err(SendError::TooBig(mtu));
            }
            return self.emit_fragments(now, counters, path, out, len, fill);
        }
        let hop_limit = self.hop_limit(path.interface, out);
        match path.link {
            Link::Bare | Link::Ethernet(_) => {
                if out.dst.is_multicast() || matches!(path.link, Link::Ethernet(MacAddr::BROADCAST)) {
                    return self.emit_to_group(outlets, counters, path, out, len, hop_limit, fill);
                }
                let link_len = if matches!(path.link, Link::Bare) { 0 } else { ethernet::HEADER_LEN };
                let sink = outlets.outlet(path.interface).ok_or(SendError::Blocked)?;
                let frame = sink.reserve(link_len + total).ok_or(SendError::Blocked)?;
                let frame = &mut frame[..link_len + total];
                if link_len > 0 {
                    let src_mac = self.interface(path.interface).map_or(MacAddr::UNSPECIFIED, |i| i.mac());
                    write_link_header(path.link, src_mac, out.dst, frame);
                }
                let packet = &mut frame[link_len..];
                write_ip_header(out, hop_limit, len, packet);
                fill(&mut packet[header_len..]);
                let checksum =
                    finish_transport(out, &mut packet[header_len..], path.tx_checksum || pieces.is_some());
                let meta = TxMeta {
                    checksum: checksum
                        .map(|offset| ChecksumOffload { start: (link_len + header_len) as u16, offset }),
                    gso: pieces.map(|pieces| Gso {
                        kind: gso_kind(out),
                        size: pieces.size,
                        header_len: (link_len + header_len) as u16 + pieces.header_len,
                    }),
                    queue: 0,
                };
                sink.commit(link_len + total, meta);
                counters.frames_sent += 1;
                Ok(())
            }
            Link::Loopback => {
                if !self.loopback.has_room(total) {
                    return Err(SendError::Blocked);
                }
                let mut packet = self.loopback.buffer(total);
                write_ip_header(out, hop_limit, len, &mut packet);
                fill(&mut packet[header_len..]);
                finish_transport(out, &mut packet[header_len..], true);
                self.loopback.push(packet);
                counters.loopback += 1;
                Ok(())
            }
            Link::Unresolved(next_hop) => {
                let mut packet = self.control.buffer(total);
                write_ip_header(out, hop_limit, len, &mut packet);
                fill(&mut packet[header_len..]);
                finish_transport(out, &mut packet[header_len..], false);
                self.wait_for_neighbor(now, counters, path.interface, next_hop, packet);
                Ok(())
            }
        }
    }

    /// A packet to a group or broadcast address, which we hear ourselves too if we listen to it (RFC 1112 6.1).
    #[allow(clippy::too_many_arguments)]
    fn emit_to_group(
        &mut self,
        outlets: &mut dyn Outlets,
        counters: &mut Counters,
        path: &Path,
        out: &Outgoing,
        len: usize,
        hop_limit: u8,
        fill: impl FnOnce(&mut [u8]),
    ) -> Result<(), SendError> {
        let header_len = ip_header_len(out.dst);
        let total = header_len + len;
        let link_len = if matches!(path.link, Link::Bare) { 0 } else { ethernet::HEADER_LEN };
        let (src_mac, listens) = self.interface(path.interface).map_or((MacAddr::UNSPECIFIED, false), |i| {
            (i.mac(), !out.dst.is_multicast() || i.listens_to(out.dst))
        });
        let sink = outlets.outlet(path.interface).ok_or(SendError::Blocked)?;
        let frame = sink.reserve(link_len + total).ok_or(SendError::Blocked)?;
        let frame = &mut frame[..link_len + total];
        write_link_header(path.link, src_mac, out.dst, frame);
        let packet = &mut frame[link_len..];
        write_ip_header(out, hop_limit, len, packet);
        fill(&mut packet[header_len..]);
        finish_transport(out, &mut packet[header_len..], false);
        if listens && out.protocol == Protocol::UDP {
            if self.loopback.has_room(total) {
                let mut copy = self.loopback.buffer(total);
                copy.copy_from_slice(packet);
                self.loopback.push(copy);
                counters.loopback += 1;
            } else {
                counters.drop_packet(DropReason::LoopbackFull);
            }
        }
        sink.commit(link_len + total, TxMeta::default());
        counters.frames_sent += 1;
        Ok(())
    }

    /// Queues a packet of the stack's own making: an ICMP message, a report, a solicitation. `fill` writes all of it, checksum
    /// included. What finds no room is dropped and counted.
    pub(crate) fn send_control(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        events: &mut Events,
        out: &Outgoing,
        len: usize,
        fill: impl FnOnce(&mut [u8]),
    ) {
        let Ok(path) = self.path(now, out.dst, out.interface) else {
            counters.drop_packet(DropReason::NoRoute);
            let interface = out.interface.unwrap_or(InterfaceId::LOOPBACK);
            events.record(now, || Event::Dropped { interface, reason: DropReason::NoRoute });
            return;
        };
        if ip_header_len(out.dst) + len > path.mtu as usize {
            // A large echo reply, say: cut like any other.
            if self.emit_fragments(now, counters, &path, out, len, fill).is_err() {
                counters.drop_packet(DropReason::ControlQueueFull);
            }
            return;
        }
        let header_len = ip_header_len(out.dst);
        let hop_limit = self.hop_limit(path.interface, out);
        let mut packet = self.control.buffer(header_len + len);
        write_ip_header(out, hop_limit, len, &mut packet);
        fill(&mut packet[header_len..]);
        self.queue_packet(now, counters, &path, out.dst, packet);
    }

    /// Puts a whole packet on its way along `path`: into the control queue, its neighbour's queue, or loopback.
    pub(crate) fn queue_packet(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        path: &Path,
        dst: IpAddr,
        packet: Vec<u8>,
    ) {
        let link = match path.link {
            Link::Bare => None,
            Link::Ethernet(mac) => Some(mac),
            Link::Loopback => {
                if self.loopback.has_room(packet.len()) {
                    counters.loopback += 1;
                    self.loopback.push(packet);
                } else {
                    counters.drop_packet(DropReason::LoopbackFull);
                }
                return;
            }
            Link::Unresolved(next_hop) => {
                return self.wait_for_neighbor(now, counters, path.interface, next_hop, packet);
            }
        };
        let ethertype = ethertype(dst);
        self.push_control(
            counters,
            ControlPacket { interface: path.interface, link, ethertype, bytes: packet },
        );
    }

    pub(crate) fn push_control(&mut self, counters: &mut Counters, packet: ControlPacket) {
        if let Err(packet) = self.control.push(packet) {
            counters.drop_packet(DropReason::ControlQueueFull);
            self.control.recycle(packet.bytes);
        }
    }

    fn wait_for_neighbor(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        interface: InterfaceId,
        next_hop: IpAddr,
        packet: Vec<u8>,
    ) {
        match self.neighbors.wait(now, interface, next_hop, packet) {
            Waiting::Queued => {}
            Waiting::Solicit => self.solicit(now, counters, interface, next_hop, None),
            Waiting::Displaced => counters.drop_packet(DropReason::NeighborQueueFull),
            Waiting::Refused => counters.drop_packet(DropReason::NeighborTableFull),
        }
    }

    /// Hands control packets to their sinks until one is full or `frames_max` are out. Returns how many went.
    pub(crate) fn flush_control(
        &mut self,
        outlets: &mut dyn Outlets,
        counters: &mut Counters,
        frames_max: usize,
    ) -> usize {
        let mut sent = 0;
        // One round: what a full sink refuses goes to the back, and is tried in the next turn.
        for _ in 0..self.control.len().min(frames_max) {
            let Some(packet) = self.control.pop() else { break };
            let link_len = if packet.link.is_some() { ethernet::HEADER_LEN } else { 0 };
            let len = link_len + packet.bytes.len();
            let src = self.interface(packet.interface).map_or(MacAddr::UNSPECIFIED, |i| i.mac());
            let sink = outlets.outlet(packet.interface);
            match sink.and_then(|sink| sink.reserve(len).is_some().then_some(sink)) {
                Some(sink) => {
                    let frame = sink.reserve(len).expect("the same room was granted a moment ago");
                    if let Some(dst) = packet.link {
                        ethernet::Header { dst, src, ethertype: packet.ethertype }.emit(frame);
                    }
                    frame[link_len..len].copy_from_slice(&packet.bytes);
                    sink.commit(len, TxMeta::default());
                    counters.frames_sent += 1;
                    sent += 1;
                    self.control.recycle(packet.bytes);
                }
                None => {
                    let _ = self.control.push(packet); // it was taken out of the same room
                }
            }
        }
        sent
    }

    pub(super) fn hop_limit(&self, interface: InterfaceId, out: &Outgoing) -> u8 {
        out.hop_limit.unwrap_or_else(|| {
            if out.dst.is_multicast() {
                return self.config.ip.multicast_hop_limit;
            }
            let told = self.interface(interface).and_then(|i| i.hop_limit_v6);
            told.filter(|_| out.dst.is_ipv6()).unwrap_or(self.config.ip.hop_limit)
        })
    }

    /// Cuts a datagram that does not fit and queues the pieces: all, or none.
    fn emit_fragments(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        path: &Path,
        out: &Outgoing,
        len: usize,
        fill: impl FnOnce(&mut [u8]),
    ) -> Result<(), SendError> {
        let cut = super::fragment::Cut::new(out, len, path.mtu).ok_or(SendError::TooBig(path.mtu))?;
        if let Link::Bare | Link::Ethernet(_) = path.link
            && !self.control.has_room(cut.pieces(), len + cut.pieces() * cut.header_len())
        {
            return Err(SendError::Blocked);
        }
        let hop_limit = self.hop_limit(path.interface, out);
        let mut whole = std::mem::take(&mut self.scratch);
        whole.clear();
        whole.resize(len, 0);
        fill(&mut whole);
        if out.protocol == Protocol::UDP {
            finish_transport(out, &mut whole, false);
        }
        let ident = self.idents.next(out.src, out.dst, out.protocol);
        for index in 0..cut.pieces() {
            let mut packet = self.control.buffer(cut.packet_len(index));
            cut.write(index, out, hop_limit, ident, &whole, &mut packet);
            self.queue_packet(now, counters, path, out.dst, packet);
        }
        self.scratch = whole;
        counters.datagrams_fragmented += 1;
        Ok(())
    }
}

/// Groups and the limited broadcast address map to link addresses without asking anyone.
fn needs_no_neighbor(dst: IpAddr) -> bool {
    dst.is_multicast() || dst == IpAddr::V4(Ipv4Addr::BROADCAST)
}

pub(crate) fn ip_header_len(dst: IpAddr) -> usize {
    if dst.is_ipv4() { ipv4::HEADER_LEN } else { ipv6::HEADER_LEN }
}

fn ethertype(dst: IpAddr) -> EtherType {
    if dst.is_ipv4() { EtherType::IPV4 } else { EtherType::IPV6 }
}

fn gso_kind(out: &Outgoing) -> GsoKind {
    match (out.protocol, out.dst) {
        (Protocol::UDP, _) => GsoKind::Udp,
        (_, IpAddr::V4(_)) => GsoKind::TcpV4,
        (_, IpAddr::V6(_)) => GsoKind::TcpV6,
    }
}

pub(super) fn write_link_header(link: Link, src: MacAddr, dst: IpAddr, frame: &mut [u8]) {
    if let Link::Ethernet(mac) = link {
        ethernet::Header { dst: mac, src, ethertype: ethertype(dst) }.emit(frame);
    }
}

/// A whole packet's IP header. IPv4 packets carry DF, so their identification may be anything (RFC 6864 4.1).
pub(super) fn write_ip_header(out: &Outgoing, hop_limit: u8, len: usize, packet: &mut [u8]) {
    match (out.src, out.dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let mut header = ipv4::Header::new(src, dst, out.protocol, hop_limit, len as u16);
            header.ecn = out.ecn;
            header.dscp = out.dscp;
            header.emit(packet);
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let mut header = ipv6::Header::new(src, dst, out.protocol, hop_limit, len as u16);
            header.ecn = out.ecn;
            header.dscp = out.dscp;
            header.emit(packet);
        }
        _ => unreachable!(
            "a packet's addresses are of one family: its source was chosen or checked for its destination"
        ),
    }
}

/// Computes the checksum of TCP and UDP, or leaves the pseudo-header's sum for the device, and then says where. ICMP has
/// written its own.
fn finish_transport(out: &Outgoing, segment: &mut [u8], device_finishes: bool) -> Option<u16> {
    let offset = match out.protocol {
        Protocol::TCP => wire::tcp::CHECKSUM_OFFSET,
        Protocol::UDP => udp::CHECKSUM_OFFSET,
        _ => return None,
    };
    let sum = pseudo(out.src, out.dst, out.protocol, segment.len())
        .expect("one family, and an IP payload's length");
    match (out.protocol, device_finishes) {
        (Protocol::TCP, true) => wire::tcp::put_partial_checksum(segment, sum),
        (Protocol::TCP, false) => wire::tcp::fill_checksum(segment, sum),
        (_, true) => udp::put_partial_checksum(segment, sum),
        (_, false) => udp::fill_checksum(segment, sum),
    }
    device_finishes.then_some(offset as u16)
}

#[cfg(test)]
mod tests;
