//! Tokens: a log-in in one message, by what the exchange gave the client when it last logged in.
//!
//! Spec: XEP-0484 (FAST); draft-schmaus-kitten-sasl-ht (HT-SHA-256-*): client says `name NUL HMAC(token, "Initiator" cb)`,
//! server answers `HMAC(token, "Responder" cb)`. RFC 8959 for the prefix.
//! Owns: the derivation. Invariants: a token is derived from the client's own id, which the exchange never keeps, so what
//! lies in a data folder makes no token; whoever is unknown, has no token or a wrong one takes the same steps.
//! Not here: which tokens there are (`store`), when one is given out (`negotiation`).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use store::Token;
use store::token::AgentMark;
use subtle::ConstantTimeEq;
use xmpp::time::Wallclock;

use crate::config::{ChannelBindings, SessionConfig, TLS_EXPORTER, TLS_SERVER_END_POINT};
use crate::sasl::keys::hmac_sha256;
use crate::sasl::{Failure, LogInName};

/// Tokens of one client that may be good at a time: the one it used last, and the one it was given since.
const PLACES: usize = 2;
/// Octets of a UUID's text.
const UUID_LEN: usize = 36;
/// Octets of the part of a resource that is the exchange's, before base64: as many as nobody guesses.
const RESOURCE_LEN: usize = 9;

/// A mechanism that takes a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenMechanism {
    /// HT-SHA-256-EXPR: bound by `tls-exporter` (RFC 9266).
    Exporter,
    /// HT-SHA-256-ENDP: bound by `tls-server-end-point` (RFC 5929).
    EndPoint,
    /// HT-SHA-256-NONE: not bound, for clients that cannot be.
    Unbound,
}

impl TokenMechanism {
    /// Every one, strongest first. HT-SHA-256-UNIQ is not among them: `rustls` has no `tls-unique`, nor has TLS 1.3.
    pub const ALL: &'static [TokenMechanism] =
        &[TokenMechanism::Exporter, TokenMechanism::EndPoint, TokenMechanism::Unbound];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            TokenMechanism::Exporter => "HT-SHA-256-EXPR",
            TokenMechanism::EndPoint => "HT-SHA-256-ENDP",
            TokenMechanism::Unbound => "HT-SHA-256-NONE",
        }
    }

    /// What it is bound by on this connection; none where it cannot be.
    pub(crate) fn binding(self, bindings: &ChannelBindings) -> Option<Vec<u8>> {
        match self {
            TokenMechanism::Exporter => bindings.get(TLS_EXPORTER).map(<[u8]>::to_vec),
            TokenMechanism::EndPoint => bindings.get(TLS_SERVER_END_POINT).map(<[u8]>::to_vec),
            TokenMechanism::Unbound => Some(Vec::new()),
        }
    }
}

/// What a client's tokens are derived from: the secret of the data folder, its account and its own id.
#[derive(Clone)]
pub(crate) struct AgentKey([u8; 32]);

impl std::fmt::Debug for AgentKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AgentKey")
    }
}

impl AgentKey {
    pub(crate) fn new(config: &SessionConfig, name: &LogInName, id: &str) -> AgentKey {
        let name = name.as_str().as_bytes();
        let length = (name.len() as u64).to_be_bytes();
        AgentKey(hmac_sha256(&config.salt_secret, &[b"agent", &length, name, id.as_bytes()]))
    }

    /// What the client is known by in the store.
    pub(crate) fn mark(&self) -> AgentMark {
        hmac_sha256(&self.0, &[b"mark"])
    }

    /// The token with this nonce, as its client is told it.
    pub(crate) fn token(&self, nonce: &[u8; 32]) -> String {
        format!("secret-token:{}", BASE64.encode(hmac_sha256(&self.0, &[b"token", nonce])))
    }

    /// The part of the client's resource that is the exchange's: the same each time, and no trace of the client's id
    /// (XEP-0386 2.2.1).
    pub(crate) fn resource(&self, tag: &str) -> String {
        BASE64.encode(&hmac_sha256(&self.0, &[b"resource", tag.as_bytes()])[..RESOURCE_LEN])
    }
}

/// Whether a client's id is one that nobody guesses (XEP-0388 2.3: a UUID v4), as tokens lean on it.
pub(crate) fn is_secret(id: &str) -> bool {
    let bytes = id.as_bytes();
    bytes.len() == UUID_LEN
        && bytes.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            14 => *byte == b'4',
            19 => matches!(byte, b'8' | b'9' | b'a' | b'b' | b'A' | b'B'),
            _ => byte.is_ascii_hexdigit(),
        })
}

/// What a client says to log in by a token.
#[derive(Debug)]
pub(crate) struct Proof {
    pub(crate) name: LogInName,
    pub(crate) mechanism: TokenMechanism,
    pub(crate) agent: AgentKey,
    hash: Vec<u8>,
    binding: Vec<u8>,
}

/// A proof that held.
#[derive(Debug)]
pub(crate) struct Proved<'a> {
    pub(crate) token: &'a Token,
    /// What the exchange proves itself with.
    pub(crate) answer: [u8; 32],
}

impl Proof {
    pub(crate) fn parse(
        bytes: &[u8],
        mechanism: TokenMechanism,
        binding: Vec<u8>,
        agent: impl FnOnce(&LogInName) -> AgentKey,
    ) -> Result<Proof, Failure> {
        let nul = bytes.iter().position(|byte| *byte == 0).ok_or(Failure::MalformedRequest)?;
        let name = std::str::from_utf8(&bytes[..nul]).map_err(|_| Failure::MalformedRequest)?;
        let name = LogInName::new(name);
        let agent = agent(&name);
        Ok(Proof { name, mechanism, agent, hash: bytes[nul + 1..].to_vec(), binding })
    }

    /// Holds it against the client's tokens.
    pub(crate) fn verify<'a>(&self, tokens: &'a [Token], now: Wallclock) -> Result<Proved<'a>, Failure> {
        let mut proved = None;
        // Whoever has fewer tokens is held against some that nobody has, for as long.
        for place in 0..PLACES {
            let token = tokens.get(place);
            let text = self.agent.token(&token.map_or([0; 32], |token| token.nonce));
            let expected = hmac_sha256(text.as_bytes(), &[b"Initiator", &self.binding]);
            let answer = hmac_sha256(text.as_bytes(), &[b"Responder", &self.binding]);
            let same = bool::from(expected.ct_eq(&self.hash[..]));
            if let Some(token) = token.filter(|token| same && token.mechanism == self.mechanism.name()) {
                proved = Some(Proved { token, answer });
            }
        }
        let proved = proved.ok_or(Failure::NotAuthorized)?;
        // XEP-0484 4.2, and only behind a proof.
        if proved.token.expires <= now { Err(Failure::CredentialsExpired) } else { Ok(proved) }
    }
}

#[cfg(test)]
mod tests;
