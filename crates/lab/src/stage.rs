//! The stage: two hosts, a link between them, a clock, and somebody who writes down what happens.
//! Owns: the stacks, the link, the time; what is to be lost, held back or explained; what was checked.
//! Invariants: all that is due is done before the clock moves; at one time arrivals come first, then deadlines, then what is sent; a
//! segment's states are its hosts' own, asked for right after it left and right after it arrived.
//! Not here: scenarios, drawing.

use crate::frame::{self, Seg};
use crate::play::{Act, Check, Play};
use crate::words::Lang;
use ladder::item::{Event, Hosts, Item, Packet, Passage, Side, Step};
use ladder::mark::Mark;
use ladder::state::State;
use sim::clock::Clock;
use sim::link::{Conditions, End, Link, LinkConfig};
use stack::frame::FrameQueue;
use stack::{Config, InterfaceConfig, InterfaceId, Prefix, Secret, Stack, TcpHandle};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use tcp::Instant;
use wire::meta::{Capabilities, Medium, RxFrame, RxMeta};

mod calls;

pub use calls::{PORT, Read};

/// The client's host, on the left.
pub const A: End = End::A;
/// The server's, on the right.
pub const B: End = End::B;

/// How long a frame is under way, unless a scenario says otherwise.
pub const DELAY: Duration = Duration::from_millis(10);
const INTERFACE: InterfaceId = InterfaceId(0);
/// Turns at one moment: more means that the hosts answer each other without end.
const TURNS_MAX: usize = 10_000;
/// What a quiet stage waits for at most, so that a keep-alive that never ends ends the play.
const QUIET_MAX: Duration = Duration::from_secs(3600);

/// Which segments are meant.
pub type Which = fn(&Seg) -> bool;

/// A segment that something happens to.
struct Fate {
    from: End,
    which: Which,
    /// How many to let by first.
    skip: usize,
    count: usize,
    does: Does,
}

/// What happens to it.
#[derive(Clone, Copy)]
enum Does {
    Lose,
    Hold(Duration),
}

/// An explanation that waits for its segment.
struct Cue {
    from: End,
    which: Which,
    text: String,
}

/// What a program does as soon as something arrives, before its stack answers; true: it is done.
type Reaction = Box<dyn FnMut(&mut Stage) -> bool>;

/// A frame that was sent and has not arrived.
struct Flying {
    from: End,
    frame: Vec<u8>,
    /// Its item, if it is drawn.
    item: Option<usize>,
}

/// A frame that a host has sent.
struct Sent {
    at: Duration,
    from: End,
    frame: Vec<u8>,
    lost: bool,
}

/// The stage.
pub struct Stage {
    lang: Lang,
    seed: u64,
    now: Instant,
    begin: Instant,
    stacks: [Stack; 2],
    configs: [Config; 2],
    /// The cable.
    pub link: Link,
    sink: FrameQueue,
    flying: Vec<Flying>,
    fates: Vec<Fate>,
    cues: VecDeque<Cue>,
    reaction: Option<(End, Reaction)>,
    /// Who talks to whom: the left one's address, the right one's.
    watched: Option<[SocketAddr; 2]>,
    draws_all: bool,
    listening: [bool; 2],
    /// Each end's state as it was last told.
    told: [State; 2],
    act: Act,
    acts: Vec<Act>,
    checks: Vec<Check>,
    packets: Vec<(Duration, Vec<u8>)>,
    /// Frames as they were sent, for replays and counts.
    sent: Vec<Sent>,
    kept: Option<TcpHandle>,
    /// What a router on the way lets through, and since when.
    narrow: Option<u16>,
    narrow_at: Option<Duration>,
}

/// The address of a host.
#[must_use]
pub fn address(end: End) -> IpAddr {
    match end {
        End::A => Ipv4Addr::new(10, 0, 0, 1).into(),
        End::B => Ipv4Addr::new(10, 0, 0, 2).into(),
    }
}

/// The host's side of a ladder.
#[must_use]
pub fn side(end: End) -> Side {
    match end {
        End::A => Side::Left,
        End::B => Side::Right,
    }
}

/// What a host is made of by default.
fn config(end: End) -> Config {
    let capabilities = Capabilities { mtu: 1500, ..Capabilities::default() };
    let prefix = Prefix::new(address(end), 24).expect("a length that fits the family");
    // One frame a turn, so that the state after each can be asked for.
    Config {
        interfaces: vec![InterfaceConfig::ip(capabilities).with_address(prefix)],
        turn_frames_max: 1,
        ..Config::default()
    }
}

fn secret(seed: u64, end: End) -> Secret {
    Secret::from_seed(seed.wrapping_mul(2).wrapping_add(end.index() as u64))
}

impl Stage {
    /// An empty stage.
    pub(crate) fn new(seed: u64, lang: Lang) -> Stage {
        let configs = [config(A), config(B)];
        let begin = Clock::START;
        let stack = |end: End| {
            Stack::new(&configs[end.index()], &secret(seed, end), begin).expect("the configuration is sound")
        };
        let mut link = Link::new(LinkConfig::default(), seed);
        for end in End::BOTH {
            link.set_conditions(end, Conditions { delay: DELAY, ..Conditions::default() });
        }
        let mut stage = Stage {
            lang,
            seed,
            now: begin,
            begin,
            stacks: [stack(A), stack(B)],
            configs,
            link,
            sink: FrameQueue::new(1),
            flying: Vec::new(),
            fates: Vec::new(),
            cues: VecDeque::new(),
            reaction: None,
            watched: None,
            draws_all: false,
            listening: [false; 2],
            told: [State::Closed; 2],
            act: Act { title: String::new(), hosts: no_hosts(), before: Vec::new(), items: Vec::new() },
            acts: Vec::new(),
            checks: Vec::new(),
            packets: Vec::new(),
            sent: Vec::new(),
            kept: None,
            narrow: None,
            narrow_at: None,
        };
        stage.act.hosts.time_wait = Some(stage.time_wait());
        stage
    }

    /// 2*MSL here.
    #[must_use]
    pub fn time_wait(&self) -> Duration {
        self.configs[0].tcp.connection.time_wait
    }

    /// The language of this play.
    #[must_use]
    pub fn lang(&self) -> Lang {
        self.lang
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// How long the play has been going on.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.now.since(self.begin)
    }

    /// A host's stack, to ask.
    #[must_use]
    pub fn stack(&self, end: End) -> &Stack {
        &self.stacks[end.index()]
    }

    /// A host's stack, to call where the stage has no word for it.
    pub fn stack_mut(&mut self, end: End) -> &mut Stack {
        &mut self.stacks[end.index()]
    }

    /// Makes a host anew, with another configuration: before anything has happened on it, or as one that has lost its power.
    pub fn rebuild(&mut self, end: End, change: impl FnOnce(&mut Config)) {
        change(&mut self.configs[end.index()]);
        self.seed = self.seed.wrapping_add(0x9e37);
        let config = &self.configs[end.index()];
        self.stacks[end.index()] =
            Stack::new(config, &secret(self.seed, end), self.now).expect("the configuration is sound");
        self.listening[end.index()] = false;
        if !self.configs[end.index()].tcp.connection.test.time_wait {
            self.act.hosts.time_wait = None;
        }
    }

    /// Another cable, with the same delay.
    pub fn rewire(&mut self, config: LinkConfig) {
        self.link = Link::new(config, self.seed);
        for end in End::BOTH {
            self.link.set_conditions(end, Conditions { delay: DELAY, ..Conditions::default() });
        }
    }

    // --- The picture ---

    /// Draws this conversation from now on; what else passes is not drawn.
    pub fn watch(&mut self, left: SocketAddr, right: SocketAddr) {
        self.watched = Some([left, right]);
        if self.act.hosts.names[0].is_empty() {
            let (client, server) = self.lang.pick(("client", "server"), ("客户端", "服务器"));
            self.act.hosts.names = [format!("{client} {left}"), format!("{server} {right}")];
            let states = End::BOTH.map(|end| self.state(end));
            self.act.hosts.states = states.map(Some);
            self.told = states;
        }
    }

    /// Draws all that passes between the hosts, whichever conversation it belongs to.
    pub fn watch_all(&mut self, left: &str, right: &str, with_states: bool) {
        self.draws_all = true;
        self.act.hosts.names = [left.to_owned(), right.to_owned()];
        self.act.hosts.states =
            if with_states { End::BOTH.map(|end| Some(self.state(end))) } else { [None; 2] };
    }

    /// Draws no more packets in this act; events and explanations still.
    pub fn pause_drawing(&mut self) {
        self.watched = None;
        self.draws_all = false;
    }

    /// Forgets what was drawn in this act: the picture begins here, in the states that both are in.
    pub fn restart_picture(&mut self) {
        self.act.before = std::mem::take(&mut self.act.items);
        self.flying.iter_mut().for_each(|flying| flying.item = None);
        self.act.hosts.states = End::BOTH.map(|end| Some(self.state(end)));
    }

    /// Keeps a handle from one act to the next.
    pub fn keep(&mut self, socket: TcpHandle) {
        self.kept = Some(socket);
    }

    /// The handle that was kept.
    #[must_use]
    pub fn kept(&self) -> Option<TcpHandle> {
        self.kept
    }

    /// A router on the way forwards nothing of the client's that is longer than `mtu`, and tells it so.
    pub fn narrow(&mut self, mtu: u16) {
        self.narrow = Some(mtu);
    }

    /// What the client's host knows of the path to the server.
    pub fn path_mtu_to_server(&mut self) -> Option<u32> {
        let now = self.now;
        self.stacks[0].path_mtu(now, address(B))
    }

    /// The longest packet of `from` that arrived since the router narrowed, or at all.
    #[must_use]
    pub fn largest_arrived(&self, from: End) -> usize {
        let sent = self
            .sent
            .iter()
            .filter(|sent| sent.from == from && !sent.lost && self.narrow_at.is_none_or(|at| sent.at >= at));
        sent.map(|sent| sent.frame.len()).max().unwrap_or(0)
    }

    /// When `from` sent segments that `which` means, from `since` on.
    #[must_use]
    pub fn times(&self, from: End, which: Which, since: Duration) -> Vec<Duration> {
        let sent = self.sent.iter().filter(|sent| sent.from == from && sent.at >= since);
        sent.filter(|sent| Seg::read(&sent.frame).is_some_and(|seg| which(&seg)))
            .map(|sent| sent.at)
            .collect()
    }

    /// How many those are.
    #[must_use]
    pub fn count_since(&self, from: End, which: Which, since: Duration) -> usize {
        self.times(from, which, since).len()
    }

    /// How long after `since` the last segment of the client's with text had arrived.
    #[must_use]
    pub fn arrived_after(&self, since: Duration) -> Duration {
        let last = self.times(A, Seg::is_data, since).last().copied().unwrap_or(since);
        (last + DELAY).saturating_sub(since)
    }

    /// The seed of this play.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// An act that was played elsewhere.
    pub fn push_act(&mut self, act: Act) {
        self.acts.push(act);
    }

    /// What a capture at the left host of an act that was played elsewhere saw.
    pub fn push_packet(&mut self, at: Duration, packet: Vec<u8>) {
        self.packets.push((at, packet));
    }

    /// Packets of this act that did not arrive.
    #[must_use]
    pub fn losses(&self) -> usize {
        let lost = |item: &&Item| matches!(item, Item::Step(Step { passage: Passage::Lost(_), .. }));
        self.act.items.iter().filter(lost).count()
    }

    /// Packets of this act.
    #[must_use]
    pub fn packets_drawn(&self) -> usize {
        self.act.items.iter().filter(|item| matches!(item, Item::Step(_))).count()
    }

    /// Ends an act and begins the next.
    pub fn act(&mut self, en: impl Into<String>, zh: impl Into<String>) {
        let title = self.lang.pick(en.into(), zh.into());
        let hosts = Hosts { time_wait: self.act.hosts.time_wait, ..no_hosts() };
        let next = Act { title, hosts, before: Vec::new(), items: Vec::new() };
        let done = std::mem::replace(&mut self.act, next);
        if !done.items.is_empty() {
            self.acts.push(done);
        }
        self.flying.iter_mut().for_each(|flying| flying.item = None);
        self.watched = None;
        self.draws_all = false;
        self.told = End::BOTH.map(|end| self.state(end));
    }

    /// An explanation, here.
    pub fn note(&mut self, en: impl Into<String>, zh: impl Into<String>) {
        let text = self.lang.pick(en.into(), zh.into());
        self.act.items.push(Item::Note { at: self.elapsed(), text });
    }

    /// An explanation of the next segment of `from` that `which` means; explanations wait for each other, in the order in which they
    /// were given.
    pub fn cue(&mut self, from: End, which: Which, en: impl Into<String>, zh: impl Into<String>) {
        let text = self.lang.pick(en.into(), zh.into());
        self.cues.push_back(Cue { from, which, text });
    }

    /// A program at `end` acts as soon as something has arrived there, before its stack sends an answer, until it is done.
    pub fn on_arrival(&mut self, end: End, reaction: impl FnMut(&mut Stage) -> bool + 'static) {
        self.reaction = Some((end, Box::new(reaction)));
    }

    /// Something that happens at an end; its state is told if it has changed.
    pub fn event(&mut self, end: End, what: impl Into<String>) {
        let state = self.state(end);
        let state = (self.told[end.index()] != state && self.watched.is_some()).then_some(state);
        if let Some(state) = state {
            self.told[end.index()] = state;
        }
        let event = Event { at: self.elapsed(), side: side(end), what: what.into(), state, note: None };
        self.act.items.push(Item::Event(event));
    }

    /// Something was checked.
    pub fn check(&mut self, held: bool, en: impl Into<String>, zh: impl Into<String>) {
        self.checks.push(Check { what: self.lang.pick(en.into(), zh.into()), held });
    }

    // --- Mischief ---

    /// The next `count` segments of `from` that `which` means get lost, after `skip` that do not.
    pub fn lose(&mut self, from: End, which: Which, skip: usize, count: usize) {
        self.fates.push(Fate { from, which, skip, count, does: Does::Lose });
    }

    /// The next segment of `from` that `which` means is under way for so much longer, after `skip` that are not.
    pub fn hold(&mut self, from: End, which: Which, skip: usize, longer: Duration) {
        self.fates.push(Fate { from, which, skip, count: 1, does: Does::Hold(longer) });
    }

    /// The latest segment of `from` that `which` means, as it was sent.
    #[must_use]
    pub fn latest(&self, from: End, which: Which) -> Option<(Seg, Vec<u8>)> {
        self.sent
            .iter()
            .rev()
            .filter(|sent| sent.from == from)
            .filter_map(|sent| Some((Seg::read(&sent.frame)?, &sent.frame)))
            .find(|(seg, _)| which(seg))
            .map(|(seg, frame)| (seg, frame.clone()))
    }

    /// Segments of `from` so far that `which` means.
    #[must_use]
    pub fn count(&self, from: End, which: Which) -> usize {
        self.count_since(from, which, Duration::ZERO)
    }

    /// Somebody puts a frame on the wire in `from`'s name.
    pub fn inject(&mut self, from: End, frame: Vec<u8>) {
        self.put_in(from, frame, Mark::Forged);
    }

    /// An old frame of `from`'s arrives, which was late on its way.
    pub fn inject_old(&mut self, from: End, frame: Vec<u8>) {
        self.put_in(from, frame, Mark::OldDuplicate);
    }

    fn put_in(&mut self, from: End, frame: Vec<u8>, what: Mark) {
        let arrives = self.now + self.link.conditions(from).delay;
        self.record_packet(from, &frame, true);
        let item = self.draw(from, &frame, None, Some(what));
        self.flying.push(Flying { from, frame: frame.clone(), item });
        self.link.inject(arrives, from, frame);
    }

    // --- Time ---

    /// Lives on for `span`.
    pub fn run_for(&mut self, span: Duration) {
        let end = self.now + span;
        self.run_until(end);
    }

    /// Lives on until nothing is under way and no timer is due within `patience`.
    pub fn run_until_quiet(&mut self, patience: Duration) {
        let limit = self.now + QUIET_MAX;
        loop {
            self.settle();
            match self.next_deadline() {
                Some(next) if next <= limit && next.since(self.now) <= patience => {
                    self.now = self.now.max(next);
                }
                _ => return,
            }
        }
    }

    /// Lives on until nothing is under way: timers may be pending.
    pub fn run_until_arrived(&mut self) {
        loop {
            self.settle();
            match self.link.next_deadline() {
                Some(next) => {
                    let timers = self.stacks.iter().filter_map(|stack| stack.next_deadline(self.now)).min();
                    self.now = self.now.max(timers.map_or(next, |timer| timer.min(next)));
                }
                None => return,
            }
        }
    }

    fn run_until(&mut self, end: Instant) {
        loop {
            self.settle();
            match self.next_deadline().filter(|next| *next <= end) {
                Some(next) => self.now = self.now.max(next),
                None => {
                    self.now = self.now.max(end);
                    return;
                }
            }
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let stacks = self.stacks.iter().filter_map(|stack| stack.next_deadline(self.now));
        stacks.chain(self.link.next_deadline()).min()
    }

    /// Does all that is due now.
    pub fn settle(&mut self) {
        for _ in 0..TURNS_MAX {
            let mut busy = false;
            if let Some((to, frame)) = self.link.poll(self.now) {
                busy = true;
                self.deliver(to, &frame);
            }
            for end in End::BOTH {
                if self.stacks[end.index()]
                    .next_deadline(self.now)
                    .is_some_and(|deadline| deadline <= self.now)
                {
                    busy = true;
                    self.stacks[end.index()].handle_deadline(self.now);
                    self.tell_timer(end);
                }
                busy |= self.transmit(end);
            }
            if !busy {
                return;
            }
        }
        self.check(false, "the hosts come to rest", "两台主机会静下来");
    }

    fn deliver(&mut self, to: End, frame: &[u8]) {
        if to == A {
            self.record_packet(to.other(), frame, false);
        }
        let meta = RxMeta::default();
        self.stacks[to.index()].handle_frame(self.now, INTERFACE, RxFrame { bytes: frame, meta });
        let at = self.elapsed();
        let state = self.state(to);
        let from = to.other();
        let found = self.flying.iter().position(|flying| flying.from == from && flying.frame == frame);
        let flying = found.map(|index| self.flying.remove(index));
        if let Some(Item::Step(step)) = flying.and_then(|flying| self.act.items.get_mut(flying.item?)) {
            step.passage = Passage::Arrived(at);
            step.receiver = self.watched.is_some().then_some(state);
            if self.watched.is_some() {
                self.told[to.index()] = state;
            }
        }
        if let Some((end, mut reaction)) = self.reaction.take_if(|(end, _)| *end == to)
            && !reaction(self)
            && self.reaction.is_none()
        {
            self.reaction = Some((end, reaction));
        }
    }

    /// A timer changed the state of the watched conversation.
    fn tell_timer(&mut self, end: End) {
        let state = self.state(end);
        if self.watched.is_none() || state == self.told[end.index()] {
            return;
        }
        let what = match (self.told[end.index()], state) {
            (State::TimeWait, _) if !self.configs[end.index()].tcp.connection.test.time_wait => {
                self.lang.pick("forgets the connection: against the rule", "忘掉连接：违反规则")
            }
            (State::TimeWait, _) => self.lang.pick("2*MSL is over", "2*MSL 到期"),
            _ => self.lang.pick("a timer: it gives up", "计时器到期：放弃"),
        };
        self.event(end, what);
    }

    fn transmit(&mut self, from: End) -> bool {
        self.stacks[from.index()].poll_transmit(self.now, &mut self.sink);
        let mut any = false;
        while let Some((frame, _)) = self.sink.pop() {
            any = true;
            self.put(from, frame);
        }
        any
    }

    /// A host sends a frame.
    fn put(&mut self, from: End, frame: Vec<u8>) {
        self.record_packet(from, &frame, true);
        if from == A && self.narrow.is_some_and(|mtu| frame.len() > usize::from(mtu)) {
            self.refuse(frame);
            return;
        }
        self.sent.push(Sent { at: self.elapsed(), from, frame: frame.clone(), lost: false });
        match self.fate(from, &frame) {
            Some(Does::Lose) => {
                let why = self.lang.pick("lost", "丢失").to_owned();
                self.draw(from, &frame, Some(why), None);
                self.mark_lost();
            }
            Some(Does::Hold(longer)) => {
                let arrives = self.now + self.link.conditions(from).delay + longer;
                let item = self.draw(from, &frame, None, None);
                self.flying.push(Flying { from, frame: frame.clone(), item });
                self.link.inject(arrives, from, frame);
            }
            None => {
                let fate = self.link.send(self.now, from, frame.clone());
                let lost = fate.lost.map(|why| self.loss_words(why));
                let is_lost = lost.is_some();
                let item = self.draw(from, &frame, lost, None);
                if is_lost {
                    self.mark_lost();
                } else {
                    self.flying.push(Flying { from, frame, item });
                }
            }
        }
    }

    fn mark_lost(&mut self) {
        if let Some(sent) = self.sent.last_mut() {
            sent.lost = true;
        }
    }

    /// The router that is too narrow drops a packet and says so, at half of the way.
    fn refuse(&mut self, frame: Vec<u8>) {
        let Some(mtu) = self.narrow else { return };
        self.narrow_at.get_or_insert(self.elapsed());
        let why = self.lang.pick("dropped by a router: too big", "被途中路由器丢弃：太大").to_owned();
        self.draw(A, &frame, Some(why), None);
        let error = frame::too_big(&frame, mtu);
        let arrives = self.now + self.link.conditions(B).delay;
        let item = self.draw(B, &error, None, Some(Mark::Forged));
        self.sent.push(Sent { at: self.elapsed(), from: A, frame, lost: true });
        self.flying.push(Flying { from: B, frame: error.clone(), item });
        self.link.inject(arrives, B, error);
    }

    fn loss_words(&self, why: sim::link::Loss) -> String {
        use sim::link::Loss;
        let (en, zh) = match why {
            Loss::Chance | Loss::Gate => ("lost", "丢失"),
            Loss::Queue => ("lost: a queue on the way was full", "丢失：途中队列已满"),
            Loss::Cut => ("lost: nothing passes this way", "丢失：此方向不通"),
        };
        self.lang.pick(en, zh).to_owned()
    }

    /// What a scenario has in store for a frame.
    fn fate(&mut self, from: End, frame: &[u8]) -> Option<Does> {
        let seg = Seg::read(frame)?;
        let index = self.fates.iter().position(|fate| fate.from == from && (fate.which)(&seg))?;
        let fate = &mut self.fates[index];
        if fate.skip > 0 {
            fate.skip -= 1;
            return None;
        }
        fate.count -= 1;
        let does = fate.does;
        if fate.count == 0 {
            self.fates.remove(index);
        }
        Some(does)
    }

    /// A capture at the left host sees what it sends, and what arrives there.
    fn record_packet(&mut self, from: End, frame: &[u8], sent: bool) {
        if sent == (from == A) {
            self.packets.push((self.elapsed(), frame.to_vec()));
        }
    }

    /// Draws a frame, if it is of the watched conversation; its place among the items.
    fn draw(&mut self, from: End, frame: &[u8], lost: Option<String>, forged: Option<Mark>) -> Option<usize> {
        let packet = frame::read(frame);
        let watched = self.watched.filter(|_| !self.draws_all);
        let ours = match (&packet, watched) {
            (_, None) => self.draws_all,
            (Some(packet), Some([left, right])) => {
                let ends = if from == A { [left, right] } else { [right, left] };
                [packet.src, packet.dst] == ends
            }
            // What is about the conversation, and not of it: ICMP.
            (None, Some(_)) => true,
        };
        if !ours {
            return None;
        }
        let seg = Seg::read(frame);
        let packet = match (&packet, seg) {
            (_, Some(seg)) => Packet::Segment { header: seg.header, len: seg.len },
            (Some(_), None) => {
                let len = frame.len().saturating_sub(28) as u32;
                Packet::Datagram { len, says: frame::datagram_text(frame) }
            }
            (None, None) => {
                let line = wire::pretty::line(Medium::Ip, frame).to_string();
                let about = line.split_once("icmp ").map_or(line.as_str(), |(_, what)| what);
                let about = about.split_once(" for ").map_or(about, |(what, _)| what);
                let from = if forged.is_some() {
                    self.lang.pick("from a router: ", "来自途中路由器：")
                } else {
                    ""
                };
                Packet::Other(format!("{from}ICMP {about}"))
            }
        };
        let state = self.state(from);
        let sender = (watched.is_some() && forged.is_none()).then_some(state);
        if sender.is_some() {
            self.told[from.index()] = state;
        }
        let note = seg.filter(|_| forged.is_none()).and_then(|seg| self.take_cue(from, &seg));
        let passage = lost.map_or(Passage::SeenOnce, Passage::Lost);
        self.act.items.push(Item::Step(Step {
            from: side(from),
            at: self.elapsed(),
            passage,
            packet,
            sender,
            receiver: None,
            forged,
            note,
        }));
        Some(self.act.items.len() - 1)
    }

    fn take_cue(&mut self, from: End, seg: &Seg) -> Option<String> {
        let cue = self.cues.front()?;
        if cue.from != from || !(cue.which)(seg) {
            return None;
        }
        self.cues.pop_front().map(|cue| cue.text)
    }

    /// The true state of an end of the watched conversation.
    #[must_use]
    pub fn state(&self, end: End) -> State {
        let idle = if self.listening[end.index()] { State::Listen } else { State::Closed };
        let Some([left, right]) = self.watched else { return idle };
        let (local, remote) = if end == A { (left, right) } else { (right, left) };
        match self.stacks[end.index()].tcp_state(local, remote) {
            Some(state) => state.into(),
            None if self.told[end.index()] == State::Listen => idle,
            None => State::Closed,
        }
    }

    /// The end of the play.
    pub(crate) fn curtain(mut self) -> Play {
        let last = std::mem::replace(
            &mut self.act,
            Act { title: String::new(), hosts: no_hosts(), before: Vec::new(), items: Vec::new() },
        );
        if !last.items.is_empty() {
            self.acts.push(last);
        }
        // Frames that arrive at one moment are written in the order in which they passed.
        self.packets.sort_by_key(|(time, _)| *time);
        Play {
            lang: self.lang,
            acts: self.acts,
            checks: self.checks,
            packets: self.packets,
            unsaid: self.cues.into_iter().map(|cue| cue.text).collect(),
        }
    }
}

fn no_hosts() -> Hosts {
    Hosts { names: [String::new(), String::new()], states: [None; 2], time_wait: None }
}
