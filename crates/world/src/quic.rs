//! A client's end of QUIC: one connection, one stream, over a socket of its host's stack.
//! Spec: RFC 9000 and RFC 9001 through `quinn-proto`; XEP-0467 (ALPN `xmpp-client`, the stream is the client's).
//! Owns: the endpoint and its connection. Invariants: sans-IO like everything in the box.
//! Not here: what the stream says (`client`), whom to believe (`tls`).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant as StdInstant};

use bytes::BytesMut;
use quinn_proto::crypto::rustls::QuicClientConfig;
use quinn_proto::{
    ClientConfig, Connection, ConnectionHandle, DatagramEvent, Dir, EcnCodepoint, Endpoint, EndpointConfig,
    Event, StreamEvent, StreamId, TransportConfig, VarInt,
};
use stack::socket::udp::UdpSend;
use stack::{Stack, UdpHandle};
use tcp::Instant;
use wire::ip::Ecn;

use crate::tls::EXPORTER_LABEL;

/// How often a client lets itself be heard (the exchange gives up after five minutes, a NAT box sooner).
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// Silence after which the client gives up.
const IDLE: Duration = Duration::from_secs(60);
/// Datagrams sent by one call of [`Quic::act`].
const TRANSMITS_MAX: usize = 256;

/// One connection and its one stream.
pub struct Quic {
    endpoint: Endpoint,
    handle: ConnectionHandle,
    connection: Connection,
    socket: UdpHandle,
    stream: Option<StreamId>,
    /// The moment that the world's clock counts from, as `quinn-proto` wants it. It is only ever added to.
    origin: StdInstant,
    lost: bool,
    finished: bool,
}

/// What a client hears.
#[derive(Debug, Default)]
pub struct Heard {
    /// The handshake is done: RFC 9266's binding.
    pub connected: Option<[u8; 32]>,
    /// Octets of the stream.
    pub bytes: Vec<u8>,
    /// The stream, or the connection, is over.
    pub ended: bool,
}

fn config() -> ClientConfig {
    let crypto =
        QuicClientConfig::try_from(crate::tls::config()).expect("TLS 1.3 with the initial cipher suite");
    let mut config = ClientConfig::new(Arc::new(crypto));
    let mut transport = TransportConfig::default();
    transport.keep_alive_interval(Some(KEEP_ALIVE));
    transport.max_idle_timeout(Some(IDLE.try_into().expect("a minute is a varint")));
    config.transport_config(Arc::new(transport));
    config
}

impl Quic {
    /// Begins to connect from `socket`.
    pub fn connect(now: Instant, socket: UdpHandle, to: SocketAddr, domain: &str) -> Self {
        let origin = StdInstant::now();
        let mut endpoint = Endpoint::new(Arc::new(EndpointConfig::default()), None, true, None);
        let begun = origin + Duration::from_nanos(now.as_nanos());
        let (handle, connection) =
            endpoint.connect(begun, config(), to, domain).expect("a domain's name and a free handle");
        Self { endpoint, handle, connection, socket, stream: None, origin, lost: false, finished: false }
    }

    fn std(&self, now: Instant) -> StdInstant {
        self.origin + Duration::from_nanos(now.as_nanos())
    }

    /// Its socket.
    pub fn socket(&self) -> UdpHandle {
        self.socket
    }

    /// Reads what has arrived at the socket, does what is due, and tells what is new.
    pub fn hear(&mut self, now: Instant, stack: &mut Stack) -> Heard {
        let now = self.std(now);
        let mut buffer = [0; 65_536];
        while let Ok(got) = stack.udp_recv(self.socket, &mut buffer) {
            let data = BytesMut::from(&buffer[..got.len]);
            let ecn = EcnCodepoint::from_bits(got.ecn.bits());
            let mut answer = Vec::new();
            let event = self.endpoint.handle(now, got.remote, Some(got.local), ecn, data, &mut answer);
            if let Some(DatagramEvent::ConnectionEvent(handle, event)) = event
                && handle == self.handle
            {
                self.connection.handle_event(event);
            }
        }
        if self.connection.poll_timeout().is_some_and(|at| at <= now) {
            self.connection.handle_timeout(now);
        }
        let mut heard = Heard::default();
        while let Some(event) = self.connection.poll() {
            match event {
                Event::Connected => {
                    self.stream = self.connection.streams().open(Dir::Bi);
                    let mut binding = [0; 32];
                    let session = self.connection.crypto_session();
                    if session.export_keying_material(&mut binding, EXPORTER_LABEL, &[]).is_ok() {
                        heard.connected = Some(binding);
                    }
                }
                Event::ConnectionLost { .. } => self.lost = true,
                Event::Stream(StreamEvent::Stopped { .. }) => heard.ended = true,
                _ => {}
            }
        }
        if let Some(stream) = self.stream {
            let mut receive = self.connection.recv_stream(stream);
            if let Ok(mut chunks) = receive.read(true) {
                loop {
                    match chunks.next(usize::MAX) {
                        Ok(Some(chunk)) => heard.bytes.extend_from_slice(&chunk.bytes),
                        Ok(None) => {
                            heard.ended = true;
                            break;
                        }
                        Err(quinn_proto::ReadError::Blocked) => break,
                        Err(quinn_proto::ReadError::Reset(_)) => {
                            heard.ended = true;
                            break;
                        }
                    }
                }
                let _ = chunks.finalize(); // credit leaves with the next act
            }
        }
        heard.ended |= self.lost;
        heard
    }

    /// Writes to the stream what fits.
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        // Even an empty write would send a frame, whose acknowledgement would bring us back here.
        let Some(stream) = self.stream.filter(|_| !bytes.is_empty()) else { return 0 };
        self.connection.send_stream(stream).write(bytes).unwrap_or(0)
    }

    /// Ends our direction of the stream.
    pub fn finish(&mut self) {
        if let Some(stream) = self.stream
            && !std::mem::replace(&mut self.finished, true)
        {
            let _ = self.connection.send_stream(stream).finish(); // a stream that was stopped needs no end
        }
    }

    /// Says good-bye to the exchange, whatever it still has to say.
    pub fn close(&mut self, now: Instant) {
        let now = self.std(now);
        self.connection.close(now, VarInt::from_u32(0), bytes::Bytes::new());
    }

    /// Hands its datagrams to the socket.
    pub fn act(&mut self, now: Instant, stack: &mut Stack) {
        let at = self.std(now);
        let mut datagram = Vec::new();
        for _ in 0..TRANSMITS_MAX {
            datagram.clear();
            let Some(transmit) = self.connection.poll_transmit(at, 1, &mut datagram) else { break };
            let send = UdpSend {
                remote: Some(transmit.destination),
                ecn: Ecn::from_bits(transmit.ecn.map_or(0, |ecn| ecn as u8)),
                ..UdpSend::default()
            };
            // A socket that is full loses it, as networks do.
            let _ = stack.udp_send(now, self.socket, &datagram[..transmit.size], &send);
        }
        while let Some(event) = self.connection.poll_endpoint_events() {
            if let Some(event) = self.endpoint.handle_event(self.handle, event) {
                self.connection.handle_event(event);
            }
        }
    }

    /// Whether nothing is left to be said or heard.
    pub fn is_drained(&self) -> bool {
        self.connection.is_drained()
    }

    /// When it wants to act.
    pub fn next_deadline(&mut self) -> Option<Instant> {
        let at = self.connection.poll_timeout()?;
        let nanos = at.saturating_duration_since(self.origin).as_nanos();
        Some(Instant::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }
}

impl std::fmt::Debug for Quic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Quic").field("socket", &self.socket).finish_non_exhaustive()
    }
}
