//! Neighbour Discovery: what IPv6 hosts and routers of a link tell each other.
//! Spec: RFC 4861 6.1, 7.1 and 8.1 (validity), 7.2 (solicitations and advertisements); RFC 4862 5.4 (duplicates); RFC 6980 (no
//!       fragments).
//! Owns: nothing. Invariants: nothing that came from off the link (hop limit below 255) is believed.
//! Not here: the table (`table`), what routers advertise (`router`), probing (`dad`).

use crate::counters::{Counters, DropReason};
use crate::events::{Event, Events};
use crate::frame::{InterfaceId, Medium};
use crate::ip::interface::{ALL_NODES, ALL_ROUTERS, solicited_node};
use crate::ip::neighbor::table::{Advertised, NeighborAction};
use crate::ip::output::Outgoing;
use crate::ip::{Ip, IpMeta};
use std::net::{IpAddr, Ipv6Addr};
use tcp::Instant;
use wire::ethernet::MacAddr;
use wire::icmpv6;
use wire::ip::{Protocol, pseudo_v6};
use wire::ndisc::{HOP_LIMIT, Message, NdOption, Options};

impl Ip {
    /// A Neighbour Discovery message arrived whole, its checksum verified. `code` is its ICMPv6 code.
    pub(crate) fn handle_ndisc(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        events: &mut Events,
        meta: &IpMeta,
        code: u8,
        message: &Message<'_>,
    ) {
        let (IpAddr::V6(src), IpAddr::V6(dst)) = (meta.src, meta.dst) else { return };
        let id = meta.interface;
        let on_ethernet = self.interface(id).is_some_and(|i| i.medium() == Medium::Ethernet);
        if meta.hop_limit != HOP_LIMIT || code != 0 || !on_ethernet {
            return counters.drop_packet(DropReason::BadNeighborMessage);
        }
        let is_valid = match message {
            Message::RouterSolicitation { .. } => return, // a host: routers' business
            Message::NeighborSolicitation { target, options } => {
                let is_probe = src.is_unspecified();
                let asked_as_it_should =
                    !is_probe || (dst == solicited_node(*target) && options.source_link_layer().is_none());
                !target.is_multicast() && asked_as_it_should
            }
            Message::NeighborAdvertisement { target, solicited, .. } => {
                let answers_a_group = dst.is_multicast() && *solicited;
                !(target.is_multicast() || answers_a_group || src.is_unspecified())
            }
            Message::RouterAdvertisement { .. } => src.is_unicast_link_local(),
            Message::Redirect { target, destination, .. } => {
                src.is_unicast_link_local()
                    && !destination.is_multicast()
                    && (target.is_unicast_link_local() || target == destination)
            }
        };
        if !is_valid {
            return counters.drop_packet(DropReason::BadNeighborMessage);
        }
        match *message {
            Message::RouterSolicitation { .. } => {}
            Message::NeighborSolicitation { target, options } => {
                self.on_solicitation(now, counters, events, id, src, target, options.source_link_layer());
            }
            Message::NeighborAdvertisement { router, solicited, override_, target, options } => {
                let Some(interface) = self.interface_mut(id) else { return };
                if let Some(address) = interface.address_mut(target.into()) {
                    if address.is_assigned() {
                        // RFC 4862 5.4.4: a duplicate that was missed; no remedy is prescribed.
                        return counters.drop_packet(DropReason::BadNeighborMessage);
                    }
                    return self.on_duplicate(now, events, id, target.into());
                }
                let said = Advertised {
                    mac: options.target_link_layer().filter(|mac| mac.is_unicast()),
                    solicited,
                    overriding: override_,
                    router: Some(router),
                };
                let addr = IpAddr::V6(target);
                let learnt = self.neighbors.on_advertised(now, id, addr, said, &mut self.random);
                self.apply_learnt(now, counters, events, id, addr, learnt);
            }
            Message::RouterAdvertisement { ref router, ref options } => {
                self.hear(now, counters, events, id, src, options.source_link_layer(), Some(true));
                self.on_router_advertisement(now, events, id, src, router, options);
            }
            Message::Redirect { target, destination, options } => {
                self.on_redirect(id, src, target, destination, counters);
                let is_router = (target != destination).then_some(true);
                self.hear(now, counters, events, id, target, options.target_link_layer(), is_router);
            }
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn on_solicitation(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        events: &mut Events,
        id: InterfaceId,
        src: Ipv6Addr,
        target: Ipv6Addr,
        source_mac: Option<MacAddr>,
    ) {
        let Some(interface) = self.interface_mut(id) else { return };
        let mac = interface.mac();
        let Some(address) = interface.address_mut(target.into()) else { return };
        if !address.is_assigned() {
            // RFC 4862 5.4.3: somebody else probes for it: a duplicate. Somebody who merely asks is not answered yet.
            if src.is_unspecified() {
                self.on_duplicate(now, events, id, target.into());
            }
            return;
        }
        self.hear(now, counters, events, id, src, source_mac, None);
        // RFC 4861 7.2.4: to who asked; to a prober, which has no address yet, by way of all nodes.
        let (dst, solicited) = if src.is_unspecified() { (ALL_NODES, false) } else { (src, true) };
        let options = [NdOption::TargetLinkLayer(mac)];
        let advertisement = Message::NeighborAdvertisement {
            router: false,
            solicited,
            override_: true,
            target,
            options: Options::Values(&options),
        };
        self.send_ndisc(now, counters, events, id, target, dst, advertisement);
    }

    /// The sender of a message told its link address (RFC 4861 6.2.6, 6.3.4, 7.2.3, 8.3).
    #[allow(clippy::too_many_arguments)]
    fn hear(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        events: &mut Events,
        id: InterfaceId,
        src: Ipv6Addr,
        mac: Option<MacAddr>,
        is_router: Option<bool>,
    ) {
        let Some(mac) = mac.filter(|mac| mac.is_unicast()) else { return };
        if src.is_unspecified() || src.is_multicast() {
            return;
        }
        let learnt = self.neighbors.on_heard(now, id, src.into(), mac, is_router);
        self.apply_learnt(now, counters, events, id, src.into(), learnt);
    }

    /// Asks for a neighbour's link address: everyone, or itself.
    pub(crate) fn solicit(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        id: InterfaceId,
        target: IpAddr,
        unicast: Option<MacAddr>,
    ) {
        let Some(interface) = self.interface(id) else { return };
        let mac = interface.mac();
        match target {
            IpAddr::V4(target) => {
                // RFC 826 leaves the choice of our address open; the one that shares a prefix with the target is expected.
                let shares = interface.addresses.iter().find_map(|a| match a.prefix.addr() {
                    IpAddr::V4(addr) if a.is_assigned() && a.prefix.contains(target.into()) => Some(addr),
                    _ => None,
                });
                if let Some(sender) = shares.or(interface.first_v4()) {
                    self.send_arp_request(counters, id, sender, target, unicast);
                }
            }
            IpAddr::V6(target) => {
                let Some(IpAddr::V6(src)) = self.choose_source(IpAddr::V6(target), Some(id)) else {
                    return; // every address is tentative still; the timer asks again
                };
                let dst = if unicast.is_some() { target } else { solicited_node(target) };
                let options = [NdOption::SourceLinkLayer(mac)];
                let message = Message::NeighborSolicitation { target, options: Options::Values(&options) };
                let mut nobody = Events::new(0);
                self.send_ndisc(now, counters, &mut nobody, id, src, dst, message);
            }
        }
    }

    /// Asks whether anyone has the address that we would like (RFC 4862 5.4.2).
    pub(crate) fn send_dad_solicitation(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        events: &mut Events,
        id: InterfaceId,
        target: Ipv6Addr,
    ) {
        let message = Message::NeighborSolicitation { target, options: Options::NONE };
        let dst = solicited_node(target);
        self.send_ndisc(now, counters, events, id, Ipv6Addr::UNSPECIFIED, dst, message);
    }

    /// Asks for routers (RFC 4861 6.3.7), from the unspecified address while we have no other.
    pub(crate) fn send_router_solicitation(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        events: &mut Events,
        id: InterfaceId,
    ) {
        let Some(interface) = self.interface(id) else { return };
        let with_mac = [NdOption::SourceLinkLayer(interface.mac())];
        let (src, options) = match interface.link_local() {
            Some(src) => (src, Options::Values(&with_mac)),
            None => (Ipv6Addr::UNSPECIFIED, Options::NONE), // 4.1: no option without a source
        };
        self.send_ndisc(now, counters, events, id, src, ALL_ROUTERS, Message::RouterSolicitation { options });
    }

    #[allow(clippy::too_many_arguments)]
    fn send_ndisc(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        events: &mut Events,
        id: InterfaceId,
        src: Ipv6Addr,
        dst: Ipv6Addr,
        message: Message<'_>,
    ) {
        let message = icmpv6::Message::Ndisc(message);
        let len = message.wire_len();
        let mut out = Outgoing::new(src.into(), dst.into(), Protocol::ICMPV6);
        out.hop_limit = Some(HOP_LIMIT);
        out.interface = Some(id);
        let sum = pseudo_v6(src, dst, Protocol::ICMPV6, len as u32);
        self.send_control(now, counters, events, &out, len, |bytes| {
            message.emit(bytes, sum);
        });
    }

    /// What neighbours' timers ask for. Packets that cannot be delivered are handed to `undeliverable`.
    pub(crate) fn handle_neighbor_deadlines(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        events: &mut Events,
        mut undeliverable: impl FnMut(&mut Counters, &[u8]),
    ) {
        while let Some(action) = self.neighbors.poll_deadline(now) {
            match action {
                NeighborAction::Solicit { interface, target, unicast } => {
                    self.solicit(now, counters, interface, target, unicast);
                }
                NeighborAction::Unreachable { interface, target, packets } => {
                    events.record(now, || Event::Neighbor { interface, addr: target, state: None });
                    self.routes.on_router_reachability(interface, target, false);
                    for packet in packets {
                        counters.drop_packet(DropReason::NeighborUnreachable);
                        undeliverable(counters, &packet);
                        self.control.recycle(packet);
                    }
                }
            }
        }
    }
}
