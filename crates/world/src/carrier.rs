//! What carries a client's conversation: TCP in the clear, TLS over it, QUIC; over sockets of its host's stack.
//! Owns: the socket, and what TLS made that the socket has not taken. Invariants: a carrier says once that it is secured; what it
//! did not take of the conversation stays with whoever offered it.
//! Not here: the conversation (`client`), the protocols themselves (`tls`, `quic`).

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};

use stack::{Stack, TcpHandle};
use tcp::{Instant, SendFlags};

use crate::quic::Quic;
use crate::tls::Tls;
use crate::world::{PORT, TLS_PORT};

/// By which carrier a client comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// TCP in the clear.
    Tcp,
    /// TLS from the first byte (XEP-0368).
    Tls,
    /// TCP that becomes TLS (RFC 6120 5).
    StartTls,
    /// QUIC.
    Quic,
}

impl Over {
    /// The exchange's port for it.
    pub(crate) fn port(self) -> u16 {
        if self == Over::Tls { TLS_PORT } else { PORT }
    }

    /// Whether the handshake of TLS comes before the conversation.
    pub(crate) fn is_secure_from_the_start(self) -> bool {
        matches!(self, Over::Tls | Over::Quic)
    }
}

/// What was heard.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// The handshake of TLS is done: RFC 9266's binding.
    pub(crate) secured: Option<[u8; 32]>,
    /// Octets of the conversation.
    pub(crate) bytes: Vec<u8>,
    /// It is over, and why.
    pub(crate) ended: Option<String>,
}

const END_OF_STREAM: &str = "the end of the stream";

/// A TCP connection, and TLS over it if there is any.
pub(crate) struct Line {
    socket: TcpHandle,
    tls: Option<Box<Tls>>,
    /// What TLS made and the socket has not taken.
    wire: Vec<u8>,
}

/// A carrier.
pub(crate) enum Carrier {
    Tcp(Line),
    Quic(Box<Quic>),
}

impl Carrier {
    /// Begins to connect.
    pub(crate) fn open(
        over: Over,
        (now, stack): (Instant, &mut Stack),
        (to, domain): (SocketAddr, &str),
        bind: Option<SocketAddr>,
    ) -> io::Result<Self> {
        if over == Over::Quic {
            let any = SocketAddr::new(IpAddr::from([0, 0, 0, 0]), 0);
            let socket = stack.udp_bind(bind.unwrap_or(any))?;
            return Ok(Carrier::Quic(Box::new(Quic::connect(now, socket, to, domain))));
        }
        let socket = open_tcp(now, stack, to, bind)?;
        let tls = (over == Over::Tls).then(|| Box::new(Tls::connect(domain)));
        Ok(Carrier::Tcp(Line { socket, tls, wire: Vec::new() }))
    }

    /// The client's address and port, as its host knows them.
    pub(crate) fn local(&self, stack: &Stack) -> Option<SocketAddr> {
        match self {
            Carrier::Tcp(line) => stack.tcp_local_addr(line.socket),
            Carrier::Quic(quic) => stack.udp_local_addr(quic.socket()),
        }
    }

    /// Takes what came.
    pub(crate) fn hear(&mut self, now: Instant, stack: &mut Stack) -> Heard {
        match self {
            Carrier::Tcp(line) => line.hear(now, stack),
            Carrier::Quic(quic) => {
                let heard = quic.hear(now, stack);
                let ended = heard.ended.then(|| END_OF_STREAM.to_owned());
                Heard { secured: heard.connected, bytes: heard.bytes, ended }
            }
        }
    }

    /// From here on it is TLS.
    pub(crate) fn start_tls(&mut self, domain: &str) {
        if let Carrier::Tcp(line) = self {
            line.tls = Some(Box::new(Tls::connect(domain)));
        }
    }

    /// Takes of `out` what it can, and lets it go out.
    pub(crate) fn say(&mut self, now: Instant, stack: &mut Stack, out: &mut Vec<u8>) {
        match self {
            Carrier::Tcp(line) => line.say(now, stack, out),
            Carrier::Quic(quic) => {
                let len = quic.write(out);
                out.drain(..len);
                quic.act(now, stack);
            }
        }
    }

    /// Says good-bye. QUIC still has to be heard for a while after.
    pub(crate) fn close(self, now: Instant, stack: &mut Stack) -> Option<Box<Quic>> {
        match self {
            Carrier::Tcp(mut line) => {
                if let Some(tls) = &mut line.tls {
                    tls.finish();
                    line.say(now, stack, &mut Vec::new());
                }
                let _ = stack.tcp_close(now, line.socket); // it is ours, so it is there
                None
            }
            Carrier::Quic(mut quic) => {
                quic.finish();
                quic.act(now, stack);
                quic.close(now);
                quic.act(now, stack);
                Some(quic)
            }
        }
    }

    /// When it wants to act though nothing came.
    pub(crate) fn next_deadline(&mut self) -> Option<Instant> {
        match self {
            Carrier::Tcp(_) => None,
            Carrier::Quic(quic) => quic.next_deadline(),
        }
    }
}

impl Line {
    fn hear(&mut self, now: Instant, stack: &mut Stack) -> Heard {
        let mut heard = Heard::default();
        let mut buffer = [0; 16 * 1024];
        loop {
            match stack.tcp_recv(now, self.socket, &mut buffer) {
                Ok(0) => {
                    heard.ended = Some(END_OF_STREAM.to_owned());
                    break;
                }
                Ok(len) => heard.bytes.extend_from_slice(&buffer[..len]),
                // Nothing for now, or not open yet.
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => {
                    break;
                }
                Err(error) => {
                    heard.ended = Some(error.kind().to_string());
                    break;
                }
            }
        }
        let Some(tls) = &mut self.tls else { return heard };
        match tls.hear(&heard.bytes) {
            Ok(opened) => {
                let ended = opened.ended.then(|| END_OF_STREAM.to_owned());
                Heard { secured: opened.connected, bytes: opened.bytes, ended: heard.ended.or(ended) }
            }
            Err(error) => Heard { ended: Some(format!("TLS: {error}")), ..Heard::default() },
        }
    }

    fn say(&mut self, now: Instant, stack: &mut Stack, out: &mut Vec<u8>) {
        let wire = match &mut self.tls {
            Some(tls) => {
                tls.say(out);
                out.clear();
                tls.poll_wire(&mut self.wire);
                &mut self.wire
            }
            None => out,
        };
        while !wire.is_empty() {
            match stack.tcp_send(now, self.socket, wire, SendFlags::default()) {
                Ok(len) => drop(wire.drain(..len)),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => {
                    break;
                }
                Err(_) => wire.clear(),
            }
        }
    }
}

fn open_tcp(
    now: Instant,
    stack: &mut Stack,
    to: SocketAddr,
    bind: Option<SocketAddr>,
) -> io::Result<TcpHandle> {
    let Some(bind) = bind else { return stack.tcp_connect_to(now, to) };
    let socket = stack.tcp_socket()?;
    let made = stack.tcp_bind(socket, bind).map_err(io::Error::from);
    let made = made.and_then(|_| Ok(stack.tcp_connect(now, socket, to)?));
    if made.is_err() {
        let _ = stack.tcp_close(now, socket); // it was made a moment ago
    }
    made.map(|()| socket)
}
