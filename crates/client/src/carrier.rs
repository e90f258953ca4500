//! The ways to an exchange: names, ports, and how each becomes a stream of bytes or of messages.
//!
//! Spec: XEP-0368 (direct TLS), RFC 7395 (WebSocket), XEP-0467 (QUIC).
//! Owns: sockets from their making to the end of their handshakes. Invariants: the client binds no port unless it is
//! told to; every handshake checks the certificate unless it is told not to.
//! Not here: what is said then (`connection`, `session`).

mod quic;
mod tls;
mod websocket;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::str::FromStr;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};

use crate::error::Error;

pub(crate) use quic::{Quic, connect as connect_quic};
pub(crate) use tls::secure;
pub(crate) use websocket::{Messages, upgrade};

/// What brings the client to the exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Over {
    /// TCP with STARTTLS.
    Tcp,
    /// Direct TLS.
    Tls,
    /// WebSocket.
    Ws,
    /// WebSocket over TLS.
    Wss,
    /// QUIC.
    Quic,
}

impl Over {
    /// All of them, by their names.
    pub const ALL: [(&str, Self); 5] =
        [("tcp", Self::Tcp), ("tls", Self::Tls), ("ws", Self::Ws), ("wss", Self::Wss), ("quic", Self::Quic)];

    /// Where an exchange listens if it is not told otherwise; 5281 is where HTTPS usually goes beside 5280.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Tcp | Self::Quic => 5222,
            Self::Tls => 5223,
            Self::Ws => 5280,
            Self::Wss => 5281,
        }
    }

    /// What lies below.
    pub fn protocol(self) -> &'static str {
        if self == Self::Quic { "udp" } else { "tcp" }
    }
}

impl fmt::Display for Over {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, _) = Self::ALL.iter().find(|(_, over)| over == self).expect("all have names");
        f.write_str(name)
    }
}

/// Where an exchange is: a name or an address, perhaps a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Name or address, without brackets.
    pub host: String,
    /// The carrier's own if there is none.
    pub port: Option<u16>,
}

impl FromStr for Server {
    type Err = String;

    /// `HOST`, `HOST:PORT`, `[ADDR]:PORT`, or an IPv6 address alone.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no server: write HOST:PORT, [ADDR]:PORT or HOST");
        if let Ok(ip) = text.parse::<std::net::Ipv6Addr>() {
            return Ok(Self { host: ip.to_string(), port: None });
        }
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (ip, rest) = rest.split_once(']').ok_or_else(wrong)?;
                ip.parse::<std::net::Ipv6Addr>().map_err(|_| wrong())?;
                match rest {
                    "" => (ip, None),
                    rest => (ip, Some(rest.strip_prefix(':').ok_or_else(wrong)?)),
                }
            }
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let port = port.map(str::parse::<u16>).transpose().map_err(|_| wrong())?;
        if host.is_empty() || host.contains([' ', '/']) || port == Some(0) {
            return Err(wrong());
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

/// Bytes both ways, whatever carries them.
pub(crate) trait Bytes: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Bytes for T {}

/// The server's addresses, in the order in which they are tried.
pub(crate) async fn resolve(server: &Server, over: Over) -> Result<Vec<SocketAddr>, Error> {
    let port = server.port.unwrap_or(over.default_port());
    let unknown = |error| Error::Resolve { host: server.host.clone(), error };
    let mut found: Vec<_> =
        tokio::net::lookup_host((server.host.as_str(), port)).await.map_err(unknown)?.collect();
    // An exchange listens on 127.0.0.1 unless it is told otherwise, so that comes before ::1.
    found.sort_by_key(|address| address.ip().is_loopback() && address.is_ipv6());
    if found.is_empty() {
        return Err(unknown(io::Error::new(io::ErrorKind::NotFound, "the name is known, but leads nowhere")));
    }
    Ok(found)
}

/// A TCP connection to the first address that takes it.
pub(crate) async fn connect_tcp(
    addresses: &[SocketAddr],
    bind: Option<SocketAddr>,
    over: Over,
) -> Result<(TcpStream, SocketAddr), Error> {
    let mut last = None;
    for &to in addresses {
        // An own address of the other family cannot reach this one.
        if bind.is_some_and(|own| own.is_ipv4() != to.is_ipv4()) && addresses.len() > 1 {
            continue;
        }
        match connect_one(to, bind).await {
            Ok(stream) => {
                // Stanzas are written whole; waiting for more to fill a segment only delays them.
                let _ = stream.set_nodelay(true);
                return Ok((stream, to));
            }
            Err(Failure::Bind(error)) => {
                return Err(bind_error(bind.expect("it was bound"), "tcp", error));
            }
            Err(Failure::Connect(error)) => last = Some(Error::Connect { over, to, error }),
        }
    }
    Err(last.unwrap_or_else(|| Error::Connect {
        over,
        to: addresses[0],
        error: io::Error::new(io::ErrorKind::AddrNotAvailable, "the own address is of the other family"),
    }))
}

enum Failure {
    Bind(io::Error),
    Connect(io::Error),
}

async fn connect_one(to: SocketAddr, bind: Option<SocketAddr>) -> Result<TcpStream, Failure> {
    let socket = if to.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let socket = socket.map_err(Failure::Connect)?;
    if let Some(own) = bind {
        socket.bind(own).map_err(Failure::Bind)?;
    }
    socket.connect(to).await.map_err(|error| match (bind, error.kind()) {
        // A connection of the same four-tuple is still there, perhaps in TIME_WAIT.
        (Some(_), io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable) => Failure::Bind(error),
        _ => Failure::Connect(error),
    })
}

pub(crate) fn bind_error(address: SocketAddr, protocol: &'static str, error: io::Error) -> Error {
    if error.kind() != io::ErrorKind::AddrInUse {
        return Error::Bind { address, error };
    }
    let holder = match protocol {
        "udp" => holder::udp(address),
        _ => holder::tcp(address),
    };
    Error::BindInUse { address, protocol, holder }
}

#[cfg(test)]
mod tests;
