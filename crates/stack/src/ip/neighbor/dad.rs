//! Is an address ours alone? Probing before use, announcing after, and what happens when another host has it too.
//! Spec: RFC 4862 5.4 (IPv6 duplicate address detection), RFC 5227 2.1-2.4 (the same for IPv4; opt-in).
//! Owns: the progress of one address's probes. Invariants: a tentative address is neither a source nor answered for; probes are
//! counted and spaced as the RFCs say.
//! Not here: the messages (`arp`, `ndisc`), choosing another address (`router`).

use crate::config::InterfaceConfig;
use crate::counters::Counters;
use crate::events::{AddressChange, Event, Events};
use crate::frame::{InterfaceId, Medium};
use crate::ip::Ip;
use crate::ip::interface::{AddressOrigin, Interface};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use tcp::Instant;

/// RFC 4861 10: MAX_RTR_SOLICITATION_DELAY, before the first probe (RFC 4862 5.4.2).
const FIRST_PROBE_DELAY: Duration = Duration::from_secs(1);
/// RFC 4861 10: RETRANS_TIMER, between probes.
const PROBE_INTERVAL_V6: Duration = Duration::from_secs(1);
/// RFC 5227 1.1: PROBE_NUM, PROBE_MIN, PROBE_MAX - PROBE_MIN, ANNOUNCE_WAIT, ANNOUNCE_NUM, ANNOUNCE_INTERVAL, DEFEND_INTERVAL.
const PROBE_NUM_V4: u8 = 3;
const PROBE_MIN_V4: Duration = Duration::from_secs(1);
const PROBE_SPREAD_V4: Duration = Duration::from_secs(1);
const ANNOUNCE_WAIT: Duration = Duration::from_secs(2);
const ANNOUNCE_NUM: u8 = 2;
const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(2);
pub(crate) const DEFEND_INTERVAL: Duration = Duration::from_secs(10);

/// How far the probing of one address has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Probing {
    probes_left: u8,
    announcements_left: u8,
    tentative: bool,
    at: Instant,
}

/// What is to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Ask whether anyone has it.
    Probe,
    /// Nobody has: it is ours from now on.
    Assigned,
    /// Tell everyone that it is ours.
    Announce,
    /// All is done.
    Over,
}

impl Probing {
    /// The plan for an address that is being added, or `None` if it is used at once.
    pub(crate) fn start(now: Instant, config: &InterfaceConfig, addr: IpAddr, draw: u64) -> Option<Self> {
        if config.capabilities.medium != Medium::Ethernet || config.dad_transmits == 0 {
            return None;
        }
        let (probes_left, announcements_left) = match addr {
            IpAddr::V4(_) if !config.probe_ipv4 => return None,
            IpAddr::V4(_) => (PROBE_NUM_V4, ANNOUNCE_NUM),
            IpAddr::V6(_) => (config.dad_transmits, 0),
        };
        Some(Self {
            probes_left,
            announcements_left,
            tentative: true,
            at: now + share(FIRST_PROBE_DELAY, draw),
        })
    }

    /// Whether the address may not be used yet.
    pub(crate) fn is_tentative(&self) -> bool {
        self.tentative
    }

    /// When the next step is due.
    pub(crate) fn deadline(&self) -> Instant {
        self.at
    }

    /// Takes the step that is due.
    pub(crate) fn step(&mut self, now: Instant, addr: IpAddr, draw: u64) -> Step {
        if self.probes_left > 0 {
            self.probes_left -= 1;
            self.at = now
                + match addr {
                    IpAddr::V6(_) => PROBE_INTERVAL_V6,
                    IpAddr::V4(_) if self.probes_left == 0 => ANNOUNCE_WAIT,
                    IpAddr::V4(_) => PROBE_MIN_V4 + share(PROBE_SPREAD_V4, draw),
                };
            return Step::Probe;
        }
        if self.tentative {
            self.tentative = false;
            return Step::Assigned;
        }
        if self.announcements_left > 0 {
            self.announcements_left -= 1;
            self.at = now + ANNOUNCE_INTERVAL;
            return Step::Announce;
        }
        Step::Over
    }
}

/// A share of `whole`, uniform.
pub(crate) fn share(whole: Duration, draw: u64) -> Duration {
    let nanos = whole.as_nanos() as u64;
    Duration::from_nanos(((u128::from(draw) * u128::from(nanos)) >> 64) as u64)
}

impl Interface {
    /// The least deadline of the interface's rooms.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let addresses = self.addresses.iter().flat_map(|a| {
            let probing = a.probing.as_ref().map(Probing::deadline);
            [probing, a.preferred_until.filter(|_| !a.deprecated), a.valid_until].into_iter().flatten()
        });
        let rooms = [self.groups.next_deadline(), self.router_discovery.next_deadline()];
        addresses.chain(rooms.into_iter().flatten()).min()
    }
}

impl Ip {
    /// Takes every step of probing, and ends every lifetime, that is due.
    pub(crate) fn handle_address_deadlines(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        events: &mut Events,
    ) {
        for index in 0..self.interfaces.len() {
            let id = self.interfaces[index].id;
            let mut at = 0;
            while at < self.interfaces[index].addresses.len() {
                let draw = self.random.next_u64();
                let address = &mut self.interfaces[index].addresses[at];
                let (prefix, addr) = (address.prefix, address.prefix.addr());
                if address.valid_until.is_some_and(|until| until <= now) {
                    self.remove_address(now, id, addr, AddressChange::Removed, events);
                    continue;
                }
                if !address.deprecated && address.preferred_until.is_some_and(|until| until <= now) {
                    address.deprecated = true;
                    let change = AddressChange::Deprecated;
                    events.record(now, || Event::Address { interface: id, prefix, change });
                }
                while let Some(probing) =
                    self.interfaces[index].addresses[at].probing.as_mut().filter(|p| p.deadline() <= now)
                {
                    match probing.step(now, addr, draw) {
                        Step::Probe => self.send_probe(now, counters, events, id, addr),
                        Step::Assigned => {
                            let change = AddressChange::Preferred;
                            events.record(now, || Event::Address { interface: id, prefix, change });
                        }
                        Step::Announce => {
                            if let IpAddr::V4(addr) = addr {
                                self.send_announcement(counters, id, addr);
                            }
                        }
                        Step::Over => self.interfaces[index].addresses[at].probing = None,
                    }
                }
                at += 1;
            }
        }
    }

    fn send_probe(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        events: &mut Events,
        id: InterfaceId,
        addr: IpAddr,
    ) {
        match addr {
            IpAddr::V4(addr) => self.send_arp_request(counters, id, Ipv4Addr::UNSPECIFIED, addr, None),
            IpAddr::V6(addr) => self.send_dad_solicitation(now, counters, events, id, addr),
        }
    }

    /// Somebody else has, or wants, an address that we were probing for: it cannot be ours (RFC 4862 5.4.3-5.4.5, RFC 5227 2.1.1).
    pub(crate) fn on_duplicate(&mut self, now: Instant, events: &mut Events, id: InterfaceId, addr: IpAddr) {
        let Some(address) = self.interface_mut(id).and_then(|i| i.address_mut(addr)) else { return };
        let (origin, prefix) = (address.origin, address.prefix);
        self.remove_address(now, id, addr, AddressChange::Duplicate, events);
        if origin == AddressOrigin::Autoconfigured {
            self.form_another(now, id, prefix, events);
        }
    }
}

#[cfg(test)]
mod tests;
