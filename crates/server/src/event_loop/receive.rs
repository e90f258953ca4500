//! Bytes in: from the socket or the QUIC stream, through the PROXY header, TLS and WebSocket, to the session.
//! Invariants: one read a connection a turn; what cannot go on now waits in the connection's backlog, in rustls or in
//! QUIC's window, never in a queue of our own that grows; an octet is handed to the session once.
//! Not here: what the session says about it (`switch`), what goes out (`flush`).

use std::io;

use session::{Carrier, CarrierFacts, ChannelBindings, EndReason, Session};

use super::EventLoop;
use super::switch::{Effect, hear};
use crate::carrier::quic::{QuicEvent, ReadEnd, StreamName};
use crate::carrier::tls::Tls;
use crate::config::ClearText;
use crate::connection::{Connection, Line, Stage, WebSocket};
use crate::letter::{Door, SLOTS_MAX, SessionName};
use framing::proxy;
use framing::websocket::{self, CloseCode, Incoming};

/// Octets thrown away for the sake of a clean close before the client is left to its fate.
const DISCARD_MAX: u32 = 64 * 1024 * 1024;

/// RFC 6120 4.4; its prefix is the usual one.
const CLOSING_TAG: &[u8] = b"</stream:stream>";
/// Octets of frames that may wait before a Ping goes unanswered.
const PONGS_MAX: usize = 16 * 1024;

impl EventLoop {
    /// Reads once, unless input has to wait.
    pub(super) fn read(&mut self, slot: usize) {
        if !self.feed_backlog(slot) {
            return;
        }
        let Some(connection) = self.lines.get_mut(slot) else { return };
        match connection.line {
            Line::Stream { network, socket } if connection.flags.readable => {
                let mut buffer = std::mem::take(&mut self.buffer);
                let received = self.networks[usize::from(network)].recv(socket, &mut buffer);
                connection.flags.readable =
                    matches!(received, Ok(received) if received.more && received.len > 0);
                match received {
                    Ok(received) if received.len == 0 => self.on_end(slot),
                    Ok(received) => {
                        self.counts.octets_in += received.len as u64;
                        self.feed_fresh(slot, &mut buffer[..received.len]);
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => self.on_broken(slot),
                }
                self.buffer = buffer;
                if let Some(connection) = self.lines.get_mut(slot)
                    && connection.flags.readable
                    && !connection.paused()
                {
                    self.lines.mark_again(slot);
                }
            }
            Line::Quic { endpoint, name } if connection.flags.readable => {
                self.read_stream(slot, endpoint, name);
            }
            _ => {}
        }
    }

    /// Deals with what waited. Answers whether there is room for more.
    fn feed_backlog(&mut self, slot: usize) -> bool {
        let Some(connection) = self.lines.get_mut(slot) else { return false };
        let Some(mut backlog) = connection.backlog.take() else {
            // Plaintext may wait inside rustls.
            if connection.tls.is_some() {
                self.feed(slot, &mut []);
            }
            return self.lines.get_mut(slot).is_some_and(|connection| !connection.paused());
        };
        let used = self.feed(slot, &mut backlog);
        let Some(connection) = self.lines.get_mut(slot) else { return false };
        if used < backlog.len() {
            backlog.drain(..used);
            connection.backlog = Some(backlog);
        }
        !connection.paused()
    }

    /// Deals with what was just read, behind what may wait already.
    fn feed_fresh(&mut self, slot: usize, bytes: &mut [u8]) {
        let Some(connection) = self.lines.get_mut(slot) else { return };
        if connection.backlog.is_some() {
            connection.stash(bytes);
            self.feed_backlog(slot);
            return;
        }
        let used = self.feed(slot, bytes);
        if let Some(connection) = self.lines.get_mut(slot) {
            connection.stash(&bytes[used..]);
        }
    }

    /// Takes octets as they came from the line; answers how many it used. Fewer than all only if input has to wait.
    fn feed(&mut self, slot: usize, bytes: &mut [u8]) -> usize {
        let mut used = 0;
        loop {
            let Some(connection) = self.lines.get_mut(slot) else { return bytes.len() };
            match connection.stage {
                _ if connection.paused() => return used,
                Stage::Proxy(door) => match proxy::parse(&bytes[used..]) {
                    Ok(None) => return used,
                    Ok(Some(header)) => {
                        used += header.len;
                        connection.remote = header.client.unwrap_or(connection.remote);
                        connection.flags.forwarded = true;
                        self.enter(slot, door);
                    }
                    Err(proxy::NoHeader) => {
                        tracing::warn!(proxy = %connection.remote, "a trusted proxy sent no PROXY header");
                        self.drop_connection(slot);
                        return bytes.len();
                    }
                },
                _ if connection.tls.is_some() => {
                    let mut rest = &bytes[used..];
                    let before = rest.len();
                    let fed = self.feed_tls(slot, &mut rest);
                    used += before - rest.len();
                    if !fed || used == bytes.len() {
                        return used;
                    }
                }
                _ => return used + self.feed_stream(slot, &mut bytes[used..]),
            }
        }
    }

    /// Feeds TLS until some plaintext has been dealt with. Answers whether to go on.
    fn feed_tls(&mut self, slot: usize, rest: &mut &[u8]) -> bool {
        let Some(connection) = self.lines.get_mut(slot) else { return false };
        let Some(tls) = &mut connection.tls else { return false };
        let handshaking = tls.is_handshaking();
        let fed = tls.feed(rest);
        if tls.wants_write() {
            self.lines.mark_dirty(slot);
        }
        if let Err(error) = fed {
            // The alert is among the output; there is nothing else to say to this client.
            tracing::debug!(%error, "a TLS peer misbehaved");
            self.counts.tls_failures += 1;
            *rest = &[];
            self.lines.mark_dirty(slot);
            self.finish(slot, EndReason::ConnectionLost);
            return false;
        }
        let Some(connection) = self.lines.get_mut(slot) else { return false };
        let Some(tls) = &mut connection.tls else { return false };
        if handshaking && !tls.is_handshaking() {
            self.on_secured(slot);
        }
        loop {
            let Some(connection) = self.lines.get_mut(slot) else { return false };
            let Some(tls) = &mut connection.tls else { return false };
            let mut plaintext = std::mem::take(&mut self.plaintext);
            plaintext.clear();
            plaintext.extend_from_slice(tls.plaintext());
            if plaintext.is_empty() {
                self.plaintext = plaintext;
                return true;
            }
            let used = self.feed_stream(slot, &mut plaintext);
            let whole = used == plaintext.len();
            self.plaintext = plaintext;
            let Some(connection) = self.lines.get_mut(slot) else { return false };
            if let Some(tls) = &mut connection.tls {
                tls.consume(used);
            }
            if !whole {
                return false;
            }
        }
    }

    /// Takes octets of the stream itself: WebSocket frames or XML.
    pub(super) fn feed_stream(&mut self, slot: usize, bytes: &mut [u8]) -> usize {
        let Some(connection) = self.lines.get_mut(slot) else { return bytes.len() };
        if connection.websocket.is_some() {
            self.feed_websocket(slot, bytes)
        } else if matches!(connection.stage, Stage::Session(_)) {
            self.feed_session(slot, bytes)
        } else {
            self.discard(slot, bytes);
            bytes.len()
        }
    }

    fn feed_websocket(&mut self, slot: usize, bytes: &mut [u8]) -> usize {
        let all = bytes.len();
        let mut rest = bytes;
        self.lines.mark_dirty(slot);
        loop {
            let Some((connection, pools)) = self.lines.with_pools(slot) else { return all };
            if connection.paused() {
                return all - rest.len();
            }
            let name =
                SessionName { event_loop: self.this, generation: connection.generation, slot: slot as u32 };
            let Some(websocket) = &mut connection.websocket else { return all };
            let WebSocket { decoder, frames, close_sent, close_received } = &mut **websocket;
            match decoder.decode(&mut rest) {
                Ok(None) => return all,
                Ok(Some(Incoming::Message(text))) => {
                    let Stage::Session(session) = &mut connection.stage else { continue };
                    let outbox = pools.outbox(&mut connection.outbox, true);
                    let mut message = Some(text);
                    // Empty unless something other than a stanza is said.
                    let mut effects = Vec::new();
                    while let Some(event) = session.handle_message(self.now, &mut message, outbox) {
                        effects.extend(hear(&mut self.router, &mut self.counts, self.now, name, event));
                    }
                    self.after_events(slot, effects.into_iter());
                }
                Ok(Some(Incoming::Ping(octets))) => {
                    // RFC 6455 5.5.3: who does not read its Pongs need not get one for each Ping.
                    if !*close_sent && frames.len() < PONGS_MAX {
                        websocket::write_pong(octets, frames);
                    }
                }
                Ok(Some(Incoming::Close)) => {
                    *close_received = true;
                    self.on_websocket_close(slot, CloseCode::Normal);
                    return all;
                }
                Err(code) => {
                    self.on_websocket_close(slot, code);
                    return all;
                }
            }
        }
    }

    fn feed_session(&mut self, slot: usize, bytes: &[u8]) -> usize {
        let mut used = 0;
        self.lines.mark_dirty(slot);
        loop {
            let Some((connection, pools)) = self.lines.with_pools(slot) else { return bytes.len() };
            if connection.flags.awaits_room || connection.flags.moving {
                return used;
            }
            let Stage::Session(session) = &mut connection.stage else {
                self.discard(slot, &bytes[used..]);
                return bytes.len();
            };
            let name =
                SessionName { event_loop: self.this, generation: connection.generation, slot: slot as u32 };
            let outbox = pools.outbox(&mut connection.outbox, false);
            let mut rest = &bytes[used..];
            let event = session.handle_input(self.now, &mut rest, outbox);
            let Some(event) = event else {
                return bytes.len() - rest.len();
            };
            let effect = hear(&mut self.router, &mut self.counts, self.now, name, event);
            used = bytes.len() - rest.len();
            let starts_tls = matches!(effect, Some(Effect::StartTls));
            self.after_events(slot, effect.into_iter());
            if starts_tls {
                // RFC 6120 5.4.3.3: what came behind <starttls/> came before TLS, and must not be read.
                return bytes.len();
            }
        }
    }

    /// Throws away what a client says after its conversation is over, but for its answer to our end.
    fn discard(&mut self, slot: usize, bytes: &[u8]) {
        let Some(connection) = self.lines.get_mut(slot) else { return };
        connection.discarded = connection.discarded.saturating_add(bytes.len() as u32);
        if connection.discarded > DISCARD_MAX {
            self.drop_connection(slot);
            return;
        }
        // RFC 6120 4.4: whoever ended its stream first closes the connection once it has the other's closing tag. An
        // answer that comes in pieces, or under another prefix, is missed, and the bound closes instead.
        if connection.flags.ended_first && bytes.trim_ascii_end().ends_with(CLOSING_TAG) {
            connection.flags.close_is_ours = true;
            self.lines.mark_dirty(slot);
        }
    }

    /// The way in is open: the session, or the TLS handshake before it, begins.
    pub(super) fn enter(&mut self, slot: usize, door: Door) {
        let Some(connection) = self.lines.get_mut(slot) else { return };
        match door {
            Door::Tcp => self.begin_session(slot),
            Door::Tls => match Tls::new(std::sync::Arc::clone(&self.shared.certs.xmpp)) {
                Ok(tls) => {
                    connection.tls = Some(tls);
                    connection.stage = Stage::Handshake;
                }
                Err(error) => {
                    tracing::error!(%error, "no TLS connection can be made");
                    self.drop_connection(slot);
                }
            },
        }
    }

    /// The session begins, on what is known of its carrier.
    pub(super) fn begin_session(&mut self, slot: usize) {
        let (facts, bindings) = self.facts(slot);
        let Some(connection) = self.lines.get_mut(slot) else { return };
        let mut seed = [0; 32];
        self.shared.chance.fill(&mut seed);
        let session =
            Session::new(self.now, std::sync::Arc::clone(&self.shared.session), facts, bindings, seed);
        connection.stage = Stage::Session(session);
        connection.deadline = None;
        self.arm(slot);
    }

    fn on_secured(&mut self, slot: usize) {
        let Some(connection) = self.lines.get_mut(slot) else { return };
        if matches!(connection.stage, Stage::Handshake) {
            self.begin_session(slot);
            return;
        }
        let (facts, bindings) = self.facts(slot);
        let Some(connection) = self.lines.get_mut(slot) else { return };
        connection.deadline = None;
        if let Stage::Session(session) = &mut connection.stage {
            session.handle_secured(self.now, facts, bindings);
        }
    }

    fn facts(&mut self, slot: usize) -> (CarrierFacts, ChannelBindings) {
        let shared = std::sync::Arc::clone(&self.shared);
        let connection = self.lines.get_mut(slot).expect("the caller holds a slot in use");
        let encrypted = connection.tls.is_some()
            || connection.flags.encrypted_by_proxy
            || connection.carrier == Carrier::Quic;
        let local = connection.remote.ip().to_canonical().is_loopback() && !connection.flags.forwarded;
        let exporter = match (&connection.tls, connection.line) {
            (Some(tls), _) => tls.exporter(),
            (None, Line::Quic { endpoint, name }) => {
                self.endpoints.get_mut(usize::from(endpoint)).and_then(|e| e.quic.exporter(name))
            }
            _ => None,
        };
        // Where a proxy has the TLS connection, its certificate is not ours to know.
        let ours = connection.tls.is_some() || connection.carrier == Carrier::Quic;
        let end_point = ours.then(|| shared.certs.end_point()).flatten();
        let facts = CarrierFacts {
            carrier: connection.carrier,
            encrypted,
            local,
            clear_text_allowed: match shared.config.security.clear_text {
                ClearText::Never => false,
                ClearText::Loopback => local,
                ClearText::Always => true,
            },
            can_starttls: connection.carrier == Carrier::Tcp && connection.tls.is_none(),
            remote: connection.remote,
        };
        (facts, ChannelBindings { exporter, end_point })
    }

    /// Takes datagrams: ours to their connections, others' to their loops.
    pub(super) fn read_datagrams(&mut self, index: usize) {
        super::accept::read_datagrams(self, index);
    }

    /// Lets QUIC speak, and hears what it says.
    pub(super) fn drive_quic(&mut self) {
        if self.endpoints.is_empty() {
            return;
        }
        let now = self.shared.clock.to_std(self.now.mono);
        for index in 0..self.endpoints.len() {
            let endpoint = &mut self.endpoints[index];
            let network = &mut *self.networks[usize::from(endpoint.network)];
            endpoint.quic.drive(now, network, endpoint.udp);
            let mut events = std::mem::take(&mut self.quic_events);
            endpoint.quic.take_events(&mut events);
            for event in events.drain(..) {
                self.on_quic(index, event);
            }
            self.quic_events = events;
        }
    }

    fn on_quic(&mut self, endpoint: usize, event: QuicEvent) {
        match event {
            QuicEvent::Opened(name) => self.open_stream(endpoint, name),
            QuicEvent::Readable(slot) => {
                let Some(connection) = self.lines.get_mut(slot) else { return };
                connection.flags.readable = true;
                if !connection.paused() {
                    self.read(slot);
                }
            }
            QuicEvent::Writable(slot) => {
                if let Some(connection) = self.lines.get_mut(slot) {
                    connection.flags.write_blocked = false;
                    self.lines.mark_dirty(slot);
                    self.lines.mark_again(slot);
                }
            }
            QuicEvent::Lost(slot) => self.on_broken(slot),
        }
    }

    fn open_stream(&mut self, endpoint: usize, name: StreamName) {
        let quic = &mut self.endpoints[endpoint].quic;
        let remote = quic.remote(name);
        let (Some(remote), true) =
            (remote, self.life == super::Life::Running && self.lines.len() < SLOTS_MAX)
        else {
            quic.release(name);
            return;
        };
        let line = Line::Quic { endpoint: endpoint as u8, name };
        let since = self.now.wall.as_millis() / 1000;
        let mut connection = Connection::new(line, Carrier::Quic, remote, since, Stage::Handshake);
        // What came with the opening is to be read.
        connection.flags.readable = true;
        self.count_up(Carrier::Quic);
        let slot = self.lines.insert(Box::new(connection));
        self.endpoints[endpoint].quic.adopt(name, slot);
        self.begin_session(slot);
        self.read(slot);
    }

    fn read_stream(&mut self, slot: usize, endpoint: u8, name: StreamName) {
        // The pieces that QUIC lends are gathered first: a session may write to other streams of the same endpoint.
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut len = 0;
        let end = self.endpoints[usize::from(endpoint)].quic.read(name, &mut buffer, &mut len);
        if len > 0 {
            self.counts.octets_in += len as u64;
            self.feed_fresh(slot, &mut buffer[..len]);
        }
        self.buffer = buffer;
        let Some(connection) = self.lines.get_mut(slot) else { return };
        match end {
            ReadEnd::Stopped => {
                if !connection.paused() {
                    self.lines.mark_again(slot);
                }
            }
            ReadEnd::Blocked => connection.flags.readable = false,
            ReadEnd::Finished => {
                connection.flags.readable = false;
                self.on_end(slot);
            }
            ReadEnd::Reset => {
                connection.flags.readable = false;
                self.on_broken(slot);
            }
        }
    }
}
