//! What a stack is told when it is made: interfaces, addresses, routes, limits.
//! Owns: defaults, each with its unit, the RFC or stack it comes from, and what it costs in memory.
//! Invariants: every queue, table and buffer of the stack has its bound here or in a named constant beside its room.
//! Not here: what can change while the stack runs (`Stack::add_address`, `Stack::add_route`, socket options).

use crate::frame::{Capabilities, InterfaceId, Medium};
use crate::ip::prefix::Prefix;
use crate::tcp_host::TcpHostConfig;
use std::net::IpAddr;
use std::time::Duration;
use wire::ethernet::MacAddr;

/// The whole configuration of a stack.
#[derive(Debug, Clone)]
pub struct Config {
    /// The interfaces, in the order of their [`InterfaceId`]s. Loopback exists always and is not listed. At most 255.
    pub interfaces: Vec<InterfaceConfig>,
    /// Static routes. The prefixes of interface addresses are routes of their own and need no line here.
    pub routes: Vec<RouteConfig>,
    /// IP as a whole.
    pub ip: IpConfig,
    /// Putting fragments together.
    pub reassembly: ReassemblyConfig,
    /// ICMP errors and their rate.
    pub icmp: IcmpConfig,
    /// ARP and Neighbour Discovery.
    pub neighbor: NeighborConfig,
    /// UDP sockets.
    pub udp: UdpConfig,
    /// TCP sockets.
    pub tcp: TcpHostConfig,
    /// First and last port given to sockets that ask for none. Default 32768-60999, Linux's; RFC 6056 3.2 would like 1024-65535,
    /// but then servers that start later find their port taken.
    pub ephemeral_ports: (u16, u16),
    /// Bytes that all socket buffers of the stack may hold together. Default 256 MiB; nothing is allocated in advance.
    pub buffer_bytes_max: usize,
    /// Events kept until they are read; 0, the default, switches events off. About 160 B each, allocated as they occur.
    pub events_max: usize,
    /// Frames handed to the sinks in one `poll_transmit`. Default 256: a turn of at most 256 super-packets.
    pub turn_frames_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            interfaces: Vec::new(),
            routes: Vec::new(),
            ip: IpConfig::default(),
            reassembly: ReassemblyConfig::default(),
            icmp: IcmpConfig::default(),
            neighbor: NeighborConfig::default(),
            udp: UdpConfig::default(),
            tcp: TcpHostConfig::default(),
            ephemeral_ports: (32_768, 60_999),
            buffer_bytes_max: 256 << 20,
            events_max: 0,
            turn_frames_max: 256,
        }
    }
}

/// One interface.
#[derive(Debug, Clone)]
pub struct InterfaceConfig {
    /// What its device can do.
    pub capabilities: Capabilities,
    /// Its link address. Used on Ethernet only.
    pub mac: MacAddr,
    /// Its addresses with their prefixes.
    pub addresses: Vec<Prefix>,
    /// Take packets to any address as if it were ours, and send from any: what a tunnel's end wants. Default off.
    pub any_address: bool,
    /// Make a link-local address, listen to router advertisements and form addresses from them (RFC 4862). Default off; only
    /// Ethernet interfaces do so.
    pub autoconfigure: bool,
    /// How often an address is probed for before it is used, over Ethernet: IPv6's DupAddrDetectTransmits (RFC 4862 5.1,
    /// default 1) and, with [`probe_ipv4`](Self::probe_ipv4), whether IPv4 addresses are probed too. 0: never.
    pub dad_transmits: u8,
    /// Probe IPv4 addresses as RFC 5227 asks. Default off, as in Linux, since it delays the first packet by up to seven
    /// seconds.
    pub probe_ipv4: bool,
    /// Interface identifiers of formed addresses: opaque (RFC 7217, the default) or made from the MAC (RFC 4291 appendix A).
    pub opaque_identifiers: bool,
    /// Join multicast groups with IGMP and MLD. Default on over Ethernet, where switches snoop, off elsewhere.
    pub announce_groups: bool,
}

impl InterfaceConfig {
    /// An interface without a link layer, such as TUN.
    pub fn ip(capabilities: Capabilities) -> Self {
        Self {
            capabilities: Capabilities { medium: Medium::Ip, ..capabilities },
            mac: MacAddr::default(),
            addresses: Vec::new(),
            any_address: false,
            autoconfigure: false,
            dad_transmits: 0,
            probe_ipv4: false,
            opaque_identifiers: true,
            announce_groups: false,
        }
    }

    /// An Ethernet interface, such as TAP.
    pub fn ethernet(capabilities: Capabilities, mac: MacAddr) -> Self {
        Self {
            capabilities: Capabilities { medium: Medium::Ethernet, ..capabilities },
            mac,
            dad_transmits: 1,
            announce_groups: true,
            ..Self::ip(capabilities)
        }
    }

    /// The same interface with one more address.
    #[must_use]
    pub fn with_address(mut self, prefix: Prefix) -> Self {
        self.addresses.push(prefix);
        self
    }
}

/// A static route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteConfig {
    /// Which destinations.
    pub prefix: Prefix,
    /// Through which router; `None`: the destinations are on the link.
    pub gateway: Option<IpAddr>,
    /// Out of which interface.
    pub interface: InterfaceId,
    /// Among routes of one prefix the least wins. Default 0.
    pub metric: u32,
}

/// IP as a whole.
#[derive(Debug, Clone)]
pub struct IpConfig {
    /// TTL and hop limit of what we send. Default 64 (RFC 1340's recommendation, and Linux's).
    pub hop_limit: u8,
    /// TTL and hop limit of multicast that we send. Default 1 (RFC 1112 6.1).
    pub multicast_hop_limit: u8,
    /// Routes, static and learnt, at most. Default 256; 56 B each.
    pub routes_max: usize,
    /// Addresses of one interface, static and formed, at most. Default 32: each router advertisement could add some.
    pub addresses_max: usize,
    /// Multicast groups joined on one interface, at most. Default 64.
    pub groups_max: usize,
    /// Destinations whose path MTU is remembered, at most. Default 4,096; about 64 B each, allocated as they occur.
    pub path_mtus_max: usize,
    /// How long a path MTU is believed before larger packets are tried again. Default 10 minutes (RFC 1191 6.3, RFC 8201 4).
    pub path_mtu_lifetime: Duration,
    /// Replies and control packets waiting for a sink, in bytes. Default 256 KiB.
    pub control_bytes_max: usize,
    /// Packets to ourselves waiting for the next turn, in bytes. Default 4 MiB.
    pub loopback_bytes_max: usize,
}

impl Default for IpConfig {
    fn default() -> Self {
        Self {
            hop_limit: 64,
            multicast_hop_limit: 1,
            routes_max: 256,
            addresses_max: 32,
            groups_max: 64,
            path_mtus_max: 4_096,
            path_mtu_lifetime: Duration::from_secs(600),
            control_bytes_max: 256 << 10,
            loopback_bytes_max: 4 << 20,
        }
    }
}

/// Putting fragments together.
#[derive(Debug, Clone)]
pub struct ReassemblyConfig {
    /// Bytes that unfinished datagrams may hold, their book-keeping included. Default 4 MiB, as Linux's `ipfrag_high_thresh`.
    pub bytes_max: usize,
    /// Unfinished datagrams from one source to us, at most. Default 64, so that one source cannot evict all others.
    pub datagrams_per_source_max: usize,
    /// Fragments of one datagram, at most. Default 128: 64 KiB over a path of MTU 576.
    pub fragments_max: usize,
    /// How long an IPv4 datagram may stay unfinished. Default 30 s, as Linux (RFC 1122 3.3.2 wants 60 to 120 s, and RFC 4963 shows
    /// why that is too long today).
    pub timeout_v4: Duration,
    /// How long an IPv6 datagram may stay unfinished. Default 60 s (RFC 8200 4.5).
    pub timeout_v6: Duration,
}

impl Default for ReassemblyConfig {
    fn default() -> Self {
        Self {
            bytes_max: 4 << 20,
            datagrams_per_source_max: 64,
            fragments_max: 128,
            timeout_v4: Duration::from_secs(30),
            timeout_v6: Duration::from_secs(60),
        }
    }
}

/// ICMP errors and their rate.
#[derive(Debug, Clone)]
pub struct IcmpConfig {
    /// Errors a second to all destinations together. Default 1,000, as Linux's `icmp_msgs_per_sec`. The limit is jittered, so that
    /// nobody can count with it what others received (RFC 4443 2.4 f asks for a token bucket; CVE-2020-25705 for the jitter).
    pub errors_per_sec: u32,
    /// Errors that may leave at once. Default 50, as Linux's `icmp_msgs_burst`.
    pub errors_burst: u32,
    /// Errors a second to one destination. Default 10, after a burst of 10. Kept in 256 hashed buckets: 6 KiB.
    pub errors_per_destination_per_sec: u32,
    /// Answer echo requests. Default on.
    pub echo: bool,
    /// Send port and protocol unreachable. Default on; off makes the host mute to scans.
    pub unreachable: bool,
}

impl Default for IcmpConfig {
    fn default() -> Self {
        Self {
            errors_per_sec: 1_000,
            errors_burst: 50,
            errors_per_destination_per_sec: 10,
            echo: true,
            unreachable: true,
        }
    }
}

/// ARP and Neighbour Discovery; one machine serves both (RFC 4861 7.3, timers of RFC 4861 10).
#[derive(Debug, Clone)]
pub struct NeighborConfig {
    /// Entries, all links together. Default 1,024, as Linux's `gc_thresh3`; about 128 B each. Entries in use are kept longest.
    pub entries_max: usize,
    /// Packets that wait for one neighbour. Default 32; beyond, the oldest goes (RFC 4861 7.2.2, RFC 1122 2.3.2.2).
    pub pending_max: usize,
    /// Bytes that wait for all neighbours together. Default 1 MiB.
    pub pending_bytes_max: usize,
    /// How long a confirmation is good for, before jitter of 0.5 to 1.5. Default 30 s (REACHABLE_TIME).
    pub reachable_time: Duration,
    /// Between solicitations. Default 1 s (RETRANS_TIMER; RFC 1122 2.3.2.1 allows one a second for ARP).
    pub retrans_timer: Duration,
    /// How long traffic may confirm a stale entry before it is probed. Default 5 s (DELAY_FIRST_PROBE_TIME).
    pub delay_first_probe: Duration,
    /// Solicitations before giving up. Default 3 (MAX_MULTICAST_SOLICIT, MAX_UNICAST_SOLICIT).
    pub solicits_max: u8,
}

impl Default for NeighborConfig {
    fn default() -> Self {
        Self {
            entries_max: 1_024,
            pending_max: 32,
            pending_bytes_max: 1 << 20,
            reachable_time: Duration::from_secs(30),
            retrans_timer: Duration::from_secs(1),
            delay_first_probe: Duration::from_secs(5),
            solicits_max: 3,
        }
    }
}

/// UDP sockets.
#[derive(Debug, Clone)]
pub struct UdpConfig {
    /// Sockets, at most. Default 2^20; an idle one costs some 300 B.
    pub sockets_max: usize,
    /// Bytes received and not yet read, a socket; settable per socket. Default 208 KiB, as Linux's `rmem_default`.
    pub receive_bytes_max: usize,
    /// Bytes accepted and not yet sent, a socket; settable per socket. Default 208 KiB, as Linux's `wmem_default`.
    pub send_bytes_max: usize,
    /// Datagrams in one queue, however short. Default 4,096, so that empty datagrams are bounded too.
    pub queue_datagrams_max: usize,
    /// Groups that one socket may join. Default 20, as Linux's `igmp_max_memberships`.
    pub groups_per_socket_max: usize,
}

impl Default for UdpConfig {
    fn default() -> Self {
        Self {
            sockets_max: 1 << 20,
            receive_bytes_max: 212_992,
            send_bytes_max: 212_992,
            queue_datagrams_max: 4_096,
            groups_per_socket_max: 20,
        }
    }
}

/// A configuration that contradicts itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigError {
    /// More than 255 interfaces.
    TooManyInterfaces,
    /// An MTU below what the address family requires: 68 for IPv4 (RFC 791), 1,280 for IPv6 (RFC 8200 5).
    MtuTooSmall(InterfaceId),
    /// An address that no interface may have: multicast, broadcast, unspecified.
    BadAddress(InterfaceId, IpAddr),
    /// More addresses or routes than the configured bounds.
    TooMany,
    /// A route through an interface that does not exist.
    NoSuchInterface(InterfaceId),
    /// The first ephemeral port is zero or after the last.
    BadPortRange,
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooManyInterfaces => f.write_str("more than 255 interfaces"),
            Self::MtuTooSmall(id) => write!(f, "interface {}: the MTU is below the protocol's minimum", id.0),
            Self::BadAddress(id, addr) => write!(f, "interface {}: {addr} cannot be a host's address", id.0),
            Self::TooMany => f.write_str("more addresses or routes than the configured bound"),
            Self::NoSuchInterface(id) => write!(f, "a route names interface {}, which does not exist", id.0),
            Self::BadPortRange => f.write_str("the ephemeral port range is empty or starts at zero"),
        }
    }
}

impl std::error::Error for ConfigError {}
