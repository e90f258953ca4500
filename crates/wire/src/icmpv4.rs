//! ICMP for IPv4.
//! Spec: RFC 792; RFC 1122 3.2.2; RFC 1191 section 4 (next-hop MTU); RFC 1812 4.3 (how much an error quotes).
//! Invariants: `parse` verifies the checksum, so a [`Message`] that exists was transmitted intact.
//! Not here: when an error may be sent (`stack::icmp`), what it does to a connection (`tcp`).

use crate::Malformed;
use crate::checksum::Sum;
use core::net::Ipv4Addr;

/// The part before the data, in bytes.
pub const HEADER_LEN: usize = 8;
/// The longest error, with its IP header (RFC 1812 4.3.2.3: as much of the original as fits 576 bytes).
pub const ERROR_PACKET_MAX: usize = 576;

/// Why a destination cannot be reached: the code field (RFC 792, RFC 1122 3.2.2.1, RFC 1812 5.2.7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Unreachable(pub u8);

impl Unreachable {
    /// No route to the network.
    pub const NET: Unreachable = Unreachable(0);
    /// No route to the host, or it does not answer.
    pub const HOST: Unreachable = Unreachable(1);
    /// The host has no such protocol.
    pub const PROTOCOL: Unreachable = Unreachable(2);
    /// Nobody listens on the port.
    pub const PORT: Unreachable = Unreachable(3);
    /// Too big, and DF is set.
    pub const FRAGMENTATION_NEEDED: Unreachable = Unreachable(4);
    /// The prescribed route failed.
    pub const SOURCE_ROUTE: Unreachable = Unreachable(5);
    /// Destination network unknown.
    pub const NET_UNKNOWN: Unreachable = Unreachable(6);
    /// Destination host unknown.
    pub const HOST_UNKNOWN: Unreachable = Unreachable(7);
    /// A filter forbids it.
    pub const ADMIN_PROHIBITED: Unreachable = Unreachable(13);
}

/// An ICMP message as a plain value; `data` and `original` are borrowed from the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message<'a> {
    /// Type 8.
    EchoRequest {
        /// Who asks.
        ident: u16,
        /// Which question of theirs.
        seq: u16,
        /// To be sent back.
        data: &'a [u8],
    },
    /// Type 0.
    EchoReply {
        /// As in the request.
        ident: u16,
        /// As in the request.
        seq: u16,
        /// As in the request.
        data: &'a [u8],
    },
    /// Type 3.
    DestinationUnreachable {
        /// Why.
        code: Unreachable,
        /// The largest packet that would have passed, for [`Unreachable::FRAGMENTATION_NEEDED`]; 0 from an old router.
        next_hop_mtu: u16,
        /// The packet that did not pass: IP header and some of its payload.
        original: &'a [u8],
    },
    /// Type 11: code 0, TTL ran out; code 1, reassembly took too long.
    TimeExceeded {
        /// The code.
        code: u8,
        /// The packet.
        original: &'a [u8],
    },
    /// Type 12.
    ParameterProblem {
        /// The code; 0: `pointer` says where.
        code: u8,
        /// The octet that was not understood.
        pointer: u8,
        /// The packet.
        original: &'a [u8],
    },
    /// Type 5: use another first hop.
    Redirect {
        /// The code: 1 is for the host.
        code: u8,
        /// The better gateway.
        gateway: Ipv4Addr,
        /// The packet.
        original: &'a [u8],
    },
    /// Anything else, source quench included, to be ignored silently (RFC 1122 3.2.2, RFC 6633).
    Other {
        /// Its type.
        kind: u8,
        /// Its code.
        code: u8,
    },
}

const ECHO_REPLY: u8 = 0;
const DESTINATION_UNREACHABLE: u8 = 3;
const REDIRECT: u8 = 5;
const ECHO_REQUEST: u8 = 8;
const TIME_EXCEEDED: u8 = 11;
const PARAMETER_PROBLEM: u8 = 12;

impl<'a> Message<'a> {
    /// Reads a whole IP payload and verifies its checksum.
    pub fn parse(bytes: &'a [u8]) -> Result<Message<'a>, Malformed> {
        let (h, rest) = bytes.split_first_chunk::<HEADER_LEN>().ok_or(Malformed::Truncated)?;
        if !Sum::of(bytes).is_valid() {
            return Err(Malformed::Field);
        }
        let (kind, code) = (h[0], h[1]);
        let (high, low) = (u16::from_be_bytes([h[4], h[5]]), u16::from_be_bytes([h[6], h[7]]));
        Ok(match kind {
            ECHO_REQUEST => Message::EchoRequest { ident: high, seq: low, data: rest },
            ECHO_REPLY => Message::EchoReply { ident: high, seq: low, data: rest },
            DESTINATION_UNREACHABLE => {
                Message::DestinationUnreachable { code: Unreachable(code), next_hop_mtu: low, original: rest }
            }
            TIME_EXCEEDED => Message::TimeExceeded { code, original: rest },
            PARAMETER_PROBLEM => Message::ParameterProblem { code, pointer: h[4], original: rest },
            REDIRECT => {
                Message::Redirect { code, gateway: Ipv4Addr::new(h[4], h[5], h[6], h[7]), original: rest }
            }
            _ => Message::Other { kind, code },
        })
    }

    /// Whether it is an error, about which no error may be sent (RFC 1122 3.2.2).
    pub fn is_error(&self) -> bool {
        match self {
            Message::DestinationUnreachable { .. }
            | Message::TimeExceeded { .. }
            | Message::ParameterProblem { .. }
            | Message::Redirect { .. } => true,
            Message::Other { kind, .. } => *kind == 4, // source quench
            Message::EchoRequest { .. } | Message::EchoReply { .. } => false,
        }
    }

    /// What follows the eight bytes of header.
    fn data(&self) -> &'a [u8] {
        match *self {
            Message::EchoRequest { data, .. } | Message::EchoReply { data, .. } => data,
            Message::DestinationUnreachable { original, .. }
            | Message::TimeExceeded { original, .. }
            | Message::ParameterProblem { original, .. }
            | Message::Redirect { original, .. } => original,
            Message::Other { .. } => &[],
        }
    }

    /// The message in bytes.
    pub fn wire_len(&self) -> usize {
        HEADER_LEN + self.data().len()
    }

    /// Writes the message with its checksum to the start of `bytes` and returns its length. Panics when `bytes` is shorter than
    /// [`wire_len`](Message::wire_len).
    pub fn emit(&self, bytes: &mut [u8]) -> usize {
        let len = self.wire_len();
        let bytes = &mut bytes[..len];
        let pair = |a: u16, b: u16| {
            let ([a0, a1], [b0, b1]) = (a.to_be_bytes(), b.to_be_bytes());
            [a0, a1, b0, b1]
        };
        let (kind, code, word) = match *self {
            Message::EchoRequest { ident, seq, .. } => (ECHO_REQUEST, 0, pair(ident, seq)),
            Message::EchoReply { ident, seq, .. } => (ECHO_REPLY, 0, pair(ident, seq)),
            Message::DestinationUnreachable { code, next_hop_mtu, .. } => {
                (DESTINATION_UNREACHABLE, code.0, pair(0, next_hop_mtu))
            }
            Message::TimeExceeded { code, .. } => (TIME_EXCEEDED, code, [0; 4]),
            Message::ParameterProblem { code, pointer, .. } => (PARAMETER_PROBLEM, code, [pointer, 0, 0, 0]),
            Message::Redirect { code, gateway, .. } => (REDIRECT, code, gateway.octets()),
            Message::Other { kind, code } => (kind, code, [0; 4]),
        };
        bytes[..4].copy_from_slice(&[kind, code, 0, 0]);
        bytes[4..8].copy_from_slice(&word);
        bytes[8..].copy_from_slice(self.data());
        let checksum = Sum::of(bytes).checksum();
        bytes[2..4].copy_from_slice(&checksum.to_be_bytes());
        len
    }
}

#[cfg(test)]
mod tests;
