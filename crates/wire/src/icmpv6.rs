//! ICMPv6: errors, echo, and the doors to Neighbour Discovery and MLD, which travel in it.
//! Spec: RFC 4443; RFC 4861 ([`crate::ndisc`]); RFC 2710 and 3810 ([`crate::mld`]).
//! Invariants: `parse` verifies the checksum over the pseudo-header, so a [`Message`] that exists was transmitted intact.
//! Not here: when an error may be sent (`stack::icmp`), hop limit 255 of Neighbour Discovery (its IP header is not here).

use crate::Malformed;
use crate::checksum::Sum;
use crate::mld;
use crate::ndisc;

/// The part before the data of errors and echoes, in bytes.
pub const HEADER_LEN: usize = 8;
/// The longest error, with its IP header: the least MTU of IPv6 (RFC 4443 2.4 (c)).
pub const ERROR_PACKET_MAX: usize = 1280;

/// Why a destination cannot be reached: the code field (RFC 4443 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Unreachable(pub u8);

impl Unreachable {
    /// No route to it.
    pub const NO_ROUTE: Unreachable = Unreachable(0);
    /// A filter forbids it.
    pub const ADMIN_PROHIBITED: Unreachable = Unreachable(1);
    /// Beyond the scope of the source address.
    pub const BEYOND_SCOPE: Unreachable = Unreachable(2);
    /// Its link-layer address could not be found, or anything else.
    pub const ADDRESS: Unreachable = Unreachable(3);
    /// Nobody listens on the port.
    pub const PORT: Unreachable = Unreachable(4);
    /// The source address fails a policy.
    pub const SOURCE_POLICY: Unreachable = Unreachable(5);
    /// The route rejects it.
    pub const REJECT_ROUTE: Unreachable = Unreachable(6);
}

/// What is wrong with a parameter: the code field (RFC 4443 3.4; RFC 7112 section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Problem(pub u8);

impl Problem {
    /// An erroneous header field.
    pub const HEADER_FIELD: Problem = Problem(0);
    /// An unrecognised next header.
    pub const NEXT_HEADER: Problem = Problem(1);
    /// An unrecognised option.
    pub const OPTION: Problem = Problem(2);
    /// A first fragment without the whole header chain.
    pub const INCOMPLETE_CHAIN: Problem = Problem(3);
}

/// An ICMPv6 message as a plain value; byte slices are borrowed from the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message<'a> {
    /// Type 1.
    DestinationUnreachable {
        /// Why.
        code: Unreachable,
        /// The packet that did not pass.
        original: &'a [u8],
    },
    /// Type 2.
    PacketTooBig {
        /// The largest packet that would have passed.
        mtu: u32,
        /// The packet.
        original: &'a [u8],
    },
    /// Type 3: code 0, hop limit ran out; code 1, reassembly took too long.
    TimeExceeded {
        /// The code.
        code: u8,
        /// The packet.
        original: &'a [u8],
    },
    /// Type 4.
    ParameterProblem {
        /// What is wrong.
        code: Problem,
        /// The octet of the original where it is.
        pointer: u32,
        /// The packet.
        original: &'a [u8],
    },
    /// Type 128.
    EchoRequest {
        /// Who asks.
        ident: u16,
        /// Which question of theirs.
        seq: u16,
        /// To be sent back.
        data: &'a [u8],
    },
    /// Type 129.
    EchoReply {
        /// As in the request.
        ident: u16,
        /// As in the request.
        seq: u16,
        /// As in the request.
        data: &'a [u8],
    },
    /// Types 133 to 137.
    Ndisc(ndisc::Message<'a>),
    /// Types 130 to 132 and 143.
    Mld(mld::Message<'a>),
    /// Anything else. An unknown error (type below 128) reaches the upper layer, an unknown question is dropped (RFC 4443 2.4).
    Other {
        /// Its type.
        kind: u8,
        /// Its code.
        code: u8,
        /// What follows the first eight bytes.
        body: &'a [u8],
    },
}

const DESTINATION_UNREACHABLE: u8 = 1;
const PACKET_TOO_BIG: u8 = 2;
const TIME_EXCEEDED: u8 = 3;
const PARAMETER_PROBLEM: u8 = 4;
const ECHO_REQUEST: u8 = 128;
const ECHO_REPLY: u8 = 129;

impl<'a> Message<'a> {
    /// Reads a whole IP payload and verifies its checksum; `pseudo` is made for protocol 58 and the payload's length.
    pub fn parse(bytes: &'a [u8], pseudo: Sum) -> Result<Message<'a>, Malformed> {
        if !pseudo.add_bytes(bytes).is_valid() {
            return Err(Malformed::Field);
        }
        Message::parse_unverified(bytes)
    }

    /// Reads a message whose checksum somebody else vouches for, as of a packet quoted in an error.
    pub fn parse_unverified(bytes: &'a [u8]) -> Result<Message<'a>, Malformed> {
        let (h, rest) = bytes.split_first_chunk::<HEADER_LEN>().ok_or(Malformed::Truncated)?;
        let (kind, code) = (h[0], h[1]);
        let word = u32::from_be_bytes([h[4], h[5], h[6], h[7]]);
        let (ident, seq) = ((word >> 16) as u16, word as u16);
        Ok(match kind {
            DESTINATION_UNREACHABLE => {
                Message::DestinationUnreachable { code: Unreachable(code), original: rest }
            }
            PACKET_TOO_BIG => Message::PacketTooBig { mtu: word, original: rest },
            TIME_EXCEEDED => Message::TimeExceeded { code, original: rest },
            PARAMETER_PROBLEM => {
                Message::ParameterProblem { code: Problem(code), pointer: word, original: rest }
            }
            ECHO_REQUEST => Message::EchoRequest { ident, seq, data: rest },
            ECHO_REPLY => Message::EchoReply { ident, seq, data: rest },
            kind if ndisc::is_type(kind) => Message::Ndisc(ndisc::Message::parse(bytes)?),
            kind if mld::is_type(kind) => Message::Mld(mld::Message::parse(bytes)?),
            kind => Message::Other { kind, code, body: rest },
        })
    }

    /// Whether it is an error, about which no error may be sent: types below 128 (RFC 4443 2.1).
    pub fn is_error(&self) -> bool {
        match self {
            Message::DestinationUnreachable { .. }
            | Message::PacketTooBig { .. }
            | Message::TimeExceeded { .. }
            | Message::ParameterProblem { .. } => true,
            Message::Other { kind, .. } => *kind < 128,
            Message::EchoRequest { .. } | Message::EchoReply { .. } | Message::Ndisc(_) | Message::Mld(_) => {
                false
            }
        }
    }

    /// The message in bytes.
    pub fn wire_len(&self) -> usize {
        match self {
            Message::DestinationUnreachable { original, .. }
            | Message::PacketTooBig { original, .. }
            | Message::TimeExceeded { original, .. }
            | Message::ParameterProblem { original, .. } => HEADER_LEN + original.len(),
            Message::EchoRequest { data, .. } | Message::EchoReply { data, .. } => HEADER_LEN + data.len(),
            Message::Other { body, .. } => HEADER_LEN + body.len(),
            Message::Ndisc(message) => message.wire_len(),
            Message::Mld(message) => message.wire_len(),
        }
    }

    /// Writes the message with its checksum to the start of `bytes` and returns its length. `pseudo` is made for protocol 58 and
    /// [`wire_len`](Message::wire_len). Panics when `bytes` is shorter than that.
    pub fn emit(&self, bytes: &mut [u8], pseudo: Sum) -> usize {
        let len = self.wire_len();
        let bytes = &mut bytes[..len];
        let (kind, code, word, data) = match *self {
            Message::DestinationUnreachable { code, original } => {
                (DESTINATION_UNREACHABLE, code.0, 0, original)
            }
            Message::PacketTooBig { mtu, original } => (PACKET_TOO_BIG, 0, mtu, original),
            Message::TimeExceeded { code, original } => (TIME_EXCEEDED, code, 0, original),
            Message::ParameterProblem { code, pointer, original } => {
                (PARAMETER_PROBLEM, code.0, pointer, original)
            }
            Message::EchoRequest { ident, seq, data } => {
                (ECHO_REQUEST, 0, u32::from(ident) << 16 | u32::from(seq), data)
            }
            Message::EchoReply { ident, seq, data } => {
                (ECHO_REPLY, 0, u32::from(ident) << 16 | u32::from(seq), data)
            }
            Message::Other { kind, code, body } => (kind, code, 0, body),
            Message::Ndisc(message) => {
                message.emit(bytes);
                fill_checksum(bytes, pseudo);
                return len;
            }
            Message::Mld(message) => {
                message.emit(bytes);
                fill_checksum(bytes, pseudo);
                return len;
            }
        };
        bytes[..4].copy_from_slice(&[kind, code, 0, 0]);
        bytes[4..8].copy_from_slice(&word.to_be_bytes());
        bytes[8..].copy_from_slice(data);
        fill_checksum(bytes, pseudo);
        len
    }
}

fn fill_checksum(bytes: &mut [u8], pseudo: Sum) {
    let checksum = pseudo.add_bytes(bytes).checksum();
    bytes[2..4].copy_from_slice(&checksum.to_be_bytes());
}

#[cfg(test)]
mod tests;
