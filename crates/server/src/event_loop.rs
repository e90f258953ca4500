//! An event loop: one thread that owns its connections, its router and its QUIC endpoints, and polls its networks.
//! One turn: sleep until the least deadline, hear what is ready, read, let sessions and router talk, and only then
//! write, once a connection. Everything on it is sans-IO; [`EventLoop::run`] alone reads a clock and sleeps, and whoever
//! has a clock of its own turns the loop by hand (`steered`).
//! Owns: the shared read buffer, the timers, the lists of those to be read and to be flushed.
//! Invariants: no lock, no allocation and no system call between a stanza's `recv` and its recipient's `send` on the same
//! loop, once warm, but for what the store is to keep until the client has confirmed it; a connection with output is
//! flushed in the turn that wrote it; each loop of a turn is bounded.
//! Not here: rules of the protocol (`session`, `router`), what travels between loops (`letter`, `mailbox`).

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use router::Router;
use session::{Carrier, SessionConfig};
use store::SavedSession;
use xmpp::time::{Instant, Now};

use crate::carrier::quic::{Quic, QuicEvent};
use crate::certs::Certs;
use crate::chance::Chance;
use crate::clock::Clock;
use crate::config::Config;
use crate::counts::LoopCounts;
use crate::letter::{Door, Letter};
use crate::mailbox::Inbound;
use crate::network::kernel::NETWORK_SHIFT;
use crate::network::{Key, ListenerId, Network, Readiness, Stray, StrayTo, UdpId};

mod accept;
mod closing;
mod facts;
mod flush;
mod lines;
mod parked;
mod post;
mod receive;
mod switch;

pub(crate) use lines::Lines;
pub(crate) use parked::{ParkedLines, Totals};
pub(crate) use post::{Posts, Traffic};

/// The loop's own token.
pub(crate) const WAKE: mio::Token = mio::Token(usize::MAX);
/// Keys below are connections' slots.
const LISTENER_KEYS: Key = 1 << 30;
/// Keys from here are datagram sockets.
const UDP_KEYS: Key = LISTENER_KEYS + (1 << 29);
/// Events taken from the poll in one turn: enough to gather writes, few enough to keep a turn short.
const EVENTS_A_TURN: usize = 512;
/// Octets read from one connection in one turn.
const READ_BUFFER: usize = 64 * 1024;
/// Letters that may wait for another loop beyond which stray packets to it are lost, as packets may be.
const STRAYS_BACKLOG_MAX: usize = 1024;
/// After the last letters: how long the store's replies are waited for.
const LAST_REPLIES_WITHIN: Duration = Duration::from_secs(10);

/// A thread that panics takes the process with it: what it held of its numbers cannot be trusted, nothing that was
/// acknowledged is lost by a restart, and half an exchange would look like a whole one.
pub(crate) struct PanicIsFatal;

impl Drop for PanicIsFatal {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}

/// What all loops share. Nothing here is touched on a message's path.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) session: Arc<SessionConfig>,
    pub(crate) certs: Arc<Certs>,
    pub(crate) clock: Clock,
    pub(crate) chance: Chance,
    /// Connections of all loops.
    pub(crate) connections: AtomicUsize,
    /// Sessions that wait for their clients, of all loops.
    pub(crate) parked: Totals,
    pub(crate) progress: Progress,
    /// Where errands go, once someone runs them.
    pub(crate) errands: std::sync::OnceLock<std::sync::mpsc::SyncSender<crate::errands::Asked>>,
}

/// How far a shutdown is, for the one who waits for it.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    state: std::sync::Mutex<usize>,
    changed: std::sync::Condvar,
}

impl Progress {
    /// One more loop has closed all its sessions and sent all its letters.
    pub(crate) fn step(&self) {
        *self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner) += 1;
        self.changed.notify_all();
    }

    /// Someone may want to look again.
    pub(crate) fn nudge(&self) {
        drop(self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        self.changed.notify_all();
    }

    /// Waits until `done` of the number of steps, at most this long. Answers whether it came true.
    pub(crate) fn wait(&self, within: Duration, done: impl Fn(usize) -> bool) -> bool {
        let state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(state, within, |steps| !done(*steps));
        waited.is_ok_and(|(_, timeout)| !timeout.timed_out())
    }
}

/// A listener of this loop.
pub(crate) struct Listener {
    pub(crate) network: u8,
    pub(crate) id: ListenerId,
    pub(crate) door: Door,
}

/// A QUIC endpoint of this loop: every loop has one for every address.
pub(crate) struct Endpoint {
    pub(crate) network: u8,
    pub(crate) udp: UdpId,
    pub(crate) quic: Quic,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Running,
    /// Clients are asked to go; nobody new is let in.
    Leaving,
    /// All sessions are closed; letters go out.
    Stopping,
    /// The other loops have written their last; what is left is the store's.
    Ending(Instant),
}

/// One event loop.
pub(crate) struct EventLoop {
    this: u8,
    loops: u8,
    shared: Arc<Shared>,
    networks: Vec<Box<dyn Network>>,
    listeners: Vec<Listener>,
    endpoints: Vec<Endpoint>,
    mail: Vec<Inbound<Letter>>,
    /// The bell has rung since the mail was last read.
    has_mail: bool,
    letters: VecDeque<Letter>,
    now: Now,
    ready: Vec<Readiness>,
    /// The one read buffer of all connections.
    buffer: Box<[u8]>,
    /// TLS plaintext on its way from rustls to the session.
    plaintext: Vec<u8>,
    quic_events: Vec<QuicEvent>,
    datagram_space: Vec<u8>,
    /// Datagram sockets that were not read empty.
    datagrams_again: Vec<usize>,
    timers: BinaryHeap<Reverse<(Instant, u32, u32)>>,
    lines: Lines,
    parked: ParkedLines,
    posts: Posts,
    router: Router,
    counts: LoopCounts,
    /// Accepting has stopped for want of descriptors or places; it is tried again then.
    accept_again: Option<Instant>,
    /// That has been said.
    accept_said: bool,
    /// Which loop the next accepted connection goes to.
    next_loop: u8,
    life: Life,
    stepped: bool,
}

/// What a loop is made of.
pub(crate) struct Parts {
    pub(crate) this: u8,
    pub(crate) loops: u8,
    pub(crate) shared: Arc<Shared>,
    pub(crate) networks: Vec<Box<dyn Network>>,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) mail: Vec<Inbound<Letter>>,
    pub(crate) posts: Posts,
    pub(crate) router: Router,
    /// Sessions that the exchange before this one saved, of the numbers whose home this is.
    pub(crate) saved: Vec<SavedSession>,
}

/// The key that a listener's readiness bears.
pub(crate) fn listener_key(index: usize) -> Key {
    LISTENER_KEYS + index
}

/// The key that a datagram socket's readiness bears.
pub(crate) fn udp_key(index: usize) -> Key {
    UDP_KEYS + index
}

impl EventLoop {
    pub(crate) fn new(now: Now, parts: Parts) -> Self {
        let mut made = Self {
            this: parts.this,
            loops: parts.loops,
            lines: Lines::new(parts.this),
            parked: ParkedLines::default(),
            shared: parts.shared,
            networks: parts.networks,
            listeners: parts.listeners,
            endpoints: parts.endpoints,
            mail: parts.mail,
            has_mail: false,
            letters: VecDeque::new(),
            now,
            ready: Vec::new(),
            buffer: vec![0; READ_BUFFER].into_boxed_slice(),
            plaintext: Vec::new(),
            quic_events: Vec::new(),
            datagram_space: Vec::new(),
            datagrams_again: Vec::new(),
            timers: BinaryHeap::new(),
            posts: parts.posts,
            router: parts.router,
            counts: LoopCounts::default(),
            accept_again: None,
            accept_said: false,
            next_loop: 0,
            life: Life::Running,
            stepped: false,
        };
        made.restore(parts.saved);
        made
    }

    /// Turns until it is told to end, sleeping in `poll`.
    pub(crate) fn run(mut self, mut poll: mio::Poll) {
        let _fatal = PanicIsFatal;
        let mut events = mio::Events::with_capacity(EVENTS_A_TURN);
        loop {
            // The poll rounds up to its milliseconds, so it does not wake just before the deadline and spin up to it.
            let timeout = match self.next_deadline() {
                Some(at) if at <= self.now.mono => Some(Duration::ZERO),
                at => at.map(|at| at.saturating_since(self.shared.clock.now().mono)),
            };
            if let Err(error) = poll.poll(&mut events, timeout)
                && error.kind() != std::io::ErrorKind::Interrupted
            {
                tracing::error!(%error, "the event loop cannot poll");
                break;
            }
            for event in &events {
                if event.token() == WAKE {
                    self.has_mail = true;
                } else if let Some(network) = self.networks.get_mut(event.token().0 >> NETWORK_SHIFT) {
                    network.handle_event(event, &mut self.ready);
                }
            }
            if !self.turn(self.shared.clock.now()) {
                break;
            }
        }
        for inbound in &self.mail {
            inbound.close();
        }
    }

    /// There is mail: what a bell tells those who sleep in a poll.
    pub(crate) fn hear_bell(&mut self) {
        self.has_mail = true;
    }

    /// What it has done so far.
    pub(crate) fn counts(&self) -> &LoopCounts {
        &self.counts
    }

    /// One turn. Answers whether there is to be another.
    pub(crate) fn turn(&mut self, now: Now) -> bool {
        self.now = now;
        for network in &mut self.networks {
            network.begin_turn(now.mono, &mut self.ready);
        }
        if std::mem::take(&mut self.has_mail) || self.life != Life::Running {
            self.read_mail();
        }
        let mut ready = std::mem::take(&mut self.ready);
        for readiness in ready.drain(..) {
            self.on_ready(readiness);
        }
        self.ready = ready;
        for index in std::mem::take(&mut self.datagrams_again) {
            self.read_datagrams(index);
        }
        self.fire_timers();
        self.read_again();
        self.drive_quic();
        self.flush_dirty();
        // What the flush wrote to streams goes out as datagrams.
        self.drive_quic();
        self.pass_strays();
        self.send_mail();
        let ends = self.may_end();
        for network in &mut self.networks {
            network.end_turn();
        }
        !ends
    }

    /// When the next turn is due though nothing comes; a moment that has passed means at once.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        if self.lines.has_again()
            || self.lines.has_dirty()
            || !self.datagrams_again.is_empty()
            || self.endpoints.iter().any(|e| e.quic.has_work())
        {
            return Some(self.now.mono);
        }
        let clock = self.shared.clock;
        self.networks
            .iter()
            .filter_map(|network| network.next_deadline())
            .chain(self.endpoints.iter().filter_map(|e| e.quic.next_deadline()).map(|at| clock.to_core(at)))
            .chain(self.timers.peek().map(|Reverse((at, ..))| *at))
            .chain(self.router.next_deadline().filter(|_| !self.is_closed()))
            .chain(self.parked.next_deadline().filter(|_| !self.is_closed()))
            .chain(self.accept_again)
            .chain(match self.life {
                Life::Ending(at) => Some(at),
                _ => None,
            })
            .min()
    }

    /// Hands packets that came to the wrong loop on: to all others, or to the next one that may hold what they are about.
    fn pass_strays(&mut self) {
        for index in 0..self.networks.len() {
            while let Some(stray) = self.networks[index].poll_stray() {
                match stray.to {
                    StrayTo::All => {
                        let this = self.this;
                        for to in (0..self.loops).filter(|to| *to != this) {
                            self.pass_stray(index, to, stray.clone());
                        }
                    }
                    StrayTo::Next { .. } => {
                        self.counts.segments_handed_on += 1;
                        self.pass_stray(index, (self.this + 1) % self.loops, stray);
                    }
                }
            }
        }
    }

    fn pass_stray(&mut self, network: usize, to: u8, stray: Stray) {
        if self.posts.backlog(to) < STRAYS_BACKLOG_MAX {
            self.posts.write_loop(to, Letter::Stray { network: network as u8, stray });
        } else {
            self.counts.strays_lost += 1;
        }
    }

    fn on_ready(&mut self, readiness: Readiness) {
        match readiness.key {
            key if key >= UDP_KEYS => {
                if readiness.readable {
                    self.read_datagrams(key - UDP_KEYS);
                }
                // Writable: the drive at the end of the turn sends what waits.
            }
            key if key >= LISTENER_KEYS => self.accept(key - LISTENER_KEYS),
            slot => {
                let Some(line) = self.lines.get_mut(slot) else { return };
                if readiness.writable && std::mem::take(&mut line.flags.write_blocked) {
                    self.lines.mark_dirty(slot);
                    self.lines.mark_again(slot);
                }
                if readiness.readable {
                    let Some(line) = self.lines.get_mut(slot) else { return };
                    line.flags.readable = true;
                    if !line.paused() {
                        self.read(slot);
                    }
                }
            }
        }
    }

    /// Sets the timer of a connection to its next deadline, if that is earlier than what it is set to.
    fn arm(&mut self, slot: usize) {
        let Some(connection) = self.lines.get_mut(slot) else { return };
        if let Some(at) = connection.next_deadline()
            && connection.armed.is_none_or(|armed| at < armed)
        {
            connection.armed = Some(at);
            self.timers.push(Reverse((at, slot as u32, connection.generation)));
        }
    }

    fn fire_timers(&mut self) {
        while let Some(&Reverse((at, slot, generation))) = self.timers.peek() {
            if at > self.now.mono {
                break;
            }
            self.timers.pop();
            let slot = slot as usize;
            let Some(connection) = self.lines.get_mut(slot) else { continue };
            if connection.generation != generation || connection.armed != Some(at) {
                continue;
            }
            connection.armed = None;
            self.on_deadline(slot);
            self.arm(slot);
        }
        // Once every stream is closed, what is left is saved as it is.
        let open = !self.is_closed();
        if open && self.router.next_deadline().is_some_and(|at| at <= self.now.mono) {
            self.router.handle_timer(self.now);
            self.drain_router();
        }
        if open && self.parked.next_deadline().is_some_and(|at| at <= self.now.mono) {
            self.parked.end_due(self.now.mono, &self.shared.parked);
            self.drain_router();
        }
        let std_now = self.shared.clock.to_std(self.now.mono);
        for endpoint in &mut self.endpoints {
            endpoint.quic.handle_timeout(std_now);
        }
        if self.accept_again.is_some_and(|at| at <= self.now.mono) {
            self.accept_again = None;
            for index in 0..self.listeners.len() {
                self.accept(index);
            }
        }
    }

    /// Reads what was cut short or held up, each once.
    fn read_again(&mut self) {
        let mut again = self.lines.take_again();
        for slot in again.drain(..) {
            if let Some(connection) = self.lines.get_mut(slot) {
                connection.flags.in_again = false;
                if !connection.paused() {
                    self.read(slot);
                }
            }
        }
        self.lines.give_back_again(again);
    }

    /// Takes every mailbox's letters.
    fn read_mail(&mut self) {
        for index in 0..self.mail.len() {
            let mut letters = std::mem::take(&mut self.letters);
            self.mail[index].take(&mut letters);
            for letter in letters.drain(..) {
                self.open(letter);
            }
            self.letters = letters;
        }
    }

    /// Sends the turn's letters. Those who waited for room go on once there is some.
    fn send_mail(&mut self) {
        self.posts.flush(self.life != Life::Running);
        if !self.posts.is_congested() {
            self.lines.resume_waiting();
        }
    }

    fn leave(&mut self) {
        if self.life != Life::Running {
            return;
        }
        self.life = Life::Leaving;
        for listener in self.listeners.drain(..) {
            self.networks[usize::from(listener.network)].close_listener(listener.id);
        }
        self.accept_again = None;
        self.ask_all_to_leave();
    }

    /// Whether every stream is closed for good.
    fn is_closed(&self) -> bool {
        matches!(self.life, Life::Stopping | Life::Ending(_))
    }

    /// Whether this loop's work is done.
    fn may_end(&mut self) -> bool {
        match self.life {
            Life::Running | Life::Leaving => false,
            Life::Stopping => {
                if !self.stepped && self.lines.is_empty() && !self.posts.has_staged() {
                    self.stepped = true;
                    self.shared.progress.step();
                }
                false
            }
            Life::Ending(at) => {
                let done = self.posts.outstanding() == 0 && !self.posts.has_staged();
                if !done && at <= self.now.mono {
                    tracing::error!(
                        outstanding = self.posts.outstanding(),
                        "the store did not answer in time"
                    );
                }
                done || at <= self.now.mono
            }
        }
    }

    fn count_down(&mut self, carrier: Carrier) {
        self.counts.closed[LoopCounts::carrier(carrier)] += 1;
        if self.shared.connections.fetch_sub(1, Ordering::Relaxed) == 1 && self.life != Life::Running {
            self.shared.progress.nudge();
        }
    }
}
