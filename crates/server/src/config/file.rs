//! The file: `switchboard.toml` to [`Config`], mistakes with line and column.
//! Invariants: an unknown name is a mistake, never ignored; a value is checked where it stands.
//! Not here: what the values mean (`config`).

use std::fmt;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize};
use toml::de::DeTable;

use router::{ArchivePolicy, StrangerPolicy};
use session::{Mechanism, Registration};

use super::{ClearText, Config, LogFormat, NetworkSpec, Prefix, Profiles, Retry, Unfit, parse_listener};

/// What is wrong with a file, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConfigError {
    /// The file.
    pub path: PathBuf,
    /// Line and column, from 1, where it can be said.
    pub at: Option<(usize, usize)>,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.path.display())?;
        if let Some((line, column)) = self.at {
            write!(f, "{line}:{column}:")?;
        }
        write!(f, " {}", self.reason)
    }
}

impl std::error::Error for ConfigError {}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct File {
    data: Option<PathBuf>,
    domain: Option<String>,
    networks: Option<Vec<Parsed<NetworkSpec>>>,
    listen: ListenTable,
    tls: TlsTable,
    limits: LimitsTable,
    security: SecurityTable,
    registration: RegistrationTable,
    offline: OfflineTable,
    archive: ArchiveTable,
    resume: ResumeTable,
    pep: PepTable,
    privacy: PrivacyTable,
    quic: QuicTable,
    http: HttpTable,
    log: LogTable,
    engine: EngineTable,
    close: CloseTable,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct ListenTable {
    tcp: Option<Addresses>,
    tls: Option<Addresses>,
    quic: Option<Addresses>,
    http: Option<Addresses>,
    https: Option<Addresses>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct TlsTable {
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct LimitsTable {
    stanza_max_unauth: Option<usize>,
    stanza_max: Option<usize>,
    connections_max: Option<usize>,
    login_secs: Option<u32>,
    idle_secs: Option<u32>,
    answer_secs: Option<u32>,
    output_max: Option<usize>,
    unacked_max: Option<usize>,
    unacked_bytes_max: Option<usize>,
    resources_max: Option<usize>,
    blocked_max: Option<usize>,
    roster_max: Option<usize>,
    strangers_per_hour: Option<usize>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct SecurityTable {
    clear_text: Option<ClearText>,
    trusted_proxies: Option<Vec<Parsed<Prefix>>>,
    scram_iterations: Option<u32>,
    mechanisms: Option<Vec<Parsed<Mechanism>>>,
    fast: Option<bool>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RegistrationTable {
    mode: Option<Mode>,
    user_invites: Option<bool>,
    per_hour: Option<u32>,
    web: Option<String>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Invite,
    Open,
    Closed,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct OfflineTable {
    per_account_max: Option<u32>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct ArchiveTable {
    default: Option<Parsed<Policy>>,
    keep_days: Option<u32>,
    per_account_max: Option<u32>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct PepTable {
    nodes_max: Option<u32>,
    items_max: Option<u32>,
    bytes_max: Option<u64>,
    vcard_bytes_max: Option<u64>,
    private_max: Option<u64>,
    private_bytes_max: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct PrivacyTable {
    strangers: Option<Parsed<Strangers>>,
    profiles: Option<Profiles>,
}

/// What strangers may do, by its name.
struct Strangers(StrangerPolicy);

impl FromStr for Strangers {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        StrangerPolicy::from_name(name).map(Self).ok_or("one of \"allow\", \"ask\" and \"refuse\"")
    }
}

/// An archive's default, by its name.
struct Policy(ArchivePolicy);

impl FromStr for Policy {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        ArchivePolicy::from_name(name).map(Self).ok_or("one of \"always\", \"roster\" and \"never\"")
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct ResumeTable {
    secs: Option<u32>,
    sessions_max: Option<usize>,
    bytes_max: Option<usize>,
    account_sessions_max: Option<usize>,
    account_bytes_max: Option<usize>,
    stanzas_max: Option<usize>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct QuicTable {
    retry: Option<Retry>,
    streams_max: Option<u32>,
    idle_secs: Option<u32>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct HttpTable {
    metrics_from: Option<Vec<Parsed<Prefix>>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct LogTable {
    format: Option<LogFormat>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct EngineTable {
    loops: Option<usize>,
    mailbox_max: Option<usize>,
    store_queue_max: Option<usize>,
    backlog: Option<i32>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct CloseTable {
    drain_secs: Option<u32>,
    fin_wait_secs: Option<u32>,
}

/// One address, `none`, or a list of addresses.
struct Addresses(Vec<SocketAddr>);

impl<'de> Deserialize<'de> for Addresses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Addresses;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"ADDR:PORT\", \"none\" or a list of them")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Addresses, E> {
                Ok(Addresses(parse_listener(text).map_err(E::custom)?.into_iter().collect()))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Addresses, A::Error> {
                let mut addresses = Vec::new();
                while let Some(Listener(address)) = seq.next_element()? {
                    addresses.extend(address);
                }
                Ok(Addresses(addresses))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// One entry of a list.
struct Listener(Option<SocketAddr>);

impl<'de> Deserialize<'de> for Listener {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text(parse_listener)).map(Self)
    }
}

/// A value that knows how to read itself from a string.
struct Parsed<T>(T);

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Parsed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let parse = |text: &str| T::from_str(text).map_err(|error| error.to_string());
        deserializer.deserialize_str(Text(parse)).map(Self)
    }
}

/// Reads a string inside its deserializer, so that a mistake is found at the entry and not at the list around it.
struct Text<F>(F);

impl<'de, T, F: FnOnce(&str) -> Result<T, String>> de::Visitor<'de> for Text<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.0)(text).map_err(E::custom)
    }
}

pub(super) fn load(path: &Path) -> Result<Config, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|error| ConfigError {
        path: path.to_owned(),
        at: None,
        reason: format!("cannot be read: {error}"),
    })?;
    parse(path, &text)
}

pub(super) fn parse(path: &Path, text: &str) -> Result<Config, ConfigError> {
    let fail = |span: Option<Range<usize>>, reason: String| ConfigError {
        path: path.to_owned(),
        at: span.map(|span| place(text, span.start)),
        reason,
    };
    let file: File = toml::from_str(text).map_err(|e| fail(e.span(), e.message().to_owned()))?;
    let config = resolve(file);
    config.check().map_err(|unfit| fail(find(text, &unfit), unfit.to_string()))?;
    Ok(config)
}

fn resolve(file: File) -> Config {
    let secs = |value: u32| Duration::from_secs(u64::from(value));
    let mut c = Config::default();
    set(&mut c.data, file.data);
    set(&mut c.domain, file.domain);
    if let Some(networks) = file.networks {
        c.set_networks(networks.into_iter().map(|network| network.0).collect());
    }
    for (listener, addresses) in [
        (&mut c.listen.tcp, file.listen.tcp),
        (&mut c.listen.tls, file.listen.tls),
        (&mut c.listen.quic, file.listen.quic),
        (&mut c.listen.http, file.listen.http),
        (&mut c.listen.https, file.listen.https),
    ] {
        set(listener, addresses.map(|a| a.0));
    }
    c.tls.cert = file.tls.cert;
    c.tls.key = file.tls.key;
    set(&mut c.limits.stanza_max_unauth, file.limits.stanza_max_unauth);
    set(&mut c.limits.stanza_max, file.limits.stanza_max);
    set(&mut c.limits.connections_max, file.limits.connections_max);
    set(&mut c.limits.login, file.limits.login_secs.map(secs));
    set(&mut c.limits.idle, file.limits.idle_secs.map(secs));
    set(&mut c.limits.answer, file.limits.answer_secs.map(secs));
    set(&mut c.limits.output_max, file.limits.output_max);
    set(&mut c.limits.unacked_max, file.limits.unacked_max);
    set(&mut c.limits.unacked_bytes_max, file.limits.unacked_bytes_max);
    set(&mut c.resume.time, file.resume.secs.map(secs));
    set(&mut c.resume.sessions_max, file.resume.sessions_max);
    set(&mut c.resume.bytes_max, file.resume.bytes_max);
    set(&mut c.resume.account_sessions_max, file.resume.account_sessions_max);
    set(&mut c.resume.account_bytes_max, file.resume.account_bytes_max);
    set(&mut c.resume.stanzas_max, file.resume.stanzas_max);
    set(&mut c.limits.resources_max, file.limits.resources_max);
    set(&mut c.limits.blocked_max, file.limits.blocked_max);
    set(&mut c.limits.roster_max, file.limits.roster_max);
    set(&mut c.limits.strangers_per_hour, file.limits.strangers_per_hour);
    set(&mut c.security.clear_text, file.security.clear_text);
    set(
        &mut c.security.trusted_proxies,
        file.security.trusted_proxies.map(|list| list.into_iter().map(|p| p.0).collect()),
    );
    set(&mut c.security.scram_iterations, file.security.scram_iterations);
    set(
        &mut c.security.mechanisms,
        file.security.mechanisms.map(|list| list.into_iter().map(|m| m.0).collect()),
    );
    set(&mut c.security.fast, file.security.fast);
    set(
        &mut c.registration.mode,
        file.registration.mode.map(|mode| match mode {
            Mode::Invite => Registration::Invite,
            Mode::Open => Registration::Open,
            Mode::Closed => Registration::Closed,
        }),
    );
    set(&mut c.registration.user_invites, file.registration.user_invites);
    set(&mut c.registration.per_hour, file.registration.per_hour);
    c.registration.web = file.registration.web.map(|web| web.trim_end_matches('/').to_owned());
    set(&mut c.offline.per_account_max, file.offline.per_account_max);
    set(&mut c.archive.default, file.archive.default.map(|policy| policy.0.0));
    set(&mut c.archive.keep_days, file.archive.keep_days);
    set(&mut c.archive.per_account_max, file.archive.per_account_max);
    set(&mut c.pep.nodes_max, file.pep.nodes_max);
    set(&mut c.pep.items_max, file.pep.items_max);
    set(&mut c.pep.bytes_max, file.pep.bytes_max);
    set(&mut c.pep.vcard_bytes_max, file.pep.vcard_bytes_max);
    set(&mut c.pep.private_max, file.pep.private_max);
    set(&mut c.pep.private_bytes_max, file.pep.private_bytes_max);
    set(&mut c.privacy.strangers, file.privacy.strangers.map(|policy| policy.0.0));
    set(&mut c.privacy.profiles, file.privacy.profiles);
    set(&mut c.quic.retry, file.quic.retry);
    set(&mut c.quic.streams_max, file.quic.streams_max);
    set(&mut c.quic.idle, file.quic.idle_secs.map(secs));
    set(&mut c.http.metrics_from, file.http.metrics_from.map(|list| list.into_iter().map(|p| p.0).collect()));
    set(&mut c.log.format, file.log.format);
    set(&mut c.engine.loops, file.engine.loops);
    set(&mut c.engine.mailbox_max, file.engine.mailbox_max);
    set(&mut c.engine.store_queue_max, file.engine.store_queue_max);
    set(&mut c.engine.backlog, file.engine.backlog);
    set(&mut c.close.drain, file.close.drain_secs.map(secs));
    set(&mut c.close.fin_wait, file.close.fin_wait_secs.map(secs));
    c
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

/// Where in `text` the value of an unfit field stands, if the file names it.
fn find(text: &str, unfit: &Unfit) -> Option<Range<usize>> {
    let root = DeTable::parse(text).ok()?;
    let mut names = unfit.field.split('.');
    let mut value = root.get_ref().get(names.next()?)?;
    for name in names {
        value = value.get_ref().as_table()?.get(name)?;
    }
    Some(value.span())
}

/// Line and column, from 1, columns in characters.
fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(offset)];
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    (line, before[start..].chars().count() + 1)
}
