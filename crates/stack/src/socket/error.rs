//! Why calls of a program fail: a small enum an operation, each with its word in `std::io`.
//! Spec: RFC 9293 3.9.1 names the errors; the words are those that Linux's `errno`s become in `std::io::ErrorKind`.
//! Owns: the types. Not here: why a connection ended (`tcp::End`), which is the peer's or the network's doing.

use std::fmt;
use std::io::ErrorKind;

/// Why a call on a socket failed that has no words of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketError {
    /// The handle's socket was closed.
    NoSuchSocket,
    /// As many sockets as there may be.
    TooMany,
    /// The call means nothing for a socket in its state.
    WrongState,
    /// The value is out of the option's range, or the option cannot be set any more.
    Invalid,
}

impl SocketError {
    /// Its word in `std::io`.
    pub fn kind(self) -> ErrorKind {
        match self {
            Self::NoSuchSocket => ErrorKind::NotFound,
            Self::TooMany => ErrorKind::OutOfMemory,
            Self::WrongState => ErrorKind::NotConnected,
            Self::Invalid => ErrorKind::InvalidInput,
        }
    }
}

impl fmt::Display for SocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSuchSocket => "no such socket",
            Self::TooMany => "as many sockets as there may be",
            Self::WrongState => "the socket is not connected",
            Self::Invalid => "the option cannot take this value now",
        })
    }
}

impl std::error::Error for SocketError {}

impl From<SocketError> for std::io::Error {
    fn from(error: SocketError) -> Self {
        Self::new(error.kind(), error)
    }
}

/// Why bind() failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BindError {
    /// The handle's socket was closed.
    NoSuchSocket,
    /// It is bound, listening or connected already.
    AlreadyBound,
    /// The port, or every ephemeral port, is taken.
    AddrInUse,
    /// No interface has the address.
    AddrNotAvailable,
}

impl BindError {
    /// Its word in `std::io`.
    pub fn kind(self) -> ErrorKind {
        match self {
            Self::NoSuchSocket => ErrorKind::NotFound,
            Self::AlreadyBound => ErrorKind::InvalidInput,
            Self::AddrInUse => ErrorKind::AddrInUse,
            Self::AddrNotAvailable => ErrorKind::AddrNotAvailable,
        }
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSuchSocket => "no such socket",
            Self::AlreadyBound => "the socket is bound already",
            Self::AddrInUse => "the address is in use",
            Self::AddrNotAvailable => "no interface has the address",
        })
    }
}

impl std::error::Error for BindError {}

impl From<BindError> for std::io::Error {
    fn from(error: BindError) -> Self {
        Self::new(error.kind(), error)
    }
}

/// Why listen() failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenError {
    /// The handle's socket was closed.
    NoSuchSocket,
    /// It is connected.
    Connected,
    /// Another socket listens there.
    AddrInUse,
}

impl ListenError {
    /// Its word in `std::io`.
    pub fn kind(self) -> ErrorKind {
        match self {
            Self::NoSuchSocket => ErrorKind::NotFound,
            Self::Connected => ErrorKind::InvalidInput,
            Self::AddrInUse => ErrorKind::AddrInUse,
        }
    }
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSuchSocket => "no such socket",
            Self::Connected => "the socket is connected",
            Self::AddrInUse => "another socket listens on the address",
        })
    }
}

impl std::error::Error for ListenError {}

impl From<ListenError> for std::io::Error {
    fn from(error: ListenError) -> Self {
        Self::new(error.kind(), error)
    }
}

/// Why connect() failed at once. What the peer or the network says comes later, as readiness and
/// [`take_error`](crate::Stack::tcp_take_error).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectError {
    /// The handle's socket was closed.
    NoSuchSocket,
    /// It is connected, connecting or listening.
    AlreadyConnected,
    /// Port zero, no host's address, or not of the family that the socket is bound to.
    InvalidAddress,
    /// The four-tuple is in use, or every ephemeral port is.
    AddrNotAvailable,
    /// No route.
    NetworkUnreachable,
    /// The attempt before this one failed, for this reason, which nobody had asked for. The next call tries again.
    Failed(ErrorKind),
}

impl ConnectError {
    /// Its word in `std::io`.
    pub fn kind(self) -> ErrorKind {
        match self {
            Self::NoSuchSocket => ErrorKind::NotFound,
            Self::AlreadyConnected => ErrorKind::InvalidInput,
            Self::InvalidAddress => ErrorKind::InvalidInput,
            Self::AddrNotAvailable => ErrorKind::AddrNotAvailable,
            Self::NetworkUnreachable => ErrorKind::NetworkUnreachable,
            Self::Failed(kind) => kind,
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSuchSocket => "no such socket",
            Self::AlreadyConnected => "the socket is connected or listening already",
            Self::InvalidAddress => "no connection can go to this address",
            Self::AddrNotAvailable => "no local port is free for this destination",
            Self::NetworkUnreachable => "no route to the destination",
            Self::Failed(kind) => return write!(f, "the last attempt failed: {kind}"),
        })
    }
}

impl std::error::Error for ConnectError {}

impl From<ConnectError> for std::io::Error {
    fn from(error: ConnectError) -> Self {
        Self::new(error.kind(), error)
    }
}

/// Why accept() has nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AcceptError {
    /// The handle's socket was closed.
    NoSuchSocket,
    /// The socket does not listen.
    NotListening,
    /// Nobody is waiting.
    WouldBlock,
}

impl AcceptError {
    /// Its word in `std::io`.
    pub fn kind(self) -> ErrorKind {
        match self {
            Self::NoSuchSocket => ErrorKind::NotFound,
            Self::NotListening => ErrorKind::InvalidInput,
            Self::WouldBlock => ErrorKind::WouldBlock,
        }
    }
}

impl fmt::Display for AcceptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSuchSocket => "no such socket",
            Self::NotListening => "the socket does not listen",
            Self::WouldBlock => "no connection is waiting",
        })
    }
}

impl std::error::Error for AcceptError {}

impl From<AcceptError> for std::io::Error {
    fn from(error: AcceptError) -> Self {
        Self::new(error.kind(), error)
    }
}

/// Why send() took nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendError {
    /// The handle's socket was closed.
    NoSuchSocket,
    /// connect() has not been called.
    NotConnected,
    /// The queue, or the host's budget, is full.
    WouldBlock,
    /// The writing side is shut, or the connection has ended.
    BrokenPipe,
    /// The connection has failed; the word says how.
    Failed(ErrorKind),
}

impl SendError {
    /// Its word in `std::io`.
    pub fn kind(self) -> ErrorKind {
        match self {
            Self::NoSuchSocket => ErrorKind::NotFound,
            Self::NotConnected => ErrorKind::NotConnected,
            Self::WouldBlock => ErrorKind::WouldBlock,
            Self::BrokenPipe => ErrorKind::BrokenPipe,
            Self::Failed(kind) => kind,
        }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchSocket => f.write_str("no such socket"),
            Self::NotConnected => f.write_str("the socket is not connected"),
            Self::WouldBlock => f.write_str("no room to queue the data"),
            Self::BrokenPipe => f.write_str("the connection sends no more"),
            Self::Failed(kind) => kind.fmt(f),
        }
    }
}

impl std::error::Error for SendError {}

impl From<SendError> for std::io::Error {
    fn from(error: SendError) -> Self {
        Self::new(error.kind(), error)
    }
}

/// Why recv() has nothing. The end of the stream is no error but zero octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecvError {
    /// The handle's socket was closed.
    NoSuchSocket,
    /// connect() has not been called.
    NotConnected,
    /// Nothing has arrived.
    WouldBlock,
    /// The connection has failed; the word says how.
    Failed(ErrorKind),
}

impl RecvError {
    /// Its word in `std::io`.
    pub fn kind(self) -> ErrorKind {
        match self {
            Self::NoSuchSocket => ErrorKind::NotFound,
            Self::NotConnected => ErrorKind::NotConnected,
            Self::WouldBlock => ErrorKind::WouldBlock,
            Self::Failed(kind) => kind,
        }
    }
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchSocket => f.write_str("no such socket"),
            Self::NotConnected => f.write_str("the socket is not connected"),
            Self::WouldBlock => f.write_str("nothing has arrived"),
            Self::Failed(kind) => kind.fmt(f),
        }
    }
}

impl std::error::Error for RecvError {}

impl From<RecvError> for std::io::Error {
    fn from(error: RecvError) -> Self {
        Self::new(error.kind(), error)
    }
}
