//! IP: which packets are ours, where ours go, and what the two versions need around them.
//! Spec: RFC 791, RFC 1122 section 3, RFC 8200, RFC 4291. A host, not a router: nothing is forwarded.
//! Owns: interfaces, routes, neighbours, groups, fragments, path MTUs, and the packets that the stack itself wants to send.
//! Invariants: a packet goes up only if it is for this host, whole, and from a believable source; what goes down has a source of
//! ours (or any, on a tunnel's interface), a route, and fits its path.
//! Not here: ports (`udp`, `demux`), connections (`tcp`).
//!
//! Rooms: `input` and `output` mirror one another; `cut` (super-segments, where the device does not cut). `interface` (addresses), `route`, `source`, `mtu`, `fragment`, `reassembly`,
//! `icmp`, `rate_limit`, `group` (IGMP, MLD), `neighbor` (ARP, ND, DAD, SLAAC), `queue` (control packets, loopback).

pub(crate) mod cut;
pub(crate) mod fragment;
pub(crate) mod group;
pub(crate) mod icmp;
pub(crate) mod input;
pub(crate) mod interface;
pub mod mtu;
pub mod neighbor;
pub(crate) mod output;
pub mod prefix;
pub(crate) mod queue;
pub mod rate_limit;
pub mod reassembly;
pub mod route;
pub mod source;

use crate::config::{Config, ConfigError, InterfaceConfig};
use crate::counters::Counters;
use crate::events::{AddressChange, Event, Events};
use crate::frame::{InterfaceId, Medium};
use crate::random::{Random, Secret};
use fragment::Identifications;
use group::Groups;
use interface::{Address, AddressOrigin, Interface};
use mtu::PathMtus;
use neighbor::dad::Probing;
use neighbor::router::RouterDiscovery;
use neighbor::table::NeighborTable;
use prefix::Prefix;
use queue::{ControlQueue, LoopbackQueue};
use rate_limit::RateLimit;
use reassembly::Reassembly;
use route::{Route, RouteOrigin, RouteTable};
use source::Candidate;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use tcp::Instant;
use wire::ip::{Ecn, Protocol};

/// What IP tells a transport of a packet that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpMeta {
    /// Where it came in; [`InterfaceId::LOOPBACK`] if it never left the host.
    pub interface: InterfaceId,
    /// Source address.
    pub src: IpAddr,
    /// Destination address: ours, a group, a broadcast, or anyone's on an interface that takes any address.
    pub dst: IpAddr,
    /// What the packet carries.
    pub protocol: Protocol,
    /// Its ECN mark (RFC 3168).
    pub ecn: Ecn,
    /// The other six bits of the traffic class (RFC 2474).
    pub dscp: u8,
    /// TTL or hop limit on arrival.
    pub hop_limit: u8,
    /// To whom it was addressed.
    pub delivery: Delivery,
    /// The device (or memory) vouches for the transport checksum.
    pub checksum_ok: bool,
    /// Payload octets of each segment that the device joined into this one; 0: one segment, as it was on the wire.
    pub gso_size: u16,
}

/// To whom a packet was addressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// To one address.
    Unicast,
    /// To all on a link, by IP or by link address: such a packet is never answered with an error (RFC 1122 3.2.2) and no
    /// TCP segment (RFC 9293 3.9.2.3, MUST-57).
    Broadcast,
    /// To a group.
    Multicast,
}

/// May a packet be cut into fragments?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fragmentation {
    /// It carries DF while it fits the path, and is cut by us when it does not (Linux's `IP_PMTUDISC_WANT`).
    #[default]
    Allow,
    /// It carries DF, and is refused when it does not fit (`IP_PMTUDISC_DO`).
    Forbid,
    /// As `Forbid`, but the path MTU that ICMP told is ignored and only the link's counts: for probes of RFC 4821 and RFC 8899
    /// (`IP_PMTUDISC_PROBE`).
    Probe,
}

/// The IP floor of one host.
#[derive(Debug)]
pub(crate) struct Ip {
    pub(crate) interfaces: Vec<Interface>,
    pub(crate) routes: RouteTable,
    pub(crate) neighbors: NeighborTable,
    pub(crate) reassembly: Reassembly,
    pub(crate) path_mtus: PathMtus,
    pub(crate) errors: RateLimit,
    pub(crate) control: ControlQueue,
    pub(crate) loopback: LoopbackQueue,
    pub(crate) idents: Identifications,
    pub(crate) random: Random,
    pub(crate) secret: Secret,
    pub(crate) config: Config,
    /// A whole datagram on its way to be cut.
    pub(crate) scratch: Vec<u8>,
}

impl Ip {
    pub(crate) fn new(config: &Config, secret: &Secret, now: Instant) -> Result<Self, ConfigError> {
        if config.interfaces.len() > usize::from(InterfaceId::LOOPBACK.0) {
            return Err(ConfigError::TooManyInterfaces);
        }
        let icmp = &config.icmp;
        let mut ip = Self {
            interfaces: Vec::new(),
            routes: RouteTable::new(config.ip.routes_max),
            neighbors: NeighborTable::new(config.neighbor.clone(), secret.key("neighbor table")),
            reassembly: Reassembly::new(config.reassembly.clone(), secret.key("reassembly")),
            path_mtus: PathMtus::new(
                config.ip.path_mtus_max,
                config.ip.path_mtu_lifetime,
                secret.key("path mtu"),
            ),
            errors: RateLimit::new(
                now,
                icmp.errors_per_sec,
                icmp.errors_burst,
                icmp.errors_per_destination_per_sec,
                secret.key("icmp rate"),
            ),
            control: ControlQueue::new(config.ip.control_bytes_max),
            loopback: LoopbackQueue::new(config.ip.loopback_bytes_max),
            idents: Identifications::new(secret),
            random: Random::new(secret, "ip"),
            secret: *secret,
            config: config.clone(),
            scratch: Vec::new(),
        };
        for (index, interface) in config.interfaces.iter().enumerate() {
            ip.add_interface(now, InterfaceId(index as u8), interface)?;
        }
        for route in &config.routes {
            let index = route.interface.index();
            if index.is_none_or(|index| index >= ip.interfaces.len()) {
                return Err(ConfigError::NoSuchInterface(route.interface));
            }
            let route = Route {
                prefix: route.prefix,
                gateway: route.gateway,
                interface: route.interface,
                metric: route.metric,
                origin: RouteOrigin::Static,
                expires: None,
            };
            ip.routes.add(route).map_err(|_| ConfigError::TooMany)?;
        }
        Ok(ip)
    }

    fn add_interface(
        &mut self,
        now: Instant,
        id: InterfaceId,
        config: &InterfaceConfig,
    ) -> Result<(), ConfigError> {
        let mtu = config.capabilities.mtu;
        let has_v6 = config.autoconfigure || config.addresses.iter().any(|a| a.addr().is_ipv6());
        if mtu < wire::ipv4::MIN_MTU as u32 || (has_v6 && mtu < wire::ipv6::MIN_MTU as u32) {
            return Err(ConfigError::MtuTooSmall(id));
        }
        self.interfaces.push(Interface {
            id,
            config: InterfaceConfig { addresses: Vec::new(), ..config.clone() },
            addresses: Vec::new(),
            groups: Groups::new(self.config.ip.groups_max, config.announce_groups),
            router_discovery: RouterDiscovery::default(),
            mtu_v6: mtu.min(65_535),
            hop_limit_v6: None,
        });
        let mut nobody = (Counters::default(), Events::new(0));
        for &prefix in &config.addresses {
            self.add_address(now, id, prefix, &mut nobody.1)
                .map_err(|_| ConfigError::BadAddress(id, prefix.addr()))?;
        }
        if config.autoconfigure && config.capabilities.medium == Medium::Ethernet {
            self.start_autoconfiguration(now, id, &mut nobody.1);
        }
        Ok(())
    }

    pub(crate) fn interface(&self, id: InterfaceId) -> Option<&Interface> {
        self.interfaces.get(id.index()?)
    }

    pub(crate) fn interface_mut(&mut self, id: InterfaceId) -> Option<&mut Interface> {
        self.interfaces.get_mut(id.index()?)
    }

    /// Gives an interface an address; over Ethernet it is probed for first, if the interface is so configured.
    pub(crate) fn add_address(
        &mut self,
        now: Instant,
        id: InterfaceId,
        prefix: Prefix,
        events: &mut Events,
    ) -> Result<(), AddressError> {
        self.add_address_from(now, id, prefix, AddressOrigin::Static, (None, None), events)
    }

    pub(crate) fn add_address_from(
        &mut self,
        now: Instant,
        id: InterfaceId,
        prefix: Prefix,
        origin: AddressOrigin,
        (preferred_until, valid_until): (Option<Instant>, Option<Instant>),
        events: &mut Events,
    ) -> Result<(), AddressError> {
        let addr = prefix.addr();
        if !is_possible_host(addr) || prefix.broadcast().is_some_and(|b| IpAddr::V4(b) == addr) {
            return Err(AddressError::NotAHostAddress);
        }
        if self.interfaces.iter().any(|i| i.addresses.iter().any(|a| a.prefix.addr() == addr)) {
            return Err(AddressError::Exists);
        }
        let addresses_max = self.config.ip.addresses_max;
        let jitter = self.random.next_u64();
        let interface = self.interface_mut(id).ok_or(AddressError::NoSuchInterface)?;
        if interface.addresses.len() >= addresses_max {
            return Err(AddressError::TooMany);
        }
        let probing = Probing::start(now, &interface.config, addr, jitter);
        let change = if probing.is_some() { AddressChange::Tentative } else { AddressChange::Preferred };
        interface.addresses.push(Address {
            prefix,
            origin,
            preferred_until,
            valid_until,
            probing,
            deprecated: false,
            defended_until: None,
        });
        if let IpAddr::V6(addr) = addr {
            // RFC 4862 5.4.2: the group is joined before the first probe.
            let _ = interface.groups.join(now, IpAddr::V6(interface::solicited_node(addr)));
        }
        events.record(now, || Event::Address { interface: id, prefix, change });
        // A full table leaves the address reachable through other routes only; the owner can see that in `routes()`.
        let host = Prefix::host(addr).prefix_len();
        // An advertised prefix has a route of its own if the router says that it is on the link (RFC 5942).
        let is_link_local = matches!(addr, IpAddr::V6(a) if a.is_unicast_link_local());
        if (origin == AddressOrigin::Static || is_link_local) && prefix.prefix_len() < host {
            let _ = self.routes.add(Route {
                prefix,
                gateway: None,
                interface: id,
                metric: 0,
                origin: RouteOrigin::OnLink,
                expires: None,
            });
        }
        Ok(())
    }

    /// Takes an address away, with the on-link route of its prefix if no other address needs it.
    pub(crate) fn remove_address(
        &mut self,
        now: Instant,
        id: InterfaceId,
        addr: IpAddr,
        change: AddressChange,
        events: &mut Events,
    ) -> bool {
        let Some(interface) = self.interface_mut(id) else { return false };
        let Some(at) = interface.addresses.iter().position(|a| a.prefix.addr() == addr) else { return false };
        let address = interface.addresses.remove(at);
        let network = address.prefix.network();
        let still_needed = interface.addresses.iter().any(|a| a.prefix.network() == network);
        if let IpAddr::V6(addr) = addr {
            let group = interface::solicited_node(addr);
            let shared = interface
                .addresses
                .iter()
                .any(|a| matches!(a.prefix.addr(), IpAddr::V6(a) if interface::solicited_node(a) == group));
            if !shared {
                interface.groups.leave(IpAddr::V6(group));
            }
        }
        if !still_needed {
            self.routes.remove(|route| {
                route.origin == RouteOrigin::OnLink
                    && route.expires.is_none()
                    && route.interface == id
                    && route.prefix == network
            });
        }
        events.record(now, || Event::Address { interface: id, prefix: address.prefix, change });
        true
    }

    /// Whether `addr` is assigned to any interface of ours (RFC 1122 3.3.4.2's weak model, as Linux has it), or is loopback.
    #[inline]
    pub(crate) fn is_ours(&self, addr: IpAddr) -> bool {
        addr.is_loopback() || self.interfaces.iter().any(|interface| interface.has(addr))
    }

    /// Whether a socket may use `addr` as its own: one of ours, or any on a host with an interface that takes any address.
    pub(crate) fn may_bind(&self, addr: IpAddr) -> bool {
        self.is_ours(addr) || (self.interfaces.iter().any(|i| i.config.any_address) && is_possible_host(addr))
    }

    /// The source for a new conversation with `dst`: one of ours, or `None` if we have none that could reach it.
    pub(crate) fn choose_source(&self, dst: IpAddr, interface: Option<InterfaceId>) -> Option<IpAddr> {
        if dst.is_loopback() {
            return Some(match dst {
                IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
                IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
            });
        }
        if self.is_ours(dst) {
            return Some(dst); // RFC 6724 rule 1
        }
        let outgoing = self.outgoing_interface(dst, interface)?;
        let candidates = self.interfaces.iter().flat_map(|interface| {
            interface.addresses.iter().filter(|a| a.is_assigned()).map(|a| Candidate {
                prefix: a.prefix,
                interface: interface.id,
                deprecated: a.deprecated,
            })
        });
        source::choose_source(candidates, dst, outgoing)
    }

    /// The least of the rooms' deadlines.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let interfaces = self.interfaces.iter().filter_map(Interface::next_deadline).min();
        [
            interfaces,
            self.routes.next_deadline(),
            self.neighbors.next_deadline(),
            self.reassembly.next_deadline(),
            self.path_mtus.next_deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }
}

/// Why an interface does not get an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressError {
    /// No host can have it: a group, a broadcast, the unspecified address, loopback.
    NotAHostAddress,
    /// One of our interfaces has it.
    Exists,
    /// The interface has as many as it may.
    TooMany,
    /// No such interface.
    NoSuchInterface,
}

impl std::fmt::Display for AddressError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotAHostAddress => "no host can have this address",
            Self::Exists => "the host has this address already",
            Self::TooMany => "the interface has as many addresses as it may",
            Self::NoSuchInterface => "no such interface",
        })
    }
}

impl std::error::Error for AddressError {}

/// Whether a host on a link could have this address.
pub(crate) fn is_possible_host(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(a) => {
            // 240/4 stays reserved (RFC 1112 4), 0/8 means "this network" (RFC 1122 3.2.1.3).
            !(a.is_multicast() || a.is_loopback() || a.octets()[0] == 0 || a.octets()[0] >= 240)
        }
        IpAddr::V6(a) => !(a.is_multicast() || a.is_loopback() || a.is_unspecified()),
    }
}
