//! The IPv4 header.
//! Spec: RFC 791 3.1; RFC 2474 and 3168 (the former TOS octet); RFC 2113 (router alert); RFC 6864 (identification).
//! Invariants: a [`Packet`] ends where its total length says, so link padding is already cut off.
//! Not here: reassembly, routing, which sources are believable (`stack::ip`).

use crate::Malformed;
use crate::checksum::Sum;
use crate::ip::{Ecn, Protocol, pseudo_v4};
use core::net::Ipv4Addr;

/// The header without options, in bytes.
pub const HEADER_LEN: usize = 20;
/// The longest header.
pub const MAX_HEADER_LEN: usize = 60;
/// Every host must take a datagram of this size, whole or reassembled (RFC 791 3.2, RFC 1122 3.3.2 EMTU_R).
pub const MIN_REASSEMBLY: usize = 576;
/// Every link carries a packet of this size (RFC 791 3.2).
pub const MIN_MTU: usize = 68;

const DONT_FRAGMENT: u16 = 0x4000;
const MORE_FRAGMENTS: u16 = 0x2000;
const OFFSET_MASK: u16 = 0x1fff;
/// Kind 148, length 4, value 0 (RFC 2113 2.1).
const ROUTER_ALERT: [u8; 4] = [148, 4, 0, 0];

/// A checked IPv4 packet.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    fixed: &'a [u8; HEADER_LEN],
    header: &'a [u8],
    payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Checks version and lengths; bytes behind the total length (link padding) are dropped.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Result<Packet<'a>, Malformed> {
        let fixed = bytes.first_chunk::<HEADER_LEN>().ok_or(Malformed::Truncated)?;
        if fixed[0] >> 4 != 4 {
            return Err(Malformed::Version);
        }
        let header_len = usize::from(fixed[0] & 0xf) * 4;
        if header_len < HEADER_LEN {
            return Err(Malformed::HeaderLength);
        }
        let total_len = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
        let packet = bytes.get(..total_len).ok_or(Malformed::Length)?;
        let (header, payload) = packet.split_at_checked(header_len).ok_or(Malformed::HeaderLength)?;
        Ok(Packet { fixed, header, payload })
    }

    /// Header and options, in bytes.
    #[inline]
    pub fn header_len(&self) -> usize {
        self.header.len()
    }

    /// Header and payload, in bytes.
    #[inline]
    pub fn total_len(&self) -> usize {
        self.header.len() + self.payload.len()
    }

    /// The six upper bits of the traffic class.
    #[inline]
    pub fn dscp(&self) -> u8 {
        self.fixed[1] >> 2
    }

    /// The ECN mark.
    #[inline]
    pub fn ecn(&self) -> Ecn {
        Ecn::from_bits(self.fixed[1])
    }

    /// The identification, which means something only in fragments (RFC 6864).
    #[inline]
    pub fn ident(&self) -> u16 {
        u16::from_be_bytes([self.fixed[4], self.fixed[5]])
    }

    #[inline]
    fn fragment_word(&self) -> u16 {
        u16::from_be_bytes([self.fixed[6], self.fixed[7]])
    }

    /// DF.
    #[inline]
    pub fn dont_fragment(&self) -> bool {
        self.fragment_word() & DONT_FRAGMENT != 0
    }

    /// MF.
    #[inline]
    pub fn more_fragments(&self) -> bool {
        self.fragment_word() & MORE_FRAGMENTS != 0
    }

    /// The fragment's offset in bytes.
    #[inline]
    pub fn fragment_offset(&self) -> u16 {
        (self.fragment_word() & OFFSET_MASK) << 3
    }

    /// Whether this is a piece of a datagram rather than a whole one.
    #[inline]
    pub fn is_fragment(&self) -> bool {
        self.fragment_word() & (MORE_FRAGMENTS | OFFSET_MASK) != 0
    }

    /// Time to live.
    #[inline]
    pub fn ttl(&self) -> u8 {
        self.fixed[8]
    }

    /// The payload's protocol.
    #[inline]
    pub fn protocol(&self) -> Protocol {
        Protocol(self.fixed[9])
    }

    /// The source address.
    #[inline]
    pub fn src(&self) -> Ipv4Addr {
        Ipv4Addr::new(self.fixed[12], self.fixed[13], self.fixed[14], self.fixed[15])
    }

    /// The destination address.
    #[inline]
    pub fn dst(&self) -> Ipv4Addr {
        Ipv4Addr::new(self.fixed[16], self.fixed[17], self.fixed[18], self.fixed[19])
    }

    /// The options' bytes.
    #[inline]
    pub fn option_bytes(&self) -> &'a [u8] {
        &self.header[HEADER_LEN..]
    }

    /// The options, one by one.
    pub fn options(&self) -> OptionWalk<'a> {
        OptionWalk { rest: self.option_bytes() }
    }

    /// Whether the sender prescribes the route: such packets are refused by hosts that are no routers' friends (RFC 7126 4.3,
    /// 4.4).
    pub fn is_source_routed(&self) -> bool {
        self.options().any(|option| matches!(option, Ok(Ipv4Option { kind: 131 | 137, .. })))
    }

    /// What the header carries.
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// Header and the first eight bytes of payload, or all there is: what an ICMP error must quote at least (RFC 792), given as
    /// the longest prefix of the packet that is at most `max` bytes (RFC 1812 4.3.2.3 wants as much as fits 576).
    pub fn quote(bytes: &'a [u8], max: usize) -> &'a [u8] {
        &bytes[..bytes.len().min(max)]
    }

    /// Whether the header's checksum holds.
    #[inline]
    pub fn checksum_is_valid(&self) -> bool {
        if self.header.len() == HEADER_LEN { Sum::of_header(self.fixed) } else { Sum::of(self.header) }
            .is_valid()
    }

    /// Whether its header says what that of `before`, a packet that was checked, says, but for length and identification: neither has
    /// options.
    #[inline]
    pub fn repeats(&self, before: &[u8]) -> bool {
        let said = |fixed: &[u8; HEADER_LEN]| {
            let [a, b, _, _, _, _, c, d, e, f, _, _, addresses @ ..] = *fixed;
            (u16::from_ne_bytes([a, b]), u32::from_ne_bytes([c, d, e, f]), u64::from_ne_bytes(addresses))
        };
        self.header.len() == HEADER_LEN
            && before.first_chunk().is_some_and(|before| said(self.fixed) == said(before))
    }

    /// The sum of the pseudo-header over this packet's payload.
    #[inline]
    pub fn pseudo(&self) -> Sum {
        // total_len fits 16 bits, so its part does.
        pseudo_v4(self.src(), self.dst(), self.protocol(), self.payload.len() as u16)
    }
}

/// An IPv4 header as a plain value. The only option it can carry is router alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The six upper bits of the traffic class.
    pub dscp: u8,
    /// The ECN mark.
    pub ecn: Ecn,
    /// The identification.
    pub ident: u16,
    /// DF.
    pub dont_fragment: bool,
    /// MF.
    pub more_fragments: bool,
    /// The fragment's offset in bytes, a multiple of eight.
    pub fragment_offset: u16,
    /// Time to live.
    pub ttl: u8,
    /// The payload's protocol.
    pub protocol: Protocol,
    /// The source address.
    pub src: Ipv4Addr,
    /// The destination address.
    pub dst: Ipv4Addr,
    /// Carry the router alert option, as IGMP must (RFC 2236 section 2).
    pub router_alert: bool,
    /// Payload bytes behind the header.
    pub payload_len: u16,
}

impl Header {
    /// A whole packet with nothing special about it.
    pub fn new(src: Ipv4Addr, dst: Ipv4Addr, protocol: Protocol, ttl: u8, payload_len: u16) -> Header {
        Header {
            dscp: 0,
            ecn: Ecn::NotEct,
            ident: 0,
            dont_fragment: true,
            more_fragments: false,
            fragment_offset: 0,
            ttl,
            protocol,
            src,
            dst,
            router_alert: false,
            payload_len,
        }
    }

    /// The value of a checked packet. Options other than router alert are forgotten.
    pub fn parse(packet: &Packet<'_>) -> Header {
        Header {
            dscp: packet.dscp(),
            ecn: packet.ecn(),
            ident: packet.ident(),
            dont_fragment: packet.dont_fragment(),
            more_fragments: packet.more_fragments(),
            fragment_offset: packet.fragment_offset(),
            ttl: packet.ttl(),
            protocol: packet.protocol(),
            src: packet.src(),
            dst: packet.dst(),
            router_alert: packet.options().any(|o| matches!(o, Ok(Ipv4Option { kind: 148, .. }))),
            payload_len: packet.payload.len() as u16,
        }
    }

    /// The header in bytes: 20, or 24 with router alert.
    #[inline]
    pub fn header_len(&self) -> usize {
        if self.router_alert { HEADER_LEN + ROUTER_ALERT.len() } else { HEADER_LEN }
    }

    /// Writes the header, checksum included, to the start of `packet` and returns its length. Panics when `packet` is shorter
    /// than [`header_len`](Header::header_len), or when header and payload exceed 65,535 bytes.
    #[inline]
    pub fn emit(&self, packet: &mut [u8]) -> usize {
        let len = self.header_len();
        let total_len =
            u16::try_from(len + usize::from(self.payload_len)).expect("a packet fits its length field");
        let (fixed, options) =
            packet[..len].split_first_chunk_mut::<HEADER_LEN>().expect("len is 20 or more");
        if self.router_alert {
            options.copy_from_slice(&ROUTER_ALERT);
        }
        fixed[0] = 0x40 | (len / 4) as u8;
        fixed[1] = self.dscp << 2 | self.ecn.bits();
        fixed[2..4].copy_from_slice(&total_len.to_be_bytes());
        fixed[4..6].copy_from_slice(&self.ident.to_be_bytes());
        let mut word = self.fragment_offset >> 3;
        if self.dont_fragment {
            word |= DONT_FRAGMENT;
        }
        if self.more_fragments {
            word |= MORE_FRAGMENTS;
        }
        fixed[6..8].copy_from_slice(&word.to_be_bytes());
        fixed[8] = self.ttl;
        fixed[9] = self.protocol.0;
        fixed[10..12].copy_from_slice(&[0, 0]);
        fixed[12..16].copy_from_slice(&self.src.octets());
        fixed[16..20].copy_from_slice(&self.dst.octets());
        let sum =
            if options.is_empty() { Sum::of_header(fixed) } else { Sum::of_header(fixed).add_bytes(options) };
        fixed[10..12].copy_from_slice(&sum.checksum().to_be_bytes());
        len
    }
}

/// One option: kind and what follows kind and length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ipv4Option<'a> {
    /// The whole first octet: copied flag, class, number.
    pub kind: u8,
    /// What follows kind and length.
    pub data: &'a [u8],
}

/// Visits the options one by one; no-operations are skipped, "end of option list" ends it. After an error it is over.
#[derive(Debug, Clone)]
pub struct OptionWalk<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for OptionWalk<'a> {
    type Item = Result<Ipv4Option<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        while let [1, rest @ ..] = self.rest {
            self.rest = rest;
        }
        let rest = core::mem::take(&mut self.rest);
        let (kind, len) = match *rest {
            [] | [0, ..] => return None,
            [_] => return Some(Err(Malformed::OptionLength)),
            [kind, len, ..] => (kind, usize::from(len)),
        };
        if len < 2 || len > rest.len() {
            return Some(Err(Malformed::OptionLength));
        }
        let (option, rest) = rest.split_at(len);
        self.rest = rest;
        Some(Ok(Ipv4Option { kind, data: &option[2..] }))
    }
}

#[cfg(test)]
mod tests;
