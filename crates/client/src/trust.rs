//! Whom to believe: which certificates an exchange may show.
//!
//! Spec: RFC 5280 and RFC 6125 through `rustls`.
//! Owns: the choice. Invariants: only [`Trust::insecure`] accepts any; a certificate that is named itself is believed
//! whatever name it holds, since whoever named it meant this one.
//! Not here: handshakes (`carrier`).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::error::Error;

/// XEP-0368 and XEP-0467.
const ALPN: &[u8] = b"xmpp-client";

/// Whom to believe.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// Certificates, or authorities, in PEM files that must be there.
    pub files: Vec<PathBuf>,
    /// One more file, if it is there: the certificate that an exchange on this machine has made for itself.
    pub made: Option<PathBuf>,
    /// Everybody. For trying things out.
    pub insecure: bool,
}

impl Trust {
    /// TLS as this trusts; `alpn` for connections that are XMPP from their first byte.
    ///
    /// # Errors
    /// A file of certificates that is not there, or holds none.
    ///
    /// # Panics
    /// Never: the provider has the suites.
    pub fn config(&self, alpn: bool) -> Result<ClientConfig, Error> {
        let provider = Arc::new(ring::default_provider());
        let verifier = self.verifier(&provider)?;
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has the suites of TLS 1.2 and 1.3")
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        if alpn {
            config.alpn_protocols = vec![ALPN.to_vec()];
        }
        Ok(config)
    }

    fn verifier(&self, provider: &Arc<CryptoProvider>) -> Result<Arc<Verifier>, Error> {
        let mut named = Vec::new();
        for path in &self.files {
            named.extend(read(path)?);
        }
        if let Some(path) = self.made.as_deref().filter(|path| path.exists()) {
            named.extend(read(path)?);
        }
        let mut roots = RootCertStore::empty();
        if !self.insecure {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            roots.add_parsable_certificates(named.iter().cloned());
        }
        // Without any authority there is nothing to build on; named certificates are compared all the same.
        let by_authority =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().ok();
        Ok(Arc::new(Verifier { named, by_authority, insecure: self.insecure, provider: provider.clone() }))
    }
}

fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let wrong = |reason: String| Error::Certificates { path: path.to_owned(), reason };
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| wrong(error.to_string()))?;
    if certificates.is_empty() {
        return Err(wrong("no certificate in it (PEM is expected)".to_owned()));
    }
    Ok(certificates)
}

/// What is wrong with the certificate, if that is what is wrong: the user can mend it. From `rustls`'s words, since QUIC
/// hands on no more than those.
pub(crate) fn what_is_wrong(words: &str) -> Option<&'static str> {
    // "invalid peer certificate: NotValidForName", or with "certificate not valid for name ..." behind the colon.
    let (_, why) = words.split_once("invalid peer certificate:")?;
    Some(if why.contains("NotValidForName") || why.contains("not valid for name") {
        "it is for another name"
    } else if why.contains("Expired") || why.contains("expired") {
        "it has expired"
    } else {
        // An authority that is known here by the same name, but with another key, brings various other words.
        "it is signed by itself or by an unknown authority"
    })
}

#[derive(Debug)]
struct Verifier {
    named: Vec<CertificateDer<'static>>,
    by_authority: Option<Arc<WebPkiServerVerifier>>,
    insecure: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        if self.insecure || self.named.iter().any(|named| named == end_entity) {
            return Ok(ServerCertVerified::assertion());
        }
        match &self.by_authority {
            Some(webpki) => {
                webpki.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            }
            None => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said_in_words() {
        for (error, expected) in [
            (CertificateError::UnknownIssuer, "itself"),
            (CertificateError::BadSignature, "itself"),
            (CertificateError::NotValidForName, "another name"),
            (CertificateError::Expired, "expired"),
        ] {
            let words = TlsError::InvalidCertificate(error).to_string();
            assert!(what_is_wrong(&words).is_some_and(|said| said.contains(expected)), "{words}");
        }
        assert_eq!(what_is_wrong(&TlsError::HandshakeNotComplete.to_string()), None);
    }
}
