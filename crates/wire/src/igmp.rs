//! IGMP: who on this link listens to which IPv4 group.
//! Spec: RFC 2236 (version 2), RFC 1112 appendix I (version 1), RFC 3376 4.1 (a version 3 query is understood as one).
//! Not here: when to report (`stack`), the IP header with TTL 1 and router alert (RFC 2236 section 2; [`crate::ipv4`]).

use crate::Malformed;
use crate::checksum::Sum;
use core::net::Ipv4Addr;
use core::time::Duration;

/// A version 1 or 2 message, in bytes.
pub const LEN: usize = 8;

/// An IGMP message as a plain value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// A router asks who listens: to `group`, or to anything when it is unspecified.
    Query {
        /// The group asked about; unspecified asks about all.
        group: Ipv4Addr,
        /// Answer within this time. A version 1 router sends zero and means ten seconds (RFC 2236 section 4).
        max_response: Duration,
        /// The query's version.
        version: QueryVersion,
    },
    /// "I listen to this group", version 1.
    ReportV1 {
        /// The group.
        group: Ipv4Addr,
    },
    /// "I listen to this group", version 2.
    ReportV2 {
        /// The group.
        group: Ipv4Addr,
    },
    /// "I leave this group."
    Leave {
        /// The group.
        group: Ipv4Addr,
    },
    /// Something else, to be ignored (RFC 2236 2.1).
    Other {
        /// Its type.
        kind: u8,
    },
}

/// Which IGMP the router that asked speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QueryVersion {
    /// RFC 1112.
    V1,
    /// RFC 2236.
    V2,
    /// RFC 3376.
    V3,
}

const QUERY: u8 = 0x11;
const REPORT_V1: u8 = 0x12;
const REPORT_V2: u8 = 0x16;
const LEAVE: u8 = 0x17;
/// A query of version 3 is longer than the others (RFC 3376 7.1).
const QUERY_V3_LEN: usize = 12;

impl Message {
    /// Reads a whole IP payload and verifies its checksum, which covers all of it (RFC 2236 2.3).
    pub fn parse(bytes: &[u8]) -> Result<Message, Malformed> {
        let b = bytes.first_chunk::<LEN>().ok_or(Malformed::Truncated)?;
        if !Sum::of(bytes).is_valid() {
            return Err(Malformed::Field);
        }
        let group = Ipv4Addr::new(b[4], b[5], b[6], b[7]);
        Ok(match b[0] {
            QUERY => {
                let (version, tenths) = match b[1] {
                    code if bytes.len() >= QUERY_V3_LEN => (QueryVersion::V3, floating(code)),
                    0 => (QueryVersion::V1, 0),
                    code => (QueryVersion::V2, u32::from(code)),
                };
                Message::Query {
                    group,
                    max_response: Duration::from_millis(u64::from(tenths) * 100),
                    version,
                }
            }
            REPORT_V1 => Message::ReportV1 { group },
            REPORT_V2 => Message::ReportV2 { group },
            LEAVE => Message::Leave { group },
            kind => Message::Other { kind },
        })
    }

    /// Writes the message with its checksum to the start of `bytes` and returns its length. A query is written as version 2 with
    /// at most 25.5 s. Panics when `bytes` is shorter than eight.
    pub fn emit(&self, bytes: &mut [u8]) -> usize {
        let (kind, code, group) = match *self {
            Message::Query { group, max_response, .. } => {
                (QUERY, u8::try_from(max_response.as_millis() / 100).unwrap_or(u8::MAX), group)
            }
            Message::ReportV1 { group } => (REPORT_V1, 0, group),
            Message::ReportV2 { group } => (REPORT_V2, 0, group),
            Message::Leave { group } => (LEAVE, 0, group),
            Message::Other { kind } => (kind, 0, Ipv4Addr::UNSPECIFIED),
        };
        let b = &mut bytes[..LEN];
        b[..4].copy_from_slice(&[kind, code, 0, 0]);
        b[4..].copy_from_slice(&group.octets());
        let checksum = Sum::of(b).checksum();
        b[2..4].copy_from_slice(&checksum.to_be_bytes());
        LEN
    }
}

/// RFC 3376 4.1.1: below 128 the value itself, above a 3-bit exponent and a 4-bit mantissa.
fn floating(code: u8) -> u32 {
    if code < 128 { u32::from(code) } else { (u32::from(code & 0xf) | 0x10) << (((code >> 4) & 7) + 3) }
}

#[cfg(test)]
mod tests;
