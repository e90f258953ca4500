//! What IPv4 and IPv6 share: protocol numbers, ECN marks, pseudo-headers.
//! Spec: RFC 791, RFC 8200 8.1 (pseudo-header), RFC 9293 3.1 (pseudo-header over IPv4), RFC 3168 section 5 (ECN).
//! Owns: nothing. Not here: the headers ([`crate::ipv4`], [`crate::ipv6`]).

use crate::checksum::Sum;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An IP protocol number, or IPv6 "next header".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Protocol(pub u8);

impl Protocol {
    /// IPv6 hop-by-hop options (RFC 8200 4.3).
    pub const HOP_BY_HOP: Protocol = Protocol(0);
    /// ICMP for IPv4 (RFC 792).
    pub const ICMP: Protocol = Protocol(1);
    /// IGMP (RFC 2236).
    pub const IGMP: Protocol = Protocol(2);
    /// TCP (RFC 9293).
    pub const TCP: Protocol = Protocol(6);
    /// UDP (RFC 768).
    pub const UDP: Protocol = Protocol(17);
    /// IPv6 routing header (RFC 8200 4.4).
    pub const ROUTING: Protocol = Protocol(43);
    /// IPv6 fragment header (RFC 8200 4.5).
    pub const FRAGMENT: Protocol = Protocol(44);
    /// ICMPv6 (RFC 4443).
    pub const ICMPV6: Protocol = Protocol(58);
    /// IPv6 "no next header" (RFC 8200 4.7).
    pub const NO_NEXT_HEADER: Protocol = Protocol(59);
    /// IPv6 destination options (RFC 8200 4.6).
    pub const DESTINATION_OPTIONS: Protocol = Protocol(60);
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            Protocol::HOP_BY_HOP => "hop-by-hop",
            Protocol::ICMP => "icmp",
            Protocol::IGMP => "igmp",
            Protocol::TCP => "tcp",
            Protocol::UDP => "udp",
            Protocol::ROUTING => "routing",
            Protocol::FRAGMENT => "fragment",
            Protocol::ICMPV6 => "icmp6",
            Protocol::NO_NEXT_HEADER => "no-next-header",
            Protocol::DESTINATION_OPTIONS => "destination-options",
            Protocol(other) => return write!(f, "protocol {other}"),
        })
    }
}

/// The two ECN bits of the IP header (RFC 3168 section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Ecn {
    /// The sender does not speak ECN.
    #[default]
    NotEct = 0,
    /// ECN-capable transport, codepoint 01.
    Ect1 = 1,
    /// ECN-capable transport, codepoint 10: what RFC 3168 senders use.
    Ect0 = 2,
    /// Congestion experienced.
    Ce = 3,
}

impl Ecn {
    /// From the two low bits of the traffic class; the others are ignored.
    pub const fn from_bits(bits: u8) -> Ecn {
        match bits & 3 {
            0 => Ecn::NotEct,
            1 => Ecn::Ect1,
            2 => Ecn::Ect0,
            _ => Ecn::Ce,
        }
    }

    /// As the two low bits of the traffic class.
    pub const fn bits(self) -> u8 {
        self as u8
    }
}

/// The sum of the IPv4 pseudo-header (RFC 9293 3.1): source, destination, zero, protocol, length of the upper layer.
#[inline]
pub fn pseudo_v4(src: Ipv4Addr, dst: Ipv4Addr, protocol: Protocol, len: u16) -> Sum {
    Sum::ZERO.add_u32(src.to_bits()).add_u32(dst.to_bits()).add_u16(u16::from(protocol.0)).add_u16(len)
}

/// The sum of the IPv6 pseudo-header (RFC 8200 8.1).
#[inline]
pub fn pseudo_v6(src: Ipv6Addr, dst: Ipv6Addr, protocol: Protocol, len: u32) -> Sum {
    Sum::ZERO.add_bytes(&src.octets()).add_bytes(&dst.octets()).add_u32(len).add_u16(u16::from(protocol.0))
}

/// The pseudo-header sum for either family, or nothing when the two addresses are of different families or `len` does
/// not fit the family.
#[inline]
pub fn pseudo(src: IpAddr, dst: IpAddr, protocol: Protocol, len: usize) -> Option<Sum> {
    match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => Some(pseudo_v4(src, dst, protocol, u16::try_from(len).ok()?)),
        (IpAddr::V6(src), IpAddr::V6(dst)) => Some(pseudo_v6(src, dst, protocol, u32::try_from(len).ok()?)),
        _ => None,
    }
}

/// The version nibble of an IP packet: 4, 6, or nonsense.
pub fn version(packet: &[u8]) -> Option<u8> {
    packet.first().map(|b| b >> 4)
}
