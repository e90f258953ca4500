//! TLS over a TCP connection, from the first byte or after STARTTLS.
//!
//! Spec: RFC 8446 through `rustls`; RFC 9266 (`tls-exporter`); XEP-0368 (ALPN).
//! Not here: whom to trust (`trust`).

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::{ClientConfig, ProtocolVersion};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::error::Error;
use crate::trust;

/// RFC 9266 2: the label, with an empty context.
const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";

/// Does the handshake. The exporter is there with TLS 1.3 only (RFC 9266 3 asks more of older ones than we can see).
pub(crate) async fn secure(
    stream: TcpStream,
    to: SocketAddr,
    domain: &str,
    config: Arc<ClientConfig>,
) -> Result<(TlsStream<TcpStream>, Option<[u8; 32]>), Error> {
    let name = server_name(domain, to)?;
    let stream = TlsConnector::from(config)
        .connect(name, stream)
        .await
        .map_err(|error| refusal(&error.to_string(), to))?;
    let (_, tls) = stream.get_ref();
    let exporter = (tls.protocol_version() == Some(ProtocolVersion::TLSv1_3))
        .then(|| tls.export_keying_material([0; 32], EXPORTER_LABEL, Some(&[])).ok())
        .flatten();
    Ok((stream, exporter))
}

/// The error that a failed handshake is.
pub(crate) fn refusal(words: &str, to: SocketAddr) -> Error {
    let wrong = trust::what_is_wrong(words);
    Error::Tls { to, untrusted: wrong.is_some(), reason: wrong.unwrap_or(words).to_owned() }
}

pub(crate) fn server_name(domain: &str, to: SocketAddr) -> Result<ServerName<'static>, Error> {
    ServerName::try_from(domain.to_owned()).map_err(|_| Error::Tls {
        to,
        reason: format!("no certificate can be for `{domain}`"),
        untrusted: false,
    })
}
