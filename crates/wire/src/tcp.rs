//! The TCP header and its options.
//! Spec: RFC 9293 3.1 and 3.2; RFC 7323 (scale, timestamps); RFC 2018 and 2883 (SACK); RFC 5482 (user timeout);
//!       RFC 3168 (ECE, CWR).
//! Owns: nothing; a view and plain values.
//! Invariants: a [`Packet`] has its data offset inside the segment; a header that `emit` wrote is a multiple of four.
//! Not here: sequence arithmetic and what any field means for a connection (`tcp`).

mod flags;
mod options;

pub use flags::Flags;
pub use options::{OptionWalk, SackBlock, SackBlocks, TcpOption, TcpOptions, Timestamps, UserTimeout};

use crate::Malformed;
use crate::checksum::Sum;

/// The fixed header, in bytes.
pub const HEADER_LEN: usize = 20;
/// The longest header: a data offset of 15.
pub const MAX_HEADER_LEN: usize = 60;
/// The most options a header holds, in bytes.
pub const MAX_OPTIONS_LEN: usize = MAX_HEADER_LEN - HEADER_LEN;
/// The checksum field, from the start of the header: what [`crate::meta::ChecksumOffload::offset`] wants.
pub const CHECKSUM_OFFSET: usize = 16;

/// A checked TCP segment.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    bytes: &'a [u8],
    fixed: &'a [u8; HEADER_LEN],
    options: &'a [u8],
    payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Checks the lengths of `bytes`, which is exactly one IP payload.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Result<Packet<'a>, Malformed> {
        let fixed = bytes.first_chunk::<HEADER_LEN>().ok_or(Malformed::Truncated)?;
        let header_len = usize::from(fixed[12] >> 4) * 4;
        if header_len < HEADER_LEN {
            return Err(Malformed::HeaderLength);
        }
        let (header, payload) = bytes.split_at_checked(header_len).ok_or(Malformed::HeaderLength)?;
        Ok(Packet { bytes, fixed, options: &header[HEADER_LEN..], payload })
    }

    /// The source port.
    #[inline]
    pub fn src_port(&self) -> u16 {
        u16::from_be_bytes([self.fixed[0], self.fixed[1]])
    }

    /// The destination port.
    #[inline]
    pub fn dst_port(&self) -> u16 {
        u16::from_be_bytes([self.fixed[2], self.fixed[3]])
    }

    /// SEG.SEQ
    #[inline]
    pub fn seq(&self) -> u32 {
        u32::from_be_bytes([self.fixed[4], self.fixed[5], self.fixed[6], self.fixed[7]])
    }

    /// SEG.ACK; means something only with [`Flags::ACK`].
    #[inline]
    pub fn ack(&self) -> u32 {
        u32::from_be_bytes([self.fixed[8], self.fixed[9], self.fixed[10], self.fixed[11]])
    }

    /// The control bits.
    #[inline]
    pub fn flags(&self) -> Flags {
        Flags::from_bits(u16::from_be_bytes([self.fixed[12], self.fixed[13]]))
    }

    /// SEG.WND, not scaled.
    #[inline]
    pub fn window(&self) -> u16 {
        u16::from_be_bytes([self.fixed[14], self.fixed[15]])
    }

    /// The checksum field.
    #[inline]
    pub fn checksum(&self) -> u16 {
        u16::from_be_bytes([self.fixed[16], self.fixed[17]])
    }

    /// SEG.UP; means something only with [`Flags::URG`].
    #[inline]
    pub fn urgent(&self) -> u16 {
        u16::from_be_bytes([self.fixed[18], self.fixed[19]])
    }

    /// Header and options, in bytes.
    #[inline]
    pub fn header_len(&self) -> usize {
        HEADER_LEN + self.options.len()
    }

    /// The options' bytes, padding included.
    #[inline]
    pub fn option_bytes(&self) -> &'a [u8] {
        self.options
    }

    /// The options as values.
    #[inline]
    pub fn options(&self) -> TcpOptions {
        TcpOptions::parse(self.options)
    }

    /// The segment's text.
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// Whether this segment says what `before` said and goes on where its text ended: nothing but SEG.SEQ, PSH, the checksum and the text
    /// differ.
    #[inline]
    pub fn continues(&self, before: &Packet<'_>) -> bool {
        // SEG.ACK, then data offset and flags, then the window.
        const ALL_BUT_PSH: u64 = !((Flags::PSH.bits() as u64) << 16);
        let said = |packet: &Packet<'_>| {
            let [a, b, c, d, _, _, _, _, middle @ .., _, _, e, f] = *packet.fixed;
            (u32::from_ne_bytes([a, b, c, d]), u64::from_be_bytes(middle) & ALL_BUT_PSH, [e, f])
        };
        said(self) == said(before)
            && self.seq() == before.seq().wrapping_add(before.payload.len() as u32)
            && self.options == before.options
    }

    /// Whether the checksum holds, given the pseudo-header's sum ([`crate::ip::pseudo`]).
    #[inline]
    pub fn checksum_is_valid(&self, pseudo: Sum) -> bool {
        pseudo.add_bytes(self.bytes).is_valid()
    }
}

/// A TCP header as a plain value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Header {
    /// The source port.
    pub src_port: u16,
    /// The destination port.
    pub dst_port: u16,
    /// SEG.SEQ
    pub seq: u32,
    /// SEG.ACK
    pub ack: u32,
    /// The control bits.
    pub flags: Flags,
    /// SEG.WND as on the wire, not scaled.
    pub window: u16,
    /// SEG.UP
    pub urgent: u16,
    /// The options that we know.
    pub options: TcpOptions,
}

impl Header {
    /// The value of a checked packet.
    #[inline]
    pub fn parse(packet: &Packet<'_>) -> Header {
        Header {
            src_port: packet.src_port(),
            dst_port: packet.dst_port(),
            seq: packet.seq(),
            ack: packet.ack(),
            flags: packet.flags(),
            window: packet.window(),
            urgent: packet.urgent(),
            options: packet.options(),
        }
    }

    /// Header and options, in bytes: 20 to 60, a multiple of four.
    #[inline]
    pub fn header_len(&self) -> usize {
        HEADER_LEN + self.options.wire_len()
    }

    /// Writes the header to the start of `segment` with a checksum of zero, and returns its length. The text goes behind it;
    /// then [`fill_checksum`] or [`put_partial_checksum`]. Panics when `segment` is shorter than [`header_len`](Header::header_len).
    #[inline]
    pub fn emit(&self, segment: &mut [u8]) -> usize {
        let len = self.header_len();
        let (fixed, options) =
            segment[..len].split_first_chunk_mut::<HEADER_LEN>().expect("len is 20 or more");
        fixed[0..2].copy_from_slice(&self.src_port.to_be_bytes());
        fixed[2..4].copy_from_slice(&self.dst_port.to_be_bytes());
        fixed[4..8].copy_from_slice(&self.seq.to_be_bytes());
        fixed[8..12].copy_from_slice(&self.ack.to_be_bytes());
        let offset_and_flags = ((len / 4) as u16) << 12 | self.flags.bits();
        fixed[12..14].copy_from_slice(&offset_and_flags.to_be_bytes());
        fixed[14..16].copy_from_slice(&self.window.to_be_bytes());
        fixed[16..18].copy_from_slice(&[0, 0]);
        fixed[18..20].copy_from_slice(&self.urgent.to_be_bytes());
        self.options.emit(options);
        len
    }
}

/// Computes the checksum over the whole `segment` (header and text, checksum field zero) and writes it.
/// Panics when `segment` is shorter than a fixed header.
#[inline]
pub fn fill_checksum(segment: &mut [u8], pseudo: Sum) {
    let checksum = pseudo.add_bytes(segment).checksum();
    put_checksum(segment, checksum);
}

/// Writes what a device that finishes the checksum wants in the field: the pseudo-header's sum, not complemented.
/// Panics when `segment` is shorter than a fixed header.
#[inline]
pub fn put_partial_checksum(segment: &mut [u8], pseudo: Sum) {
    put_checksum(segment, pseudo.partial());
}

/// Writes SEG.SEQ and the control bits into a header that is otherwise written, whose control bits are clear. Panics when `segment` is
/// shorter than a fixed header.
#[inline]
pub fn put_seq_and_flags(segment: &mut [u8], seq: u32, flags: Flags) {
    let fixed = segment.first_chunk_mut::<HEADER_LEN>().expect("a fixed header");
    fixed[4..8].copy_from_slice(&seq.to_be_bytes());
    let [high, low] = flags.bits().to_be_bytes();
    fixed[12] |= high;
    fixed[13] = low;
}

/// Writes `checksum` into the field. Panics when `segment` is shorter than a fixed header.
#[inline]
pub fn put_checksum(segment: &mut [u8], checksum: u16) {
    segment[CHECKSUM_OFFSET..CHECKSUM_OFFSET + 2].copy_from_slice(&checksum.to_be_bytes());
}

#[cfg(test)]
mod tests;
