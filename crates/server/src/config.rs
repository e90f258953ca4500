//! Configuration: everything that `switchboard.toml` and the flags of `serve` can say, as plain checked values.
//! Spec: TOML 1.1. Each field of [`Config`] states its default and its unit; `file` reads the same names from TOML.
//! Invariants: a `Config` that [`Config::load`] returned has been checked; a mistake names file, line and column.
//! Not here: reading certificates (`certs`), binding addresses (`exchange`).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use router::{ArchivePolicy, StrangerPolicy};
use session::Mechanism;

mod check;
mod file;
mod network;
mod prefix;
#[cfg(test)]
mod tests;

pub use check::Unfit;
pub use file::ConfigError;
pub use network::{NETWORKS_MAX, NetworkSpec, TunSpec};
pub use prefix::Prefix;

/// All that the exchange can be told, resolved and checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The data folder. `data = "./switchboard-data"`.
    pub data: PathBuf,
    /// The domain that the numbers live at. `domain = "localhost"`.
    pub domain: String,
    /// Who implements TCP and UDP for the listeners: the kernel, our own stack over a TUN, or both. HTTP is the kernel's.
    /// `networks = ["kernel"]`.
    pub networks: Vec<NetworkSpec>,
    /// Where to listen. Table `[listen]`.
    pub listen: Listen,
    /// Certificate and key. Table `[tls]`.
    pub tls: Tls,
    /// What one client may cost. Table `[limits]`.
    pub limits: Limits,
    /// Who is believed and what may travel in the clear. Table `[security]`.
    pub security: Security,
    /// `[registration]`
    pub registration: Registration,
    /// Messages for those who are away. Table `[offline]`.
    pub offline: Offline,
    /// What was said, for all of a user's devices. Table `[archive]`.
    pub archive: Archive,
    /// Sessions that lost their connection. Table `[resume]`.
    pub resume: Resume,
    /// What accounts publish and keep. Table `[pep]`.
    pub pep: Pep,
    /// What strangers see and may do. Table `[privacy]`.
    pub privacy: Privacy,
    /// QUIC's own settings. Table `[quic]`.
    pub quic: Quic,
    /// What HTTP tells, and whom. Table `[http]`.
    pub http: Http,
    /// What is said on standard error. Table `[log]`.
    pub log: Log,
    /// Event loops and their queues. Table `[engine]`.
    pub engine: Engine,
    /// How connections end. Table `[close]`.
    pub close: Close,
}

/// Where the exchange listens. An empty list, or `"none"`, switches a listener off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Plain TCP with STARTTLS. `tcp = ["127.0.0.1:5222"]`.
    pub tcp: Vec<SocketAddr>,
    /// Direct TLS (XEP-0368). `tls = ["127.0.0.1:5223"]`.
    pub tls: Vec<SocketAddr>,
    /// QUIC (XEP-0467), over UDP. `quic = ["127.0.0.1:5222"]`.
    pub quic: Vec<SocketAddr>,
    /// HTTP, with WebSocket at `/xmpp-websocket`. `http = ["127.0.0.1:5280"]`.
    pub http: Vec<SocketAddr>,
    /// The same over TLS. `https = []`.
    pub https: Vec<SocketAddr>,
}

/// Certificate and key. Without them a key and a self-signed certificate are made in the data folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// The certificate chain, PEM. `cert = "path"`; default: made in the data folder.
    pub cert: Option<PathBuf>,
    /// Its private key, PEM. `key = "path"`; default: made in the data folder.
    pub key: Option<PathBuf>,
}

/// What one client, or all of them, may cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest stanza before log-in, in bytes (RFC 6120 4.9.3.18 allows no less). `stanza_max_unauth = 10000`.
    pub stanza_max_unauth: usize,
    /// Longest stanza after log-in, in bytes. `stanza_max = 262144`.
    pub stanza_max: usize,
    /// Connections that may be open at once; 0 leaves it to the descriptor limit. `connections_max = 0`.
    pub connections_max: usize,
    /// Time from the first byte to the log-in, in seconds. `login_secs = 30`.
    pub login: Duration,
    /// Silence after which a session is asked whether it lives, in seconds. `idle_secs = 300`.
    pub idle: Duration,
    /// How long it may take to answer that, in seconds. `answer_secs = 60`.
    pub answer: Duration,
    /// Bytes that may wait for one client before its stream is closed with `policy-violation`. `output_max = 1048576`.
    pub output_max: usize,
    /// Stanzas that XEP-0198 may keep unacknowledged for one client. `unacked_max = 1000`.
    pub unacked_max: usize,
    /// Their bytes, at most. `unacked_bytes_max = 4194304`.
    pub unacked_bytes_max: usize,
    /// Sessions one number may have at once. `resources_max = 20`.
    pub resources_max: usize,
    /// Addresses one account may block. `blocked_max = 2000`.
    pub blocked_max: usize,
    /// Contacts one roster may hold. `roster_max = 2000`.
    pub roster_max: usize,
    /// Different strangers that one number may write to, or ask to see, within an hour. `strangers_per_hour = 200`.
    pub strangers_per_hour: usize,
}

/// Who is believed, and what may travel in the clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Security {
    /// Where a log-in without TLS is allowed. `clear_text = "loopback"`.
    pub clear_text: ClearText,
    /// Whose PROXY headers and X-Forwarded-For are believed. `trusted_proxies = []`, addresses or `addr/len`.
    pub trusted_proxies: Vec<Prefix>,
    /// PBKDF2 rounds for passwords set from now on (RFC 7677 asks for at least 4096). `scram_iterations = 10000`.
    pub scram_iterations: u32,
    /// SASL mechanisms offered, as far as the carrier allows each (PLAIN under TLS only, -PLUS where TLS can be bound).
    /// `mechanisms = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"]`.
    pub mechanisms: Vec<Mechanism>,
    /// Whether a client that has logged in gets a token to do so faster the next time (XEP-0484). `fast = true`.
    pub fast: bool,
}

/// Who may make an account by itself, over XMPP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// `"invite"`: whoever has an invite; `"open"`: anybody; `"closed"`: nobody. `mode = "invite"`.
    pub mode: session::Registration,
    /// Whether any account may make invites, 10 at a time (XEP-0401); administrators always may. `user_invites = false`.
    pub user_invites: bool,
    /// Accounts that one address may make in an hour where `mode` is `"open"`. `per_hour = 5`.
    pub per_hour: u32,
    /// Where the web client is, for the links of invites: `web = "https://chat.example"`. Default: the first HTTP
    /// listener, by the domain's name.
    pub web: Option<String>,
}

/// Where a log-in without TLS is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClearText {
    /// Nowhere.
    Never,
    /// From this machine only.
    Loopback,
    /// From anywhere.
    Always,
}

/// Messages for those who are away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offline {
    /// Messages one number may have waiting. `per_account_max = 100000`.
    pub per_account_max: u32,
}

/// What was said, for all of a user's devices (XEP-0313).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// Which messages are archived for who has said nothing of it: `always`, `roster` (those from and to contacts) or
    /// `never` (XEP-0441). `default = "always"`.
    pub default: ArchivePolicy,
    /// Days that a message stays; 0 is for ever. `keep_days = 365`.
    pub keep_days: u32,
    /// Messages that one number's archive holds; with one more the oldest goes. `per_account_max = 1000000`.
    pub per_account_max: u32,
}

/// Sessions that lost their connection and wait for their clients (XEP-0198 section 5). A parked session costs about
/// 1 KiB beside what waits for its client. What is too much ends the session that was parked longest; what its client had
/// not confirmed goes to the number's other resources, or waits for the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resume {
    /// For how long, in seconds; 0: no session can be resumed. `secs = 300`.
    pub time: Duration,
    /// Parked sessions in all. `sessions_max = 100000`.
    pub sessions_max: usize,
    /// Bytes that wait for their clients in all. `bytes_max = 67108864`.
    pub bytes_max: usize,
    /// Parked sessions of one number. A loop counts those that are parked on it: all, but where QUIC connections of one
    /// number are spread over several. `account_sessions_max = 8`.
    pub account_sessions_max: usize,
    /// Bytes that wait for the clients of one number. `account_bytes_max = 4194304`.
    pub account_bytes_max: usize,
    /// Stanzas that wait for one client. `stanzas_max = 2000`.
    pub stanzas_max: usize,
}

/// What accounts publish (XEP-0163) and keep (XEP-0049, 0054).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pep {
    /// Nodes that one number may publish. `nodes_max = 200`.
    pub nodes_max: u32,
    /// Items that one node may hold, which is what `max_items` = `max` means. `items_max = 1000`.
    pub items_max: u32,
    /// Bytes of one number's items together. `bytes_max = 16777216`.
    pub bytes_max: u64,
    /// Bytes of one number's vCard with its picture. `vcard_bytes_max = 524288`.
    pub vcard_bytes_max: u64,
    /// Elements of one number's private XML. `private_max = 100`.
    pub private_max: u64,
    /// Bytes of one number's private XML together. `private_bytes_max = 524288`.
    pub private_bytes_max: u64,
}

/// What strangers see and may do: numbers that an account neither sees nor is seen by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Privacy {
    /// `allow` (they may write), `ask` (they must ask to see the account first; until they may, messages are refused with
    /// `subscription-required`) or `refuse` (messages are refused as if the number did not exist, and requests dropped).
    /// `strangers = "allow"`.
    pub strangers: StrangerPolicy,
    /// Whether they may read vCards. What an account publishes says so itself, and is for contacts if it does not.
    /// `profiles = "contacts"`, or `"everyone"`.
    pub profiles: Profiles,
}

/// Who may read vCards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profiles {
    /// Whoever may see the account's presence.
    Contacts,
    /// Anybody with a number here.
    Everyone,
}

/// QUIC's own settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quic {
    /// When a client must first prove its address with a Retry (RFC 9000 8.1.2). `retry = "pressure"`.
    pub retry: Retry,
    /// Bidirectional streams one connection may hold, each a session of its own. `streams_max = 8`.
    pub streams_max: u32,
    /// Silence after which a connection is given up, in seconds; its client keeps it alive. `idle_secs = 300`.
    pub idle: Duration,
}

/// When a QUIC client must first prove its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Retry {
    /// Every time: one more round trip a connection.
    Always,
    /// Once many handshakes are under way.
    Pressure,
}

/// What HTTP tells, and whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    /// Whose requests for `/metrics` are answered; others get 403. `metrics_from = ["127.0.0.0/8", "::1"]`.
    pub metrics_from: Vec<Prefix>,
}

/// What is said on standard error. How much: the environment's SWITCHBOARD_LOG.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// How a line looks. `format = "text"`.
    pub format: LogFormat,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// A JSON object a line, for programs.
    Json,
}

/// Event loops and their queues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Engine {
    /// Event loops; 0 is one a core. `loops = 0`.
    pub loops: usize,
    /// Letters that may wait in one loop's mailbox from one other. `mailbox_max = 4096`.
    pub mailbox_max: usize,
    /// Requests that may wait for the store. `store_queue_max = 16384`.
    pub store_queue_max: usize,
    /// Connections that wait in the kernel to be accepted. `backlog = 4096`.
    pub backlog: i32,
}

/// How connections end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    /// On shutdown: how long clients may take to leave, in seconds. `drain_secs = 5`.
    pub drain: Duration,
    /// How long the exchange waits for a client to close first, in seconds. `fin_wait_secs = 5`.
    pub fin_wait: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data: PathBuf::from("./switchboard-data"),
            domain: "localhost".to_owned(),
            networks: vec![NetworkSpec::Kernel],
            listen: Listen::default(),
            tls: Tls::default(),
            limits: Limits::default(),
            security: Security {
                clear_text: ClearText::Loopback,
                trusted_proxies: Vec::new(),
                scram_iterations: 10_000,
                mechanisms: Mechanism::ALL.to_vec(),
                fast: true,
            },
            registration: Registration {
                mode: session::Registration::Invite,
                user_invites: false,
                per_hour: 5,
                web: None,
            },
            offline: Offline { per_account_max: 100_000 },
            archive: Archive { default: ArchivePolicy::Always, keep_days: 365, per_account_max: 1_000_000 },
            resume: Resume {
                time: Duration::from_secs(300),
                sessions_max: 100_000,
                bytes_max: 64 << 20,
                account_sessions_max: 8,
                account_bytes_max: 4 << 20,
                stanzas_max: 2_000,
            },
            pep: Pep {
                nodes_max: 200,
                items_max: 1_000,
                bytes_max: 16 << 20,
                vcard_bytes_max: 512 * 1024,
                private_max: 100,
                private_bytes_max: 512 * 1024,
            },
            privacy: Privacy { strangers: StrangerPolicy::Allow, profiles: Profiles::Contacts },
            quic: Quic { retry: Retry::Pressure, streams_max: 8, idle: Duration::from_secs(300) },
            http: Http::default(),
            log: Log::default(),
            engine: Engine { loops: 0, mailbox_max: 4096, store_queue_max: 16_384, backlog: 4096 },
            close: Close { drain: Duration::from_secs(5), fin_wait: Duration::from_secs(5) },
        }
    }
}

impl Default for Http {
    fn default() -> Self {
        let local = ["127.0.0.0/8", "::1"].map(|text| text.parse().expect("a prefix"));
        Self { metrics_from: local.to_vec() }
    }
}

impl Default for Listen {
    fn default() -> Self {
        let local = |port| vec![SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)];
        Self { tcp: local(5222), tls: local(5223), quic: local(5222), http: local(5280), https: Vec::new() }
    }
}

impl Listen {
    /// The default listeners on these networks: loopback on the kernel, its own addresses on a stack; the ports are the same.
    /// HTTP is on loopback.
    pub fn on(networks: &[NetworkSpec]) -> Self {
        let addresses: Vec<IpAddr> = networks
            .iter()
            .flat_map(|network| match network {
                NetworkSpec::Kernel => vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
                NetworkSpec::Tun(tun) => tun.addresses.iter().map(|(address, _)| *address).collect(),
            })
            .collect();
        let at = |port| addresses.iter().map(|address| SocketAddr::new(*address, port)).collect();
        Self { tcp: at(5222), tls: at(5223), quic: at(5222), ..Self::default() }
    }

    /// No listener at all.
    pub fn none() -> Self {
        Self { tcp: Vec::new(), tls: Vec::new(), quic: Vec::new(), http: Vec::new(), https: Vec::new() }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            stanza_max_unauth: 10_000,
            stanza_max: 256 * 1024,
            connections_max: 0,
            login: Duration::from_secs(30),
            idle: Duration::from_secs(300),
            answer: Duration::from_secs(60),
            output_max: 1024 * 1024,
            unacked_max: 1000,
            unacked_bytes_max: 4 * 1024 * 1024,
            resources_max: 20,
            blocked_max: 2000,
            roster_max: 2000,
            strangers_per_hour: 200,
        }
    }
}

impl Config {
    /// Reads and checks a `switchboard.toml`; what it does not name keeps its default.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        file::load(path)
    }

    /// The same from text; `path` is what errors call it.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        file::parse(path, text)
    }

    /// What the store is told.
    pub fn store(&self) -> store::sqlite::Config {
        let keep = Duration::from_secs(u64::from(self.archive.keep_days) * 24 * 3600);
        store::sqlite::Config {
            limits: store::Limits {
                roster_items_max: self.limits.roster_max as u64,
                offline_rows_max: u64::from(self.offline.per_account_max),
                archive_rows_max: u64::from(self.archive.per_account_max),
                archive_keep: (!keep.is_zero()).then_some(keep),
                ..store::Limits::default()
            },
            ..store::sqlite::Config::default()
        }
    }

    /// The number of event loops to run.
    pub fn loops(&self) -> usize {
        match self.engine.loops {
            0 => std::thread::available_parallelism().map_or(1, usize::from).min(LOOPS_MAX),
            n => n.min(LOOPS_MAX),
        }
    }

    /// The networks, by their number on each loop, that an address to listen at belongs to: the stack that owns it, or the
    /// kernel; an unspecified address belongs to every network that is listened on. 0 is the kernel.
    pub fn networks_of(&self, address: IpAddr) -> Vec<u8> {
        let mut number = 0;
        let mut found = Vec::new();
        let mut owned = false;
        for network in &self.networks {
            let NetworkSpec::Tun(tun) = network else { continue };
            number += 1;
            let family = tun.addresses.iter().any(|(own, _)| own.is_ipv4() == address.is_ipv4());
            if tun.owns(address) || address.is_unspecified() && family {
                found.push(number);
                owned |= tun.owns(address);
            }
        }
        if !owned && self.networks.contains(&NetworkSpec::Kernel) {
            found.insert(0, 0);
        }
        found
    }

    /// Changes the networks, and with them the listeners that are still where the old networks had them by default.
    pub fn set_networks(&mut self, networks: Vec<NetworkSpec>) {
        let (old, new) = (Listen::on(&self.networks), Listen::on(&networks));
        for (listener, old, new) in [
            (&mut self.listen.tcp, old.tcp, new.tcp),
            (&mut self.listen.tls, old.tls, new.tls),
            (&mut self.listen.quic, old.quic, new.quic),
        ] {
            if *listener == old {
                *listener = new;
            }
        }
        self.networks = networks;
    }
}

/// More loops than this no machine is given; a session's name keeps 6 bits for its loop.
pub const LOOPS_MAX: usize = 64;

/// Reads one listener address as flags and file spell it: `ADDR:PORT`, or `none` for `None`.
pub fn parse_listener(text: &str) -> Result<Option<SocketAddr>, String> {
    if text == "none" {
        return Ok(None);
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(Some(address));
    }
    if let Some(port) = text.strip_prefix("localhost:").and_then(|p| p.parse().ok()) {
        return Ok(Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)));
    }
    Err(format!("`{text}` is no address to listen on: write ADDR:PORT (127.0.0.1:5222, [::]:5222) or none"))
}
