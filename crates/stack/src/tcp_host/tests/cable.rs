//! The cable: hosts that hear one another's segments, and a clock.

use crate::config::Config;
use crate::counters::Counters;
use crate::events::Events;
use crate::frame::InterfaceId;
use crate::ip::{Delivery, IpMeta};
use crate::random::Secret;
use crate::ready::{Readiness, ReadyPlace, ReadyQueue, TcpHandle};
use crate::socket::error::{ConnectError, RecvError, SendError};
use crate::socket::options::TcpOption;
use crate::tcp_host::TcpHost;
use crate::tcp_host::below::{Below, Limits, NotSent, Packet};
use std::collections::VecDeque;
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::time::Duration;
use tcp::{Instant, SendFlags, State};
use wire::ip::{Ecn, Protocol};
use wire::tcp::Header;

/// The client's place in the world.
pub(super) const A: usize = 0;
/// The server's.
pub(super) const B: usize = 1;

/// A segment on the cable.
pub(super) struct Flying {
    pub(super) src: IpAddr,
    pub(super) dst: IpAddr,
    pub(super) ecn: Ecn,
    pub(super) bytes: Vec<u8>,
}

impl Flying {
    pub(super) fn header(&self) -> Header {
        Header::parse(&wire::tcp::Packet::new(&self.bytes).expect("we wrote it"))
    }
}

/// The end of a cable, as a floor below.
pub(super) struct Socket {
    pub(super) addrs: Vec<IpAddr>,
    pub(super) out: VecDeque<Flying>,
    pub(super) mtu: u32,
    pub(super) tso_max: u32,
    pub(super) room: usize,
    pub(super) routed: bool,
    pub(super) counters: Counters,
    pub(super) events: Events,
    pub(super) ready: ReadyQueue,
}

impl Below for Socket {
    type Path = ();

    fn path(&mut self, _now: Instant, _dst: IpAddr) -> Option<((), Limits)> {
        self.routed.then_some(((), Limits { mtu: self.mtu, link_mtu: self.mtu, tso_max: self.tso_max }))
    }

    fn choose_source(&self, dst: IpAddr) -> Option<IpAddr> {
        if !self.routed {
            return None;
        }
        self.addrs.iter().copied().find(|addr| addr.is_ipv4() == dst.is_ipv4())
    }

    fn may_bind(&self, addr: IpAddr) -> bool {
        self.addrs.contains(&addr)
    }

    fn room(&mut self, _path: &()) -> usize {
        self.room.saturating_sub(self.out.len())
    }

    fn emit(&mut self, _now: Instant, _path: &(), packet: &Packet<'_>) -> Result<(), NotSent> {
        let header_len = packet.header.header_len();
        let mut bytes = vec![0; header_len + packet.text.len()];
        packet.header.emit(&mut bytes);
        packet.text.clone().copy_to(&mut bytes[header_len..]);
        if packet.text.len() <= usize::from(packet.segment_size) {
            assert!(bytes.len() as u32 + 20 <= self.mtu, "no segment is larger than the path");
        }
        self.out.push_back(Flying { src: packet.src, dst: packet.dst, ecn: packet.ecn, bytes });
        Ok(())
    }

    fn counters(&mut self) -> &mut Counters {
        &mut self.counters
    }

    fn events(&mut self) -> &mut Events {
        &mut self.events
    }

    fn ready(&mut self) -> &mut ReadyQueue {
        &mut self.ready
    }
}

/// A host and its end of the cable.
pub(super) struct Host {
    pub(super) tcp: TcpHost,
    pub(super) floor: Socket,
}

/// Two hosts, one cable, one clock.
pub(super) struct World {
    pub(super) now: Instant,
    pub(super) hosts: [Host; 2],
    /// The line is cut: what is sent is lost.
    pub(super) cut: bool,
}

pub(super) fn addr(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(super) fn with(change: impl Fn(&mut Config)) -> Self {
        let now = Instant::from_secs(1_000);
        let host = |seed: u64, addrs: &[&str]| {
            let mut config = Config::default();
            change(&mut config);
            Host {
                tcp: TcpHost::new(&config, &Secret::from_seed(seed), now),
                floor: Socket {
                    addrs: addrs.iter().map(|text| text.parse().expect("an address")).collect(),
                    out: VecDeque::new(),
                    mtu: 1500,
                    tso_max: 0,
                    room: 1 << 16,
                    routed: true,
                    counters: Counters::default(),
                    events: Events::new(0),
                    ready: ReadyQueue::default(),
                },
            }
        };
        World {
            now,
            hosts: [host(1, &["10.0.0.1", "fd00::1"]), host(2, &["10.0.0.2", "10.0.0.3", "fd00::2"])],
            cut: false,
        }
    }

    /// Hands one segment to a host.
    pub(super) fn deliver(&mut self, to: usize, flying: &Flying) {
        let packet = wire::tcp::Packet::new(&flying.bytes).expect("we wrote it");
        let meta = IpMeta {
            interface: InterfaceId(0),
            src: flying.src,
            dst: flying.dst,
            protocol: Protocol::TCP,
            ecn: flying.ecn,
            dscp: 0,
            hop_limit: 64,
            delivery: Delivery::Unicast,
            checksum_ok: true,
            gso_size: 0,
        };
        let Host { tcp, floor } = &mut self.hosts[to];
        tcp.handle_segment(self.now, floor, &meta, &packet);
    }

    /// What a host wants to send now, taken off the cable.
    pub(super) fn take(&mut self, from: usize) -> Vec<Flying> {
        let Host { tcp, floor } = &mut self.hosts[from];
        while tcp.poll_transmit(self.now, floor, 64) > 0 {}
        floor.out.drain(..).collect()
    }

    /// Lets segments pass until nobody has any more, without time passing.
    pub(super) fn settle(&mut self) {
        loop {
            let mut quiet = true;
            for from in [A, B] {
                for flying in self.take(from) {
                    quiet = false;
                    if !self.cut {
                        self.deliver(1 - from, &flying);
                    }
                }
            }
            if quiet {
                return;
            }
        }
    }

    /// Lets time pass, timers fire and segments fly.
    pub(super) fn advance(&mut self, span: Duration) {
        let end = self.now + span;
        self.settle();
        loop {
            let deadline = self.hosts.iter().filter_map(|host| host.tcp.next_deadline(self.now)).min();
            self.now = deadline.unwrap_or(end).max(self.now).min(end);
            for Host { tcp, floor } in &mut self.hosts {
                tcp.handle_timers(self.now, floor);
            }
            self.settle();
            if self.now == end && deadline.is_none_or(|deadline| deadline > end) {
                return;
            }
        }
    }

    pub(super) fn listen(&mut self, at: usize, local: &str, backlog: u32) -> TcpHandle {
        let Host { tcp, floor } = &mut self.hosts[at];
        let handle = tcp.socket().expect("room");
        tcp.set_option(self.now, floor, handle, TcpOption::ReuseAddress(true)).expect("a fresh socket");
        tcp.bind(floor, handle, addr(local)).expect("the address is free");
        tcp.listen(floor, handle, backlog).expect("nobody else listens");
        handle
    }

    pub(super) fn connect(&mut self, at: usize, remote: &str) -> TcpHandle {
        self.try_connect(at, addr(remote)).expect("connect begins")
    }

    pub(super) fn try_connect(&mut self, at: usize, remote: SocketAddr) -> Result<TcpHandle, ConnectError> {
        let Host { tcp, floor } = &mut self.hosts[at];
        let handle = tcp.socket().expect("room");
        tcp.connect(self.now, floor, handle, remote).map(|()| handle)
    }

    pub(super) fn accept(&mut self, at: usize, listener: TcpHandle) -> Option<TcpHandle> {
        let Host { tcp, floor } = &mut self.hosts[at];
        tcp.accept(floor, listener).ok().map(|(handle, _)| handle)
    }

    /// A connection from A to B, open at both ends.
    pub(super) fn pair(&mut self) -> (TcpHandle, TcpHandle) {
        let listener = self.listen(B, "10.0.0.2:80", 16);
        let client = self.connect(A, "10.0.0.2:80");
        self.settle();
        let server = self.accept(B, listener).expect("the handshake is over");
        (client, server)
    }

    pub(super) fn try_send(&mut self, at: usize, handle: TcpHandle, data: &[u8]) -> Result<usize, SendError> {
        let Host { tcp, floor } = &mut self.hosts[at];
        tcp.send(self.now, floor, handle, data, SendFlags::default())
    }

    pub(super) fn send(&mut self, at: usize, handle: TcpHandle, data: &[u8]) {
        assert_eq!(self.try_send(at, handle, data), Ok(data.len()));
    }

    pub(super) fn try_recv(&mut self, at: usize, handle: TcpHandle) -> Result<Vec<u8>, RecvError> {
        let Host { tcp, floor } = &mut self.hosts[at];
        let mut out = vec![0; 100_000];
        tcp.recv(self.now, floor, handle, &mut out, false).map(|len| out[..len].to_vec())
    }

    pub(super) fn shutdown(&mut self, at: usize, handle: TcpHandle) {
        let Host { tcp, floor } = &mut self.hosts[at];
        tcp.shutdown(self.now, floor, handle, Shutdown::Write).expect("a connection");
    }

    pub(super) fn close(&mut self, at: usize, handle: TcpHandle) {
        let Host { tcp, floor } = &mut self.hosts[at];
        tcp.close(self.now, floor, handle).expect("it was open");
    }

    pub(super) fn state(&self, at: usize, handle: TcpHandle) -> Option<State> {
        self.hosts[at].tcp.state(handle)
    }

    /// Everything that was raised for a socket and not asked for yet.
    pub(super) fn readiness(&mut self, at: usize, handle: TcpHandle) -> Readiness {
        let Host { tcp, floor } = &mut self.hosts[at];
        let mut all = Readiness::NONE;
        while let Some(ready) = floor.ready.pop() {
            if let ReadyPlace::Tcp(place) = ready
                && let Some((ready, bits)) = tcp.take_readiness(place)
                && ready == handle
            {
                all |= bits;
            }
        }
        all
    }
}
