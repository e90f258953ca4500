//! An interface: its link and its addresses.
//! Spec: RFC 1122 3.3.4 (several addresses), RFC 4862 5.5.4 (lifetimes), RFC 4291 2.7.1 (solicited-node groups).
//! Owns: the addresses with their states and lifetimes, and the groups joined. Invariants: at most `addresses_max` addresses; an
//! address is used as a source, and answered for, only when it is assigned, not while it is tentative.
//! Not here: probing an address (`neighbor::dad`), forming one (`neighbor::router`), reporting groups (`group`).

use crate::config::InterfaceConfig;
use crate::frame::{InterfaceId, Medium};
use crate::ip::group::Groups;
use crate::ip::neighbor::dad::Probing;
use crate::ip::neighbor::router::RouterDiscovery;
use crate::ip::prefix::Prefix;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use tcp::Instant;
use wire::ethernet::MacAddr;

/// Where an address came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressOrigin {
    /// The owner gave it.
    Static,
    /// Formed from a link-local or advertised prefix (RFC 4862).
    Autoconfigured,
}

/// An address of ours.
#[derive(Debug, Clone)]
pub struct Address {
    /// The address and its prefix.
    pub prefix: Prefix,
    /// Where it came from.
    pub origin: AddressOrigin,
    /// Not for new conversations after that (RFC 4862 5.5.4).
    pub preferred_until: Option<Instant>,
    /// Gone after that.
    pub valid_until: Option<Instant>,
    /// Being probed for: not yet ours.
    pub(crate) probing: Option<Probing>,
    /// Its preferred lifetime is over and was told of.
    pub(crate) deprecated: bool,
    /// It was defended lately, and is not defended again before then (RFC 5227 2.4).
    pub(crate) defended_until: Option<Instant>,
}

impl Address {
    /// Whether it may be used.
    pub fn is_assigned(&self) -> bool {
        self.probing.is_none_or(|probing| !probing.is_tentative())
    }
}

/// An interface.
#[derive(Debug)]
pub(crate) struct Interface {
    pub(crate) id: InterfaceId,
    pub(crate) config: InterfaceConfig,
    pub(crate) addresses: Vec<Address>,
    pub(crate) groups: Groups,
    pub(crate) router_discovery: RouterDiscovery,
    /// The MTU of IPv6 packets, which a router may lower (RFC 4861 6.3.4).
    pub(crate) mtu_v6: u32,
    /// The hop limit of IPv6 packets, which a router may set.
    pub(crate) hop_limit_v6: Option<u8>,
}

impl Interface {
    pub(crate) fn medium(&self) -> Medium {
        self.config.capabilities.medium
    }

    pub(crate) fn mac(&self) -> MacAddr {
        self.config.mac
    }

    pub(crate) fn mtu(&self, is_v6: bool) -> u32 {
        if is_v6 { self.mtu_v6 } else { self.config.capabilities.mtu }
    }

    /// Whether `addr` is assigned to this interface.
    pub(crate) fn has(&self, addr: IpAddr) -> bool {
        self.addresses.iter().any(|a| a.prefix.addr() == addr && a.is_assigned())
    }

    /// The entry of `addr`, tentative or not.
    pub(crate) fn address_mut(&mut self, addr: IpAddr) -> Option<&mut Address> {
        self.addresses.iter_mut().find(|a| a.prefix.addr() == addr)
    }

    /// Whether `addr` is the limited broadcast address, or that of one of our prefixes.
    pub(crate) fn is_broadcast(&self, addr: Ipv4Addr) -> bool {
        addr.is_broadcast() || self.addresses.iter().any(|a| a.prefix.broadcast() == Some(addr))
    }

    /// Whether we listen to `group`. The all-nodes groups need no joining (RFC 1112 7.2, RFC 4291 2.8), nor do the solicited-node
    /// groups of our addresses, tentative ones included (RFC 4862 5.4.2).
    pub(crate) fn listens_to(&self, group: IpAddr) -> bool {
        match group {
            IpAddr::V4(ALL_HOSTS) => true,
            IpAddr::V6(ALL_NODES | ALL_NODES_INTERFACE) => true,
            _ => self.groups.contains(group),
        }
    }

    /// The first assigned link-local IPv6 address.
    pub(crate) fn link_local(&self) -> Option<Ipv6Addr> {
        self.addresses.iter().find_map(|a| match a.prefix.addr() {
            IpAddr::V6(addr) if addr.is_unicast_link_local() && a.is_assigned() => Some(addr),
            _ => None,
        })
    }

    /// The first assigned IPv4 address.
    pub(crate) fn first_v4(&self) -> Option<Ipv4Addr> {
        self.addresses.iter().find_map(|a| match a.prefix.addr() {
            IpAddr::V4(addr) if a.is_assigned() => Some(addr),
            _ => None,
        })
    }
}

/// 224.0.0.1
const ALL_HOSTS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);
/// ff02::1
pub(crate) const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// ff01::1
pub(crate) const ALL_NODES_INTERFACE: Ipv6Addr = Ipv6Addr::new(0xff01, 0, 0, 0, 0, 0, 0, 1);
/// ff02::2
pub(crate) const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// The group in which the owner of `addr` is asked for its link address (RFC 4291 2.7.1).
pub(crate) fn solicited_node(addr: Ipv6Addr) -> Ipv6Addr {
    let [.., g, h] = addr.segments();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | (g & 0xff), h)
}

#[cfg(test)]
mod tests;
