//! A box to put connections in: one against a peer that the test plays by hand (`Script`), or two on a cable (`Pair`).
//! Owns: the clock of a test, the way a segment is written as a line.
//! Lines: `P. 1:4(3) ack 1`: flags in tcpdump's letters, SEG.SEQ:SEG.SEQ+SEG.LEN(octets of text), both relative to the ISN.
//! Not here: anything a test expects.

use core::time::Duration;
use std::fmt::Write as _;
use std::sync::Arc;

use wire::tcp::{Flags, SackBlock, TcpOptions, Timestamps};

use crate::*;

pub(crate) const ISS: SeqNum = SeqNum(u32::MAX - 2000); // so that every longer test crosses the wrap
pub(crate) const IRS: SeqNum = SeqNum(500_000);
pub(crate) const MSS: u16 = 1000;
pub(crate) const BUDGET: usize = 64 << 20;

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Rules without options that would clutter the lines: no timestamps, no SACK, no scaling, no quick ACKs.
pub(crate) fn plain() -> TcpConfig {
    TcpConfig { timestamps: false, sack: false, window_scaling: false, quick_acks: 0, ..TcpConfig::default() }
}

pub(crate) fn opening(iss: SeqNum) -> Opening {
    Opening { iss, ts_offset: 0, mss: MSS, path_mss: MSS }
}

/// One line for a segment, sequence numbers relative to the two ISNs.
pub(crate) fn line(seg: &SegmentOut, iss: SeqNum, irs: SeqNum) -> String {
    let mut line = format!("{}", seg.flags);
    let seq = seg.seq.distance(iss);
    let len = i64::from(seg.len());
    if !seg.is_empty() || seg.flags.rst() || seq != 1 {
        let _ = write!(line, " {}:{}({})", seq, i64::from(seq) + len, seg.text_len);
    }
    if seg.flags.ack() {
        let _ = write!(line, " ack {}", seg.ack.distance(irs));
    }
    if seg.flags.urg() {
        let _ = write!(line, " urg {}", seg.up);
    }
    for block in seg.options.sack.iter() {
        let at = |edge: u32| SeqNum(edge).distance(irs);
        let _ = write!(line, " sack {}:{}", at(block.left), at(block.right));
    }
    line
}

/// RFC 9293 MUST-14, MUST-65, SHLD-5: the MSS option is in every SYN and in nothing else.
fn check_mss(seg: &SegmentOut) {
    assert_eq!(seg.options.mss.is_some(), seg.flags.syn(), "{seg:?}");
}

/// A segment that the test's peer sends, built field by field.
#[derive(Clone)]
pub(crate) struct Peer {
    pub(crate) flags: Flags,
    pub(crate) seq: i64,
    pub(crate) ack: i64,
    pub(crate) wnd: u16,
    pub(crate) up: u16,
    pub(crate) ce: bool,
    pub(crate) text: Vec<u8>,
    pub(crate) options: TcpOptions,
}

/// `peer(Flags::ACK, 1, 1)`: flags, SEG.SEQ and SEG.ACK relative to the ISNs.
pub(crate) fn peer(flags: Flags, seq: i64, ack: i64) -> Peer {
    Peer { flags, seq, ack, wnd: 60_000, up: 0, ce: false, text: Vec::new(), options: TcpOptions::NONE }
}

/// An ACK.
pub(crate) fn ack(seq: i64, ack: i64) -> Peer {
    peer(Flags::ACK, seq, ack)
}

impl Peer {
    pub(crate) fn wnd(mut self, wnd: u16) -> Self {
        self.wnd = wnd;
        self
    }
    pub(crate) fn text(mut self, text: &[u8]) -> Self {
        self.text = text.to_vec();
        self
    }
    pub(crate) fn octets(self, len: usize) -> Self {
        let text: Vec<u8> = (0..len).map(|i| i as u8).collect();
        self.text(&text)
    }
    pub(crate) fn with(mut self, flags: Flags) -> Self {
        self.flags |= flags;
        self
    }
    pub(crate) fn urg(mut self, up: u16) -> Self {
        self.up = up;
        self.with(Flags::URG)
    }
    pub(crate) fn ce(mut self) -> Self {
        self.ce = true;
        self
    }
    pub(crate) fn mss(mut self, mss: u16) -> Self {
        self.options.mss = Some(mss);
        self
    }
    pub(crate) fn scale(mut self, scale: u8) -> Self {
        self.options.window_scale = Some(scale);
        self
    }
    pub(crate) fn sack_ok(mut self) -> Self {
        self.options.sack_permitted = true;
        self
    }
    pub(crate) fn ts(mut self, tsval: u32, tsecr: u32) -> Self {
        self.options.timestamps = Some(Timestamps { tsval, tsecr });
        self
    }
    pub(crate) fn sack(mut self, left: i64, right: i64) -> Self {
        let at = |seq: i64| ISS.0.wrapping_add(seq as u32);
        self.options.sack.push(SackBlock { left: at(left), right: at(right) });
        self
    }
    pub(crate) fn arriving(&self) -> Segment<'_> {
        Segment {
            seq: IRS + self.seq as u32,
            ack: if self.flags.ack() { ISS + self.ack as u32 } else { SeqNum(0) },
            wnd: self.wnd,
            up: self.up,
            flags: self.flags,
            options: self.options,
            ce: self.ce,
            segments: 1,
            text: &self.text,
        }
    }
}

/// One connection, its surroundings, and a peer played by hand.
pub(crate) struct Script {
    pub(crate) now: Instant,
    pub(crate) config: TcpConfig,
    pub(crate) memory: Memory,
    pub(crate) tso_max: u32,
    pub(crate) conn: Connection,
    /// Everything raised so far and not yet asked for.
    pub(crate) events: Events,
    /// The segment of the last line, whole.
    pub(crate) last: Option<SegmentOut>,
}

impl Script {
    /// In SYN-SENT, nothing polled yet.
    pub(crate) fn connecting(config: TcpConfig, settings: Settings) -> Script {
        let mut memory = Memory::new(BUDGET);
        let now = Instant::from_secs(1);
        let conn =
            Connection::connect(&mut Ctx::new(now, &config, &mut memory), Arc::new(settings), &opening(ISS));
        Script { now, config, memory, tso_max: 0, conn, events: Events::NONE, last: None }
    }

    /// ESTABLISHED by an active open with an instant peer: `syn_ack` brings its options.
    pub(crate) fn opened(config: TcpConfig, settings: Settings, syn_ack: Peer) -> Script {
        let mut script = Script::connecting(config, settings);
        script.drain();
        script.arrives(syn_ack);
        assert_eq!(script.conn.state(), State::Established);
        script.drain();
        script.events = Events::NONE;
        script
    }

    /// ESTABLISHED, plain rules, MSS 1000, peer's window 60000.
    pub(crate) fn established() -> Script {
        Script::opened(plain(), Settings::default(), syn_ack().mss(MSS))
    }

    pub(crate) fn with<R>(&mut self, call: impl FnOnce(&mut Connection, &mut Ctx<'_>) -> R) -> R {
        let mut ctx = Ctx { tso_max: self.tso_max, ..Ctx::new(self.now, &self.config, &mut self.memory) };
        let result = call(&mut self.conn, &mut ctx);
        self.events |= self.conn.poll_events();
        result
    }

    pub(crate) fn arrives(&mut self, peer: impl core::borrow::Borrow<Peer>) -> Disposition {
        self.with(|conn, ctx| conn.handle_segment(ctx, &peer.borrow().arriving()))
    }

    /// All that is to be sent now, a line each.
    pub(crate) fn drain(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(seg) = self.with(|conn, ctx| conn.poll_segment(ctx)) {
            assert_eq!(self.conn.payload(&seg).map(<[u8]>::len).sum::<usize>(), seg.text_len as usize);
            check_mss(&seg);
            lines.push(line(&seg, ISS, IRS));
            self.last = Some(seg);
            assert!(lines.len() < 10_000, "a connection that never stops sending");
        }
        lines
    }

    /// Exactly these lines leave now.
    #[track_caller]
    pub(crate) fn sends(&mut self, expected: &[&str]) {
        assert_eq!(self.drain(), expected);
    }

    #[track_caller]
    pub(crate) fn silent(&mut self) {
        self.sends(&[]);
    }

    pub(crate) fn deadline(&mut self) -> Option<Instant> {
        self.with(|conn, ctx| conn.next_deadline(ctx))
    }

    /// Time passes, timers run; what they make leave is kept for `sends`.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.with(|conn, ctx| conn.handle_timer(ctx));
    }

    /// Until the next deadline; says how long that was.
    #[track_caller]
    pub(crate) fn pass_to_deadline(&mut self) -> Duration {
        let deadline = self.deadline().expect("some timer runs");
        let waited = deadline - self.now;
        self.now = self.now.max(deadline);
        self.with(|conn, ctx| conn.handle_timer(ctx));
        waited
    }

    #[track_caller]
    pub(crate) fn write(&mut self, len: usize) {
        let text: Vec<u8> = (0..len).map(|i| i as u8).collect();
        assert_eq!(self.send(&text, SendFlags::default()), Ok(len));
    }

    pub(crate) fn send(&mut self, data: &[u8], flags: SendFlags) -> Result<usize, SendError> {
        self.with(|conn, ctx| conn.send(ctx, data, flags))
    }

    pub(crate) fn recv(&mut self, len: usize) -> Result<Vec<u8>, RecvError> {
        let mut buffer = vec![0; len];
        let taken = self.with(|conn, ctx| conn.recv(ctx, &mut buffer))?;
        buffer.truncate(taken);
        Ok(buffer)
    }

    pub(crate) fn set(&mut self, change: impl FnOnce(&mut Settings)) {
        self.with(|conn, ctx| conn.set_option(ctx, change));
    }

    pub(crate) fn close(&mut self) {
        self.with(|conn, ctx| conn.close(ctx));
    }

    pub(crate) fn shutdown_write(&mut self) {
        self.with(|conn, ctx| conn.shutdown_write(ctx));
    }

    pub(crate) fn state(&self) -> State {
        self.conn.state()
    }

    /// The events since the last such question.
    pub(crate) fn events(&mut self) -> Events {
        core::mem::take(&mut self.events)
    }
}

/// The peer's SYN,ACK.
pub(crate) fn syn_ack() -> Peer {
    peer(Flags::SYN | Flags::ACK, 0, 1)
}

/// One end of a pair.
pub(crate) struct End2 {
    pub(crate) config: TcpConfig,
    pub(crate) memory: Memory,
    pub(crate) conn: Option<Connection>,
    pub(crate) half_open: Option<SynReceived>,
    pub(crate) events: Events,
    pub(crate) tso_max: u32,
    iss: SeqNum,
}

/// Which end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    A,
    B,
}

impl Side {
    fn other(self) -> Side {
        if self == Side::A { Side::B } else { Side::A }
    }
}

struct Flying {
    at: Instant,
    to: Side,
    seg: SegmentOut,
    text: Vec<u8>,
}

type Fault = Box<dyn FnMut(usize, Side, &SegmentOut) -> bool>;

/// Two ends on a cable of constant delay. B listens.
pub(crate) struct Pair {
    pub(crate) now: Instant,
    pub(crate) delay: Duration,
    pub(crate) a: End2,
    pub(crate) b: End2,
    flying: std::collections::VecDeque<Flying>,
    /// Which segments the cable loses: by count since the start, sender, and content.
    pub(crate) loses: Fault,
    sent: usize,
    /// What left, and when: `  20 A  P. 1:4(3) ack 1`; lost ones end in ` x`.
    pub(crate) ladder: Vec<String>,
}

const START: Instant = Instant::from_secs(100);

impl Pair {
    pub(crate) fn new(a: TcpConfig, b: TcpConfig, delay: Duration) -> Pair {
        let end = |config: TcpConfig, iss| End2 {
            config,
            memory: Memory::new(BUDGET),
            conn: None,
            half_open: None,
            events: Events::NONE,
            tso_max: 0,
            iss,
        };
        Pair {
            now: START,
            delay,
            a: end(a, ISS),
            b: end(b, IRS),
            flying: Default::default(),
            loses: Box::new(|_, _, _| false),
            sent: 0,
            ladder: Vec::new(),
        }
    }

    /// Plain rules, 10 ms each way.
    pub(crate) fn plain() -> Pair {
        Pair::new(plain(), plain(), ms(10))
    }

    /// Plain rules and open, the ladder wiped, the clock of its lines at zero.
    pub(crate) fn open(mut self) -> Pair {
        self.connect(Side::A, Settings::default());
        self.run_for(ms(1000));
        assert_eq!(self.conn(Side::A).state(), State::Established);
        assert_eq!(self.conn(Side::B).state(), State::Established);
        self.wipe();
        self
    }

    /// How many segments have been put on the cable: the count that `loses` gets next.
    pub(crate) fn ladder_len_sent(&self) -> usize {
        self.sent
    }

    /// Begins the ladder anew, from zero.
    pub(crate) fn wipe(&mut self) {
        // Every moment is shifted back by shifting what counts as the start.
        self.ladder.clear();
        self.ladder.push(format!("{}", self.now.as_millis()));
    }

    pub(crate) fn end(&mut self, side: Side) -> &mut End2 {
        if side == Side::A { &mut self.a } else { &mut self.b }
    }

    pub(crate) fn conn(&mut self, side: Side) -> &mut Connection {
        self.end(side).conn.as_mut().expect("there is a connection")
    }

    pub(crate) fn connect(&mut self, side: Side, settings: Settings) {
        let now = self.now;
        let end = self.end(side);
        let opening = opening(end.iss);
        let mut ctx = Ctx::new(now, &end.config, &mut end.memory);
        end.conn = Some(Connection::connect(&mut ctx, Arc::new(settings), &opening));
        self.flush(side);
    }

    pub(crate) fn with<R>(&mut self, side: Side, call: impl FnOnce(&mut Connection, &mut Ctx<'_>) -> R) -> R {
        let now = self.now;
        let end = self.end(side);
        let mut ctx = Ctx { tso_max: end.tso_max, ..Ctx::new(now, &end.config, &mut end.memory) };
        let result = call(end.conn.as_mut().expect("there is a connection"), &mut ctx);
        self.flush(side);
        result
    }

    pub(crate) fn write(&mut self, side: Side, data: &[u8]) -> usize {
        self.with(side, |conn, ctx| conn.send(ctx, data, SendFlags::default()).unwrap_or(0))
    }

    pub(crate) fn read_all(&mut self, side: Side) -> Vec<u8> {
        let mut all = Vec::new();
        let mut buffer = [0; 65_536];
        while let Ok(taken @ 1..) = self.with(side, |conn, ctx| conn.recv(ctx, &mut buffer)) {
            all.extend_from_slice(&buffer[..taken]);
        }
        all
    }

    /// Everything `side` wants to send goes on the cable.
    pub(crate) fn flush(&mut self, side: Side) {
        loop {
            let now = self.now;
            let end = self.end(side);
            let Some(conn) = end.conn.as_mut() else { return };
            let mut ctx = Ctx { tso_max: end.tso_max, ..Ctx::new(now, &end.config, &mut end.memory) };
            let Some(seg) = conn.poll_segment(&mut ctx) else {
                end.events |= conn.poll_events();
                return;
            };
            let mut text = vec![0; seg.text_len as usize];
            assert_eq!(conn.payload(&seg).copy_to(&mut text), text.len());
            self.put(side, seg, text);
        }
    }

    fn put(&mut self, from: Side, seg: SegmentOut, text: Vec<u8>) {
        check_mss(&seg);
        let (iss, irs) = if from == Side::A { (ISS, IRS) } else { (IRS, ISS) };
        let lost = (self.loses)(self.sent, from, &seg);
        self.sent += 1;
        let mark = if lost { " x" } else { "" };
        self.ladder.push(format!("{} {from:?}  {}{mark}", self.now.as_millis(), line(&seg, iss, irs)));
        if !lost {
            let at = self.now + self.delay;
            self.flying.push_back(Flying { at, to: from.other(), seg, text });
        }
    }

    fn deliver(&mut self, flying: &Flying) {
        let now = self.now;
        let side = flying.to;
        let arriving = flying.seg.as_arriving(&flying.text);
        let end = self.end(side);
        let mut ctx = Ctx { tso_max: end.tso_max, ..Ctx::new(now, &end.config, &mut end.memory) };
        let mut answer = None;
        if let Some(conn) = end.conn.as_mut() {
            if let Disposition::Answer(_, seg) = conn.handle_segment(&mut ctx, &arriving) {
                answer = Some(seg);
            }
        } else if let Some(half_open) = end.half_open.as_mut() {
            match half_open.handle_segment(now, &end.config, &arriving) {
                SynDisposition::Complete => {
                    let settings = end.config.defaults.clone();
                    let mut conn = half_open.into_connection(&mut ctx, settings, &arriving);
                    let _ = conn.handle_segment(&mut ctx, &arriving);
                    end.conn = Some(conn);
                    end.half_open = None;
                }
                SynDisposition::Answer(seg) => answer = Some(seg),
                SynDisposition::Reset => end.half_open = None,
                SynDisposition::Dropped(_) => {}
            }
        } else {
            match listen(&arriving) {
                ListenDisposition::Open => {
                    let settings = end.config.defaults.clone();
                    let entry = SynReceived::new(now, &end.config, &settings, &opening(end.iss), &arriving);
                    answer = Some(entry.syn_ack(now));
                    end.half_open = Some(entry);
                }
                ListenDisposition::Reset(seg) => answer = Some(seg),
                ListenDisposition::Ignore => {}
            }
        }
        if let Some(seg) = answer {
            self.put(side, seg, Vec::new());
        }
        self.flush(side);
    }

    fn next_deadline(&mut self, side: Side) -> Option<Instant> {
        let now = self.now;
        let end = self.end(side);
        let half_open = end.half_open.as_ref().map(|entry| entry.deadline(now));
        let ctx = Ctx { tso_max: end.tso_max, ..Ctx::new(now, &end.config, &mut end.memory) };
        end.conn.as_ref().and_then(|conn| conn.next_deadline(&ctx)).or(half_open)
    }

    /// The next thing that happens: a segment arrives or a timer is over. False if nothing will before `limit`.
    pub(crate) fn step(&mut self, limit: Instant) -> bool {
        let arrival = self.flying.front().map(|flying| flying.at);
        let timers = [Side::A, Side::B].map(|side| self.next_deadline(side));
        let Some(next) = [arrival, timers[0], timers[1]].into_iter().flatten().min() else { return false };
        if next > limit {
            return false;
        }
        self.now = self.now.max(next);
        if arrival == Some(next) {
            let flying = self.flying.pop_front().expect("it is in front");
            self.deliver(&flying);
        } else {
            for side in [Side::A, Side::B] {
                if self.end(side).conn.is_some() {
                    self.with(side, |conn, ctx| conn.handle_timer(ctx));
                } else {
                    let now = self.now;
                    let end = self.end(side);
                    if let Some(entry) = end.half_open.as_mut() {
                        match entry.handle_timer(now, &end.config) {
                            SynTimeout::Resend(seg) => self.put(side, seg, Vec::new()),
                            SynTimeout::GiveUp => end.half_open = None,
                            SynTimeout::NotYet => {}
                        }
                    }
                }
            }
        }
        true
    }

    pub(crate) fn run_for(&mut self, time: Duration) {
        let limit = self.now + time;
        let mut steps = 0;
        while self.step(limit) {
            steps += 1;
            assert!(steps < 1_000_000, "the pair never rests");
        }
        self.now = limit;
    }

    /// The ladder since the last wipe is this, times in milliseconds since then.
    #[track_caller]
    pub(crate) fn shows(&self, expected: &str) {
        let (start, lines) = match self.ladder.split_first() {
            Some((first, lines)) if !first.contains(' ') => (first.parse::<u64>().unwrap_or(0), lines),
            _ => (START.as_millis(), &self.ladder[..]),
        };
        let shown: Vec<String> = lines
            .iter()
            .map(|line| {
                let (time, rest) = line.split_once(' ').expect("a time and the rest");
                format!("{} {rest}", time.parse::<u64>().expect("a number") - start)
            })
            .collect();
        let expected: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        assert_eq!(shown, expected, "\nshown:\n{}\n", shown.join("\n"));
    }
}
