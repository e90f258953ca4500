//! ARP: what IPv4 hosts of a link tell each other about their link addresses.
//! Spec: RFC 826 (the algorithm), RFC 5227 2.1.1 and 2.4 (conflicts and defence), RFC 1122 2.3.2.
//! Owns: nothing. Invariants: a table entry is made only for hosts that speak to us, and changed by what any host says of
//! itself; nothing is answered for an address that is not assigned.
//! Not here: the table (`table`), probing (`dad`).

use crate::counters::{Counters, DropReason};
use crate::events::{Event, Events};
use crate::frame::InterfaceId;
use crate::ip::Ip;
use crate::ip::neighbor::table::{Advertised, Learnt};
use crate::ip::queue::ControlPacket;
use std::net::{IpAddr, Ipv4Addr};
use tcp::Instant;
use wire::arp::{LEN, Operation, Packet};
use wire::ethernet::{EtherType, MacAddr};

impl Ip {
    /// An ARP packet arrived.
    pub(crate) fn handle_arp(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        events: &mut Events,
        id: InterfaceId,
        bytes: &[u8],
    ) {
        let Ok(packet) = Packet::parse(bytes) else {
            return counters.drop_packet(DropReason::BadNeighborMessage);
        };
        let Some(interface) = self.interface(id) else { return };
        let Packet { operation, sender_mac, sender_ip, target_ip, .. } = packet;
        let sender_is_possible =
            sender_ip.is_unspecified() || super::super::is_possible_host(sender_ip.into());
        if !sender_mac.is_unicast() || sender_mac == interface.mac() || !sender_is_possible {
            return counters.drop_packet(DropReason::BadNeighborMessage);
        }
        let (sender, target) = (IpAddr::V4(sender_ip), IpAddr::V4(target_ip));
        let is_tentative =
            |addr| interface.addresses.iter().any(|a| a.prefix.addr() == addr && !a.is_assigned());
        // RFC 5227 2.1.1: while probing, somebody who has the address, or probes for it too, wins.
        let rival_probe =
            sender_ip.is_unspecified() && operation == Operation::Request && is_tentative(target);
        if is_tentative(sender) || rival_probe {
            let lost = if rival_probe { target } else { sender };
            return self.on_duplicate(now, events, id, lost);
        }
        if interface.has(sender) {
            return self.defend(now, counters, id, sender_ip);
        }
        let is_for_us = interface.has(target);
        let answers = operation == Operation::Reply && packet.target_mac == interface.mac();
        if !sender_ip.is_unspecified() {
            // RFC 826: update what is known of the sender; add it only if we are the target.
            let learnt = if answers {
                let said =
                    Advertised { mac: Some(sender_mac), solicited: true, overriding: true, router: None };
                self.neighbors.on_advertised(now, id, sender, said, &mut self.random)
            } else if is_for_us {
                self.neighbors.on_heard(now, id, sender, sender_mac, None)
            } else {
                let said =
                    Advertised { mac: Some(sender_mac), solicited: false, overriding: true, router: None };
                self.neighbors.on_advertised(now, id, sender, said, &mut self.random)
            };
            self.apply_learnt(now, counters, events, id, sender, learnt);
        }
        if operation == Operation::Request && is_for_us {
            let mac = self.interface(id).map_or(MacAddr::UNSPECIFIED, |i| i.mac());
            let reply = Packet {
                operation: Operation::Reply,
                sender_mac: mac,
                sender_ip: target_ip,
                target_mac: sender_mac,
                target_ip: sender_ip,
            };
            self.send_arp(counters, id, sender_mac, &reply);
        }
    }

    /// Sends on what waited for a neighbour, and tells of its new state.
    pub(crate) fn apply_learnt(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        events: &mut Events,
        id: InterfaceId,
        addr: IpAddr,
        learnt: Learnt,
    ) {
        if let Some(state) = learnt.changed {
            events.record(now, || Event::Neighbor { interface: id, addr, state: Some(state) });
            self.routes.on_router_reachability(id, addr, true);
        }
        if learnt.stopped_routing {
            use crate::ip::route::RouteOrigin::{Redirect, Router};
            self.routes.remove(|r| {
                r.gateway == Some(addr) && r.interface == id && matches!(r.origin, Router | Redirect)
            });
        }
        let ethertype = if addr.is_ipv4() { EtherType::IPV4 } else { EtherType::IPV6 };
        for bytes in learnt.packets {
            self.push_control(counters, ControlPacket { interface: id, link: learnt.mac, ethertype, bytes });
        }
    }

    /// Asks who has `target`; everyone, or the one who had it.
    pub(crate) fn send_arp_request(
        &mut self,
        counters: &mut Counters,
        id: InterfaceId,
        sender_ip: Ipv4Addr,
        target_ip: Ipv4Addr,
        unicast: Option<MacAddr>,
    ) {
        let sender_mac = self.interface(id).map_or(MacAddr::UNSPECIFIED, |i| i.mac());
        let request = Packet {
            operation: Operation::Request,
            sender_mac,
            sender_ip,
            target_mac: MacAddr::UNSPECIFIED,
            target_ip,
        };
        self.send_arp(counters, id, unicast.unwrap_or(MacAddr::BROADCAST), &request);
    }

    /// Tells everyone that `addr` is ours (RFC 5227 3: an announcement is a request for oneself).
    pub(crate) fn send_announcement(&mut self, counters: &mut Counters, id: InterfaceId, addr: Ipv4Addr) {
        self.send_arp_request(counters, id, addr, addr, None);
    }

    /// Somebody uses an address of ours: say so, at most once in DEFEND_INTERVAL (RFC 5227 2.4 (c)).
    fn defend(&mut self, now: Instant, counters: &mut Counters, id: InterfaceId, addr: Ipv4Addr) {
        counters.drop_packet(DropReason::BadNeighborMessage);
        let Some(address) = self.interface_mut(id).and_then(|i| i.address_mut(addr.into())) else { return };
        if address.defended_until.is_some_and(|until| now < until) {
            return;
        }
        address.defended_until = Some(now + super::dad::DEFEND_INTERVAL);
        self.send_announcement(counters, id, addr);
    }

    fn send_arp(&mut self, counters: &mut Counters, id: InterfaceId, to: MacAddr, packet: &Packet) {
        let mut bytes = self.control.buffer(LEN);
        packet.emit(&mut bytes);
        let packet = ControlPacket { interface: id, link: Some(to), ethertype: EtherType::ARP, bytes };
        self.push_control(counters, packet);
    }
}
