//! Certificates: the chain and key that every TLS and QUIC handshake shows, made here when none is given.
//! Spec: RFC 8446 through `rustls`; XEP-0368 (ALPN `xmpp-client`), XEP-0467 (the same over QUIC), RFC 7301.
//! Owns: `cert.pem` and `key.pem` in the data folder (the key 0600), the certificate in use, the three configurations.
//! Invariants: a reload that fails changes nothing; a key is never logged; no configuration accepts early data.
//! Not here: where the bytes of a handshake come from (`carrier`).

use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use quinn_proto::crypto::rustls::QuicServerConfig;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};

use crate::config;

mod end_point;
#[cfg(test)]
mod tests;

/// The made certificate's name in the data folder.
pub const CERT_NAME: &str = "cert.pem";
/// The made key's name in the data folder.
pub const KEY_NAME: &str = "key.pem";

/// XEP-0368 and XEP-0467.
const ALPN_XMPP: &[u8] = b"xmpp-client";
/// RFC 7301 6. HTTP/2 has no Upgrade, and WebSocket needs it.
const ALPN_HTTP: &[u8] = b"http/1.1";
/// Tickets sent after a handshake: one is enough for one reconnection, and each costs the server a seal.
const TICKETS: usize = 1;

/// Why there is no certificate to show.
#[derive(Debug)]
pub enum CertError {
    /// A file cannot be read or written.
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file is no PEM certificate chain or key, or the two do not fit.
    Unfit {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl fmt::Display for CertError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, error } => write!(f, "{}: {error}", path.display()),
            Self::Unfit { path, reason } => write!(f, "{}: {reason}", path.display()),
        }
    }
}

impl std::error::Error for CertError {}

/// The certificate in use, and the configurations that show it.
pub struct Certs {
    cert: PathBuf,
    key: PathBuf,
    made: bool,
    shown: Arc<Shown>,
    provider: Arc<CryptoProvider>,
    /// STARTTLS and direct TLS.
    pub(crate) xmpp: Arc<ServerConfig>,
    /// HTTPS.
    pub(crate) https: Arc<ServerConfig>,
    /// QUIC.
    pub(crate) quic: Arc<QuicServerConfig>,
}

impl fmt::Debug for Certs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certs").field("cert", &self.cert).field("made", &self.made).finish_non_exhaustive()
    }
}

/// What a handshake shows: swapped whole by a reload, so that the configurations stay.
#[derive(Debug)]
struct Shown(RwLock<Showing>);

/// A certificate, and what binds a log-in to it.
#[derive(Debug)]
struct Showing {
    key: Arc<CertifiedKey>,
    end_point: Option<Box<[u8]>>,
}

impl Showing {
    fn new(key: Arc<CertifiedKey>) -> Self {
        let end_point = key.cert.first().and_then(|cert| end_point::of(cert));
        Self { key, end_point }
    }
}

impl Shown {
    fn read(&self) -> std::sync::RwLockReadGuard<'_, Showing> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.read().key)
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.get())
    }
}

impl Certs {
    /// Reads the named files, or the made ones, which are made now if they are missing.
    pub fn open(data: &Path, domain: &str, tls: &config::Tls) -> Result<Self, CertError> {
        let (cert, key, made) = match (&tls.cert, &tls.key) {
            (Some(cert), Some(key)) => (cert.clone(), key.clone(), false),
            _ => (data.join(CERT_NAME), data.join(KEY_NAME), true),
        };
        if made && !(cert.exists() && key.exists()) {
            make(&cert, &key, domain)?;
        }
        let provider = Arc::new(ring::default_provider());
        let certified = read(&cert, &key, &provider)?;
        Self::show(cert, key, made, certified, provider)
    }

    /// A certificate that lives as long as this value: for an exchange without a folder.
    pub(crate) fn in_memory(domain: &str) -> Result<Self, CertError> {
        let (cert, key) = (PathBuf::from("(in memory)"), PathBuf::from("(in memory)"));
        let unfit = |reason: String| CertError::Unfit { path: cert.clone(), reason };
        let (pair, made) = sign(domain).map_err(|error| unfit(error.to_string()))?;
        let provider = Arc::new(ring::default_provider());
        let private =
            PrivateKeyDer::try_from(pair.serialize_der()).map_err(|error| unfit(error.to_owned()))?;
        let signer =
            provider.key_provider.load_private_key(private).map_err(|error| unfit(error.to_string()))?;
        let certified = Arc::new(CertifiedKey::new(vec![made.der().clone()], signer));
        Self::show(cert, key, true, certified, provider)
    }

    fn show(
        cert: PathBuf,
        key: PathBuf,
        made: bool,
        certified: Arc<CertifiedKey>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, CertError> {
        let shown = Arc::new(Shown(RwLock::new(Showing::new(certified))));
        let unfit =
            |error: &dyn fmt::Display| CertError::Unfit { path: cert.clone(), reason: error.to_string() };
        let xmpp =
            configure(&provider, &shown, ALPN_XMPP, rustls::DEFAULT_VERSIONS).map_err(|e| unfit(&e))?;
        let https =
            configure(&provider, &shown, ALPN_HTTP, rustls::DEFAULT_VERSIONS).map_err(|e| unfit(&e))?;
        // RFC 9001 4.2: QUIC needs TLS 1.3.
        let quic =
            configure(&provider, &shown, ALPN_XMPP, &[&rustls::version::TLS13]).map_err(|e| unfit(&e))?;
        let quic = QuicServerConfig::try_from(quic).map_err(|e| unfit(&e))?;
        Ok(Self {
            made,
            shown,
            provider,
            xmpp: Arc::new(xmpp),
            https: Arc::new(https),
            quic: Arc::new(quic),
            cert,
            key,
        })
    }

    /// Reads the files again. On failure the old certificate stays.
    pub fn reload(&self) -> Result<(), CertError> {
        let fresh = read(&self.cert, &self.key, &self.provider)?;
        *self.shown.0.write().unwrap_or_else(PoisonError::into_inner) = Showing::new(fresh);
        Ok(())
    }

    /// SHA-256 of the certificate shown, in hexadecimal with colons.
    pub fn fingerprint(&self) -> String {
        let shown = self.shown.get();
        let digest = Sha256::digest(shown.cert.first().map_or(&[][..], |cert| cert.as_ref()));
        let mut text = String::with_capacity(3 * digest.len());
        for (at, octet) in digest.iter().enumerate() {
            let separator = if at == 0 { "" } else { ":" };
            write!(text, "{separator}{octet:02X}").expect("a string takes all");
        }
        text
    }

    /// The channel binding `tls-server-end-point` (RFC 5929) of the certificate shown now. A handshake that a reload
    /// overtakes has another; that log-in fails, and the next does not.
    pub(crate) fn end_point(&self) -> Option<Box<[u8]>> {
        self.shown.read().end_point.clone()
    }

    /// Whether the certificate was made here, and so is trusted by nobody yet.
    pub fn is_made(&self) -> bool {
        self.made
    }
}

fn configure(
    provider: &Arc<CryptoProvider>,
    shown: &Arc<Shown>,
    alpn: &[u8],
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(versions)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::clone(shown) as _);
    config.alpn_protocols = vec![alpn.to_vec()];
    // Resumption without a table: the ticket holds the state.
    config.ticketer = ring::Ticketer::new()?;
    config.send_tls13_tickets = TICKETS;
    // A replayed log-in must not be possible: 0-RTT is refused.
    config.max_early_data_size = 0;
    Ok(config)
}

fn read(cert: &Path, key: &Path, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, CertError> {
    let unfit = |path: &Path, reason: String| CertError::Unfit { path: path.to_owned(), reason };
    let pem =
        |path: &Path| std::fs::read(path).map_err(|error| CertError::Io { path: path.to_owned(), error });
    let chain = CertificateDer::pem_slice_iter(&pem(cert)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| unfit(cert, format!("no PEM certificate chain: {e}")))?;
    if chain.is_empty() {
        return Err(unfit(cert, "holds no certificate".to_owned()));
    }
    let private = PrivateKeyDer::from_pem_slice(&pem(key)?)
        .map_err(|e| unfit(key, format!("no PEM private key: {e}")))?;
    let signer = provider
        .key_provider
        .load_private_key(private)
        .map_err(|e| unfit(key, format!("a key that cannot be used: {e}")))?;
    let certified = CertifiedKey::new(chain, signer);
    certified.keys_match().map_err(|e| unfit(key, format!("does not fit {}: {e}", cert.display())))?;
    Ok(Arc::new(certified))
}

/// A self-signed certificate for the domain, and for this machine's own addresses where the domain is `localhost`.
fn make(cert: &Path, key: &Path, domain: &str) -> Result<(), CertError> {
    let unfit = |error: rcgen::Error| CertError::Unfit { path: cert.to_owned(), reason: error.to_string() };
    let (pair, made) = sign(domain).map_err(unfit)?;
    // The key first: a certificate without its key would be found and believed.
    write(key, pair.serialize_pem().as_bytes(), 0o600)?;
    write(cert, made.pem().as_bytes(), 0o644)
}

fn sign(domain: &str) -> Result<(rcgen::KeyPair, rcgen::Certificate), rcgen::Error> {
    let mut params = rcgen::CertificateParams::new(vec![domain.to_owned()])?;
    if domain == "localhost" {
        for address in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
            params.subject_alt_names.push(rcgen::SanType::IpAddress(address));
        }
    }
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, domain);
    let pair = rcgen::KeyPair::generate()?;
    let made = params.self_signed(&pair)?;
    Ok((pair, made))
}

/// Writes beside and renames, so that no half file is ever found.
fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), CertError> {
    let fail = |error| CertError::Io { path: path.to_owned(), error };
    let beside = path.with_extension("pem.new");
    let _ = std::fs::remove_file(&beside);
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside).map_err(fail)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(fail)?;
    std::fs::rename(&beside, path).map_err(fail)
}
