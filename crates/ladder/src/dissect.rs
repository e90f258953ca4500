//! Dissection: from a packet of a capture to the conversation it belongs to, in place.
//! Spec: the link types' registry (Ethernet, Linux cooked 1 and 2, null and loopback, raw IP); RFC 791, 8200, 768, 9293.
//! Owns: nothing. Invariants: any bytes are answered, none panics; a packet that a short snap length cut is read as far as its headers
//! go, with the lengths that they state.
//! Not here: files (`capture`), conversations (`flow`).

use crate::capture::{LinkType, Record};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use wire::tcp::{Flags, TcpOptions};

/// Which transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// A packet of a conversation.
#[derive(Debug, Clone, Copy)]
pub struct Dissected<'a> {
    /// Who sent it.
    pub src: SocketAddr,
    /// To whom.
    pub dst: SocketAddr,
    /// What it is.
    pub body: Body<'a>,
}

/// What it is.
#[derive(Debug, Clone, Copy)]
pub enum Body<'a> {
    /// A TCP segment. Options are left as they are, since a list of flows does not ask for most of them.
    Tcp {
        /// SEG.SEQ.
        seq: u32,
        /// SEG.ACK.
        ack: u32,
        /// The control bits.
        flags: Flags,
        /// The window field.
        window: u16,
        /// The urgent pointer.
        urgent: u16,
        /// The options' octets, as far as they were kept.
        options: &'a [u8],
        /// Octets of text.
        len: u32,
    },
    /// A UDP datagram.
    Udp {
        /// Octets of payload.
        len: u32,
    },
}

impl Body<'_> {
    /// Which transport.
    #[must_use]
    pub const fn transport(&self) -> Transport {
        match self {
            Body::Tcp { .. } => Transport::Tcp,
            Body::Udp { .. } => Transport::Udp,
        }
    }

    /// The header as a value; only for TCP.
    #[must_use]
    pub fn header(&self) -> Option<wire::tcp::Header> {
        match *self {
            Body::Tcp { seq, ack, flags, window, urgent, options, .. } => Some(wire::tcp::Header {
                src_port: 0,
                dst_port: 0,
                seq,
                ack,
                flags,
                window,
                urgent,
                options: TcpOptions::parse(options),
            }),
            Body::Udp { .. } => None,
        }
    }
}

/// Why a packet belongs to no conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Skipped {
    /// A link type that is not read.
    Link,
    /// Neither IPv4 nor IPv6: ARP and the like.
    NotIp,
    /// Neither TCP nor UDP: ICMP and the like.
    NotTransport,
    /// A fragment: its transport header is in another, or it is not whole.
    Fragment,
    /// Its headers contradict themselves, or were cut off.
    Malformed,
}

impl Skipped {
    /// All, for whoever counts.
    pub const ALL: [Skipped; 5] =
        [Skipped::Link, Skipped::NotIp, Skipped::NotTransport, Skipped::Fragment, Skipped::Malformed];

    /// In words, after a number.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Skipped::Link => "of a link type that is not read",
            Skipped::NotIp => "not IP",
            Skipped::NotTransport => "neither TCP nor UDP",
            Skipped::Fragment => "fragments",
            Skipped::Malformed => "malformed or cut short",
        }
    }
}

/// EtherTypes of tags: 802.1Q, 802.1ad, and the older 0x9100.
const TAGS: [u16; 3] = [0x8100, 0x88a8, 0x9100];
/// Tags that are stepped over, at most.
const TAGS_MAX: usize = 4;
/// Extension headers, at most.
const EXTENSIONS_MAX: usize = 8;

/// Reads a record.
///
/// # Errors
/// It belongs to no conversation.
#[inline]
pub fn dissect<'a>(record: &Record<'a>) -> Result<Dissected<'a>, Skipped> {
    let bytes = record.bytes;
    match record.link {
        LinkType::Ethernet => by_type(bytes, 12),
        LinkType::Raw => ip(bytes),
        LinkType::LinuxSll => by_type(bytes, 14),
        LinkType::LinuxSll2 => {
            let protocol = u16_at(bytes, 0).ok_or(Skipped::Malformed)?;
            let payload = bytes.get(20..).ok_or(Skipped::Malformed)?;
            network(protocol, payload)
        }
        LinkType::Null => {
            // AF_INET is 2 everywhere; AF_INET6 has as many numbers as there are systems. The version says it.
            ip(bytes.get(4..).ok_or(Skipped::Malformed)?)
        }
        LinkType::Other(_) => Err(Skipped::Link),
    }
}

/// A header whose last field, at `at`, is an EtherType.
#[inline]
fn by_type(bytes: &[u8], mut at: usize) -> Result<Dissected<'_>, Skipped> {
    let mut protocol = u16_at(bytes, at).ok_or(Skipped::Malformed)?;
    for _ in 0..TAGS_MAX {
        if !TAGS.contains(&protocol) {
            break;
        }
        at += 4;
        protocol = u16_at(bytes, at).ok_or(Skipped::Malformed)?;
    }
    network(protocol, bytes.get(at + 2..).ok_or(Skipped::Malformed)?)
}

#[inline]
fn network(protocol: u16, mut payload: &[u8]) -> Result<Dissected<'_>, Skipped> {
    let mut protocol = protocol;
    // A cooked header may have its tags behind it.
    for _ in 0..TAGS_MAX {
        if !TAGS.contains(&protocol) {
            break;
        }
        protocol = u16_at(payload, 2).ok_or(Skipped::Malformed)?;
        payload = payload.get(4..).ok_or(Skipped::Malformed)?;
    }
    match protocol {
        0x0800 | 0x86dd => ip(payload),
        _ => Err(Skipped::NotIp),
    }
}

#[inline]
fn ip(bytes: &[u8]) -> Result<Dissected<'_>, Skipped> {
    match bytes.first().map(|first| first >> 4) {
        Some(4) => ipv4(bytes),
        Some(6) => ipv6(bytes),
        Some(_) => Err(Skipped::NotIp),
        None => Err(Skipped::Malformed),
    }
}

#[inline]
fn ipv4(bytes: &[u8]) -> Result<Dissected<'_>, Skipped> {
    let fixed: &[u8; 20] = bytes.first_chunk().ok_or(Skipped::Malformed)?;
    let header_len = usize::from(fixed[0] & 15) * 4;
    let total = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
    // A device that cuts segments itself lets captures see zero here: the packet is as long as it is.
    let total = if total == 0 { bytes.len() } else { total };
    if header_len < 20 || total < header_len {
        return Err(Skipped::Malformed);
    }
    if u16::from_be_bytes([fixed[6], fixed[7]]) & 0x3fff != 0 {
        return Err(Skipped::Fragment);
    }
    let address =
        |at: usize| IpAddr::V4(Ipv4Addr::new(fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]));
    let payload = bytes.get(header_len..total.min(bytes.len())).ok_or(Skipped::Malformed)?;
    transport(fixed[9], address(12), address(16), payload, total - header_len)
}

#[inline]
fn ipv6(bytes: &[u8]) -> Result<Dissected<'_>, Skipped> {
    let fixed: &[u8; 40] = bytes.first_chunk().ok_or(Skipped::Malformed)?;
    let stated = usize::from(u16::from_be_bytes([fixed[4], fixed[5]]));
    let rest = &bytes[40..];
    let mut len = if stated == 0 { rest.len() } else { stated };
    let mut payload = &rest[..len.min(rest.len())];
    let address = |at: usize| {
        let mut octets = [0; 16];
        octets.copy_from_slice(&fixed[at..at + 16]);
        IpAddr::V6(Ipv6Addr::from(octets))
    };
    let mut next = fixed[6];
    for _ in 0..EXTENSIONS_MAX {
        let extension = match next {
            // Hop-by-hop, routing, destination options: RFC 8200 4.
            0 | 43 | 60 => 8 + usize::from(*payload.get(1).ok_or(Skipped::Malformed)?) * 8,
            // An authentication header counts in fours (RFC 4302 2.2).
            51 => 8 + usize::from(*payload.get(1).ok_or(Skipped::Malformed)?) * 4,
            44 => return Err(Skipped::Fragment),
            _ => return transport(next, address(8), address(24), payload, len),
        };
        next = payload[0];
        payload = payload.get(extension..).ok_or(Skipped::Malformed)?;
        len = len.checked_sub(extension).ok_or(Skipped::Malformed)?;
    }
    Err(Skipped::Malformed)
}

/// `len`: what the IP header says; `bytes` may be less of it.
#[inline]
fn transport(
    protocol: u8,
    src: IpAddr,
    dst: IpAddr,
    bytes: &[u8],
    len: usize,
) -> Result<Dissected<'_>, Skipped> {
    let ports = || {
        let ports: &[u8; 4] = bytes.first_chunk().ok_or(Skipped::Malformed)?;
        let src_port = u16::from_be_bytes([ports[0], ports[1]]);
        Ok((SocketAddr::new(src, src_port), SocketAddr::new(dst, u16::from_be_bytes([ports[2], ports[3]]))))
    };
    match protocol {
        6 => {
            let fixed: &[u8; 20] = bytes.first_chunk().ok_or(Skipped::Malformed)?;
            let (src, dst) = ports()?;
            let header_len = usize::from(fixed[12] >> 4) * 4;
            if header_len < 20 || len < header_len {
                return Err(Skipped::Malformed);
            }
            let u32_at =
                |at: usize| u32::from_be_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]]);
            let body = Body::Tcp {
                seq: u32_at(4),
                ack: u32_at(8),
                flags: Flags::from_bits(u16::from_be_bytes([fixed[12], fixed[13]])),
                window: u16::from_be_bytes([fixed[14], fixed[15]]),
                urgent: u16::from_be_bytes([fixed[18], fixed[19]]),
                options: &bytes[20..header_len.min(bytes.len())],
                len: (len - header_len) as u32,
            };
            Ok(Dissected { src, dst, body })
        }
        17 => {
            let (src, dst) = ports()?;
            let stated = usize::from(u16_at(bytes, 4).ok_or(Skipped::Malformed)?);
            let stated = if stated == 0 { len } else { stated };
            if stated < 8 || len < 8 {
                return Err(Skipped::Malformed);
            }
            Ok(Dissected { src, dst, body: Body::Udp { len: (stated - 8) as u32 } })
        }
        _ => Err(Skipped::NotTransport),
    }
}

#[inline]
fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

#[cfg(test)]
mod tests;
