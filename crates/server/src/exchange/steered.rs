//! An exchange that somebody else drives: the same loops, sessions, carriers, routers and store desk, on the caller's
//! thread, clock and networks, with randomness from a seed. What a simulation runs.
//! Owns: the loops, the store's desk, who has been rung for.
//! Invariants: nothing here reads a clock, sleeps or starts a thread; the same inputs at the same times give the same
//! outputs, as long as no TLS and no QUIC draws its own randomness; dropping it loses what a killed process loses.
//! Not here: HTTP, WebSocket, the admin socket, signals, files: an exchange in a box has none.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;

use router::Router;
use store::Backend;
use xmpp::address::AccountNumber;
use xmpp::time::{Instant, Now};

use super::building::{bind_streams_and_datagrams, by_home, router_config, session_config};
use super::doors::Doors;
use super::wires::Wires;
use super::{Addresses, StartError};
use crate::admin::{self, serve::Control};
use crate::certs::Certs;
use crate::chance::Chance;
use crate::clock::Clock;
use crate::config::Config;
use crate::event_loop::{self, EventLoop, Shared};
use crate::letter::Letter;
use crate::mailbox::Bell;
use crate::network::Network;
use crate::network::trace::{Answer, Question};
use crate::store_thread::{self, Parker, StoreDesk};

/// Rounds of all loops and the store at one moment; a house that needs more does not come to rest.
const ROUNDS_MAX: usize = 10_000;

/// What an exchange is made of when somebody else drives it.
pub struct Setup {
    /// As for [`Exchange`](crate::Exchange); of `networks` only their number and addresses count, `data` is not touched, and
    /// the number of loops is that of `networks` below.
    pub config: Config,
    /// Where accounts and messages are kept.
    pub backend: Box<dyn Backend>,
    /// The networks of each loop. The listeners' addresses are bound on the first.
    pub networks: Vec<Vec<Box<dyn Network>>>,
    /// All randomness but TLS's and QUIC's.
    pub seed: u64,
}

/// A bell that is looked at.
#[derive(Debug, Default)]
struct Flag(AtomicBool);

impl Bell for Flag {
    fn ring(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Flag {
    fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }

    fn is_up(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The exchange never comes to rest at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restless;

/// An exchange in somebody's hand.
pub struct Steered {
    addresses: Addresses,
    shared: Arc<Shared>,
    loops: Vec<EventLoop>,
    bells: Vec<Arc<Flag>>,
    desk: StoreDesk,
    desk_bell: Arc<Flag>,
    control: Control,
    /// A loop that does not turn.
    stalled: Option<usize>,
}

impl Steered {
    /// Binds the listeners. Nothing has happened yet.
    ///
    /// # Errors
    /// An address that cannot be listened at, or a configuration that cannot be meant.
    pub fn new(now: Now, setup: Setup) -> Result<Self, StartError> {
        let Setup { config, mut backend, networks, seed } = setup;
        config.check().map_err(StartError::Config)?;
        let chance = Chance::seeded(seed);
        let certs = Certs::in_memory(&config.domain).map_err(StartError::Certs)?;
        let router_config = Arc::new(router_config(&config, &chance));
        let mut secret = [0; 32];
        chance.fill(&mut secret);
        let iterations = vec![config.security.scram_iterations];
        let session = Arc::new(session_config(&config, &router_config, (secret, iterations)));
        let shared = Arc::new(Shared {
            session: Arc::clone(&session),
            certs: Arc::new(certs),
            clock: Clock::new(),
            chance,
            connections: AtomicUsize::new(0),
            parked: event_loop::Totals::default(),
            progress: event_loop::Progress::default(),
            errands: std::sync::OnceLock::new(),
            config,
        });
        let mut doors = Doors::new(Arc::clone(&shared), networks);
        let mut addresses = Addresses::default();
        bind_streams_and_datagrams(&shared.config, &mut doors, &mut addresses)?;
        let loops = doors.networks.len();
        let bells: Vec<Arc<Flag>> = (0..loops).map(|_| Arc::default()).collect();
        let desk_bell = Arc::<Flag>::default();
        let loop_bells: Vec<Arc<dyn Bell>> = bells.iter().map(|bell| Arc::clone(bell) as _).collect();
        let store_bell: Arc<dyn Bell> = Arc::clone(&desk_bell) as _;
        let wires = Wires::lay(&shared.config.engine, &loop_bells, &store_bell);
        let mut saved = by_home(&mut *backend, now.wall, &shared.config, loops)?;
        let desk = store_thread::Parts {
            backend,
            parker: Arc::new(Parker::default()),
            mail: wires.store_mail,
            loops: wires.from_store,
            counts: Arc::default(),
            session,
            per_hour: shared.config.registration.per_hour,
            iterations: shared.config.security.scram_iterations,
        };
        let parts = doors.networks.into_iter().zip(doors.listeners).zip(doors.endpoints);
        let parts = parts.zip(wires.loop_mail).zip(wires.posts).enumerate();
        let made = parts.map(|(this, ((((networks, listeners), endpoints), mail), posts))| {
            let parts = event_loop::Parts {
                this: this as u8,
                loops: loops as u8,
                shared: Arc::clone(&shared),
                networks,
                listeners,
                endpoints,
                mail,
                posts,
                router: Router::new(Arc::clone(&router_config), this as u16, loops as u16),
                saved: std::mem::take(&mut saved[this]),
            };
            EventLoop::new(now, parts)
        });
        let loops = made.collect();
        let desk = StoreDesk::new(desk, None);
        Ok(Self { addresses, shared, loops, bells, desk, desk_bell, control: wires.control, stalled: None })
    }

    /// Where it is reachable.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Connections that are open now.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Lets every loop turn that has something to do at this moment, until none has. Frames may have come for any of them.
    ///
    /// # Errors
    /// They never come to rest.
    pub fn turn(&mut self, now: Now) -> Result<(), Restless> {
        let mut first = true;
        for _ in 0..ROUNDS_MAX {
            let mut busy = false;
            for (at, (event_loop, bell)) in self.loops.iter_mut().zip(&self.bells).enumerate() {
                if self.stalled == Some(at) {
                    continue;
                }
                let rung = bell.take();
                if rung {
                    event_loop.hear_bell();
                }
                if first || rung || event_loop.next_deadline().is_some_and(|at| at <= now.mono) {
                    event_loop.turn(now);
                    busy = true;
                }
            }
            first = false;
            if !busy {
                return Ok(());
            }
        }
        Err(Restless)
    }

    /// Whether the store has something to do: letters wait, or a log-in is due.
    pub fn store_has_work(&self, now: Instant) -> bool {
        self.desk_bell.is_up()
            || self.desk.has_letters()
            || self.desk.next_deadline().is_some_and(|at| at <= now)
    }

    /// The store takes what waits and commits it; its answers are sent by [`send_answers`](Self::send_answers), so that the
    /// caller decides how long a disk takes.
    pub fn work_store(&mut self, now: Now) {
        self.desk_bell.take();
        self.desk.take_mail();
        self.desk.work(now);
    }

    /// What the store has committed is told.
    pub fn send_answers(&mut self, now: Now) {
        self.desk.send(now.mono);
    }

    /// When a loop wants to turn. A moment that has passed means at once.
    pub fn next_deadline(&self) -> Option<Instant> {
        let turning = self.loops.iter().enumerate().filter(|(at, _)| self.stalled != Some(*at));
        turning.filter_map(|(_, event_loop)| event_loop.next_deadline()).min()
    }

    /// When the store has a log-in to look up or to answer.
    pub fn store_deadline(&self) -> Option<Instant> {
        self.desk.next_deadline()
    }

    /// Whether a bell has rung for a loop since its last turn.
    pub fn has_mail(&self) -> bool {
        self.bells.iter().enumerate().any(|(at, bell)| self.stalled != Some(at) && bell.is_up())
    }

    /// From now on this loop does not turn, as if its thread got no time, or all do again.
    pub fn stall(&mut self, this: Option<usize>) {
        self.stalled = this;
    }

    /// Which loop decides for a number.
    pub fn home_of(&self, number: AccountNumber) -> usize {
        usize::from(Router::home(number, self.loops.len() as u16))
    }

    /// Stanzas that a loop has read from clients with a resource.
    pub fn stanzas_read(&self, this: usize) -> u64 {
        self.loops[this].counts().stanzas_in.iter().sum()
    }

    /// The lines of one loop.
    pub fn lines_of(&self, this: usize) -> Vec<admin::Line> {
        self.loops[this].who()
    }

    /// Every line, as `switchboard who` shows them: by number, then by age.
    pub fn who(&self) -> Vec<admin::Line> {
        let mut all: Vec<_> = self.loops.iter().flat_map(EventLoop::who).collect();
        all.sort_by_key(|line| (line.number.is_none(), line.number, line.since, line.remote));
        all
    }

    /// Watches a conversation from now on, for ten seconds after each call, and tells its frames as the loop saw them that has any.
    pub fn trace(&mut self, question: Question) -> Answer {
        let mut answers =
            self.loops.iter_mut().map(|event_loop| event_loop.watch(question)).collect::<Vec<_>>();
        let has_some =
            |answer: &Answer| matches!(answer, Answer::Watched(traced) if !traced.frames.is_empty());
        let at = answers.iter().position(has_some).unwrap_or(0);
        answers.swap_remove(at)
    }

    /// Asks every client to go, as SIGTERM does.
    pub fn leave(&mut self) {
        self.control.to_all(|| Letter::Leave);
    }

    /// Makes an account, by the same way as the admin socket.
    ///
    /// # Errors
    /// The store's refusal.
    pub fn ask_store(&mut self, now: Now, op: store::Op) -> Result<store::Answer, store::StoreError> {
        let (answer, answers) = channel();
        self.control.to_store(crate::letter::StoreLetter::Admin { op, answer });
        self.work_store(now);
        answers.try_recv().unwrap_or_else(|_| Err(store::StoreError::Failed("it did not answer".into())))
    }

    /// The address of the first plain listener: what most clients want.
    pub fn tcp(&self) -> Option<SocketAddr> {
        self.addresses.tcp.first().copied()
    }
}
