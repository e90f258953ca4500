//! The QUIC carrier: datagrams to streams, each bidirectional stream a session of its own, and back.
//! Spec: RFC 9000, RFC 9001 through `quinn-proto`; XEP-0467. ALPN `xmpp-client`; 0-RTT is refused (`certs`).
//! Owns: one endpoint a loop and listener: its connections, their timers, the transmission that found the socket full.
//! Invariants: the first octet of every connection id, taken modulo the number of loops, names the loop that owns the
//! connection, so that any loop can tell whose a datagram is (see [`owner`]); a client's own random first id spreads
//! the handshakes over the loops by the same rule.
//! Not here: sockets (`network`), sessions; what a stream carries is the loop's business, under the key it gave it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use quinn_proto::crypto::rustls::QuicServerConfig;
use quinn_proto::{
    AcceptError, Connection, ConnectionHandle, ConnectionId, ConnectionIdGenerator, DatagramEvent, Dir,
    EcnCodepoint, EndpointConfig, Event, IdleTimeout, Incoming, ReadError, ServerConfig, StreamEvent,
    StreamId, Transmit, TransportConfig, VarInt,
};

use crate::config::{self, Retry};
use crate::network::{DatagramMeta, Datagrams, Network, Rows, UdpId};

#[cfg(test)]
mod tests;

/// Length of our connection ids: the loop's octet and seven random ones.
const CID_LEN: usize = 8;
/// Handshakes under way on one loop beyond which a client must prove its address first (`retry = "pressure"`).
const HANDSHAKES_BEFORE_RETRY: usize = 64;
/// Handshakes under way on one loop beyond which a client is refused, proven or not.
const HANDSHAKES_MAX: usize = 4096;
/// What one stream may hold unread: more is not granted until the session has read it.
const STREAM_WINDOW: u32 = 64 * 1024;
/// What one connection may hold unsent and unacknowledged.
const SEND_WINDOW: u64 = 256 * 1024;
/// Datagrams in one transmission with segmentation offload: 64 KiB hold no more of 1,452 bytes.
const SEGMENTS_MAX: usize = 40;
/// Transmissions of one connection before the next one's turn.
const TRANSMITS_A_TURN: usize = 16;
/// RFC 9266.
const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";

/// One stream of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct StreamName {
    connection: ConnectionHandle,
    stream: StreamId,
}

/// What happened, for the loop.
#[derive(Clone, Copy, Debug)]
pub(crate) enum QuicEvent {
    /// A client opened a stream. The loop answers with [`Quic::adopt`], giving it a key.
    Opened(StreamName),
    /// Octets, the end or a reset can be read.
    Readable(usize),
    /// Octets can be written again.
    Writable(usize),
    /// The stream is gone with its connection, or the client will read no more of it.
    Lost(usize),
}

/// What a read found behind the octets it lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadEnd {
    /// Nothing more for now.
    Blocked,
    /// There may be more: the buffer is full.
    Stopped,
    /// The client has finished the stream.
    Finished,
    /// The stream was reset, or is gone.
    Reset,
}

struct Line {
    inner: Connection,
    /// The loop's keys of the streams it adopted. A connection has few.
    streams: Vec<(StreamId, usize)>,
    timer: Option<Instant>,
    handshaking: bool,
    dirty: bool,
}

/// One endpoint: what one loop holds of one listener's connections.
pub(crate) struct Quic {
    endpoint: quinn_proto::Endpoint,
    lines: Vec<Option<Box<Line>>>,
    dirty: Vec<ConnectionHandle>,
    timers: BinaryHeap<Reverse<(Instant, usize)>>,
    events: Vec<QuicEvent>,
    handshakes: usize,
    retry: Retry,
    connections_max: usize,
    /// Answers of the endpoint itself: Retry, Version Negotiation, stateless resets. A full socket loses them.
    scratch: Vec<u8>,
    /// A transmission that found the socket full: it goes first.
    blocked: Option<(Transmit, Vec<u8>)>,
}

/// Names its loop in each connection id.
struct LoopIds {
    this: u8,
    loops: u8,
}

impl ConnectionIdGenerator for LoopIds {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut id = [0; CID_LEN];
        getrandom::fill(&mut id).expect("the system has randomness");
        let base = id[0] - id[0] % self.loops;
        id[0] = base.checked_add(self.this).unwrap_or_else(|| base - self.loops + self.this);
        ConnectionId::new(&id)
    }

    fn cid_len(&self) -> usize {
        CID_LEN
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// Which of `loops` owns the connection that a datagram belongs to. `None`: no QUIC datagram.
pub(crate) fn owner(datagram: &[u8], loops: u8) -> Option<u8> {
    let first = *datagram.first()?;
    let octet = if first & 0x80 != 0 {
        // RFC 9000 17.2: flags, version (4), length of the destination id, the id.
        match *datagram.get(5)? {
            0 => return Some(0),
            _ => *datagram.get(6)?,
        }
    } else {
        // RFC 9000 17.3: flags, the id, whose length is ours to know.
        *datagram.get(1)?
    };
    Some(octet % loops.max(1))
}

impl Quic {
    pub(crate) fn new(
        crypto: Arc<QuicServerConfig>,
        config: &config::Quic,
        connections_max: usize,
        this: u8,
        loops: u8,
    ) -> Self {
        let mut transport = TransportConfig::default();
        transport
            .max_concurrent_bidi_streams(VarInt::from_u32(config.streams_max))
            .max_concurrent_uni_streams(VarInt::from_u32(0))
            .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
            .receive_window(VarInt::from_u32(STREAM_WINDOW.saturating_mul(config.streams_max.min(16))))
            .send_window(SEND_WINDOW)
            .datagram_receive_buffer_size(None)
            .max_idle_timeout(IdleTimeout::try_from(config.idle).ok());
        let mut server = ServerConfig::with_crypto(crypto);
        server.transport_config(Arc::new(transport)).migration(true).max_incoming(HANDSHAKES_MAX);
        let mut endpoint = EndpointConfig::default();
        endpoint.cid_generator(move || Box::new(LoopIds { this, loops: loops.max(1) }));
        Self {
            endpoint: quinn_proto::Endpoint::new(Arc::new(endpoint), Some(Arc::new(server)), true, None),
            lines: Vec::new(),
            dirty: Vec::new(),
            timers: BinaryHeap::new(),
            events: Vec::new(),
            handshakes: 0,
            retry: config.retry,
            connections_max: if connections_max == 0 { usize::MAX } else { connections_max },
            scratch: Vec::new(),
            blocked: None,
        }
    }

    /// Connections held.
    pub(crate) fn connections(&self) -> usize {
        self.endpoint.open_connections()
    }

    /// Hears one datagram. An answer that belongs to no connection goes out at once, or is lost.
    pub(crate) fn handle_datagram(
        &mut self,
        now: Instant,
        meta: &DatagramMeta,
        data: BytesMut,
        network: &mut dyn Network,
        udp: UdpId,
    ) {
        let ecn = EcnCodepoint::from_bits(meta.ecn);
        self.scratch.clear();
        let event = self.endpoint.handle(now, meta.remote, meta.local, ecn, data, &mut self.scratch);
        let response = match event {
            None => None,
            Some(DatagramEvent::ConnectionEvent(handle, event)) => {
                if let Some(line) = self.lines.get_mut(handle.0).and_then(Option::as_mut) {
                    line.inner.handle_event(event);
                    self.mark(handle);
                }
                None
            }
            Some(DatagramEvent::Response(transmit)) => Some(transmit),
            Some(DatagramEvent::NewConnection(incoming)) => self.greet(now, incoming),
        };
        if let Some(transmit) = response {
            let contents = &self.scratch[..transmit.size];
            let _ = network.send_datagrams(udp, &datagrams(&transmit, contents));
        }
    }

    /// A first flight: proof of address, refusal, or a connection.
    fn greet(&mut self, now: Instant, incoming: Incoming) -> Option<Transmit> {
        if self.connections() >= self.connections_max || self.handshakes >= HANDSHAKES_MAX {
            return Some(self.endpoint.refuse(incoming, &mut self.scratch));
        }
        let prove = match self.retry {
            Retry::Always => true,
            Retry::Pressure => self.handshakes >= HANDSHAKES_BEFORE_RETRY,
        };
        // RFC 9000 8.1.2: a token proves the address. Until it is proven nothing is kept.
        if prove && !incoming.remote_address_validated() && incoming.may_retry() {
            return self.endpoint.retry(incoming, &mut self.scratch).ok();
        }
        match self.endpoint.accept(incoming, now, &mut self.scratch, None) {
            Ok((handle, inner)) => {
                if self.lines.len() <= handle.0 {
                    self.lines.resize_with(handle.0 + 1, || None);
                }
                let line = Line { inner, streams: Vec::new(), timer: None, handshaking: true, dirty: false };
                self.lines[handle.0] = Some(Box::new(line));
                self.handshakes += 1;
                self.mark(handle);
                None
            }
            Err(AcceptError { response, .. }) => response,
        }
    }

    fn mark(&mut self, handle: ConnectionHandle) {
        if let Some(line) = self.lines.get_mut(handle.0).and_then(Option::as_mut)
            && !std::mem::replace(&mut line.dirty, true)
        {
            self.dirty.push(handle);
        }
    }

    /// Lets every connection that has something to say, say it: events to the loop, datagrams to the socket.
    pub(crate) fn drive(&mut self, now: Instant, network: &mut dyn Network, udp: UdpId) {
        if let Some((transmit, contents)) = &self.blocked {
            match network.send_datagrams(udp, &datagrams(transmit, contents)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // Any other failure is a lost datagram, which QUIC repairs.
                _ => self.blocked = None,
            }
        }
        let segments = network.segments_max(udp).clamp(1, SEGMENTS_MAX);
        let mut dirty = std::mem::take(&mut self.dirty);
        for handle in dirty.drain(..) {
            self.drive_line(now, handle, segments, network, udp);
        }
        // Those that came back while it was drained stay for the next turn.
        dirty.append(&mut self.dirty);
        self.dirty = dirty;
    }

    fn drive_line(
        &mut self,
        now: Instant,
        handle: ConnectionHandle,
        segments: usize,
        network: &mut dyn Network,
        udp: UdpId,
    ) {
        let Some(line) = self.lines.get_mut(handle.0).and_then(Option::as_mut) else { return };
        line.dirty = false;
        while let Some(event) = line.inner.poll() {
            match event {
                Event::Connected if std::mem::take(&mut line.handshaking) => {
                    self.handshakes -= 1;
                }
                Event::ConnectionLost { .. } => {
                    for (_, key) in line.streams.drain(..) {
                        self.events.push(QuicEvent::Lost(key));
                    }
                    if std::mem::take(&mut line.handshaking) {
                        self.handshakes -= 1;
                    }
                }
                Event::Stream(StreamEvent::Opened { dir: Dir::Bi }) => {
                    while let Some(stream) = line.inner.streams().accept(Dir::Bi) {
                        self.events.push(QuicEvent::Opened(StreamName { connection: handle, stream }));
                    }
                }
                Event::Stream(StreamEvent::Readable { id }) => {
                    self.events.extend(line.key(id).map(QuicEvent::Readable));
                }
                Event::Stream(StreamEvent::Writable { id }) => {
                    self.events.extend(line.key(id).map(QuicEvent::Writable));
                }
                Event::Stream(StreamEvent::Stopped { id, .. }) => {
                    self.events.extend(line.key(id).map(QuicEvent::Lost));
                }
                _ => {}
            }
        }
        let mut again = false;
        for count in 0.. {
            if self.blocked.is_some() || count == TRANSMITS_A_TURN {
                again = true;
                break;
            }
            self.scratch.clear();
            let Some(transmit) = line.inner.poll_transmit(now, segments, &mut self.scratch) else { break };
            let contents = &self.scratch[..transmit.size];
            match network.send_datagrams(udp, &datagrams(&transmit, contents)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.blocked = Some((transmit, contents.to_vec()));
                }
                _ => {}
            }
        }
        while let Some(event) = line.inner.poll_endpoint_events() {
            if let Some(event) = self.endpoint.handle_event(handle, event) {
                line.inner.handle_event(event);
                again = true;
            }
        }
        if line.inner.is_drained() {
            self.lines[handle.0] = None;
            return;
        }
        let timer = line.inner.poll_timeout();
        if let Some(at) = timer
            && line.timer.is_none_or(|armed| at < armed)
        {
            // A later deadline is found when the earlier one fires.
            line.timer = timer;
            self.timers.push(Reverse((at, handle.0)));
        }
        if again {
            self.mark(handle);
        }
    }

    /// Fires what is due.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        while let Some(Reverse((at, index))) = self.timers.peek().copied() {
            if at > now {
                break;
            }
            self.timers.pop();
            let Some(line) = self.lines.get_mut(index).and_then(Option::as_mut) else { continue };
            if line.timer != Some(at) {
                continue;
            }
            line.timer = None;
            line.inner.handle_timeout(now);
            self.mark(ConnectionHandle(index));
        }
    }

    /// When [`Quic::handle_timeout`] is due, or at once when something still waits to be sent.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.timers.peek().map(|Reverse((at, _))| *at)
    }

    /// Whether a turn was cut short with work left that no event will bring back.
    pub(crate) fn has_work(&self) -> bool {
        self.blocked.is_none() && !self.dirty.is_empty()
    }

    /// Takes what happened.
    pub(crate) fn take_events(&mut self, into: &mut Vec<QuicEvent>) {
        into.append(&mut self.events);
    }

    /// From now on the loop calls this stream `key`.
    pub(crate) fn adopt(&mut self, name: StreamName, key: usize) {
        if let Some(line) = self.line(name) {
            line.streams.push((name.stream, key));
        }
    }

    fn line(&mut self, name: StreamName) -> Option<&mut Line> {
        self.lines.get_mut(name.connection.0)?.as_deref_mut()
    }

    /// Reads in order into `buffer`, from `len` on, until it is full or nothing is left.
    pub(crate) fn read(&mut self, name: StreamName, buffer: &mut [u8], len: &mut usize) -> ReadEnd {
        let Some(line) = self.line(name) else { return ReadEnd::Reset };
        let mut stream = line.inner.recv_stream(name.stream);
        let Ok(mut chunks) = stream.read(true) else { return ReadEnd::Reset };
        let end = loop {
            let room = buffer.len() - *len;
            if room == 0 {
                break ReadEnd::Stopped;
            }
            match chunks.next(room) {
                Ok(Some(chunk)) => {
                    buffer[*len..*len + chunk.bytes.len()].copy_from_slice(&chunk.bytes);
                    *len += chunk.bytes.len();
                }
                Ok(None) => break ReadEnd::Finished,
                Err(ReadError::Blocked) => break ReadEnd::Blocked,
                Err(ReadError::Reset(_)) => break ReadEnd::Reset,
            }
        };
        // Credit for what was read goes out with the next drive.
        let _ = chunks.finalize();
        self.mark(name.connection);
        end
    }

    /// Writes what fits. `Err`: the client will read no more of it.
    pub(crate) fn write(&mut self, name: StreamName, bytes: &[u8]) -> Result<usize, ()> {
        let Some(line) = self.line(name) else { return Err(()) };
        let written = match line.inner.send_stream(name.stream).write(bytes) {
            Ok(written) => written,
            Err(quinn_proto::WriteError::Blocked) => 0,
            Err(_) => return Err(()),
        };
        self.mark(name.connection);
        Ok(written)
    }

    /// Ends our direction, after what was written.
    pub(crate) fn finish(&mut self, name: StreamName) {
        if let Some(line) = self.line(name) {
            // A stream that the client stopped needs no end.
            let _ = line.inner.send_stream(name.stream).finish();
            self.mark(name.connection);
        }
    }

    /// Gives the stream up in both directions, and forgets its key.
    pub(crate) fn release(&mut self, name: StreamName) {
        let Some(line) = self.line(name) else { return };
        line.streams.retain(|(stream, _)| *stream != name.stream);
        // Whichever direction has ended already stays as it is.
        let _ = line.inner.recv_stream(name.stream).stop(VarInt::from_u32(0));
        let _ = line.inner.send_stream(name.stream).finish();
        self.mark(name.connection);
    }

    /// Closes every connection, for a shutdown.
    pub(crate) fn close_all(&mut self, now: Instant) {
        for index in 0..self.lines.len() {
            if let Some(line) = &mut self.lines[index] {
                line.inner.close(now, VarInt::from_u32(0), Bytes::new());
                self.mark(ConnectionHandle(index));
            }
        }
    }

    /// Where the client is now; it may have moved.
    pub(crate) fn remote(&self, name: StreamName) -> Option<SocketAddr> {
        Some(self.lines.get(name.connection.0)?.as_ref()?.inner.remote_address())
    }

    /// What is known of a stream's connection, for people.
    pub(crate) fn facts(&self, name: StreamName) -> Option<Rows> {
        let line = self.lines.get(name.connection.0)?.as_ref()?;
        let stats = line.inner.stats();
        let path = stats.path;
        Some(vec![
            ("rtt", format!("{:.2} ms", path.rtt.as_secs_f64() * 1000.0)),
            ("cwnd", format!("{} octets", path.cwnd)),
            ("path mtu", path.current_mtu.to_string()),
            ("congestion events", path.congestion_events.to_string()),
            ("packets sent", path.sent_packets.to_string()),
            ("packets lost", path.lost_packets.to_string()),
            ("black holes found", path.black_holes_detected.to_string()),
            ("datagrams out", stats.udp_tx.datagrams.to_string()),
            ("datagrams in", stats.udp_rx.datagrams.to_string()),
            ("octets out", stats.udp_tx.bytes.to_string()),
            ("octets in", stats.udp_rx.bytes.to_string()),
            ("streams of this connection", line.streams.len().to_string()),
            ("stream", name.stream.index().to_string()),
        ])
    }

    /// RFC 9266: the `tls-exporter` channel binding.
    pub(crate) fn exporter(&mut self, name: StreamName) -> Option<[u8; 32]> {
        let mut binding = [0; 32];
        let session = self.line(name)?.inner.crypto_session();
        session.export_keying_material(&mut binding, EXPORTER_LABEL, &[]).ok()?;
        Some(binding)
    }
}

impl Line {
    fn key(&self, id: StreamId) -> Option<usize> {
        self.streams.iter().find(|(stream, _)| *stream == id).map(|(_, key)| *key)
    }
}

fn datagrams<'a>(transmit: &Transmit, contents: &'a [u8]) -> Datagrams<'a> {
    Datagrams {
        remote: transmit.destination,
        local: transmit.src_ip,
        contents,
        segment_size: transmit.segment_size,
        ecn: transmit.ecn.map_or(0, |ecn| ecn as u8),
    }
}
