//! One turn of a host: frames in, IP, transport, frames out.
//! Spec: none of its own; RFC 1122's layers are the order of work. The contract is every core's: `handle_*`, then `poll_*` until
//! empty, then `next_deadline`.
//! Owns: the rooms, and nothing else. Invariants: a turn is bounded by what is handed in and by `turn_frames_max`; frames are
//! handled in the order of arrival; nothing of a frame is kept after the call but what a room copied.
//! Not here: any rule. Whoever looks for one finds it in the room that is called; what control messages tell, in `control`; frames that arrive
//! together, in `batch`.
//!
//! ```text
//!   frames --> classify --+--> arp --------------------------------> neighbours
//!                         +--> fragment --> reassembly --> classify
//!                         +--> whole --+--> icmp --> echo | error --> tcp, udp | ndisc | mld
//!                                      +--> igmp
//!                                      +--> udp --> sockets
//!                                      +--> tcp --> connections
//!   sinks  <-- emit <--- control, then udp and tcp in turn; loopback comes in again
//! ```

mod batch;
mod control;

use crate::config::{Config, ConfigError};
use crate::counters::{Counters, DropReason};
use crate::events::{AddressChange, Event, Events};
use crate::frame::{InterfaceId, Outlets, RxFrame};
use crate::ip::icmp::{EchoReply, IcmpError, Quoted, Verdict};
use crate::ip::input::{Arrival, Whole};
use crate::ip::interface::Address;
use crate::ip::neighbor::NeighborState;
use crate::ip::prefix::Prefix;
use crate::ip::reassembly::{self, Fragment, Refusal};
use crate::ip::route::{Route, RouteTableFull};
use crate::ip::{AddressError, Delivery, Ip, IpMeta};
use crate::random::Secret;
use crate::ready::{Handle, Readiness, ReadyPlace, ReadyQueue};
use crate::tcp_host::TcpHost;
use crate::tcp_host::floor::{IpFloor, NoOutlets};
use crate::udp::{UdpCx, UdpHost};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use tcp::Instant;
use wire::ethernet::MacAddr;
use wire::ip::Protocol;
use wire::{icmpv6, ipv4, ipv6};

/// Echo replies kept until they are read; later ones are dropped.
const ECHO_REPLIES_MAX: usize = 64;
/// Packets to ourselves handled in one turn; the rest waits for the next, so that two of our own sockets cannot hold the turn.
const LOOPBACK_TURN: usize = 256;

/// A host's TCP/IP.
#[derive(Debug)]
pub struct Stack {
    pub(crate) ip: Ip,
    pub(crate) tcp: TcpHost,
    pub(crate) udp: UdpHost,
    pub(crate) counters: Counters,
    pub(crate) events: Events,
    pub(crate) ready: ReadyQueue,
    echo_replies: VecDeque<EchoReply>,
    turn_frames_max: usize,
    /// Which transport starts the next turn's sending.
    udp_first: bool,
    /// The last turn ended before everybody had sent what they could.
    unfinished: bool,
}

impl Stack {
    /// A host as `config` describes it.
    pub fn new(config: &Config, secret: &Secret, now: Instant) -> Result<Self, ConfigError> {
        let (first, last) = config.ephemeral_ports;
        if first == 0 || first > last {
            return Err(ConfigError::BadPortRange);
        }
        Ok(Self {
            ip: Ip::new(config, secret, now)?,
            tcp: TcpHost::new(config, secret, now),
            udp: UdpHost::new(&config.udp, config.ephemeral_ports, secret),
            counters: Counters::default(),
            events: Events::new(config.events_max),
            ready: ReadyQueue::default(),
            echo_replies: VecDeque::new(),
            turn_frames_max: config.turn_frames_max.max(1),
            udp_first: true,
            unfinished: false,
        })
    }

    /// Takes one frame that arrived on `interface`.
    pub fn handle_frame(&mut self, now: Instant, interface: InterfaceId, frame: RxFrame<'_>) {
        self.counters.frames_received += 1;
        let arrival = self.ip.classify(interface, &frame);
        self.handle_arrival(now, interface, &arrival);
    }

    fn handle_arrival(&mut self, now: Instant, interface: InterfaceId, arrival: &Arrival<'_>) {
        match *arrival {
            Arrival::Dropped(reason) => self.drop_packet(now, interface, reason),
            Arrival::Arp(bytes) => {
                self.ip.handle_arp(now, &mut self.counters, &mut self.events, interface, bytes);
            }
            Arrival::Fragment { ref meta, ref fragment } => self.handle_fragment(now, meta, fragment),
            Arrival::Whole(ref whole) => self.handle_whole(now, whole),
            Arrival::Refused { ref meta, packet, code, pointer, even_if_multicast } => {
                self.drop_packet(now, interface, DropReason::BadOption);
                let error = IcmpError::Problem { code, pointer, even_if_multicast };
                self.send_error(now, meta, packet, error);
            }
        }
    }

    fn handle_fragment(&mut self, now: Instant, meta: &IpMeta, fragment: &Fragment<'_>) {
        let datagram = match self.ip.reassembly.handle_fragment(now, fragment) {
            reassembly::Arrival::Kept => return,
            reassembly::Arrival::Refused(refusal) => {
                let reason = match refusal {
                    Refusal::Full => DropReason::ReassemblyFull,
                    Refusal::Length | Refusal::TooLong | Refusal::Overlap | Refusal::Ecn => {
                        DropReason::BadFragment
                    }
                };
                self.drop_packet(now, meta.interface, reason);
                if refusal == Refusal::TooLong && meta.dst.is_ipv6() {
                    // RFC 8200 4.5: the pointer is to the fragment offset field.
                    let pointer = (ipv6::HEADER_LEN + fragment.header_len + 2) as u32;
                    let code = icmpv6::Problem::HEADER_FIELD;
                    let error = IcmpError::Problem { code, pointer, even_if_multicast: false };
                    self.send_error(now, meta, fragment.packet, error);
                }
                return;
            }
            reassembly::Arrival::Complete(datagram) => datagram,
        };
        self.counters.datagrams_reassembled += 1;
        let packet = whole_packet(meta, &datagram);
        let arrival = self.ip.classify_reassembled(meta.interface, &packet);
        self.handle_arrival(now, meta.interface, &arrival);
    }

    fn handle_whole(&mut self, now: Instant, whole: &Whole<'_>) {
        let meta = &whole.meta;
        self.counters.packets_delivered += 1;
        match (meta.protocol, meta.dst) {
            (Protocol::TCP, _) => {
                self.handle_tcp(now, whole, &[]);
            }
            (Protocol::UDP, _) => self.handle_udp(now, whole),
            (Protocol::ICMP, IpAddr::V4(_)) => self.handle_icmp_v4(now, whole),
            (Protocol::ICMPV6, IpAddr::V6(_)) => self.handle_icmp_v6(now, whole),
            (Protocol::IGMP, IpAddr::V4(_)) => self.handle_igmp(now, whole),
            (Protocol::NO_NEXT_HEADER, IpAddr::V6(_)) => {} // RFC 8200 4.7
            _ => {
                self.drop_packet(now, meta.interface, DropReason::UnknownProtocol);
                let pointer = whole.named_at as u32;
                self.send_error(now, meta, whole.packet, IcmpError::ProtocolUnreachable { pointer });
            }
        }
    }

    fn handle_udp(&mut self, now: Instant, whole: &Whole<'_>) {
        let (udp, mut cx) = self.udp_and_cx();
        let Err(reason) = udp.handle_datagram(now, &mut cx, &whole.meta, whole.payload) else { return };
        self.drop_packet(now, whole.meta.interface, reason);
        if reason == DropReason::NoSocket {
            // RFC 1122 4.1.3.1: a datagram to a port without a socket is answered.
            self.send_error(now, &whole.meta, whole.packet, IcmpError::PortUnreachable);
        }
    }

    /// Hands frames to the sinks, until nobody has more to send, the sinks are full, or the turn is over. Packets to ourselves are
    /// handled meanwhile. Returns how many frames went; call again when the sinks have room.
    pub fn poll_transmit(&mut self, now: Instant, outlets: &mut impl Outlets) -> usize {
        // Most calls end here: the one that follows the last frame, and those of an owner who asks too often.
        if !self.has_anything_to_do() {
            self.unfinished = false;
            return 0;
        }
        self.turn(now, outlets)
    }

    /// Whether a turn would do anything but look.
    #[inline]
    fn has_anything_to_do(&self) -> bool {
        self.has_output()
            || self.udp.has_starved()
            || self.tcp.has_waiting()
            || !self.ip.interfaces.iter().all(|interface| interface.groups.is_silent())
    }

    fn turn(&mut self, now: Instant, outlets: &mut dyn Outlets) -> usize {
        let frames_max = self.turn_frames_max;
        let mut sent = 0;
        let mut looped = 0;
        let mut begun = false;
        loop {
            self.send_group_reports(now);
            if !self.has_output() && !self.udp.has_starved() && !self.tcp.has_waiting() {
                break;
            }
            let mut progress = if self.ip.control.is_empty() {
                0
            } else {
                self.ip.flush_control(outlets, &mut self.counters, frames_max - sent)
            };
            // Half of what is left for the transport that begins, the rest for both; who begins changes with every turn that has
            // something to send, and not with its passes: as many in each turn, and always the same one would begin.
            if !core::mem::replace(&mut begun, true) {
                self.udp_first = !self.udp_first;
            }
            for udp in [self.udp_first, !self.udp_first] {
                let left = frames_max.saturating_sub(sent + progress);
                let share = if udp == self.udp_first { left.div_ceil(2) } else { left };
                if udp && (self.udp.has_output() || self.udp.has_starved()) {
                    let (udp, mut cx) = self.udp_and_cx();
                    progress += udp.poll_transmit(now, &mut cx, outlets, share);
                } else if !udp && (self.tcp.has_output() || self.tcp.has_waiting()) {
                    let (tcp, mut floor) = self.tcp_and_floor(outlets);
                    progress += tcp.poll_transmit(now, &mut floor, share);
                }
            }
            sent += progress;
            let before = looped;
            if !self.ip.loopback.is_empty() {
                looped += self.handle_loopback(now, LOOPBACK_TURN - looped);
            }
            if sent >= frames_max || (progress == 0 && looped == before) {
                break;
            }
        }
        self.unfinished = !self.ip.loopback.is_empty() || sent >= frames_max;
        sent
    }

    /// Takes at most `packets_max` of the packets to ourselves; returns how many. Out of line, since few turns have any.
    #[inline(never)]
    fn handle_loopback(&mut self, now: Instant, packets_max: usize) -> usize {
        let mut taken = 0;
        while taken < packets_max
            && let Some(packet) = self.ip.loopback.pop()
        {
            taken += 1;
            let arrival = self.ip.classify_loopback(&packet);
            self.handle_arrival(now, InterfaceId::LOOPBACK, &arrival);
            self.ip.loopback.recycle(packet);
        }
        taken
    }

    /// Does what time has come for.
    pub fn handle_deadline(&mut self, now: Instant) {
        self.ip.handle_address_deadlines(now, &mut self.counters, &mut self.events);
        self.ip.handle_router_deadlines(now, &mut self.counters, &mut self.events);
        self.ip.routes.handle_deadline(now);
        self.ip.path_mtus.handle_deadline(now);
        while let Some(expired) = self.ip.reassembly.poll_expired(now) {
            self.drop_packet(now, InterfaceId::LOOPBACK, DropReason::ReassemblyTimeout);
            if let Some(first) = expired.first_packet {
                let meta = meta_of_expired(&expired.key);
                // RFC 792, RFC 8200 4.5: told only if the first fragment came.
                if !meta.dst.is_multicast() {
                    self.send_error(now, &meta, &first, IcmpError::ReassemblyTimeout);
                }
            }
        }
        let mut undeliverable = Vec::new();
        self.ip.handle_neighbor_deadlines(now, &mut self.counters, &mut self.events, |_, packet| {
            undeliverable.push(packet[..packet.len().min(128)].to_vec());
        });
        for packet in undeliverable {
            // The neighbour does not answer: what a router would say of it, we say to ourselves (RFC 4861 7.2.2).
            if let Some(quoted) = Quoted::parse(&packet) {
                self.apply_verdict(now, Verdict::Unreachable(tcp::Unreachable::Neighbor), &quoted);
            }
        }
        self.send_group_reports(now);
        let mut nowhere = NoOutlets;
        let (tcp, mut floor) = self.tcp_and_floor(&mut nowhere);
        tcp.handle_timers(now, &mut floor);
    }

    /// When [`handle_deadline`](Self::handle_deadline) is wanted next; a moment that has passed means "now". What waits for room in
    /// a sink has no deadline: the sink's owner knows when there is some.
    pub fn next_deadline(&self, now: Instant) -> Option<Instant> {
        if self.unfinished {
            return Some(now);
        }
        [self.ip.next_deadline(), self.tcp.next_deadline(now)].into_iter().flatten().min()
    }

    /// Whether [`poll_transmit`](Self::poll_transmit) has something to do.
    pub fn has_output(&self) -> bool {
        !self.ip.control.is_empty()
            || !self.ip.loopback.is_empty()
            || self.udp.has_output()
            || self.tcp.has_output()
    }

    /// The next socket to which something happened, and what.
    pub fn poll_ready(&mut self) -> Option<(Handle, Readiness)> {
        while let Some(place) = self.ready.pop() {
            let found = match place {
                ReadyPlace::Tcp(index) => {
                    self.tcp.take_readiness(index).map(|(h, bits)| (Handle::Tcp(h), bits))
                }
                ReadyPlace::Udp(index) => {
                    self.udp.take_readiness(index).map(|(h, bits)| (Handle::Udp(h), bits))
                }
            };
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// Whether any socket has something to report.
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The oldest event, if events are on.
    pub fn poll_event(&mut self) -> Option<(Instant, Event)> {
        self.events.poll()
    }

    /// What passed and what did not.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Gives an interface one more address.
    pub fn add_address(
        &mut self,
        now: Instant,
        interface: InterfaceId,
        prefix: Prefix,
    ) -> Result<(), AddressError> {
        self.ip.add_address(now, interface, prefix, &mut self.events)
    }

    /// Takes an address away; false: it was not there. Its connections find out by their own means, as on any host.
    pub fn remove_address(&mut self, now: Instant, interface: InterfaceId, addr: IpAddr) -> bool {
        self.ip.remove_address(now, interface, addr, AddressChange::Removed, &mut self.events)
    }

    /// The addresses of an interface.
    pub fn addresses(&self, interface: InterfaceId) -> &[Address] {
        self.ip.interface(interface).map_or(&[], |interface| &interface.addresses)
    }

    /// Adds a route, or replaces the one with the same prefix, gateway and interface.
    pub fn add_route(&mut self, route: Route) -> Result<(), RouteTableFull> {
        self.ip.routes.add(route)
    }

    /// Removes the routes that `which` names; returns how many.
    pub fn remove_routes(&mut self, which: impl FnMut(&Route) -> bool) -> usize {
        self.ip.routes.remove(which)
    }

    /// The routes, in the order in which they match.
    pub fn routes(&self) -> impl Iterator<Item = &Route> {
        self.ip.routes.iter()
    }

    /// The neighbours that are known, in no particular order.
    pub fn neighbors(&self) -> impl Iterator<Item = (InterfaceId, IpAddr, MacAddr, NeighborState)> + '_ {
        self.ip.neighbors.iter()
    }

    /// The largest packet to `dst` that its path is known to take; `None`: no route.
    pub fn path_mtu(&mut self, now: Instant, dst: IpAddr) -> Option<u32> {
        Some(self.ip.path(now, dst, None).ok()?.mtu)
    }

    /// Bytes that socket buffers hold.
    pub fn buffer_bytes(&mut self) -> usize {
        self.tcp.memory_mut().budget.used()
    }

    /// TCP and the floor that it stands on, for one call.
    pub(crate) fn tcp_and_floor<'a>(
        &'a mut self,
        outlets: &'a mut dyn Outlets,
    ) -> (&'a mut TcpHost, IpFloor<'a>) {
        let floor = IpFloor {
            ip: &mut self.ip,
            outlets,
            counters: &mut self.counters,
            events: &mut self.events,
            ready: &mut self.ready,
        };
        (&mut self.tcp, floor)
    }

    fn udp_and_cx(&mut self) -> (&mut UdpHost, UdpCx<'_>) {
        let cx = UdpCx {
            ip: &mut self.ip,
            budget: &mut self.tcp.memory_mut().budget,
            counters: &mut self.counters,
            events: &mut self.events,
            ready: &mut self.ready,
        };
        (&mut self.udp, cx)
    }

    fn drop_packet(&mut self, now: Instant, interface: InterfaceId, reason: DropReason) {
        self.counters.drop_packet(reason);
        self.events.record(now, || Event::Dropped { interface, reason });
    }

    fn send_error(&mut self, now: Instant, meta: &IpMeta, original: &[u8], error: IcmpError) {
        self.ip.send_error(now, &mut self.counters, &mut self.events, meta, original, error);
    }

    #[inline]
    fn send_group_reports(&mut self, now: Instant) {
        for index in 0..self.ip.interfaces.len() {
            // Over a link that nobody announces groups on, none ever waits.
            while !self.ip.interfaces[index].groups.is_silent() {
                let random = &mut self.ip.random;
                let interface = &mut self.ip.interfaces[index];
                let Some(message) = interface.groups.poll(now, || random.next_u64()) else { break };
                let id = interface.id;
                self.ip.send_group_message(now, &mut self.counters, id, message);
            }
        }
    }
}

/// The packet that a reassembled datagram would have been.
fn whole_packet(meta: &IpMeta, datagram: &reassembly::Datagram) -> Vec<u8> {
    let payload_len = datagram.data.len() as u16; // reassembly keeps datagrams within 65,535 octets
    let (header_len, mut packet) = match (meta.src, meta.dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let mut packet = vec![0; ipv4::HEADER_LEN + datagram.data.len()];
            let mut header = ipv4::Header::new(src, dst, datagram.protocol, meta.hop_limit, payload_len);
            header.ecn = datagram.ecn;
            header.dscp = meta.dscp;
            (header.emit(&mut packet), packet)
        }
        (src, dst) => {
            let v6 = |addr| match addr {
                IpAddr::V6(addr) => addr,
                IpAddr::V4(_) => Ipv6Addr::UNSPECIFIED,
            };
            let mut packet = vec![0; ipv6::HEADER_LEN + datagram.data.len()];
            let mut header =
                ipv6::Header::new(v6(src), v6(dst), datagram.protocol, meta.hop_limit, payload_len);
            header.ecn = datagram.ecn;
            header.dscp = meta.dscp;
            (header.emit(&mut packet), packet)
        }
    };
    packet[header_len..].copy_from_slice(&datagram.data);
    packet
}

/// Enough of a meta to answer the sender of a datagram that never came together.
fn meta_of_expired(key: &reassembly::DatagramKey) -> IpMeta {
    IpMeta {
        interface: InterfaceId::LOOPBACK,
        src: key.src,
        dst: key.dst,
        protocol: Protocol(key.protocol),
        ecn: wire::ip::Ecn::NotEct,
        dscp: 0,
        hop_limit: 0,
        delivery: if is_group(key.dst) { Delivery::Multicast } else { Delivery::Unicast },
        checksum_ok: false,
        gso_size: 0,
    }
}

fn is_group(addr: IpAddr) -> bool {
    addr.is_multicast() || addr == IpAddr::V4(Ipv4Addr::BROADCAST)
}
