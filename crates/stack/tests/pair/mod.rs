//! A pair in a box: two stacks, one cable, one clock, no sleeping.
#![allow(dead_code)] // Each test binary uses a part of it.

use std::net::SocketAddr;
use std::time::Duration;
use switchboard_stack::frame::{Capabilities, FrameQueue, FrameSink, Medium, RxFrame, RxMeta, TxMeta};
use switchboard_stack::socket::error::{RecvError, SendError};
use switchboard_stack::{Config, Handle, InterfaceConfig, InterfaceId, Readiness, Secret, Stack, TcpHandle};
use tcp::{Instant, SendFlags};

/// The client's place.
pub(crate) const A: usize = 0;
/// The server's place.
pub(crate) const B: usize = 1;

const CABLE: InterfaceId = InterfaceId(0);

/// A small die of its own, so that a seed means the same for ever.
pub(crate) struct Die(pub(crate) u64);

impl Die {
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    pub(crate) fn one_in(&mut self, sides: u64) -> bool {
        self.roll(sides) == 0
    }
}

/// Judges a frame: who sent it, and what it is.
type Passes = Box<dyn FnMut(usize, &[u8]) -> bool>;
/// Rolls a frame's fate: a further delay, and whether a copy follows.
type Jitter = Box<dyn FnMut() -> (Duration, bool)>;

/// Two hosts on a cable of memory: `10.0.0.1`, `fd00::1` and `10.0.0.2`, `10.0.0.3`, `fd00::2`.
pub(crate) struct Pair {
    pub(crate) now: Instant,
    pub(crate) stacks: [Stack; 2],
    queues: [FrameQueue; 2],
    /// How long a frame flies.
    pub(crate) delay: Duration,
    /// Frames in the air: when they land, where, what.
    air: std::collections::VecDeque<(Instant, usize, Vec<u8>)>,
    /// Called for each frame; false: it is lost.
    pub(crate) passes: Passes,
    /// Called for each frame that passes: how much longer than `delay` it flies, and whether a copy follows it.
    pub(crate) jitter: Jitter,
    /// The sinks cannot tell room for more than one frame.
    pub(crate) one_by_one: bool,
    /// The devices vouch for the checksums of what arrives.
    pub(crate) vouched: bool,
}

pub(crate) fn addr(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// The end of a cable that carries packets of `mtu` octets.
pub(crate) fn interface(mtu: u32, addresses: &[&str]) -> InterfaceConfig {
    let capabilities = Capabilities { medium: Medium::Ip, mtu, ..Capabilities::default() };
    addresses.iter().fold(InterfaceConfig::ip(capabilities), |interface, text| {
        interface.with_address(text.parse().expect("a prefix"))
    })
}

impl Pair {
    pub(crate) fn new() -> Self {
        Self::with(1500, |_, _| {})
    }

    pub(crate) fn with(mtu: u32, change: impl Fn(usize, &mut Config)) -> Self {
        let now = Instant::from_secs(1_000);
        let host = |at: usize, addresses: &[&str]| {
            let mut config = Config { interfaces: vec![interface(mtu, addresses)], ..Config::default() };
            change(at, &mut config);
            Stack::new(&config, &Secret::from_seed(at as u64), now).expect("a sound configuration")
        };
        Pair {
            now,
            stacks: [
                host(A, &["10.0.0.1/24", "fd00::1/64"]),
                host(B, &["10.0.0.2/24", "10.0.0.3/24", "fd00::2/64"]),
            ],
            queues: [FrameQueue::new(4_096), FrameQueue::new(4_096)],
            delay: Duration::ZERO,
            air: std::collections::VecDeque::new(),
            passes: Box::new(|_, _| true),
            jitter: Box::new(|| (Duration::ZERO, false)),
            one_by_one: false,
            vouched: false,
        }
    }

    /// Lets everybody send what they can, into the air.
    fn transmit(&mut self) -> bool {
        let mut any = false;
        for from in [A, B] {
            let queue = &mut self.queues[from];
            if self.one_by_one {
                while self.stacks[from].poll_transmit(self.now, &mut OneByOne(queue)) > 0 {}
            } else {
                while self.stacks[from].poll_transmit(self.now, queue) > 0 {}
            }
            while let Some((frame, _)) = self.queues[from].pop() {
                any = true;
                if (self.passes)(from, &frame) {
                    let (more, copied) = (self.jitter)();
                    let lands = self.now + self.delay + more;
                    if copied {
                        self.launch(lands + more, 1 - from, frame.clone());
                    }
                    self.launch(lands, 1 - from, frame);
                } else {
                    self.queues[from].recycle(frame);
                }
            }
        }
        any
    }

    /// Into the air, behind all that lands before it or with it.
    fn launch(&mut self, lands: Instant, to: usize, frame: Vec<u8>) {
        let behind = self.air.iter().rposition(|(at, ..)| *at <= lands).map_or(0, |index| index + 1);
        self.air.insert(behind, (lands, to, frame));
    }

    /// Lands what has flown long enough.
    fn land(&mut self) -> bool {
        let mut any = false;
        while self.air.front().is_some_and(|(at, ..)| *at <= self.now) {
            let Some((_, to, frame)) = self.air.pop_front() else { break };
            any = true;
            let meta = RxMeta { checksum_ok: self.vouched, ..RxMeta::default() };
            self.stacks[to].handle_frame(self.now, CABLE, RxFrame { bytes: &frame, meta });
            self.queues[1 - to].recycle(frame);
        }
        any
    }

    /// Lets frames fly until nobody has any more, without time passing.
    pub(crate) fn settle(&mut self) {
        loop {
            let sent = self.transmit();
            let landed = self.land();
            if !sent && !landed {
                return;
            }
        }
    }

    /// Lets time pass.
    pub(crate) fn advance(&mut self, span: Duration) {
        let end = self.now + span;
        self.settle();
        loop {
            let timers = self.stacks.iter().filter_map(|stack| stack.next_deadline(self.now));
            let next = timers.chain(self.air.front().map(|(at, ..)| *at)).min();
            self.now = next.unwrap_or(end).max(self.now).min(end);
            for stack in &mut self.stacks {
                stack.handle_deadline(self.now);
            }
            self.settle();
            if self.now == end && next.is_none_or(|next| next > end) {
                return;
            }
        }
    }

    /// Hands a frame to a host that nobody sent.
    pub(crate) fn inject(&mut self, to: usize, frame: &[u8]) {
        self.stacks[to].handle_frame(self.now, CABLE, RxFrame { bytes: frame, meta: RxMeta::default() });
    }

    pub(crate) fn listen(&mut self, at: usize, local: &str, backlog: u32) -> TcpHandle {
        self.stacks[at].tcp_listener(self.now, addr(local), backlog).expect("the address is free")
    }

    pub(crate) fn connect(&mut self, at: usize, remote: &str) -> TcpHandle {
        self.stacks[at].tcp_connect_to(self.now, addr(remote)).expect("there is a way")
    }

    /// A connection from A to B, open at both ends, over a listener of its own.
    pub(crate) fn open(&mut self, remote: &str) -> (TcpHandle, TcpHandle) {
        let listener = self.listen(B, remote, 16);
        let client = self.connect(A, remote);
        self.advance(self.delay * 4);
        let (server, _) = self.stacks[B].tcp_accept(listener).expect("the handshake is over");
        self.stacks[B].tcp_close(self.now, listener).expect("it listens");
        (client, server)
    }

    pub(crate) fn send(&mut self, at: usize, socket: TcpHandle, data: &[u8]) -> Result<usize, SendError> {
        self.stacks[at].tcp_send(self.now, socket, data, SendFlags::default())
    }

    pub(crate) fn recv(&mut self, at: usize, socket: TcpHandle) -> Result<Vec<u8>, RecvError> {
        let mut out = vec![0; 1 << 16];
        let len = self.stacks[at].tcp_recv(self.now, socket, &mut out)?;
        out.truncate(len);
        Ok(out)
    }

    /// Sends all of `data` one way, reading as it arrives, until everything is there or `limit` has passed.
    pub(crate) fn transfer(
        &mut self,
        (from, out): (usize, TcpHandle),
        into: TcpHandle,
        data: &[u8],
        limit: Duration,
    ) -> Vec<u8> {
        let end = self.now + limit;
        let (mut sent, mut got) = (0, Vec::with_capacity(data.len()));
        while got.len() < data.len() && self.now < end {
            while sent < data.len() {
                match self.send(from, out, &data[sent..(sent + 65_536).min(data.len())]) {
                    Ok(taken) => sent += taken,
                    Err(_) => break,
                }
            }
            self.settle();
            while let Ok(piece) = self.recv(1 - from, into) {
                if piece.is_empty() {
                    return got;
                }
                got.extend(piece);
            }
            self.settle();
            let timers = self.stacks.iter().filter_map(|stack| stack.next_deadline(self.now));
            let next = timers.chain(self.air.front().map(|(at, ..)| *at)).min();
            if let Some(next) = next {
                self.advance(next - self.now);
            }
        }
        got
    }

    /// Everything that was raised for a socket since the last look.
    pub(crate) fn readiness(&mut self, at: usize, socket: TcpHandle) -> Readiness {
        let mut all = Readiness::NONE;
        while let Some((handle, bits)) = self.stacks[at].poll_ready() {
            if handle == Handle::Tcp(socket) {
                all |= bits;
            }
        }
        all
    }
}

/// A sink that knows only whether there is room for the next frame.
struct OneByOne<'a>(&'a mut FrameQueue);

impl FrameSink for OneByOne<'_> {
    fn reserve(&mut self, len: usize) -> Option<&mut [u8]> {
        self.0.reserve(len)
    }

    fn commit(&mut self, len: usize, meta: TxMeta) {
        self.0.commit(len, meta);
    }
}

/// A sink that throws away: for floods whose answers nobody waits for.
pub(crate) struct Drain {
    buffer: Vec<u8>,
    pub(crate) frames: usize,
    keep: std::net::Ipv4Addr,
    pub(crate) kept: Vec<Vec<u8>>,
}

impl Drain {
    /// Frames to `keep` are kept.
    pub(crate) fn keeping(keep: std::net::Ipv4Addr) -> Self {
        Drain { buffer: Vec::new(), frames: 0, keep, kept: Vec::new() }
    }
}

impl FrameSink for Drain {
    fn reserve(&mut self, len: usize) -> Option<&mut [u8]> {
        self.buffer.resize(self.buffer.len().max(len), 0);
        Some(&mut self.buffer[..len])
    }

    fn commit(&mut self, len: usize, _meta: TxMeta) {
        self.frames += 1;
        if self.buffer[16..20] == self.keep.octets() {
            self.kept.push(self.buffer[..len].to_vec());
        }
    }
}
