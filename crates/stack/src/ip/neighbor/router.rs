//! Routers: finding them, and what their advertisements bring: default routes, on-link prefixes, addresses, parameters.
//! Spec: RFC 4861 6.3 (hosts), RFC 4862 5.3 and 5.5 (addresses), RFC 7217 (opaque identifiers), RFC 4861 8 (redirects).
//! Owns: the solicitations to routers. Invariants: what routers say is bounded by the tables it goes into, and never touches
//! what the owner configured.
//! Not here: RDNSS (there is no resolver), DHCPv6, temporary addresses (RFC 8981), route information (RFC 4191).

use crate::counters::{Counters, DropReason};
use crate::events::Events;
use crate::frame::InterfaceId;
use crate::ip::Ip;
use crate::ip::interface::AddressOrigin;
use crate::ip::neighbor::dad::share;
use crate::ip::prefix::Prefix;
use crate::ip::route::{ROUTER_METRIC, Route, RouteOrigin};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;
use tcp::Instant;
use wire::ndisc::{Options, PrefixInformation, RouterAdvertisement};

/// RFC 4861 10: MAX_RTR_SOLICITATIONS, RTR_SOLICITATION_INTERVAL, MAX_RTR_SOLICITATION_DELAY.
const SOLICITATIONS_MAX: u8 = 3;
const SOLICITATION_INTERVAL: Duration = Duration::from_secs(4);
const SOLICITATION_DELAY: Duration = Duration::from_secs(1);
/// RFC 4862 5.5.3 (e): an unauthenticated advertisement cannot shorten a lifetime below this.
const TWO_HOURS: Duration = Duration::from_secs(7_200);
/// RFC 7217 6: IDGEN_RETRIES, other identifiers tried after duplicates.
const IDENTIFIER_RETRIES: u8 = 3;
/// Prefixes read in one advertisement; links have one or two.
const PREFIXES_MAX: usize = 16;
const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0);

/// The search for routers on one link.
#[derive(Debug, Default)]
pub(crate) struct RouterDiscovery {
    solicitations_left: u8,
    at: Option<Instant>,
    /// Duplicates met while forming addresses on this interface (RFC 7217 5's DAD_Counter).
    duplicates: u8,
}

impl RouterDiscovery {
    /// When the next solicitation is due.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.at
    }

    /// A router was heard: no need to ask (RFC 4861 6.3.7).
    fn stop(&mut self) {
        self.at = None;
        self.solicitations_left = 0;
    }
}

impl Ip {
    /// Forms a link-local address and starts to look for routers (RFC 4862 5.3, RFC 4861 6.3.7).
    pub(crate) fn start_autoconfiguration(&mut self, now: Instant, id: InterfaceId, events: &mut Events) {
        self.form_address(now, id, LINK_LOCAL, (None, None), events);
        let delay = share(SOLICITATION_DELAY, self.random.next_u64());
        if let Some(interface) = self.interface_mut(id) {
            interface.router_discovery.solicitations_left = SOLICITATIONS_MAX;
            interface.router_discovery.at = Some(now + delay);
        }
    }

    /// Sends the router solicitations that are due.
    pub(crate) fn handle_router_deadlines(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        events: &mut Events,
    ) {
        for index in 0..self.interfaces.len() {
            let discovery = &mut self.interfaces[index].router_discovery;
            if discovery.at.is_none_or(|at| at > now) {
                continue;
            }
            discovery.solicitations_left = discovery.solicitations_left.saturating_sub(1);
            discovery.at = (discovery.solicitations_left > 0).then(|| now + SOLICITATION_INTERVAL);
            let id = self.interfaces[index].id;
            self.send_router_solicitation(now, counters, events, id);
        }
    }

    /// A valid advertisement of the router at `src` (a link-local address).
    pub(crate) fn on_router_advertisement(
        &mut self,
        now: Instant,
        events: &mut Events,
        id: InterfaceId,
        src: Ipv6Addr,
        router: &RouterAdvertisement,
        options: &Options<'_>,
    ) {
        let Some(interface) = self.interface_mut(id) else { return };
        if !interface.config.autoconfigure {
            return;
        }
        interface.router_discovery.stop();
        // RFC 4861 6.3.4: parameters that are zero are unspecified.
        if router.hop_limit != 0 {
            interface.hop_limit_v6 = Some(router.hop_limit);
        }
        if let Some(mtu) = options.mtu() {
            let device = interface.config.capabilities.mtu;
            if (wire::ipv6::MIN_MTU as u32..=device).contains(&mtu) {
                interface.mtu_v6 = mtu;
            }
        }
        let set = |d: Duration| (!d.is_zero()).then_some(d);
        self.neighbors.set_times(set(router.reachable_time), set(router.retrans_timer));
        let gateway = IpAddr::V6(src);
        if router.lifetime.is_zero() {
            self.routes.remove(|r| {
                r.origin == RouteOrigin::Router && r.interface == id && r.gateway == Some(gateway)
            });
        } else {
            self.add_learnt(Route {
                prefix: Prefix::DEFAULT_V6,
                gateway: Some(gateway),
                interface: id,
                metric: ROUTER_METRIC,
                origin: RouteOrigin::Router,
                expires: Some(now + router.lifetime),
            });
        }
        for prefix in options.prefixes().take(PREFIXES_MAX) {
            self.on_prefix(now, events, id, &prefix);
        }
    }

    fn on_prefix(&mut self, now: Instant, events: &mut Events, id: InterfaceId, info: &PrefixInformation) {
        // RFC 4861 6.3.4, RFC 4862 5.5.3 (b): the link-local prefix is not a router's to advertise.
        let Some(prefix) = Prefix::new(IpAddr::V6(info.prefix), info.prefix_len).map(Prefix::network) else {
            return;
        };
        if info.prefix.is_unicast_link_local() || info.prefix.is_multicast() {
            return;
        }
        let until = |secs: u32| (secs != u32::MAX).then(|| now + Duration::from_secs(u64::from(secs)));
        if info.on_link {
            if info.valid_lifetime == 0 {
                self.routes.remove(|r| {
                    r.origin == RouteOrigin::OnLink
                        && r.expires.is_some()
                        && r.interface == id
                        && r.prefix == prefix
                });
            } else if !self
                .routes
                .iter()
                .any(|r| r.prefix == prefix && r.interface == id && r.expires.is_none())
            {
                self.add_learnt(Route {
                    prefix,
                    gateway: None,
                    interface: id,
                    metric: ROUTER_METRIC,
                    origin: RouteOrigin::OnLink,
                    expires: until(info.valid_lifetime).or(Some(Instant::FAR_FUTURE)),
                });
            }
        }
        // RFC 4862 5.5.3 (a), (c), (d): only autonomous prefixes that leave 64 bits to us, with lifetimes that make sense.
        if !info.autonomous || info.preferred_lifetime > info.valid_lifetime || info.prefix_len != 64 {
            return;
        }
        let lifetimes = (until(info.preferred_lifetime), until(info.valid_lifetime));
        let Some(interface) = self.interface_mut(id) else { return };
        let formed = interface
            .addresses
            .iter_mut()
            .find(|a| a.origin == AddressOrigin::Autoconfigured && a.prefix.network() == prefix);
        match formed {
            Some(address) => {
                // (e): believe it if it is longer than two hours or than what is left; else leave two hours.
                let told = Duration::from_secs(u64::from(info.valid_lifetime));
                let left = address.valid_until.map_or(Duration::MAX, |at| at.since(now));
                if info.valid_lifetime == u32::MAX || told > TWO_HOURS || told > left {
                    address.valid_until = lifetimes.1;
                } else if left > TWO_HOURS {
                    address.valid_until = Some(now + TWO_HOURS);
                }
                address.preferred_until = lifetimes.0;
                address.deprecated = address.preferred_until.is_some_and(|at| at <= now);
            }
            None if info.valid_lifetime > 0 => {
                self.form_address(now, id, info.prefix, lifetimes, events);
            }
            None => {}
        }
    }

    /// A first-hop router knows a better way (RFC 4861 8.3). `src` is believed only if it is the router in use.
    pub(crate) fn on_redirect(
        &mut self,
        id: InterfaceId,
        src: Ipv6Addr,
        target: Ipv6Addr,
        destination: Ipv6Addr,
        counters: &mut Counters,
    ) {
        let destination = IpAddr::V6(destination);
        let in_use = self.routes.lookup(destination, Some(id)).and_then(|r| r.gateway);
        if in_use != Some(IpAddr::V6(src)) {
            counters.drop_packet(DropReason::BadNeighborMessage);
            return;
        }
        self.add_learnt(Route {
            prefix: Prefix::host(destination),
            gateway: (IpAddr::V6(target) != destination).then_some(IpAddr::V6(target)),
            interface: id,
            metric: ROUTER_METRIC,
            origin: RouteOrigin::Redirect,
            expires: None,
        });
    }

    /// A duplicate was met: another identifier is tried, a few times (RFC 7217 6; RFC 4862 5.4.5 would stop at once).
    pub(crate) fn form_another(&mut self, now: Instant, id: InterfaceId, lost: Prefix, events: &mut Events) {
        let Some(interface) = self.interface_mut(id) else { return };
        if !interface.config.opaque_identifiers || interface.router_discovery.duplicates >= IDENTIFIER_RETRIES
        {
            return;
        }
        interface.router_discovery.duplicates += 1;
        if let IpAddr::V6(network) = lost.network().addr() {
            self.form_address(now, id, network, (None, None), events);
        }
    }

    fn form_address(
        &mut self,
        now: Instant,
        id: InterfaceId,
        network: Ipv6Addr,
        lifetimes: (Option<Instant>, Option<Instant>),
        events: &mut Events,
    ) {
        let Some(interface) = self.interface(id) else { return };
        let mac = interface.mac();
        let identifier = if interface.config.opaque_identifiers {
            let duplicates = interface.router_discovery.duplicates;
            // RFC 7217 5: F(Prefix, Net_Iface, Network_ID, DAD_Counter, secret_key).
            let key = self.secret.key("interface identifier");
            let parts: [&[u8]; 3] = [&network.octets()[..8], &mac.0, &[duplicates]];
            key.digest(&parts).to_be_bytes()
        } else {
            mac.interface_id()
        };
        let mut octets = network.octets();
        octets[8..].copy_from_slice(&identifier);
        let addr = Ipv6Addr::from(octets);
        if is_reserved_identifier(identifier) {
            return;
        }
        let prefix = Prefix::new(IpAddr::V6(addr), 64).expect("64 is a length of IPv6 prefixes");
        // A full table of addresses leaves it at those it has; the owner sees which in `addresses()`.
        let _ = self.add_address_from(now, id, prefix, AddressOrigin::Autoconfigured, lifetimes, events);
    }

    fn add_learnt(&mut self, route: Route) {
        // What is learnt may fill three quarters of the table, so that the owner's routes always find room.
        let learnt = self.routes.iter().filter(|r| r.origin != RouteOrigin::Static).count();
        if learnt < self.config.ip.routes_max - self.config.ip.routes_max / 4 {
            let _ = self.routes.add(route);
        }
    }
}

/// RFC 5453: the subnet-router anycast identifier and the reserved anycast range.
fn is_reserved_identifier(identifier: [u8; 8]) -> bool {
    let value = u64::from_be_bytes(identifier);
    value == 0 || (0xfdff_ffff_ffff_ff80..=0xfdff_ffff_ffff_ffff).contains(&value)
}
