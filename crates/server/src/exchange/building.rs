//! The beginning of an exchange: listeners bound, mailboxes laid, threads started, in this order.
//! Invariants: nothing runs before all of it is bound.
//! Not here: who listens where (`doors`), the end (`exchange`), what a thread does.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use router::{Router, RouterConfig};
use session::SessionConfig;
use store::SavedSession;
use xmpp::time::Wallclock;

use super::doors::Doors;
use super::wires::Wires;
use super::{Addresses, Exchange, Leaving, StartError, networks};
use crate::admin::serve::Control;
use crate::chance::Chance;
use crate::config::{Config, Profiles};
use crate::counts::{Facts, StoreCounts};
use crate::event_loop::{self, EventLoop, Shared, WAKE};
use crate::http::{self, Http};
use crate::letter::{Door, Letter};
use crate::mailbox::Bell;
use crate::network::kernel;
use crate::store_thread::{self, Parker};
use crate::{admin, errands, secret};

/// How long a loop, or the store, may take to say what it has counted before it counts as stuck.
const INSTRUMENTS_WITHIN: std::time::Duration = std::time::Duration::from_secs(2);

/// An exchange whose listeners are being bound.
pub(super) struct Building {
    shared: Arc<Shared>,
    polls: Vec<mio::Poll>,
    wakers: Vec<Arc<dyn Bell>>,
    doors: Doors,
    plain: Vec<std::net::TcpListener>,
    secure: Vec<std::net::TcpListener>,
    addresses: Addresses,
}

fn io_error(what: &'static str) -> impl FnOnce(io::Error) -> StartError {
    move |error| StartError::Io { what, error }
}

impl Building {
    pub(super) fn new(shared: Arc<Shared>) -> Result<Self, StartError> {
        let mut polls = Vec::new();
        let mut wakers: Vec<Arc<dyn Bell>> = Vec::new();
        let mut registries = Vec::new();
        for _ in 0..shared.config.loops() {
            let poll = mio::Poll::new().map_err(io_error("making a poll"))?;
            let waker = mio::Waker::new(poll.registry(), WAKE).map_err(io_error("making a waker"))?;
            registries.push(poll.registry().try_clone().map_err(io_error("making a poll"))?);
            wakers.push(Arc::new(waker));
            polls.push(poll);
        }
        let networks = networks::open(&shared.config.networks, &registries)?;
        let doors = Doors::new(Arc::clone(&shared), networks);
        let (plain, secure) = (Vec::new(), Vec::new());
        let mut building =
            Self { shared, polls, wakers, doors, plain, secure, addresses: Addresses::default() };
        building.bind()?;
        Ok(building)
    }

    /// Binds everything.
    fn bind(&mut self) -> Result<(), StartError> {
        let config = self.shared.config.clone();
        bind_streams_and_datagrams(&config, &mut self.doors, &mut self.addresses)?;
        for (name, wanted) in [("http", &config.listen.http), ("https", &config.listen.https)] {
            for &address in wanted {
                let listener = kernel::listener(address, config.engine.backlog)
                    .map_err(|error| refuse(name, address, error))?;
                let listener: std::net::TcpListener = listener.into();
                let bound = listener.local_addr().map_err(|error| refuse(name, address, error))?;
                if name == "http" {
                    self.plain.push(listener);
                    self.addresses.http.push(bound);
                } else {
                    self.secure.push(listener);
                    self.addresses.https.push(bound);
                }
            }
        }
        Ok(())
    }

    /// Lays the mailboxes and starts the threads.
    pub(super) fn run(
        self,
        mut backend: Box<dyn store::Backend>,
        router_config: &Arc<RouterConfig>,
    ) -> Result<Exchange, StartError> {
        let Self { shared, polls, wakers, doors, .. } = self;
        let Doors { networks, listeners, endpoints, .. } = doors;
        let loops = networks.len();
        let config = &shared.config;
        let parker = Arc::new(Parker::default());
        let store_bell: Arc<dyn Bell> = Arc::clone(&parker) as _;
        let Wires { loop_mail, posts, store_mail, from_store, from_keys, control, traffic } =
            Wires::lay(&config.engine, &wakers, &store_bell);

        let leaving = Arc::new(Leaving::default());
        let asked = Arc::clone(&leaving);
        let admin = admin::serve::start(
            &config.data,
            control.clone(),
            admin::serve::Settings {
                iterations: config.security.scram_iterations,
                domain: config.domain.clone(),
                web: crate::invite::web(config, &self.addresses.http, &self.addresses.https),
            },
            Box::new(move || asked.ask()),
        )
        .map_err(|error| StartError::Io { what: "making the admin socket", error })?;

        let house = errands::House {
            domain: config.domain.clone(),
            web: crate::invite::web(config, &self.addresses.http, &self.addresses.https),
            user_invites: config.registration.user_invites,
        };
        let errands = errands::start(control.clone(), house)
            .map_err(io_error("starting the thread that runs errands"))?;
        shared.errands.set(errands).expect("an exchange is built once");

        // Late, since who takes what is saved has to go on with it.
        let mut saved = by_home(&mut *backend, shared.clock.now().wall, config, loops)?;
        let store_counts = Arc::new(StoreCounts::default());
        let desk = store_thread::Parts {
            backend,
            parker,
            mail: store_mail,
            loops: from_store,
            session: Arc::clone(&shared.session),
            counts: Arc::clone(&store_counts),
            per_hour: config.registration.per_hour,
            iterations: config.security.scram_iterations,
        };
        let store = store_thread::start(desk, shared.clock, from_keys)
            .map_err(io_error("starting the store's thread"))?;

        let mut threads = Vec::new();
        let parts = networks.into_iter().zip(listeners).zip(endpoints).zip(loop_mail).zip(posts);
        for (this, (poll, ((((networks, listeners), endpoints), mail), posts))) in
            polls.into_iter().zip(parts).enumerate()
        {
            let parts = event_loop::Parts {
                this: this as u8,
                loops: loops as u8,
                shared: Arc::clone(&shared),
                networks,
                listeners,
                endpoints,
                mail,
                posts,
                router: Router::new(Arc::clone(router_config), this as u16, loops as u16),
                saved: std::mem::take(&mut saved[this]),
            };
            let event_loop = EventLoop::new(shared.clock.now(), parts);
            let thread = std::thread::Builder::new()
                .name(format!("loop-{this}"))
                .spawn(move || event_loop.run(poll))
                .map_err(io_error("starting an event loop"))?;
            threads.push(thread);
        }

        let http = if self.plain.is_empty() && self.secure.is_empty() {
            None
        } else {
            let door = door(control.clone(), loops);
            let plan = http::Plan {
                plain: self.plain,
                secure: self.secure,
                tls: Arc::clone(&shared.certs.https),
                trusted_proxies: config.security.trusted_proxies.clone(),
                domain: config.domain.clone(),
                door,
                instruments: http::Instruments {
                    read: instruments(control.clone(), store_counts),
                    metrics_from: config.http.metrics_from.clone(),
                },
            };
            Some(Http::start(plan).map_err(io_error("starting HTTP"))?)
        };
        Ok(Exchange {
            addresses: self.addresses,
            shared,
            control,
            traffic,
            loops: threads,
            store: Some(store),
            http,
            admin: Some(admin),
            leaving,
        })
    }
}

/// The sessions that the exchange before this one saved, by the home of their numbers.
pub(super) fn by_home(
    backend: &mut dyn store::Backend,
    now: Wallclock,
    config: &Config,
    loops: usize,
) -> Result<Vec<Vec<SavedSession>>, StartError> {
    let saved = store_thread::saved_sessions(backend, now, config.resume.time).map_err(|error| {
        StartError::Io { what: "reading the sessions that were saved", error: io::Error::other(error) }
    })?;
    let mut homes = vec![Vec::new(); loops];
    for saved in saved {
        homes[usize::from(Router::home(saved.number, loops as u16))].push(saved);
    }
    Ok(homes)
}

/// Binds what loops own: streams and datagrams, each on the network that owns the address.
pub(super) fn bind_streams_and_datagrams(
    config: &Config,
    doors: &mut Doors,
    addresses: &mut Addresses,
) -> Result<(), StartError> {
    for (name, door, wanted) in
        [("tcp", Door::Tcp, &config.listen.tcp), ("tls", Door::Tls, &config.listen.tls)]
    {
        for &address in wanted {
            for network in config.networks_of(address.ip()) {
                let bound =
                    doors.listen(network, door, address).map_err(|error| refuse(name, address, error))?;
                match door {
                    Door::Tcp => addresses.tcp.push(bound),
                    Door::Tls => addresses.tls.push(bound),
                }
            }
        }
    }
    for &address in &config.listen.quic {
        for network in config.networks_of(address.ip()) {
            let bound = doors.bind_quic(network, address).map_err(|error| refuse("quic", address, error))?;
            addresses.quic.push(bound);
        }
    }
    Ok(())
}

/// Upgraded WebSockets are dealt to the loops in turn.
fn door(control: Control, loops: usize) -> http::Door {
    let next = AtomicUsize::new(0);
    Arc::new(move |handover| {
        let to = next.fetch_add(1, Ordering::Relaxed) % loops;
        control.to_loop(to, Letter::Upgraded(Box::new(handover)))
    })
}

/// How loops and store are asked for what they have counted.
fn instruments(control: Control, store: Arc<StoreCounts>) -> Arc<dyn Fn() -> Facts + Send + Sync> {
    let began = std::time::Instant::now();
    Arc::new(move || Facts {
        loops: control.counts(INSTRUMENTS_WITHIN),
        store_answers: control.store_answers(INSTRUMENTS_WITHIN),
        store_requests: store.requests(),
        store_batches: store.batches(),
        store_failures: store.failures(),
        store_busy_seconds: store.busy_seconds(),
        uptime: began.elapsed(),
    })
}

fn refuse(listener: &'static str, address: SocketAddr, error: io::Error) -> StartError {
    let holder = match (error.kind(), listener) {
        (io::ErrorKind::AddrInUse, "quic") => holder::udp(address),
        (io::ErrorKind::AddrInUse, _) => holder::listener(address),
        _ => None,
    };
    StartError::Listen { listener, address, holder, error }
}

pub(super) fn router_config(config: &Config, chance: &Chance) -> RouterConfig {
    let mut key = [0; 16];
    chance.fill(&mut key);
    let mut settings = RouterConfig::new(&config.domain, key);
    settings.resources_max = config.limits.resources_max;
    settings.archive = config.archive.default;
    settings.strangers_per_hour = config.limits.strangers_per_hour;
    settings.strangers = config.privacy.strangers;
    settings.profiles_open = config.privacy.profiles == Profiles::Everyone;
    settings.pep_nodes_max = config.pep.nodes_max;
    settings.pep_items_max = config.pep.items_max;
    settings.pep_bytes_max = config.pep.bytes_max;
    settings.vcard_bytes_max = config.pep.vcard_bytes_max;
    settings.private_documents_max = config.pep.private_max;
    settings.private_bytes_max = config.pep.private_bytes_max;
    settings.blocked_max = config.limits.blocked_max;
    settings
}

/// What a data folder keeps for log-ins.
pub(super) fn remembered(config: &Config) -> Result<([u8; 32], Vec<u32>), StartError> {
    let secret = secret::salt_secret(&config.data).map_err(io_error("reading the data folder's secret"))?;
    let iterations = secret::iterations(&config.data, config.security.scram_iterations)
        .map_err(io_error("reading the data folder's iteration counts"))?;
    Ok((secret, iterations))
}

pub(super) fn session_config(
    config: &Config,
    router: &RouterConfig,
    (secret, iterations): ([u8; 32], Vec<u32>),
) -> SessionConfig {
    let limits = &config.limits;
    let mut settings = SessionConfig::new(&config.domain, secret);
    settings.stanza_max_unauth = limits.stanza_max_unauth as u32;
    settings.stanza_max = limits.stanza_max as u32;
    settings.stream_features =
        String::from_utf8(Router::stream_features(router)).expect("stream features are XML");
    settings.inline_features = Router::inline_features().into_iter().map(str::to_owned).collect();
    settings.tokens = config.security.fast;
    settings.registration = config.registration.mode;
    settings.mechanisms.clone_from(&config.security.mechanisms);
    settings.negotiation_max = limits.login;
    settings.idle_max = limits.idle;
    settings.answer_max = limits.answer;
    settings.closing_max = config.close.fin_wait;
    settings.unacked_max = limits.unacked_max;
    settings.unacked_octets_max = limits.unacked_bytes_max;
    settings.resume_max = config.resume.time;
    settings.output_max = limits.output_max;
    settings.iterations_in_use = iterations;
    settings
}

/// A session is a descriptor, so all that we may have are asked for.
pub(super) fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "the descriptor limit stays as it is");
        }
    }
}
