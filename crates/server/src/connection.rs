//! One client's connection: what carries its bytes (socket or QUIC stream, TLS, WebSocket) and the session they belong
//! to. It owns buffers only while there are bytes that cannot go on.
//! Invariants: a connection is reached through its loop only; it is boxed, so moving it to another loop moves a pointer;
//! what an idle one over plain TCP costs is measured by a test.
//! Not here: what its events cause (`event_loop`).

use std::net::SocketAddr;

use session::{Carrier, Outbox, Session};
use xmpp::address::AccountNumber;
use xmpp::time::Instant;

use crate::carrier::quic::StreamName;
use crate::carrier::tls::Tls;
use crate::letter::Door;
use crate::network::SocketId;
use framing::websocket::Decoder;

/// A client that lets this much of its own output wait is not read until it has read some.
const OUTPUT_BEFORE_PAUSE: usize = 256 * 1024;

/// What carries the bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Line {
    /// A stream of one of the loop's networks.
    Stream { network: u8, socket: SocketId },
    /// A stream of one of the loop's QUIC endpoints.
    Quic { endpoint: u8, name: StreamName },
    /// None: it is on its way to another loop.
    Moving,
}

/// How far the connection is.
#[derive(Debug)]
pub(crate) enum Stage {
    /// The PROXY header of a trusted proxy is due.
    Proxy(Door),
    /// Direct TLS: the handshake is under way.
    Handshake,
    /// The conversation.
    Session(Session),
    /// The conversation is over; the rest of the output goes out, and the client is given time to close first.
    Closing,
}

/// WebSocket's part of a connection.
#[derive(Debug)]
pub(crate) struct WebSocket {
    pub(crate) decoder: Decoder,
    /// Frames that wait for the socket, or for TLS.
    pub(crate) frames: Vec<u8>,
    /// Our Close is among what was written: nothing may follow it.
    pub(crate) close_sent: bool,
    /// The client's Close has come.
    pub(crate) close_received: bool,
}

impl WebSocket {
    pub(crate) fn new(message_max: usize) -> Self {
        let decoder = Decoder::new(message_max);
        Self { decoder, frames: Vec::new(), close_sent: false, close_received: false }
    }
}

/// Yes or no, in one octet each, for what there is one of a connection.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Flags {
    /// A queue between threads is full: input waits for room.
    pub(crate) awaits_room: bool,
    /// The socket may have more: a readiness came, or a read was cut short.
    pub(crate) readable: bool,
    /// The socket was full when last written to.
    pub(crate) write_blocked: bool,
    /// Among those to be read again this turn.
    pub(crate) in_again: bool,
    /// Among those to be flushed this turn.
    pub(crate) in_dirty: bool,
    /// The client's end has been read.
    pub(crate) ended: bool,
    /// The router knows this session, or has been asked to.
    pub(crate) bound: bool,
    /// We ended our stream before the client ended its own.
    pub(crate) ended_first: bool,
    /// And it has answered, so closing the connection is ours to do (RFC 6120 4.4).
    pub(crate) close_is_ours: bool,
    /// close_notify, or QUIC's end of the stream, has been sent.
    pub(crate) finished: bool,
    /// It goes to another loop at the end of this turn.
    pub(crate) moving: bool,
    /// TLS's own goodbye is to follow what waits.
    pub(crate) close_notify_due: bool,
    /// Someone stands between, whom we may or may not trust.
    pub(crate) forwarded: bool,
    /// A trusted proxy says that the client's way to it is encrypted.
    pub(crate) encrypted_by_proxy: bool,
}

/// One client's connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) line: Line,
    pub(crate) generation: u32,
    pub(crate) carrier: Carrier,
    pub(crate) flags: Flags,
    pub(crate) stage: Stage,
    pub(crate) tls: Option<Tls>,
    pub(crate) websocket: Option<Box<WebSocket>>,
    /// What the session wrote and the socket has not taken.
    pub(crate) outbox: Option<Box<Outbox>>,
    // Boxed, since hardly any connection has either, and each has room for both.
    /// Octets that go out before TLS begins: what was left of the outbox at STARTTLS.
    #[allow(clippy::box_collection, reason = "one word instead of three")]
    pub(crate) before_tls: Option<Box<Vec<u8>>>,
    /// Octets from the socket that have to wait.
    #[allow(clippy::box_collection, reason = "one word instead of three")]
    pub(crate) backlog: Option<Box<Vec<u8>>>,
    pub(crate) remote: SocketAddr,
    /// Seconds since 1970, until 2106.
    pub(crate) since: u32,
    pub(crate) number: Option<AccountNumber>,
    pub(crate) resource: Option<Box<str>>,
    /// The loop's own deadline: for a header, a handshake, or the client's end.
    pub(crate) deadline: Option<Instant>,
    /// What the loop's timer is set to.
    pub(crate) armed: Option<Instant>,
    /// Octets read and thrown away since the conversation ended.
    pub(crate) discarded: u32,
}

impl Connection {
    pub(crate) fn new(line: Line, carrier: Carrier, remote: SocketAddr, since: u64, stage: Stage) -> Self {
        Self {
            line,
            generation: 0,
            carrier,
            flags: Flags::default(),
            stage,
            tls: None,
            websocket: None,
            outbox: None,
            before_tls: None,
            backlog: None,
            remote,
            since: u32::try_from(since).unwrap_or(u32::MAX),
            number: None,
            resource: None,
            deadline: None,
            armed: None,
            discarded: 0,
        }
    }

    /// Whether input has to wait: for room in a queue between threads, for an answer that the session needs first, for
    /// its new loop, or for the client to read what waits for it.
    pub(crate) fn paused(&self) -> bool {
        self.flags.awaits_room
            || self.flags.moving
            || self.flags.write_blocked && self.outbox.as_ref().is_some_and(|o| o.len() > OUTPUT_BEFORE_PAUSE)
            || match &self.stage {
                // A session that waits for TLS waits for what TLS has to read first.
                Stage::Session(session) => {
                    !session.wants_input() && !self.tls.as_ref().is_some_and(Tls::is_handshaking)
                }
                _ => false,
            }
    }

    /// Keeps octets that have to wait, behind those that wait already.
    pub(crate) fn stash(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.backlog.get_or_insert_default().extend_from_slice(bytes);
        }
    }

    /// When this connection next wants attention.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let session = match &self.stage {
            Stage::Session(session) => session.next_deadline(),
            _ => None,
        };
        [session, self.deadline].into_iter().flatten().min()
    }

    /// What `switchboard who` calls its state.
    pub(crate) fn state(&self) -> &'static str {
        match self.stage {
            Stage::Proxy(_) | Stage::Handshake => "connecting",
            Stage::Session(_) if self.resource.is_some() => "bound",
            Stage::Session(_) => "logging-in",
            Stage::Closing => "closing",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An idle plain session costs its connection, 8 octets of slab and 24 of its network's, and what the router keeps.
    #[test]
    fn a_connection_is_small() {
        assert!(size_of::<Connection>() <= 384, "{} octets", size_of::<Connection>());
    }
}
