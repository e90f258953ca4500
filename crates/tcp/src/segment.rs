//! Segments as values: SEG.* as it arrives, and as it is to be sent.
//! Spec: RFC 9293 3.1, 3.3.1 (SEG.SEQ, SEG.ACK, SEG.LEN, SEG.WND, SEG.UP); RFC 2018, 7323, 5482 for the options.
//! Owns: the vocabulary that passes the doorway of a connection.
//! Invariants: a `SegmentOut` names its text as a range of the send queue; it is valid until the next call that changes the
//! connection, so whoever polled it copies the text out at once.
//! Not here: octets on the wire (`wire`), what was agreed (`options`).

use core::fmt;

use wire::tcp::{Flags, Header, Packet, TcpOptions};

use crate::seq::SeqNum;

/// A segment that arrives. The checksum has been verified, the addresses belong to somebody else.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// SEG.SEQ.
    pub seq: SeqNum,
    /// SEG.ACK; counts only with [`Flags::ACK`].
    pub ack: SeqNum,
    /// The window field as it stands on the wire, unscaled.
    pub wnd: u16,
    /// The urgent pointer field; counts only with [`Flags::URG`].
    pub up: u16,
    /// Control bits.
    pub flags: Flags,
    /// Options.
    pub options: TcpOptions,
    /// The IP header said Congestion Experienced.
    pub ce: bool,
    /// How many segments of the wire a receiver below has joined into this one; at least 1.
    pub segments: u16,
    /// The text.
    pub text: &'a [u8],
}

impl<'a> Segment<'a> {
    /// The segment in a checked packet of the wire. `ce`: what IP said; `segments`: how many were coalesced into it.
    #[inline]
    pub fn parse(packet: &Packet<'a>, ce: bool, segments: u16) -> Self {
        Segment {
            seq: SeqNum(packet.seq()),
            ack: SeqNum(packet.ack()),
            wnd: packet.window(),
            up: packet.urgent(),
            flags: packet.flags(),
            options: packet.options(),
            ce,
            segments,
            text: packet.payload(),
        }
    }
}

impl Segment<'_> {
    /// SEG.LEN: octets of sequence space, SYN and FIN counted.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)] // A coalesced segment is at most 64 KiB.
    pub const fn len(&self) -> u32 {
        self.text.len() as u32 + self.flags.sequence_len()
    }

    /// Whether the segment takes no sequence space.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The sequence number after the last octet.
    #[must_use]
    pub fn end(&self) -> SeqNum {
        self.seq + self.len()
    }
}

/// A segment to send: the header's values, and where its text lies.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SegmentOut {
    /// SEG.SEQ.
    pub seq: SeqNum,
    /// SEG.ACK; counts only with [`Flags::ACK`].
    pub ack: SeqNum,
    /// The window field, already scaled down.
    pub wnd: u16,
    /// The urgent pointer field.
    pub up: u16,
    /// Control bits. In a super-segment FIN and PSH belong to the last piece, CWR to the first.
    pub flags: Flags,
    /// Options, the same in every piece.
    pub options: TcpOptions,
    /// The text: an offset into the send queue ...
    pub text_offset: u32,
    /// ... and a length, which may exceed `segment_size` up to the TSO size the context allows.
    pub text_len: u32,
    /// The most text one segment of the wire may carry beside these options.
    pub segment_size: u16,
    /// The IP header is to say ECT(0) (RFC 3168 5): new data on a connection that agreed to ECN.
    pub ect: bool,
}

impl SegmentOut {
    /// A segment without text or options; the caller sets what it needs.
    #[must_use]
    pub fn bare(flags: Flags, seq: SeqNum, ack: SeqNum, wnd: u16) -> Self {
        SegmentOut {
            seq,
            ack,
            wnd,
            up: 0,
            flags,
            options: TcpOptions::NONE,
            text_offset: 0,
            text_len: 0,
            segment_size: u16::MAX,
            ect: false,
        }
    }

    /// SEG.LEN.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.text_len + self.flags.sequence_len()
    }

    /// Whether the segment takes no sequence space.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The sequence number after the last octet.
    #[must_use]
    pub fn end(&self) -> SeqNum {
        self.seq + self.len()
    }

    /// The header of this segment between two ports; text and checksum are the caller's.
    #[inline]
    #[must_use]
    pub fn header(&self, src_port: u16, dst_port: u16) -> Header {
        Header {
            src_port,
            dst_port,
            seq: self.seq.raw(),
            ack: self.ack.raw(),
            flags: self.flags,
            window: self.wnd,
            urgent: self.up,
            options: self.options,
        }
    }

    /// How the peer sees this segment, given its text. For pairs in a box and for answers kept in tests.
    #[must_use]
    pub fn as_arriving<'a>(&self, text: &'a [u8]) -> Segment<'a> {
        Segment {
            seq: self.seq,
            ack: self.ack,
            wnd: self.wnd,
            up: self.up,
            flags: self.flags,
            options: self.options,
            ce: false,
            segments: 1,
            text,
        }
    }
}

/// What the options that are not in every segment take in the header, padding included: SACK blocks (RFC 2018 3) and a user
/// timeout (RFC 5482 2).
#[inline]
pub(crate) fn passing_len(options: &TcpOptions) -> u16 {
    if options.is_plain() {
        return 0;
    }
    let sack = match options.sack.len() {
        0 => 0,
        // At most four.
        blocks => 4 + 8 * blocks as u16,
    };
    sack + if options.user_timeout.is_some() { 4 } else { 0 }
}

impl fmt::Debug for SegmentOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} seq={}+{} ack={} wnd={}", self.flags, self.seq, self.text_len, self.ack, self.wnd)?;
        if self.options != TcpOptions::NONE {
            write!(f, " {:?}", self.options)?;
        }
        Ok(())
    }
}
