//! The exchange: everything that runs, from the first bind to the last commit.
//! Owns: the threads (loops, store, keys, HTTP, admin, signals) and the order in which they start and end.
//! Invariants: either all listeners are bound or nothing runs; a shutdown asks every client to leave, waits up to the
//! drain, closes what is left, and ends only once all that routers asked of the store is committed.
//! Not here: what any of them does.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use router::{Router, RouterConfig};
use session::SessionConfig;
use store::sqlite::OpenError;
use store::{Folder, FolderError, Sqlite};

use crate::admin::serve::{AdminSocket, Control};
use crate::carrier::quic::Quic;
use crate::certs::{CertError, Certs};
use crate::clock::{self, Clock};
use crate::config::{Config, Unfit};
use crate::event_loop::{self, Endpoint, EventLoop, Listener, Posts, Shared, WAKE};
use crate::http::{self, Http};
use crate::letter::{Door, Letter, StoreLetter};
use crate::mailbox::{Bell, Inbound, Outbound, mailbox};
use crate::network::Network;
use crate::network::kernel::{self, Kernel};
use crate::store_thread::{self, Parker};
use crate::{admin, holder, secret};

/// How long loops may take to close their last sessions and send their last letters.
const LAST_LETTERS_WITHIN: Duration = Duration::from_secs(10);
/// Letters that may wait for a loop from the store, from commands and from HTTP each.
const SIDE_MAILBOX_MAX: usize = 65_536;

/// Why the exchange cannot start.
#[derive(Debug)]
pub enum StartError {
    /// The configuration cannot be meant.
    Config(Unfit),
    /// The data folder cannot be had.
    Folder(FolderError),
    /// Its database cannot be had.
    Store(OpenError),
    /// There is no certificate to show.
    Certs(CertError),
    /// An address cannot be listened at.
    Listen {
        /// Which listener: `tcp`, `tls`, `quic`, `http`, `https`.
        listener: &'static str,
        /// Where.
        address: SocketAddr,
        /// Who holds it, where that is known.
        holder: Option<String>,
        /// Why.
        error: io::Error,
    },
    /// Something else that the system would not do.
    Io {
        /// What was to be done.
        what: &'static str,
        /// Why not.
        error: io::Error,
    },
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(unfit) => write!(f, "configuration: {unfit}"),
            Self::Folder(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
            Self::Certs(error) => write!(f, "certificate: {error}"),
            Self::Listen { listener, address, holder, error } => {
                write!(f, "cannot listen at {address} ({listener}): ")?;
                match (error.kind(), holder) {
                    (io::ErrorKind::AddrInUse, Some(holder)) => {
                        write!(
                            f,
                            "port {} is held by {holder}; stop it or choose another port",
                            address.port()
                        )
                    }
                    (io::ErrorKind::AddrInUse, None) => {
                        write!(
                            f,
                            "port {} is in use; stop whoever uses it or choose another port",
                            address.port()
                        )
                    }
                    _ => error.fmt(f),
                }
            }
            Self::Io { what, error } => write!(f, "{what}: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

/// Where the exchange is reachable, with the ports that were chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// Plain TCP with STARTTLS.
    pub tcp: Vec<SocketAddr>,
    /// Direct TLS.
    pub tls: Vec<SocketAddr>,
    /// QUIC.
    pub quic: Vec<SocketAddr>,
    /// HTTP and WebSocket.
    pub http: Vec<SocketAddr>,
    /// The same over TLS.
    pub https: Vec<SocketAddr>,
}

impl fmt::Display for Addresses {
    /// `tcp=ADDR tls=ADDR quic=ADDR http=ADDR`, several with commas, `none` where there is none; `https=` only if any.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = [("tcp", &self.tcp), ("tls", &self.tls), ("quic", &self.quic), ("http", &self.http)];
        for (at, (name, addresses)) in rows.into_iter().enumerate() {
            write!(f, "{}{name}={}", if at == 0 { "" } else { " " }, list(addresses))?;
        }
        if !self.https.is_empty() {
            write!(f, " https={}", list(&self.https))?;
        }
        Ok(())
    }
}

fn list(addresses: &[SocketAddr]) -> String {
    if addresses.is_empty() {
        return "none".to_owned();
    }
    addresses.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(",")
}

/// A wish to leave, which a signal or a command may have.
#[derive(Debug, Default)]
struct Leaving {
    asked: Mutex<bool>,
    changed: Condvar,
}

impl Leaving {
    fn ask(&self) {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    fn wait(&self) {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.changed.wait_while(asked, |asked| !*asked));
    }
}

/// A running exchange.
pub struct Exchange {
    addresses: Addresses,
    shared: Arc<Shared>,
    control: Control,
    loops: Vec<JoinHandle<()>>,
    store: Option<JoinHandle<()>>,
    http: Option<Http>,
    admin: Option<AdminSocket>,
    leaving: Arc<Leaving>,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl Exchange {
    /// Makes or opens the data folder, binds every listener, and runs.
    pub fn start(config: Config) -> Result<Self, StartError> {
        config.check().map_err(StartError::Config)?;
        raise_descriptor_limit();
        let clock = Clock::new();
        let folder = Arc::new(Folder::open(config.data.clone()).map_err(StartError::Folder)?);
        let settings = store::sqlite::Config {
            limits: store::Limits {
                roster_items_max: config.limits.roster_max as u64,
                offline_rows_max: u64::from(config.offline.per_account_max),
                ..store::Limits::default()
            },
            ..store::sqlite::Config::default()
        };
        let backend =
            Sqlite::open(folder, Some(&config.domain), clock::wall(), settings).map_err(StartError::Store)?;
        let certs = Certs::open(&config.data, &config.domain, &config.tls).map_err(StartError::Certs)?;
        let router_config = Arc::new(router_config(&config)?);
        let session = Arc::new(session_config(&config, &router_config)?);
        let shared = Arc::new(Shared {
            session: Arc::clone(&session),
            certs: Arc::new(certs),
            clock,
            connections: AtomicUsize::new(0),
            progress: event_loop::Progress::default(),
            config,
        });
        Building::new(shared)?.run(Box::new(backend), &router_config)
    }

    /// Where it is reachable.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The certificate's fingerprint, and whether the certificate was made here.
    pub fn certificate(&self) -> (String, bool) {
        (self.shared.certs.fingerprint(), self.shared.certs.is_made())
    }

    /// Connections that are open now.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// From now on SIGTERM and SIGINT ask it to leave, and SIGHUP reads the certificate again.
    pub fn handle_signals(&self) -> io::Result<()> {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
        let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGINT, SIGHUP])?;
        let leaving = Arc::clone(&self.leaving);
        let certs = Arc::clone(&self.shared.certs);
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            for signal in signals.forever() {
                if signal != SIGHUP {
                    tracing::info!(signal, "asked to leave");
                    leaving.ask();
                    continue;
                }
                match certs.reload() {
                    Ok(()) => tracing::info!(fingerprint = certs.fingerprint(), "certificate read again"),
                    Err(error) => tracing::error!(%error, "the certificate stays as it was"),
                }
            }
        })?;
        Ok(())
    }

    /// Reads the certificate again, as SIGHUP does.
    pub fn reload_certificate(&self) -> Result<(), CertError> {
        self.shared.certs.reload()
    }

    /// Waits until a signal or a command asks the exchange to leave.
    pub fn wait(&self) {
        self.leaving.wait();
    }

    /// Asks every client to leave, waits up to the drain, closes what is left, commits, and ends.
    pub fn shutdown(mut self) {
        self.stop();
    }

    fn stop(&mut self) {
        if self.loops.is_empty() {
            return;
        }
        if let Some(mut http) = self.http.take() {
            http.stop();
        }
        if let Some(mut admin) = self.admin.take() {
            admin.stop();
        }
        self.control.to_all(|| Letter::Leave);
        let shared = Arc::clone(&self.shared);
        shared.progress.wait(shared.config.close.drain, |_| shared.connections.load(Ordering::Relaxed) == 0);
        let loops = self.loops.len();
        self.control.to_all(|| Letter::Stop);
        if !shared.progress.wait(LAST_LETTERS_WITHIN, |steps| steps >= loops) {
            tracing::error!("some loops did not close in time");
        }
        self.control.to_all(|| Letter::End);
        for thread in self.loops.drain(..) {
            // A loop that panics has taken the process with it.
            let _ = thread.join();
        }
        self.control.to_store(StoreLetter::Stop);
        if let Some(store) = self.store.take() {
            let _ = store.join();
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.stop();
    }
}

/// An exchange whose listeners are being bound.
struct Building {
    shared: Arc<Shared>,
    loops: usize,
    polls: Vec<mio::Poll>,
    wakers: Vec<Arc<dyn Bell>>,
    networks: Vec<Box<dyn Network>>,
    listeners: Vec<Listener>,
    endpoints: Vec<Vec<Endpoint>>,
    plain: Vec<std::net::TcpListener>,
    secure: Vec<std::net::TcpListener>,
    addresses: Addresses,
}

fn io_error(what: &'static str) -> impl FnOnce(io::Error) -> StartError {
    move |error| StartError::Io { what, error }
}

impl Building {
    fn new(shared: Arc<Shared>) -> Result<Self, StartError> {
        let loops = shared.config.loops();
        let mut building = Self {
            shared,
            loops,
            polls: Vec::new(),
            wakers: Vec::new(),
            networks: Vec::new(),
            listeners: Vec::new(),
            endpoints: (0..loops).map(|_| Vec::new()).collect(),
            plain: Vec::new(),
            secure: Vec::new(),
            addresses: Addresses::default(),
        };
        for _ in 0..loops {
            let poll = mio::Poll::new().map_err(io_error("making a poll"))?;
            let waker = mio::Waker::new(poll.registry(), WAKE).map_err(io_error("making a waker"))?;
            let registry = poll.registry().try_clone().map_err(io_error("making a poll"))?;
            building.wakers.push(Arc::new(waker));
            building.networks.push(Box::new(Kernel::new(registry, 0)));
            building.polls.push(poll);
        }
        building.bind()?;
        Ok(building)
    }

    /// Binds everything, all on the first loop: it deals what comes in to the others.
    fn bind(&mut self) -> Result<(), StartError> {
        let config = self.shared.config.clone();
        let backlog = config.engine.backlog;
        for (name, door, wanted) in
            [("tcp", Door::Tcp, &config.listen.tcp), ("tls", Door::Tls, &config.listen.tls)]
        {
            for &address in wanted {
                let key = event_loop::listener_key(self.listeners.len());
                let bound = self.networks[0].listen(address, backlog, key);
                let (id, bound) = bound.map_err(|error| refuse(name, address, error))?;
                self.listeners.push(Listener { network: 0, id, door });
                match door {
                    Door::Tcp => self.addresses.tcp.push(bound),
                    Door::Tls => self.addresses.tls.push(bound),
                }
            }
        }
        for &address in &config.listen.quic {
            let bound = self.bind_quic(address).map_err(|error| refuse("quic", address, error))?;
            self.addresses.quic.push(bound);
        }
        for (name, wanted) in [("http", &config.listen.http), ("https", &config.listen.https)] {
            for &address in wanted {
                let listener =
                    kernel::listener(address, backlog).map_err(|error| refuse(name, address, error))?;
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

    /// One socket, which the first loop reads; every loop has an endpoint that sends through it.
    fn bind_quic(&mut self, address: SocketAddr) -> io::Result<SocketAddr> {
        let key = event_loop::udp_key(self.endpoints[0].len());
        let (first, bound) = self.networks[0].bind_udp(address, key)?;
        for this in 0..self.loops {
            let udp = if this == 0 {
                first
            } else {
                let shared = self.networks[0].share_udp(first)?;
                self.networks[this].attach_udp(shared, key)?
            };
            let config = &self.shared.config;
            let quic = Quic::new(
                Arc::clone(&self.shared.certs.quic),
                &config.quic,
                config.limits.connections_max,
                this as u8,
                self.loops as u8,
            );
            self.endpoints[this].push(Endpoint { network: 0, udp, quic });
        }
        Ok(bound)
    }

    /// Lays the mailboxes and starts the threads.
    fn run(
        self,
        backend: Box<dyn store::Backend>,
        router_config: &Arc<RouterConfig>,
    ) -> Result<Exchange, StartError> {
        let Self { shared, loops, polls, wakers, networks, mut listeners, endpoints, .. } = self;
        let config = &shared.config;
        let parker = Arc::new(Parker::default());
        let store_bell: Arc<dyn Bell> = Arc::clone(&parker) as _;
        // Commands, HTTP and key derivation do not wait for room: they ask again, or are refused.
        let deaf: Arc<dyn Bell> = Arc::new(Parker::default());

        let mut loop_mail: Vec<Vec<Inbound<Letter>>> = (0..loops).map(|_| Vec::new()).collect();
        let mut store_mail = Vec::new();
        let mut posts = Vec::new();
        for from in 0..loops {
            let mut to_loops = Vec::new();
            for to in 0..loops {
                if from == to {
                    to_loops.push(None);
                    continue;
                }
                let bells = (Arc::clone(&wakers[to]), Arc::clone(&wakers[from]));
                let (outbound, inbound) = mailbox(config.engine.mailbox_max, bells.0, bells.1);
                to_loops.push(Some(outbound));
                loop_mail[to].push(inbound);
            }
            let (to_store, from_loop) =
                mailbox(config.engine.store_queue_max, Arc::clone(&store_bell), Arc::clone(&wakers[from]));
            store_mail.push(from_loop);
            posts.push(Posts::new(from as u8, to_loops, to_store, config.engine.mailbox_max));
        }
        let mut side = |sender: &Arc<dyn Bell>| -> Vec<Outbound<Letter>> {
            (0..loops)
                .map(|to| {
                    let (outbound, inbound) =
                        mailbox(SIDE_MAILBOX_MAX, Arc::clone(&wakers[to]), Arc::clone(sender));
                    loop_mail[to].push(inbound);
                    outbound
                })
                .collect()
        };
        let (from_store, from_keys, from_control) = (side(&store_bell), side(&deaf), side(&deaf));
        let (control_to_store, inbound) = mailbox(SIDE_MAILBOX_MAX, Arc::clone(&store_bell), deaf);
        store_mail.push(inbound);
        let control = Control::new(from_control, control_to_store);

        let leaving = Arc::new(Leaving::default());
        let asked = Arc::clone(&leaving);
        let admin = admin::serve::start(
            &config.data,
            control.clone(),
            config.security.scram_iterations,
            Box::new(move || asked.ask()),
        )
        .map_err(|error| StartError::Io { what: "making the admin socket", error })?;

        let store = store_thread::start(store_thread::Parts {
            backend,
            parker,
            mail: store_mail,
            loops: from_store,
            derived: from_keys,
            session: Arc::clone(&shared.session),
            clock: shared.clock,
        })
        .map_err(io_error("starting the store's thread"))?;

        let mut threads = Vec::new();
        let parts = polls.into_iter().zip(networks).zip(endpoints).zip(loop_mail).zip(posts).enumerate();
        for (this, ((((poll, network), endpoints), mail), posts)) in parts {
            let event_loop = EventLoop::new(event_loop::Parts {
                this: this as u8,
                loops: loops as u8,
                shared: Arc::clone(&shared),
                poll,
                networks: vec![network],
                listeners: std::mem::take(&mut listeners),
                endpoints,
                mail,
                posts,
                router: Router::new(Arc::clone(router_config), this as u16, loops as u16),
            });
            let thread = std::thread::Builder::new()
                .name(format!("loop-{this}"))
                .spawn(move || event_loop.run())
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
            };
            Some(Http::start(plan).map_err(io_error("starting HTTP"))?)
        };
        Ok(Exchange {
            addresses: self.addresses,
            shared,
            control,
            loops: threads,
            store: Some(store),
            http,
            admin: Some(admin),
            leaving,
        })
    }
}

/// Upgraded WebSockets are dealt to the loops in turn.
fn door(control: Control, loops: usize) -> http::Door {
    let next = AtomicUsize::new(0);
    Arc::new(move |handover| {
        let to = next.fetch_add(1, Ordering::Relaxed) % loops;
        control.to_loop(to, Letter::Upgraded(Box::new(handover)))
    })
}

fn refuse(listener: &'static str, address: SocketAddr, error: io::Error) -> StartError {
    let holder = match (error.kind(), listener) {
        (io::ErrorKind::AddrInUse, "quic") => holder::of_udp(address),
        (io::ErrorKind::AddrInUse, _) => holder::of_tcp(address),
        _ => None,
    };
    StartError::Listen { listener, address, holder, error }
}

fn router_config(config: &Config) -> Result<RouterConfig, StartError> {
    let mut key = [0; 16];
    getrandom::fill(&mut key)
        .map_err(|error| StartError::Io { what: "drawing randomness", error: io::Error::other(error) })?;
    let mut settings = RouterConfig::new(&config.domain, key);
    settings.resources_max = config.limits.resources_max;
    Ok(settings)
}

fn session_config(config: &Config, router: &RouterConfig) -> Result<SessionConfig, StartError> {
    let secret = secret::salt_secret(&config.data).map_err(io_error("reading the data folder's secret"))?;
    let iterations = secret::iterations(&config.data, config.security.scram_iterations)
        .map_err(io_error("reading the data folder's iteration counts"))?;
    let limits = &config.limits;
    let mut settings = SessionConfig::new(&config.domain, secret);
    settings.stanza_max_unauth = limits.stanza_max_unauth as u32;
    settings.stanza_max = limits.stanza_max as u32;
    settings.stream_features =
        String::from_utf8(Router::stream_features(router)).expect("stream features are XML");
    settings.mechanisms.clone_from(&config.security.mechanisms);
    settings.negotiation_max = limits.login;
    settings.idle_max = limits.idle;
    settings.answer_max = limits.answer;
    settings.closing_max = config.close.fin_wait;
    settings.unacked_max = limits.unacked_max;
    settings.output_max = limits.output_max;
    settings.iterations_in_use = iterations;
    Ok(settings)
}

/// A session is a descriptor, so all that we may have are asked for.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "the descriptor limit stays as it is");
        }
    }
}
