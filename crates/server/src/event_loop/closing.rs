//! How connections end. Whoever closes first pays 2MSL, so the client is given time to.
//! Spec: RFC 6120 4.4; RFC 6455 7.1.1 (WebSocket: the server closes first); DESIGN section 5.
//! Invariants: every connection that ends here has told the router, once, with what its client had not confirmed; none
//! outlives its deadline; what can still be read is read before the socket closes, so that no RST cuts our last words.
//! Not here: what is said at the end (`session`, `flush`).

use std::sync::atomic::Ordering;

use session::{Carrier, EndReason, Event};
use xmpp::StreamErrorKind;

use super::EventLoop;
use super::parked::{ParkedFacts, undelivered};
use crate::admin;
use crate::connection::{Connection, Line, Stage};
use crate::counts::LoopCounts;
use framing::websocket::{self, CloseCode};

impl EventLoop {
    /// The conversation is over: the router is told, the rest of the output goes out, the client may close first.
    pub(super) fn finish(&mut self, slot: usize, reason: EndReason) {
        let Some(name) = self.lines.name(slot) else { return };
        let Some(connection) = self.lines.get_mut(slot) else { return };
        let stage = std::mem::replace(&mut connection.stage, Stage::Closing);
        if matches!(stage, Stage::Closing) {
            return;
        }
        connection.flags.awaits_room = false;
        connection.flags.moving = false;
        connection.backlog = None;
        connection.deadline = Some(self.now.mono + self.shared.config.close.fin_wait);
        let ended = connection.flags.ended;
        if std::mem::take(&mut connection.flags.bound)
            && let Stage::Session(mut session) = stage
        {
            let network = match connection.line {
                Line::Stream { network, .. } => network,
                Line::Quic { endpoint, .. } => self.endpoints[usize::from(endpoint)].network,
                Line::Moving => 0,
            };
            let network = self.networks[usize::from(network)].name();
            let facts = ParkedFacts::of(connection, &session, network);
            match facts.and_then(|facts| Some((facts, session.park(reason)?))) {
                Some((facts, parked)) => self.park(name, &facts, parked),
                None => {
                    let undelivered = undelivered(session.take_unacked());
                    self.router.handle_unbound(self.now, name.to_id(), undelivered);
                }
            }
        }
        if let Some(connection) = self.lines.get_mut(slot) {
            tracing::debug!(
                number = connection.number.map(|n| n.get()),
                remote = %connection.remote,
                carrier = connection.carrier.name(),
                %reason,
                "a session ended"
            );
            self.counts.end(reason);
            connection.flags.ended_first = matches!(reason, EndReason::Error(_) | EndReason::Exchange);
            connection.flags.ended = ended;
        }
        self.lines.mark_dirty(slot);
        // What the client still sends is read and thrown away.
        self.lines.mark_again(slot);
    }

    /// The client's end has been read.
    pub(super) fn on_end(&mut self, slot: usize) {
        let Some(connection) = self.lines.get_mut(slot) else { return };
        connection.flags.ended = true;
        match &mut connection.stage {
            Stage::Session(session) => {
                session.handle_eof();
                let reason = match session.poll_event() {
                    Some(Event::Finished { reason }) => reason,
                    _ => EndReason::ConnectionLost,
                };
                self.finish(slot, reason);
                self.drain_router();
            }
            Stage::Closing => self.close_if_done(slot),
            // It never said a word.
            Stage::Proxy(_) | Stage::Handshake => self.drop_connection(slot),
        }
    }

    /// The line is broken: nothing more goes in or out.
    pub(super) fn on_broken(&mut self, slot: usize) {
        let Some(connection) = self.lines.get_mut(slot) else { return };
        if let Some(outbox) = &mut connection.outbox {
            outbox.clear();
        }
        connection.flags.ended = true;
        connection.flags.finished = true;
        connection.flags.write_blocked = false;
        if let Stage::Session(session) = &mut connection.stage {
            session.handle_eof();
        }
        self.finish(slot, EndReason::ConnectionLost);
        self.drain_router();
        self.drop_connection(slot);
    }

    /// A WebSocket's Close came, or has to be sent for a reason.
    pub(super) fn on_websocket_close(&mut self, slot: usize, code: CloseCode) {
        let Some((connection, _)) = self.lines.with_pools(slot) else { return };
        if let Stage::Session(session) = &mut connection.stage {
            // RFC 7395 3.6: a Close without a closing document is a connection that was lost.
            session.handle_eof();
        }
        if let Some(outbox) = &mut connection.outbox
            && code != CloseCode::Normal
        {
            outbox.clear();
        }
        if let Some(socket) = &mut connection.websocket
            && code != CloseCode::Normal
        {
            if !std::mem::replace(&mut socket.close_sent, true) {
                websocket::write_close(code, &mut socket.frames);
            }
            // RFC 6455 7.1.7: a connection that failed is not waited for. Else, once both have said Close, the server
            // closes (7.1.1).
            socket.close_received = true;
        }
        self.lines.mark_dirty(slot);
        self.finish(slot, EndReason::ConnectionLost);
        self.drain_router();
    }

    /// Closes a connection that has said all and heard all it waits for.
    pub(super) fn close_if_done(&mut self, slot: usize) {
        let Some(connection) = self.lines.get_mut(slot) else { return };
        if !matches!(connection.stage, Stage::Closing) || !connection.flags.finished {
            return;
        }
        let ours = match &connection.websocket {
            Some(socket) => socket.close_received,
            // QUIC delivers what was written whoever closes first, and no address is left waiting.
            None => connection.flags.close_is_ours || matches!(connection.line, Line::Quic { .. }),
        };
        if connection.flags.ended || ours {
            self.drop_connection(slot);
        }
    }

    /// A connection's deadline, its own or its session's.
    pub(super) fn on_deadline(&mut self, slot: usize) {
        let now = self.now;
        let Some(connection) = self.lines.get_mut(slot) else { return };
        if connection.deadline.is_some_and(|at| at <= now.mono) {
            if matches!(connection.stage, Stage::Session(_)) {
                // STARTTLS was begun and never finished.
                self.finish(slot, EndReason::ConnectionLost);
                self.drain_router();
            }
            self.drop_connection(slot);
            return;
        }
        if let Stage::Session(_) = connection.stage
            && let Some(name) = self.lines.name(slot)
        {
            self.tell(name.to_id(), |session, outbox| session.handle_timer(now, outbox));
        }
    }

    /// Closes the line and forgets the connection.
    pub(super) fn drop_connection(&mut self, slot: usize) {
        if let Some(connection) = self.lines.get_mut(slot)
            && matches!(connection.stage, Stage::Session(_))
        {
            self.finish(slot, EndReason::ConnectionLost);
            self.drain_router();
        }
        let Some(connection) = self.lines.remove(slot) else { return };
        match connection.line {
            Line::Stream { network, socket } => {
                let network = &mut self.networks[usize::from(network)];
                if !connection.flags.ended {
                    // Octets that wait unread would turn our close into a reset.
                    for _ in 0..16 {
                        if !network.recv(socket, &mut self.buffer).is_ok_and(|received| received.len > 0) {
                            break;
                        }
                    }
                }
                network.close(socket);
            }
            Line::Quic { endpoint, name } => {
                if let Some(endpoint) = self.endpoints.get_mut(usize::from(endpoint)) {
                    endpoint.quic.release(name);
                }
            }
            Line::Moving => {}
        }
        self.count_down(connection.carrier);
        if self.accept_again.is_some() {
            // A descriptor is free again.
            self.accept_again = Some(self.now.mono);
        }
    }

    /// The exchange is leaving: every client is asked to go.
    pub(super) fn ask_all_to_leave(&mut self) {
        for slot in self.lines.slots() {
            self.ask_to_leave(slot);
        }
        self.drain_router();
    }

    pub(super) fn ask_to_leave(&mut self, slot: usize) {
        let Some((connection, pools)) = self.lines.with_pools(slot) else { return };
        match &mut connection.stage {
            Stage::Session(session) => {
                let outbox = pools.outbox(&mut connection.outbox, connection.carrier.is_framed());
                // RFC 6120 4.9.3.20.
                session.handle_close(Some(StreamErrorKind::SystemShutdown), outbox);
                let reason = match session.poll_event() {
                    Some(Event::Finished { reason }) => reason,
                    _ => EndReason::Error(StreamErrorKind::SystemShutdown),
                };
                self.finish(slot, reason);
                self.drain_router();
                // The drain is the bound here, not the usual wait.
                if let Some(connection) = self.lines.get_mut(slot) {
                    connection.deadline = Some(self.now.mono + self.shared.config.close.drain);
                }
            }
            Stage::Proxy(_) | Stage::Handshake => self.drop_connection(slot),
            Stage::Closing => {}
        }
    }

    /// Time is up: what is left is closed.
    pub(super) fn close_all(&mut self) {
        for slot in self.lines.slots() {
            self.flush(slot);
            self.drop_connection(slot);
        }
        let now = self.shared.clock.to_std(self.now.mono);
        for endpoint in &mut self.endpoints {
            endpoint.quic.close_all(now);
        }
        self.drain_router();
    }

    /// Every line, for `switchboard who`.
    pub(crate) fn who(&self) -> Vec<admin::Line> {
        let connected = self.lines.iter().map(|connection| self.line_of(connection));
        connected.chain(self.parked.who()).collect()
    }

    pub(super) fn line_of(&self, connection: &Connection) -> admin::Line {
        let (network, remote) = match connection.line {
            Line::Stream { network, .. } => (network, None),
            Line::Quic { endpoint, name } => {
                let endpoint = &self.endpoints[usize::from(endpoint)];
                // A QUIC client may have moved (RFC 9000 9).
                (endpoint.network, endpoint.quic.remote(name))
            }
            Line::Moving => (0, None),
        };
        admin::Line {
            number: connection.number.map(|number| number.get()),
            resource: connection.resource.as_deref().map(str::to_owned),
            carrier: connection.carrier.name().to_owned(),
            network: self.networks[usize::from(network)].name().to_owned(),
            remote: remote.unwrap_or(connection.remote),
            state: connection.state().to_owned(),
            encrypted: match &connection.stage {
                Stage::Session(session) => session.facts().encrypted,
                _ => connection.tls.is_some(),
            },
            since: connection.since.into(),
        }
    }

    pub(super) fn count_up(&mut self, carrier: Carrier) {
        self.counts.opened[LoopCounts::carrier(carrier)] += 1;
        self.shared.connections.fetch_add(1, Ordering::Relaxed);
    }
}
