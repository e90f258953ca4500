//! SCRAM, the client's side: neither side tells the other the password, and each proves that it knows it.
//!
//! Spec: RFC 5802, RFC 7677 (SHA-256), RFC 9266 (`tls-exporter`), RFC 4013 (SASLprep),
//! XEP-0474 (what was offered is proved too).
//! Owns: the messages. Invariants: a log-in succeeds only if the exchange has proved itself too; the work that an
//! exchange may ask for is bounded by [`ITERATIONS_MAX`].
//! Not here: base64, elements (`session`).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::{Digest, Sha1};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::{Binding, Hash};

/// RFC 7677 4: fewer make guessing the password from what travels too cheap.
const ITERATIONS_MIN: u32 = 4096;

/// Some seconds of work; more is an attack or a mistake.
const ITERATIONS_MAX: u32 = 10_000_000;

/// A log-in that is under way.
#[derive(Debug)]
pub(crate) struct Scram {
    hash: Hash,
    password: String,
    gs2: String,
    binding: Vec<u8>,
    client_first_bare: String,
    nonce: String,
    /// What was offered, as XEP-0474 has it hashed.
    offer: Option<String>,
    /// What the exchange has to say at last.
    server_signature: Option<Vec<u8>>,
}

impl Scram {
    /// `nonce` must be random and printable, without commas.
    pub(crate) fn new(hash: Hash, binding: Binding, number: &str, password: &str, nonce: &str) -> Self {
        let (gs2, binding) = match binding {
            Binding::Unsupported => ("n,,", Vec::new()),
            Binding::NotOffered => ("y,,", Vec::new()),
            Binding::Exporter(exporter) => ("p=tls-exporter,,", exporter.to_vec()),
        };
        Self {
            hash,
            password: password.to_owned(),
            gs2: gs2.to_owned(),
            binding,
            // A number has no character that RFC 5802 5.1 wants escaped.
            client_first_bare: format!("n={number},r={nonce}"),
            nonce: nonce.to_owned(),
            offer: None,
            server_signature: None,
        }
    }

    /// What the exchange is to have offered; if it tells what it did offer, the two are compared (XEP-0474 5.1).
    pub(crate) fn with_offer(self, offer: String) -> Self {
        Self { offer: Some(offer), ..self }
    }

    /// client-first-message.
    pub(crate) fn make_first(&self) -> Vec<u8> {
        format!("{}{}", self.gs2, self.client_first_bare).into_bytes()
    }

    /// server-first-message in, client-final-message out.
    pub(crate) fn handle_challenge(&mut self, challenge: &[u8]) -> Result<Vec<u8>, String> {
        let server_first = std::str::from_utf8(challenge).map_err(|_| "a SCRAM challenge that is no text")?;
        let mut fields = server_first.split(',');
        let mut field = |name: &str| {
            fields.next().and_then(|field| field.strip_prefix(name)).ok_or("an incomplete SCRAM challenge")
        };
        let (nonce, salt, iterations) = (field("r=")?, field("s=")?, field("i=")?);
        // RFC 5802 5.1: the exchange's nonce begins with ours, or the answer is to somebody else's question.
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err("a SCRAM challenge with a foreign nonce".to_owned());
        }
        let salt = STANDARD.decode(salt).map_err(|_| "a SCRAM challenge with a broken salt")?;
        let iterations: u32 = iterations.parse().map_err(|_| "a SCRAM challenge without a count")?;
        if !(ITERATIONS_MIN..=ITERATIONS_MAX).contains(&iterations) {
            return Err(format!("a SCRAM challenge that asks for {iterations} iterations"));
        }
        // It is covered by the proof of both sides, so nobody in between can have changed it.
        let told = fields.find_map(|field| field.strip_prefix("h="));
        if let (Some(told), Some(offer)) = (told, &self.offer)
            && told != STANDARD.encode(self.hash.digest(offer.as_bytes()))
        {
            return Err("an offer of mechanisms that was changed on its way".to_owned());
        }
        let password = stringprep::saslprep(&self.password)
            .map_err(|_| "the password holds characters that SASLprep forbids (RFC 4013)")?;

        let mut bound = self.gs2.clone().into_bytes();
        bound.extend_from_slice(&self.binding);
        let final_bare = format!("c={},r={nonce}", STANDARD.encode(bound));
        let auth_message = format!("{},{server_first},{final_bare}", self.client_first_bare);

        let salted = self.hash.hi(password.as_bytes(), &salt, iterations);
        let client_key = self.hash.hmac(&salted, b"Client Key");
        let stored_key = self.hash.digest(&client_key);
        let signature = self.hash.hmac(&stored_key, auth_message.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(&signature).map(|(key, sign)| key ^ sign).collect();
        let server_key = self.hash.hmac(&salted, b"Server Key");
        self.server_signature = Some(self.hash.hmac(&server_key, auth_message.as_bytes()));
        Ok(format!("{final_bare},p={}", STANDARD.encode(proof)).into_bytes())
    }

    /// server-final-message: whether the exchange knows the password too.
    pub(crate) fn is_proved_by(&self, server_final: &[u8]) -> bool {
        let said = server_final.strip_prefix(b"v=").and_then(|said| {
            let end = said.iter().position(|&b| b == b',').unwrap_or(said.len());
            STANDARD.decode(&said[..end]).ok()
        });
        match (&self.server_signature, said) {
            (Some(expected), Some(said)) => expected.ct_eq(&said).into(),
            _ => false,
        }
    }
}

impl Hash {
    fn digest(self, data: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => Sha1::digest(data).to_vec(),
            Self::Sha256 => Sha256::digest(data).to_vec(),
        }
    }

    fn hmac(self, key: &[u8], data: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => Hmac::<Sha1>::new_from_slice(key)
                .expect("HMAC takes any key")
                .chain_update(data)
                .finalize()
                .into_bytes()
                .to_vec(),
            Self::Sha256 => Hmac::<Sha256>::new_from_slice(key)
                .expect("HMAC takes any key")
                .chain_update(data)
                .finalize()
                .into_bytes()
                .to_vec(),
        }
    }

    /// Hi() of RFC 5802 2.2.
    fn hi(self, password: &[u8], salt: &[u8], iterations: u32) -> Vec<u8> {
        match self {
            Self::Sha1 => pbkdf2::pbkdf2_hmac_array::<Sha1, 20>(password, salt, iterations).to_vec(),
            Self::Sha256 => pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password, salt, iterations).to_vec(),
        }
    }
}
