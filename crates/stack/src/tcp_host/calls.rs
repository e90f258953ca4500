//! The calls of a program that uses TCP.
//! Spec: RFC 9293 3.9.1 (OPEN, SEND, RECEIVE, CLOSE, STATUS, ABORT, and its asynchronous reports); behaviour as Linux's.
//! Owns: which call a socket's state permits, and what the refusal is called. Borrows: `TcpHost`'s tables.
//! Invariants: no call waits; what would wait says `WouldBlock`, and readiness tells when to ask again.
//! Not here: connect() (`connect`), the same calls as a program finds them (`socket::tcp`), options (`socket::options`), the words of refusals
//! (`socket::error`), what a call does to a connection (`tcp`).

use super::TcpHost;
use super::below::Below;
use super::flows::Place;
use super::socket::{ConnectedBits, Fresh, Kind, Socket};
use crate::flow::FlowKey;
use crate::listener::Listener;
use crate::port::{Scope, Sharing};
use crate::ready::{Readiness, TcpHandle};
use crate::socket::error::{AcceptError, BindError, ListenError, RecvError, SendError, SocketError};
use crate::socket::tcp::TcpCounts;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr};
use tcp::{Ages, Ctx, Instant, SendFlags, State, TcpInfo};

impl TcpHost {
    /// The state of whatever has a four-tuple: a connection, a handshake, an entry in TIME-WAIT.
    pub(crate) fn state_of(&self, local: SocketAddr, remote: SocketAddr) -> Option<State> {
        let key = FlowKey::new(local, remote);
        // Often asked about the connection of the latest segment, which is found without a hash.
        let place = match self.flows.recall(&key) {
            Some(index) => Place::Socket(index),
            None => self.flows.find(&key, self.flows.hash(&key))?,
        };
        match place {
            Place::Socket(index) => match &self.flows.sockets.get(index)?.kind {
                Kind::Connected(connected) => Some(connected.connection.state()),
                Kind::Fresh(_) | Kind::Listening(_) => None,
            },
            Place::TimeWait(_) => Some(State::TimeWait),
            Place::Syn(_) => Some(State::SynReceived),
        }
    }

    pub(crate) fn socket(&mut self) -> Result<TcpHandle, SocketError> {
        if self.sockets_len() >= self.config.sockets_max {
            return Err(SocketError::TooMany);
        }
        let fresh = Fresh {
            bound: None,
            sharing: Sharing::default(),
            v6_only: false,
            settings: self.config.connection.defaults.clone(),
        };
        let (index, generation) = self.flows.sockets.insert(Socket::new(Kind::Fresh(fresh)));
        Ok(TcpHandle { index, generation })
    }

    pub(super) fn fresh_mut(&mut self, handle: TcpHandle) -> Option<&mut Kind> {
        let index = self.index(handle)?;
        self.flows.sockets.get_mut(index).map(|socket| &mut socket.kind)
    }

    /// bind(). Port 0 asks for any port.
    pub(crate) fn bind<B: Below>(
        &mut self,
        below: &mut B,
        handle: TcpHandle,
        addr: SocketAddr,
    ) -> Result<SocketAddr, BindError> {
        let kind = self.fresh_mut(handle).ok_or(BindError::NoSuchSocket)?;
        let Kind::Fresh(fresh) = kind else { return Err(BindError::AlreadyBound) };
        if fresh.bound.is_some() {
            return Err(BindError::AlreadyBound);
        }
        let scope = Scope::of(addr.ip(), fresh.v6_only);
        let sharing = fresh.sharing;
        if matches!(scope, Scope::One(ip) if !below.may_bind(ip)) {
            return Err(BindError::AddrNotAvailable);
        }
        let port = if addr.port() == 0 {
            self.ports.bind_any(handle.index, scope, sharing)
        } else {
            self.ports.bind(handle.index, scope, addr.port(), sharing).map(|()| addr.port())
        };
        let port = port.map_err(|_| BindError::AddrInUse)?;
        let local = SocketAddr::new(addr.ip(), port);
        if let Some(Kind::Fresh(fresh)) = self.fresh_mut(handle) {
            fresh.bound = Some((scope, local));
        }
        Ok(local)
    }

    /// listen(). A socket that is not bound gets an ephemeral port on any address, as in Linux. Calling it again changes the
    /// backlog.
    pub(crate) fn listen<B: Below>(
        &mut self,
        below: &mut B,
        handle: TcpHandle,
        backlog: u32,
    ) -> Result<SocketAddr, ListenError> {
        let backlog = backlog.min(self.config.backlog_max);
        match self.fresh_mut(handle).ok_or(ListenError::NoSuchSocket)? {
            Kind::Connected(_) => return Err(ListenError::Connected),
            Kind::Listening(listener) => {
                listener.set_backlog(backlog);
                return Ok(self.local_addr(handle).unwrap_or(UNSPECIFIED));
            }
            Kind::Fresh(fresh) if fresh.bound.is_none() => {
                self.bind(below, handle, UNSPECIFIED).map_err(|_| ListenError::AddrInUse)?;
            }
            Kind::Fresh(_) => {}
        }
        let Some(Kind::Fresh(fresh)) = self.fresh_mut(handle) else { return Err(ListenError::NoSuchSocket) };
        let Some((scope, local)) = fresh.bound else { return Err(ListenError::AddrInUse) };
        let (sharing, settings) = (fresh.sharing, fresh.settings.clone());
        self.ports.listen(handle.index, local.port()).map_err(|_| ListenError::AddrInUse)?;
        let listener = Listener::new(scope, local.port(), sharing, settings, backlog);
        if let Some(kind) = self.fresh_mut(handle) {
            *kind = Kind::Listening(Box::new(listener));
        }
        self.listeners.add(scope, local.port(), handle.index);
        Ok(local)
    }

    /// A listener for every port and address, as a tunnel's end wants: connections tell the original destination as their
    /// local address. Listeners of particular ports come before it.
    pub(crate) fn listen_any(
        &mut self,
        handle: TcpHandle,
        scope: Scope,
        backlog: u32,
    ) -> Result<(), ListenError> {
        let backlog = backlog.min(self.config.backlog_max);
        let kind = self.fresh_mut(handle).ok_or(ListenError::NoSuchSocket)?;
        let Kind::Fresh(fresh) = kind else { return Err(ListenError::Connected) };
        if fresh.bound.is_some() {
            return Err(ListenError::AddrInUse);
        }
        let listener = Listener::new(scope, 0, fresh.sharing, fresh.settings.clone(), backlog);
        *kind = Kind::Listening(Box::new(listener));
        self.listeners.add(scope, 0, handle.index);
        Ok(())
    }

    /// accept(): the next connection and where it comes from. Its local address is what the peer addressed.
    pub(crate) fn accept<B: Below>(
        &mut self,
        below: &mut B,
        handle: TcpHandle,
    ) -> Result<(TcpHandle, SocketAddr), AcceptError> {
        let kind = self.fresh_mut(handle).ok_or(AcceptError::NoSuchSocket)?;
        let Kind::Listening(listener) = kind else { return Err(AcceptError::NotListening) };
        let index = listener.pop().ok_or(AcceptError::WouldBlock)?;
        let accepted = self.handle(index);
        let socket = self.flows.sockets.get_mut(index).ok_or(AcceptError::WouldBlock)?;
        let connected = socket.connected_mut().ok_or(AcceptError::WouldBlock)?;
        let pending = core::mem::take(&mut connected.pending);
        connected.bits.clear(ConnectedBits::UNACCEPTED);
        connected.bits.set(ConnectedBits::OWNED);
        let remote = connected.key.remote();
        // What happened while nobody owned it is told now.
        self.raise(below, index, pending);
        Ok((accepted, remote))
    }

    /// The connection of a handle.
    fn connected(&mut self, handle: TcpHandle) -> Result<u32, SocketError> {
        let index = self.index(handle).ok_or(SocketError::NoSuchSocket)?;
        match self.flows.sockets.get_mut(index).map(|socket| &socket.kind) {
            Some(Kind::Connected(_)) => Ok(index),
            _ => Err(SocketError::WrongState),
        }
    }

    /// send().
    pub(crate) fn send<B: Below>(
        &mut self,
        now: Instant,
        below: &mut B,
        handle: TcpHandle,
        data: &[u8],
        flags: SendFlags,
    ) -> Result<usize, SendError> {
        let index = self.connected(handle).map_err(|error| match error {
            SocketError::NoSuchSocket => SendError::NoSuchSocket,
            _ => SendError::NotConnected,
        })?;
        let taken = self
            .with_connection(now, index, |connected, ctx| connected.connection.send(ctx, data, flags))
            .ok_or(SendError::NoSuchSocket)?;
        let starved = match taken {
            Ok(taken) => taken < data.len() && self.memory.budget.under_pressure(),
            Err(error) => error == tcp::SendError::NoMemory,
        };
        // No event of the connection tells when others have given memory back.
        if starved {
            self.wait_for_budget(index);
        }
        self.after(now, below, index);
        taken.map_err(|error| match error {
            tcp::SendError::WouldBlock | tcp::SendError::NoMemory => SendError::WouldBlock,
            tcp::SendError::Shut => SendError::BrokenPipe,
            tcp::SendError::Ended(_) => {
                self.take_error(handle).map_or(SendError::BrokenPipe, SendError::Failed)
            }
        })
    }

    /// recv(); with `peek`, what is read stays.
    pub(crate) fn recv<B: Below>(
        &mut self,
        now: Instant,
        below: &mut B,
        handle: TcpHandle,
        out: &mut [u8],
        peek: bool,
    ) -> Result<usize, RecvError> {
        let index = self.connected(handle).map_err(|error| match error {
            SocketError::NoSuchSocket => RecvError::NoSuchSocket,
            _ => RecvError::NotConnected,
        })?;
        let got = self
            .with_connection(now, index, |connected, ctx| {
                let connection = &mut connected.connection;
                if peek && connection.readable() > 0 {
                    return Ok(connection.peek().copy_to(out));
                }
                connection.recv(ctx, out)
            })
            .ok_or(RecvError::NoSuchSocket)?;
        if !peek {
            self.after(now, below, index);
        }
        match got {
            Ok(len) => Ok(len),
            Err(tcp::RecvError::WouldBlock) => Err(RecvError::WouldBlock),
            // As Linux: the error is told once; after that there is nothing more to read.
            Err(tcp::RecvError::Ended(_)) => {
                self.take_error(handle).map_or(Ok(0), |kind| Err(RecvError::Failed(kind)))
            }
        }
    }

    /// shutdown().
    pub(crate) fn shutdown<B: Below>(
        &mut self,
        now: Instant,
        below: &mut B,
        handle: TcpHandle,
        how: Shutdown,
    ) -> Result<(), SocketError> {
        let index = self.connected(handle)?;
        self.with_connection(now, index, |connected, ctx| {
            if matches!(how, Shutdown::Read | Shutdown::Both) {
                connected.connection.shutdown_read(ctx);
            }
            if matches!(how, Shutdown::Write | Shutdown::Both) {
                connected.connection.shutdown_write(ctx);
            }
        });
        self.after(now, below, index);
        Ok(())
    }

    /// close(): the handle is worth nothing any more. A connection goes on in the background as SO_LINGER says, as long as
    /// there are not too many such orphans.
    pub(crate) fn close<B: Below>(
        &mut self,
        now: Instant,
        below: &mut B,
        handle: TcpHandle,
    ) -> Result<(), SocketError> {
        let index = self.index(handle).ok_or(SocketError::NoSuchSocket)?;
        self.let_go(now, below, index, false);
        Ok(())
    }

    /// ABORT (RFC 9293 3.9.1.5): RST, and everything queued is gone.
    pub(crate) fn abort<B: Below>(
        &mut self,
        now: Instant,
        below: &mut B,
        handle: TcpHandle,
    ) -> Result<(), SocketError> {
        let index = self.index(handle).ok_or(SocketError::NoSuchSocket)?;
        self.let_go(now, below, index, true);
        Ok(())
    }

    fn let_go<B: Below>(&mut self, now: Instant, below: &mut B, index: u32, abort: bool) {
        let Some(socket) = self.flows.sockets.get_mut(index) else { return };
        if let Some(pending) = socket.pending_mut() {
            *pending = Readiness::NONE;
        }
        match &mut socket.kind {
            Kind::Fresh(fresh) => {
                if let Some((_, local)) = fresh.bound {
                    self.ports.unbind(index, local.port());
                }
                self.free(index);
            }
            Kind::Listening(listener) => {
                let port = listener.port;
                let waiting: Vec<u32> = listener.drain().collect();
                self.listeners.remove(port, index);
                self.ports.unbind(index, port);
                self.free(index);
                // Nobody will accept them: as Linux, they are reset.
                for child in waiting {
                    self.let_go(now, below, child, true);
                }
            }
            Kind::Connected(connected) => {
                connected.bits.clear(ConnectedBits::OWNED);
                connected.bits.clear(ConnectedBits::UNACCEPTED);
                let abort = abort || self.orphans() >= self.config.orphans_max;
                self.adopt_orphan();
                self.with_connection(now, index, |connected, ctx| {
                    if abort {
                        connected.connection.abort(ctx);
                    }
                    connected.connection.close(ctx);
                });
                self.after(now, below, index);
            }
        }
    }

    /// The socket's own address: bound, or the connection's, which on a tunnel is what the peer addressed.
    pub(crate) fn local_addr(&self, handle: TcpHandle) -> Option<SocketAddr> {
        let index = self.index(handle)?;
        match &self.flows.sockets.get(index)?.kind {
            Kind::Fresh(fresh) => fresh.bound.map(|(_, addr)| addr),
            Kind::Listening(listener) => Some(SocketAddr::new(unspecified(listener.scope), listener.port)),
            Kind::Connected(connected) => Some(connected.key.local()),
        }
    }

    /// The peer's address.
    pub(crate) fn peer_addr(&self, handle: TcpHandle) -> Option<SocketAddr> {
        let index = self.index(handle)?;
        match &self.flows.sockets.get(index)?.kind {
            Kind::Connected(connected) => Some(connected.key.remote()),
            Kind::Fresh(_) | Kind::Listening(_) => None,
        }
    }

    /// SO_ERROR: why the connection failed, told once.
    pub(crate) fn take_error(&mut self, handle: TcpHandle) -> Option<ErrorKind> {
        let index = self.index(handle)?;
        match &mut self.flows.sockets.get_mut(index)?.kind {
            Kind::Fresh(_) | Kind::Listening(_) => None,
            Kind::Connected(connected) => {
                let told = connected.bits.has(ConnectedBits::ERROR_TOLD);
                let kind = connected.connection.end().and_then(|end| end.error_kind()).filter(|_| !told);
                if kind.is_some() {
                    connected.bits.set(ConnectedBits::ERROR_TOLD);
                }
                kind
            }
        }
    }

    /// STATUS (RFC 9293 3.9.1.6), TCP_INFO.
    pub(crate) fn info(&self, handle: TcpHandle) -> Option<TcpInfo> {
        let index = self.index(handle)?;
        match &self.flows.sockets.get(index)?.kind {
            Kind::Connected(connected) => Some(connected.connection.info(&self.config.connection)),
            Kind::Fresh(_) | Kind::Listening(_) => None,
        }
    }

    pub(crate) fn ages(&self, now: Instant, handle: TcpHandle) -> Option<Ages> {
        let index = self.index(handle)?;
        match &self.flows.sockets.get(index)?.kind {
            Kind::Connected(connected) => Some(connected.connection.ages(now)),
            Kind::Fresh(_) | Kind::Listening(_) => None,
        }
    }

    /// What holds now (Linux's `tcp_poll`).
    pub(crate) fn level(&mut self, now: Instant, handle: TcpHandle) -> Readiness {
        let Some(index) = self.index(handle) else { return Readiness::NONE };
        let Some(socket) = self.flows.sockets.get_mut(index) else { return Readiness::NONE };
        match &socket.kind {
            Kind::Fresh(_) => Readiness::WRITABLE | Readiness::HANGUP,
            Kind::Listening(listener) if listener.len() > 0 => Readiness::READABLE,
            Kind::Listening(_) => Readiness::NONE,
            Kind::Connected(connected) => {
                let ctx = Ctx::new(now, &self.config.connection, &mut self.memory);
                let connection = &connected.connection;
                let failed = connection.end().is_some_and(|end| end.error_kind().is_some())
                    && !connected.bits.has(ConnectedBits::ERROR_TOLD);
                let ended = connection.state() == State::Closed;
                let table = [
                    (connection.is_readable() && connection.state() != State::SynSent, Readiness::READABLE),
                    (connection.is_writable(&ctx), Readiness::WRITABLE),
                    (failed, Readiness::ERROR),
                    (ended, Readiness::HANGUP),
                    (connection.urgent_ahead().is_some(), Readiness::PRIORITY),
                    (ended || connection.state().peer_has_finished(), Readiness::READ_CLOSED),
                ];
                table.into_iter().filter(|(holds, _)| *holds).fold(Readiness::NONE, |all, (_, bit)| all | bit)
            }
        }
    }

    /// Octets that recv() would give now (FIONREAD, TCP_INQ).
    pub(crate) fn readable(&self, handle: TcpHandle) -> Option<usize> {
        let index = self.index(handle)?;
        match &self.flows.sockets.get(index)?.kind {
            Kind::Connected(connected) => Some(connected.connection.readable()),
            Kind::Fresh(_) | Kind::Listening(_) => None,
        }
    }

    pub(crate) fn counts(&self) -> TcpCounts {
        TcpCounts {
            sockets: self.sockets_len(),
            half_open: self.half_open_len(),
            time_wait: self.time_wait_len(),
            orphans: self.orphans(),
            buffer_bytes: self.memory.budget.used(),
        }
    }

    /// The state of a connection; `None` for a socket that is none.
    #[cfg(test)]
    pub(crate) fn state(&self, handle: TcpHandle) -> Option<State> {
        self.info(handle).map(|info| info.state)
    }

    /// Connections that wait for accept().
    pub(crate) fn accept_queue_len(&self, handle: TcpHandle) -> Option<usize> {
        let index = self.index(handle)?;
        match &self.flows.sockets.get(index)?.kind {
            Kind::Listening(listener) => Some(listener.len()),
            Kind::Fresh(_) | Kind::Connected(_) => None,
        }
    }
}

const UNSPECIFIED: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0);

fn unspecified(scope: Scope) -> IpAddr {
    match scope {
        Scope::One(addr) => addr,
        Scope::AnyV4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Scope::Any | Scope::AnyV6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}
