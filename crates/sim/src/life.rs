//! One life from one seed: drawn hosts, link, conversations and faults; then peace; then the end of everything.
//! Owns: the draw, the loop and the judgement. Invariants: a seed gives one life, octet for octet.
//! Not here: the rules that are judged by (`oracle`), what a test breaks on purpose (`tcp::TestSwitches`, drawn by no life).

use crate::clock::Clock;
use crate::datagrams::Datagrams;
use crate::fault::Schedule;
use crate::host::{Ending, Plan, Streams, Talker};
use crate::link::{Conditions, Duplex, End, Link, LinkConfig};
use crate::oracle::{Stream, StreamId, Violation};
use crate::rng::{Rng, split_mix};
use crate::trace::Trace;
use crate::world::World;
use stack::frame::FrameQueue;
use stack::socket::error::AcceptError;
use stack::socket::options::TcpOption;
use stack::{Config, Handle, InterfaceConfig, Prefix, Secret, Stack, TcpHandle};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tcp::{CongestionKind, EcnPolicy, Instant, KeepAliveSettings, TestSwitches};
use wire::meta::Capabilities;

/// Conversations in a life, at most.
pub const TALKS_MAX: u64 = 5;
/// Bytes that one end says, at most.
pub const BYTES_MAX: u64 = 300_000;
/// The port that B listens on.
const PORT: u16 = 80;
/// After the link is healed all conversations end within this. A backed-off RTO and a backed-off probe of a zero window wait
/// for up to two minutes each (`TcpConfig::rto_max`), and may do so one after the other at both ends; slow links take their
/// time besides, which is reckoned apart.
const SETTLE_MAX: Duration = Duration::from_secs(900);
/// After the last program has closed, everything is gone within this: 2*MSL and FIN-WAIT-2 are a minute each, and the last
/// retries of an orphan up to 204 s (eight doublings of an RTO of 0.4 s).
const FORGET_MAX: Duration = Duration::from_secs(600);
/// Lives whose first conversation crosses the end of the sequence space, in a million: left to chance hardly one would.
const WRAPS: u32 = 150_000;
/// Lives with datagrams beside their conversations, in a million.
const DATAGRAMS: u32 = 300_000;
/// A tick of the clock that ISNs rise with (RFC 9293 3.4.1).
const ISN_TICK: Duration = Duration::from_micros(4);
/// Events in a life, at most: more means that something goes round in circles.
const EVENTS_MAX: u64 = 5_000_000;

/// Keep-alives that find a vanished peer within seconds, for conversations in which one may vanish: a lost RST is never resent.
const KEEP_ALIVE: KeepAliveSettings =
    KeepAliveSettings { idle: Duration::from_secs(20), interval: Duration::from_secs(5), probes: 9 };

/// How a life went.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What did not hold, if anything.
    pub violation: Option<Violation>,
    /// Everything that happened, as one number.
    pub digest: u64,
    /// How long it took, on its own clock.
    pub lasted: Duration,
    /// Bytes that arrived.
    pub delivered: u64,
    /// What passed on the link, if it was asked for.
    pub trace: Trace,
    /// Datagrams that went there and back.
    pub datagrams: u64,
    /// The parameters, in words.
    pub drawn: String,
}

/// What a caller may choose about a life that its seed does not.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Frames that are kept for printing.
    pub frames_max: usize,
    /// Rules to break on purpose.
    pub switches: TestSwitches,
}

/// Lives the life of `seed`.
pub fn live(seed: u64, options: Options) -> Outcome {
    let mut life = Life::draw(seed, options);
    let violation = life.live().err();
    let world = &life.world;
    Outcome {
        violation,
        digest: world.digest.value(),
        lasted: world.now().since(life.begin),
        delivered: life.streams.iter().flatten().map(Stream::received).sum(),
        datagrams: life.datagrams.as_ref().map_or(0, Datagrams::returned),
        trace: life.world.trace.clone(),
        drawn: life.drawn,
    }
}

/// A life under way.
struct Life {
    world: World,
    /// When it begins: the stacks may have stood idle for hours.
    begin: Instant,
    schedule: Schedule,
    plans: Vec<[Plan; 2]>,
    /// By conversation, then by sender.
    streams: Vec<[Stream; 2]>,
    talkers: Vec<Talker>,
    /// Which conversation comes from which address.
    callers: BTreeMap<SocketAddr, usize>,
    listener: Option<TcpHandle>,
    datagrams: Option<Datagrams>,
    /// When each conversation's client connects; those that have are gone.
    starts: Vec<(Instant, usize)>,
    target: SocketAddr,
    settings: [Vec<TcpOption>; 2],
    /// B keeps no handshake: each is a SYN cookie's.
    cookies: bool,
    /// What the slow link alone may take.
    wire_time: Duration,
    drawn: String,
}

impl Life {
    fn draw(seed: u64, options: Options) -> Life {
        let rng = &mut Rng::new(seed);
        let v6 = rng.flip();
        let mtu =
            if v6 { rng.pick(&[1280, 1500, 4000, 9000]) } else { rng.pick(&[296, 576, 1280, 1500, 9000]) };
        let (a, b): (IpAddr, IpAddr) = if v6 {
            let host = |n| Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, n).into();
            (host(1), host(2))
        } else {
            (Ipv4Addr::new(10, 0, 0, 1).into(), Ipv4Addr::new(10, 0, 0, 2).into())
        };
        let configs =
            [draw_config(rng, a, mtu, options.switches), draw_config(rng, b, mtu, options.switches)];
        let secrets = [rng.next_u64(), rng.next_u64()].map(Secret::from_seed);
        let stack_at = |i: usize| {
            Stack::new(&configs[i], &secrets[i], Clock::START).expect("a drawn configuration is a valid one")
        };
        let stacks = [stack_at(0), stack_at(1)];
        let link_config = LinkConfig {
            duplex: if rng.chance(200_000) { Duplex::Half } else { Duplex::Full },
            rate: if rng.flip() { 0 } else { rng.spread(200_000, 1_000_000_000) },
            queue_max: rng.spread(5, 1000) as usize,
        };
        let base = Conditions {
            delay: Duration::from_micros(rng.spread(1, 300_000)),
            jitter: Duration::from_micros(rng.spread(1, 20_000)),
            ..Conditions::default()
        };
        let batch = rng.pick(&[1, 1, 8, 64]);
        let schedule = Schedule::draw(rng, Clock::START, base);
        let mut link = Link::new(link_config, rng.next_u64());
        End::BOTH.into_iter().for_each(|end| link.set_conditions(end, base));
        let plans: Vec<_> = (0..rng.between(1, TALKS_MAX)).map(|_| draw_plans(rng)).collect();
        let streams = (0..plans.len())
            .map(|talk| End::BOTH.map(|from| Stream::new(StreamId { talk, from }, rng.next_u64())))
            .collect();
        let mut starts: Vec<_> = (0..plans.len())
            .map(|talk| (Clock::START + rng.duration(Duration::from_secs(4)), talk))
            .collect();
        starts.sort_unstable();
        let settings = [draw_settings(rng), draw_settings(rng)];
        // What came later has draws of its own, so that a seed's other draws stay what they were.
        let later = &mut Rng::new(split_mix(seed));
        let target = SocketAddr::new(b, PORT);
        let mut begin = Clock::START;
        let wraps_after = later.chance(WRAPS).then(|| later.between(1, plans[starts[0].1][0].bytes + 2));
        if let Some(after) = wraps_after {
            let wait = wait_for_wrap(stack_at(0), target, starts[0].0, after);
            begin += wait;
            starts.iter_mut().for_each(|(at, _)| *at += wait);
        }
        let schedule = schedule.delayed(begin.since(Clock::START));
        let mut datagrams = later.chance(DATAGRAMS).then(|| Datagrams::draw(later, begin, b));
        let said: u64 = plans.iter().flatten().map(|plan| plan.bytes).sum();
        let drawn = format!(
            "v6 {v6}, mtu {mtu}, wraps after {wraps_after:?}, datagrams {}, batch {batch}, {link_config:?}, delay {:?}, jitter {:?}, healed after {:?}\nA: {:?}\nB: {:?}\nplans: {plans:#?}",
            datagrams.is_some(),
            base.delay,
            base.jitter,
            schedule.healed_at().map(|at| at.since(begin)),
            settings[0],
            settings[1],
        );
        // Headers and repetitions: eight times the bytes themselves, and MTU 296 carries 256 of text.
        let bits = said * 8 * 8;
        let wire_time = bits.checked_div(link_config.rate).map_or(Duration::ZERO, Duration::from_secs);
        let mut world = World::new(stacks, link, Trace::new(options.frames_max));
        world.batch = batch;
        world.advance_to(begin);
        if let Some(datagrams) = &mut datagrams {
            datagrams.open(&mut world, a);
        }
        Life {
            world,
            begin,
            schedule,
            plans,
            streams,
            talkers: Vec::new(),
            callers: BTreeMap::new(),
            listener: None,
            datagrams,
            starts,
            target,
            settings,
            cookies: configs[1].tcp.syn_backlog == 0,
            wire_time,
            drawn,
        }
    }

    /// From the first call to the last timer.
    fn live(&mut self) -> Result<(), Violation> {
        self.listen();
        let healed_at = self.schedule.healed_at().unwrap_or(self.begin);
        let patience = healed_at.max(self.begin + Duration::from_secs(4)) + SETTLE_MAX + self.wire_time;
        for _ in 0..EVENTS_MAX {
            self.moment()?;
            if self.all_over() {
                return self.epilogue();
            }
            let now = self.world.now();
            match self.next_deadline() {
                Some(next) if next <= patience => self.world.advance_to(next),
                _ => {
                    let healed_for = now.since(healed_at);
                    return Err(Violation::Stuck { healed_for, waiting: self.waiting() });
                }
            }
        }
        Err(Violation::Stuck { healed_for: Duration::ZERO, waiting: "an end of events".into() })
    }

    fn listen(&mut self) {
        let now = self.world.now();
        let (target, settings) = (self.target, self.settings[1].clone());
        let stack = self.world.stack_mut(End::B);
        let listener = stack.tcp_listener(now, target, 16).expect("a fresh host has the port free");
        for option in settings {
            stack.tcp_set_option(now, listener, option).expect("a listener takes every drawn option");
        }
        self.listener = Some(listener);
    }

    /// Everything that happens at one moment: conditions, calls, deliveries, programs, until nothing more happens.
    fn moment(&mut self) -> Result<(), Violation> {
        let now = self.world.now();
        self.schedule.apply(now, &mut self.world.link);
        while let Some(&(_, talk)) = self.starts.first().filter(|(at, _)| *at <= now) {
            self.starts.remove(0);
            self.connect(talk);
        }
        if let Some(datagrams) = &mut self.datagrams {
            datagrams.act(&mut self.world);
        }
        // Paused programs whose pause is over act once; then those whom the stack calls.
        let mut called: Vec<usize> = (0..self.talkers.len())
            .filter(|i| self.talkers[*i].next_deadline().is_some_and(|at| at <= now))
            .collect();
        loop {
            for i in called.drain(..) {
                self.act(i)?;
            }
            self.world.settle().map_err(|_| Violation::Restless)?;
            let known = self.talkers.len();
            let mut answered = false;
            for end in End::BOTH {
                while let Some((handle, bits)) = self.world.stack_mut(end).poll_ready() {
                    let Handle::Tcp(socket) = handle else {
                        if let Some(datagrams) = &mut self.datagrams {
                            datagrams.on_ready(&mut self.world, end)?;
                            answered = true;
                        }
                        continue;
                    };
                    if self.listener == Some(socket) && end == End::B {
                        self.accept()?;
                    } else if let Some(i) = self.talker_at(end, socket) {
                        self.talkers[i].on_ready(bits);
                        called.push(i);
                    }
                }
            }
            called.extend(known..self.talkers.len());
            called.sort_unstable();
            called.dedup();
            if called.is_empty() && !answered {
                return Ok(());
            }
        }
    }

    fn talker_at(&self, end: End, socket: TcpHandle) -> Option<usize> {
        self.talkers.iter().position(|talker| talker.end == end && talker.socket() == Some(socket))
    }

    fn connect(&mut self, talk: usize) {
        let now = self.world.now();
        let settings = self.settings[0].clone();
        let mortal = self.may_fail(talk);
        let target = self.target;
        let stack = self.world.stack_mut(End::A);
        let socket = stack.tcp_socket().expect("room for a handful of sockets");
        for option in settings.into_iter().chain(mortal.then_some(()).into_iter().flat_map(|()| keep_alive()))
        {
            stack.tcp_set_option(now, socket, option).expect("a fresh socket takes every drawn option");
        }
        stack.tcp_connect(now, socket, target).expect("there is a route and a port");
        let from = stack.tcp_local_addr(socket).expect("a connecting socket has an address");
        self.callers.insert(from, talk);
        self.talkers.push(Talker::new(talk, End::A, self.plans[talk][0], socket, false));
    }

    fn accept(&mut self) -> Result<(), Violation> {
        let now = self.world.now();
        let Some(listener) = self.listener else { return Ok(()) };
        loop {
            match self.world.stack_mut(End::B).tcp_accept(listener) {
                Ok((socket, peer)) => {
                    let talk = *self.callers.get(&peer).expect("only our clients call");
                    if self.talkers.iter().any(|other| other.talk == talk && other.end == End::B) {
                        if !self.cookies {
                            return Err(Violation::Ghost { talk });
                        }
                        // A late double of the handshake's last ACK carries a cookie as good as the first.
                        let _ = self.world.stack_mut(End::B).tcp_abort(now, socket); // it was accepted just now
                        continue;
                    }
                    if self.may_fail(talk) {
                        for option in keep_alive() {
                            // A connection that was reset before it was accepted may refuse.
                            let _ = self.world.stack_mut(End::B).tcp_set_option(now, socket, option);
                        }
                    }
                    self.talkers.push(Talker::new(talk, End::B, self.plans[talk][1], socket, true));
                }
                Err(AcceptError::WouldBlock) => return Ok(()),
                Err(error) => unreachable!("the listener is open: {error}"),
            }
        }
    }

    fn act(&mut self, i: usize) -> Result<(), Violation> {
        let now = self.world.now();
        let talker = &mut self.talkers[i];
        let [from_a, from_b] = &mut self.streams[talker.talk];
        let mut streams = match talker.end {
            End::A => Streams { out: from_a, inward: from_b },
            End::B => Streams { out: from_b, inward: from_a },
        };
        let mut digest = std::mem::take(&mut self.world.digest);
        let done = talker.act(now, self.world.stack_mut(talker.end), &mut streams, &mut digest);
        self.world.digest = digest;
        done?;
        self.judge(i)
    }

    /// An end that is over must have had what it was owed, and no failure without a reason.
    fn judge(&self, i: usize) -> Result<(), Violation> {
        let talker = &self.talkers[i];
        if !talker.is_over() {
            return Ok(());
        }
        if let Some(why) = talker.failure()
            && !self.may_fail(talker.talk)
        {
            return Err(Violation::Failed { talk: talker.talk, end: talker.end, why });
        }
        let sender = talker.end.other();
        if self.is_owed(talker.talk, sender) && talker.failure().is_none() {
            self.streams[talker.talk][sender.index()].check_whole()?;
        }
        Ok(())
    }

    /// Whether one side's ending may cost the other its connection; or the lack of a memory may. A cookie is checked on a segment
    /// that starts where the handshake's last ACK does: when that ACK is lost or overtaken, the host has never heard of
    /// the connection and answers text with RST, silence with silence, as every host with cookies does (RFC 4987 3.6).
    fn may_fail(&self, talk: usize) -> bool {
        self.cookies || self.plans[talk].iter().any(|plan| !plan.ending.is_graceful())
    }

    /// Whether all that `sender` says must arrive: it ends with patience and so does its reader, or it closes on a reader that
    /// says nothing, which gives no reason for a RST (RFC 9293 3.6.1).
    fn is_owed(&self, talk: usize, sender: End) -> bool {
        let (said, heard) = (self.plans[talk][sender.index()], self.plans[talk][sender.other().index()]);
        heard.ending.is_graceful()
            && (said.ending.is_graceful() || (said.ending == Ending::Close && heard.bytes == 0))
    }

    fn all_over(&self) -> bool {
        let mut accepted = vec![false; self.plans.len()];
        for talker in &self.talkers {
            if !talker.is_over() {
                return false;
            }
            accepted[talker.talk] |= talker.end == End::B;
        }
        // A client that gave up may never have been seen by the server.
        self.starts.is_empty() && (0..self.plans.len()).all(|talk| accepted[talk] || self.may_fail(talk))
    }

    fn next_deadline(&self) -> Option<Instant> {
        let talkers = self.talkers.iter().filter_map(Talker::next_deadline);
        let start = self.starts.first().map(|(at, _)| *at);
        let datagram = self.datagrams.as_ref().and_then(Datagrams::next_deadline);
        talkers
            .chain(start)
            .chain(datagram)
            .chain(self.schedule.next_deadline())
            .chain(self.world.next_deadline())
            .min()
    }

    /// All programs are done: the listener closes, and in time every trace of them is gone.
    fn epilogue(&mut self) -> Result<(), Violation> {
        // A connection whose client gave up may still come to the listener: it is taken and closed like any other.
        let now = self.world.now();
        if let Some(listener) = self.listener.take() {
            let _ = self.world.stack_mut(End::B).tcp_close(now, listener); // it is ours, so it is there
        }
        if let Some(datagrams) = &mut self.datagrams {
            datagrams.close(&mut self.world);
        }
        while let Some(next) = self.schedule.next_deadline() {
            let span = next.since(self.world.now());
            self.world.run_for(span).map_err(|_| Violation::Restless)?;
            self.schedule.apply(next, &mut self.world.link);
        }
        self.world.run_for(FORGET_MAX).map_err(|_| Violation::Restless)?;
        for end in End::BOTH {
            let now = self.world.now();
            let stack = self.world.stack_mut(end);
            let counts = stack.tcp_counts();
            let held = stack.buffer_bytes();
            let nothing = counts.sockets == 0
                && counts.half_open == 0
                && counts.time_wait == 0
                && counts.orphans == 0
                && counts.buffer_bytes == 0;
            if !nothing || held != 0 {
                return Err(Violation::Leak { end, what: format!("{counts:?}, {held} bytes of its budget") });
            }
            if let Some(deadline) = stack.next_deadline(now) {
                return Err(Violation::Leak {
                    end,
                    what: format!("a timer, {:?} ahead", deadline.since(now)),
                });
            }
        }
        Ok(())
    }

    fn waiting(&self) -> String {
        use std::fmt::Write;
        let mut text = String::new();
        for talker in self.talkers.iter().filter(|talker| !talker.is_over()) {
            let state = talker.socket().and_then(|socket| self.world.stack(talker.end).tcp_info(socket));
            let [a, b] = &self.streams[talker.talk];
            let _ = write!(
                text,
                "\n  conversation {} at {:?}: A sent {} of {}, of which B read {}; B sent {} of {}, of which A read {}; {state:?}",
                talker.talk,
                talker.end,
                a.sent(),
                self.plans[talker.talk][0].bytes,
                a.received(),
                b.sent(),
                self.plans[talker.talk][1].bytes,
                b.received(),
            );
        }
        if text.is_empty() { "a connection was never accepted".into() } else { text }
    }
}

/// How much later than `start` a connection from `scout` to `target` begins `after` octets before the end of the sequence space. ISNs
/// rise with the clock, so its first SYN at any other moment tells.
fn wait_for_wrap(mut scout: Stack, target: SocketAddr, start: Instant, after: u64) -> Duration {
    let mut sink = FrameQueue::new(64);
    scout.tcp_connect_to(start, target).expect("there is a route and a port");
    scout.poll_transmit(start, &mut sink);
    let frames = std::iter::from_fn(|| sink.pop());
    let iss = frames.into_iter().find_map(|(frame, _)| seq_of(&frame)).expect("a SYN leaves at once");
    let ticks = 0u32.wrapping_sub(after as u32).wrapping_sub(iss);
    ISN_TICK * ticks
}

/// SEG.SEQ of a packet, if it is TCP's.
pub fn seq_of(packet: &[u8]) -> Option<u32> {
    let tcp = match packet.first()? >> 4 {
        4 if packet.get(9) == Some(&6) => 20,
        6 if packet.get(6) == Some(&6) => 40,
        _ => return None,
    };
    Some(wire::tcp::Packet::new(packet.get(tcp..)?).ok()?.seq())
}

fn keep_alive() -> [TcpOption; 2] {
    [TcpOption::KeepAlive(true), TcpOption::KeepAliveTiming(KEEP_ALIVE)]
}

fn draw_config(rng: &mut Rng, addr: IpAddr, mtu: u32, switches: TestSwitches) -> Config {
    let capabilities = Capabilities { mtu, ..Capabilities::default() };
    let len = if addr.is_ipv6() { 64 } else { 24 };
    let prefix = Prefix::new(addr, len).expect("a length that fits the family");
    let mut config = Config {
        interfaces: vec![InterfaceConfig::ip(capabilities).with_address(prefix)],
        ..Config::default()
    };
    let tcp = &mut config.tcp.connection;
    tcp.timestamps = rng.chance(800_000);
    tcp.sack = rng.chance(800_000);
    tcp.window_scaling = rng.chance(800_000);
    tcp.ecn = rng.pick(&[EcnPolicy::Off, EcnPolicy::Accept, EcnPolicy::Request]);
    tcp.test = switches;
    if rng.chance(100_000) {
        config.tcp.syn_backlog = 0; // every handshake is a cookie's
    }
    config
}

fn draw_settings(rng: &mut Rng) -> Vec<TcpOption> {
    let mut options = vec![
        TcpOption::NoDelay(rng.flip()),
        TcpOption::Congestion(rng.pick(&[CongestionKind::Cubic, CongestionKind::Reno])),
    ];
    if rng.flip() {
        options.push(TcpOption::SendBuffer(Some(rng.spread(2_000, 1_000_000) as u32)));
    }
    if rng.flip() {
        options.push(TcpOption::ReceiveBuffer(Some(rng.spread(500, 1_000_000) as u32)));
    }
    if rng.chance(200_000) {
        options.push(TcpOption::MaxSegment(Some(rng.between(88, 1500) as u16)));
    }
    if rng.chance(200_000) {
        options.push(TcpOption::NotSentLowWater(rng.spread(1_000, 100_000) as u32));
    }
    options
}

fn draw_plans(rng: &mut Rng) -> [Plan; 2] {
    let mut plans = [draw_plan(rng), draw_plan(rng)];
    if plans.iter().all(|plan| plan.ending == Ending::AfterPeer) {
        // Two that wait for each other wait for ever, and rightly so.
        plans[usize::from(rng.flip())].ending = Ending::Shutdown;
    }
    plans
}

fn draw_plan(rng: &mut Rng) -> Plan {
    let bytes = if rng.chance(150_000) { 0 } else { rng.spread(1, BYTES_MAX) };
    let ending = match rng.below(10) {
        0 => Ending::Abort(rng.between(0, bytes)),
        1 | 2 => Ending::Close,
        3..=6 => Ending::Shutdown,
        _ => Ending::AfterPeer,
    };
    Plan {
        bytes,
        write_max: rng.spread(1, 100_000).max(bytes / 1000) as usize,
        read_max: rng.spread(1, 100_000).max(BYTES_MAX / 1000) as usize,
        pause_after: rng.spread(0, BYTES_MAX),
        pause: if rng.chance(600_000) { Duration::ZERO } else { rng.duration(Duration::from_secs(20)) },
        ending,
    }
}
