//! UDP sockets as programs use them.
//! Spec: RFC 768 "User Interface", RFC 1122 4.1.4, RFC 8085; calls behave as Linux's where the RFCs leave room.
//! Owns: options, and the errors of each call. Invariants: no call blocks; a send that is accepted is handed to IP unless its path
//! vanishes meanwhile.
//! Not here: queues and demultiplexing (`udp`).

use crate::frame::InterfaceId;
use crate::ip::Fragmentation;
use crate::ip::output::ip_header_len;
use crate::ready::UdpHandle;
use crate::stack::Stack;
use crate::udp::queue::Full;
use crate::udp::{BindRefused, ToSend, outgoing};
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use tcp::{Instant, Purpose};
use wire::ip::Ecn;

/// The longest payload of an IPv4 datagram; IPv6 without jumbograms takes twenty octets more, which Linux allows and we do too.
const PAYLOAD_MAX_V4: usize = 65_535 - 20 - 8;
const PAYLOAD_MAX_V6: usize = 65_535 - 8;
/// Segments in one call, as Linux's UDP_MAX_SEGMENTS.
const SEGMENTS_MAX: usize = 128;

/// What a program can set on a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UdpOptions {
    /// May send to broadcast addresses (`SO_BROADCAST`). Default off.
    pub broadcast: bool,
    /// TTL or hop limit of unicast; `None`: the interface's.
    pub hop_limit: Option<u8>,
    /// TTL or hop limit of multicast (`IP_MULTICAST_TTL`); `None`: the stack's, which is 1.
    pub multicast_hop_limit: Option<u8>,
    /// Where multicast leaves (`IP_MULTICAST_IF`); `None`: where the routes say.
    pub multicast_interface: Option<InterfaceId>,
    /// Whether datagrams may be cut into fragments, unless a call says otherwise (`IP_MTU_DISCOVER`).
    pub fragmentation: Fragmentation,
    /// The six upper bits of the traffic class.
    pub dscp: u8,
    /// Take datagrams that the device joined as they are, with their segment size (`UDP_GRO`). Default off: they are taken apart.
    pub takes_joined: bool,
}

impl Default for UdpOptions {
    fn default() -> Self {
        Self {
            broadcast: false,
            hop_limit: None,
            multicast_hop_limit: None,
            multicast_interface: None,
            fragmentation: Fragmentation::Allow,
            dscp: 0,
            takes_joined: false,
        }
    }
}

/// What one send asks for besides its octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UdpSend {
    /// To whom; `None`: the peer that the socket is connected to.
    pub remote: Option<SocketAddr>,
    /// From which of our addresses (`IP_PKTINFO`); `None`: the bound one, or the best.
    pub local: Option<IpAddr>,
    /// The ECN mark.
    pub ecn: Ecn,
    /// May it be cut into fragments? `None`: as the socket says.
    pub fragmentation: Option<Fragmentation>,
    /// Send datagrams of this size each, the last may be shorter (`UDP_SEGMENT`).
    pub segment_size: Option<u16>,
}

impl UdpSend {
    /// To `remote`, with nothing special.
    pub fn to(remote: SocketAddr) -> Self {
        Self { remote: Some(remote), ..Self::default() }
    }
}

/// What a receive tells besides the octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UdpReceived {
    /// Octets copied to the program's buffer.
    pub len: usize,
    /// Octets that the datagram had: more than `len` if the buffer was too small, and then the rest is gone.
    pub datagram_len: usize,
    /// Who sent it.
    pub remote: SocketAddr,
    /// To which of our addresses, group or broadcast.
    pub local: IpAddr,
    /// Where it came in.
    pub interface: InterfaceId,
    /// Its ECN mark.
    pub ecn: Ecn,
    /// TTL or hop limit on arrival.
    pub hop_limit: u8,
    /// Datagrams of this size were joined (only if the socket takes them so).
    pub segment_size: Option<u16>,
}

/// A bind or connect that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UdpBindError {
    /// The handle is of no socket.
    Closed,
    /// Another socket has the address and port, or no port is free.
    AddrInUse,
    /// The address is none of ours.
    AddrNotAvailable,
    /// No route to the peer.
    NetworkUnreachable,
    /// Port zero, or another family than the socket's.
    InvalidInput,
    /// As many sockets as there may be.
    TooManySockets,
}

/// A send that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UdpSendError {
    /// The handle is of no socket.
    Closed,
    /// The send queue, or the stack's memory, is full; `WRITABLE` will say when it is not.
    WouldBlock,
    /// No destination was given and the socket has no peer.
    NotConnected,
    /// Port zero, another family, or more segments than allowed.
    InvalidInput,
    /// Larger than a datagram can be, or than the path takes where cutting is forbidden.
    MessageTooLong,
    /// A broadcast without the option.
    PermissionDenied,
    /// The address to send from is none of ours.
    AddrNotAvailable,
    /// No route.
    NetworkUnreachable,
    /// The peer's host said earlier that nobody listens.
    ConnectionRefused,
}

/// A receive that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UdpRecvError {
    /// The handle is of no socket.
    Closed,
    /// Nothing is there; `READABLE` will say when something is.
    WouldBlock,
    /// The peer's host said that nobody listens.
    ConnectionRefused,
}

/// A join or leave that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupError {
    /// The handle is of no socket.
    Closed,
    /// Not a group's address.
    InvalidInput,
    /// Joined already.
    AddrInUse,
    /// Not joined.
    AddrNotAvailable,
    /// As many groups as a socket, or an interface, may have.
    TooMany,
    /// No such interface.
    NoSuchInterface,
}

macro_rules! error_words {
    ($name:ident { $($variant:ident => $kind:ident, $text:literal;)* }) => {
        impl $name {
            /// The word that std's IO errors have for it.
            pub const fn kind(self) -> ErrorKind {
                match self {
                    $(Self::$variant => ErrorKind::$kind,)*
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self {
                    $(Self::$variant => $text,)*
                })
            }
        }

        impl std::error::Error for $name {}

        impl From<$name> for std::io::Error {
            fn from(error: $name) -> Self {
                Self::from(error.kind())
            }
        }
    };
}

error_words!(UdpBindError {
    Closed => NotFound, "no such socket";
    AddrInUse => AddrInUse, "address in use";
    AddrNotAvailable => AddrNotAvailable, "not an address of this host";
    NetworkUnreachable => NetworkUnreachable, "no route to the peer";
    InvalidInput => InvalidInput, "port zero, or an address of another family";
    TooManySockets => OutOfMemory, "too many sockets";
});

error_words!(UdpSendError {
    Closed => NotFound, "no such socket";
    WouldBlock => WouldBlock, "the send queue is full";
    NotConnected => NotConnected, "no destination";
    InvalidInput => InvalidInput, "port zero, an address of another family, or too many segments";
    MessageTooLong => InvalidInput, "the datagram is too long";
    PermissionDenied => PermissionDenied, "broadcast is not allowed on this socket";
    AddrNotAvailable => AddrNotAvailable, "not an address of this host";
    NetworkUnreachable => NetworkUnreachable, "no route to the destination";
    ConnectionRefused => ConnectionRefused, "nobody listens at the destination";
});

error_words!(UdpRecvError {
    Closed => NotFound, "no such socket";
    WouldBlock => WouldBlock, "no datagram is there";
    ConnectionRefused => ConnectionRefused, "nobody listens at the destination";
});

error_words!(GroupError {
    Closed => NotFound, "no such socket";
    InvalidInput => InvalidInput, "not the address of a group";
    AddrInUse => AddrInUse, "the group was joined before";
    AddrNotAvailable => AddrNotAvailable, "the group was not joined";
    TooMany => OutOfMemory, "too many groups";
    NoSuchInterface => NotFound, "no such interface";
});

impl Stack {
    /// Makes a socket at `local`: any address, one of ours, or a group's; port 0 picks a free one.
    pub fn udp_bind(&mut self, local: SocketAddr) -> Result<UdpHandle, UdpBindError> {
        self.udp_bind_with(local, None, true, UdpOptions::default())
    }

    /// As [`udp_bind`](Self::udp_bind), restricted to an interface if one is given; with `v6_only` off, a socket at `[::]` hears IPv4
    /// too, and names IPv4 peers by their IPv4 addresses.
    pub fn udp_bind_with(
        &mut self,
        local: SocketAddr,
        interface: Option<InterfaceId>,
        v6_only: bool,
        options: UdpOptions,
    ) -> Result<UdpHandle, UdpBindError> {
        let addr = local.ip();
        let is_broadcast = matches!(addr, IpAddr::V4(a) if self.is_broadcast(a));
        if !addr.is_unspecified() && !addr.is_multicast() && !is_broadcast && !self.ip.may_bind(addr) {
            return Err(UdpBindError::AddrNotAvailable);
        }
        self.udp.bind(local, v6_only, interface, options).map_err(|refused| match refused {
            BindRefused::InUse | BindRefused::NoPorts => UdpBindError::AddrInUse,
            BindRefused::TooManySockets => UdpBindError::TooManySockets,
        })
    }

    /// Talks to `remote` only from now on: its datagrams are heard, its host's errors reported. Fixes the local address.
    pub fn udp_connect(&mut self, handle: UdpHandle, remote: SocketAddr) -> Result<(), UdpBindError> {
        let socket = self.udp.get(handle).ok_or(UdpBindError::Closed)?;
        let families_meet = socket.local.is_ipv4() == remote.is_ipv4()
            || (socket.local.ip().is_unspecified() && socket.local.is_ipv6() && !socket.v6_only);
        if remote.port() == 0 || !families_meet {
            return Err(UdpBindError::InvalidInput);
        }
        let local = if socket.local.ip().is_unspecified() {
            let source = self.ip.choose_source(remote.ip(), socket.interface);
            SocketAddr::new(source.ok_or(UdpBindError::NetworkUnreachable)?, socket.local.port())
        } else {
            socket.local
        };
        let socket = self.udp.get_mut(handle).ok_or(UdpBindError::Closed)?;
        socket.local = local;
        socket.remote = Some(remote);
        Ok(())
    }

    /// Ends a socket; what it had still to send is gone.
    pub fn udp_close(&mut self, handle: UdpHandle) -> Result<(), UdpBindError> {
        let budget = &mut self.tcp.memory_mut().budget;
        let socket = self.udp.close(handle, budget).ok_or(UdpBindError::Closed)?;
        for (interface, group) in socket.groups {
            if let Some(interface) = self.ip.interface_mut(interface) {
                interface.groups.leave(group);
            }
        }
        Ok(())
    }

    /// Queues a datagram, or several of one size.
    pub fn udp_send(
        &mut self,
        now: Instant,
        handle: UdpHandle,
        data: &[u8],
        send: &UdpSend,
    ) -> Result<usize, UdpSendError> {
        let socket = self.udp.get_mut(handle).ok_or(UdpSendError::Closed)?;
        if std::mem::take(&mut socket.refused) {
            return Err(UdpSendError::ConnectionRefused);
        }
        let (local, options, bound, v6_only) =
            (socket.local, socket.options, socket.interface, socket.v6_only);
        let remote = send.remote.or(socket.remote).ok_or(UdpSendError::NotConnected)?;
        let dst = remote.ip();
        let any_family = local.ip().is_unspecified() && local.is_ipv6() && !v6_only;
        let mapped = matches!(dst, IpAddr::V6(a) if a.to_ipv4_mapped().is_some());
        if remote.port() == 0 || mapped || (local.is_ipv4() != remote.is_ipv4() && !any_family) {
            return Err(UdpSendError::InvalidInput);
        }
        let is_broadcast = matches!(dst, IpAddr::V4(a) if self.is_broadcast(a));
        if is_broadcast && !options.broadcast {
            return Err(UdpSendError::PermissionDenied);
        }
        let interface = if dst.is_multicast() { options.multicast_interface.or(bound) } else { bound };
        let fixed = Some(local.ip()).filter(|a| !a.is_unspecified() && !a.is_multicast());
        let src = match send.local.or(fixed) {
            Some(src) if self.ip.may_bind(src) && src.is_ipv4() == dst.is_ipv4() => src,
            Some(_) => return Err(UdpSendError::AddrNotAvailable),
            None => self.ip.choose_source(dst, interface).ok_or(UdpSendError::NetworkUnreachable)?,
        };
        let path = self.ip.path(now, dst, interface).map_err(|_| UdpSendError::NetworkUnreachable)?;
        let mut out = outgoing(src, dst);
        out.ecn = send.ecn;
        out.dscp = options.dscp;
        out.fragmentation = send.fragmentation.unwrap_or(options.fragmentation);
        out.hop_limit = if dst.is_multicast() { options.multicast_hop_limit } else { options.hop_limit };
        out.interface = interface;

        let longest = if dst.is_ipv4() { PAYLOAD_MAX_V4 } else { PAYLOAD_MAX_V6 };
        if data.len() > longest {
            return Err(UdpSendError::MessageTooLong);
        }
        let segment = match send.segment_size.map(usize::from) {
            Some(0) => return Err(UdpSendError::InvalidInput),
            Some(size) if data.len().div_ceil(size) > SEGMENTS_MAX => return Err(UdpSendError::InvalidInput),
            Some(size) => size.min(data.len()),
            None => data.len(),
        };
        let mtu = if out.fragmentation == Fragmentation::Probe { path.link_mtu } else { path.mtu } as usize;
        let packet_len = ip_header_len(dst) + wire::udp::HEADER_LEN + segment;
        let must_fit = out.fragmentation != Fragmentation::Allow || send.segment_size.is_some();
        if must_fit && packet_len > mtu {
            return Err(UdpSendError::MessageTooLong);
        }
        let to_send =
            ToSend { out, remote_port: remote.port(), segment_size: send.segment_size.unwrap_or(0) };
        let socket = self.udp.get_mut(handle).ok_or(UdpSendError::Closed)?;
        let budget = &mut self.tcp.memory_mut().budget;
        match socket.to_send.push(budget, Purpose::Send, to_send, data) {
            Ok(()) => {
                self.udp.schedule(handle);
                Ok(data.len())
            }
            Err(full) => {
                match full {
                    Full::Queue => socket.wants_room = true,
                    Full::Budget => self.udp.starve(handle),
                }
                Err(UdpSendError::WouldBlock)
            }
        }
    }

    /// Queues a datagram to `remote`.
    pub fn udp_send_to(
        &mut self,
        now: Instant,
        handle: UdpHandle,
        data: &[u8],
        remote: SocketAddr,
    ) -> Result<usize, UdpSendError> {
        self.udp_send(now, handle, data, &UdpSend::to(remote))
    }

    /// Takes the oldest datagram. What does not fit `buffer` is lost, and said.
    pub fn udp_recv(&mut self, handle: UdpHandle, buffer: &mut [u8]) -> Result<UdpReceived, UdpRecvError> {
        let budget = &mut self.tcp.memory_mut().budget;
        let socket = self.udp.get_mut(handle).ok_or(UdpRecvError::Closed)?;
        if std::mem::take(&mut socket.refused) {
            return Err(UdpRecvError::ConnectionRefused);
        }
        let (&meta, datagram_len) = socket.received.front().ok_or(UdpRecvError::WouldBlock)?;
        let len = datagram_len.min(buffer.len());
        socket.received.copy_front(0, &mut buffer[..len]);
        socket.received.pop(budget);
        Ok(UdpReceived {
            len,
            datagram_len,
            remote: meta.remote,
            local: meta.local,
            interface: meta.interface,
            ecn: meta.ecn,
            hop_limit: meta.hop_limit,
            segment_size: (meta.segment_size > 0).then_some(meta.segment_size),
        })
    }

    /// Listens to a group on an interface; `None`: the one that the routes lead it to.
    pub fn udp_join_group(
        &mut self,
        now: Instant,
        handle: UdpHandle,
        group: IpAddr,
        interface: Option<InterfaceId>,
    ) -> Result<(), GroupError> {
        use crate::ip::group::JoinRefused;
        let id = self.ip.outgoing_interface(group, interface).ok_or(GroupError::NoSuchInterface)?;
        let groups_max = self.udp.config.groups_per_socket_max;
        let socket = self.udp.get_mut(handle).ok_or(GroupError::Closed)?;
        if socket.groups.contains(&(id, group)) {
            return Err(GroupError::AddrInUse);
        }
        if socket.groups.len() >= groups_max {
            return Err(GroupError::TooMany);
        }
        let interface = self.ip.interface_mut(id).ok_or(GroupError::NoSuchInterface)?;
        interface.groups.join(now, group).map_err(|refused| match refused {
            JoinRefused::NotAGroup => GroupError::InvalidInput,
            JoinRefused::TooMany => GroupError::TooMany,
        })?;
        socket.groups.push((id, group));
        Ok(())
    }

    /// Stops listening to a group.
    pub fn udp_leave_group(
        &mut self,
        handle: UdpHandle,
        group: IpAddr,
        interface: Option<InterfaceId>,
    ) -> Result<(), GroupError> {
        let id = self.ip.outgoing_interface(group, interface).ok_or(GroupError::NoSuchInterface)?;
        let socket = self.udp.get_mut(handle).ok_or(GroupError::Closed)?;
        let at = socket.groups.iter().position(|&joined| joined == (id, group));
        socket.groups.remove(at.ok_or(GroupError::AddrNotAvailable)?);
        if let Some(interface) = self.ip.interface_mut(id) {
            interface.groups.leave(group);
        }
        Ok(())
    }

    /// A socket's options.
    pub fn udp_options(&self, handle: UdpHandle) -> Option<UdpOptions> {
        Some(self.udp.get(handle)?.options)
    }

    /// Sets a socket's options; false: no such socket.
    pub fn set_udp_options(&mut self, handle: UdpHandle, options: UdpOptions) -> bool {
        self.udp.get_mut(handle).map(|socket| socket.options = options).is_some()
    }

    /// Sets how many octets a socket queues in each direction; false: no such socket.
    pub fn set_udp_buffers(
        &mut self,
        handle: UdpHandle,
        receive_bytes_max: usize,
        send_bytes_max: usize,
    ) -> bool {
        let Some(socket) = self.udp.get_mut(handle) else { return false };
        socket.received.bytes_max = receive_bytes_max;
        socket.to_send.bytes_max = send_bytes_max;
        true
    }

    /// Where a socket is.
    pub fn udp_local_addr(&self, handle: UdpHandle) -> Option<SocketAddr> {
        Some(self.udp.get(handle)?.local)
    }

    /// Whom it is connected to.
    pub fn udp_peer_addr(&self, handle: UdpHandle) -> Option<SocketAddr> {
        self.udp.get(handle)?.remote
    }

    /// Datagrams that arrived for the socket and found no room.
    pub fn udp_dropped(&self, handle: UdpHandle) -> Option<u64> {
        Some(self.udp.get(handle)?.dropped)
    }

    fn is_broadcast(&self, addr: Ipv4Addr) -> bool {
        addr.is_broadcast() || self.ip.interfaces.iter().any(|interface| interface.is_broadcast(addr))
    }
}
