//! UDP like std's: `UdpSocket`.
//! Owns: the handle of a socket in the stack, closed when the last clone goes.
//! Not here: what the calls do (`stack::socket::udp`).

use crate::bell::Bell;
use crate::driver::Net;
use stack::socket::udp::{UdpOptions, UdpReceived, UdpSend};
use stack::{Handle, InterfaceId, UdpHandle};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

struct Socket {
    net: Net,
    handle: UdpHandle,
    bell: Arc<Bell>,
    nonblocking: AtomicBool,
    /// `u64::MAX`: for ever.
    read_timeout_nanos: AtomicU64,
}

impl Drop for Socket {
    fn drop(&mut self) {
        let mut core = self.net.shared.lock();
        let _ = core.stack.udp_close(self.handle); // nobody else could have closed it
        core.take_bell(Handle::Udp(self.handle));
    }
}

/// A UDP socket. Clones are the same socket.
#[derive(Clone)]
pub struct UdpSocket {
    socket: Arc<Socket>,
}

impl std::fmt::Debug for UdpSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UdpSocket").field("handle", &self.socket.handle).finish()
    }
}

impl UdpSocket {
    /// A socket at `addr`; port 0 picks one.
    ///
    /// # Errors
    /// `AddrInUse`, `AddrNotAvailable`.
    pub fn bind(net: &Net, addr: SocketAddr) -> io::Result<Self> {
        let mut core = net.shared.lock();
        let handle = core.stack.udp_bind(addr)?;
        let bell = core.hang_bell(Handle::Udp(handle));
        drop(core);
        let socket = Socket {
            net: net.clone(),
            handle,
            bell,
            nonblocking: AtomicBool::new(false),
            read_timeout_nanos: AtomicU64::new(u64::MAX),
        };
        Ok(Self { socket: Arc::new(socket) })
    }

    /// Talks to `remote` only.
    ///
    /// # Errors
    /// `NetworkUnreachable`, `InvalidInput`.
    pub fn connect(&self, remote: SocketAddr) -> io::Result<()> {
        let socket = &self.socket;
        Ok(socket.net.with_stack(|stack, _| stack.udp_connect(socket.handle, remote))?)
    }

    fn until(&self) -> Option<std::time::Instant> {
        let now = std::time::Instant::now();
        if self.socket.nonblocking.load(Ordering::Relaxed) {
            return Some(now);
        }
        match self.socket.read_timeout_nanos.load(Ordering::Relaxed) {
            u64::MAX => None,
            nanos => Some(now + Duration::from_nanos(nanos)),
        }
    }

    /// Sends one datagram as `how` says, waiting for room if need be.
    ///
    /// # Errors
    /// What `stack::socket::udp::UdpSendError` names.
    pub fn send_with(&self, data: &[u8], how: &UdpSend) -> io::Result<usize> {
        let socket = &self.socket;
        socket.net.shared.block_on(&socket.bell, self.until(), |stack, now| {
            stack.udp_send(now, socket.handle, data, how).map_err(io::Error::from)
        })
    }

    /// Sends one datagram to `remote`.
    ///
    /// # Errors
    /// As [`send_with`](Self::send_with).
    pub fn send_to(&self, data: &[u8], remote: SocketAddr) -> io::Result<usize> {
        self.send_with(data, &UdpSend::to(remote))
    }

    /// Sends one datagram to the peer.
    ///
    /// # Errors
    /// As [`send_with`](Self::send_with); `ConnectionRefused` if the peer said that nobody listens.
    pub fn send(&self, data: &[u8]) -> io::Result<usize> {
        self.send_with(data, &UdpSend::default())
    }

    /// Receives one datagram and all that is known of it.
    ///
    /// # Errors
    /// `ConnectionRefused`; `WouldBlock` when the time is over.
    pub fn recv_with(&self, buffer: &mut [u8]) -> io::Result<UdpReceived> {
        let socket = &self.socket;
        socket.net.shared.block_on(&socket.bell, self.until(), |stack, _| {
            stack.udp_recv(socket.handle, buffer).map_err(io::Error::from)
        })
    }

    /// Receives one datagram.
    ///
    /// # Errors
    /// As [`recv_with`](Self::recv_with).
    pub fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let received = self.recv_with(buffer)?;
        Ok((received.len, received.remote))
    }

    /// Receives one datagram of the peer.
    ///
    /// # Errors
    /// As [`recv_with`](Self::recv_with).
    pub fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(self.recv_with(buffer)?.len)
    }

    /// Receives one datagram, for a task.
    ///
    /// # Errors
    /// As [`recv_with`](Self::recv_with).
    #[cfg(feature = "tokio")]
    pub async fn recv_from_async(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let socket = &self.socket;
        let received = std::future::poll_fn(|cx| {
            let way = crate::bell::Way::In;
            socket.net.shared.poll_on(&socket.bell, way, cx, |stack, _| {
                stack.udp_recv(socket.handle, buffer).map_err(io::Error::from)
            })
        })
        .await?;
        Ok((received.len, received.remote))
    }

    /// Sends one datagram, for a task.
    ///
    /// # Errors
    /// As [`send_with`](Self::send_with).
    #[cfg(feature = "tokio")]
    pub async fn send_to_async(&self, data: &[u8], remote: SocketAddr) -> io::Result<usize> {
        let (socket, how) = (&self.socket, UdpSend::to(remote));
        std::future::poll_fn(|cx| {
            let way = crate::bell::Way::Out;
            socket.net.shared.poll_on(&socket.bell, way, cx, |stack, now| {
                stack.udp_send(now, socket.handle, data, &how).map_err(io::Error::from)
            })
        })
        .await
    }

    /// Listens to a group.
    ///
    /// # Errors
    /// `InvalidInput`, `AddrInUse`.
    pub fn join_multicast(&self, group: IpAddr, interface: Option<InterfaceId>) -> io::Result<()> {
        let socket = &self.socket;
        Ok(socket.net.with_stack(|stack, now| stack.udp_join_group(now, socket.handle, group, interface))?)
    }

    /// Changes the socket's options.
    pub fn set_options(&self, change: impl FnOnce(&mut UdpOptions)) {
        let socket = &self.socket;
        socket.net.with_stack(|stack, _| {
            if let Some(mut options) = stack.udp_options(socket.handle) {
                change(&mut options);
                stack.set_udp_options(socket.handle, options);
            }
        });
    }

    /// Where it is.
    ///
    /// # Errors
    /// Never; std's signature.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let socket = &self.socket;
        let addr = socket.net.with_stack(|stack, _| stack.udp_local_addr(socket.handle));
        addr.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Whether calls say `WouldBlock` instead of blocking.
    ///
    /// # Errors
    /// Never; std's signature.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.socket.nonblocking.store(nonblocking, Ordering::Relaxed);
        Ok(())
    }

    /// How long calls wait; `None`: for ever.
    ///
    /// # Errors
    /// `InvalidInput` for zero.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        let nanos = match timeout {
            None => u64::MAX,
            Some(Duration::ZERO) => return Err(io::ErrorKind::InvalidInput.into()),
            Some(timeout) => u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX - 1),
        };
        self.socket.read_timeout_nanos.store(nanos, Ordering::Relaxed);
        Ok(())
    }
}
