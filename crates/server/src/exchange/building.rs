//! The beginning of an exchange: listeners bound, mailboxes laid, threads started, in this order.
//! Invariants: every listener is bound on the first loop, which deals what comes in to the others; nothing runs before
//! all of them are.
//! Not here: the end (`exchange`), what a thread does.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use router::{Router, RouterConfig};
use session::SessionConfig;

use super::{Addresses, Exchange, Leaving, StartError};
use crate::admin::serve::Control;
use crate::carrier::quic::Quic;
use crate::config::Config;
use crate::event_loop::{self, Endpoint, EventLoop, Listener, Posts, Shared, WAKE};
use crate::http::{self, Http};
use crate::letter::{Door, Letter};
use crate::mailbox::{Bell, Inbound, Outbound, mailbox};
use crate::network::Network;
use crate::network::kernel::{self, Kernel};
use crate::store_thread::{self, Parker};
use crate::{admin, holder, secret};

/// Letters that may wait for a loop from the store, from commands and from HTTP each.
const SIDE_MAILBOX_MAX: usize = 65_536;

/// An exchange whose listeners are being bound.
pub(super) struct Building {
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
    pub(super) fn new(shared: Arc<Shared>) -> Result<Self, StartError> {
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
    pub(super) fn run(
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

pub(super) fn router_config(config: &Config) -> Result<RouterConfig, StartError> {
    let mut key = [0; 16];
    getrandom::fill(&mut key)
        .map_err(|error| StartError::Io { what: "drawing randomness", error: io::Error::other(error) })?;
    let mut settings = RouterConfig::new(&config.domain, key);
    settings.resources_max = config.limits.resources_max;
    Ok(settings)
}

pub(super) fn session_config(config: &Config, router: &RouterConfig) -> Result<SessionConfig, StartError> {
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
