//! Input: from a frame to a packet that is whole, intact and for us.
//! Spec: RFC 1122 3.2.1 and 3.3.6, RFC 8200 4, RFC 4291 2.5-2.8, RFC 5095, RFC 7126 (options), RFC 7112 (first fragments).
//! Owns: nothing. Invariants: `classify` changes nothing, so a batch may be looked at before it is handled; whatever it lets
//! through has checked lengths, a believable source and a destination of ours.
//! Not here: putting fragments together (`reassembly`), transports (`stack` hands packets on), sending (`output`).

use crate::counters::DropReason;
use crate::frame::{InterfaceId, Medium, RxFrame, RxMeta};
use crate::ip::reassembly::{DatagramKey, Fragment};
use crate::ip::{Delivery, Ip, IpMeta, is_possible_host};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use wire::ethernet::{self, EtherType};
use wire::ip::Protocol;
use wire::ipv6::extension::{self, Refusal, Start};
use wire::{icmpv6, ipv4, ipv6};

/// What a frame turned out to be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Arrival<'a> {
    /// Nothing for us.
    Dropped(DropReason),
    /// An ARP packet.
    Arp(&'a [u8]),
    /// A piece of a datagram for us.
    Fragment { meta: IpMeta, fragment: Fragment<'a> },
    /// A whole packet for us.
    Whole(Whole<'a>),
    /// A packet for us whose headers we refuse, which its sender is told.
    Refused { meta: IpMeta, packet: &'a [u8], code: icmpv6::Problem, pointer: u32, even_if_multicast: bool },
}

/// A whole packet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Whole<'a> {
    pub(crate) meta: IpMeta,
    /// What the transport gets.
    pub(crate) payload: &'a [u8],
    /// All of it, from the IP header on.
    pub(crate) packet: &'a [u8],
    /// Where the packet names its transport (IPv6: what "unrecognised next header" points at).
    pub(crate) named_at: usize,
    /// It came in pieces, which Neighbour Discovery may not (RFC 6980).
    pub(crate) was_fragmented: bool,
    /// Its IP header says what that of the frame before says: all that is known of that one's holds for it.
    pub(crate) repeats: bool,
}

/// How a packet came to be here.
#[derive(Debug, Clone, Copy)]
struct Origin {
    interface: InterfaceId,
    rx: RxMeta,
    /// The link header named everyone, or a group.
    link_delivery: Delivery,
    reassembled: bool,
}

/// What the addresses of an IPv4 packet are to us.
struct Comparison {
    dst_is_ours: bool,
    dst_is_broadcast: bool,
    src_is_ours: bool,
    src_is_broadcast: bool,
}

impl Ip {
    /// Looks at one frame of `interface`.
    #[inline]
    pub(crate) fn classify<'a>(&self, id: InterfaceId, frame: &RxFrame<'a>) -> Arrival<'a> {
        let Some(interface) = self.interface(id) else {
            return Arrival::Dropped(DropReason::UnknownProtocol);
        };
        let mut origin =
            Origin { interface: id, rx: frame.meta, link_delivery: Delivery::Unicast, reassembled: false };
        match interface.medium() {
            Medium::Ip => self.classify_ip(origin, frame.bytes),
            Medium::Ethernet => {
                let Ok(frame) = ethernet::Packet::new(frame.bytes) else {
                    return Arrival::Dropped(DropReason::Malformed);
                };
                let dst = frame.dst();
                if dst.is_broadcast() {
                    origin.link_delivery = Delivery::Broadcast;
                } else if dst.is_multicast() {
                    origin.link_delivery = Delivery::Multicast;
                } else if dst != interface.mac() {
                    return Arrival::Dropped(DropReason::NotForThisLink);
                }
                if frame.vlan().is_some() {
                    return Arrival::Dropped(DropReason::NotForThisLink); // another network's, on the same wire
                }
                match frame.ethertype() {
                    EtherType::ARP => Arrival::Arp(frame.payload()),
                    EtherType::IPV4 if ip_version(frame.payload()) == Some(4) => {
                        self.classify_ip(origin, frame.payload())
                    }
                    EtherType::IPV6 if ip_version(frame.payload()) == Some(6) => {
                        self.classify_ip(origin, frame.payload())
                    }
                    EtherType::IPV4 | EtherType::IPV6 => Arrival::Dropped(DropReason::Malformed),
                    _ => Arrival::Dropped(DropReason::UnknownProtocol),
                }
            }
        }
    }

    /// Looks at one frame of `interface`, which most often says what the one before it has said: then that one's answers hold.
    #[inline]
    pub(crate) fn classify_after<'a>(
        &self,
        id: InterfaceId,
        frame: &RxFrame<'a>,
        before: &Arrival<'a>,
    ) -> Arrival<'a> {
        match before {
            Arrival::Whole(before) => self.repeated(id, frame, before).map(Arrival::Whole),
            _ => None,
        }
        .unwrap_or_else(|| self.classify(id, frame))
    }

    /// The packet in `frame`, if nothing about it has to be asked that has not been asked of `before`.
    #[inline]
    fn repeated<'a>(&self, id: InterfaceId, frame: &RxFrame<'a>, before: &Whole<'a>) -> Option<Whole<'a>> {
        let RxMeta { checksum_ok, gso_size, .. } = frame.meta;
        let meta = &before.meta;
        if (checksum_ok, gso_size, Delivery::Unicast) != (meta.checksum_ok, meta.gso_size, meta.delivery) {
            return None;
        }
        let interface = self.interface(id)?;
        let bytes = match interface.medium() {
            Medium::Ip => frame.bytes,
            Medium::Ethernet => {
                let link = ethernet::Packet::new(frame.bytes).ok()?;
                let ethertype = if meta.dst.is_ipv4() { EtherType::IPV4 } else { EtherType::IPV6 };
                let expected =
                    link.dst() == interface.mac() && link.vlan().is_none() && link.ethertype() == ethertype;
                expected.then(|| link.payload())?
            }
        };
        let (payload, total_len) = match meta.dst {
            IpAddr::V4(_) => {
                let packet = ipv4::Packet::new(bytes).ok()?;
                let repeats = packet.repeats(before.packet) && packet.checksum_is_valid();
                repeats.then(|| (packet.payload(), packet.total_len()))?
            }
            // Of what has extension headers, those would have to be walked again.
            IpAddr::V6(_) => {
                let packet = ipv6::Packet::new(bytes).ok()?;
                let repeats = packet.repeats(before.packet) && packet.next_header() == Protocol::TCP;
                repeats.then(|| (packet.payload(), packet.total_len()))?
            }
        };
        let packet = &bytes[..total_len];
        Some(Whole { meta: *meta, payload, packet, repeats: true, ..*before })
    }

    /// Looks at a packet that never left the host.
    pub(crate) fn classify_loopback<'a>(&self, packet: &'a [u8]) -> Arrival<'a> {
        let rx = RxMeta { checksum_ok: true, gso_size: 0, queue: 0 };
        let interface = InterfaceId::LOOPBACK;
        self.classify_ip(
            Origin { interface, rx, link_delivery: Delivery::Unicast, reassembled: false },
            packet,
        )
    }

    /// Looks at a datagram put together from fragments that came in through `interface`.
    pub(crate) fn classify_reassembled<'a>(&self, interface: InterfaceId, packet: &'a [u8]) -> Arrival<'a> {
        let rx = RxMeta::default();
        self.classify_ip(
            Origin { interface, rx, link_delivery: Delivery::Unicast, reassembled: true },
            packet,
        )
    }

    #[inline]
    fn classify_ip<'a>(&self, origin: Origin, bytes: &'a [u8]) -> Arrival<'a> {
        match ip_version(bytes) {
            Some(4) => self.classify_v4(origin, bytes),
            Some(6) => self.classify_v6(origin, bytes),
            Some(_) => Arrival::Dropped(DropReason::UnknownProtocol),
            None => Arrival::Dropped(DropReason::Malformed),
        }
    }

    fn classify_v4<'a>(&self, origin: Origin, bytes: &'a [u8]) -> Arrival<'a> {
        let Ok(packet) = ipv4::Packet::new(bytes) else { return Arrival::Dropped(DropReason::Malformed) };
        if !packet.checksum_is_valid() {
            return Arrival::Dropped(DropReason::BadHeaderChecksum);
        }
        let (src, dst) = (packet.src(), packet.dst());
        if !packet.option_bytes().is_empty()
            && (packet.is_source_routed() || packet.options().any(|option| option.is_err()))
        {
            return Arrival::Dropped(DropReason::BadOption); // RFC 7126 4.3, 4.4
        }
        let ours = self.compare_v4(origin.interface, src, dst);
        let delivery = match self.destination_v4(&origin, dst, &ours) {
            Ok(delivery) => delivery,
            Err(reason) => return Arrival::Dropped(reason),
        };
        if origin.interface != InterfaceId::LOOPBACK
            // RFC 1122 3.2.1.3: no host has such an address; and our own come from ourselves only ("land").
            && (!is_possible_host(src.into()) || ours.src_is_broadcast || ours.src_is_ours)
        {
            return Arrival::Dropped(DropReason::MartianSource);
        }
        let meta = IpMeta {
            interface: origin.interface,
            src: src.into(),
            dst: dst.into(),
            protocol: packet.protocol(),
            ecn: packet.ecn(),
            dscp: packet.dscp(),
            hop_limit: packet.ttl(),
            delivery,
            checksum_ok: origin.rx.checksum_ok,
            gso_size: origin.rx.gso_size,
        };
        let whole = &bytes[..packet.total_len()];
        if packet.is_fragment() {
            let key = DatagramKey {
                src: meta.src,
                dst: meta.dst,
                ident: u32::from(packet.ident()),
                protocol: meta.protocol.0,
            };
            let fragment = Fragment {
                key,
                offset: usize::from(packet.fragment_offset()),
                more: packet.more_fragments(),
                data: packet.payload(),
                protocol: meta.protocol,
                ecn: meta.ecn,
                header_len: packet.header_len(),
                packet: whole,
            };
            return Arrival::Fragment { meta, fragment };
        }
        Arrival::Whole(Whole {
            meta,
            payload: packet.payload(),
            packet: whole,
            named_at: 9,
            was_fragmented: origin.reassembled,
            repeats: false,
        })
    }

    fn destination_v4(
        &self,
        origin: &Origin,
        dst: Ipv4Addr,
        ours: &Comparison,
    ) -> Result<Delivery, DropReason> {
        let from_outside = origin.interface != InterfaceId::LOOPBACK;
        if dst.is_unspecified() || (dst.is_loopback() && from_outside) {
            return Err(DropReason::MartianDestination); // RFC 1122 3.2.1.3 (a), (g)
        }
        if dst.is_multicast() {
            return self.listens(origin, dst.into());
        }
        if ours.dst_is_broadcast {
            return Ok(Delivery::Broadcast);
        }
        self.unicast(origin, dst.into(), ours.dst_is_ours || dst.is_loopback())
    }

    /// Compares both addresses of a packet with all of ours in one walk: every packet asks all four questions.
    #[inline]
    fn compare_v4(&self, arrived: InterfaceId, src: Ipv4Addr, dst: Ipv4Addr) -> Comparison {
        let mut found = Comparison {
            dst_is_ours: false,
            dst_is_broadcast: dst.is_broadcast(),
            src_is_ours: false,
            src_is_broadcast: src.is_broadcast(),
        };
        for interface in &self.interfaces {
            // A broadcast is one on the link that it came by; what never left the host may name any link's.
            let here = interface.id == arrived;
            for address in &interface.addresses {
                let IpAddr::V4(own) = address.prefix.addr() else { continue };
                let assigned = address.is_assigned();
                found.dst_is_ours |= own == dst && assigned;
                found.src_is_ours |= own == src && assigned;
                if here || arrived == InterfaceId::LOOPBACK {
                    let broadcast = address.prefix.broadcast();
                    found.dst_is_broadcast |= broadcast == Some(dst);
                    found.src_is_broadcast |= here && broadcast == Some(src);
                }
            }
        }
        found
    }

    fn unicast(&self, origin: &Origin, dst: IpAddr, is_ours: bool) -> Result<Delivery, DropReason> {
        if origin.link_delivery != Delivery::Unicast {
            return Err(DropReason::NotForThisLink); // RFC 1122 3.3.6: sent to all, but meant for one
        }
        let takes_any = || self.interface(origin.interface).is_some_and(|i| i.config.any_address);
        if is_ours || (takes_any() && is_possible_host(dst)) {
            return Ok(Delivery::Unicast);
        }
        Err(DropReason::NotForThisHost)
    }

    fn listens(&self, origin: &Origin, group: IpAddr) -> Result<Delivery, DropReason> {
        let listens = match self.interface(origin.interface) {
            Some(interface) => interface.listens_to(group),
            None => self.interfaces.iter().any(|interface| interface.listens_to(group)),
        };
        if listens { Ok(Delivery::Multicast) } else { Err(DropReason::NotForThisHost) }
    }

    fn classify_v6<'a>(&self, origin: Origin, bytes: &'a [u8]) -> Arrival<'a> {
        let Ok(packet) = ipv6::Packet::new(bytes) else { return Arrival::Dropped(DropReason::Malformed) };
        let (src, dst) = (packet.src(), packet.dst());
        let delivery = match self.destination_v6(&origin, dst) {
            Ok(delivery) => delivery,
            Err(reason) => return Arrival::Dropped(reason),
        };
        if let Err(reason) = self.check_source_v6(&origin, src) {
            return Arrival::Dropped(reason);
        }
        let mut meta = IpMeta {
            interface: origin.interface,
            src: src.into(),
            dst: dst.into(),
            protocol: packet.next_header(),
            ecn: packet.ecn(),
            dscp: packet.dscp(),
            hop_limit: packet.hop_limit(),
            delivery,
            checksum_ok: origin.rx.checksum_ok,
            gso_size: origin.rx.gso_size,
        };
        let whole = &bytes[..packet.total_len()];
        let start = if origin.reassembled { Start::Reassembled } else { Start::AfterFixedHeader };
        let walk = match extension::walk(packet.next_header(), packet.payload(), start) {
            Ok(walk) => walk,
            Err(refusal) => return refused(meta, whole, refusal),
        };
        meta.protocol = walk.protocol;
        if src.is_unspecified() && walk.protocol != Protocol::ICMPV6 {
            return Arrival::Dropped(DropReason::MartianSource); // only who has no address yet sends from ::
        }
        let Some(fragment) = walk.fragment.filter(|fragment| !fragment.is_atomic()) else {
            // RFC 6946: an atomic fragment is a whole packet; what follows its header may be extensions again.
            let walk = match walk.fragment {
                None => walk,
                Some(_) => match extension::walk(walk.protocol, walk.payload, Start::Reassembled) {
                    Ok(inner) => {
                        extension::Walk { offset: walk.offset + inner.offset - ipv6::HEADER_LEN, ..inner }
                    }
                    Err(refusal) => return refused(meta, whole, refusal),
                },
            };
            meta.protocol = walk.protocol;
            return Arrival::Whole(Whole {
                meta,
                payload: walk.payload,
                packet: whole,
                named_at: walk.named_at,
                was_fragmented: origin.reassembled || packet.next_header() == Protocol::FRAGMENT,
                repeats: false,
            });
        };
        // RFC 8200 4.5: a piece that is not the last and not a multiple of eight.
        if fragment.more && !walk.payload.len().is_multiple_of(8) {
            let (code, pointer) = (icmpv6::Problem::HEADER_FIELD, 4);
            return Arrival::Refused { meta, packet: whole, code, pointer, even_if_multicast: false };
        }
        // RFC 7112 5: the first piece holds the whole header chain.
        if fragment.offset == 0
            && let Err(Refusal::Truncated) = extension::walk(walk.protocol, walk.payload, Start::Reassembled)
        {
            let (code, pointer) = (icmpv6::Problem::INCOMPLETE_CHAIN, 0);
            return Arrival::Refused { meta, packet: whole, code, pointer, even_if_multicast: false };
        }
        let unfragmentable = walk.offset - ipv6::HEADER_LEN - extension::FRAGMENT_LEN;
        let fragment = Fragment {
            key: DatagramKey { src: meta.src, dst: meta.dst, ident: fragment.ident, protocol: 0 },
            offset: usize::from(fragment.offset),
            more: fragment.more,
            data: walk.payload,
            protocol: fragment.next_header,
            ecn: meta.ecn,
            header_len: unfragmentable,
            packet: whole,
        };
        Arrival::Fragment { meta, fragment }
    }

    fn destination_v6(&self, origin: &Origin, dst: Ipv6Addr) -> Result<Delivery, DropReason> {
        let from_outside = origin.interface != InterfaceId::LOOPBACK;
        let is_mapped = dst.to_ipv4_mapped().is_some();
        if dst.is_unspecified() || (dst.is_loopback() && from_outside) || is_mapped {
            return Err(DropReason::MartianDestination); // RFC 4291 2.5.2, 2.5.3; RFC 4038 4.2
        }
        if dst.is_multicast() {
            return self.listens(origin, dst.into());
        }
        self.unicast(origin, dst.into(), self.is_ours(dst.into()))
    }

    fn check_source_v6(&self, origin: &Origin, src: Ipv6Addr) -> Result<(), DropReason> {
        if src.is_multicast() || src.to_ipv4_mapped().is_some() {
            return Err(DropReason::MartianSource);
        }
        if origin.interface == InterfaceId::LOOPBACK {
            return Ok(());
        }
        if src.is_loopback() || self.is_ours(src.into()) {
            return Err(DropReason::MartianSource);
        }
        Ok(())
    }
}

#[inline]
fn ip_version(bytes: &[u8]) -> Option<u8> {
    wire::ip::version(bytes)
}

fn refused(meta: IpMeta, packet: &[u8], refusal: Refusal) -> Arrival<'_> {
    match refusal {
        Refusal::Problem { code, pointer, even_if_multicast } => {
            Arrival::Refused { meta, packet, code, pointer, even_if_multicast }
        }
        Refusal::Truncated => Arrival::Dropped(DropReason::Malformed),
        Refusal::Silent | Refusal::TooMany => Arrival::Dropped(DropReason::BadOption),
    }
}

#[cfg(test)]
mod tests;
