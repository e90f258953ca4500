//! Frames that arrive together beside the same frames one by one: two hosts, alike in every point, hear the same peer, and must read,
//! say and count the same, to the octet.
//!
//! A life that fails names its seed; `SEED=<n> cargo test -p switchboard-stack --test batches` plays it alone, and `LIVES=<n>` plays
//! more of them.

mod pair;

use pair::{Die, addr, interface};
use std::time::Duration;
use switchboard_stack::frame::{FrameQueue, RxFrame, RxMeta};
use switchboard_stack::socket::options::TcpOption;
use switchboard_stack::{Config, InterfaceId, Secret, Stack, TcpHandle};
use tcp::{Instant, SendFlags};

const CABLE: InterfaceId = InterfaceId(0);

/// What the line does to the peer's frames. A tenth of the lives have a good line, whose batches are long runs.
fn disturb(die: &mut Die, frames: &mut Vec<Vec<u8>>, trouble: u64) {
    if trouble == 0 {
        return;
    }
    let mut at = 0;
    while at < frames.len() {
        if die.one_in(trouble) {
            match die.roll(5) {
                0 => drop(frames.remove(at)),
                1 => frames.insert(at, frames[at].clone()),
                2 => {
                    let other = (at + die.roll(4) as usize).min(frames.len() - 1);
                    frames.swap(at, other);
                }
                3 => {
                    // Any octet, headers included: a checksum finds it, or a length does.
                    let octet = die.roll(frames[at].len() as u64) as usize;
                    frames[at][octet] ^= 1 << die.roll(8);
                }
                _ => {
                    let len = die.roll(frames[at].len() as u64) as usize;
                    frames[at].truncate(len);
                }
            }
        }
        at += 1;
    }
}

fn frames_of(stack: &mut Stack, now: Instant) -> Vec<Vec<u8>> {
    let mut queue = FrameQueue::new(4_096);
    while stack.poll_transmit(now, &mut queue) > 0 {}
    std::iter::from_fn(|| queue.pop().map(|(frame, _)| frame)).collect()
}

/// The port that a frame of ours goes to: neither family's headers have options.
fn port_of(frame: &[u8]) -> [u8; 2] {
    let tcp = if frame[0] >> 4 == 4 { 20 } else { 40 };
    [frame[tcp + 2], frame[tcp + 3]]
}

fn hear(stack: &mut Stack, now: Instant, frames: &[Vec<u8>], together: bool) {
    let rx: Vec<_> = frames.iter().map(|bytes| RxFrame { bytes, meta: RxMeta::default() }).collect();
    if together {
        stack.handle_frames(now, CABLE, &rx[..]);
    } else {
        rx.into_iter().for_each(|frame| stack.handle_frame(now, CABLE, frame));
    }
}

/// Reads so much, if it is there; what came of it.
fn read(stack: &mut Stack, now: Instant, socket: TcpHandle, len: usize) -> (String, Vec<u8>) {
    let mut out = vec![0; len];
    let said = stack.tcp_recv(now, socket, &mut out);
    out.truncate(*said.as_ref().unwrap_or(&0));
    (format!("{said:?}"), out)
}

fn live(seed: u64) {
    let mut die = Die(seed);
    let (timestamps, sack, ecn) = (!die.one_in(3), !die.one_in(3), die.one_in(3));
    let (v6, trouble) = (die.one_in(3), [0, 40, 12, 5][die.roll(4) as usize]);
    let buffer_bytes_max = if die.one_in(4) { 64 << 10 } else { 64 << 20 };
    let host = |seed: u64, addresses: &[&str]| {
        let mut config = Config { interfaces: vec![interface(1_500, addresses)], ..Config::default() };
        config.tcp.connection.timestamps = timestamps;
        config.tcp.connection.sack = sack;
        if ecn {
            config.tcp.connection.ecn = tcp::EcnPolicy::Request;
        }
        config.events_max = 4_096;
        if seed == 2 {
            config.buffer_bytes_max = buffer_bytes_max;
        }
        Stack::new(&config, &Secret::from_seed(seed), Instant::from_secs(1_000))
            .expect("a sound configuration")
    };
    let mut now = Instant::from_secs(1_000);
    let mut peer = host(1, &["10.0.0.1/24", "fd00::1/64"]);
    let mut hosts = [(); 2].map(|()| host(2, &["10.0.0.2/24", "fd00::2/64"]));
    let server = addr(if v6 { "[fd00::2]:80" } else { "10.0.0.2:80" });
    let listeners = hosts.each_mut().map(|host| host.tcp_listener(now, server, 16).expect("it is free"));
    let clients = [(); 2].map(|()| peer.tcp_connect_to(now, server).expect("there is a way"));
    for _ in 0..3 {
        let frames = frames_of(&mut peer, now);
        for (host, together) in hosts.iter_mut().zip([true, false]) {
            hear(host, now, &frames, together);
        }
        let [said, also] = hosts.each_mut().map(|host| frames_of(host, now));
        assert_eq!(said, also, "seed {seed}, while it opens");
        hear(&mut peer, now, &said, false);
    }
    let sockets =
        [0, 1].map(|at| [(); 2].map(|()| hosts[at].tcp_accept(listeners[at]).expect("it is open").0));
    let mut finished = false;
    for round in 0..60 {
        for client in clients {
            let len = [1, 100, 1_448, 5_000, 60_000][die.roll(5) as usize];
            let text: Vec<u8> = (0..len).map(|_| die.roll(256) as u8).collect();
            if !finished && !die.one_in(4) {
                // A full queue is no failure: the window may be shut.
                let _ = peer.tcp_send(now, client, &text, SendFlags::default());
            }
        }
        if round == 45 {
            finished = true;
            for client in clients {
                peer.tcp_shutdown(now, client, std::net::Shutdown::Write).expect("it is open");
            }
        }
        let mut frames = frames_of(&mut peer, now);
        disturb(&mut die, &mut frames, trouble);
        let (answers, reads, len, quick) =
            (die.one_in(4), !die.one_in(3), 1 + die.roll(70_000) as usize, die.one_in(10));
        let [said, also] = [0, 1].map(|at| {
            let host = &mut hosts[at];
            hear(host, now, &frames, at == 0);
            let events: Vec<_> = std::iter::from_fn(|| host.poll_event()).collect();
            let mut heard = Vec::new();
            for socket in sockets[at] {
                if quick {
                    let set = host.tcp_set_option(now, socket, TcpOption::NoDelay(true));
                    heard.push((format!("{set:?}"), Vec::new()));
                }
                if answers {
                    let sent = host.tcp_send(now, socket, &[7; 300], SendFlags::default());
                    heard.push((format!("{sent:?}"), Vec::new()));
                }
                if reads {
                    heard.push(read(host, now, socket, len));
                }
            }
            let ready: Vec<_> = std::iter::from_fn(|| host.poll_ready()).collect();
            let mut frames = frames_of(host, now);
            // Which connection speaks first is nobody's business; each says its own in order.
            frames.sort_by_key(|frame| port_of(frame));
            while host.poll_event().is_some() {}
            (frames, heard, ready, events, host.counters().clone())
        });
        let place = format!("seed {seed}, round {round}");
        assert_eq!(said.0, also.0, "what they said, {place}");
        assert_eq!(said.1, also.1, "what they read, {place}");
        assert_eq!(said.2, also.2, "what they told, {place}");
        assert_eq!(said.3, also.3, "what happened, {place}");
        assert_eq!(format!("{:?}", said.4), format!("{:?}", also.4), "what they counted, {place}");
        hear(&mut peer, now, &said.0, false);
        for client in clients {
            let _ = read(&mut peer, now, client, 70_000);
        }
        // No deadlines are compared: a timer that was put off in between may still wake its host in vain. What is done about time is.
        now += Duration::from_millis([0, 1, 3, 50, 300][die.roll(5) as usize]);
        peer.handle_deadline(now);
        hosts.iter_mut().for_each(|host| host.handle_deadline(now));
    }
}

#[test]
fn frames_together_are_frames_one_by_one() {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    if let Some(seed) = number("SEED") {
        return live(seed);
    }
    (0..number("LIVES").unwrap_or(60)).for_each(live);
}
