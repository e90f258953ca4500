//! Keys: what is kept of a password, and how a password is held against it.
//!
//! Spec: RFC 5802 sections 2.2 and 3; RFC 7677; RFC 4013 (SASLprep).
//! Invariants: comparing takes the same time wherever the difference is.
//! Not here: where keys are kept (`store`), drawing the salt (whoever calls has the randomness).

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use store::{Credentials, ScramKeys};
use subtle::ConstantTimeEq;

/// Octets of a salt that the exchange draws.
pub const SALT_LEN: usize = 16;

/// A password that no account can have: empty, or with characters that SASLprep forbids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnfitPassword;

impl std::fmt::Display for UnfitPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a password is not empty and has no control characters (RFC 4013)")
    }
}

impl std::error::Error for UnfitPassword {}

/// Derives what is kept of a password, for every mechanism.
///
/// # Errors
/// When SASLprep forbids the password.
pub fn derive_keys(
    password: &str,
    salt: [u8; SALT_LEN],
    iterations: u32,
) -> Result<Credentials, UnfitPassword> {
    let prepared = prepare(password).ok_or(UnfitPassword)?;
    Ok(Credentials {
        sha1: Some(sha1_keys(prepared.as_bytes(), &salt, iterations)),
        sha256: Some(sha256_keys(prepared.as_bytes(), &salt, iterations)),
    })
}

/// Whether this is the password that the keys were derived from.
pub(crate) fn is_password(password: &str, keys: &Credentials) -> bool {
    // A password that cannot be prepared belongs to nobody, but takes as long.
    let prepared = prepare(password);
    let bytes = prepared.as_deref().unwrap_or(password).as_bytes();
    let same = match (&keys.sha256, &keys.sha1) {
        (Some(kept), _) => sha256_keys(bytes, &kept.salt, kept.iterations).stored_key.ct_eq(&kept.stored_key),
        (None, Some(kept)) => {
            sha1_keys(bytes, &kept.salt, kept.iterations).stored_key.ct_eq(&kept.stored_key)
        }
        (None, None) => 0.into(),
    };
    bool::from(same) & prepared.is_some()
}

fn prepare(password: &str) -> Option<std::borrow::Cow<'_, str>> {
    stringprep::saslprep(password).ok().filter(|prepared| !prepared.is_empty())
}

fn sha1_keys(password: &[u8], salt: &[u8], iterations: u32) -> ScramKeys<20> {
    let mut salted = [0; 20];
    pbkdf2::pbkdf2_hmac::<Sha1>(password, salt, iterations, &mut salted);
    let client_key = hmac_sha1(&salted, &[b"Client Key"]);
    let stored_key = Sha1::digest(client_key).into();
    ScramKeys {
        salt: salt.to_vec(),
        iterations,
        stored_key,
        server_key: hmac_sha1(&salted, &[b"Server Key"]),
    }
}

fn sha256_keys(password: &[u8], salt: &[u8], iterations: u32) -> ScramKeys<32> {
    let mut salted = [0; 32];
    pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, iterations, &mut salted);
    let client_key = hmac_sha256(&salted, &[b"Client Key"]);
    let stored_key = Sha256::digest(client_key).into();
    ScramKeys {
        salt: salt.to_vec(),
        iterations,
        stored_key,
        server_key: hmac_sha256(&salted, &[b"Server Key"]),
    }
}

/// HMAC-SHA-1 of the parts, one after the other.
pub(crate) fn hmac_sha1(key: &[u8], parts: &[&[u8]]) -> [u8; 20] {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// HMAC-SHA-256 of the parts, one after the other.
pub(crate) fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests;
