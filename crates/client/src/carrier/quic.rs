//! XMPP over QUIC: one connection, one bidirectional stream.
//!
//! Spec: RFC 9000 through `quinn`; XEP-0467 (ALPN `xmpp-client`, the first stream is the client's).
//! Invariants: no early data. Not here: whom to trust (`trust`).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{
    ClientConfig, ConnectionError, Endpoint, EndpointConfig, RecvStream, SendStream, TransportConfig,
};

use super::{bind_error, tls};
use crate::carrier::Over;
use crate::error::Error;

/// A connection that says nothing is given up by the exchange; this often it hears from us, so that addresses that
/// change on the way (NAT, a phone that moves) are noticed too.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// RFC 9266 for QUIC's TLS.
const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";

/// A connection and what keeps it alive.
pub(crate) struct Quic {
    pub(crate) send: SendStream,
    pub(crate) receive: RecvStream,
    pub(crate) exporter: Option<[u8; 32]>,
    connection: quinn::Connection,
    endpoint: Endpoint,
}

/// Connects to the first address that answers.
pub(crate) async fn connect(
    addresses: &[SocketAddr],
    bind: Option<SocketAddr>,
    domain: &str,
    tls: rustls::ClientConfig,
) -> Result<(Quic, SocketAddr), Error> {
    let to = addresses[0];
    let config = QuicClientConfig::try_from(tls).map_err(|error| Error::Tls {
        to,
        reason: error.to_string(),
        untrusted: false,
    })?;
    let mut config = ClientConfig::new(Arc::new(config));
    let mut transport = TransportConfig::default();
    transport.keep_alive_interval(Some(KEEP_ALIVE));
    config.transport_config(Arc::new(transport));

    let mut last = None;
    for &to in addresses {
        // The name is checked before anything is sent, so that the error is as for TLS.
        tls::server_name(domain, to)?;
        let endpoint = endpoint(to, bind)?;
        let connecting = endpoint.connect_with(config.clone(), to, domain);
        let connecting = match connecting {
            Ok(connecting) => connecting,
            Err(error) => {
                last = Some(Error::Connect { over: Over::Quic, to, error: io::Error::other(error) });
                continue;
            }
        };
        match connecting.await {
            Ok(connection) => {
                let (send, receive) = connection.open_bi().await.map_err(|error| Error::Connect {
                    over: Over::Quic,
                    to,
                    error: error.into(),
                })?;
                let mut exporter = [0; 32];
                let exported = connection.export_keying_material(&mut exporter, EXPORTER_LABEL, b"").is_ok();
                let exporter = exported.then_some(exporter);
                return Ok((Quic { send, receive, exporter, connection, endpoint }, to));
            }
            Err(error) => last = Some(refusal(error, to)),
        }
    }
    Err(last.expect("there is at least one address"))
}

fn endpoint(to: SocketAddr, bind: Option<SocketAddr>) -> Result<Endpoint, Error> {
    let any: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let own = bind.unwrap_or_else(|| SocketAddr::new(any, 0));
    // Bound by hand: nothing sets SO_REUSEADDR on it, so a taken port is an error and never shared.
    let socket = UdpSocket::bind(own).map_err(|error| bind_error(own, "udp", error))?;
    let runtime = Arc::new(quinn::TokioRuntime);
    Endpoint::new(EndpointConfig::default(), None, socket, runtime)
        .map_err(|error| Error::Bind { address: own, error })
}

fn refusal(error: ConnectionError, to: SocketAddr) -> Error {
    match &error {
        // RFC 9001 4.8: a TLS alert is a transport error of its own kind.
        ConnectionError::TransportError(why) => tls::refusal(&why.reason, to),
        ConnectionError::TimedOut => {
            Error::TimedOut { what: "answer", to: format!("{to}/udp"), after: Duration::from_secs(30) }
        }
        _ => Error::Connect { over: Over::Quic, to, error: error.into() },
    }
}

impl Quic {
    /// Says that nothing more comes, and waits until the exchange has heard it or is gone.
    pub(crate) async fn close(&mut self) {
        let _ = self.send.finish();
        let _ = self.send.stopped().await;
        self.connection.close(0_u32.into(), b"");
        self.endpoint.wait_idle().await;
    }
}
