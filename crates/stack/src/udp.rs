//! UDP: sockets' datagrams in and out.
//! Spec: RFC 768, RFC 1122 4.1, RFC 8200 8.1 (checksums over IPv6), RFC 8085 (what its users should do), RFC 1112 (groups).
//! Owns: the sockets and who is bound to which port. Borrows: IP and the byte budget, for each call.
//! Invariants: a port and address belong to one socket; every queue has its bound and counts what it refused; a socket is in the
//! output queue at most once, and only with something to send.
//! Not here: the calls of a program and their errors (`socket::udp`), ICMP messages themselves (`ip::icmp`).

pub(crate) mod queue;

use crate::config::UdpConfig;
use crate::counters::{Counters, DropReason};
use crate::events::{Direction, Event, Events};
use crate::frame::{InterfaceId, Outlets};
use crate::ip::output::{Outgoing, Pieces, SendError};
use crate::ip::{Delivery, Fragmentation, Ip, IpMeta};
use crate::random::{HashKey, Random, Secret};
use crate::ready::{Handle, Readiness, ReadyQueue, UdpHandle};
use crate::slab::Slab;
use hashbrown::HashMap;
use queue::{DatagramQueue, Full};
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use tcp::{Budget, Instant, Purpose};
use wire::ip::{Ecn, Protocol, pseudo};
use wire::udp;

/// What is known of a datagram that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) remote: SocketAddr,
    pub(crate) local: IpAddr,
    pub(crate) interface: InterfaceId,
    pub(crate) ecn: Ecn,
    pub(crate) hop_limit: u8,
    /// Datagrams of this size were joined, the last may be shorter; 0: one.
    pub(crate) segment_size: u16,
}

/// What is known of a datagram to be sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ToSend {
    pub(crate) out: Outgoing,
    pub(crate) remote_port: u16,
    /// Cut into datagrams of this size; 0: one.
    pub(crate) segment_size: u16,
}

/// A socket.
#[derive(Debug)]
pub(crate) struct UdpSocket {
    pub(crate) local: SocketAddr,
    pub(crate) remote: Option<SocketAddr>,
    pub(crate) v6_only: bool,
    pub(crate) interface: Option<InterfaceId>,
    pub(crate) options: super::socket::udp::UdpOptions,
    pub(crate) groups: Vec<(InterfaceId, IpAddr)>,
    pub(crate) received: DatagramQueue<Received>,
    pub(crate) to_send: DatagramQueue<ToSend>,
    /// Octets of the front datagram that have left already, when it is cut.
    sent_of_front: usize,
    pub(crate) pending: Readiness,
    in_output: bool,
    /// A send was refused for lack of room: the program is told when there is some.
    pub(crate) wants_room: bool,
    /// The peer's host said that nobody listens.
    pub(crate) refused: bool,
    pub(crate) dropped: u64,
}

impl UdpSocket {
    /// Whether datagrams to `dst` may be its.
    fn covers(&self, dst: IpAddr) -> bool {
        match self.local.ip() {
            IpAddr::V4(addr) if addr.is_unspecified() => dst.is_ipv4(),
            IpAddr::V6(addr) if addr.is_unspecified() => dst.is_ipv6() || !self.v6_only,
            addr => addr == dst,
        }
    }

    /// Whether two sockets would hear the same datagrams.
    fn collides(&self, addr: IpAddr, v6_only: bool, interface: Option<InterfaceId>) -> bool {
        let other_covers = |of: IpAddr| match addr {
            IpAddr::V4(a) if a.is_unspecified() => of.is_ipv4(),
            IpAddr::V6(a) if a.is_unspecified() => of.is_ipv6() || !v6_only,
            a => a == of,
        };
        let both_any_v6 =
            self.local.ip().is_unspecified() && addr.is_unspecified() && !(self.v6_only && v6_only);
        let families_meet = self.local.is_ipv4() == addr.is_ipv4() || both_any_v6;
        let on_one_link = self.interface.is_none() || interface.is_none() || self.interface == interface;
        on_one_link && families_meet && (self.covers(addr) || other_covers(self.local.ip()))
    }
}

/// The UDP of one host.
#[derive(Debug)]
pub(crate) struct UdpHost {
    pub(crate) sockets: Slab<UdpSocket>,
    ports: HashMap<u16, Vec<u32>, HashKey>,
    output: VecDeque<u32>,
    /// Sockets whose send found the budget spent.
    starved: VecDeque<u32>,
    random: Random,
    ephemeral: (u16, u16),
    pub(crate) config: UdpConfig,
}

/// The floor and the rooms that UDP works with in one call.
pub(crate) struct UdpCx<'a> {
    pub(crate) ip: &'a mut Ip,
    pub(crate) budget: &'a mut Budget,
    pub(crate) counters: &'a mut Counters,
    pub(crate) events: &'a mut Events,
    pub(crate) ready: &'a mut ReadyQueue,
}

/// A port that is taken, or a table that is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BindRefused {
    InUse,
    NoPorts,
    TooManySockets,
}

impl UdpHost {
    pub(crate) fn new(config: &UdpConfig, ephemeral: (u16, u16), secret: &Secret) -> Self {
        Self {
            sockets: Slab::new(),
            ports: HashMap::with_hasher(secret.key("udp ports")),
            output: VecDeque::new(),
            starved: VecDeque::new(),
            random: Random::new(secret, "udp ports"),
            ephemeral,
            config: config.clone(),
        }
    }

    /// The socket of a handle, if it still exists.
    pub(crate) fn get(&self, handle: UdpHandle) -> Option<&UdpSocket> {
        let current = self.sockets.generation(handle.index)? == handle.generation;
        self.sockets.get(handle.index).filter(|_| current)
    }

    /// The socket of a handle, if it still exists.
    pub(crate) fn get_mut(&mut self, handle: UdpHandle) -> Option<&mut UdpSocket> {
        let current = self.sockets.generation(handle.index)? == handle.generation;
        self.sockets.get_mut(handle.index).filter(|_| current)
    }

    fn handle(&self, index: u32) -> UdpHandle {
        UdpHandle { index, generation: self.sockets.generation(index).unwrap_or(0) }
    }

    /// The socket at a place, and what happened to it since it was last asked; nothing if there is none, or nothing happened.
    pub(crate) fn take_readiness(&mut self, index: u32) -> Option<(UdpHandle, Readiness)> {
        let handle = self.handle(index);
        let bits = std::mem::take(&mut self.sockets.get_mut(index)?.pending);
        (!bits.is_empty()).then_some((handle, bits))
    }

    /// Makes a socket at `local`; port 0 picks one (RFC 6056 3.3.1: at random, then onwards).
    pub(crate) fn bind(
        &mut self,
        local: SocketAddr,
        v6_only: bool,
        interface: Option<InterfaceId>,
        options: super::socket::udp::UdpOptions,
    ) -> Result<UdpHandle, BindRefused> {
        if self.sockets.len() >= self.config.sockets_max {
            return Err(BindRefused::TooManySockets);
        }
        let is_free = |host: &Self, port: u16| {
            host.ports.get(&port).is_none_or(|bound| {
                !bound.iter().any(|&index| {
                    host.sockets.get(index).is_some_and(|s| s.collides(local.ip(), v6_only, interface))
                })
            })
        };
        let port = if local.port() == 0 {
            let (first, last) = self.ephemeral;
            let count = u64::from(last - first) + 1;
            let start = self.random.below(count);
            let ports = (0..count).map(|i| first + ((start + i) % count) as u16);
            ports.into_iter().find(|&port| is_free(self, port)).ok_or(BindRefused::NoPorts)?
        } else if is_free(self, local.port()) {
            local.port()
        } else {
            return Err(BindRefused::InUse);
        };
        let queue_max = self.config.queue_datagrams_max;
        let (index, generation) = self.sockets.insert(UdpSocket {
            local: SocketAddr::new(local.ip(), port),
            remote: None,
            v6_only,
            interface,
            options,
            groups: Vec::new(),
            received: DatagramQueue::new(self.config.receive_bytes_max, queue_max),
            to_send: DatagramQueue::new(self.config.send_bytes_max, queue_max),
            sent_of_front: 0,
            pending: Readiness::NONE,
            in_output: false,
            wants_room: false,
            refused: false,
            dropped: 0,
        });
        self.ports.entry(port).or_default().push(index);
        Ok(UdpHandle { index, generation })
    }

    /// Ends a socket. What it had still to send goes with it, as its program chose not to wait.
    pub(crate) fn close(&mut self, handle: UdpHandle, budget: &mut Budget) -> Option<UdpSocket> {
        self.get(handle)?;
        let mut socket = self.sockets.remove(handle.index)?;
        let port = socket.local.port();
        if let Some(bound) = self.ports.get_mut(&port) {
            bound.retain(|&index| index != handle.index);
            if bound.is_empty() {
                self.ports.remove(&port);
            }
        }
        socket.received.clear(budget);
        socket.to_send.clear(budget);
        Some(socket)
    }

    /// The socket that a datagram between these ends is for: the connected one, then the bound one, then the one bound to any
    /// address (Linux's scores).
    fn find(&self, local: SocketAddr, remote: SocketAddr, interface: InterfaceId) -> Option<u32> {
        let bound = self.ports.get(&local.port())?;
        let mut best: Option<(u32, u8)> = None;
        for &index in bound {
            let Some(socket) = self.sockets.get(index) else { continue };
            let hears =
                socket.interface.is_none_or(|id| id == interface || interface == InterfaceId::LOOPBACK);
            if !hears || !socket.covers(local.ip()) || socket.remote.is_some_and(|peer| peer != remote) {
                continue;
            }
            let score = u8::from(socket.remote.is_some()) * 4
                + u8::from(!socket.local.ip().is_unspecified()) * 2
                + u8::from(socket.local.is_ipv4() == local.is_ipv4());
            if best.is_none_or(|(_, least)| score > least) {
                best = Some((index, score));
            }
        }
        best.map(|(index, _)| index)
    }

    /// A whole datagram arrived. `Err` says why nobody took it; `NoSocket` wants a port unreachable.
    pub(crate) fn handle_datagram(
        &mut self,
        now: Instant,
        cx: &mut UdpCx<'_>,
        meta: &IpMeta,
        payload: &[u8],
    ) -> Result<(), DropReason> {
        let packet = udp::Packet::new(payload).map_err(|_| DropReason::Malformed)?;
        match packet.checksum() {
            // RFC 768: the sender made none. RFC 8200 8.1: over IPv6 that is forbidden.
            0 if meta.dst.is_ipv4() => {}
            0 => return Err(DropReason::BadChecksum),
            _ if meta.checksum_ok => {}
            _ => {
                let sum = pseudo(meta.src, meta.dst, Protocol::UDP, packet.datagram_len());
                if !sum.is_some_and(|sum| packet.checksum_is_valid(sum)) {
                    return Err(DropReason::BadChecksum);
                }
            }
        }
        if packet.dst_port() == 0 {
            return Err(DropReason::Malformed);
        }
        let (local, remote) =
            (SocketAddr::new(meta.dst, packet.dst_port()), SocketAddr::new(meta.src, packet.src_port()));
        cx.events.record(now, || Event::Datagram {
            direction: Direction::Received,
            src: remote,
            dst: local,
            payload_len: packet.payload().len() as u32,
        });
        if meta.delivery == Delivery::Unicast {
            let index = self.find(local, remote, meta.interface).ok_or(DropReason::NoSocket)?;
            return self.deliver(cx, index, meta, remote, packet.payload());
        }
        // RFC 1112 7.1, RFC 1122 4.1.3.5 and 3.3.6: one copy to each socket that listens.
        let mut verdict = Err(DropReason::NoSocket);
        for at in 0.. {
            let Some(&index) = self.ports.get(&local.port()).and_then(|bound| bound.get(at)) else { break };
            let Some(socket) = self.sockets.get(index) else { continue };
            let listens = match meta.delivery {
                Delivery::Multicast => socket.groups.iter().any(|&(id, group)| {
                    group == meta.dst && (id == meta.interface || meta.interface == InterfaceId::LOOPBACK)
                }),
                _ => socket.covers(meta.dst),
            };
            if listens && socket.remote.is_none_or(|peer| peer == remote) {
                verdict = self.deliver(cx, index, meta, remote, packet.payload()).or(verdict);
            }
        }
        // Nobody is told that a group's or a broadcast's datagram had no taker (RFC 1122 3.2.2).
        verdict.map_err(
            |reason| if reason == DropReason::NoSocket { DropReason::NotForThisHost } else { reason },
        )
    }

    fn deliver(
        &mut self,
        cx: &mut UdpCx<'_>,
        index: u32,
        meta: &IpMeta,
        remote: SocketAddr,
        data: &[u8],
    ) -> Result<(), DropReason> {
        let handle = self.handle(index);
        let socket = self.sockets.get_mut(index).ok_or(DropReason::NoSocket)?;
        let received = Received {
            remote,
            local: meta.dst,
            interface: meta.interface,
            ecn: meta.ecn,
            hop_limit: meta.hop_limit,
            segment_size: 0,
        };
        let joined = meta.gso_size > 0 && usize::from(meta.gso_size) < data.len();
        let mut verdict = Ok(());
        if joined && !socket.options.takes_joined {
            for piece in data.chunks(usize::from(meta.gso_size)) {
                verdict = enqueue(socket, cx, received, piece).or(verdict);
            }
        } else {
            let segment_size = if joined { meta.gso_size } else { 0 };
            verdict = enqueue(socket, cx, Received { segment_size, ..received }, data);
        }
        if !socket.received.is_empty() {
            cx.ready.raise(Handle::Udp(handle), &mut socket.pending, Readiness::READABLE);
        }
        verdict
    }

    /// An ICMP error quotes a datagram of ours from `local` to `remote`. Only a connected socket can know whom it concerns (RFC 1122
    /// 4.1.3.3), and only "nobody listens" is final. Returns whether some socket could have sent the datagram.
    pub(crate) fn handle_unreachable(
        &mut self,
        ready: &mut ReadyQueue,
        local: SocketAddr,
        remote: SocketAddr,
        is_final: bool,
    ) -> bool {
        let Some(index) = self.find(local, remote, InterfaceId::LOOPBACK) else { return false };
        let handle = self.handle(index);
        let Some(socket) = self.sockets.get_mut(index) else { return false };
        if is_final && socket.remote == Some(remote) {
            socket.refused = true;
            ready.raise(Handle::Udp(handle), &mut socket.pending, Readiness::ERROR | Readiness::READABLE);
        }
        true
    }

    /// Puts a socket with something to send in line.
    pub(crate) fn schedule(&mut self, handle: UdpHandle) {
        if let Some(socket) = self.get_mut(handle)
            && !socket.in_output
        {
            socket.in_output = true;
            self.output.push_back(handle.index);
        }
    }

    /// A send found the budget spent: the socket is told when others have given something back.
    pub(crate) fn starve(&mut self, handle: UdpHandle) {
        if !self.starved.contains(&handle.index) {
            self.starved.push_back(handle.index);
        }
    }

    /// Whether any socket has something to send.
    pub(crate) fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    /// Whether a socket waits for the budget.
    pub(crate) fn has_starved(&self) -> bool {
        !self.starved.is_empty()
    }

    /// Sends one datagram (or super-datagram) of each socket in turn, until `frames_max` are out, nothing is left, or no sink takes
    /// more. Returns how many went.
    pub(crate) fn poll_transmit(
        &mut self,
        now: Instant,
        cx: &mut UdpCx<'_>,
        outlets: &mut dyn Outlets,
        frames_max: usize,
    ) -> usize {
        let mut sent = 0;
        let mut blocked_in_a_row = 0;
        while sent < frames_max && blocked_in_a_row < self.output.len() {
            let Some(index) = self.output.pop_front() else { break };
            let handle = self.handle(index);
            let Some(socket) = self.sockets.get_mut(index) else { continue };
            match transmit_one(now, socket, cx, outlets) {
                Transmitted::Sent => {
                    sent += 1;
                    blocked_in_a_row = 0;
                }
                Transmitted::Dropped => {}
                Transmitted::Blocked => blocked_in_a_row += 1,
            }
            let free = socket.to_send.bytes_max - socket.to_send.bytes().min(socket.to_send.bytes_max);
            // A third of the buffer: waking for every datagram would cost more than it moves (Linux's sock_writeable).
            if socket.wants_room && free >= socket.to_send.bytes_max / 3 {
                socket.wants_room = false;
                cx.ready.raise(Handle::Udp(handle), &mut socket.pending, Readiness::WRITABLE);
            }
            if socket.to_send.is_empty() {
                socket.in_output = false;
            } else {
                self.output.push_back(index);
            }
        }
        while !cx.budget.under_pressure()
            && let Some(index) = self.starved.pop_front()
        {
            let handle = self.handle(index);
            if let Some(socket) = self.sockets.get_mut(index) {
                cx.ready.raise(Handle::Udp(handle), &mut socket.pending, Readiness::WRITABLE);
            }
        }
        sent
    }
}

fn enqueue(
    socket: &mut UdpSocket,
    cx: &mut UdpCx<'_>,
    received: Received,
    data: &[u8],
) -> Result<(), DropReason> {
    // `Hole`: like text out of order, a datagram that is refused may come again, and must not starve what cannot be.
    let verdict = socket.received.push(cx.budget, Purpose::Hole, received, data).map_err(|full| match full {
        Full::Queue => DropReason::SocketFull,
        Full::Budget => DropReason::BudgetSpent,
    });
    match verdict {
        Ok(()) => cx.counters.udp_received += 1,
        Err(_) => socket.dropped += 1,
    }
    verdict
}

enum Transmitted {
    Sent,
    Dropped,
    Blocked,
}

/// Sends the front datagram, or its next piece.
fn transmit_one(
    now: Instant,
    socket: &mut UdpSocket,
    cx: &mut UdpCx<'_>,
    outlets: &mut dyn Outlets,
) -> Transmitted {
    let Some((&ToSend { out, remote_port, segment_size }, len)) = socket.to_send.front() else {
        return Transmitted::Dropped;
    };
    let Ok(path) = cx.ip.path(now, out.dst, out.interface) else {
        socket.to_send.pop(cx.budget);
        cx.counters.drop_packet(DropReason::NoRoute);
        return Transmitted::Dropped;
    };
    let left = len - socket.sent_of_front;
    let segment = usize::from(segment_size);
    let ip_and_udp = crate::ip::output::ip_header_len(out.dst) + udp::HEADER_LEN;
    let (take, pieces) = if segment == 0 || left <= segment {
        (left, None)
    } else {
        let fits = (path.uso_max as usize).saturating_sub(ip_and_udp) / segment * segment;
        if fits > segment && !out.dst.is_multicast() {
            (left.min(fits), Some(Pieces { size: segment_size, header_len: udp::HEADER_LEN as u16 }))
        } else {
            (segment, None)
        }
    };
    let pieces = pieces.filter(|_| take > segment);
    let offset = socket.sent_of_front;
    let queue = &socket.to_send;
    let local_port = socket.local.port();
    let header = udp::Header { src_port: local_port, dst_port: remote_port, payload_len: take as u16 };
    let verdict =
        cx.ip.emit(now, outlets, cx.counters, &path, &out, udp::HEADER_LEN + take, pieces, |datagram| {
            header.emit(datagram);
            queue.copy_front(offset, &mut datagram[udp::HEADER_LEN..]);
        });
    match verdict {
        Ok(()) => {
            cx.counters.udp_sent += 1;
            cx.events.record(now, || Event::Datagram {
                direction: Direction::Sent,
                src: SocketAddr::new(out.src, local_port),
                dst: SocketAddr::new(out.dst, remote_port),
                payload_len: take as u32,
            });
            socket.sent_of_front += take;
        }
        Err(SendError::Blocked) => return Transmitted::Blocked,
        // The path shrank since the program was told that it fits.
        Err(SendError::TooBig(_)) => {
            cx.counters.drop_packet(DropReason::TooBig);
            socket.sent_of_front = len;
        }
    }
    if socket.sent_of_front >= len {
        socket.to_send.pop(cx.budget);
        socket.sent_of_front = 0;
    }
    if verdict.is_ok() { Transmitted::Sent } else { Transmitted::Dropped }
}

/// What a datagram with nothing special about it looks like on its way out.
pub(crate) fn outgoing(src: IpAddr, dst: IpAddr) -> Outgoing {
    Outgoing { fragmentation: Fragmentation::Allow, ..Outgoing::new(src, dst, Protocol::UDP) }
}
