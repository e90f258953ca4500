//! `switchboard serve`: the exchange, from flags and file to the line `ready`.
//!
//! Owns: what goes before what: a flag before the file, the file before the default.
//! Invariants: the line `ready` is printed after every listener is bound, and with the ports they got.
//! Not here: running it (`server`).

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use server::config::LogFormat;
use server::{Config, Exchange};
use store::{Folder, Sqlite};

use crate::args::{Listener, Serve};
use crate::failure::Failure;
use crate::{data, output};

/// Where a data folder may keep its configuration.
const CONFIG_NAME: &str = "switchboard.toml";

/// What is logged, where the default is not enough: tracing's own directives.
const LOG_VARIABLE: &str = "SWITCHBOARD_LOG";

pub(crate) fn run(args: Serve) -> Result<(), Failure> {
    let config = config(args)?;
    log_to_standard_error(config.log.format);
    let (domain, data) = (config.domain.clone(), config.data.clone());
    if data.is_file() {
        let file = data.display();
        let how = format!("a backup becomes one by `mkdir -m 700 DIR && cp {file} DIR/switchboard.db`");
        return Err(Failure::failed(format!("{file} is a file and no data folder: {how}")));
    }
    // A folder that was never used has no account to log in with, so it begins with an invite.
    let first =
        config.registration.mode == session::Registration::Invite && !data.join(store::sqlite::FILE).exists();
    let exchange = Exchange::start(config).map_err(Failure::failed)?;
    exchange
        .handle_signals()
        .map_err(|error| Failure::failed(format!("cannot wait for signals: {error}")))?;
    announce(&exchange, &domain, &data, first)?;
    tell_service_manager(sd_notify::NotifyState::Ready);
    exchange.wait();
    tell_service_manager(sd_notify::NotifyState::Stopping);
    exchange.shutdown();
    Ok(())
}

/// The configuration in a data folder, if there is one.
pub(crate) fn folder_config(folder: &Path) -> Result<Option<Config>, Failure> {
    let path = folder.join(CONFIG_NAME);
    if !path.is_file() {
        return Ok(None);
    }
    Config::load(&path).map(Some).map_err(Failure::failed)
}

/// Raw flags to a checked configuration.
fn config(args: Serve) -> Result<Config, Failure> {
    let default = Config::default();
    let file = match &args.config {
        Some(path) => Some(Config::load(path).map_err(Failure::failed)?),
        None => {
            let folder = args.data.as_deref().unwrap_or(&default.data);
            unpack(folder)?;
            folder_config(folder)?
        }
    };
    let named = args.domain.is_some() || file.is_some();
    let mut config = file.unwrap_or(default);
    if let Some(data) = args.data {
        config.data = data;
    }
    if let Some(domain) = args.domain {
        config.domain = domain;
    } else if !named && let Some(remembered) = remembered_domain(&config.data)? {
        config.domain = remembered;
    }
    if !args.network.is_empty() {
        config.set_networks(args.network);
    }
    for (flag, given, listeners) in [
        ("--tcp", args.tcp, &mut config.listen.tcp),
        ("--tls", args.tls, &mut config.listen.tls),
        ("--quic", args.quic, &mut config.listen.quic),
        ("--http", args.http, &mut config.listen.http),
        ("--https", args.https, &mut config.listen.https),
    ] {
        if !given.is_empty() {
            *listeners = addresses(flag, &given)?;
        }
    }
    if args.cert.is_some() {
        config.tls.cert = args.cert;
        config.tls.key = args.key;
    }
    if let Some(secs) = args.drain {
        config.close.drain = Duration::from_secs(secs.into());
    }
    config.check().map_err(Failure::usage)?;
    Ok(config)
}

fn addresses(flag: &str, given: &[Listener]) -> Result<Vec<SocketAddr>, Failure> {
    match given {
        [Listener(None)] => Ok(Vec::new()),
        given => given
            .iter()
            .map(|listener| listener.0)
            .collect::<Option<_>>()
            .ok_or_else(|| Failure::usage(format!("{flag}: `none` and an address contradict each other"))),
    }
}

/// A folder that was made from a backup gets its other files out of it; the configuration is one of them.
fn unpack(folder: &Path) -> Result<(), Failure> {
    if !folder.join(store::sqlite::FILE).is_file() {
        return Ok(());
    }
    let folder = Folder::open(folder).map_err(Failure::failed)?;
    store::sqlite::unpack(&folder).map_err(Failure::failed)
}

/// The domain of a folder that has been served before, so that it need not be said again.
fn remembered_domain(folder: &PathBuf) -> Result<Option<String>, Failure> {
    if !folder.is_dir() {
        return Ok(None);
    }
    let folder = Folder::open(folder).map_err(Failure::failed)?;
    let store = Sqlite::open(Arc::new(folder), None, data::now(), store::sqlite::Config::default());
    store.map_err(Failure::failed)?.domain().map_err(Failure::failed)
}

fn announce(exchange: &Exchange, domain: &str, data: &Path, first: bool) -> Result<(), Failure> {
    let (fingerprint, made) = exchange.certificate();
    output::line(&format!("numbers are at {domain}; their data is in {}", data.display()))?;
    let whose = if made { "made here: strangers must be told to trust it" } else { "given" };
    output::line(&format!("the certificate ({whose}) has the SHA-256 fingerprint {fingerprint}"))?;
    if first {
        let invite = super::invite::first(data)?;
        output::line(&format!("a first invite, for any XMPP client: {}", invite.uri.unwrap_or_default()))?;
        if let Some(link) = invite.link {
            output::line(&format!("and for a browser: {link}"))?;
        }
    }
    output::line(&format!("ready {}", exchange.addresses()))
}

/// A service manager that waits for it (`Type=notify`) hears what happens; without one nothing does.
fn tell_service_manager(state: sd_notify::NotifyState<'_>) {
    // There is nobody to tell of a failure but the one who could not be told.
    let _ = sd_notify::notify(&[state]);
}

fn log_to_standard_error(format: LogFormat) {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_env(LOG_VARIABLE).unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        // A line that cannot be written is lost. Saying so on the same standard error would panic, and end the thread that logged.
        .log_internal_errors(false)
        .with_target(false);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
}

#[cfg(test)]
mod tests;
