//! The IPv6 header.
//! Spec: RFC 8200 section 3; RFC 2474 and 3168 (traffic class); RFC 6437 (flow label).
//! Invariants: a [`Packet`] ends where its payload length says, so link padding is already cut off.
//! Not here: what follows the fixed header ([`extension`]), reassembly (`stack::ip`). Jumbograms (RFC 2675) are refused.

pub mod extension;

use crate::Malformed;
use crate::ip::{Ecn, Protocol};
use core::net::Ipv6Addr;

/// The fixed header, in bytes.
pub const HEADER_LEN: usize = 40;
/// Every link carries a packet of this size (RFC 8200 section 5).
pub const MIN_MTU: usize = 1280;

/// A checked IPv6 packet.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    fixed: &'a [u8; HEADER_LEN],
    payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Checks version and payload length; bytes behind it (link padding) are dropped.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Result<Packet<'a>, Malformed> {
        let (fixed, rest) = bytes.split_first_chunk::<HEADER_LEN>().ok_or(Malformed::Truncated)?;
        if fixed[0] >> 4 != 6 {
            return Err(Malformed::Version);
        }
        let len = usize::from(u16::from_be_bytes([fixed[4], fixed[5]]));
        let payload = rest.get(..len).ok_or(Malformed::Length)?;
        Ok(Packet { fixed, payload })
    }

    /// The six upper bits of the traffic class.
    #[inline]
    pub fn dscp(&self) -> u8 {
        (self.fixed[0] & 0xf) << 2 | self.fixed[1] >> 6
    }

    /// The ECN mark.
    #[inline]
    pub fn ecn(&self) -> Ecn {
        Ecn::from_bits(self.fixed[1] >> 4)
    }

    /// The flow label.
    #[inline]
    pub fn flow_label(&self) -> u32 {
        u32::from_be_bytes([0, self.fixed[1] & 0xf, self.fixed[2], self.fixed[3]])
    }

    /// What follows the fixed header.
    #[inline]
    pub fn next_header(&self) -> Protocol {
        Protocol(self.fixed[6])
    }

    /// The hop limit.
    #[inline]
    pub fn hop_limit(&self) -> u8 {
        self.fixed[7]
    }

    /// The source address.
    #[inline]
    pub fn src(&self) -> Ipv6Addr {
        let mut octets = [0; 16];
        octets.copy_from_slice(&self.fixed[8..24]);
        Ipv6Addr::from(octets)
    }

    /// The destination address.
    #[inline]
    pub fn dst(&self) -> Ipv6Addr {
        let mut octets = [0; 16];
        octets.copy_from_slice(&self.fixed[24..40]);
        Ipv6Addr::from(octets)
    }

    /// What follows the fixed header: extension headers and the upper layer.
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// Fixed header and payload, in bytes.
    #[inline]
    pub fn total_len(&self) -> usize {
        HEADER_LEN + self.payload.len()
    }

    /// Whether its fixed header says what that of `before`, a packet that was checked, says, but for the length.
    #[inline]
    pub fn repeats(&self, before: &[u8]) -> bool {
        before
            .get(..HEADER_LEN)
            .is_some_and(|before| before[..4] == self.fixed[..4] && before[6..] == self.fixed[6..])
    }

    /// Steps over the extension headers, up to the upper layer or a fragment header.
    #[inline]
    pub fn walk(&self) -> Result<extension::Walk<'a>, extension::Refusal> {
        extension::walk(self.next_header(), self.payload, extension::Start::AfterFixedHeader)
    }
}

/// An IPv6 header as a plain value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The six upper bits of the traffic class.
    pub dscp: u8,
    /// The ECN mark.
    pub ecn: Ecn,
    /// The flow label, 20 bits.
    pub flow_label: u32,
    /// What follows.
    pub next_header: Protocol,
    /// The hop limit.
    pub hop_limit: u8,
    /// The source address.
    pub src: Ipv6Addr,
    /// The destination address.
    pub dst: Ipv6Addr,
    /// Bytes behind the fixed header.
    pub payload_len: u16,
}

impl Header {
    /// A packet with nothing special about it.
    pub fn new(
        src: Ipv6Addr,
        dst: Ipv6Addr,
        next_header: Protocol,
        hop_limit: u8,
        payload_len: u16,
    ) -> Header {
        Header { dscp: 0, ecn: Ecn::NotEct, flow_label: 0, next_header, hop_limit, src, dst, payload_len }
    }

    /// The value of a checked packet.
    pub fn parse(packet: &Packet<'_>) -> Header {
        Header {
            dscp: packet.dscp(),
            ecn: packet.ecn(),
            flow_label: packet.flow_label(),
            next_header: packet.next_header(),
            hop_limit: packet.hop_limit(),
            src: packet.src(),
            dst: packet.dst(),
            payload_len: packet.payload.len() as u16,
        }
    }

    /// Writes the header to the start of `packet` and returns its length. Panics when `packet` is shorter than 40 bytes.
    #[inline]
    pub fn emit(&self, packet: &mut [u8]) -> usize {
        let fixed = &mut packet[..HEADER_LEN];
        let class = u32::from(self.dscp) << 2 | u32::from(self.ecn.bits());
        let word = 6 << 28 | class << 20 | (self.flow_label & 0x000f_ffff);
        fixed[0..4].copy_from_slice(&word.to_be_bytes());
        fixed[4..6].copy_from_slice(&self.payload_len.to_be_bytes());
        fixed[6] = self.next_header.0;
        fixed[7] = self.hop_limit;
        fixed[8..24].copy_from_slice(&self.src.octets());
        fixed[24..40].copy_from_slice(&self.dst.octets());
        HEADER_LEN
    }
}

#[cfg(test)]
mod tests;
