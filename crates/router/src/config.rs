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
    /// Messages of one account that are in the hands of resources that confirm, of which none has. Beyond it a message
    /// waits in the store, also one for the full address of a resource that takes no others: it is for the next that
    /// does. Default 4,096, of some 200 bytes each.
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
    /// Whether strangers may read vCards (XEP-0054). Default no.
    pub profiles_open: bool,
    /// Bytes of one account's vCard, a published picture included. Default 512 KiB.
    pub vcard_bytes_max: u64,
    /// Elements of private XML that one account may keep (XEP-0049). Default 100.
    pub private_documents_max: u64,
    /// Their bytes together. Default 512 KiB.
    pub private_bytes_max: u64,
    /// Addresses that one account may block (XEP-0191). Default 2,000.
    pub blocked_max: usize,
    /// Different strangers that one number may write to, or ask to see, within an hour. Default 200.
    pub strangers_per_hour: usize,
    /// What strangers may do. Default: all.
    pub strangers: StrangerPolicy,
    /// Nodes that one account may publish (XEP-0163). Default 200.
    pub pep_nodes_max: u32,
    /// Items that one node may hold; what `max_items` = `max` means. Default 1,000.
    pub pep_items_max: u32,
    /// Bytes of items that one account may hold. Default 16 MiB.
    pub pep_bytes_max: u64,
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
            shared_max: 4_096,
            archive: ArchivePolicy::Never,
            profiles_open: false,
            vcard_bytes_max: 512 * 1024,
            private_documents_max: 100,
            private_bytes_max: 512 * 1024,
            blocked_max: 2_000,
            strangers_per_hour: 200,
            strangers: StrangerPolicy::Allow,
            pep_nodes_max: 200,
            pep_items_max: 1_000,
            pep_bytes_max: 16 << 20,
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

/// What strangers may do: numbers that an account neither sees nor is seen by, and never wrote to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StrangerPolicy {
    /// Write.
    Allow,
    /// Ask to see the account; messages are refused with `subscription-required` until they may.
    Ask,
    /// Nothing: messages are refused as if the number did not exist, requests to see it are dropped.
    Refuse,
}

impl StrangerPolicy {
    /// Its name, in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Ask => "ask",
            Self::Refuse => "refuse",
        }
    }

    /// The one with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Allow, Self::Ask, Self::Refuse].into_iter().find(|policy| policy.name() == name)
    }
}
