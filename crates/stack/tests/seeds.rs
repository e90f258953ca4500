//! Lives of a connection on a bad line, each from one number: whatever the line loses, delays, copies and reorders, bytes arrive
//! once and in order, both ends finish, and nothing is left behind.
//!
//! A life that fails names its seed; `SEED=<n> cargo test -p switchboard-stack --test seeds` plays it alone, and `LIVES=<n>` plays
//! more of them.

mod pair;

use pair::{A, B, Die, Pair, addr};
use std::time::Duration;
use switchboard_stack::TcpHandle;
use switchboard_stack::socket::options::TcpOption;
use tcp::CongestionKind;

/// One end's part: what it has to say, and what it has heard.
struct End {
    at: usize,
    socket: TcpHandle,
    says: Vec<u8>,
    said: usize,
    heard: Vec<u8>,
    finished: bool,
    heard_end: bool,
}

impl End {
    fn play(&mut self, pair: &mut Pair, die: &mut Die) {
        if self.said < self.says.len() && !die.one_in(3) {
            let len = 1 + die.roll(20_000) as usize;
            let end = (self.said + len).min(self.says.len());
            if let Ok(taken) = pair.send(self.at, self.socket, &self.says[self.said..end]) {
                self.said += taken;
            }
        }
        if self.said == self.says.len() && !self.finished {
            let how = std::net::Shutdown::Write;
            let now = pair.now;
            pair.stacks[self.at].tcp_shutdown(now, self.socket, how).expect("open");
            self.finished = true;
        }
        if !die.one_in(4) {
            while let Ok(piece) = pair.recv(self.at, self.socket) {
                self.heard_end |= piece.is_empty();
                self.heard.extend(&piece);
                if piece.is_empty() || die.one_in(5) {
                    break;
                }
            }
        }
    }
}

fn live(seed: u64) {
    let mut die = Die(seed);
    let mtu = [1_280, 1_500, 9_000][die.roll(3) as usize];
    let (sack, timestamps, scaling) = (!die.one_in(3), !die.one_in(3), !die.one_in(4));
    let mut pair = Pair::with(mtu, |_, config| {
        config.tcp.connection.sack = sack;
        config.tcp.connection.timestamps = timestamps;
        config.tcp.connection.window_scaling = scaling;
    });
    pair.delay = Duration::from_micros(die.roll(40_000));
    let lost = [0, 10, 30, 100][die.roll(4) as usize];
    let mut line = Die(seed ^ 0x00ab_cdef);
    pair.passes = Box::new(move |_, _| line.roll(1_000) >= lost);
    let (shaken, copied) = (die.roll(3) * 5_000, [0, 20][die.roll(2) as usize]);
    let mut line = Die(seed ^ 0x0012_3456);
    pair.jitter = Box::new(move || {
        let more = if shaken > 0 && line.one_in(10) { line.roll(shaken) } else { 0 };
        (Duration::from_micros(more), line.roll(1_000) < copied)
    });

    let listener = pair.listen(B, "[::]:80", 4);
    let remote = if die.one_in(2) { "10.0.0.2:80" } else { "[fd00::2]:80" };
    let client = pair.connect(A, remote);
    let server = loop {
        pair.advance(Duration::from_millis(100));
        if let Ok((server, _)) = pair.stacks[B].tcp_accept(listener) {
            break server;
        }
        assert!(pair.stacks[A].tcp_peer_addr(client) == Some(addr(remote)), "seed {seed}: the open failed");
    };
    let now = pair.now;
    for (at, socket) in [(A, client), (B, server)] {
        if die.one_in(2) {
            let reno = TcpOption::Congestion(CongestionKind::Reno);
            pair.stacks[at].tcp_set_option(now, socket, reno).expect("open");
        }
        if die.one_in(3) {
            pair.stacks[at].tcp_set_option(now, socket, TcpOption::NoDelay(true)).expect("open");
        }
    }
    let mut end = |at: usize, socket: TcpHandle| {
        let len = die.roll(300_000) as usize;
        let says = (0..len).map(|i| (i as u64 * 7 + seed + at as u64) as u8).collect();
        End { at, socket, says, said: 0, heard: Vec::new(), finished: false, heard_end: false }
    };
    let mut ends = [end(A, client), end(B, server)];
    let start = pair.now;
    while !ends.iter().all(|end| end.heard_end && end.finished) {
        for end in &mut ends {
            end.play(&mut pair, &mut die);
        }
        pair.advance(Duration::from_micros(100 + die.roll(20_000)));
        // Without timestamps a backoff lasts until a segment that went out once is acknowledged (Karn), which may take long.
        assert!(pair.now - start < Duration::from_secs(3_600), "seed {seed}: no end in sight");
    }
    let [a, b] = ends;
    assert!(a.heard == b.says, "seed {seed}: A heard {} of {}", a.heard.len(), b.says.len());
    assert!(b.heard == a.says, "seed {seed}: B heard {} of {}", b.heard.len(), a.says.len());
    let now = pair.now;
    pair.stacks[A].tcp_close(now, client).expect("open");
    pair.stacks[B].tcp_close(now, server).expect("open");
    pair.stacks[B].tcp_close(now, listener).expect("listens");
    pair.passes = Box::new(|_, _| true);
    pair.advance(Duration::from_secs(300));
    for stack in &pair.stacks {
        let counts = stack.tcp_counts();
        let left = (counts.sockets, counts.half_open, counts.time_wait, counts.buffer_bytes);
        assert_eq!(left, (0, 0, 0, 0), "seed {seed}");
        assert_eq!(stack.next_deadline(pair.now), None, "seed {seed}");
    }
}

#[test]
fn every_life_ends_well() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = number("SEED") {
        return live(seed);
    }
    let lives = number("LIVES").unwrap_or(if cfg!(debug_assertions) { 200 } else { 2_000 });
    (0..lives).for_each(live);
}
