//! TCP like std's: `TcpListener`, `TcpStream`.
//! Owns: the handle of a socket in the stack, closed when the last clone goes. Invariants: a call blocks unless the socket is set
//! otherwise, and then says `WouldBlock`; errors are std's words.
//! Not here: what the calls do (`stack::socket::tcp`).

use crate::bell::Bell;
use crate::driver::{Net, Shared};
use stack::socket::options::TcpOption;
use stack::{Handle, Instant, Stack, TcpHandle};
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tcp::{SendFlags, State, TcpInfo};

/// Connections that wait to be accepted, as std's listeners have it.
const BACKLOG: u32 = 128;
/// No timeout.
const FOREVER: u64 = u64::MAX;

/// One socket of the stack.
struct Socket {
    net: Net,
    handle: TcpHandle,
    bell: Arc<Bell>,
    nonblocking: AtomicBool,
    read_timeout_nanos: AtomicU64,
    write_timeout_nanos: AtomicU64,
}

impl Socket {
    fn new(net: &Net, handle: TcpHandle, bell: Arc<Bell>) -> Self {
        Self {
            net: net.clone(),
            handle,
            bell,
            nonblocking: AtomicBool::new(false),
            read_timeout_nanos: AtomicU64::new(FOREVER),
            write_timeout_nanos: AtomicU64::new(FOREVER),
        }
    }

    fn shared(&self) -> &Shared {
        &self.net.shared
    }

    fn call<R>(
        &self,
        timeout_nanos: &AtomicU64,
        call: impl FnMut(&mut Stack, Instant) -> io::Result<R>,
    ) -> io::Result<R> {
        let until = if self.nonblocking.load(Ordering::Relaxed) {
            Some(std::time::Instant::now())
        } else {
            match timeout_nanos.load(Ordering::Relaxed) {
                FOREVER => None,
                nanos => Some(std::time::Instant::now() + Duration::from_nanos(nanos)),
            }
        };
        self.shared().block_on(&self.bell, until, call)
    }

    fn at_once<R>(&self, call: impl FnOnce(&mut Stack, Instant) -> R) -> R {
        self.net.with_stack(call)
    }

    fn set(&self, option: TcpOption) -> io::Result<()> {
        self.at_once(|stack, now| stack.tcp_set_option(now, self.handle, option)).map_err(io::Error::from)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        let addr = self.at_once(|stack, _| stack.tcp_local_addr(self.handle));
        addr.ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let mut core = self.shared().lock();
        let now = self.shared().now();
        let _ = core.stack.tcp_close(now, self.handle); // it may have been aborted before
        core.take_bell(Handle::Tcp(self.handle));
        self.shared().nudge(&mut core);
    }
}

/// A timeout as std takes it: zero is an error, none is for ever.
fn nanos_of(timeout: Option<Duration>) -> io::Result<u64> {
    match timeout {
        None => Ok(FOREVER),
        Some(Duration::ZERO) => Err(io::ErrorKind::InvalidInput.into()),
        Some(timeout) => Ok(u64::try_from(timeout.as_nanos()).unwrap_or(FOREVER - 1)),
    }
}

/// A socket that listens.
#[derive(Clone)]
pub struct TcpListener {
    socket: Arc<Socket>,
}

impl TcpListener {
    /// Listens at `addr`; port 0 picks one.
    ///
    /// # Errors
    /// `AddrInUse`, `AddrNotAvailable`.
    pub fn bind(net: &Net, addr: SocketAddr) -> io::Result<Self> {
        let mut core = net.shared.lock();
        let handle = core.stack.tcp_listener(net.shared.now(), addr, BACKLOG)?;
        let bell = core.hang_bell(Handle::Tcp(handle));
        drop(core);
        Ok(Self { socket: Arc::new(Socket::new(net, handle, bell)) })
    }

    /// Listens at every address and port, as the end of a tunnel does; the interface must take any address. An accepted
    /// stream's `local_addr` is where its peer meant to go.
    ///
    /// # Errors
    /// `AddrInUse` if another such listener exists.
    pub fn bind_any(net: &Net) -> io::Result<Self> {
        let mut core = net.shared.lock();
        let handle = core.stack.tcp_socket().map_err(io::Error::from)?;
        core.stack.tcp_listen_any(handle, BACKLOG).map_err(io::Error::from)?;
        let bell = core.hang_bell(Handle::Tcp(handle));
        drop(core);
        Ok(Self { socket: Arc::new(Socket::new(net, handle, bell)) })
    }

    /// The next connection.
    ///
    /// # Errors
    /// `WouldBlock` if the listener does not block.
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let socket = &self.socket;
        let forever = AtomicU64::new(FOREVER);
        let (handle, peer) =
            socket.call(&forever, |stack, _| stack.tcp_accept(socket.handle).map_err(io::Error::from))?;
        Ok((TcpStream::adopt(&socket.net, handle), peer))
    }

    /// The next connection, for a task.
    #[cfg(feature = "tokio")]
    pub fn poll_accept(
        &self,
        cx: &std::task::Context<'_>,
    ) -> std::task::Poll<io::Result<(TcpStream, SocketAddr)>> {
        let socket = &self.socket;
        let accepted = socket.shared().poll_on(&socket.bell, crate::bell::Way::In, cx, |stack, _| {
            stack.tcp_accept(socket.handle).map_err(io::Error::from)
        });
        accepted.map_ok(|(handle, peer)| (TcpStream::adopt(&socket.net, handle), peer))
    }

    /// The next connection, for a task.
    ///
    /// # Errors
    /// The host ended.
    #[cfg(feature = "tokio")]
    pub async fn accept_async(&self) -> io::Result<(TcpStream, SocketAddr)> {
        std::future::poll_fn(|cx| self.poll_accept(cx)).await
    }

    /// Where it listens.
    ///
    /// # Errors
    /// It was closed.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Whether calls say `WouldBlock` instead of blocking.
    ///
    /// # Errors
    /// Never; std's signature.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.socket.nonblocking.store(nonblocking, Ordering::Relaxed);
        Ok(())
    }
}

/// A connection. Clones are the same connection; it closes when the last one goes.
#[derive(Clone)]
pub struct TcpStream {
    socket: Arc<Socket>,
}

impl std::fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TcpStream").field("handle", &self.socket.handle).finish()
    }
}

impl std::fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TcpListener").field("handle", &self.socket.handle).finish()
    }
}

/// What a connection that is opening says, as an IO result.
fn is_open(stack: &mut Stack, handle: TcpHandle) -> io::Result<()> {
    if let Some(kind) = stack.tcp_take_error(handle) {
        return Err(kind.into());
    }
    match stack.tcp_info(handle).map(|info| info.state) {
        Some(State::SynSent | State::SynReceived) => Err(io::ErrorKind::WouldBlock.into()),
        Some(_) => Ok(()),
        None => Err(io::ErrorKind::NotConnected.into()),
    }
}

impl TcpStream {
    fn adopt(net: &Net, handle: TcpHandle) -> Self {
        let bell = net.shared.lock().hang_bell(Handle::Tcp(handle));
        Self { socket: Arc::new(Socket::new(net, handle, bell)) }
    }

    fn start(net: &Net, remote: SocketAddr) -> io::Result<Self> {
        let mut core = net.shared.lock();
        let handle = core.stack.tcp_connect_to(net.shared.now(), remote)?;
        let bell = core.hang_bell(Handle::Tcp(handle));
        net.shared.nudge(&mut core);
        drop(core);
        Ok(Self { socket: Arc::new(Socket::new(net, handle, bell)) })
    }

    /// Connects to `remote`.
    ///
    /// # Errors
    /// `ConnectionRefused`, `TimedOut`, `HostUnreachable`, `NetworkUnreachable`, `AddrNotAvailable`.
    pub fn connect(net: &Net, remote: SocketAddr) -> io::Result<Self> {
        Self::connect_until(net, remote, None)
    }

    /// As [`connect`](Self::connect), giving up after `timeout`.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub fn connect_timeout(net: &Net, remote: SocketAddr, timeout: Duration) -> io::Result<Self> {
        Self::connect_until(net, remote, Some(std::time::Instant::now() + timeout))
    }

    fn connect_until(net: &Net, remote: SocketAddr, until: Option<std::time::Instant>) -> io::Result<Self> {
        let stream = Self::start(net, remote)?;
        let socket = &stream.socket;
        let opened = socket.shared().block_on(&socket.bell, until, |stack, _| is_open(stack, socket.handle));
        match opened {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(io::ErrorKind::TimedOut.into()),
            Err(error) => Err(error),
            Ok(()) => Ok(stream),
        }
    }

    /// Connects to `remote`, for a task.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    #[cfg(feature = "tokio")]
    pub async fn connect_async(net: &Net, remote: SocketAddr) -> io::Result<Self> {
        let stream = Self::start(net, remote)?;
        let socket = &stream.socket;
        std::future::poll_fn(|cx| {
            let way = crate::bell::Way::Out;
            socket.shared().poll_on(&socket.bell, way, cx, |stack, _| is_open(stack, socket.handle))
        })
        .await?;
        Ok(stream)
    }

    /// The other end.
    ///
    /// # Errors
    /// `NotConnected`.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        let addr = self.socket.at_once(|stack, _| stack.tcp_peer_addr(self.socket.handle));
        addr.ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// This end.
    ///
    /// # Errors
    /// `NotConnected`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Ends one direction, or both.
    ///
    /// # Errors
    /// `NotConnected`.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        let handle = self.socket.handle;
        self.socket.at_once(|stack, now| stack.tcp_shutdown(now, handle, how)).map_err(io::Error::from)
    }

    /// Resets the connection.
    pub fn abort(&self) {
        let handle = self.socket.handle;
        let _ = self.socket.at_once(|stack, now| stack.tcp_abort(now, handle)); // over already: as wished
    }

    /// TCP_NODELAY.
    ///
    /// # Errors
    /// `NotConnected`.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.socket.set(TcpOption::NoDelay(nodelay))
    }

    /// Sets any option.
    ///
    /// # Errors
    /// The option cannot take the value now.
    pub fn set_option(&self, option: TcpOption) -> io::Result<()> {
        self.socket.set(option)
    }

    /// TCP_INFO.
    pub fn info(&self) -> Option<TcpInfo> {
        self.socket.at_once(|stack, _| stack.tcp_info(self.socket.handle))
    }

    /// Whether calls say `WouldBlock` instead of blocking.
    ///
    /// # Errors
    /// Never; std's signature.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.socket.nonblocking.store(nonblocking, Ordering::Relaxed);
        Ok(())
    }

    /// How long a read waits; `None`: for ever.
    ///
    /// # Errors
    /// `InvalidInput` for zero.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.socket.read_timeout_nanos.store(nanos_of(timeout)?, Ordering::Relaxed);
        Ok(())
    }

    /// How long a write waits; `None`: for ever.
    ///
    /// # Errors
    /// `InvalidInput` for zero.
    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.socket.write_timeout_nanos.store(nanos_of(timeout)?, Ordering::Relaxed);
        Ok(())
    }

    /// SO_ERROR.
    ///
    /// # Errors
    /// Never; std's signature.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        let kind = self.socket.at_once(|stack, _| stack.tcp_take_error(self.socket.handle));
        Ok(kind.map(io::Error::from))
    }
}

impl Read for &TcpStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let socket = &self.socket;
        socket.call(&socket.read_timeout_nanos, |stack, now| {
            stack.tcp_recv(now, socket.handle, buffer).map_err(io::Error::from)
        })
    }
}

impl Write for &TcpStream {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let socket = &self.socket;
        socket.call(&socket.write_timeout_nanos, |stack, now| {
            stack.tcp_send(now, socket.handle, data, SendFlags::default()).map_err(io::Error::from)
        })
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let socket = &self.socket;
        socket.call(&socket.write_timeout_nanos, |stack, now| {
            stack.tcp_send_vectored(now, socket.handle, pieces, SendFlags::default()).map_err(io::Error::from)
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for TcpStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }
}

impl Write for TcpStream {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        (&*self).write(data)
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(pieces)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(feature = "tokio")]
mod asynchronous {
    //! tokio's traits.

    use super::{SendFlags, TcpStream};
    use crate::bell::Way;
    use std::io::{self, IoSlice};
    use std::net::Shutdown;
    use std::pin::Pin;
    use std::task::{Context, Poll, ready};
    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    impl AsyncRead for TcpStream {
        fn poll_read(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let socket = &self.socket;
            let room = buffer.initialize_unfilled();
            let len = ready!(socket.shared().poll_on(&socket.bell, Way::In, cx, |stack, now| {
                stack.tcp_recv(now, socket.handle, room).map_err(io::Error::from)
            }))?;
            buffer.advance(len);
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for TcpStream {
        fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
            let socket = &self.socket;
            socket.shared().poll_on(&socket.bell, Way::Out, cx, |stack, now| {
                stack.tcp_send(now, socket.handle, data, SendFlags::default()).map_err(io::Error::from)
            })
        }

        fn poll_write_vectored(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            pieces: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let socket = &self.socket;
            socket.shared().poll_on(&socket.bell, Way::Out, cx, |stack, now| {
                stack
                    .tcp_send_vectored(now, socket.handle, pieces, SendFlags::default())
                    .map_err(io::Error::from)
            })
        }

        fn is_write_vectored(&self) -> bool {
            true
        }

        fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(self.shutdown(Shutdown::Write))
        }
    }
}
