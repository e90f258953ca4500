//! The box: the exchange, the hosts of its clients, a link to each, the disk, the clock. One event after another.
//! Owns: all of it. Invariants: at any time everything that is due has been done before the clock moves; what happens at one moment
//! happens in the order of the sites, then the exchange, then its store; a site's link carries whole packets of IPv4.
//! Not here: a client's host and cable (`site`), what clients plan (`client`, `life`), what must hold (`oracle`).
//!
//! ```text
//!   Client - Stack - [Nat] - Link --.
//!   Client - Stack ------- Link ----+-- queue 0 - Stack - loop 0 --.
//!   Client - Stack ------- Link ----'   queue 1 - Stack - loop 1 --+-- store desk - Disk
//! ```

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use ::client::session::Account;
use device::Device;
use device::memory::{self, Memory};
use server::network::Network;
use server::network::stack::StackNetwork;
use server::network::trace::{Answer as Traced, Flow, Question};
use server::steered::{Setup, Steered};
use sim::clock::Clock;
use sim::digest::Digest;
use sim::fault::Schedule;
use sim::link::{Conditions, End, Link, LinkConfig};
use sim::rng::{Rng, split_mix};
use sim::trace::{Passed, Trace};
use stack::frame::FrameQueue;
use store::{Answer, Op};
use tcp::Instant;
use wire::meta::{Capabilities, Nanos, RxFrame, RxMeta};
use xmpp::address::AccountNumber;
use xmpp::time::{Now, Wallclock};

use crate::agenda::Agenda;
use crate::client::{Client, Experience, Over, to_core};
use crate::disk::Disk;
use crate::nat::Nat;
use crate::site::{INTERFACE, host};
pub use crate::site::{Seen, Site};

/// Where the exchange is.
pub const EXCHANGE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// Its port, for TCP and for QUIC.
pub const PORT: u16 = 5222;
/// Its port for TLS from the first byte.
pub const TLS_PORT: u16 = 5223;
/// The domain of all numbers.
pub const DOMAIN: &str = "localhost";
/// Everybody's password: nobody here guesses.
pub const PASSWORD: &str = "correct horse battery staple";
/// The civil time at which the clock stands at its start: 2026-01-01T00:00:00Z.
const EPOCH_MILLIS: u64 = 1_767_225_600_000;
/// PBKDF2 rounds: the fewest that a client accepts (RFC 7677 4).
const ITERATIONS: u32 = 4096;
/// Frames that a host sends before the link takes them.
const SINK_MAX: usize = 256;
/// Frames taken from the exchange in one go.
const FRAMES_MAX: usize = 1024;
/// Rounds at one moment; a world that needs more does not come to rest.
const ROUNDS_MAX: usize = 100_000;

/// The box does not come to rest at one moment: somebody answers somebody without end, in no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restless;

/// What a world is made of.
#[derive(Debug, Clone)]
pub struct Config {
    /// Event loops of the exchange.
    pub loops: usize,
    /// How long the disk takes to commit a group, at least and at most.
    pub commit: (Duration, Duration),
    /// Everything else of the exchange. Networks, listeners, loops and where clear text may travel are set here.
    pub exchange: server::Config,
    /// Frames kept for each site's trace.
    pub frames_max: usize,
    /// Every segment but a SYN comes by another of the exchange's queues than its connection's.
    pub astray: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            loops: 2,
            commit: (Duration::from_micros(200), Duration::from_millis(5)),
            exchange: server::Config::default(),
            frames_max: 0,
            astray: false,
        }
    }
}

/// Something that a client went through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happened {
    /// When.
    pub at: Instant,
    /// Which client, by its place.
    pub client: usize,
    /// Which of its sessions, from 1 on; 0 before the first.
    pub session: u32,
    /// What.
    pub what: Experience,
}

/// A world.
pub struct World {
    clock: Clock,
    config: Config,
    rng: Rng,
    seed: u64,
    boots: u64,
    exchange: Option<Steered>,
    ports: Vec<Memory>,
    disk: Disk,
    /// When the group that is being committed is done.
    store_due: Option<Instant>,
    /// The loop that does not turn.
    stalled: Option<usize>,
    sites: Vec<Site>,
    /// Whose turn is when.
    agenda: Agenda,
    by_address: BTreeMap<Ipv4Addr, usize>,
    clients: Vec<Client>,
    credentials: store::Credentials,
    sink: FrameQueue,
    happened: Vec<Happened>,
    /// All that passed on every link, and when, as one number.
    pub digest: Digest,
}

impl World {
    /// A world without anybody in it. The exchange runs.
    pub fn new(mut config: Config, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let [at, tls] = [PORT, TLS_PORT].map(|port| vec![SocketAddr::new(IpAddr::V4(EXCHANGE), port)]);
        let exchange = &mut config.exchange;
        // What the networks are called in a configuration counts for the listeners' addresses only.
        exchange.networks = vec![server::config::NetworkSpec::Kernel];
        exchange.listen =
            server::config::Listen { tcp: at.clone(), tls, quic: at, ..server::config::Listen::none() };
        exchange.domain = DOMAIN.to_owned();
        exchange.security.clear_text = server::config::ClearText::Always;
        exchange.security.scram_iterations = ITERATIONS;
        let salt = split_mix(rng.next_u64()).to_le_bytes();
        let salt: [u8; 16] = std::array::from_fn(|at| salt[at % 8] ^ at as u8);
        let credentials = session::sasl::keys::derive_keys(PASSWORD, salt, ITERATIONS)
            .expect("the password is plain letters");
        let mut world = Self {
            clock: Clock::new(),
            config,
            rng,
            seed,
            boots: 0,
            exchange: None,
            ports: Vec::new(),
            disk: Disk::default(),
            store_due: None,
            stalled: None,
            sites: Vec::new(),
            agenda: Agenda::default(),
            by_address: BTreeMap::new(),
            clients: Vec::new(),
            credentials,
            sink: FrameQueue::new(SINK_MAX),
            happened: Vec::new(),
            digest: Digest::default(),
        };
        world.start();
        world
    }

    /// What time it is.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    fn both_clocks(&self) -> Now {
        let since = self.clock.now().since(Clock::START);
        let millis = EPOCH_MILLIS + u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        Now { mono: to_core(self.clock.now()), wall: Wallclock::from_millis(millis) }
    }

    /// The disk, to fill it.
    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    /// Starts the exchange on what the disk has, if it does not run.
    pub fn start(&mut self) {
        if self.exchange.is_some() {
            return;
        }
        self.boots += 1;
        let (mut networks, mut ports): (Vec<Vec<Box<dyn Network>>>, Vec<Memory>) = (Vec::new(), Vec::new());
        let shared = self.config.loops as u8; // 64 at most
        for _ in 0..self.config.loops {
            let (ours, theirs) = memory::pair(Capabilities::default());
            // One secret for all queues of one start, another after each.
            let stack = host(EXCHANGE, split_mix(self.seed ^ self.boots << 32), self.clock.now());
            networks.push(vec![Box::new(StackNetwork::new("sim", stack, ours, shared))]);
            ports.push(theirs);
        }
        let setup = Setup {
            config: self.config.exchange.clone(),
            backend: Box::new(self.disk.clone()),
            networks,
            seed: split_mix(self.seed.wrapping_add(self.boots)),
        };
        let exchange = Steered::new(self.both_clocks(), setup);
        self.exchange = Some(exchange.unwrap_or_else(|error| panic!("an exchange in a box starts: {error}")));
        self.ports = ports;
    }

    /// The exchange's process dies: what it had not committed is gone, and nobody is told.
    pub fn kill(&mut self) {
        self.exchange = None;
        self.ports.clear();
        (self.store_due, self.stalled) = (None, None);
    }

    /// Whether the exchange runs.
    pub fn is_up(&self) -> bool {
        self.exchange.is_some()
    }

    /// The exchange is told to leave: clients are asked to go.
    pub fn leave(&mut self) {
        if let Some(exchange) = &mut self.exchange {
            exchange.leave();
        }
    }

    /// From now on a loop of the exchange does not turn, as if its thread got no time, or all do again.
    pub fn stall(&mut self, this: Option<usize>) {
        self.stalled = this;
        if let Some(exchange) = &mut self.exchange {
            exchange.stall(this);
        }
    }

    /// Stanzas that a loop of the exchange has read from clients.
    pub fn stanzas_read(&self, this: usize) -> u64 {
        self.exchange.as_ref().map_or(0, |exchange| exchange.stanzas_read(this))
    }

    /// Clients whose number has its home on a loop, and whose connection is there too.
    pub fn clients_of_loop(&self, this: usize) -> Vec<usize> {
        let Some(exchange) = &self.exchange else { return Vec::new() };
        let lines = exchange.lines_of(this);
        let is_there = |client: &Client| {
            let home = AccountNumber::new(client.number()).map(|number| exchange.home_of(number));
            home == Some(this) && lines.iter().any(|line| line.number == Some(client.number()))
        };
        (0..self.clients.len()).filter(|client| is_there(&self.clients[*client])).collect()
    }

    /// Every line of the exchange, as `switchboard who` shows them.
    pub fn who(&self) -> Vec<server::admin::Line> {
        self.exchange.as_ref().map(Steered::who).unwrap_or_default()
    }

    /// Every segment that the exchange got from `remote` or sent there, in this order, from the first call on; each call must come
    /// within ten seconds of the one before.
    pub fn seen_by_exchange(&mut self, remote: SocketAddr) -> Vec<Seen> {
        let question = Question { flow: Flow { protocol: Flow::TCP, remote }, after: 0, snap: 0 };
        let Some(Traced::Watched(traced)) = self.exchange.as_mut().map(|exchange| exchange.trace(question))
        else {
            return Vec::new();
        };
        let seen =
            traced.frames.iter().filter_map(|frame| Some(Seen { sent: frame.sent, state: frame.state? }));
        seen.collect()
    }

    /// Connections that the exchange holds.
    pub fn connections(&self) -> usize {
        self.exchange.as_ref().map_or(0, Steered::connections)
    }

    /// A host with this address and a link to the exchange; behind a NAT box, if that is given its outer address.
    pub fn add_site(
        &mut self,
        address: Ipv4Addr,
        nat: Option<Ipv4Addr>,
        link: LinkConfig,
        conditions: Conditions,
    ) -> usize {
        let stack = host(address, self.rng.next_u64(), self.clock.now());
        let mut link = Link::new(link, self.rng.next_u64());
        End::BOTH.into_iter().for_each(|end| link.set_conditions(end, conditions));
        let index = self.sites.len();
        let taken = self.by_address.insert(nat.unwrap_or(address), index);
        assert!(taken.is_none(), "two sites at one address");
        self.sites.push(Site {
            address,
            stack,
            link,
            nat: nat.map(Nat::new),
            schedule: None,
            trace: Trace::new(self.config.frames_max),
            seen: Vec::new(),
            clients: Vec::new(),
        });
        self.agenda.set(index, Some(self.clock.now()));
        index
    }

    /// From now on a site's link changes as this says.
    pub fn set_schedule(&mut self, site: usize, schedule: Schedule) {
        self.sites[site].schedule = Some(schedule);
        self.agenda.set(site, Some(self.clock.now()));
    }

    /// A number, and somebody at a site who has it. Offline until told to log in.
    pub fn add_client(&mut self, site: usize, over: Over, resource: Option<&str>) -> usize {
        let credentials = Box::new(self.credentials.clone());
        let op = Op::CreateAccount { number: None, name: None, credentials };
        let created = self.disk.ask(self.both_clocks().wall, op);
        let Ok(Answer::Created(number)) = created else { panic!("no number: {created:?}") };
        self.add_client_of(site, over, number, resource)
    }

    /// Somebody more who has a number that is there already.
    pub fn add_client_of(
        &mut self,
        site: usize,
        over: Over,
        number: AccountNumber,
        resource: Option<&str>,
    ) -> usize {
        let account = Account {
            number,
            domain: DOMAIN.to_owned(),
            password: PASSWORD.to_owned(),
            resource: resource.map(str::to_owned),
        };
        let exchange = SocketAddr::new(IpAddr::V4(EXCHANGE), over.port());
        let index = self.clients.len();
        self.clients.push(Client::new(account, over, exchange, self.rng.fork()));
        self.sites[site].clients.push(index);
        index
    }

    /// Somebody, to look at.
    pub fn client(&self, client: usize) -> &Client {
        &self.clients[client]
    }

    /// Everybody.
    pub fn clients(&self) -> &[Client] {
        &self.clients
    }

    /// Tells somebody what to do; they do it at the next [`settle`](Self::settle).
    pub fn with_client<R>(&mut self, client: usize, tell: impl FnOnce(&mut Client) -> R) -> R {
        let told = tell(&mut self.clients[client]);
        let now = self.clock.now();
        for (at, _) in self.sites.iter().enumerate().filter(|(_, site)| site.clients.contains(&client)) {
            self.agenda.set(at, Some(now));
        }
        told
    }

    /// A site.
    pub fn site(&self, site: usize) -> &Site {
        &self.sites[site]
    }

    /// A site, to change its link.
    pub fn site_mut(&mut self, site: usize) -> &mut Site {
        self.agenda.set(site, Some(self.clock.now()));
        &mut self.sites[site]
    }

    /// What clients went through since this was last asked.
    pub fn take_happened(&mut self) -> Vec<Happened> {
        std::mem::take(&mut self.happened)
    }

    /// Does all that is due now.
    ///
    /// # Errors
    /// It does not come to rest.
    pub fn settle(&mut self) -> Result<(), Restless> {
        let now = self.clock.now();
        for _ in 0..ROUNDS_MAX {
            let due = self.agenda.due(now);
            let mut busy = !due.is_empty();
            due.into_iter().for_each(|index| self.turn_site(index));
            busy |= self.turn_exchange()?;
            if !busy {
                return Ok(());
            }
        }
        Err(Restless)
    }

    /// When something is due next.
    pub fn next_deadline(&self) -> Option<Instant> {
        let exchange = self.exchange.as_ref().and_then(|exchange| {
            let store = self.store_due.or_else(|| exchange.store_deadline().map(crate::client::from_core));
            exchange.next_deadline().map(crate::client::from_core).into_iter().chain(store).min()
        });
        self.agenda.next().into_iter().chain(exchange).min()
    }

    /// Moves the clock; whatever was due before has been done by [`settle`](Self::settle).
    pub fn advance_to(&mut self, then: Instant) {
        self.clock.advance_to(then);
    }

    /// Lives on for `span`, event by event.
    ///
    /// # Errors
    /// It does not come to rest at one moment.
    pub fn run_for(&mut self, span: Duration) -> Result<(), Restless> {
        let end = self.now() + span;
        self.run_until(span, |world| world.now() >= end).map(drop)
    }

    /// Lives on until `done`, at most for `span`. Answers whether it came true.
    ///
    /// # Errors
    /// It does not come to rest at one moment.
    pub fn run_until(
        &mut self,
        span: Duration,
        mut done: impl FnMut(&Self) -> bool,
    ) -> Result<bool, Restless> {
        let end = self.now() + span;
        loop {
            self.settle()?;
            if done(self) {
                return Ok(true);
            }
            match self.next_deadline().filter(|next| *next <= end) {
                Some(next) => self.advance_to(next),
                None if self.now() >= end => return Ok(false),
                None => self.advance_to(end),
            }
        }
    }

    fn turn_site(&mut self, index: usize) {
        let now = self.clock.now();
        let site = &mut self.sites[index];
        if let Some(schedule) = &mut site.schedule {
            schedule.apply(now, &mut site.link);
        }
        while let Some((to, mut frame)) = site.link.poll(now) {
            match to {
                End::A => {
                    if site.nat.as_mut().is_none_or(|nat| nat.come_in(&mut frame)) {
                        let arrived = RxFrame { bytes: &frame, meta: RxMeta::default() };
                        site.stack.handle_frame(now, INTERFACE, arrived);
                        site.see(&frame, false, self.config.frames_max);
                    }
                }
                End::B => deliver(&mut self.ports, now, &frame, self.config.astray),
            }
        }
        if site.stack.next_deadline(now).is_some_and(|at| at <= now) {
            site.stack.handle_deadline(now);
        }
        for &client in &site.clients {
            let client_index = client;
            let client = &mut self.clients[client];
            client.act(now, &mut site.stack);
            let session = client.session();
            while let Some(what) = client.poll_experience() {
                self.happened.push(Happened { at: now, client: client_index, session, what });
            }
        }
        while site.stack.poll_ready().is_some() {}
        loop {
            site.stack.poll_transmit(now, &mut self.sink);
            if self.sink.is_empty() {
                break;
            }
            while let Some((mut frame, _)) = self.sink.pop() {
                site.see(&frame, true, self.config.frames_max);
                if site.nat.as_mut().is_none_or(|nat| nat.go_out(&mut frame)) {
                    send(site, &mut self.digest, (now, index), End::A, &frame);
                }
                self.sink.recycle(frame);
            }
        }
        let clients = site.clients.iter().filter_map(|client| self.clients[*client].next_deadline(now)).min();
        let schedule = site.schedule.as_ref().and_then(Schedule::next_deadline);
        let rest = [site.link.next_deadline(), site.stack.next_deadline(now), schedule];
        let next = rest.into_iter().flatten().chain(clients).min();
        self.agenda.set(index, next);
    }

    /// Lets the exchange and its store do what is due. Answers whether anything was.
    fn turn_exchange(&mut self) -> Result<bool, Restless> {
        let now = self.clock.now();
        let clocks = self.both_clocks();
        let Some(exchange) = &mut self.exchange else { return Ok(false) };
        let mut busy = false;
        if self.store_due.is_some_and(|at| at <= now) {
            exchange.send_answers(clocks);
            self.store_due = None;
            busy = true;
        }
        let is_read = |at| self.stalled != Some(at);
        let frames = self.ports.iter().enumerate().any(|(at, port)| is_read(at) && port.waiting() > 0);
        if frames || exchange.has_mail() || exchange.next_deadline().is_some_and(|at| at <= clocks.mono) {
            exchange.turn(clocks).map_err(|_| Restless)?;
            busy = true;
            for port in &mut self.ports {
                loop {
                    let batch =
                        port.receive(Nanos(now.as_nanos()), 0, FRAMES_MAX).expect("memory does not fail");
                    if batch.is_empty() {
                        break;
                    }
                    for at in 0..batch.len() {
                        let frame = batch.frame(at).bytes;
                        let Some(&index) = destination(frame).and_then(|to| self.by_address.get(&to)) else {
                            continue;
                        };
                        let site = &mut self.sites[index];
                        send(site, &mut self.digest, (now, index), End::B, frame);
                        self.agenda.bring_forward(index, site.link.next_deadline());
                    }
                }
            }
        }
        if self.store_due.is_none() && exchange.store_has_work(clocks.mono) {
            exchange.work_store(clocks);
            let (least, most) = self.config.commit;
            self.store_due = Some(now + least + self.rng.duration(most.saturating_sub(least)));
            busy = true;
        }
        Ok(busy)
    }
}

/// Puts a frame on a site's link.
fn send(site: &mut Site, digest: &mut Digest, (now, index): (Instant, usize), from: End, frame: &[u8]) {
    digest.instant(now);
    digest.number((index as u64) << 1 | from.index() as u64);
    digest.bytes(frame);
    let fate = site.link.send(now, from, frame.to_vec());
    site.trace.record(|| Passed { at: now, from, fate, frame: frame.to_vec() });
}

/// Hands a frame to the queue that its flow's hash names, as a TUN interface with several queues does; or to the one after it.
fn deliver(ports: &mut [Memory], now: Instant, frame: &[u8], astray: bool) {
    let queues = ports.len() as u64;
    let hash = flow_hash(frame);
    let hash = if astray && !is_syn(frame) { (hash % queues.max(1)) + 1 } else { hash };
    let Some(port) = ports.get_mut(if queues == 0 { 0 } else { (hash % queues) as usize }) else { return };
    let nanos = Nanos(now.as_nanos());
    let sink = port.transmit(nanos, 0);
    if let Some(room) = sink.reserve(frame.len()) {
        room.copy_from_slice(frame);
        sink.commit(frame.len(), wire::meta::TxMeta::default());
    }
    port.flush(nanos, 0).expect("memory does not fail");
}

fn is_syn(frame: &[u8]) -> bool {
    const TCP: u8 = 6;
    let header = frame.first().map_or(0, |first| usize::from(first & 15) * 4);
    frame.get(9) == Some(&TCP) && frame.get(header + 13).is_some_and(|flags| flags & 0x12 == 0x02)
}

fn flow_hash(frame: &[u8]) -> u64 {
    let word = |at: usize| {
        frame
            .get(at..at + 4)
            .map_or(0, |octets| u64::from(u32::from_be_bytes([octets[0], octets[1], octets[2], octets[3]])))
    };
    let header = frame.first().map_or(0, |first| usize::from(first & 15) * 4);
    let fragment = word(4) & 0x3fff != 0;
    let ports = if fragment { 0 } else { word(header) };
    split_mix(word(12) << 32 | ports)
}

fn destination(frame: &[u8]) -> Option<Ipv4Addr> {
    let octets: [u8; 4] = frame.get(16..20)?.try_into().ok()?;
    Some(octets.into())
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World")
            .field("now", &self.now())
            .field("sites", &self.sites.len())
            .field("clients", &self.clients.len())
            .finish_non_exhaustive()
    }
}
