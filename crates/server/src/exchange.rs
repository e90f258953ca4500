//! The exchange: everything that runs, from the first bind to the last commit.
//! Owns: the threads (loops, store, keys, HTTP, admin, signals) and the order in which they start and end.
//! Invariants: either all listeners are bound or nothing runs; a shutdown asks every client to leave, waits up to the
//! drain, closes what is left, saves the sessions that may be resumed, and ends only once all that is committed.
//! Not here: what any of them does.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use store::{Folder, Sqlite};

use self::building::{Building, raise_descriptor_limit, remembered, router_config, session_config};
pub use self::error::StartError;
use crate::admin::serve::{AdminSocket, Control};
use crate::certs::{CertError, Certs};
use crate::chance::Chance;
use crate::clock::{self, Clock};
use crate::config::Config;
use crate::event_loop::{self, Shared, Traffic};
use crate::http::Http;
use crate::letter::{Letter, StoreLetter};

mod building;
mod doors;
mod error;
mod networks;
pub mod steered;
mod wires;

/// How long loops may take to close their last sessions and send their last letters.
const LAST_LETTERS_WITHIN: Duration = Duration::from_secs(10);
/// How long it is until one looks again whether all is at rest.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(1);

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
    traffic: Vec<Arc<Traffic>>,
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
        store::sqlite::unpack(&folder).map_err(StartError::Backup)?;
        let settings = config.store();
        let backend =
            Sqlite::open(folder, Some(&config.domain), clock::wall(), settings).map_err(StartError::Store)?;
        let certs = Certs::open(&config.data, &config.domain, &config.tls).map_err(StartError::Certs)?;
        let chance = Chance::System;
        let mut router_config = router_config(&config, &chance);
        router_config.archive_floor = backend.archive_high().map_err(|error| StartError::Io {
            what: "reading where the archives end",
            error: io::Error::other(error),
        })?;
        let router_config = Arc::new(router_config);
        let session = Arc::new(session_config(&config, &router_config, remembered(&config)?));
        let shared = Arc::new(Shared {
            session: Arc::clone(&session),
            certs: Arc::new(certs),
            clock,
            chance,
            connections: AtomicUsize::new(0),
            parked: event_loop::Totals::default(),
            progress: event_loop::Progress::default(),
            errands: std::sync::OnceLock::new(),
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
        // Each step begins when all that the one before it caused has been done.
        let steps: [fn() -> Letter; 3] = [|| Letter::Stop, || Letter::Settle, || Letter::Stow];
        for (at, letter) in (1..).zip(steps) {
            self.control.to_all(letter);
            if !self.comes_to_rest(at * self.loops.len()) {
                tracing::error!(step = at, "some loops did not come to rest in time");
            }
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

impl Exchange {
    /// Waits until the loops have taken so many steps, and nothing is under way between them and the store.
    fn comes_to_rest(&self, steps: usize) -> bool {
        let progress = &self.shared.progress;
        let begun = std::time::Instant::now();
        let mut at_rest = progress.wait(LAST_LETTERS_WITHIN, |taken| taken >= steps);
        while at_rest && !Traffic::is_at_rest(&self.traffic) {
            // Nobody says so when it is: that would cost each parcel something.
            progress.wait(LOOK_AGAIN_AFTER, |_| false);
            at_rest = begun.elapsed() < LAST_LETTERS_WITHIN;
        }
        at_rest
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.stop();
    }
}
