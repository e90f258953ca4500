//! The UDP header.
//! Spec: RFC 768; RFC 8200 8.1 (no zero checksum over IPv6); RFC 1122 4.1.3.4.
//! Invariants: a [`Packet`] ends where its length field says.
//! Not here: ports and sockets (`stack::udp`).

use crate::Malformed;
use crate::checksum::Sum;

/// The header, in bytes.
pub const HEADER_LEN: usize = 8;
/// The checksum field, from the start of the header: what [`crate::meta::ChecksumOffload::offset`] wants.
pub const CHECKSUM_OFFSET: usize = 6;

/// A checked UDP datagram.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    datagram: &'a [u8],
    fixed: &'a [u8; HEADER_LEN],
}

impl<'a> Packet<'a> {
    /// Checks the length field against `bytes`, one IP payload; what lies behind it is dropped.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Result<Packet<'a>, Malformed> {
        let fixed = bytes.first_chunk::<HEADER_LEN>().ok_or(Malformed::Truncated)?;
        let len = usize::from(u16::from_be_bytes([fixed[4], fixed[5]]));
        if len < HEADER_LEN {
            return Err(Malformed::Length);
        }
        let datagram = bytes.get(..len).ok_or(Malformed::Length)?;
        Ok(Packet { datagram, fixed })
    }

    /// The source port; 0 when the sender wants no answer.
    #[inline]
    pub fn src_port(&self) -> u16 {
        u16::from_be_bytes([self.fixed[0], self.fixed[1]])
    }

    /// The destination port.
    #[inline]
    pub fn dst_port(&self) -> u16 {
        u16::from_be_bytes([self.fixed[2], self.fixed[3]])
    }

    /// The checksum field; 0 means that the sender computed none.
    #[inline]
    pub fn checksum(&self) -> u16 {
        u16::from_be_bytes([self.fixed[6], self.fixed[7]])
    }

    /// Header and payload, in bytes.
    #[inline]
    pub fn datagram_len(&self) -> usize {
        self.datagram.len()
    }

    /// What the datagram carries.
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        &self.datagram[HEADER_LEN..]
    }

    /// Whether the checksum field holds the right sum. A field of zero is *not* valid here: over IPv4 it means "none", over
    /// IPv6 it is forbidden, and the caller knows which (RFC 768; RFC 8200 8.1). `pseudo` is made with
    /// [`datagram_len`](Packet::datagram_len).
    #[inline]
    pub fn checksum_is_valid(&self, pseudo: Sum) -> bool {
        self.checksum() != 0 && pseudo.add_bytes(self.datagram).is_valid()
    }
}

/// A UDP header as a plain value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The source port.
    pub src_port: u16,
    /// The destination port.
    pub dst_port: u16,
    /// Payload bytes behind the header, at most 65,527.
    pub payload_len: u16,
}

impl Header {
    /// The value of a checked packet.
    pub fn parse(packet: &Packet<'_>) -> Header {
        Header {
            src_port: packet.src_port(),
            dst_port: packet.dst_port(),
            payload_len: packet.payload().len() as u16,
        }
    }

    /// Writes the header to the start of `datagram` with a checksum of zero, and returns its length. Panics when `datagram` is
    /// shorter than eight bytes, or when header and payload exceed 65,535 bytes.
    #[inline]
    pub fn emit(&self, datagram: &mut [u8]) -> usize {
        let len = self.payload_len.checked_add(HEADER_LEN as u16).expect("a datagram fits its length field");
        let fixed = &mut datagram[..HEADER_LEN];
        fixed[0..2].copy_from_slice(&self.src_port.to_be_bytes());
        fixed[2..4].copy_from_slice(&self.dst_port.to_be_bytes());
        fixed[4..6].copy_from_slice(&len.to_be_bytes());
        fixed[6..8].copy_from_slice(&[0, 0]);
        HEADER_LEN
    }
}

/// Computes the checksum over the whole `datagram` (field zero) and writes it; a computed zero is sent as all ones (RFC 768).
/// Panics when `datagram` is shorter than a header.
#[inline]
pub fn fill_checksum(datagram: &mut [u8], pseudo: Sum) {
    let checksum = match pseudo.add_bytes(datagram).checksum() {
        0 => 0xffff,
        checksum => checksum,
    };
    put_checksum(datagram, checksum);
}

/// Writes what a device that finishes the checksum wants in the field: the pseudo-header's sum, not complemented.
/// Panics when `datagram` is shorter than a header.
#[inline]
pub fn put_partial_checksum(datagram: &mut [u8], pseudo: Sum) {
    put_checksum(datagram, pseudo.partial());
}

#[inline]
fn put_checksum(datagram: &mut [u8], checksum: u16) {
    datagram[CHECKSUM_OFFSET..CHECKSUM_OFFSET + 2].copy_from_slice(&checksum.to_be_bytes());
}

#[cfg(test)]
mod tests;
