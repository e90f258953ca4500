//! SCRAM, the server's side: client-first, server-first, client-final, server-final.
//!
//! Spec: RFC 5802 sections 3, 5, 6, 7; RFC 7677; RFC 9266 and 5929 (channel binding); XEP-0474 (`h`).
//! Owns: the texts that the proof covers.
//! Invariants: what a client claims of channel binding is held against what it was offered (RFC 5802 section 6); a proof is
//! compared in constant time; both checks run for every name, whether it exists or not.
//! Not here: base64 of the XMPP layer (`negotiation`), keys (`keys`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use store::token::PasswordMark;
use subtle::ConstantTimeEq;

use crate::config::{ChannelBindings, TLS_EXPORTER, TLS_SERVER_END_POINT};
use crate::sasl::keys::{hmac_sha1, hmac_sha256};
use crate::sasl::{Failure, Keys, LogInName, Mechanism};

/// Octets of randomness in our part of the nonce, before base64.
const NONCE_LEN: usize = 18;
/// Longest nonce a client may choose; bounds what is kept of it.
const CLIENT_NONCE_MAX: usize = 256;
/// Longest name a client may claim.
const NAME_MAX: usize = 1023;

/// What a client opened with.
#[derive(Debug)]
pub(crate) struct ClientFirst {
    mechanism: Mechanism,
    pub(crate) name: LogInName,
    pub(crate) authzid: Option<String>,
    gs2_header: String,
    bare: String,
    client_nonce: String,
    binding: Option<Vec<u8>>,
}

/// An exchange that has sent its challenge.
#[derive(Debug)]
pub(crate) struct Challenged {
    first: ClientFirst,
    nonce: String,
    server_first: String,
    keys: Keys,
    mark: PasswordMark,
}

impl ClientFirst {
    /// Reads client-first. `bindings` are this connection's, `plus_offered` says whether the client could have
    /// known that we support it.
    pub(crate) fn parse(
        bytes: &[u8],
        mechanism: Mechanism,
        bindings: &ChannelBindings,
        plus_offered: bool,
    ) -> Result<ClientFirst, Failure> {
        let text = std::str::from_utf8(bytes).map_err(|_| Failure::MalformedRequest)?;
        let mut parts = text.splitn(3, ',');
        let (Some(flag), Some(authzid), Some(bare)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(Failure::MalformedRequest);
        };
        let binding = match (flag, mechanism.is_plus()) {
            ("n", false) => None,
            // RFC 5802 section 6: a client that could bind but thinks we cannot has been lied to on the way.
            ("y", false) if plus_offered => return Err(Failure::NotAuthorized),
            ("y", false) => None,
            (flag, true) => match flag.strip_prefix("p=") {
                Some(name @ (TLS_EXPORTER | TLS_SERVER_END_POINT)) => {
                    Some(bindings.get(name).ok_or(Failure::NotAuthorized)?.to_vec())
                }
                _ => return Err(Failure::MalformedRequest),
            },
            _ => return Err(Failure::MalformedRequest),
        };
        let authzid = match authzid {
            "" => None,
            named => Some(unescape(named.strip_prefix("a=").ok_or(Failure::MalformedRequest)?)?),
        };
        let mut attributes = bare.split(',');
        // A mandatory extension `m=` that we do not know must fail (RFC 5802 5.1), as anything else but `n=` here.
        let name =
            attributes.next().and_then(|part| part.strip_prefix("n=")).ok_or(Failure::MalformedRequest)?;
        let nonce =
            attributes.next().and_then(|part| part.strip_prefix("r=")).ok_or(Failure::MalformedRequest)?;
        let printable = nonce.bytes().all(|b| (0x21..=0x7e).contains(&b) && b != b',');
        if nonce.is_empty() || nonce.len() > CLIENT_NONCE_MAX || !printable || name.len() > NAME_MAX {
            return Err(Failure::MalformedRequest);
        }
        let gs2_header = &text[..text.len() - bare.len()];
        Ok(ClientFirst {
            mechanism,
            name: LogInName::new(&unescape(name)?),
            authzid,
            gs2_header: gs2_header.to_owned(),
            bare: bare.to_owned(),
            client_nonce: nonce.to_owned(),
            binding,
        })
    }

    /// Goes on with the account's keys; `randomness` makes our part of the nonce, and `offer` is the hash of what was
    /// offered; `mark` tells this password from others.
    pub(crate) fn challenge(
        self,
        keys: Keys,
        mark: PasswordMark,
        randomness: &[u8; 32],
        offer: &str,
    ) -> Challenged {
        let nonce = format!("{}{}", self.client_nonce, BASE64.encode(&randomness[..NONCE_LEN]));
        let (salt, iterations) = match &keys {
            Keys::Sha1(keys) => (&keys.salt[..], keys.iterations),
            Keys::Sha256(keys) => (&keys.salt[..], keys.iterations),
            Keys::Checked(_) | Keys::Tokens(_) => (&[][..], 0),
        };
        let server_first = format!("r={nonce},s={},i={iterations},h={offer}", BASE64.encode(salt));
        Challenged { first: self, nonce, server_first, keys, mark }
    }

    pub(crate) fn mechanism(&self) -> Mechanism {
        self.mechanism
    }
}

impl Challenged {
    /// The challenge: server-first.
    pub(crate) fn server_first(&self) -> &str {
        &self.server_first
    }

    /// Checks client-final; what it gives back is server-final, which proves to the client that we know its keys.
    pub(crate) fn verify(&self, client_final: &[u8]) -> Result<String, Failure> {
        let text = std::str::from_utf8(client_final).map_err(|_| Failure::MalformedRequest)?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or(Failure::MalformedRequest)?;
        let mut attributes = without_proof.split(',');
        let binding =
            attributes.next().and_then(|part| part.strip_prefix("c=")).ok_or(Failure::MalformedRequest)?;
        let nonce =
            attributes.next().and_then(|part| part.strip_prefix("r=")).ok_or(Failure::MalformedRequest)?;
        let binding = BASE64.decode(binding).map_err(|_| Failure::IncorrectEncoding)?;
        let proof = BASE64.decode(proof).map_err(|_| Failure::IncorrectEncoding)?;
        let mut expected = self.first.gs2_header.clone().into_bytes();
        expected.extend_from_slice(self.first.binding.as_deref().unwrap_or(&[]));
        let bound = binding.ct_eq(&expected);
        let fresh = nonce.as_bytes().ct_eq(self.nonce.as_bytes());
        let message =
            [self.first.bare.as_bytes(), b",", self.server_first.as_bytes(), b",", without_proof.as_bytes()];
        let (proved, signature) = match &self.keys {
            Keys::Sha1(keys) => {
                let signature = hmac_sha1(&keys.stored_key, &message);
                let key = xor(&proof, &signature);
                (
                    Sha1::digest(key).ct_eq(&keys.stored_key[..]),
                    hmac_sha1(&keys.server_key, &message).to_vec(),
                )
            }
            Keys::Sha256(keys) => {
                let signature = hmac_sha256(&keys.stored_key, &message);
                let key = xor(&proof, &signature);
                (
                    Sha256::digest(key).ct_eq(&keys.stored_key[..]),
                    hmac_sha256(&keys.server_key, &message).to_vec(),
                )
            }
            Keys::Checked(_) | Keys::Tokens(_) => (0.into(), Vec::new()),
        };
        // One question, asked once: which part was wrong is nobody's business.
        if bool::from(bound & fresh & proved) {
            Ok(format!("v={}", BASE64.encode(signature)))
        } else {
            Err(Failure::NotAuthorized)
        }
    }

    pub(crate) fn name(&self) -> &LogInName {
        &self.first.name
    }

    /// Which of the account's passwords was proved.
    pub(crate) fn mark(&self) -> PasswordMark {
        self.mark
    }
}

/// The client's key from its proof (RFC 5802 section 3); a proof of another length gives a key that fits nothing.
fn xor(proof: &[u8], signature: &[u8]) -> Vec<u8> {
    if proof.len() != signature.len() {
        return Vec::new();
    }
    proof.iter().zip(signature).map(|(p, s)| p ^ s).collect()
}

/// A saslname, read (RFC 5802 5.1): `=2C` is a comma, `=3D` an equals sign, any other `=` a mistake.
fn unescape(name: &str) -> Result<String, Failure> {
    let mut parts = name.split('=');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = match part.get(..2) {
            Some("2C") => {
                text.push(',');
                &part[2..]
            }
            Some("3D") => {
                text.push('=');
                &part[2..]
            }
            _ => return Err(Failure::MalformedRequest),
        };
        text.push_str(rest);
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
