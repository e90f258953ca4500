//! Doors: connections that come in, from listeners, from HTTP and from other loops, and datagrams from the one loop that
//! reads them.
//! Invariants: accepted connections are dealt to the loops in turn; when descriptors or places run out accepting stops,
//! is tried again when one is freed or after [`ACCEPT_PAUSE`], and that is said once.
//! Not here: what a connection then says (`receive`).

use std::io::{self, IoSliceMut};
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::BytesMut;
use session::Carrier;

use super::{EventLoop, Life};
use crate::carrier::quic;
use crate::carrier::tls::Tls;
use crate::connection::{Connection, Line, Stage, WebSocket};
use crate::http::Handover;
use crate::letter::{Arrival, Letter, SLOTS_MAX};
use crate::network::{DatagramMeta, Stream};

/// Connections accepted from one listener in one turn.
const ACCEPTS_A_TURN: usize = 256;
/// How long accepting pauses when there is no room, unless a connection ends before.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Buffers read from one datagram socket in one call, and calls a turn.
const DATAGRAM_BUFFERS: usize = 8;
const DATAGRAM_READS_A_TURN: usize = 8;
/// With receive offload one buffer holds up to this.
const DATAGRAM_BUFFER: usize = 64 * 1024;
/// Datagrams that may wait for another loop; more are lost, as datagrams are.
const DATAGRAM_BACKLOG_MAX: usize = 1024;

impl EventLoop {
    /// Accepts what waits at one listener.
    pub(super) fn accept(&mut self, index: usize) {
        if self.life != Life::Running || self.accept_again.is_some() {
            return;
        }
        for _ in 0..ACCEPTS_A_TURN {
            let Some(listener) = self.listeners.get(index) else { return };
            let (network, id, door) = (listener.network, listener.id, listener.door);
            let max = self.shared.config.limits.connections_max;
            if max != 0 && self.shared.connections.load(Ordering::Relaxed) >= max {
                return self.pause_accepting("connections_max is reached");
            }
            match self.networks[usize::from(network)].accept(id) {
                Ok((stream, remote)) => {
                    self.accept_said = false;
                    self.count_up(door.carrier());
                    self.deal(Arrival { stream, remote, door, network });
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // The client gave up between its SYN and our accept (accept(2)).
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => return self.pause_accepting(&error.to_string()),
            }
        }
        // There may be more, and no edge will say so.
        self.accept_again = Some(self.now.mono);
    }

    fn pause_accepting(&mut self, reason: &str) {
        self.accept_again = Some(self.now.mono + ACCEPT_PAUSE);
        self.counts.accept_pauses += 1;
        if !std::mem::replace(&mut self.accept_said, true) {
            let connections = self.shared.connections.load(Ordering::Relaxed);
            tracing::warn!(reason, connections, "no more connections can be accepted now; new ones wait");
        }
    }

    /// Gives a connection to the loop whose turn it is, if it can move.
    fn deal(&mut self, arrival: Arrival) {
        if !self.networks[usize::from(arrival.network)].moves_between_loops() {
            return self.arrive(arrival);
        }
        let to = self.next_loop;
        self.next_loop = (to + 1) % self.loops;
        if to == self.this {
            self.arrive(arrival);
        } else {
            self.posts.write_loop(to, Letter::Accepted(Box::new(arrival)));
        }
    }

    /// Takes a connection in.
    pub(super) fn arrive(&mut self, arrival: Arrival) {
        let Arrival { stream, remote, door, network } = arrival;
        let Some(slot) = self.seat(stream, network, door.carrier(), remote) else { return };
        let trusted = &self.shared.config.security.trusted_proxies;
        if trusted.iter().any(|prefix| prefix.contains(remote.ip())) {
            if let Some(connection) = self.lines.get_mut(slot) {
                connection.stage = Stage::Proxy(door);
            }
        } else {
            self.enter(slot, door);
        }
        self.arm(slot);
    }

    /// Takes a WebSocket in.
    pub(super) fn upgrade(&mut self, handover: Handover) {
        let carrier = if handover.tls.is_some() { Carrier::Wss } else { Carrier::Ws };
        self.count_up(carrier);
        let stream = Stream::Descriptor(handover.stream);
        let Some(slot) = self.seat(stream, 0, carrier, handover.remote) else { return };
        let message_max = self.shared.config.limits.stanza_max_unauth;
        let Some(connection) = self.lines.get_mut(slot) else { return };
        connection.flags.forwarded = handover.forwarded;
        connection.flags.encrypted_by_proxy = handover.encrypted_by_proxy;
        connection.websocket = Some(Box::new(WebSocket::new(message_max)));
        connection.tls = handover.tls.map(Tls::from_connection);
        self.begin_session(slot);
        let mut read = handover.read;
        let used = self.feed_stream(slot, &mut read);
        if used < read.len() {
            // It sent more, before it had an answer, than any client has to say; over TLS there is no place for it.
            tracing::debug!(remote = %handover.remote, "a WebSocket client would not wait");
            self.drop_connection(slot);
            return;
        }
        self.lines.mark_again(slot);
    }

    fn seat(
        &mut self,
        stream: Stream,
        network: u8,
        carrier: Carrier,
        remote: std::net::SocketAddr,
    ) -> Option<usize> {
        if self.life != Life::Running || self.lines.len() >= SLOTS_MAX {
            self.count_down(carrier);
            return None;
        }
        let key = self.lines.vacant_slot();
        let socket = match self.networks[usize::from(network)].attach(stream, key) {
            Ok(socket) => socket,
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be polled");
                self.count_down(carrier);
                return None;
            }
        };
        let since = self.now.wall.as_millis() / 1000;
        let line = Line::Stream { network, socket };
        let mut connection = Connection::new(line, carrier, remote, since, Stage::Handshake);
        connection.deadline = Some(self.now.mono + self.shared.config.limits.login);
        let slot = self.lines.insert(Box::new(connection));
        debug_assert_eq!(slot, key);
        Some(slot)
    }

    /// Sends a logged-in session to its home loop.
    pub(super) fn send_home(&mut self, slot: usize) {
        let Some(connection) = self.lines.get_mut(slot) else { return };
        connection.flags.moving = false;
        let (Line::Stream { network, socket }, Some(number)) = (connection.line, connection.number) else {
            return;
        };
        let home = router::Router::home(number, u16::from(self.loops)) as u8;
        let Some(mut connection) = self.lines.remove(slot) else { return };
        match self.networks[usize::from(network)].detach(socket) {
            Ok(stream) => {
                connection.line = Line::Moving;
                connection.flags.awaits_room = false;
                // The edge that told of it stays behind.
                connection.flags.readable = true;
                self.posts.write_loop(home, Letter::Moved { connection, stream, network });
            }
            Err(error) => {
                tracing::warn!(%error, "a session cannot move");
                self.count_down(connection.carrier);
            }
        }
    }

    /// Takes a session that comes home.
    pub(super) fn settle(&mut self, mut connection: Box<Connection>, stream: Stream, network: u8) {
        let key = self.lines.vacant_slot();
        if self.lines.len() >= SLOTS_MAX {
            return self.count_down(connection.carrier);
        }
        match self.networks[usize::from(network)].attach(stream, key) {
            Ok(socket) => {
                connection.line = Line::Stream { network, socket };
                connection.flags.write_blocked = false;
                connection.flags.readable = true;
                let slot = self.lines.insert(connection);
                self.lines.mark_dirty(slot);
                self.lines.mark_again(slot);
                self.on_home(slot);
                self.drain_router();
                self.arm(slot);
                if self.life != Life::Running {
                    self.ask_to_leave(slot);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a session that came home cannot be polled");
                self.count_down(connection.carrier);
            }
        }
    }

    /// A datagram that another loop read.
    pub(super) fn hear_datagram(&mut self, endpoint: u8, meta: &DatagramMeta, data: BytesMut) {
        let now = self.shared.clock.to_std(self.now.mono);
        let Some(endpoint) = self.endpoints.get_mut(usize::from(endpoint)) else { return };
        let network = &mut *self.networks[usize::from(endpoint.network)];
        endpoint.quic.handle_datagram(now, meta, data, network, endpoint.udp);
    }
}

/// Reads datagrams: ours to their connections, the others' to their loops.
pub(super) fn read_datagrams(this: &mut EventLoop, index: usize) {
    let Some(endpoint) = this.endpoints.get(index) else { return };
    let (network, udp) = (usize::from(endpoint.network), endpoint.udp);
    let mut space = std::mem::take(&mut this.datagram_space);
    space.resize(DATAGRAM_BUFFERS * DATAGRAM_BUFFER, 0);
    let mut metas = Vec::with_capacity(DATAGRAM_BUFFERS);
    let mut drained = false;
    for _ in 0..DATAGRAM_READS_A_TURN {
        let mut chunks = space.chunks_exact_mut(DATAGRAM_BUFFER);
        let mut buffers: [IoSliceMut<'_>; DATAGRAM_BUFFERS] =
            std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
        match this.networks[network].recv_datagrams(udp, &mut buffers, &mut metas) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                drained = true;
                break;
            }
            // ICMP errors of earlier datagrams, mostly: QUIC finds out by itself.
            Err(_) => continue,
        }
        for (meta, buffer) in metas.iter().zip(space.chunks_exact(DATAGRAM_BUFFER)) {
            let stride = meta.stride.max(1);
            for datagram in buffer[..meta.len].chunks(stride) {
                let Some(owner) = quic::owner(datagram, this.loops) else { continue };
                let data = BytesMut::from(datagram);
                if owner == this.this {
                    this.hear_datagram(index as u8, meta, data);
                } else if this.posts.backlog(owner) < DATAGRAM_BACKLOG_MAX {
                    let letter = Letter::Datagram { endpoint: index as u8, meta: *meta, data };
                    this.posts.write_loop(owner, letter);
                }
            }
        }
    }
    this.datagram_space = space;
    if !drained {
        this.datagrams_again.push(index);
    }
}
