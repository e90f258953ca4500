//! TCP sockets as a program finds them on a [`Stack`].
//! Spec: RFC 9293 3.9.1 (OPEN, SEND, RECEIVE, CLOSE, STATUS, ABORT); names and behaviour are those of Linux's socket calls.
//! Owns: nothing. Invariants: no call waits, sends or receives a frame; what it wants to send leaves in the next
//! `poll_transmit`, and what happens to a socket is told by `poll_ready`, edge-triggered: call until `WouldBlock`.
//! Not here: how the calls work (`tcp_host::calls`), options (`options`), UDP (`udp`).

use crate::port::Scope;
use crate::ready::{Readiness, TcpHandle};
use crate::socket::error::{
    AcceptError, BindError, ConnectError, ListenError, RecvError, SendError, SocketError,
};
use crate::socket::options::TcpOption;
use crate::stack::Stack;
use crate::tcp_host::TcpHost;
use crate::tcp_host::floor::{IpFloor, NoOutlets};
use std::io::{ErrorKind, IoSlice};
use std::net::{Shutdown, SocketAddr};
use tcp::{Ages, Instant, SendFlags, Settings, State, TcpInfo};

/// How many of each thing the TCP of a host holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpCounts {
    /// Sockets: listeners, connections, and orphans that still have something to say.
    pub sockets: usize,
    /// Handshakes in the SYN cache.
    pub half_open: usize,
    /// Entries in TIME-WAIT.
    pub time_wait: usize,
    /// Connections that their program has closed and that go on.
    pub orphans: usize,
    /// Bytes in all buffers.
    pub buffer_bytes: usize,
}

impl Stack {
    /// Runs `act` with TCP and the floor below it.
    fn with_tcp<R>(&mut self, act: impl FnOnce(&mut TcpHost, &mut IpFloor<'_>) -> R) -> R {
        let mut nowhere = NoOutlets;
        let (tcp, mut floor) = self.tcp_and_floor(&mut nowhere);
        act(tcp, &mut floor)
    }

    /// socket(): neither bound, listening nor connected yet.
    pub fn tcp_socket(&mut self) -> Result<TcpHandle, SocketError> {
        self.tcp.socket()
    }

    /// bind(). Port 0 asks for any free port; the answer says which. `::` means IPv4 too, unless [`TcpOption::V6Only`].
    pub fn tcp_bind(&mut self, socket: TcpHandle, addr: SocketAddr) -> Result<SocketAddr, BindError> {
        self.with_tcp(|tcp, floor| tcp.bind(floor, socket, addr))
    }

    /// listen(), with `backlog + 1` connections that may wait for accept(). Unbound, it gets any port.
    pub fn tcp_listen(&mut self, socket: TcpHandle, backlog: u32) -> Result<SocketAddr, ListenError> {
        self.with_tcp(|tcp, floor| tcp.listen(floor, socket, backlog))
    }

    /// Listens on every address and port that no other listener has, as a tunnel's end does;
    /// [`tcp_local_addr`](Self::tcp_local_addr) of an accepted connection tells what its peer addressed. The interface must take
    /// any address ([`InterfaceConfig::any_address`](crate::InterfaceConfig::any_address)).
    pub fn tcp_listen_any(&mut self, socket: TcpHandle, backlog: u32) -> Result<(), ListenError> {
        self.tcp.listen_any(socket, Scope::Any, backlog)
    }

    /// socket(), SO_REUSEADDR, bind() and listen() in one, as `std::net::TcpListener::bind` does.
    pub fn tcp_listener(
        &mut self,
        now: Instant,
        addr: SocketAddr,
        backlog: u32,
    ) -> std::io::Result<TcpHandle> {
        let socket = self.tcp_socket()?;
        let made = self
            .tcp_set_option(now, socket, TcpOption::ReuseAddress(true))
            .map_err(std::io::Error::from)
            .and_then(|()| Ok(self.tcp_bind(socket, addr)?))
            .and_then(|_| Ok(self.tcp_listen(socket, backlog)?));
        if made.is_err() {
            // It was made a moment ago, so it can be closed.
            let _ = self.tcp_close(now, socket);
        }
        made.map(|_| socket)
    }

    /// accept(): the connection that has waited longest, and its peer.
    pub fn tcp_accept(&mut self, listener: TcpHandle) -> Result<(TcpHandle, SocketAddr), AcceptError> {
        self.with_tcp(|tcp, floor| tcp.accept(floor, listener))
    }

    /// connect(). The socket becomes writable when the connection is open, or reports an error that
    /// [`tcp_take_error`](Self::tcp_take_error) names. Data may be sent before. After an attempt that failed the same socket may try
    /// again; what nobody has asked for by then is told first.
    pub fn tcp_connect(
        &mut self,
        now: Instant,
        socket: TcpHandle,
        remote: SocketAddr,
    ) -> Result<(), ConnectError> {
        self.with_tcp(|tcp, floor| tcp.connect(now, floor, socket, remote))
    }

    /// socket() and connect() in one, from any port.
    pub fn tcp_connect_to(&mut self, now: Instant, remote: SocketAddr) -> std::io::Result<TcpHandle> {
        let socket = self.tcp_socket()?;
        match self.tcp_connect(now, socket, remote) {
            Ok(()) => Ok(socket),
            Err(error) => {
                let _ = self.tcp_close(now, socket); // it was made a moment ago
                Err(error.into())
            }
        }
    }

    /// send(): takes what there is room for and says how much that was.
    pub fn tcp_send(
        &mut self,
        now: Instant,
        socket: TcpHandle,
        data: &[u8],
        flags: SendFlags,
    ) -> Result<usize, SendError> {
        self.with_tcp(|tcp, floor| tcp.send(now, floor, socket, data, flags))
    }

    /// sendmsg() of several pieces, as one: no small segment ends between them.
    pub fn tcp_send_vectored(
        &mut self,
        now: Instant,
        socket: TcpHandle,
        pieces: &[IoSlice<'_>],
        flags: SendFlags,
    ) -> Result<usize, SendError> {
        let mut sent = 0;
        let mut left = pieces.iter().filter(|piece| !piece.is_empty()).peekable();
        while let Some(piece) = left.next() {
            let inner = SendFlags { more: true, end_of_record: false, urgent: false };
            let flags = if left.peek().is_some() { inner } else { flags };
            match self.tcp_send(now, socket, piece, flags) {
                Ok(taken) => {
                    sent += taken;
                    if taken < piece.len() {
                        break;
                    }
                }
                Err(_) if sent > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(sent)
    }

    /// recv(): what has arrived in order, at most as much as fits; zero octets at the end of the stream.
    pub fn tcp_recv(&mut self, now: Instant, socket: TcpHandle, out: &mut [u8]) -> Result<usize, RecvError> {
        self.with_tcp(|tcp, floor| tcp.recv(now, floor, socket, out, false))
    }

    /// recv() with MSG_PEEK: what is read stays.
    pub fn tcp_peek(&mut self, now: Instant, socket: TcpHandle, out: &mut [u8]) -> Result<usize, RecvError> {
        self.with_tcp(|tcp, floor| tcp.recv(now, floor, socket, out, true))
    }

    /// shutdown() of one direction, or both.
    pub fn tcp_shutdown(
        &mut self,
        now: Instant,
        socket: TcpHandle,
        how: Shutdown,
    ) -> Result<(), SocketError> {
        self.with_tcp(|tcp, floor| tcp.shutdown(now, floor, socket, how))
    }

    /// close(). The handle is dead; a connection delivers what is queued and finishes in the background, as SO_LINGER says.
    pub fn tcp_close(&mut self, now: Instant, socket: TcpHandle) -> Result<(), SocketError> {
        self.with_tcp(|tcp, floor| tcp.close(now, floor, socket))
    }

    /// Whether a closed connection still has something to say, or waits for the peer to have it. A driver whose program set
    /// [`TcpOption::Linger`] blocks its close() as long as this is true and the time is not over.
    pub fn tcp_is_closing(&self, socket: TcpHandle) -> bool {
        self.tcp.is_closing(socket)
    }

    /// ABORT: the peer gets RST, queued data is gone, and so is the handle.
    pub fn tcp_abort(&mut self, now: Instant, socket: TcpHandle) -> Result<(), SocketError> {
        self.with_tcp(|tcp, floor| tcp.abort(now, floor, socket))
    }

    /// setsockopt().
    pub fn tcp_set_option(
        &mut self,
        now: Instant,
        socket: TcpHandle,
        option: TcpOption,
    ) -> Result<(), SocketError> {
        self.with_tcp(|tcp, floor| tcp.set_option(now, floor, socket, option))
    }

    /// getsockopt(), all at once; a listener tells what its connections inherit.
    pub fn tcp_settings(&self, socket: TcpHandle) -> Option<&Settings> {
        self.tcp.settings(socket)
    }

    /// TCP_INFO of a connection.
    pub fn tcp_info(&self, socket: TcpHandle) -> Option<TcpInfo> {
        self.tcp.info(socket)
    }

    /// The state of the conversation with `remote` from `local`, whoever holds it: a connection, also one that its program has
    /// closed, a handshake, an entry in TIME-WAIT. `None`: nobody does, so it is CLOSED, or LISTEN if somebody listens there.
    pub fn tcp_state(&self, local: SocketAddr, remote: SocketAddr) -> Option<State> {
        self.tcp.state_of(local, remote)
    }

    /// How long ago things happened to a connection.
    pub fn tcp_ages(&self, now: Instant, socket: TcpHandle) -> Option<Ages> {
        self.tcp.ages(now, socket)
    }

    /// What holds of a socket now, as poll() would say: the level of which [`poll_ready`](Self::poll_ready) tells the edges. Of a
    /// socket that is closed, nothing.
    pub fn tcp_level(&mut self, now: Instant, socket: TcpHandle) -> Readiness {
        self.tcp.level(now, socket)
    }

    /// SO_ERROR: why the connection failed; told once, by this or by the next call that fails for it.
    pub fn tcp_take_error(&mut self, socket: TcpHandle) -> Option<ErrorKind> {
        self.tcp.take_error(socket)
    }

    /// getsockname(); for a connection, the address that the peer knows us by.
    pub fn tcp_local_addr(&self, socket: TcpHandle) -> Option<SocketAddr> {
        self.tcp.local_addr(socket)
    }

    /// getpeername().
    pub fn tcp_peer_addr(&self, socket: TcpHandle) -> Option<SocketAddr> {
        self.tcp.peer_addr(socket)
    }

    /// FIONREAD: octets that `tcp_recv` would give now.
    pub fn tcp_readable(&self, socket: TcpHandle) -> Option<usize> {
        self.tcp.readable(socket)
    }

    /// Connections that wait for `tcp_accept`.
    pub fn tcp_accept_queue_len(&self, listener: TcpHandle) -> Option<usize> {
        self.tcp.accept_queue_len(listener)
    }

    /// How many of each thing there are.
    pub fn tcp_counts(&self) -> TcpCounts {
        self.tcp.counts()
    }
}
