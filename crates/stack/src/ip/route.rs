//! The routing table: which interface and which next hop lead to a destination.
//! Spec: RFC 1122 3.3.1 (hosts), RFC 4632 5.1 (longest match), RFC 4861 5.2 and 6.3.6 (conceptual sending, default routers),
//!       RFC 4861 8.3 (redirects).
//! Owns: the routes, kept in the order in which they match.
//! Invariants: longest prefix first, then least metric, then age; never more than `routes_max`, and learnt routes never push
//! out configured ones.
//! Not here: the source address (`source`), the neighbour's link address (`neighbor`), forwarding, which a host does not do.

use crate::frame::InterfaceId;
use crate::ip::prefix::Prefix;
use std::net::IpAddr;
use tcp::Instant;

/// Who told us of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteOrigin {
    /// The prefix of an address of ours, or one that a router advertised as on-link.
    OnLink,
    /// The owner.
    Static,
    /// A router that advertised itself (RFC 4861 6.3.4).
    Router,
    /// A router that knew a better first hop (RFC 4861 8.3).
    Redirect,
}

/// A route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// Which destinations.
    pub prefix: Prefix,
    /// Through which router; `None`: the destination itself is the next hop.
    pub gateway: Option<IpAddr>,
    /// Out of which interface.
    pub interface: InterfaceId,
    /// Among routes of one prefix the least wins.
    pub metric: u32,
    /// Who told us.
    pub origin: RouteOrigin,
    /// When it ends, if it does.
    pub expires: Option<Instant>,
}

/// Metric of what routers advertise: below every static route that states none, as in Linux (1024).
pub const ROUTER_METRIC: u32 = 1024;

/// The table is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteTableFull;

/// The routes of a host.
#[derive(Debug)]
pub struct RouteTable {
    routes: Vec<Entry>,
    routes_max: usize,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    route: Route,
    /// Its router did not answer lately: others are preferred (RFC 4861 6.3.6 (1)).
    unreachable: bool,
}

impl RouteTable {
    /// An empty table.
    pub fn new(routes_max: usize) -> Self {
        Self { routes: Vec::new(), routes_max }
    }

    /// Adds a route, or replaces the one with the same prefix, gateway and interface.
    pub fn add(&mut self, route: Route) -> Result<(), RouteTableFull> {
        let route = Route { prefix: route.prefix.network(), ..route };
        let same = |entry: &Entry| {
            entry.route.prefix == route.prefix
                && entry.route.gateway == route.gateway
                && entry.route.interface == route.interface
        };
        let unreachable = match self.routes.iter().position(same) {
            Some(at) => self.routes.remove(at).unreachable,
            None if self.routes.len() >= self.routes_max => return Err(RouteTableFull),
            None => false,
        };
        let order = |r: &Route| (std::cmp::Reverse(r.prefix.prefix_len()), r.metric);
        let at = self.routes.partition_point(|entry| order(&entry.route) <= order(&route));
        self.routes.insert(at, Entry { route, unreachable });
        Ok(())
    }

    /// Removes the routes that `which` names; returns how many.
    pub fn remove(&mut self, mut which: impl FnMut(&Route) -> bool) -> usize {
        let before = self.routes.len();
        self.routes.retain(|entry| !which(&entry.route));
        before - self.routes.len()
    }

    /// The route to `dst`, restricted to one interface if the caller is bound to it.
    pub fn lookup(&self, dst: IpAddr, interface: Option<InterfaceId>) -> Option<&Route> {
        let mut second_best: Option<&Route> = None;
        for entry in &self.routes {
            let route = &entry.route;
            if !route.prefix.contains(dst) || interface.is_some_and(|id| id != route.interface) {
                continue;
            }
            match second_best {
                // A longer prefix through a silent router still beats a shorter one: only default routers are
                // interchangeable (RFC 4861 6.3.6).
                Some(best) if best.prefix.prefix_len() != route.prefix.prefix_len() => return Some(best),
                _ if !entry.unreachable => return Some(route),
                Some(_) => {}
                None => second_best = Some(route),
            }
        }
        second_best
    }

    /// A router stopped or resumed answering.
    pub fn on_router_reachability(&mut self, interface: InterfaceId, gateway: IpAddr, reachable: bool) {
        for entry in &mut self.routes {
            if entry.route.gateway == Some(gateway) && entry.route.interface == interface {
                entry.unreachable = !reachable;
            }
        }
    }

    /// Drops what has expired.
    pub fn handle_deadline(&mut self, now: Instant) {
        self.routes.retain(|entry| entry.route.expires.is_none_or(|at| at > now));
    }

    /// When the next route expires.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.routes.iter().filter_map(|entry| entry.route.expires).min()
    }

    /// All routes in the order in which they match.
    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter().map(|entry| &entry.route)
    }
}

#[cfg(test)]
mod tests;
