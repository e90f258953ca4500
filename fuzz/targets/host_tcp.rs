//! TCP packets that a host takes seriously: valid IP, ports that are open, sequence numbers near what it expects, from
//! four peers at once, while its program accepts, echoes, connects and closes. What is asserted: nothing panics; SYN
//! cache, TIME-WAIT, sockets, orphans and buffers stay inside their bounds; left alone, all of it goes.
//!
//! A step is an octet and what it needs. Small tables, so that they fill within one input.

#![no_main]

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr};
use std::time::Duration;

use stack::frame::{Capabilities, FrameQueue, RxFrame, RxMeta};
use stack::{Config, Instant, InterfaceConfig, InterfaceId, Secret, Stack, TcpHandle, TcpHostConfig};
use tcp::SendFlags;
use wire::ip::Protocol;
use wire::tcp::{Flags, SackBlock, TcpOptions, Timestamps};
use wire::{ipv4, ipv6};

const SOCKETS_MAX: usize = 24;
const SYN_BACKLOG: usize = 4;
const TIME_WAIT_MAX: usize = 6;
const ORPHANS_MAX: usize = 5;
const BUFFERS_MAX: usize = 256 << 10;
/// The port that the host listens on.
const OPEN: u16 = 80;
/// How many of its connections the program keeps.
const KEPT_MAX: usize = 12;

/// What a peer knows of a connection from the packets that it got.
#[derive(Clone, Copy, Default)]
struct Known {
    /// The host's next sequence number.
    snd_nxt: u32,
    /// What the host expects next.
    rcv_nxt: u32,
    tsval: u32,
}

struct World {
    now: Instant,
    stack: Stack,
    listener: TcpHandle,
    kept: Vec<TcpHandle>,
    sink: FrameQueue,
    /// By peer and port of the host.
    known: BTreeMap<(u8, u16), Known>,
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut world = World::new();
    let mut tape = data;
    while let Some((&step, rest)) = tape.split_first() {
        tape = rest;
        world.step(step, &mut tape);
        world.turn();
    }
    world.end();
});

fn any(tape: &mut &[u8]) -> u8 {
    let Some((&first, rest)) = tape.split_first() else { return 0 };
    *tape = rest;
    first
}

fn wide(tape: &mut &[u8]) -> u16 {
    u16::from_le_bytes([any(tape), any(tape)])
}

/// Four peers: two speak IPv4, two IPv6.
fn peer(which: u8) -> (IpAddr, IpAddr, u16) {
    let port = 1_000 + u16::from(which & 1);
    if which & 2 == 0 {
        (Ipv4Addr::new(10, 0, 0, 9).into(), Ipv4Addr::new(10, 0, 0, 1).into(), port)
    } else {
        let at = |last| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last);
        (at(9).into(), at(1).into(), port)
    }
}

impl World {
    fn new() -> World {
        let now = Instant::from_secs(10);
        let prefix = |text: &str| text.parse().expect("a prefix");
        let tunnel = InterfaceConfig::ip(Capabilities { gro_max: 65_535, ..Capabilities::default() })
            .with_address(prefix("10.0.0.1/24"))
            .with_address(prefix("2001:db8::1/64"));
        let config = Config {
            interfaces: vec![tunnel],
            tcp: TcpHostConfig {
                sockets_max: SOCKETS_MAX,
                syn_backlog: SYN_BACKLOG,
                time_wait_max: TIME_WAIT_MAX,
                orphans_max: ORPHANS_MAX,
                replies_max: 16,
                ..TcpHostConfig::default()
            },
            buffer_bytes_max: BUFFERS_MAX,
            events_max: 16,
            ..Config::default()
        };
        let mut stack = Stack::new(&config, &Secret::from_seed(1), now).expect("a sane configuration");
        let any = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), OPEN);
        let listener = stack.tcp_listener(now, any, 2).expect("a fresh host has the port free");
        let (kept, known) = (Vec::new(), BTreeMap::new());
        World { now, stack, listener, kept, sink: FrameQueue::new(512), known }
    }

    fn step(&mut self, step: u8, tape: &mut &[u8]) {
        match step & 7 {
            0..=3 => self.segment(step, tape),
            4 => {
                let len = usize::from(any(tape)) * 64;
                for at in 0..self.kept.len() {
                    let _ = self.stack.tcp_send(self.now, self.kept[at], &vec![7; len], SendFlags::default());
                }
            }
            5 => self.now += Duration::from_millis(u64::from(step >> 3) * u64::from(any(tape)) * 13),
            6 => {
                let Some(due) = self.stack.next_deadline(self.now) else { return };
                self.now = self.now.max(due);
            }
            _ => self.call(step >> 3, any(tape)),
        }
    }

    /// What the program does.
    fn call(&mut self, what: u8, which: u8) {
        let now = self.now;
        if what & 7 == 0 && self.kept.len() < KEPT_MAX {
            let (remote, _, port) = peer(which);
            self.kept.extend(self.stack.tcp_connect_to(now, SocketAddr::new(remote, port)));
            return;
        }
        if self.kept.is_empty() {
            return;
        }
        let at = usize::from(which) % self.kept.len();
        let socket = self.kept[at];
        match what & 7 {
            1 => drop(self.stack.tcp_shutdown(now, socket, Shutdown::Write)),
            2 => drop(self.stack.tcp_shutdown(now, socket, Shutdown::Read)),
            3 | 4 => {
                let _ = self.stack.tcp_close(now, self.kept.swap_remove(at));
            }
            5 => {
                let _ = self.stack.tcp_abort(now, self.kept.swap_remove(at));
            }
            _ => {
                let mut buffer = vec![0; 70_000];
                let _ = self.stack.tcp_recv(now, socket, &mut buffer);
            }
        }
    }

    fn segment(&mut self, step: u8, tape: &mut &[u8]) {
        let (how, flags) = (any(tape), Flags::from_bits(u16::from(any(tape))));
        let which = step >> 3 & 3;
        // To the listener, or to a connection that the host has opened itself.
        let mut ports = self.known.keys().filter(|(of, port)| *of == which && *port != OPEN).map(|key| key.1);
        let to = if step & 0x20 == 0 { OPEN } else { ports.nth(usize::from(how >> 6)).unwrap_or(OPEN) };
        let known = self.known.get(&(which, to)).copied().unwrap_or_default();
        let near = |raw: u16| i32::from(raw as i16) as u32;
        // An honest peer's numbers most of the time: two octets beside them, or none.
        let (seq, ack) = if how & 1 == 0 { (0, 0) } else { (near(wide(tape)), near(wide(tape))) };
        let len = if how & 2 == 0 { 0 } else { usize::from(any(tape)) * 5 };
        let window = if how & 4 == 0 { u16::MAX } else { wide(tape) };
        let mut options = TcpOptions::NONE;
        if how & 8 == 0 {
            let tsval = self.now.as_millis() as u32;
            let tsval = if how & 16 == 0 { tsval } else { tsval.wrapping_sub(u32::from(wide(tape))) };
            options.timestamps = Some(Timestamps { tsval, tsecr: known.tsval });
        }
        if flags.syn() {
            options.mss = Some(1_400);
            options.sack_permitted = true;
            options.window_scale = (how & 32 == 0).then_some(7);
        } else if how & 32 != 0 {
            let left = known.snd_nxt.wrapping_add(near(wide(tape)));
            options.sack.push(SackBlock { left, right: left.wrapping_add(u32::from(wide(tape))) });
        }
        let header = wire::tcp::Header {
            src_port: peer(which).2,
            dst_port: to,
            seq: known.rcv_nxt.wrapping_add(seq),
            ack: known.snd_nxt.wrapping_add(ack),
            flags,
            window,
            urgent: window,
            options,
        };
        let frame = packet(which, &header, len);
        let meta = RxMeta { checksum_ok: true, gso_size: 0, queue: 0 };
        self.stack.handle_frame(self.now, InterfaceId(0), RxFrame { bytes: &frame, meta });
    }

    /// One turn of the host: time, its program's readiness, what leaves.
    fn turn(&mut self) {
        let now = self.now;
        for _ in 0..64 {
            if self.stack.next_deadline(now).is_some_and(|due| due <= now) {
                self.stack.handle_deadline(now);
            }
            while self.stack.poll_ready().is_some() {}
            while self.stack.poll_event().is_some() {}
            while self.kept.len() < KEPT_MAX {
                let Ok((socket, _)) = self.stack.tcp_accept(self.listener) else { break };
                self.kept.push(socket);
            }
            self.stack.poll_transmit(now, &mut self.sink);
            if self.sink.is_empty() {
                break;
            }
            while let Some((frame, _)) = self.sink.pop() {
                self.learn(&frame);
                self.sink.recycle(frame);
            }
        }
        self.check();
    }

    /// What a peer learns from a packet.
    fn learn(&mut self, frame: &[u8]) {
        let (of_v6, dst, payload) = match frame.first().map(|first| first >> 4) {
            Some(4) => {
                let packet = ipv4::Packet::new(frame).expect("the host writes packets");
                assert!(packet.checksum_is_valid());
                (0, packet.protocol(), packet.payload())
            }
            _ => {
                let packet = ipv6::Packet::new(frame).expect("the host writes packets");
                (2, packet.next_header(), packet.payload())
            }
        };
        if dst != Protocol::TCP {
            return;
        }
        let packet = wire::tcp::Packet::new(payload).expect("the host writes segments");
        let which = of_v6 | (packet.dst_port() & 1) as u8;
        if self.known.len() > 64 {
            self.known.clear();
        }
        let known = self.known.entry((which, packet.src_port())).or_default();
        if !packet.flags().rst() {
            let len = packet.payload().len() as u32 + packet.flags().sequence_len();
            known.snd_nxt = packet.seq().wrapping_add(len);
            known.rcv_nxt = packet.ack();
            known.tsval = packet.options().timestamps.map_or(0, |stamps| stamps.tsval);
        }
    }

    fn check(&mut self) {
        let counts = self.stack.tcp_counts();
        assert!(counts.sockets <= SOCKETS_MAX, "{counts:?}");
        assert!(counts.half_open <= SYN_BACKLOG, "{counts:?}");
        assert!(counts.time_wait <= TIME_WAIT_MAX, "{counts:?}");
        assert!(counts.orphans <= ORPHANS_MAX, "{counts:?}");
        assert!(counts.buffer_bytes <= BUFFERS_MAX, "{counts:?}");
    }

    /// The program closes everything and the peers say no more: with time, all that is left is the listener.
    fn end(mut self) {
        for socket in std::mem::take(&mut self.kept) {
            let _ = self.stack.tcp_close(self.now, socket);
        }
        let _ = self.stack.tcp_close(self.now, self.listener);
        for _ in 0..400 {
            self.turn();
            let counts = self.stack.tcp_counts();
            if (counts.sockets, counts.half_open, counts.time_wait) == (0, 0, 0) {
                assert_eq!((counts.orphans, counts.buffer_bytes), (0, 0), "{counts:?}");
                return;
            }
            let due = self.stack.next_deadline(self.now);
            self.now = self.now.max(due.expect("what is left has a time when it goes"));
        }
        panic!("after {:?} there is still {:?}", self.now, self.stack.tcp_counts());
    }
}

/// A packet from a peer to the host; its checksum is the device's affair.
fn packet(which: u8, header: &wire::tcp::Header, len: usize) -> Vec<u8> {
    let (src, dst, _) = peer(which);
    let segment_len = header.header_len() + len;
    let mut frame = vec![0; 40 + segment_len];
    let ip_len = match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            ipv4::Header::new(src, dst, Protocol::TCP, 64, segment_len as u16).emit(&mut frame)
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            ipv6::Header::new(src, dst, Protocol::TCP, 64, segment_len as u16).emit(&mut frame)
        }
        _ => return Vec::new(),
    };
    header.emit(&mut frame[ip_len..]);
    frame.truncate(ip_len + segment_len);
    frame
}
