//! Our stack: two hosts and a cable of memory on one thread, time standing still unless somebody moves it.
//! Owns: the cable. Invariants: checksums are made and verified; nothing is offloaded; frames arrive in batches, as a device hands
//! them over.

use crate::ALLOCATOR;
use stack::frame::{Capabilities, FrameBatch, FrameQueue, Medium, RxFrame, RxMeta};
use stack::{Config, Handle, Instant, InterfaceConfig, InterfaceId, Readiness, Secret, Stack, TcpHandle};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tcp::SendFlags;

/// The client's place and the server's.
pub(super) const CLIENT: usize = 0;
pub(super) const SERVER: usize = 1;

const CABLE: InterfaceId = InterfaceId(0);
/// Frames handed over together.
const BATCH: usize = 64;
/// Conversations under way together, where more than one is.
const TOGETHER: usize = 64;
/// Connections from one address to one port.
const PER_PORT: usize = 780 * TOGETHER;

/// Two hosts.
pub(super) struct Pair {
    pub(super) now: Instant,
    pub(super) stacks: [Stack; 2],
    queues: [FrameQueue; 2],
    batch: Vec<Vec<u8>>,
    v6: bool,
}

struct Frames<'a>(&'a [Vec<u8>]);

impl FrameBatch for Frames<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn frame(&self, index: usize) -> RxFrame<'_> {
        RxFrame { bytes: &self.0[index], meta: RxMeta::default() }
    }
}

impl Pair {
    pub(super) fn new(mtu: u32, v6: bool, change: impl Fn(&mut Config)) -> io::Result<Self> {
        let now = Instant::from_secs(1_000);
        let host = |seed: u64, addresses: [&str; 2]| {
            let capabilities = Capabilities { medium: Medium::Ip, mtu, ..Capabilities::default() };
            let mut interface = InterfaceConfig::ip(capabilities);
            interface.addresses = addresses.iter().filter_map(|text| text.parse().ok()).collect();
            let mut config = Config { interfaces: vec![interface], ..Config::default() };
            config.ephemeral_ports = (1_024, 65_535);
            config.turn_frames_max = BATCH;
            change(&mut config);
            Stack::new(&config, &Secret::from_seed(seed), now).map_err(io::Error::other)
        };
        Ok(Pair {
            now,
            stacks: [host(1, ["10.0.0.1/24", "fd00::1/64"])?, host(2, ["10.0.0.2/24", "fd00::2/64"])?],
            queues: [FrameQueue::new(4_096), FrameQueue::new(4_096)],
            batch: Vec::new(),
            v6,
        })
    }

    pub(super) fn server_addr(&self, port: u16) -> SocketAddr {
        let ip = if self.v6 { "fd00::2" } else { "10.0.0.2" };
        SocketAddr::new(ip.parse().expect("an address"), port)
    }

    /// Lets a host send; its frames wait on the cable.
    pub(super) fn transmit(&mut self, from: usize) -> usize {
        self.stacks[from].poll_transmit(self.now, &mut self.queues[from])
    }

    /// Hands over what waits on the cable from a host; says whether there was anything.
    pub(super) fn deliver(&mut self, from: usize) -> bool {
        let mut any = false;
        loop {
            while self.batch.len() < BATCH {
                let Some((frame, _)) = self.queues[from].pop() else { break };
                self.batch.push(frame);
            }
            if self.batch.is_empty() {
                return any;
            }
            any = true;
            self.stacks[1 - from].handle_frames(self.now, CABLE, &Frames(&self.batch));
            for frame in self.batch.drain(..) {
                self.queues[from].recycle(frame);
            }
        }
    }

    /// Until nobody has anything to say, without time passing.
    pub(super) fn settle(&mut self) {
        loop {
            let mut any = false;
            for from in [CLIENT, SERVER] {
                while self.transmit(from) > 0 {
                    any = true;
                    self.deliver(from);
                }
            }
            if !any {
                return;
            }
        }
    }

    /// Lets time pass.
    pub(super) fn advance(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            self.settle();
            let next = self.stacks.iter().filter_map(|stack| stack.next_deadline(self.now)).min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.now = next.max(self.now);
            self.stacks.iter_mut().for_each(|stack| stack.handle_deadline(self.now));
        }
        self.now = end;
    }

    pub(super) fn drain_ready(&mut self) {
        for stack in &mut self.stacks {
            while stack.poll_ready().is_some() {}
        }
    }

    pub(super) fn listen(&mut self, port: u16) -> io::Result<TcpHandle> {
        let addr = self.server_addr(port);
        self.stacks[SERVER].tcp_listener(self.now, addr, 1_024)
    }

    pub(super) fn connect(&mut self, port: u16) -> io::Result<TcpHandle> {
        let addr = self.server_addr(port);
        self.stacks[CLIENT].tcp_connect_to(self.now, addr)
    }

    /// Opens `count` connections and calls `each` with both ends of each.
    pub(super) fn open(
        &mut self,
        count: usize,
        mut each: impl FnMut(&mut Pair, TcpHandle, TcpHandle) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut done = 0;
        while done < count {
            let port = 80 + u16::try_from(done / PER_PORT).map_err(io::Error::other)?;
            let listener = self.listen(port)?;
            let mut left = PER_PORT.min(count - done);
            done += left;
            while left > 0 {
                let now = left.min(TOGETHER);
                left -= now;
                let clients = (0..now).map(|_| self.connect(port)).collect::<io::Result<Vec<_>>>()?;
                self.settle();
                for client in clients {
                    let (server, peer) =
                        self.stacks[SERVER].tcp_accept(listener).map_err(io::Error::other)?;
                    // In the order of their SYNs; who is whose peer is told by the port.
                    let _ = peer;
                    each(self, client, server)?;
                }
                self.drain_ready();
            }
        }
        Ok(())
    }

    fn exchange(&mut self, (client, server): (TcpHandle, TcpHandle), scratch: &mut [u8]) -> io::Result<()> {
        const OCTETS: usize = 4_096;
        for (from, out, into) in [(CLIENT, client, server), (SERVER, server, client)] {
            let sent = self.stacks[from].tcp_send(self.now, out, &scratch[..OCTETS], SendFlags::default());
            if sent.map_err(io::Error::other)? != OCTETS {
                return Err(io::Error::other("4 KiB did not fit into a queue"));
            }
            self.settle();
            let mut got = 0;
            while got < OCTETS {
                got += self.stacks[1 - from].tcp_recv(self.now, into, scratch).map_err(io::Error::other)?;
                self.settle();
            }
        }
        Ok(())
    }
}

/// Bytes an end of `count` connections that each moved 4 KiB both ways: once idle, and at most.
pub(super) fn idle(count: usize, v6: bool) -> io::Result<(f64, f64)> {
    let mut pair = Pair::new(1_500, v6, |_| {})?;
    let before = ALLOCATOR.allocated();
    let mut scratch = vec![7; 8_192];
    pair.open(count, |pair, client, server| pair.exchange((client, server), &mut scratch))?;
    pair.advance(Duration::from_secs(5));
    for stack in &mut pair.stacks {
        if stack.tcp_counts().buffer_bytes != 0 || stack.next_deadline(pair.now).is_some() {
            return Err(io::Error::other("the connections do not rest"));
        }
    }
    let each = |bytes: usize| bytes.saturating_sub(before) as f64 / (2 * count) as f64;
    Ok((each(ALLOCATOR.allocated()), each(ALLOCATOR.max_allocated())))
}

/// Opens, sends a byte and closes, the client first, `count` times; what waits stays.
fn round_trips(pair: &mut Pair, count: usize, first_port: u16) -> io::Result<()> {
    let mut scratch = [0; 64];
    let mut listener = None;
    let mut port = first_port;
    let mut servers = Vec::with_capacity(TOGETHER);
    let mut clients = Vec::with_capacity(TOGETHER);
    let mut done = 0;
    while done < count {
        if done % PER_PORT == 0 {
            port = first_port + u16::try_from(done / PER_PORT).map_err(io::Error::other)?;
            listener = Some(pair.listen(port)?);
        }
        let listener = listener.expect("made above");
        for _ in 0..TOGETHER {
            clients.push(pair.connect(port)?);
        }
        pair.settle();
        while let Ok((server, _)) = pair.stacks[SERVER].tcp_accept(listener) {
            servers.push(server);
        }
        if servers.len() != TOGETHER {
            return Err(io::Error::other("a connection did not open"));
        }
        for client in clients.drain(..) {
            pair.stacks[CLIENT]
                .tcp_send(pair.now, client, b"x", SendFlags::default())
                .map_err(io::Error::other)?;
            pair.stacks[CLIENT].tcp_close(pair.now, client).map_err(io::Error::other)?;
        }
        pair.settle();
        for server in servers.drain(..) {
            pair.stacks[SERVER].tcp_recv(pair.now, server, &mut scratch).map_err(io::Error::other)?;
            pair.stacks[SERVER].tcp_close(pair.now, server).map_err(io::Error::other)?;
        }
        pair.settle();
        pair.drain_ready();
        done += TOGETHER;
    }
    Ok(())
}

/// Connections opened and closed a second by one core that runs both ends, with `waiting` in TIME-WAIT before it begins.
pub(super) fn open_and_close(waiting: usize, count: usize) -> io::Result<f64> {
    let mut pair = Pair::new(1_500, false, |_| {})?;
    round_trips(&mut pair, waiting, 100)?;
    let begun = std::time::Instant::now();
    round_trips(&mut pair, count, 1_000)?;
    let rate = count as f64 / begun.elapsed().as_secs_f64();
    let left = pair.stacks[CLIENT].tcp_counts().time_wait;
    if left < waiting + count {
        return Err(io::Error::other("TIME-WAIT was not kept"));
    }
    Ok(rate)
}

/// Bytes of an entry in TIME-WAIT.
pub(super) fn time_wait() -> io::Result<(f64, usize)> {
    let mut pair = Pair::new(1_500, false, |_| {})?;
    round_trips(&mut pair, 10 * TOGETHER, 100)?;
    let (before, first) = (ALLOCATOR.allocated(), pair.stacks[CLIENT].tcp_counts().time_wait);
    round_trips(&mut pair, 1 << 20, 1_000)?;
    let count = pair.stacks[CLIENT].tcp_counts().time_wait - first;
    Ok(((ALLOCATOR.allocated().saturating_sub(before)) as f64 / count as f64, count))
}

/// Nanoseconds of one echo at the server: frame in, event, recv, send, frame out; a random connection among `among` each time.
pub(super) fn echo(among: usize) -> io::Result<f64> {
    const ECHOES: usize = 200_000;
    let mut pair = Pair::new(1_500, false, |_| {})?;
    let mut clients = Vec::with_capacity(among);
    pair.open(among, |_, client, _| {
        clients.push(client);
        Ok(())
    })?;
    pair.advance(Duration::from_secs(2));
    let mut dice = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = |below: usize| {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        (dice % below as u64) as usize
    };
    let (mut spent, mut echoes) = (Duration::ZERO, 0);
    let mut scratch = [0; 256];
    let mut chosen = Vec::with_capacity(TOGETHER);
    while echoes < ECHOES {
        chosen.clear();
        for _ in 0..TOGETHER.min(among) {
            let client = clients[random(among)];
            if !chosen.contains(&client) {
                chosen.push(client);
                pair.stacks[CLIENT]
                    .tcp_send(pair.now, client, &[1; 64], SendFlags::default())
                    .map_err(io::Error::other)?;
            }
        }
        while pair.transmit(CLIENT) > 0 {}
        let begun = std::time::Instant::now();
        pair.deliver(CLIENT);
        while let Some((Handle::Tcp(server), bits)) = pair.stacks[SERVER].poll_ready() {
            if !bits.contains(Readiness::READABLE) {
                continue;
            }
            while let Ok(len @ 1..) = pair.stacks[SERVER].tcp_recv(pair.now, server, &mut scratch) {
                pair.stacks[SERVER]
                    .tcp_send(pair.now, server, &scratch[..len], SendFlags::default())
                    .map_err(io::Error::other)?;
            }
        }
        while pair.transmit(SERVER) > 0 {}
        spent += begun.elapsed();
        pair.deliver(SERVER);
        for client in &chosen {
            if pair.stacks[CLIENT].tcp_recv(pair.now, *client, &mut scratch) != Ok(64) {
                return Err(io::Error::other("an echo did not come"));
            }
            echoes += 1;
        }
        // The ACKs of the echoes belong to the server's work too, but come with the next round's requests.
        pair.advance(Duration::from_millis(1));
        pair.drain_ready();
    }
    Ok(spent.as_nanos() as f64 / echoes as f64)
}
