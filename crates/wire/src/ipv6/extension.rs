//! IPv6 extension headers: the walk that every receiver makes, and the two headers that a host writes.
//! Spec: RFC 8200 section 4 (order, options' action bits, routing, fragment); RFC 2711 (router alert); RFC 5095 (type 0
//!       routing is dead); RFC 7112 (whole chain in the first fragment); RFC 8504 5.3 (bounds against long chains).
//! Invariants: a walk takes at most [`HEADERS_MAX`] steps and reads at most [`OPTIONS_MAX`] options a header.
//! Not here: sending the ICMPv6 answer that a [`Refusal`] asks for, and reassembly (`stack::ip`).

use super::HEADER_LEN;
use crate::icmpv6::Problem;
use crate::ip::Protocol;

/// Extension headers that we are willing to step over in one packet. RFC 8200 4.1 names six occurrences for a sane packet.
pub const HEADERS_MAX: usize = 8;
/// Options that we are willing to read in one header, padding not counted (RFC 8504 5.3 proposes 8, as Linux does).
pub const OPTIONS_MAX: usize = 8;
/// The fragment header, in bytes.
pub const FRAGMENT_LEN: usize = 8;
/// The hop-by-hop header with a router alert and its padding, in bytes.
pub const ROUTER_ALERT_LEN: usize = 8;

const AUTHENTICATION: Protocol = Protocol(51);
const PAD1: u8 = 0;
const PADN: u8 = 1;
const ROUTER_ALERT: u8 = 5;

/// Where a walk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Walk<'a> {
    /// The upper layer, or [`Protocol::FRAGMENT`]'s next header when `fragment` is some.
    pub protocol: Protocol,
    /// What belongs to it: the upper layer's bytes, or the fragment's.
    pub payload: &'a [u8],
    /// Where `payload` starts, from the first byte of the fixed header (what an ICMPv6 pointer counts from).
    pub offset: usize,
    /// Where the byte is that named `protocol`, counted likewise: the pointer of "unrecognised next header".
    pub named_at: usize,
    /// A fragment header ended the walk: reassemble, then go on with [`walk`] at [`Start::Reassembled`].
    pub fragment: Option<Fragment>,
    /// A hop-by-hop router alert was seen (RFC 2711); its value: 0 is MLD.
    pub router_alert: Option<u16>,
}

/// A fragment header (RFC 8200 4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment {
    /// What the whole starts with behind its unfragmentable part.
    pub next_header: Protocol,
    /// In bytes, a multiple of eight.
    pub offset: u16,
    /// The M flag.
    pub more: bool,
    /// Which packet it is a piece of.
    pub ident: u32,
}

impl Fragment {
    /// The only piece there is (RFC 6946): nothing to wait for.
    pub fn is_atomic(&self) -> bool {
        self.offset == 0 && !self.more
    }

    /// Reads a fragment header.
    fn read(bytes: &[u8; FRAGMENT_LEN]) -> Fragment {
        let word = u16::from_be_bytes([bytes[2], bytes[3]]);
        Fragment {
            next_header: Protocol(bytes[0]),
            offset: word & !7,
            more: word & 1 == 1,
            ident: u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
        }
    }

    /// Writes the header to the start of `out` and returns its length. Panics when `out` is shorter than eight bytes.
    pub fn emit(&self, out: &mut [u8]) -> usize {
        let out = &mut out[..FRAGMENT_LEN];
        out[0] = self.next_header.0;
        out[1] = 0;
        out[2..4].copy_from_slice(&((self.offset & !7) | u16::from(self.more)).to_be_bytes());
        out[4..].copy_from_slice(&self.ident.to_be_bytes());
        FRAGMENT_LEN
    }
}

/// Writes a hop-by-hop header with a router alert for MLD (RFC 2711 2.1), padded to eight bytes; returns its length.
/// Panics when `out` is shorter than that.
pub fn emit_router_alert(next_header: Protocol, out: &mut [u8]) -> usize {
    out[..ROUTER_ALERT_LEN].copy_from_slice(&[next_header.0, 0, ROUTER_ALERT, 2, 0, 0, PADN, 0]);
    ROUTER_ALERT_LEN
}

/// Why a packet goes no further, and whether its sender is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Drop it and say nothing.
    Silent,
    /// A header runs past the end of the packet. RFC 4443 asks for no answer.
    Truncated,
    /// More headers or options than we walk.
    TooMany,
    /// Answer with an ICMPv6 Parameter Problem.
    Problem {
        /// Its code.
        code: Problem,
        /// Its pointer, from the first byte of the fixed header.
        pointer: u32,
        /// Answer even when the destination was a group (option type 10 in its two upper bits, RFC 8200 4.2). Other
        /// problems are never told about a group's packet (RFC 4443 2.4 (e.3), whose exception (2) is this one).
        even_if_multicast: bool,
    },
}

impl Refusal {
    fn problem(code: Problem, at: usize) -> Refusal {
        // A packet is below 2^17 bytes long, so the pointer fits.
        Refusal::Problem { code, pointer: at as u32, even_if_multicast: false }
    }
}

/// Where a walk begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Right behind the fixed header: the one place where hop-by-hop options may stand (RFC 8200 4.1).
    AfterFixedHeader,
    /// At the head of what was reassembled; a nested fragment header is refused there.
    Reassembled,
}

/// Steps over extension headers from `next_header`, whose bytes start `bytes`.
#[inline]
pub fn walk(next_header: Protocol, bytes: &[u8], start: Start) -> Result<Walk<'_>, Refusal> {
    let plain = Walk {
        protocol: next_header,
        payload: bytes,
        offset: HEADER_LEN,
        named_at: 6,
        fragment: None,
        router_alert: None,
    };
    if is_extension(next_header) { step_over(plain, start) } else { Ok(plain) }
}

fn is_extension(protocol: Protocol) -> bool {
    matches!(
        protocol,
        Protocol::HOP_BY_HOP
            | Protocol::ROUTING
            | Protocol::FRAGMENT
            | Protocol::DESTINATION_OPTIONS
            | AUTHENTICATION
    )
}

fn step_over(mut walk: Walk<'_>, start: Start) -> Result<Walk<'_>, Refusal> {
    for step in 0..HEADERS_MAX {
        let &[next, len, _, segments_left, ..] = walk.payload else { return Err(Refusal::Truncated) };
        let header_len = match walk.protocol {
            Protocol::FRAGMENT => FRAGMENT_LEN,
            // RFC 4302 2.2: the one header that counts in 4-byte words, minus two.
            AUTHENTICATION => (usize::from(len) + 2) * 4,
            _ => (usize::from(len) + 1) * 8,
        };
        let (header, rest) = walk.payload.split_at_checked(header_len).ok_or(Refusal::Truncated)?;
        match walk.protocol {
            Protocol::HOP_BY_HOP => {
                if step != 0 || start != Start::AfterFixedHeader {
                    // RFC 8200 4.1: anywhere else it is an unrecognised next header.
                    return Err(Refusal::problem(Problem::NEXT_HEADER, walk.named_at));
                }
                walk.router_alert = options(&header[2..], walk.offset + 2)?;
            }
            Protocol::DESTINATION_OPTIONS => {
                options(&header[2..], walk.offset + 2)?;
            }
            // RFC 8200 4.4: no type is known here, so with segments left the packet is refused, and without it is stepped
            // over. (In the other headers that byte means something else.)
            Protocol::ROUTING if segments_left != 0 => {
                return Err(Refusal::problem(Problem::HEADER_FIELD, walk.offset + 2));
            }
            Protocol::FRAGMENT => {
                if start == Start::Reassembled {
                    return Err(Refusal::Silent);
                }
                let fixed = header.first_chunk::<FRAGMENT_LEN>().ok_or(Refusal::Truncated)?;
                let fragment = Fragment::read(fixed);
                walk.fragment = Some(fragment);
                walk.named_at = walk.offset;
                walk.offset += FRAGMENT_LEN;
                walk.protocol = fragment.next_header;
                walk.payload = rest;
                return Ok(walk);
            }
            // Routing that is over, and authentication without a key to check it by: stepped over.
            _ => {}
        }
        walk.named_at = walk.offset;
        walk.offset += header_len;
        walk.protocol = Protocol(next);
        walk.payload = rest;
        if !is_extension(walk.protocol) {
            return Ok(walk);
        }
    }
    Err(Refusal::TooMany)
}

/// Reads the options of a hop-by-hop or destination header; `at` is where `bytes` start in the packet. Returns a router alert.
fn options(bytes: &[u8], at: usize) -> Result<Option<u16>, Refusal> {
    let (mut rest, mut pos, mut seen, mut alert) = (bytes, at, 0, None);
    while let Some((&kind, behind)) = rest.split_first() {
        if kind == PAD1 {
            rest = behind;
            pos += 1;
            continue;
        }
        let (&len, behind) = behind.split_first().ok_or(Refusal::Truncated)?;
        let (data, behind) = behind.split_at_checked(usize::from(len)).ok_or(Refusal::Truncated)?;
        if kind != PADN {
            seen += 1;
            if seen > OPTIONS_MAX {
                return Err(Refusal::TooMany);
            }
            match (kind, data) {
                (ROUTER_ALERT, &[hi, lo]) => alert = Some(u16::from_be_bytes([hi, lo])),
                // RFC 8200 4.2: the two upper bits say what to do with an option that is not known.
                _ => match kind >> 6 {
                    0b00 => {}
                    0b01 => return Err(Refusal::Silent),
                    action => {
                        return Err(Refusal::Problem {
                            code: Problem::OPTION,
                            pointer: pos as u32,
                            even_if_multicast: action == 0b10,
                        });
                    }
                },
            }
        }
        pos += 2 + data.len();
        rest = behind;
    }
    Ok(alert)
}
