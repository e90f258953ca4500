//! What a session is told: the exchange's settings, shared by all, and the facts of its carrier.
//!
//! Owns: every bound of a session, each with its default, its unit and what it costs.
//! Not here: bounds on a number's sessions (`router`), on connections (`server`).

use std::net::SocketAddr;
use std::time::Duration;

use crate::register::Registration;
use crate::sasl::Mechanism;

/// Settings of all sessions; one value, shared.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// The one domain that is served.
    pub domain: String,
    /// Longest stanza before log-in, in octets (RFC 6120 13.12 asks for no less than 10,000). Default 10,000.
    pub stanza_max_unauth: u32,
    /// Longest stanza after log-in, in octets. Default 262,144.
    pub stanza_max: u32,
    /// Mechanisms offered, strongest first. Default: all.
    pub mechanisms: Vec<Mechanism>,
    /// Stream features that are offered after log-in besides binding and stream management, as XML: what the router's
    /// features announce (`ver`, `sub`, `c`). Default: none.
    pub stream_features: String,
    /// Namespaces that a client may name while it binds (XEP-0386), beside stream management: what the router's features
    /// announce. Default: none.
    pub inline_features: Vec<String>,
    /// Who may make an account by itself. Default: whoever has an invite.
    pub registration: Registration,
    /// How long who registers may take once a number is held for it: people think about passwords. Default 10 minutes,
    /// which is less than [`store::invite::GRACE`].
    pub registration_max: Duration,
    /// Whether clients get tokens that log them in faster the next time (XEP-0484). Default: yes.
    pub tokens: bool,
    /// How long a token is good for. Default 21 days.
    pub token_life: Duration,
    /// A token of this age is exchanged for a new one when it is used. Default 1 day.
    pub token_rotation: Duration,
    /// Time from the first octet to a bound resource. Default 30 s.
    pub negotiation_max: Duration,
    /// Silence after which the client is asked for a sign of life. Default 300 s.
    pub idle_max: Duration,
    /// How long it may take to give one before the stream is closed with `connection-timeout`. Default 60 s.
    pub answer_max: Duration,
    /// How long the client may take to end its stream after ours has ended. Default 5 s.
    pub closing_max: Duration,
    /// Failed log-ins on one stream before it is closed (RFC 6120 6.4.4 suggests 2 to 5 retries). Default 4.
    pub attempts_max: u8,
    /// Stanzas given to the client that XEP-0198 has not confirmed; one more closes the stream with `policy-violation`.
    /// Each costs its length and 40 octets. Default 1,000.
    pub unacked_max: usize,
    /// Octets of these, in the same way. Default 4 MiB.
    pub unacked_octets_max: usize,
    /// How long a session may be resumed after its connection was lost (XEP-0198 section 5); zero: never. Default 300 s.
    pub resume_max: Duration,
    /// Octets that may wait to be written to one client; more closes the stream with `policy-violation`.
    /// Default 1 MiB.
    pub output_max: usize,
    /// Stanzas of the client that may wait to be processed before its socket is no longer read. Default 256.
    pub in_flight_max: u32,
    /// Iteration counts that accounts of this exchange have, at least one. Names that do not exist are told one of
    /// these, always the same one while the set is the same, so that a count gives nothing away.
    pub iterations_in_use: Vec<u32>,
    /// Keys the salts that names which do not exist are told, and what tokens are derived from. Drawn once for the data
    /// folder.
    pub salt_secret: [u8; 32],
}

impl SessionConfig {
    /// The defaults for a domain.
    #[must_use]
    pub fn new(domain: &str, salt_secret: [u8; 32]) -> SessionConfig {
        SessionConfig {
            domain: domain.to_owned(),
            stanza_max_unauth: 10_000,
            stanza_max: 256 * 1024,
            mechanisms: Mechanism::ALL.to_vec(),
            stream_features: String::new(),
            inline_features: Vec::new(),
            registration: Registration::default(),
            registration_max: Duration::from_secs(600),
            tokens: true,
            token_life: Duration::from_secs(21 * 86_400),
            token_rotation: Duration::from_secs(86_400),
            negotiation_max: Duration::from_secs(30),
            idle_max: Duration::from_secs(300),
            answer_max: Duration::from_secs(60),
            closing_max: Duration::from_secs(5),
            attempts_max: 4,
            unacked_max: 1_000,
            unacked_octets_max: 4 * 1024 * 1024,
            resume_max: Duration::from_secs(300),
            output_max: 1024 * 1024,
            in_flight_max: 256,
            iterations_in_use: vec![10_000],
            salt_secret,
        }
    }
}

/// What brings the byte stream (the exchange's word; it is also what `switchboard who` prints).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Carrier {
    /// TCP, with or without STARTTLS.
    Tcp,
    /// TLS from the first octet (XEP-0368).
    Tls,
    /// WebSocket.
    Ws,
    /// WebSocket over TLS.
    Wss,
    /// A QUIC stream (XEP-0467).
    Quic,
}

impl Carrier {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Carrier::Tcp => "tcp",
            Carrier::Tls => "tls",
            Carrier::Ws => "ws",
            Carrier::Wss => "wss",
            Carrier::Quic => "quic",
        }
    }

    /// The one with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Carrier> {
        let all = [Carrier::Tcp, Carrier::Tls, Carrier::Ws, Carrier::Wss, Carrier::Quic];
        all.into_iter().find(|carrier| carrier.name() == name)
    }

    /// Whether each stanza travels as a message of its own (RFC 7395).
    #[must_use]
    pub const fn is_framed(self) -> bool {
        matches!(self, Carrier::Ws | Carrier::Wss)
    }
}

/// The facts of one carrier, as the server knows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CarrierFacts {
    /// Which it is.
    pub carrier: Carrier,
    /// Whether an eavesdropper reads nothing.
    pub encrypted: bool,
    /// Whether the bytes never leave this machine.
    pub local: bool,
    /// Whether a log-in without encryption is allowed here: loopback, or where the settings say so.
    pub clear_text_allowed: bool,
    /// Whether STARTTLS can be offered.
    pub can_starttls: bool,
    /// Where the client is.
    pub remote: SocketAddr,
}

/// RFC 9266.
pub(crate) const TLS_EXPORTER: &str = "tls-exporter";
/// RFC 5929 section 4.
pub(crate) const TLS_SERVER_END_POINT: &str = "tls-server-end-point";

/// What ties a log-in to the TLS connection it is made on. It is needed until a resource is bound.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ChannelBindings {
    /// What both ends of this TLS connection, and nobody else, can derive (RFC 9266 `tls-exporter`).
    pub exporter: Option<[u8; 32]>,
    /// The hash of the certificate that the client was shown (RFC 5929 `tls-server-end-point`), 32 to 64 octets.
    pub end_point: Option<Box<[u8]>>,
}

impl std::fmt::Debug for ChannelBindings {
    // Secrets of the connection.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ChannelBindings").field(&self.types()).finish()
    }
}

impl ChannelBindings {
    /// The one of this type.
    pub(crate) fn get(&self, name: &str) -> Option<&[u8]> {
        match name {
            TLS_EXPORTER => self.exporter.as_ref().map(|data| &data[..]),
            TLS_SERVER_END_POINT => self.end_point.as_deref(),
            _ => None,
        }
    }

    /// The types there are, strongest first.
    #[must_use]
    pub fn types(&self) -> Vec<&'static str> {
        [TLS_EXPORTER, TLS_SERVER_END_POINT].into_iter().filter(|name| self.get(name).is_some()).collect()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.exporter.is_none() && self.end_point.is_none()
    }
}
