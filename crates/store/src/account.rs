//! Accounts: a number, perhaps a name, and keys from which no password can be read.
//!
//! Spec: RFC 5802 section 3 (StoredKey, ServerKey), RFC 7677.
//! Owns: the values. Invariants: none but their types'.
//! Not here: how keys are derived (`session`'s SCRAM), what a number is (`xmpp::address`).

use xmpp::address::AccountNumber;
use xmpp::time::Wallclock;

/// An account, but not its keys: those leave the store only for a log-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its number.
    pub number: AccountNumber,
    /// What people may call it.
    pub name: Option<String>,
    /// Whether it may log in.
    pub state: AccountState,
    /// When it was made.
    pub created: Wallclock,
    /// Whether it may do what an operator may.
    pub admin: bool,
}

/// Whether an account may log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AccountState {
    /// It may.
    Enabled,
    /// It may not; messages for it are kept all the same.
    Disabled,
}

/// What is kept of a password: keys for each SCRAM mechanism. At least one is there in practice; an account without
/// any cannot log in by password.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Credentials {
    /// For SCRAM-SHA-1 and SCRAM-SHA-1-PLUS.
    pub sha1: Option<ScramKeys<20>>,
    /// For SCRAM-SHA-256 and SCRAM-SHA-256-PLUS.
    pub sha256: Option<ScramKeys<32>>,
}

impl Credentials {
    /// Tells these keys from those of every other password: the key of the strongest mechanism there is.
    #[must_use]
    pub fn mark(&self) -> crate::token::PasswordMark {
        let mut mark = [0; 32];
        match (&self.sha256, &self.sha1) {
            (Some(keys), _) => mark = keys.stored_key,
            (None, Some(keys)) => mark[..20].copy_from_slice(&keys.stored_key),
            (None, None) => {}
        }
        mark
    }
}

/// The keys of one SCRAM mechanism with a hash of `N` bytes (RFC 5802 section 3).
#[derive(Clone, PartialEq, Eq)]
pub struct ScramKeys<const N: usize> {
    /// Random, told to the client.
    pub salt: Vec<u8>,
    /// How often the hash is iterated, told to the client.
    pub iterations: u32,
    /// `H(ClientKey)`: what the client's proof is checked against.
    pub stored_key: [u8; N],
    /// What the exchange proves itself with.
    pub server_key: [u8; N],
}

impl std::fmt::Debug for Credentials {
    // Keys do not belong in a log, not even by accident.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let iterations = |n: Option<u32>| n.map_or_else(|| "none".to_owned(), |n| n.to_string());
        f.debug_struct("Credentials")
            .field("sha1_iterations", &iterations(self.sha1.as_ref().map(|k| k.iterations)))
            .field("sha256_iterations", &iterations(self.sha256.as_ref().map(|k| k.iterations)))
            .finish_non_exhaustive()
    }
}

impl<const N: usize> std::fmt::Debug for ScramKeys<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScramKeys").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}
