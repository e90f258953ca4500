//! One line a packet, for people: traces of the simulator, counter-examples, logs of tests.
//! Owns: nothing; [`Line`] borrows the bytes and prints when displayed, so an unread line costs nothing.
//! Invariants: any bytes print; what cannot be read is said, with its length.
//! Not here: diagrams over many packets (`ladder`).
//!
//! ```text
//! 10.0.0.1:40000 > 10.0.0.2:80 tcp S seq 16909060 win 64240 len 0 <mss 1460,sackOK,ts 9:0,wscale 7>
//! [fd00::1]:53 > [fd00::2]:4000 udp len 2
//! 10.0.0.1 > 10.0.0.2 udp fragment id 7 offset 1480+ len 1480
//! ```

use crate::checksum::Sum;
use crate::ip::{Ecn, Protocol, pseudo, version};
use crate::meta::Medium;
use crate::{arp, ethernet, icmpv4, icmpv6, igmp, ipv4, ipv6, mld, ndisc, tcp, udp};
use core::fmt::{self, Formatter};
use core::net::{IpAddr, SocketAddr};

/// A frame that prints as one line.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    bytes: &'a [u8],
    medium: Medium,
    verify: bool,
}

/// The line of an IP packet.
pub fn packet(bytes: &[u8]) -> Line<'_> {
    line(Medium::Ip, bytes)
}

/// The line of a frame of either medium.
pub fn line(medium: Medium, bytes: &[u8]) -> Line<'_> {
    Line { bytes, medium, verify: true }
}

impl Line<'_> {
    /// Says nothing about checksums: a device is still to finish them.
    #[must_use]
    pub fn without_checksums(self) -> Self {
        Line { verify: false, ..self }
    }

    /// Marks a checksum that fails.
    fn sum(self, valid: bool) -> &'static str {
        if valid || !self.verify { "" } else { " (bad checksum)" }
    }

    fn frame(self, f: &mut Formatter<'_>) -> fmt::Result {
        let Ok(frame) = ethernet::Packet::new(self.bytes) else {
            return write!(f, "unreadable frame, {} bytes", self.bytes.len());
        };
        if let Some(vlan) = frame.vlan() {
            write!(f, "vlan {vlan} ")?;
        }
        match frame.ethertype() {
            ethernet::EtherType::IPV4 | ethernet::EtherType::IPV6 => self.ip(f, frame.payload()),
            ethernet::EtherType::ARP => match arp::Packet::parse(frame.payload()) {
                Ok(p) if p.operation == arp::Operation::Request => {
                    write!(f, "arp who has {} tell {} ({})", p.target_ip, p.sender_ip, p.sender_mac)
                }
                Ok(p) => write!(f, "arp {} is at {}", p.sender_ip, p.sender_mac),
                Err(why) => write!(f, "unreadable arp: {why}"),
            },
            other => write!(
                f,
                "{} > {} type {:#06x} len {}",
                frame.src(),
                frame.dst(),
                other.0,
                frame.payload().len()
            ),
        }
    }

    fn ip(self, f: &mut Formatter<'_>, bytes: &[u8]) -> fmt::Result {
        match version(bytes) {
            Some(4) => self.v4(f, bytes),
            Some(6) => self.v6(f, bytes),
            _ => write!(f, "neither IPv4 nor IPv6, {} bytes", bytes.len()),
        }
    }

    fn v4(self, f: &mut Formatter<'_>, bytes: &[u8]) -> fmt::Result {
        let p = match ipv4::Packet::new(bytes) {
            Ok(p) => p,
            Err(why) => return write!(f, "unreadable IPv4: {why}, {} bytes", bytes.len()),
        };
        let (src, dst) = (IpAddr::V4(p.src()), IpAddr::V4(p.dst()));
        if p.is_fragment() {
            let more = if p.more_fragments() { "+" } else { "" };
            let (id, offset, len) = (p.ident(), p.fragment_offset(), p.payload().len());
            write!(f, "{src} > {dst} {} fragment id {id} offset {offset}{more} len {len}", p.protocol())?;
        } else {
            self.upper(f, src, dst, p.protocol(), p.payload())?;
        }
        f.write_str(mark(p.ecn()))?;
        f.write_str(self.sum(p.checksum_is_valid()))
    }

    fn v6(self, f: &mut Formatter<'_>, bytes: &[u8]) -> fmt::Result {
        let p = match ipv6::Packet::new(bytes) {
            Ok(p) => p,
            Err(why) => return write!(f, "unreadable IPv6: {why}, {} bytes", bytes.len()),
        };
        let (src, dst) = (IpAddr::V6(p.src()), IpAddr::V6(p.dst()));
        match p.walk() {
            Ok(walk) => match walk.fragment {
                Some(fragment) => {
                    let more = if fragment.more { "+" } else { "" };
                    let (id, offset, len) = (fragment.ident, fragment.offset, walk.payload.len());
                    write!(
                        f,
                        "{src} > {dst} {} fragment id {id} offset {offset}{more} len {len}",
                        walk.protocol
                    )?;
                }
                None => self.upper(f, src, dst, walk.protocol, walk.payload)?,
            },
            Err(why) => write!(f, "{src} > {dst} extension headers refused: {why:?}")?,
        }
        f.write_str(mark(p.ecn()))
    }

    fn upper(
        self,
        f: &mut Formatter<'_>,
        src: IpAddr,
        dst: IpAddr,
        protocol: Protocol,
        bytes: &[u8],
    ) -> fmt::Result {
        let sum = pseudo(src, dst, protocol, bytes.len()).unwrap_or(Sum::ZERO);
        match protocol {
            Protocol::TCP => match tcp::Packet::new(bytes) {
                Ok(p) => {
                    let (src, dst) = (SocketAddr::new(src, p.src_port()), SocketAddr::new(dst, p.dst_port()));
                    write!(f, "{src} > {dst} tcp ")?;
                    segment(f, &tcp::Header::parse(&p), p.payload().len())?;
                    f.write_str(self.sum(p.checksum_is_valid(sum)))
                }
                Err(why) => write!(f, "{src} > {dst} unreadable tcp: {why}, {} bytes", bytes.len()),
            },
            Protocol::UDP => match udp::Packet::new(bytes) {
                Ok(p) => {
                    let (from, to) = (SocketAddr::new(src, p.src_port()), SocketAddr::new(dst, p.dst_port()));
                    write!(f, "{from} > {to} udp len {}", p.payload().len())?;
                    let sum = pseudo(src, dst, protocol, p.datagram_len()).unwrap_or(Sum::ZERO);
                    let none = p.checksum() == 0 && src.is_ipv4();
                    f.write_str(self.sum(none || p.checksum_is_valid(sum)))
                }
                Err(why) => write!(f, "{src} > {dst} unreadable udp: {why}, {} bytes", bytes.len()),
            },
            Protocol::ICMP => {
                write!(f, "{src} > {dst} icmp ")?;
                match icmpv4::Message::parse(bytes) {
                    Ok(message) => self.icmp(f, message),
                    Err(why) => write!(f, "unreadable: {why}"),
                }
            }
            Protocol::ICMPV6 => {
                write!(f, "{src} > {dst} icmp6 ")?;
                match icmpv6::Message::parse(bytes, sum) {
                    Ok(message) => self.icmp6(f, message),
                    Err(why) => write!(f, "unreadable: {why}"),
                }
            }
            Protocol::IGMP => {
                write!(f, "{src} > {dst} igmp ")?;
                match igmp::Message::parse(bytes) {
                    Ok(igmp::Message::Query { group, .. }) => write!(f, "who listens to {group}"),
                    Ok(igmp::Message::ReportV1 { group } | igmp::Message::ReportV2 { group }) => {
                        write!(f, "listens to {group}")
                    }
                    Ok(igmp::Message::Leave { group }) => write!(f, "leaves {group}"),
                    Ok(igmp::Message::Other { kind }) => write!(f, "type {kind:#04x}"),
                    Err(why) => write!(f, "unreadable: {why}"),
                }
            }
            other => write!(f, "{src} > {dst} {other} len {}", bytes.len()),
        }
    }

    fn icmp(self, f: &mut Formatter<'_>, message: icmpv4::Message<'_>) -> fmt::Result {
        use icmpv4::{Message, Unreachable};
        match message {
            Message::EchoRequest { ident, seq, data } => {
                write!(f, "echo request id {ident} seq {seq} len {}", data.len())
            }
            Message::EchoReply { ident, seq, data } => {
                write!(f, "echo reply id {ident} seq {seq} len {}", data.len())
            }
            Message::DestinationUnreachable { code, next_hop_mtu, original } => {
                match code {
                    Unreachable::NET => f.write_str("net unreachable")?,
                    Unreachable::HOST => f.write_str("host unreachable")?,
                    Unreachable::PROTOCOL => f.write_str("protocol unreachable")?,
                    Unreachable::PORT => f.write_str("port unreachable")?,
                    Unreachable::FRAGMENTATION_NEEDED => write!(f, "too big, mtu {next_hop_mtu}")?,
                    Unreachable(other) => write!(f, "unreachable, code {other}")?,
                }
                quote(f, original)
            }
            Message::TimeExceeded { code, original } => {
                f.write_str(if code == 0 { "ttl exceeded" } else { "reassembly time exceeded" })?;
                quote(f, original)
            }
            Message::ParameterProblem { pointer, original, .. } => {
                write!(f, "parameter problem at {pointer}")?;
                quote(f, original)
            }
            Message::Redirect { gateway, original, .. } => {
                write!(f, "redirect to {gateway}")?;
                quote(f, original)
            }
            Message::Other { kind, code } => write!(f, "type {kind} code {code}"),
        }
    }

    fn icmp6(self, f: &mut Formatter<'_>, message: icmpv6::Message<'_>) -> fmt::Result {
        use icmpv6::{Message, Unreachable};
        match message {
            Message::EchoRequest { ident, seq, data } => {
                write!(f, "echo request id {ident} seq {seq} len {}", data.len())
            }
            Message::EchoReply { ident, seq, data } => {
                write!(f, "echo reply id {ident} seq {seq} len {}", data.len())
            }
            Message::DestinationUnreachable { code, original } => {
                match code {
                    Unreachable::NO_ROUTE => f.write_str("no route")?,
                    Unreachable::ADDRESS => f.write_str("address unreachable")?,
                    Unreachable::PORT => f.write_str("port unreachable")?,
                    Unreachable(other) => write!(f, "unreachable, code {other}")?,
                }
                quote(f, original)
            }
            Message::PacketTooBig { mtu, original } => {
                write!(f, "too big, mtu {mtu}")?;
                quote(f, original)
            }
            Message::TimeExceeded { code, original } => {
                f.write_str(if code == 0 { "hop limit exceeded" } else { "reassembly time exceeded" })?;
                quote(f, original)
            }
            Message::ParameterProblem { code, pointer, original } => {
                write!(f, "parameter problem {} at {pointer}", code.0)?;
                quote(f, original)
            }
            Message::Ndisc(message) => discovery(f, message),
            Message::Mld(mld::Message::Query { group, .. }) => write!(f, "who listens to {group}"),
            Message::Mld(mld::Message::Report { group }) => write!(f, "listens to {group}"),
            Message::Mld(mld::Message::Done { group }) => write!(f, "leaves {group}"),
            Message::Mld(mld::Message::ReportV2 { records }) => {
                f.write_str("listener report")?;
                records.iter().try_for_each(|r| write!(f, " {}:{}", r.group, r.kind.0))
            }
            Message::Other { kind, code, .. } => write!(f, "type {kind} code {code}"),
        }
    }
}

/// Flags, numbers, text and options of a segment: `S. seq 1 ack 2 win 3 len 0 <...>`. Public, since traces of `tcp` alone have
/// no packet around the segment.
pub fn segment(f: &mut Formatter<'_>, header: &tcp::Header, len: usize) -> fmt::Result {
    write!(f, "{} seq {}", header.flags, header.seq)?;
    if len > 0 {
        write!(f, ":{}", header.seq.wrapping_add(len as u32))?;
    }
    if header.flags.ack() {
        write!(f, " ack {}", header.ack)?;
    }
    write!(f, " win {}", header.window)?;
    if header.flags.urg() {
        write!(f, " urg {}", header.urgent)?;
    }
    write!(f, " len {len}")?;
    options(f, &header.options)
}

fn options(f: &mut Formatter<'_>, options: &tcp::TcpOptions) -> fmt::Result {
    if *options == tcp::TcpOptions::NONE {
        return Ok(());
    }
    let mut comma = " <";
    let mut next = |f: &mut Formatter<'_>| f.write_str(core::mem::replace(&mut comma, ","));
    if let Some(mss) = options.mss {
        next(f)?;
        write!(f, "mss {mss}")?;
    }
    if options.sack_permitted {
        next(f)?;
        f.write_str("sackOK")?;
    }
    if let Some(ts) = options.timestamps {
        next(f)?;
        write!(f, "ts {}:{}", ts.tsval, ts.tsecr)?;
    }
    if let Some(shift) = options.window_scale {
        next(f)?;
        write!(f, "wscale {shift}")?;
    }
    for block in options.sack.iter() {
        next(f)?;
        write!(f, "sack {}:{}", block.left, block.right)?;
    }
    if let Some(timeout) = options.user_timeout {
        next(f)?;
        write!(f, "uto {}s", timeout.secs())?;
    }
    f.write_str(">")
}

fn discovery(f: &mut Formatter<'_>, message: ndisc::Message<'_>) -> fmt::Result {
    match message {
        ndisc::Message::RouterSolicitation { .. } => f.write_str("router solicitation")?,
        ndisc::Message::RouterAdvertisement { router, .. } => {
            write!(f, "router advertisement lifetime {}s", router.lifetime.as_secs())?;
        }
        ndisc::Message::NeighborSolicitation { target, .. } => write!(f, "who has {target}")?,
        ndisc::Message::NeighborAdvertisement { target, solicited, .. } => {
            write!(f, "{target} is here{}", if solicited { ", solicited" } else { "" })?;
        }
        ndisc::Message::Redirect { target, destination, .. } => {
            write!(f, "redirect {destination} to {target}")?;
        }
    }
    for option in message.options().iter() {
        match option {
            ndisc::NdOption::SourceLinkLayer(mac) => write!(f, ", source {mac}")?,
            ndisc::NdOption::TargetLinkLayer(mac) => write!(f, ", target {mac}")?,
            ndisc::NdOption::Prefix(p) => write!(f, ", prefix {}/{}", p.prefix, p.prefix_len)?,
            ndisc::NdOption::Mtu(mtu) => write!(f, ", mtu {mtu}")?,
            ndisc::NdOption::RedirectedHeader(_) | ndisc::NdOption::Other { .. } => {}
        }
    }
    Ok(())
}

/// Names the packet that an error quotes, as far as the quotation goes.
fn quote(f: &mut Formatter<'_>, original: &[u8]) -> fmt::Result {
    match version(original) {
        Some(4) if original.len() >= ipv4::HEADER_LEN => {
            let octets = |at: usize| {
                core::net::Ipv4Addr::new(original[at], original[at + 1], original[at + 2], original[at + 3])
            };
            write!(f, " for {} > {} {}", octets(12), octets(16), Protocol(original[9]))
        }
        Some(6) if original.len() >= ipv6::HEADER_LEN => {
            let octets = |at: usize| {
                let mut o = [0; 16];
                o.copy_from_slice(&original[at..at + 16]);
                core::net::Ipv6Addr::from(o)
            };
            write!(f, " for {} > {} {}", octets(8), octets(24), Protocol(original[6]))
        }
        _ => write!(f, " for {} unreadable bytes", original.len()),
    }
}

fn mark(ecn: Ecn) -> &'static str {
    match ecn {
        Ecn::NotEct => "",
        Ecn::Ect0 => " ect0",
        Ecn::Ect1 => " ect1",
        Ecn::Ce => " CE",
    }
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.medium {
            Medium::Ip => self.ip(f, self.bytes),
            Medium::Ethernet => self.frame(f),
        }
    }
}

#[cfg(test)]
mod tests;
