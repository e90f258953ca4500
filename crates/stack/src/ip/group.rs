//! Groups: which multicast groups an interface listens to, and telling the routers on the link.
//! Spec: RFC 2236 (IGMPv2: sections 3 and 6), RFC 2710 (MLDv1: sections 4 and 5), RFC 1112; hosts of these versions are understood by
//!       routers of the later ones (RFC 3376 7, RFC 3810 8).
//! Owns: the groups with their reference counts and report timers. Invariants: at most `groups_max` groups; a timer is set only
//! while a report is due; the all-nodes groups and groups of smaller scope than the link are never reported.
//! Not here: which socket joined (`udp`), the messages' bytes (`wire::igmp`, `wire::mld`).

use crate::counters::{Counters, DropReason};
use crate::frame::InterfaceId;
use crate::ip::Ip;
use crate::ip::interface::ALL_ROUTERS;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;
use tcp::Instant;
use wire::ip::{Protocol, pseudo_v6};
use wire::ipv6::extension;
use wire::{icmpv6, igmp, ipv4, ipv6, mld};

/// RFC 2236 8.10, RFC 2710 7.10: a join is reported at once and again within this time, lest the first report got lost.
const UNSOLICITED_REPORT_INTERVAL: Duration = Duration::from_secs(10);
/// RFC 2236 4: what a version 1 query means by its zero.
const V1_MAX_RESPONSE: Duration = Duration::from_secs(10);
/// RFC 2236 4: how long reports of version 1 are sent after a version 1 query.
const V1_ROUTER_PRESENT: Duration = Duration::from_secs(400);

/// What is to be told on the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GroupMessage {
    /// "I listen."
    Report { group: IpAddr, v1: bool },
    /// "I leave": only if we were the last to report, since others would have spoken up otherwise.
    Leave { group: IpAddr },
}

/// A join that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JoinRefused {
    NotAGroup,
    TooMany,
}

#[derive(Debug)]
struct Membership {
    group: IpAddr,
    joins: u32,
    report_at: Option<Instant>,
    reports_left: u8,
    /// We reported last, so a leave is ours to tell (RFC 2236 3, "flag").
    reported_last: bool,
}

/// The groups of one interface.
#[derive(Debug)]
pub(crate) struct Groups {
    memberships: Vec<Membership>,
    leaving: Vec<IpAddr>,
    groups_max: usize,
    announce: bool,
    v1_router_until: Option<Instant>,
}

impl Groups {
    pub(crate) fn new(groups_max: usize, announce: bool) -> Self {
        Self { memberships: Vec::new(), leaving: Vec::new(), groups_max, announce, v1_router_until: None }
    }

    /// One more user of `group`.
    pub(crate) fn join(&mut self, now: Instant, group: IpAddr) -> Result<(), JoinRefused> {
        if !group.is_multicast() {
            return Err(JoinRefused::NotAGroup);
        }
        if let Some(membership) = self.memberships.iter_mut().find(|m| m.group == group) {
            membership.joins += 1;
            return Ok(());
        }
        if self.memberships.len() >= self.groups_max {
            return Err(JoinRefused::TooMany);
        }
        let is_told = self.announce && is_reported(group);
        self.leaving.retain(|&left| left != group);
        self.memberships.push(Membership {
            group,
            joins: 1,
            report_at: is_told.then_some(now),
            reports_left: if is_told { 2 } else { 0 },
            reported_last: false,
        });
        Ok(())
    }

    /// One user less; the last one out leaves the group.
    pub(crate) fn leave(&mut self, group: IpAddr) {
        let Some(at) = self.memberships.iter().position(|m| m.group == group) else { return };
        self.memberships[at].joins -= 1;
        if self.memberships[at].joins == 0 {
            let membership = self.memberships.remove(at);
            // RFC 2236 3, RFC 2710 4: a leave may be skipped when somebody else reported last. Bounded like the groups.
            if membership.reported_last && self.leaving.len() < self.groups_max {
                self.leaving.push(group);
            }
        }
    }

    pub(crate) fn contains(&self, group: IpAddr) -> bool {
        self.memberships.iter().any(|m| m.group == group)
    }

    /// A router asks about `group`, or about all groups of its family. `v1`: it speaks IGMPv1.
    pub(crate) fn on_query(
        &mut self,
        now: Instant,
        group: IpAddr,
        max_response: Duration,
        v1: bool,
        mut draw: impl FnMut() -> u64,
    ) {
        if !self.announce {
            return;
        }
        let max_response = if v1 { V1_MAX_RESPONSE } else { max_response.min(Duration::from_secs(8_400)) };
        if v1 {
            self.v1_router_until = Some(now + V1_ROUTER_PRESENT);
        }
        for membership in &mut self.memberships {
            let is_meant = if group.is_unspecified() {
                membership.group.is_ipv4() == group.is_ipv4()
            } else {
                membership.group == group
            };
            if !is_meant || !is_reported(membership.group) {
                continue;
            }
            // RFC 2236 3: a random delay in (0, Max Response Time]; a running timer is only ever shortened.
            let nanos = u64::try_from(max_response.as_nanos()).unwrap_or(u64::MAX).max(1);
            let delay = Duration::from_nanos(((u128::from(draw()) * u128::from(nanos)) >> 64) as u64);
            let at = now + delay;
            if membership.report_at.is_none_or(|due| due > at) {
                membership.report_at = Some(at);
            }
            membership.reports_left = membership.reports_left.max(1);
        }
    }

    /// Another host reported `group`: we need not (RFC 2236 3, RFC 2710 4).
    pub(crate) fn on_report(&mut self, group: IpAddr) {
        if let Some(membership) = self.memberships.iter_mut().find(|m| m.group == group)
            && membership.report_at.is_some()
        {
            membership.report_at = None;
            membership.reports_left = 0;
            membership.reported_last = false;
        }
    }

    /// Nothing was joined or left, so nothing can be due.
    #[inline]
    pub(crate) fn is_silent(&self) -> bool {
        self.memberships.is_empty() && self.leaving.is_empty()
    }

    /// The next message that is due; call until it returns nothing.
    pub(crate) fn poll(&mut self, now: Instant, mut draw: impl FnMut() -> u64) -> Option<GroupMessage> {
        if let Some(group) = self.leaving.pop() {
            return Some(GroupMessage::Leave { group });
        }
        let v1 = self.v1_router_until.is_some_and(|until| now < until);
        let due = |m: &&mut Membership| m.report_at.is_some_and(|at| at <= now);
        let membership = self.memberships.iter_mut().find(due)?;
        membership.reports_left = membership.reports_left.saturating_sub(1);
        membership.report_at = (membership.reports_left > 0).then(|| {
            let nanos = UNSOLICITED_REPORT_INTERVAL.as_nanos() as u64;
            now + Duration::from_nanos(((u128::from(draw()) * u128::from(nanos)) >> 64) as u64)
        });
        membership.reported_last = true;
        Some(GroupMessage::Report { group: membership.group, v1: v1 && membership.group.is_ipv4() })
    }

    /// When the next message is due: `Instant::ZERO` if one waits already.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        if !self.leaving.is_empty() {
            return Some(Instant::ZERO);
        }
        self.memberships.iter().filter_map(|m| m.report_at).min()
    }
}

impl Ip {
    /// Tells the routers of a link.
    pub(crate) fn send_group_message(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        id: InterfaceId,
        message: GroupMessage,
    ) {
        let Some(interface) = self.interface(id) else { return };
        match message {
            GroupMessage::Report { group: IpAddr::V4(group), .. }
            | GroupMessage::Leave { group: IpAddr::V4(group) } => {
                // RFC 2236 2 and 9: TTL 1, router alert; reports to the group itself, leaves to all routers.
                let (igmp, dst) = match message {
                    GroupMessage::Report { v1: true, .. } => (igmp::Message::ReportV1 { group }, group),
                    GroupMessage::Report { .. } => (igmp::Message::ReportV2 { group }, group),
                    GroupMessage::Leave { .. } => (igmp::Message::Leave { group }, ALL_ROUTERS_V4),
                };
                let src = interface.first_v4().unwrap_or(Ipv4Addr::UNSPECIFIED);
                let mut header = ipv4::Header::new(src, dst, Protocol::IGMP, 1, igmp::LEN as u16);
                header.router_alert = true;
                let mut packet = self.control.buffer(header.header_len() + igmp::LEN);
                let header_len = header.emit(&mut packet);
                igmp.emit(&mut packet[header_len..]);
                self.send_to_group(now, counters, id, dst.into(), packet);
            }
            GroupMessage::Report { group: IpAddr::V6(group), .. }
            | GroupMessage::Leave { group: IpAddr::V6(group) } => {
                // RFC 2710 3: hop limit 1, router alert in a hop-by-hop header, from a link-local address; RFC 3590: from ::
                // while there is none.
                let (mld, dst) = match message {
                    GroupMessage::Report { .. } => (mld::Message::Report { group }, group),
                    GroupMessage::Leave { .. } => (mld::Message::Done { group }, ALL_ROUTERS),
                };
                let src = interface.link_local().unwrap_or(Ipv6Addr::UNSPECIFIED);
                let icmp = icmpv6::Message::Mld(mld);
                let (hop_by_hop, len) = (extension::ROUTER_ALERT_LEN, icmp.wire_len());
                let mut packet = self.control.buffer(ipv6::HEADER_LEN + hop_by_hop + len);
                ipv6::Header::new(src, dst, Protocol::HOP_BY_HOP, 1, (hop_by_hop + len) as u16)
                    .emit(&mut packet);
                extension::emit_router_alert(Protocol::ICMPV6, &mut packet[ipv6::HEADER_LEN..]);
                let sum = pseudo_v6(src, dst, Protocol::ICMPV6, len as u32);
                icmp.emit(&mut packet[ipv6::HEADER_LEN + hop_by_hop..], sum);
                self.send_to_group(now, counters, id, dst.into(), packet);
            }
        }
    }

    fn send_to_group(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        id: InterfaceId,
        dst: IpAddr,
        packet: Vec<u8>,
    ) {
        match self.path(now, dst, Some(id)) {
            Ok(path) => self.queue_packet(now, counters, &path, dst, packet),
            Err(_) => counters.drop_packet(DropReason::NoRoute),
        }
    }
}

/// 224.0.0.2
const ALL_ROUTERS_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 2);

/// RFC 2236 6 (224.0.0.1), RFC 2710 5 (ff02::1, and scopes 0 and 1): never reported.
fn is_reported(group: IpAddr) -> bool {
    match group {
        IpAddr::V4(group) => group != Ipv4Addr::new(224, 0, 0, 1),
        IpAddr::V6(group) => {
            group != Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1) && group.octets()[1] & 0xf > 1
        }
    }
}

#[cfg(test)]
mod tests;
