//! The kernel's sockets on `mio`.
//! Spec: DESIGN section 5: SO_REUSEADDR on TCP listeners, never on UDP sockets; SO_REUSEPORT nowhere.
//! Owns: the descriptors, each registered once, edge-triggered, for both directions.
//! Invariants: a token's lowest two bits say what it names, the bits above are a slab index, the bits from
//! [`NETWORK_SHIFT`] are the network's; a late event for a reused index is a harmless spurious readiness.
//! Options (no delay, keep-alive, user timeout) are set on the listener: accepted sockets inherit them on Linux.
//! Not here: what TCP_INFO says (`sock_diag`).

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use mio::{Interest, Registry, Token};
use quinn_udp::{EcnCodepoint, RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use slab::Slab;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use super::{
    DatagramMeta, DatagramSocket, Datagrams, Key, ListenerId, Network, Readiness, Received, Rows, SocketId,
    Stream, UdpId,
};

mod sock_diag;
#[cfg(test)]
mod tests;

/// A token's highest byte is its network.
pub const NETWORK_SHIFT: u32 = usize::BITS - 8;
const KIND_BITS: u32 = 2;
const STREAM: usize = 0;
const LISTENER: usize = 1;
const DATAGRAM: usize = 2;

/// A peer whose power went: probed after this much silence (RFC 1122 4.2.3.6 lets us choose when it is switched on).
pub(super) const KEEPALIVE_IDLE: Duration = Duration::from_secs(300);
pub(super) const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
pub(super) const KEEPALIVE_PROBES: u32 = 4;
/// How long sent bytes may stay unacknowledged before the connection is given up (RFC 5482).
pub(super) const USER_TIMEOUT: Duration = Duration::from_secs(120);
/// Kernel buffers of a datagram socket: a burst of a few thousand datagrams.
pub(super) const UDP_BUFFER: usize = 2 * 1024 * 1024;

/// The kernel as a network.
#[derive(Debug)]
pub struct Kernel {
    registry: Registry,
    tag: usize,
    streams: Slab<Connected>,
    listeners: Slab<Listening>,
    datagrams: Slab<Datagram>,
}

#[derive(Debug)]
struct Connected {
    stream: mio::net::TcpStream,
    key: u32,
    /// The peer has ended, or an error waits: a short read is then no proof that all has been read.
    ending: bool,
}

#[derive(Debug)]
struct Listening {
    listener: mio::net::TcpListener,
    key: Key,
}

#[derive(Debug)]
struct Datagram {
    socket: mio::net::UdpSocket,
    state: UdpSocketState,
    key: Key,
}

impl Kernel {
    /// A network whose sockets are polled through `registry`, under the network number `number`.
    pub fn new(registry: Registry, number: u8) -> Self {
        Self {
            registry,
            tag: usize::from(number) << NETWORK_SHIFT,
            streams: Slab::new(),
            listeners: Slab::new(),
            datagrams: Slab::new(),
        }
    }

    fn token(&self, index: usize, kind: usize) -> Token {
        Token(self.tag | index << KIND_BITS | kind)
    }
}

/// Slab indices stay far below 2^32: a process holds far fewer descriptors.
fn narrow(index: usize) -> u32 {
    u32::try_from(index).expect("fewer descriptors than 2^32")
}

fn foreign() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "this socket is not the kernel's")
}

pub(crate) fn listener(address: SocketAddr, backlog: i32) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A restarted exchange listens at once, whatever waits in TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.set_tcp_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL);
    #[cfg(target_os = "linux")]
    {
        socket.set_tcp_keepalive(&keepalive.with_retries(KEEPALIVE_PROBES))?;
        socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    }
    #[cfg(not(target_os = "linux"))]
    socket.set_tcp_keepalive(&keepalive)?;
    socket.bind(&address.into())?;
    socket.listen(backlog)?;
    Ok(socket)
}

fn datagram_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Larger buffers are a wish: the kernel caps them, and QUIC works with what it gives.
    let _ = socket.set_recv_buffer_size(UDP_BUFFER);
    let _ = socket.set_send_buffer_size(UDP_BUFFER);
    socket.bind(&address.into())?;
    Ok(socket)
}

impl Network for Kernel {
    fn name(&self) -> &'static str {
        "kernel"
    }

    fn listen(
        &mut self,
        address: SocketAddr,
        backlog: i32,
        key: Key,
    ) -> io::Result<(ListenerId, SocketAddr)> {
        let socket = listener(address, backlog)?;
        let mut listener = mio::net::TcpListener::from_std(socket.into());
        let bound = listener.local_addr()?;
        let index = self.listeners.vacant_key();
        self.registry.register(&mut listener, self.token(index, LISTENER), Interest::READABLE)?;
        self.listeners.insert(Listening { listener, key });
        Ok((ListenerId(narrow(index)), bound))
    }

    fn accept(&mut self, listener: ListenerId) -> io::Result<(Stream, SocketAddr)> {
        let (stream, remote) = self.listeners[listener.0 as usize].listener.accept()?;
        if !cfg!(target_os = "linux") {
            SockRef::from(&stream).set_tcp_nodelay(true)?;
        }
        Ok((Stream::Descriptor(stream), remote))
    }

    fn close_listener(&mut self, listener: ListenerId) {
        drop(self.listeners.try_remove(listener.0 as usize));
    }

    fn attach(&mut self, stream: Stream, key: Key) -> io::Result<SocketId> {
        let Stream::Descriptor(mut stream) = stream else { return Err(foreign()) };
        let index = self.streams.vacant_key();
        self.registry.register(
            &mut stream,
            self.token(index, STREAM),
            Interest::READABLE | Interest::WRITABLE,
        )?;
        self.streams.insert(Connected { stream, key: narrow(key), ending: false });
        Ok(SocketId(narrow(index)))
    }

    fn detach(&mut self, socket: SocketId) -> io::Result<Stream> {
        let mut stream = self.streams.remove(socket.0 as usize).stream;
        self.registry.deregister(&mut stream)?;
        Ok(Stream::Descriptor(stream))
    }

    fn recv(&mut self, socket: SocketId, buffer: &mut [u8]) -> io::Result<Received> {
        let connected = &mut self.streams[socket.0 as usize];
        loop {
            return match connected.stream.read(buffer) {
                // A short read has emptied the kernel's queue (epoll(7), question 9): what comes later is a new edge.
                // Only an end that was already announced may still sit behind it.
                Ok(len) => Ok(Received { len, more: len == buffer.len() || connected.ending && len > 0 }),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
        }
    }

    fn send_vectored(&mut self, socket: SocketId, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        let stream = &mut self.streams[socket.0 as usize].stream;
        loop {
            let sent = match buffers {
                // A plain `send` is the shorter way through the kernel.
                [one] => stream.write(one),
                many => stream.write_vectored(many),
            };
            match sent {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    fn shutdown_write(&mut self, socket: SocketId) -> io::Result<()> {
        self.streams[socket.0 as usize].stream.shutdown(Shutdown::Write)
    }

    fn close(&mut self, socket: SocketId) {
        // Closing the only descriptor takes it out of the poll as well.
        drop(self.streams.try_remove(socket.0 as usize));
    }

    fn bind_udp(&mut self, address: SocketAddr, key: Key) -> io::Result<(UdpId, SocketAddr)> {
        let socket = datagram_socket(address)?;
        let mut socket = mio::net::UdpSocket::from_std(socket.into());
        let bound = socket.local_addr()?;
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        let index = self.datagrams.vacant_key();
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.registry.register(&mut socket, self.token(index, DATAGRAM), interest)?;
        self.datagrams.insert(Datagram { socket, state, key });
        Ok((UdpId(narrow(index)), bound))
    }

    fn share_udp(&mut self, socket: UdpId) -> io::Result<DatagramSocket> {
        let descriptor: OwnedFd = self.datagrams[socket.0 as usize].socket.as_fd().try_clone_to_owned()?;
        Ok(DatagramSocket::Descriptor(mio::net::UdpSocket::from_std(descriptor.into())))
    }

    fn attach_udp(&mut self, socket: DatagramSocket, key: Key) -> io::Result<UdpId> {
        let DatagramSocket::Descriptor(mut socket) = socket else { return Err(foreign()) };
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        let index = self.datagrams.vacant_key();
        self.registry.register(&mut socket, self.token(index, DATAGRAM), Interest::WRITABLE)?;
        self.datagrams.insert(Datagram { socket, state, key });
        Ok(UdpId(narrow(index)))
    }

    fn recv_datagrams(
        &mut self,
        socket: UdpId,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut Vec<DatagramMeta>,
    ) -> io::Result<usize> {
        let datagram = &self.datagrams[socket.0 as usize];
        let mut received = [RecvMeta::default(); quinn_udp::BATCH_SIZE];
        let most = buffers.len().min(received.len());
        metas.clear();
        let count =
            datagram.state.recv((&datagram.socket).into(), &mut buffers[..most], &mut received[..most])?;
        metas.extend(received[..count].iter().map(|meta| DatagramMeta {
            remote: meta.addr,
            local: meta.dst_ip,
            len: meta.len,
            stride: meta.stride,
            ecn: meta.ecn.map_or(0, |ecn| ecn as u8),
        }));
        Ok(count)
    }

    fn send_datagrams(&mut self, socket: UdpId, datagrams: &Datagrams<'_>) -> io::Result<()> {
        let datagram = &self.datagrams[socket.0 as usize];
        let transmit = Transmit {
            destination: datagrams.remote,
            ecn: EcnCodepoint::from_bits(datagrams.ecn),
            contents: datagrams.contents,
            segment_size: datagrams.segment_size,
            src_ip: datagrams.local,
        };
        datagram.state.try_send((&datagram.socket).into(), &transmit)
    }

    fn segments_max(&self, socket: UdpId) -> usize {
        self.datagrams[socket.0 as usize].state.max_gso_segments()
    }

    fn close_udp(&mut self, socket: UdpId) {
        if let Some(mut datagram) = self.datagrams.try_remove(socket.0 as usize) {
            // A shared descriptor stays in this poll until it is taken out.
            let _ = self.registry.deregister(&mut datagram.socket);
        }
    }

    fn tcp_facts(&self, socket: SocketId) -> Option<Rows> {
        let stream = &self.streams.get(socket.0 as usize)?.stream;
        sock_diag::tcp_info(stream.local_addr().ok()?, stream.peer_addr().ok()?)
    }

    fn handle_event(&mut self, event: &mio::event::Event, ready: &mut Vec<Readiness>) {
        let token = event.token().0 & !self.tag;
        let index = token >> KIND_BITS;
        match token & ((1 << KIND_BITS) - 1) {
            STREAM => {
                let Some(connected) = self.streams.get_mut(index) else { return };
                let ending = event.is_read_closed() || event.is_error();
                connected.ending |= ending;
                ready.push(Readiness {
                    key: connected.key as usize,
                    readable: event.is_readable() || ending,
                    writable: event.is_writable(),
                });
            }
            LISTENER => {
                let Some(listening) = self.listeners.get(index) else { return };
                ready.push(Readiness { key: listening.key, readable: true, writable: false });
            }
            _ => {
                let Some(datagram) = self.datagrams.get(index) else { return };
                ready.push(Readiness {
                    key: datagram.key,
                    readable: event.is_readable(),
                    writable: event.is_writable(),
                });
            }
        }
    }
}
