//! ICMP: echo, the errors that we send, and reading those that we get.
//! Spec: RFC 792, RFC 1122 3.2.2, RFC 1812 4.3.2; RFC 4443; RFC 5927 (what to believe).
//! Owns: echo replies not yet read. Invariants: no error is sent about an error, to or about a group or broadcast, about a later
//! fragment, or to a source that is not one host (RFC 1122 3.2.2, RFC 4443 2.4 e); errors obey the rate limit.
//! Not here: what an error does to a connection (`tcp`), to a datagram socket (`udp`), Neighbour Discovery (`neighbor`).

use crate::counters::{Counters, DropReason};
use crate::events::{Direction, Event, Events};
use crate::ip::output::Outgoing;
use crate::ip::{Delivery, Ip, IpMeta, is_possible_host};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use tcp::Instant;
use wire::ip::{Protocol, pseudo_v6};
use wire::ipv6::extension;
use wire::{icmpv4, icmpv6, ipv4, ipv6};

/// An error that we may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IcmpError {
    /// Nobody listens there.
    PortUnreachable,
    /// We do not speak this; `pointer`: where the packet says so.
    ProtocolUnreachable { pointer: u32 },
    /// The rest of a datagram did not come.
    ReassemblyTimeout,
    /// A header that we cannot obey (IPv6 only).
    Problem { code: icmpv6::Problem, pointer: u32, even_if_multicast: bool },
}

/// An echo reply to a question of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EchoReply {
    /// Who answered.
    pub src: IpAddr,
    /// As in the request.
    pub ident: u16,
    /// As in the request.
    pub seq: u16,
    /// Octets of data that came back.
    pub len: usize,
    /// TTL or hop limit on arrival.
    pub hop_limit: u8,
}

/// A packet of ours, as an error quotes it: more or less of it, so nothing behind the eighth octet of the transport is certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quoted<'a> {
    pub(crate) src: IpAddr,
    pub(crate) dst: IpAddr,
    pub(crate) protocol: Protocol,
    /// From the transport header on.
    pub(crate) transport: &'a [u8],
    /// How long the packet says it was.
    pub(crate) packet_len: u32,
}

impl<'a> Quoted<'a> {
    /// Reads a quotation; `None` if it does not reach the transport's ports, or quotes a later fragment.
    pub(crate) fn parse(original: &'a [u8]) -> Option<Self> {
        let quoted = match original.first()? >> 4 {
            4 => {
                let fixed = original.first_chunk::<{ ipv4::HEADER_LEN }>()?;
                let header_len = usize::from(fixed[0] & 0xf) * 4;
                let is_later_fragment = u16::from_be_bytes([fixed[6], fixed[7]]) & 0x1fff != 0;
                if header_len < ipv4::HEADER_LEN || is_later_fragment {
                    return None;
                }
                let addr = |at: usize| Ipv4Addr::new(fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]);
                Quoted {
                    src: addr(12).into(),
                    dst: addr(16).into(),
                    protocol: Protocol(fixed[9]),
                    transport: original.get(header_len..)?,
                    packet_len: u32::from(u16::from_be_bytes([fixed[2], fixed[3]])),
                }
            }
            6 => {
                let fixed = original.first_chunk::<{ ipv6::HEADER_LEN }>()?;
                let addr = |at: usize| {
                    let octets: [u8; 16] = fixed[at..at + 16].try_into().expect("sixteen octets of forty");
                    Ipv6Addr::from(octets)
                };
                let rest = &original[ipv6::HEADER_LEN..];
                let walk =
                    extension::walk(Protocol(fixed[6]), rest, extension::Start::AfterFixedHeader).ok()?;
                if walk.fragment.is_some_and(|fragment| fragment.offset != 0) {
                    return None;
                }
                Quoted {
                    src: addr(8).into(),
                    dst: addr(24).into(),
                    protocol: walk.protocol,
                    transport: walk.payload,
                    packet_len: 40 + u32::from(u16::from_be_bytes([fixed[4], fixed[5]])),
                }
            }
            _ => return None,
        };
        (quoted.transport.len() >= 8).then_some(quoted)
    }

    /// Source and destination port, for the protocols that have them there.
    pub(crate) fn ports(&self) -> (u16, u16) {
        let port = |at: usize| u16::from_be_bytes([self.transport[at], self.transport[at + 1]]);
        (port(0), port(2))
    }
}

/// What an error says about the packet it quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It did not arrive.
    Unreachable(tcp::Unreachable),
    /// It was too large; the next link takes this much (0: it did not say).
    TooBig(u32),
}

/// Reads an ICMPv4 error; `None`: nothing that a transport need know.
pub(crate) fn verdict_v4<'a>(message: &icmpv4::Message<'a>) -> Option<(Verdict, &'a [u8])> {
    use icmpv4::{Message, Unreachable};
    use tcp::Unreachable as Why;
    Some(match *message {
        Message::DestinationUnreachable {
            code: Unreachable::FRAGMENTATION_NEEDED,
            next_hop_mtu,
            original,
        } => (Verdict::TooBig(u32::from(next_hop_mtu)), original),
        // RFC 1122 3.2.2.1, RFC 5461 2.1.
        Message::DestinationUnreachable { code, original, .. } => {
            let why = match code.0 {
                2 => Why::Protocol,
                3 => Why::Port,
                0 | 5 | 6 | 8 | 11 => Why::Network,
                9 | 10 | 13 => Why::Prohibited,
                _ => Why::Host,
            };
            (Verdict::Unreachable(why), original)
        }
        Message::TimeExceeded { original, .. } => (Verdict::Unreachable(Why::TimeExceeded), original),
        // A parameter problem tells of a bug of ours or a broken path: soft (RFC 1122 4.2.3.9).
        Message::ParameterProblem { original, .. } => (Verdict::Unreachable(Why::Host), original),
        // Redirects are ignored: RFC 1122 3.2.2.2 lets a host, and Linux's secure_redirects shows the trouble with believing.
        _ => return None,
    })
}

/// Reads an ICMPv6 error.
pub(crate) fn verdict_v6<'a>(message: &icmpv6::Message<'a>) -> Option<(Verdict, &'a [u8])> {
    use icmpv6::{Message, Problem};
    use tcp::Unreachable as Why;
    Some(match *message {
        Message::PacketTooBig { mtu, original } => (Verdict::TooBig(mtu), original),
        Message::DestinationUnreachable { code, original } => {
            let why = match code.0 {
                4 => Why::Port,
                0 => Why::Network,
                1 | 5 | 6 => Why::Prohibited,
                _ => Why::Host,
            };
            (Verdict::Unreachable(why), original)
        }
        Message::TimeExceeded { original, .. } => (Verdict::Unreachable(Why::TimeExceeded), original),
        Message::ParameterProblem { code: Problem::NEXT_HEADER, original, .. } => {
            (Verdict::Unreachable(Why::Protocol), original)
        }
        Message::ParameterProblem { original, .. } => (Verdict::Unreachable(Why::Host), original),
        _ => return None,
    })
}

impl Ip {
    /// Sends an error about `original`, a packet that arrived with `meta`, unless the rules or the rate forbid it.
    pub(crate) fn send_error(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        events: &mut Events,
        meta: &IpMeta,
        original: &[u8],
        error: IcmpError,
    ) {
        let to_group = meta.delivery != Delivery::Unicast;
        let may_answer_group =
            matches!(error, IcmpError::Problem { even_if_multicast: true, .. }) && meta.dst.is_ipv6();
        let may_tell = is_possible_host(meta.src) || meta.src.is_loopback();
        if (to_group && !may_answer_group) || !may_tell || is_about_an_error(original) {
            return;
        }
        if !self.config.icmp.unreachable
            && matches!(error, IcmpError::PortUnreachable | IcmpError::ProtocolUnreachable { .. })
        {
            return;
        }
        if !self.errors.allow(now, meta.src, &mut self.random) {
            return counters.drop_packet(DropReason::IcmpRateLimited);
        }
        let from = if to_group { self.choose_source(meta.src, Some(meta.interface)) } else { Some(meta.dst) };
        match (from, meta.src) {
            (Some(IpAddr::V4(src)), IpAddr::V4(dst)) => {
                let quote_max = icmpv4::ERROR_PACKET_MAX - ipv4::HEADER_LEN - icmpv4::HEADER_LEN;
                let original = &original[..original.len().min(quote_max)];
                use icmpv4::{Message, Unreachable};
                let unreachable = |code| Message::DestinationUnreachable { code, next_hop_mtu: 0, original };
                let message = match error {
                    IcmpError::PortUnreachable => unreachable(Unreachable::PORT),
                    IcmpError::ProtocolUnreachable { .. } => unreachable(Unreachable::PROTOCOL),
                    IcmpError::ReassemblyTimeout => Message::TimeExceeded { code: 1, original },
                    IcmpError::Problem { .. } => return, // IPv6 only
                };
                self.send_icmp_v4(now, counters, events, meta, src, dst, &message);
            }
            (Some(IpAddr::V6(src)), IpAddr::V6(dst)) => {
                let quote_max = icmpv6::ERROR_PACKET_MAX - ipv6::HEADER_LEN - icmpv6::HEADER_LEN;
                let original = &original[..original.len().min(quote_max)];
                use icmpv6::{Message, Problem, Unreachable};
                let message = match error {
                    IcmpError::PortUnreachable => {
                        Message::DestinationUnreachable { code: Unreachable::PORT, original }
                    }
                    IcmpError::ProtocolUnreachable { pointer } => {
                        Message::ParameterProblem { code: Problem::NEXT_HEADER, pointer, original }
                    }
                    IcmpError::ReassemblyTimeout => Message::TimeExceeded { code: 1, original },
                    IcmpError::Problem { code, pointer, .. } => {
                        Message::ParameterProblem { code, pointer, original }
                    }
                };
                self.send_icmp_v6(now, counters, events, meta, src, dst, &message);
            }
            _ => {}
        }
    }

    /// Answers an echo request (RFC 1122 3.2.2.6, RFC 4443 4.2).
    pub(crate) fn answer_echo_v4(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        events: &mut Events,
        meta: &IpMeta,
        (ident, seq, data): (u16, u16, &[u8]),
    ) {
        let (IpAddr::V4(asker), IpAddr::V4(asked)) = (meta.src, meta.dst) else { return };
        // RFC 1122 3.2.2.6 lets a host ignore a request to a broadcast or group; answering makes it an amplifier.
        if !self.config.icmp.echo || meta.delivery != Delivery::Unicast {
            return;
        }
        let reply = icmpv4::Message::EchoReply { ident, seq, data };
        self.send_icmp_v4(now, counters, events, meta, asked, asker, &reply);
    }

    /// Answers an ICMPv6 echo request; one to a group from an address of our own.
    pub(crate) fn answer_echo_v6(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        events: &mut Events,
        meta: &IpMeta,
        (ident, seq, data): (u16, u16, &[u8]),
    ) {
        let IpAddr::V6(asker) = meta.src else { return };
        if !self.config.icmp.echo || asker.is_unspecified() {
            return;
        }
        let asked = match meta.delivery {
            Delivery::Unicast => Some(meta.dst),
            _ => self.choose_source(meta.src, Some(meta.interface)),
        };
        let Some(IpAddr::V6(asked)) = asked else { return };
        let reply = icmpv6::Message::EchoReply { ident, seq, data };
        self.send_icmp_v6(now, counters, events, meta, asked, asker, &reply);
    }

    #[allow(clippy::too_many_arguments)]
    fn send_icmp_v4(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        events: &mut Events,
        meta: &IpMeta,
        src: Ipv4Addr,
        dst: Ipv4Addr,
        message: &icmpv4::Message<'_>,
    ) {
        let len = message.wire_len();
        let mut out = Outgoing::new(src.into(), dst.into(), Protocol::ICMP);
        out.interface = self.reply_interface(meta);
        let mut head = (0, 0);
        self.send_control(now, counters, events, &out, len, |bytes| {
            message.emit(bytes);
            head = (bytes[0], bytes[1]);
        });
        self.tell_sent(now, counters, events, &out, head);
    }

    #[allow(clippy::too_many_arguments)]
    fn send_icmp_v6(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        events: &mut Events,
        meta: &IpMeta,
        src: Ipv6Addr,
        dst: Ipv6Addr,
        message: &icmpv6::Message<'_>,
    ) {
        let len = message.wire_len();
        let mut out = Outgoing::new(src.into(), dst.into(), Protocol::ICMPV6);
        out.interface = self.reply_interface(meta);
        let sum = pseudo_v6(src, dst, Protocol::ICMPV6, len as u32);
        let mut head = (0, 0);
        self.send_control(now, counters, events, &out, len, |bytes| {
            message.emit(bytes, sum);
            head = (bytes[0], bytes[1]);
        });
        self.tell_sent(now, counters, events, &out, head);
    }

    /// An echo request of our own.
    pub(crate) fn send_echo_request(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        events: &mut Events,
        out: &Outgoing,
        (ident, seq, data): (u16, u16, &[u8]),
    ) {
        let len = icmpv4::HEADER_LEN + data.len();
        let (src, dst) = (out.src, out.dst);
        let mut head = (0, 0);
        self.send_control(now, counters, events, out, len, |bytes| {
            match (src, dst) {
                (IpAddr::V6(src), IpAddr::V6(dst)) => {
                    let sum = pseudo_v6(src, dst, Protocol::ICMPV6, len as u32);
                    icmpv6::Message::EchoRequest { ident, seq, data }.emit(bytes, sum);
                }
                _ => {
                    icmpv4::Message::EchoRequest { ident, seq, data }.emit(bytes);
                }
            }
            head = (bytes[0], bytes[1]);
        });
        self.tell_sent(now, counters, events, out, head);
    }

    fn tell_sent(
        &self,
        now: Instant,
        counters: &mut Counters,
        events: &mut Events,
        out: &Outgoing,
        (kind, code): (u8, u8),
    ) {
        counters.icmp_sent += 1;
        let Outgoing { src, dst, protocol, .. } = *out;
        events.record(now, || Event::Icmp { direction: Direction::Sent, src, dst, protocol, kind, code });
    }

    /// Link-local conversations stay on their link; others go where the routes say.
    fn reply_interface(&self, meta: &IpMeta) -> Option<crate::frame::InterfaceId> {
        let is_link_local = matches!(meta.src, IpAddr::V6(a) if a.is_unicast_link_local());
        let known = self.interface(meta.interface).is_some();
        (is_link_local && known).then_some(meta.interface)
    }
}

/// Whether `packet`, which may be cut short, is an ICMP error itself, or a later fragment: nothing is said about those.
fn is_about_an_error(packet: &[u8]) -> bool {
    match packet.first().map(|b| b >> 4) {
        Some(4) => match Quoted::parse(packet) {
            // Anything but a known question is treated as an error (RFC 1122 3.2.2).
            Some(quoted) => {
                quoted.protocol == Protocol::ICMP && !matches!(quoted.transport[0], 0 | 8 | 9 | 10 | 13..=18)
            }
            None => true,
        },
        Some(6) => {
            let Some((fixed, rest)) = packet.split_first_chunk::<{ ipv6::HEADER_LEN }>() else { return true };
            let walk = extension::walk(Protocol(fixed[6]), rest, extension::Start::AfterFixedHeader);
            // A chain that cannot be walked is no error message; its own refusal is what is told.
            let Ok(walk) = walk else { return false };
            // RFC 4443 2.4 (e) allows errors about later fragments; of ICMPv6 they may be an error's, so those are spared.
            let is_later = walk.fragment.is_some_and(|fragment| fragment.offset != 0);
            let may_be_error = is_later || walk.payload.first().is_none_or(|kind| *kind < 128);
            walk.protocol == Protocol::ICMPV6 && may_be_error
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests;
