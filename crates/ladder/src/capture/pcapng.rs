//! Pcapng: blocks, of which some are packets.
//! Spec: draft-ietf-opsawg-pcapng: section header, interface description (`if_tsresol`, `if_tsoffset`), enhanced, simple and obsolete
//! packet blocks; all others are stepped over.
//! Owns: the section's byte order and its interfaces.

use super::{BUFFER_MAX, BreakReason, Found, INTERFACES_MAX, LinkType, Order, Source};
use std::io::Read;
use std::time::Duration;

/// The type of a section header block reads the same in both byte orders.
pub(super) const SECTION_HEADER: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
const BYTE_ORDER: u32 = 0x1a2b_3c4d;
const INTERFACE: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;
const TSRESOL: u16 = 9;
const TSOFFSET: u16 = 14;
/// Type, length, and the length again at the end.
const FRAME_LEN: usize = 12;

#[derive(Debug, Clone, Copy)]
pub(super) struct Interface {
    link: LinkType,
    snap_len: u32,
    /// Units in a second.
    resolution: Resolution,
    /// Seconds to add to every time.
    offset: i64,
}

#[derive(Debug, Clone, Copy)]
enum Resolution {
    /// So many nanoseconds a unit: 10^-0 to 10^-9, as all that is written today.
    Nanos(u64),
    /// So many units a second, whatever that is.
    PerSecond(u128),
}

#[derive(Debug, Default)]
pub(super) struct Section {
    order: Order,
    interfaces: Vec<Interface>,
}

impl Section {
    #[inline]
    pub(super) fn next<R: Read>(&mut self, source: &mut Source<R>) -> Result<Option<Found>, BreakReason> {
        loop {
            let Some(bytes) = source.peek(FRAME_LEN)? else {
                return if source.left() == 0 { Ok(None) } else { Err(BreakReason::Cut) };
            };
            if bytes[..4] == SECTION_HEADER {
                self.order = match u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]) {
                    BYTE_ORDER => Order::Little,
                    order if order.swap_bytes() == BYTE_ORDER => Order::Big,
                    _ => return Err(BreakReason::Inconsistent),
                };
                self.interfaces.clear();
            }
            let order = self.order;
            let (kind, len) = (order.u32(bytes, 0), order.u32(bytes, 4) as usize);
            if len < FRAME_LEN || len % 4 != 0 {
                return Err(BreakReason::Inconsistent);
            }
            if len > BUFFER_MAX {
                return Err(BreakReason::TooLong(len as u64));
            }
            let Some(block) = source.peek(len)? else { return Err(BreakReason::Cut) };
            if order.u32(block, len - 4) as usize != len {
                return Err(BreakReason::Inconsistent);
            }
            let body = &block[8..len - 4];
            let found = match kind {
                ENHANCED_PACKET => Some(self.packet(body, 4)?),
                OBSOLETE_PACKET => Some(self.packet(body, 0)?),
                SIMPLE_PACKET => Some(self.simple(body)?),
                INTERFACE => {
                    let interface = Interface::read(order, body)?;
                    if self.interfaces.len() == INTERFACES_MAX {
                        return Err(BreakReason::TooManyInterfaces);
                    }
                    self.interfaces.push(interface);
                    None
                }
                _ => None,
            };
            let start = source.start + 8;
            source.take(len);
            if let Some(found) = found {
                return Ok(Some(Found { start: start + found.start, ..found }));
            }
        }
    }

    fn interface(&self, id: u32) -> Result<&Interface, BreakReason> {
        self.interfaces.get(id as usize).ok_or(BreakReason::UnknownInterface(id))
    }

    /// An enhanced packet block, or the obsolete packet block, whose interface has two octets. The start is within the body.
    #[inline]
    fn packet(&self, body: &[u8], id_len: usize) -> Result<Found, BreakReason> {
        let order = self.order;
        if body.len() < 20 {
            return Err(BreakReason::Inconsistent);
        }
        let id = if id_len == 4 { order.u32(body, 0) } else { u32::from(order.u16(body, 0)) };
        let interface = self.interface(id)?;
        let units = u64::from(order.u32(body, 4)) << 32 | u64::from(order.u32(body, 8));
        let (len, original_len) = (order.u32(body, 12) as usize, order.u32(body, 16));
        if len > body.len() - 20 {
            return Err(BreakReason::Inconsistent);
        }
        Ok(Found { time: interface.time(units), link: interface.link, start: 20, len, original_len })
    }

    /// A simple packet block: no time, the first interface, cut at its snap length.
    fn simple(&self, body: &[u8]) -> Result<Found, BreakReason> {
        if body.len() < 4 {
            return Err(BreakReason::Inconsistent);
        }
        let interface = self.interface(0)?;
        let original_len = self.order.u32(body, 0);
        let snap_len = if interface.snap_len == 0 { u32::MAX } else { interface.snap_len };
        let len = (original_len.min(snap_len) as usize).min(body.len() - 4);
        Ok(Found { time: Duration::ZERO, link: interface.link, start: 4, len, original_len })
    }
}

impl Interface {
    fn read(order: Order, body: &[u8]) -> Result<Interface, BreakReason> {
        if body.len() < 8 {
            return Err(BreakReason::Inconsistent);
        }
        let link = LinkType::from_number(order.u16(body, 0).into());
        let mut interface =
            Interface { link, snap_len: order.u32(body, 4), resolution: Resolution::Nanos(1000), offset: 0 };
        let mut options = &body[8..];
        while options.len() >= 4 {
            let (code, len) = (order.u16(options, 0), usize::from(order.u16(options, 2)));
            let padded = 4 + len.next_multiple_of(4);
            let Some(value) = options.get(4..4 + len) else { return Err(BreakReason::Inconsistent) };
            match (code, value) {
                (0, _) => break,
                (TSRESOL, [exponent]) => interface.resolution = Resolution::of(*exponent),
                (TSOFFSET, value) if value.len() == 8 => {
                    let halves = (u64::from(order.u32(value, 0)), u64::from(order.u32(value, 4)));
                    interface.offset = match order {
                        Order::Little => halves.1 << 32 | halves.0,
                        Order::Big => halves.0 << 32 | halves.1,
                    } as i64;
                }
                _ => {}
            }
            options = options.get(padded..).unwrap_or_default();
        }
        Ok(interface)
    }

    #[inline]
    pub(super) fn time(&self, units: u64) -> Duration {
        let time = match self.resolution {
            Resolution::Nanos(nanos) => {
                let (per_second, nanos) = (1_000_000_000 / nanos, nanos);
                Duration::new(units / per_second, ((units % per_second) * nanos) as u32)
            }
            Resolution::PerSecond(per_second) => {
                let units = u128::from(units);
                let nanos = units % per_second * 1_000_000_000 / per_second;
                Duration::new((units / per_second) as u64, nanos as u32)
            }
        };
        let offset = Duration::from_secs(self.offset.unsigned_abs());
        if self.offset < 0 { time.saturating_sub(offset) } else { time.saturating_add(offset) }
    }
}

impl Resolution {
    /// `if_tsresol`: a negative power of ten, or of two if the highest bit is set.
    fn of(exponent: u8) -> Resolution {
        let power = u32::from(exponent & 0x7f);
        if exponent & 0x80 != 0 {
            return Resolution::PerSecond(1 << power.min(64));
        }
        match power {
            0..=9 => Resolution::Nanos(10_u64.pow(9 - power)),
            _ => Resolution::PerSecond(10_u128.pow(power.min(28))),
        }
    }
}

/// An interface with this `if_tsresol` and `if_tsoffset`.
#[cfg(test)]
pub(super) fn interface_for_test(resolution: u8, offset: i64) -> Interface {
    let link = LinkType::Ethernet;
    Interface { link, snap_len: 0, resolution: Resolution::of(resolution), offset }
}
