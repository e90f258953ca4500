//! Multicast Listener Discovery: who on this link listens to which IPv6 group.
//! Spec: RFC 2710 section 3 (version 1), RFC 3810 section 5 (version 2: query understood, report written and walked).
//! Not here: when to report (`stack`), the hop-by-hop router alert and hop limit 1 it travels with (RFC 2710 section 3),
//!           the checksum ([`crate::icmpv6`]).

use crate::Malformed;
use core::net::Ipv6Addr;
use core::time::Duration;

const QUERY: u8 = 130;
const REPORT_V1: u8 = 131;
const DONE: u8 = 132;
const REPORT_V2: u8 = 143;

const V1_LEN: usize = 24;
const QUERY_V2_LEN: usize = 28;
const RECORD_LEN: usize = 20;
/// Records that we are willing to read in a report.
pub const RECORDS_MAX: usize = 128;

/// Whether an ICMPv6 type belongs here.
pub fn is_type(kind: u8) -> bool {
    matches!(kind, QUERY | REPORT_V1 | DONE | REPORT_V2)
}

/// An MLD message as a plain value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message<'a> {
    /// Type 130: a router asks who listens: to `group`, or to anything when it is unspecified.
    Query {
        /// The group asked about; unspecified asks about all.
        group: Ipv6Addr,
        /// Answer within this time.
        max_response: Duration,
        /// The router speaks version 2.
        v2: bool,
    },
    /// Type 131: "I listen to this group."
    Report {
        /// The group.
        group: Ipv6Addr,
    },
    /// Type 132: "I leave this group."
    Done {
        /// The group.
        group: Ipv6Addr,
    },
    /// Type 143: what changed, a record a group.
    ReportV2 {
        /// The records.
        records: Records<'a>,
    },
}

/// What a version 2 record says (RFC 3810 5.2.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RecordType(pub u8);

impl RecordType {
    /// Now listening to the sources named only.
    pub const MODE_IS_INCLUDE: RecordType = RecordType(1);
    /// Now listening to all but the sources named.
    pub const MODE_IS_EXCLUDE: RecordType = RecordType(2);
    /// Changed to the sources named only; with none named: left.
    pub const CHANGE_TO_INCLUDE: RecordType = RecordType(3);
    /// Changed to all but the sources named; with none named: joined.
    pub const CHANGE_TO_EXCLUDE: RecordType = RecordType(4);
}

/// One record of a version 2 report. Sources are not kept: this house joins groups from any source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// What it says.
    pub kind: RecordType,
    /// About which group.
    pub group: Ipv6Addr,
}

/// The records of a report: either read from one (checked) or given as values to be written.
#[derive(Debug, Clone, Copy)]
pub enum Records<'a> {
    /// As they came; every length was checked.
    Wire(WireRecords<'a>),
    /// To be written; at most [`RECORDS_MAX`].
    Values(&'a [Record]),
}

/// Record bytes whose every length was checked.
#[derive(Debug, Clone, Copy)]
pub struct WireRecords<'a>(&'a [u8]);

impl PartialEq for Records<'_> {
    /// Two lists are equal when they hold equal records, however they are held.
    fn eq(&self, other: &Records<'_>) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Records<'_> {}

impl<'a> Records<'a> {
    /// Checks `count` records.
    fn check(bytes: &'a [u8], count: usize) -> Result<Records<'a>, Malformed> {
        if count > RECORDS_MAX {
            return Err(Malformed::TooMany);
        }
        let mut at = 0;
        for _ in 0..count {
            let record = bytes.get(at..at + RECORD_LEN).ok_or(Malformed::Length)?;
            at += record_len(record);
        }
        // Bytes behind the last record count for the checksum only (RFC 3810 5.2.11).
        bytes.get(..at).map(|bytes| Records::Wire(WireRecords(bytes))).ok_or(Malformed::Length)
    }

    /// One after another.
    pub fn iter(&self) -> RecordWalk<'a> {
        match *self {
            Records::Wire(WireRecords(rest)) => RecordWalk { rest, values: &[] },
            Records::Values(values) => RecordWalk { rest: &[], values },
        }
    }
}

/// With sources and auxiliary data; `record` holds at least the fixed part.
fn record_len(record: &[u8]) -> usize {
    let sources = usize::from(u16::from_be_bytes([record[2], record[3]]));
    RECORD_LEN + sources * 16 + usize::from(record[1]) * 4
}

/// Visits records one by one.
#[derive(Debug, Clone)]
pub struct RecordWalk<'a> {
    rest: &'a [u8],
    values: &'a [Record],
}

impl Iterator for RecordWalk<'_> {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        if let [first, values @ ..] = self.values {
            self.values = values;
            return Some(*first);
        }
        let fixed = self.rest.first_chunk::<RECORD_LEN>()?;
        self.rest = self.rest.get(record_len(fixed)..)?;
        Some(Record { kind: RecordType(fixed[0]), group: addr(&fixed[4..]) })
    }
}

impl<'a> Message<'a> {
    /// Reads a whole ICMPv6 message of one of these types.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Message<'a>, Malformed> {
        let (h, rest) = bytes.split_first_chunk::<8>().ok_or(Malformed::Truncated)?;
        if h[0] == REPORT_V2 {
            let count = usize::from(u16::from_be_bytes([h[6], h[7]]));
            return Ok(Message::ReportV2 { records: Records::check(rest, count)? });
        }
        let group = addr(rest.get(..16).ok_or(Malformed::Truncated)?);
        Ok(match h[0] {
            QUERY => {
                // RFC 3810 8.1: 24 bytes are version 1, 28 and more version 2, anything between is ignored.
                let v2 = match bytes.len() {
                    V1_LEN => false,
                    QUERY_V2_LEN.. => true,
                    _ => return Err(Malformed::Length),
                };
                let code = u16::from_be_bytes([h[4], h[5]]);
                let millis = if v2 { floating(code) } else { u64::from(code) };
                Message::Query { group, max_response: Duration::from_millis(millis), v2 }
            }
            REPORT_V1 => Message::Report { group },
            DONE => Message::Done { group },
            _ => return Err(Malformed::Field),
        })
    }

    /// The message in bytes.
    pub(crate) fn wire_len(&self) -> usize {
        match self {
            Message::Query { v2: true, .. } => QUERY_V2_LEN,
            Message::Query { .. } | Message::Report { .. } | Message::Done { .. } => V1_LEN,
            Message::ReportV2 { records } => 8 + records.iter().count() * RECORD_LEN,
        }
    }

    /// Writes the message, checksum zero; `out` is exactly `wire_len` long. Sources of records are not written, and a query's
    /// response time is written plainly, at most 32.767 s.
    pub(crate) fn emit(&self, out: &mut [u8]) {
        out.fill(0);
        let mut simple = |kind: u8, group: Ipv6Addr| {
            out[0] = kind;
            out[8..24].copy_from_slice(&group.octets());
        };
        match *self {
            Message::Query { group, max_response, .. } => {
                simple(QUERY, group);
                let code = u16::try_from(max_response.as_millis()).unwrap_or(u16::MAX).min(0x7fff);
                out[4..6].copy_from_slice(&code.to_be_bytes());
            }
            Message::Report { group } => simple(REPORT_V1, group),
            Message::Done { group } => simple(DONE, group),
            Message::ReportV2 { records } => {
                out[0] = REPORT_V2;
                let count = ((out.len() - 8) / RECORD_LEN) as u16;
                out[6..8].copy_from_slice(&count.to_be_bytes());
                for (record, room) in records.iter().zip(out[8..].chunks_exact_mut(RECORD_LEN)) {
                    room[0] = record.kind.0;
                    room[4..].copy_from_slice(&record.group.octets());
                }
            }
        }
    }
}

/// RFC 3810 5.1.3: below 32768 the value itself, above a 3-bit exponent and a 12-bit mantissa.
fn floating(code: u16) -> u64 {
    if code < 0x8000 {
        u64::from(code)
    } else {
        u64::from((code & 0x0fff) | 0x1000) << (((code >> 12) & 7) + 3)
    }
}

/// `bytes` is sixteen long.
fn addr(bytes: &[u8]) -> Ipv6Addr {
    let mut octets = [0; 16];
    octets.copy_from_slice(bytes);
    Ipv6Addr::from(octets)
}

#[cfg(test)]
mod tests;
