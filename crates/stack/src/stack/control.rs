//! Control messages: what ICMP, IGMP and MLD tell a host, and whom it concerns.
//! Spec: RFC 792, RFC 4443, RFC 1122 3.2.2; RFC 5927 (errors are believed only about what is in flight); RFC 2236, RFC 2710.
//! Owns: nothing; works on the stack's rooms. Invariants: an error changes something only if it quotes a packet of ours.
//! Not here: the messages' layout (`wire`), what an error means (`ip::icmp`), who is answered (`ip`).

use super::{ECHO_REPLIES_MAX, Stack};
use crate::counters::DropReason;
use crate::events::{Direction, Event};
use crate::ip::IpMeta;
use crate::ip::icmp::{EchoReply, Quoted, Verdict, verdict_v4, verdict_v6};
use crate::ip::input::Whole;
use crate::ip::output::Outgoing;
use crate::tcp_host::floor::NoOutlets;
use std::net::{IpAddr, SocketAddr};
use tcp::Instant;
use wire::ip::{Protocol, pseudo};
use wire::{icmpv4, icmpv6, igmp, mld};

impl Stack {
    /// Asks a host whether it is there; [`poll_echo`](Self::poll_echo) tells when it answers. False: no way to it.
    pub fn ping(&mut self, now: Instant, dst: IpAddr, ident: u16, seq: u16, data: &[u8]) -> bool {
        let Some(src) = self.ip.choose_source(dst, None) else { return false };
        let protocol = if dst.is_ipv4() { Protocol::ICMP } else { Protocol::ICMPV6 };
        let out = Outgoing::new(src, dst, protocol);
        let longest = 65_535 - 60;
        let data = &data[..data.len().min(longest)];
        self.ip.send_echo_request(now, &mut self.counters, &mut self.events, &out, (ident, seq, data));
        true
    }

    /// The oldest echo reply.
    pub fn poll_echo(&mut self) -> Option<EchoReply> {
        self.echo_replies.pop_front()
    }

    pub(super) fn handle_icmp_v4(&mut self, now: Instant, whole: &Whole<'_>) {
        let meta = &whole.meta;
        let Ok(message) = icmpv4::Message::parse(whole.payload) else {
            return self.drop_packet(now, meta.interface, DropReason::BadChecksum);
        };
        self.record_icmp(now, meta, whole.payload);
        match message {
            icmpv4::Message::EchoRequest { ident, seq, data } => {
                self.ip.answer_echo_v4(now, &mut self.counters, &mut self.events, meta, (ident, seq, data));
            }
            icmpv4::Message::EchoReply { ident, seq, data } => self.keep_echo(meta, ident, seq, data.len()),
            message => match verdict_v4(&message) {
                Some((verdict, original)) => self.handle_verdict(now, meta, verdict, original),
                None => self.drop_packet(now, meta.interface, DropReason::IcmpIgnored),
            },
        }
    }

    pub(super) fn handle_icmp_v6(&mut self, now: Instant, whole: &Whole<'_>) {
        let meta = &whole.meta;
        let parsed = pseudo(meta.src, meta.dst, Protocol::ICMPV6, whole.payload.len())
            .and_then(|sum| icmpv6::Message::parse(whole.payload, sum).ok());
        let Some(message) = parsed else {
            return self.drop_packet(now, meta.interface, DropReason::BadChecksum);
        };
        self.record_icmp(now, meta, whole.payload);
        match message {
            icmpv6::Message::EchoRequest { ident, seq, data } => {
                self.ip.answer_echo_v6(now, &mut self.counters, &mut self.events, meta, (ident, seq, data));
            }
            icmpv6::Message::EchoReply { ident, seq, data } => self.keep_echo(meta, ident, seq, data.len()),
            icmpv6::Message::Ndisc(_) if whole.was_fragmented => {
                self.drop_packet(now, meta.interface, DropReason::BadNeighborMessage); // RFC 6980 5
            }
            icmpv6::Message::Ndisc(message) => {
                let code = whole.payload[1];
                self.ip.handle_ndisc(now, &mut self.counters, &mut self.events, meta, code, &message);
            }
            icmpv6::Message::Mld(message) => self.handle_mld(now, meta, &message),
            message => match verdict_v6(&message) {
                Some((verdict, original)) => self.handle_verdict(now, meta, verdict, original),
                None => self.drop_packet(now, meta.interface, DropReason::IcmpIgnored),
            },
        }
    }

    fn record_icmp(&mut self, now: Instant, meta: &IpMeta, payload: &[u8]) {
        let IpMeta { src, dst, protocol, .. } = *meta;
        let (kind, code) = (payload[0], payload[1]);
        let direction = Direction::Received;
        self.events.record(now, || Event::Icmp { direction, src, dst, protocol, kind, code });
    }

    /// An error arrived: whom does it concern, and is it to be believed?
    fn handle_verdict(&mut self, now: Instant, meta: &IpMeta, verdict: Verdict, original: &[u8]) {
        let quoted = Quoted::parse(original).filter(|quoted| self.ip.may_bind(quoted.src));
        let Some(quoted) = quoted else {
            return self.drop_packet(now, meta.interface, DropReason::IcmpUnrelated);
        };
        if !self.apply_verdict(now, verdict, &quoted) {
            self.drop_packet(now, meta.interface, DropReason::IcmpUnrelated);
        }
    }

    /// Hands a verdict to the transport that sent the quoted packet. False: nobody did.
    pub(super) fn apply_verdict(&mut self, now: Instant, verdict: Verdict, quoted: &Quoted<'_>) -> bool {
        let (src_port, dst_port) = quoted.ports();
        let (local, remote) = (SocketAddr::new(quoted.src, src_port), SocketAddr::new(quoted.dst, dst_port));
        match (quoted.protocol, verdict) {
            (Protocol::TCP, Verdict::Unreachable(why)) => {
                let mut nowhere = NoOutlets;
                let (tcp, mut floor) = self.tcp_and_floor(&mut nowhere);
                tcp.handle_unreachable(now, &mut floor, (quoted.src, quoted.dst), quoted.transport, why);
                true
            }
            (Protocol::TCP, Verdict::TooBig(mtu)) => {
                // RFC 5927 7.2: only about data in flight.
                if !self.tcp.is_in_flight(quoted.src, quoted.dst, quoted.transport) {
                    return false;
                }
                if self.learn_path_mtu(now, quoted, mtu) {
                    let mut nowhere = NoOutlets;
                    let (tcp, mut floor) = self.tcp_and_floor(&mut nowhere);
                    tcp.handle_too_big(now, &mut floor, (quoted.src, quoted.dst), quoted.transport);
                }
                true
            }
            (Protocol::UDP, Verdict::Unreachable(why)) => {
                self.udp.handle_unreachable(&mut self.ready, local, remote, why.is_hard())
            }
            (Protocol::UDP, Verdict::TooBig(mtu)) => {
                let is_ours = self.udp.handle_unreachable(&mut self.ready, local, remote, false);
                if is_ours {
                    self.learn_path_mtu(now, quoted, mtu);
                }
                is_ours
            }
            // Echo requests of ours: the program sees no answer, which says as much. Their "too big" is believed, since
            // the next, smaller, one then arrives.
            (Protocol::ICMP | Protocol::ICMPV6, Verdict::TooBig(mtu)) => {
                self.learn_path_mtu(now, quoted, mtu);
                true
            }
            (Protocol::ICMP | Protocol::ICMPV6, Verdict::Unreachable(_)) => true,
            _ => false,
        }
    }

    fn learn_path_mtu(&mut self, now: Instant, quoted: &Quoted<'_>, mtu: u32) -> bool {
        let Ok(path) = self.ip.path(now, quoted.dst, None) else { return false };
        let told = self.ip.path_mtus.on_too_big(now, quoted.dst, mtu, quoted.packet_len, path.link_mtu);
        if let Some(mtu) = told {
            let dst = quoted.dst;
            self.events.record(now, || Event::PathMtu { dst, mtu });
        }
        told.is_some()
    }

    fn keep_echo(&mut self, meta: &IpMeta, ident: u16, seq: u16, len: usize) {
        if self.echo_replies.len() < ECHO_REPLIES_MAX {
            self.echo_replies.push_back(EchoReply {
                src: meta.src,
                ident,
                seq,
                len,
                hop_limit: meta.hop_limit,
            });
        }
    }

    pub(super) fn handle_igmp(&mut self, now: Instant, whole: &Whole<'_>) {
        let meta = &whole.meta;
        let Ok(message) = igmp::Message::parse(whole.payload) else {
            return self.drop_packet(now, meta.interface, DropReason::BadChecksum);
        };
        let random = &mut self.ip.random;
        let interface = meta.interface.index().and_then(|index| self.ip.interfaces.get_mut(index));
        let Some(interface) = interface else { return };
        match message {
            igmp::Message::Query { group, max_response, version } => {
                let v1 = version == igmp::QueryVersion::V1;
                interface.groups.on_query(now, group.into(), max_response, v1, || random.next_u64());
            }
            igmp::Message::ReportV1 { group } | igmp::Message::ReportV2 { group } => {
                interface.groups.on_report(group.into());
            }
            igmp::Message::Leave { .. } | igmp::Message::Other { .. } => {}
        }
    }

    fn handle_mld(&mut self, now: Instant, meta: &IpMeta, message: &mld::Message<'_>) {
        // RFC 2710 3: only from this link.
        let from_this_link = matches!(meta.src, IpAddr::V6(a) if a.is_unicast_link_local());
        if meta.hop_limit != 1 || !from_this_link {
            return self.drop_packet(now, meta.interface, DropReason::BadNeighborMessage);
        }
        let random = &mut self.ip.random;
        let interface = meta.interface.index().and_then(|index| self.ip.interfaces.get_mut(index));
        let Some(interface) = interface else { return };
        match *message {
            mld::Message::Query { group, max_response, .. } => {
                interface.groups.on_query(now, group.into(), max_response, false, || random.next_u64());
            }
            mld::Message::Report { group } => interface.groups.on_report(group.into()),
            mld::Message::Done { .. } | mld::Message::ReportV2 { .. } => {}
        }
    }
}
