//! The stage: two hosts, a link between them, a clock, and somebody who writes down what happens.
//! Owns: the stacks, the link, the time.
//! Invariants: all that is due is done before the clock moves; at one time arrivals come first, then deadlines, then what is sent; a
//! segment's states are its hosts' own, asked for right after it left and right after it arrived.
//! Not here: what a program calls (`calls`), what is done to frames (`mischief`), what was sent (`record`), what is drawn and checked
//! (`picture`); scenarios.

use crate::frame::Seg;
use crate::play::{Act, Check};
use crate::words::Lang;
use ladder::item::{Item, Passage, Side};
use ladder::state::State;
use mischief::{Does, Fate};
use picture::{Cue, no_hosts};
use record::Sent;
use sim::clock::Clock;
use sim::link::{Conditions, End, Link, LinkConfig};
use stack::frame::FrameQueue;
use stack::{Config, InterfaceConfig, InterfaceId, Prefix, Secret, Stack, TcpHandle};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use tcp::Instant;
use wire::meta::{Capabilities, RxFrame, RxMeta};

mod calls;
mod mischief;
mod picture;
mod record;

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

/// What a program does as soon as something arrives, before its stack answers; true: it is done.
type Reaction = Box<dyn FnMut(&mut Stage) -> bool>;

/// A frame that was sent and has not arrived.
struct Flying {
    from: End,
    frame: Vec<u8>,
    /// Its item, if it is drawn.
    item: Option<usize>,
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
    /// What the two ends are called, in English and in Chinese.
    roles: [(&'static str, &'static str); 2],
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
            roles: picture::ROLES,
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

    /// Keeps a handle from one act to the next.
    pub fn keep(&mut self, socket: TcpHandle) {
        self.kept = Some(socket);
    }

    /// The handle that was kept.
    #[must_use]
    pub fn kept(&self) -> Option<TcpHandle> {
        self.kept
    }

    /// What the client's host knows of the path to the server.
    pub fn path_mtu_to_server(&mut self) -> Option<u32> {
        let now = self.now;
        self.stacks[0].path_mtu(now, address(B))
    }

    /// The seed of this play.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// A program at `end` acts as soon as something has arrived there, before its stack sends an answer, until it is done.
    pub fn on_arrival(&mut self, end: End, reaction: impl FnMut(&mut Stage) -> bool + 'static) {
        self.reaction = Some((end, Box::new(reaction)));
    }

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
}
