//! What a router is told once, when it is made.
//!
//! Owns: every bound of the router, each with its default and what it costs.
//! Not here: bounds on one stanza's size and on one session's output (`session`), quotas of what is kept (`store`).

use std::time::Duration;

use store::ArchiveId;

/// The router's settings. One value, shared by the routers of all loops.
#[derive(Debug, Clone)]
pub struct RouterConfig {
    /// The one domain that is served.
    pub domain: String,
    /// What XEP-0092 answers, and the name of the server's identity in XEP-0030. Default `Switchboard`.
    pub software: String,
    /// What XEP-0092 answers as the version. Default: this crate's.
    pub version: String,
    /// The `node` of the entity capabilities (XEP-0115 section 4): a URI of the software.
    pub caps_node: String,
    /// Random bytes, drawn when the exchange starts: they key the tables against chosen numbers, and make the
    /// resources that the server chooses hard to guess (RFC 6120 7.6).
    pub key: [u8; 16],
    /// Sessions of one number at a time; one more is refused with `resource-constraint` (RFC 6120 7.6.2.1).
    /// Default 16.
    pub resources_max: usize,
    /// Longest resource a client may ask for, in bytes; RFC 7622 3.4 allows 1023. Default 256: it is kept per session.
    pub resource_bytes_max: usize,
    /// Accounts kept in memory though nobody is logged in, for the rosters that subscriptions touch. Default 4,096; a
    /// contact costs about 150 bytes.
    pub accounts_idle_max: usize,
    /// Inputs that wait while one account is loaded; more are refused with `resource-constraint`. Default 1,024: about
    /// what one sender says in the time of a commit.
    pub loading_queue_max: usize,
    /// Requests at the store at a time; more stanzas that need it are refused with `resource-constraint`.
    /// Default 65,536.
    pub store_requests_max: usize,
    /// Requests at the store at a time beyond which a probe (RFC 6121 4.3) does not load an account, and finds silence:
    /// everybody who comes asks after everybody they know, and it is the least urgent thing to read. Default 4,096.
    pub probe_requests_max: usize,
    /// Addresses that one session may have sent directed presence to (RFC 6121 4.6), to be told when it leaves;
    /// more are refused with `resource-constraint`. Default 128.
    pub directed_max: usize,
    /// Messages of one account that are in the hands of several resources at once, of which none has acknowledged.
    /// Beyond it a message goes to one resource only, and copies answer for nothing. Default 1,024, of 80 bytes each.
    pub shared_max: usize,
    /// Messages that arrive while the last of an account's waiting messages are fetched, and are kept in memory
    /// meanwhile. Beyond it they are stored. Default 64.
    pub offline_hold_max: usize,
    /// Waiting messages given to a session before it has confirmed the earlier ones. Default 200.
    pub offline_window_rows: usize,
    /// The same in bytes; one message always passes. Default 128 KiB.
    pub offline_window_bytes: usize,
    /// Which messages of an account that has said nothing of it are archived (XEP-0313). Default none.
    pub archive: ArchivePolicy,
    /// The highest id that any archive has: ids are drawn above it. Default 0.
    pub archive_floor: ArchiveId,
    /// How long a session may take to confirm before the next waiting messages follow regardless. Default 30 s.
    pub offline_confirm_max: Duration,
}

impl RouterConfig {
    /// The defaults for a domain.
    pub fn new(domain: &str, key: [u8; 16]) -> Self {
        Self {
            domain: domain.to_owned(),
            software: "Switchboard".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            caps_node: "urn:switchboard:exchange".to_owned(),
            key,
            resources_max: 16,
            resource_bytes_max: 256,
            accounts_idle_max: 4_096,
            loading_queue_max: 1_024,
            store_requests_max: 65_536,
            probe_requests_max: 4_096,
            directed_max: 128,
            shared_max: 1_024,
            archive: ArchivePolicy::Never,
            archive_floor: ArchiveId(0),
            offline_hold_max: 64,
            offline_window_rows: 200,
            offline_window_bytes: 128 * 1024,
            offline_confirm_max: Duration::from_secs(30),
        }
    }
}

/// Which messages are archived (XEP-0441 2.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArchivePolicy {
    /// All.
    Always,
    /// Those from and to contacts in the roster.
    Roster,
    /// None.
    Never,
}

impl ArchivePolicy {
    /// Its name, in the configuration and on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Roster => "roster",
            Self::Never => "never",
        }
    }

    /// The one with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Always, Self::Roster, Self::Never].into_iter().find(|policy| policy.name() == name)
    }
}
