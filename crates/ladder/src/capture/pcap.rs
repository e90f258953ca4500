//! Classic pcap: a header, then records.
//! Spec: draft-ietf-opsawg-pcap; the two magics of nanosecond files, and both in either byte order.
//! Owns: the file's byte order, unit and link type.

use super::{BUFFER_MAX, BreakReason, Found, LinkType, Order, Source};
use std::io::Read;
use std::time::Duration;

const HEADER_LEN: usize = 24;
const RECORD_LEN: usize = 16;
const MICROS: u32 = 0xa1b2_c3d4;
const NANOS: u32 = 0xa1b2_3c4d;

#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    order: Order,
    /// Nanoseconds in a unit of the fraction.
    unit: u32,
    link: LinkType,
}

impl Header {
    /// The file's header, if it is one.
    pub(super) fn begin<R: Read>(
        source: &mut Source<R>,
        magic: [u8; 4],
    ) -> Result<Option<Header>, BreakReason> {
        let (order, unit) = match (u32::from_le_bytes(magic), u32::from_be_bytes(magic)) {
            (MICROS, _) => (Order::Little, 1000),
            (NANOS, _) => (Order::Little, 1),
            (_, MICROS) => (Order::Big, 1000),
            (_, NANOS) => (Order::Big, 1),
            _ => return Ok(None),
        };
        let Some(bytes) = source.peek(HEADER_LEN)? else { return Err(BreakReason::Cut) };
        let link = LinkType::from_number(order.u32(bytes, 20));
        source.take(HEADER_LEN);
        Ok(Some(Header { order, unit, link }))
    }

    #[inline]
    pub(super) fn next<R: Read>(&self, source: &mut Source<R>) -> Result<Option<Found>, BreakReason> {
        let Some(bytes) = source.peek(RECORD_LEN)? else {
            return if source.left() == 0 { Ok(None) } else { Err(BreakReason::Cut) };
        };
        let secs = self.order.u32(bytes, 0);
        let fraction = self.order.u32(bytes, 4);
        let len = self.order.u32(bytes, 8) as usize;
        let original_len = self.order.u32(bytes, 12);
        if len > BUFFER_MAX - RECORD_LEN {
            return Err(BreakReason::TooLong(len as u64));
        }
        if source.peek(RECORD_LEN + len)?.is_none() {
            return Err(BreakReason::Cut);
        }
        let start = source.start + RECORD_LEN;
        source.take(RECORD_LEN + len);
        let nanos = u64::from(fraction) * u64::from(self.unit);
        // A fraction of more than a second is carried over rather than refused.
        let time = match u32::try_from(nanos) {
            Ok(nanos) if nanos < 1_000_000_000 => Duration::new(secs.into(), nanos),
            _ => Duration::from_secs(secs.into()) + Duration::from_nanos(nanos),
        };
        Ok(Some(Found { time, link: self.link, start, len, original_len }))
    }
}
