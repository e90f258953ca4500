//! What an instruction counter looks at: one host receives, sends, opens or closes, so and so often, inside [`measured`] alone.
//!
//! `instructions WHAT COUNT`, with WHAT one of `receive`, `send`, `open`, `close`, and `bulk-receive`, `bulk-send` of [`SEGMENTS`] full
//! segments a run, and `churn`, a whole short connection with both its ends; `cargo xtask instructions` runs it under callgrind, which counts only what `measured` calls, and compares with `crates/stack/instructions.txt`.

use std::hint::black_box;
use switchboard_stack::frame::{Capabilities, FrameQueue, RxFrame, RxMeta};
use switchboard_stack::socket::options::TcpOption;
use switchboard_stack::{Config, Instant, InterfaceConfig, InterfaceId, Secret, Stack, TcpHandle};
use tcp::SendFlags;

const CABLE: InterfaceId = InterfaceId(0);
/// What is done before anything counts, so that tables and pools are warm.
const WARM: usize = 300;
const OCTETS: usize = 100;
/// Full segments that arrive, or leave, together.
const SEGMENTS: usize = 32;
const BULK: usize = SEGMENTS * 1_448;
const SERVER: &str = "10.0.0.2:80";

/// The host that is measured, and its peer.
struct Cable {
    now: Instant,
    hosts: [Stack; 2],
    queues: [FrameQueue; 2],
}

const PEER: usize = 0;
const HOST: usize = 1;

fn host(seed: u64, addr: &str, now: Instant) -> Stack {
    let interface =
        InterfaceConfig::ip(Capabilities::default()).with_address(addr.parse().expect("a prefix"));
    let config = Config { interfaces: vec![interface], ..Config::default() };
    Stack::new(&config, &Secret::from_seed(seed), now).expect("a sound configuration")
}

impl Cable {
    fn new() -> Self {
        let now = Instant::from_secs(1_000);
        Cable {
            now,
            hosts: [host(1, "10.0.0.1/24", now), host(2, "10.0.0.2/24", now)],
            queues: [FrameQueue::new(64), FrameQueue::new(64)],
        }
    }

    fn transmit(&mut self, from: usize) {
        while self.hosts[from].poll_transmit(self.now, &mut self.queues[from]) > 0 {}
    }

    fn deliver(&mut self, from: usize) {
        while let Some((frame, _)) = self.queues[from].pop() {
            let arriving = RxFrame { bytes: &frame, meta: RxMeta::default() };
            self.hosts[1 - from].handle_frame(self.now, CABLE, arriving);
            self.queues[from].recycle(frame);
        }
    }

    fn settle(&mut self) {
        for _ in 0..6 {
            for from in [PEER, HOST] {
                self.transmit(from);
                self.deliver(from);
            }
        }
        for host in &mut self.hosts {
            while host.poll_ready().is_some() {}
        }
        self.now += std::time::Duration::from_millis(1);
    }

    fn connect(&mut self) -> TcpHandle {
        self.hosts[PEER]
            .tcp_connect_to(self.now, SERVER.parse().expect("an address"))
            .expect("there is a way")
    }
}

/// Only what is called from here counts. Never inlined, so that callgrind finds its name.
#[inline(never)]
fn measured(counts: bool, act: &mut dyn FnMut()) {
    if counts { counted(act) } else { act() }
}

#[inline(never)]
fn counted(act: &mut dyn FnMut()) {
    act();
}

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let count: usize = words.get(2).and_then(|word| word.parse().ok()).unwrap_or(1_000);
    let mut cable = Cable::new();
    let listener = cable.hosts[HOST]
        .tcp_listener(cable.now, SERVER.parse().expect("an address"), 16)
        .expect("the port is free");
    let rounds = (0..WARM + count).map(|round| round >= WARM);
    match words.get(1).map(String::as_str) {
        Some(what @ ("receive" | "send" | "bulk-receive" | "bulk-send")) => {
            let client = cable.connect();
            cable.settle();
            let (server, _) = cable.hosts[HOST].tcp_accept(listener).expect("it is open");
            for (end, socket) in [(PEER, client), (HOST, server)] {
                let set = cable.hosts[end].tcp_set_option(cable.now, socket, TcpOption::NoDelay(true));
                set.expect("it is open");
            }
            for counts in rounds {
                let act = match what {
                    "receive" => receive,
                    "send" => send,
                    "bulk-receive" => bulk_receive,
                    _ => bulk_send,
                };
                act(&mut cable, (client, server), counts);
            }
        }
        Some("open") => rounds.for_each(|counts| open(&mut cable, listener, counts)),
        Some("churn") => rounds.for_each(|counts| churn(&mut cable, listener, counts)),
        Some("close") => rounds.for_each(|counts| close(&mut cable, listener, counts)),
        _ => eprintln!("usage: instructions receive|send|open|close|churn|bulk-receive|bulk-send [COUNT]"),
    }
}

/// A segment in, its text read, its ACK out.
fn receive(cable: &mut Cable, (client, server): (TcpHandle, TcpHandle), counts: bool) {
    let mut scratch = [0; 2 * OCTETS];
    cable.hosts[PEER].tcp_send(cable.now, client, &[7; OCTETS], SendFlags::default()).expect("room");
    cable.transmit(PEER);
    measured(counts, &mut || {
        cable.deliver(PEER);
        let got = cable.hosts[HOST].tcp_recv(cable.now, server, &mut scratch);
        assert_eq!(black_box(got), Ok(OCTETS));
        cable.transmit(HOST);
    });
    cable.settle();
}

/// Text given, a segment out, its ACK in.
fn send(cable: &mut Cable, (client, server): (TcpHandle, TcpHandle), counts: bool) {
    let mut scratch = [0; 2 * OCTETS];
    measured(counts, &mut || {
        let sent = cable.hosts[HOST].tcp_send(cable.now, server, &[7; OCTETS], SendFlags::default());
        assert_eq!(black_box(sent), Ok(OCTETS));
        cable.transmit(HOST);
    });
    cable.deliver(HOST);
    assert_eq!(cable.hosts[PEER].tcp_recv(cable.now, client, &mut scratch), Ok(OCTETS));
    cable.transmit(PEER);
    measured(counts, &mut || {
        cable.deliver(PEER);
        cable.transmit(HOST);
    });
    cable.settle();
}

/// Full segments in, all at once, their text read, what ACKs there are out.
fn bulk_receive(cable: &mut Cable, (client, server): (TcpHandle, TcpHandle), counts: bool) {
    let mut scratch = vec![0; BULK];
    let sent = cable.hosts[PEER].tcp_send(cable.now, client, &vec![7; BULK], SendFlags::default());
    cable.transmit(PEER);
    let mut arrived = Vec::with_capacity(SEGMENTS);
    while let Some((frame, _)) = cable.queues[PEER].pop() {
        arrived.push(frame);
    }
    let frames: Vec<_> =
        arrived.iter().map(|frame| RxFrame { bytes: frame, meta: RxMeta::default() }).collect();
    assert!(!counts || (sent == Ok(BULK) && frames.len() == SEGMENTS), "the window has grown");
    measured(counts, &mut || {
        cable.hosts[HOST].handle_frames(cable.now, CABLE, &frames[..]);
        let _ = black_box(cable.hosts[HOST].tcp_recv(cable.now, server, &mut scratch));
        cable.transmit(HOST);
    });
    arrived.into_iter().for_each(|frame| cable.queues[PEER].recycle(frame));
    catch_up(cable, server, HOST, &mut scratch);
}

/// Text for full segments given, the segments out, what ACKs come in.
fn bulk_send(cable: &mut Cable, (client, server): (TcpHandle, TcpHandle), counts: bool) {
    let mut scratch = vec![0; BULK];
    let text = vec![7; BULK];
    measured(counts, &mut || {
        let sent = cable.hosts[HOST].tcp_send(cable.now, server, &text, SendFlags::default());
        assert!(!counts || sent == Ok(BULK), "the window has grown");
        cable.transmit(HOST);
    });
    assert!(!counts || cable.queues[HOST].len() == SEGMENTS, "the window has grown");
    cable.deliver(HOST);
    let _ = cable.hosts[PEER].tcp_recv(cable.now, client, &mut scratch);
    cable.transmit(PEER);
    measured(counts, &mut || {
        cable.deliver(PEER);
        cable.transmit(HOST);
    });
    catch_up(cable, client, PEER, &mut scratch);
}

/// While the window is small, a run takes several turns.
fn catch_up(cable: &mut Cable, reader: TcpHandle, end: usize, scratch: &mut [u8]) {
    for _ in 0..SEGMENTS {
        cable.settle();
        while cable.hosts[end].tcp_recv(cable.now, reader, scratch).is_ok() {}
    }
}

/// SYN in, SYN,ACK out, ACK in, accept().
fn open(cable: &mut Cable, listener: TcpHandle, counts: bool) {
    let client = cable.connect();
    cable.transmit(PEER);
    measured(counts, &mut || {
        cable.deliver(PEER);
        cable.transmit(HOST);
    });
    cable.deliver(HOST);
    cable.transmit(PEER);
    let mut server = None;
    measured(counts, &mut || {
        cable.deliver(PEER);
        server = cable.hosts[HOST].tcp_accept(listener).ok();
        cable.transmit(HOST);
    });
    let (server, _) = server.expect("it is open");
    cable.hosts[PEER].tcp_close(cable.now, client).expect("it is open");
    cable.settle();
    cable.hosts[HOST].tcp_close(cable.now, server).expect("it is open");
    cable.settle();
}

/// close(), FIN out, ACK and FIN in, ACK out, TIME-WAIT.
fn close(cable: &mut Cable, listener: TcpHandle, counts: bool) {
    let client = cable.connect();
    cable.settle();
    let (server, _) = cable.hosts[HOST].tcp_accept(listener).expect("it is open");
    let before = cable.hosts[HOST].tcp_counts().time_wait;
    measured(counts, &mut || {
        cable.hosts[HOST].tcp_close(cable.now, server).expect("it is open");
        cable.transmit(HOST);
    });
    cable.deliver(HOST);
    cable.hosts[PEER].tcp_close(cable.now, client).expect("it is open");
    cable.transmit(PEER);
    measured(counts, &mut || {
        cable.deliver(PEER);
        cable.transmit(HOST);
    });
    assert_eq!(cable.hosts[HOST].tcp_counts().time_wait, before + 1, "the first to close waits");
    cable.settle();
}

/// connect(), a byte, close() by the client first: all that both hosts do for it, TIME-WAIT kept.
fn churn(cable: &mut Cable, listener: TcpHandle, counts: bool) {
    let mut scratch = [0; 16];
    measured(counts, &mut || {
        let client = cable.connect();
        for from in [PEER, HOST, PEER] {
            cable.transmit(from);
            cable.deliver(from);
        }
        let (server, _) = cable.hosts[HOST].tcp_accept(listener).expect("it is open");
        let sent = cable.hosts[PEER].tcp_send(cable.now, client, b"x", SendFlags::default());
        assert_eq!(sent, Ok(1));
        cable.hosts[PEER].tcp_close(cable.now, client).expect("it is open");
        cable.transmit(PEER);
        cable.deliver(PEER);
        assert_eq!(cable.hosts[HOST].tcp_recv(cable.now, server, &mut scratch), Ok(1));
        cable.hosts[HOST].tcp_close(cable.now, server).expect("it is open");
        for from in [HOST, PEER, HOST] {
            cable.transmit(from);
            cable.deliver(from);
        }
    });
    cable.settle();
}
