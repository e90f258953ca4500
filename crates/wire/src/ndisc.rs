//! Neighbour Discovery messages and their options.
//! Spec: RFC 4861 section 4; RFC 4191 2.2 and 2.3 (router preference; route information is skipped); RFC 8106 is skipped.
//! Invariants: a [`Message`] that was parsed has passed 4861's validity checks on lengths and options (6.1, 7.1); those on
//!             hop limit, code and addresses need the IP header and are the caller's.
//! Not here: the neighbour cache, DAD, SLAAC (`stack::neighbor`), the checksum ([`crate::icmpv6`]).

use crate::Malformed;
use crate::ethernet::MacAddr;
use core::net::Ipv6Addr;
use core::time::Duration;

/// The hop limit that every valid message arrives with: nobody off the link can forge it (RFC 4861 6.1, 7.1).
pub const HOP_LIMIT: u8 = 255;
/// Options that we are willing to read in a message; RFC 4861 sets no bound, RFC 6980 leaves one packet's worth.
pub const OPTIONS_MAX: usize = 32;

const ROUTER_SOLICITATION: u8 = 133;
const ROUTER_ADVERTISEMENT: u8 = 134;
const NEIGHBOR_SOLICITATION: u8 = 135;
const NEIGHBOR_ADVERTISEMENT: u8 = 136;
const REDIRECT: u8 = 137;

const SOURCE_LINK_LAYER: u8 = 1;
const TARGET_LINK_LAYER: u8 = 2;
const PREFIX_INFORMATION: u8 = 3;
const REDIRECTED_HEADER: u8 = 4;
const MTU: u8 = 5;

/// Whether an ICMPv6 type belongs here.
pub fn is_type(kind: u8) -> bool {
    (ROUTER_SOLICITATION..=REDIRECT).contains(&kind)
}

/// A Neighbour Discovery message as a plain value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message<'a> {
    /// Type 133 (4.1).
    RouterSolicitation {
        /// What follows.
        options: Options<'a>,
    },
    /// Type 134 (4.2).
    RouterAdvertisement {
        /// The fixed part.
        router: RouterAdvertisement,
        /// What follows.
        options: Options<'a>,
    },
    /// Type 135 (4.3).
    NeighborSolicitation {
        /// Whose link-layer address is wanted.
        target: Ipv6Addr,
        /// What follows.
        options: Options<'a>,
    },
    /// Type 136 (4.4).
    NeighborAdvertisement {
        /// The R flag: the sender is a router.
        router: bool,
        /// The S flag: it answers a solicitation.
        solicited: bool,
        /// The O flag: replace what is cached.
        override_: bool,
        /// Whose address is told.
        target: Ipv6Addr,
        /// What follows.
        options: Options<'a>,
    },
    /// Type 137 (4.5).
    Redirect {
        /// The better first hop.
        target: Ipv6Addr,
        /// The destination it is better for.
        destination: Ipv6Addr,
        /// What follows.
        options: Options<'a>,
    },
}

/// The fixed part of a Router Advertisement (4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RouterAdvertisement {
    /// Cur Hop Limit; 0: unspecified.
    pub hop_limit: u8,
    /// The M flag: addresses by DHCPv6.
    pub managed: bool,
    /// The O flag: other configuration by DHCPv6.
    pub other_config: bool,
    /// How long the sender is a default router; zero: it is none.
    pub lifetime: Duration,
    /// How long a neighbour stays reachable after a confirmation; zero: unspecified.
    pub reachable_time: Duration,
    /// Between solicitations; zero: unspecified.
    pub retrans_timer: Duration,
}

/// The options of a message: either read from one (checked) or given as values to be written.
#[derive(Debug, Clone, Copy)]
pub enum Options<'a> {
    /// As they came; every length was checked.
    Wire(WireOptions<'a>),
    /// To be written.
    Values(&'a [NdOption<'a>]),
}

/// Option bytes whose every length was checked.
#[derive(Debug, Clone, Copy)]
pub struct WireOptions<'a>(&'a [u8]);

impl PartialEq for Options<'_> {
    /// Two lists are equal when they hold equal options, however they are held.
    fn eq(&self, other: &Options<'_>) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Options<'_> {}

/// One option (4.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NdOption<'a> {
    /// The sender's link-layer address.
    SourceLinkLayer(MacAddr),
    /// The target's link-layer address.
    TargetLinkLayer(MacAddr),
    /// A prefix of the link.
    Prefix(PrefixInformation),
    /// The packet that caused a redirect, truncated.
    RedirectedHeader(&'a [u8]),
    /// The link's MTU.
    Mtu(u32),
    /// Unknown, or of another length than its kind has on Ethernet; to be ignored (4.6).
    Other {
        /// Its type.
        kind: u8,
        /// What follows type and length.
        data: &'a [u8],
    },
}

/// A prefix that hosts of the link may use (4.6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrefixInformation {
    /// Leading bits that count.
    pub prefix_len: u8,
    /// The L flag: addresses in it are on this link.
    pub on_link: bool,
    /// The A flag: hosts may make themselves an address in it.
    pub autonomous: bool,
    /// Seconds; all ones: for ever.
    pub valid_lifetime: u32,
    /// Seconds; all ones: for ever.
    pub preferred_lifetime: u32,
    /// The prefix.
    pub prefix: Ipv6Addr,
}

impl<'a> Options<'a> {
    /// None.
    pub const NONE: Options<'static> = Options::Values(&[]);

    /// Checks every length: an option of length zero, or past the end, makes the whole message invalid (4.6; 6.1, 7.1).
    fn check(bytes: &'a [u8]) -> Result<Options<'a>, Malformed> {
        let (mut rest, mut count) = (bytes, 0);
        while let [_, words, ..] = *rest {
            count += 1;
            if count > OPTIONS_MAX {
                return Err(Malformed::TooMany);
            }
            if words == 0 {
                return Err(Malformed::OptionLength);
            }
            rest = rest.get(usize::from(words) * 8..).ok_or(Malformed::OptionLength)?;
        }
        if rest.is_empty() { Ok(Options::Wire(WireOptions(bytes))) } else { Err(Malformed::OptionLength) }
    }

    /// One after another.
    pub fn iter(&self) -> OptionWalk<'a> {
        match *self {
            Options::Wire(WireOptions(rest)) => OptionWalk { rest, values: &[] },
            Options::Values(values) => OptionWalk { rest: &[], values },
        }
    }

    /// The source link-layer address, if it is among them.
    pub fn source_link_layer(&self) -> Option<MacAddr> {
        self.iter().find_map(|option| match option {
            NdOption::SourceLinkLayer(mac) => Some(mac),
            _ => None,
        })
    }

    /// The target link-layer address, if it is among them.
    pub fn target_link_layer(&self) -> Option<MacAddr> {
        self.iter().find_map(|option| match option {
            NdOption::TargetLinkLayer(mac) => Some(mac),
            _ => None,
        })
    }

    /// The link's MTU, if it is among them.
    pub fn mtu(&self) -> Option<u32> {
        self.iter().find_map(|option| match option {
            NdOption::Mtu(mtu) => Some(mtu),
            _ => None,
        })
    }

    /// The prefixes among them.
    pub fn prefixes(&self) -> impl Iterator<Item = PrefixInformation> + use<'a> {
        self.iter().filter_map(|option| match option {
            NdOption::Prefix(prefix) => Some(prefix),
            _ => None,
        })
    }

    fn wire_len(&self) -> usize {
        match self {
            Options::Wire(WireOptions(bytes)) => bytes.len(),
            Options::Values(values) => values.iter().map(NdOption::wire_len).sum(),
        }
    }

    /// `out` is exactly `wire_len` long.
    fn emit(&self, out: &mut [u8]) {
        match self {
            Options::Wire(WireOptions(bytes)) => out.copy_from_slice(bytes),
            Options::Values(values) => {
                let mut rest = out;
                for option in *values {
                    let (room, behind) = rest.split_at_mut(option.wire_len());
                    option.emit(room);
                    rest = behind;
                }
            }
        }
    }
}

/// Visits options one by one.
#[derive(Debug, Clone)]
pub struct OptionWalk<'a> {
    rest: &'a [u8],
    values: &'a [NdOption<'a>],
}

impl<'a> Iterator for OptionWalk<'a> {
    type Item = NdOption<'a>;

    fn next(&mut self) -> Option<NdOption<'a>> {
        if let [first, values @ ..] = self.values {
            self.values = values;
            return Some(*first);
        }
        let [kind, words, ..] = *self.rest else { return None };
        // `check` has seen that `words` is neither zero nor too long; an inconsistency would end the walk, not panic.
        let (option, rest) = self.rest.split_at_checked(usize::from(words).max(1) * 8)?;
        self.rest = rest;
        Some(NdOption::read(kind, &option[2..]))
    }
}

impl<'a> NdOption<'a> {
    fn read(kind: u8, data: &'a [u8]) -> NdOption<'a> {
        match (kind, data) {
            (SOURCE_LINK_LAYER, &[a, b, c, d, e, f]) => {
                NdOption::SourceLinkLayer(MacAddr([a, b, c, d, e, f]))
            }
            (TARGET_LINK_LAYER, &[a, b, c, d, e, f]) => {
                NdOption::TargetLinkLayer(MacAddr([a, b, c, d, e, f]))
            }
            (MTU, &[_, _, a, b, c, d]) => NdOption::Mtu(u32::from_be_bytes([a, b, c, d])),
            (PREFIX_INFORMATION, d) if d.len() == 30 => NdOption::Prefix(PrefixInformation {
                prefix_len: d[0],
                on_link: d[1] & 0x80 != 0,
                autonomous: d[1] & 0x40 != 0,
                valid_lifetime: u32::from_be_bytes([d[2], d[3], d[4], d[5]]),
                preferred_lifetime: u32::from_be_bytes([d[6], d[7], d[8], d[9]]),
                prefix: addr(&d[14..]),
            }),
            (REDIRECTED_HEADER, [_, _, _, _, _, _, packet @ ..]) => NdOption::RedirectedHeader(packet),
            (kind, data) => NdOption::Other { kind, data },
        }
    }

    /// In bytes, a multiple of eight.
    pub fn wire_len(&self) -> usize {
        match self {
            NdOption::SourceLinkLayer(_) | NdOption::TargetLinkLayer(_) | NdOption::Mtu(_) => 8,
            NdOption::Prefix(_) => 32,
            NdOption::RedirectedHeader(packet) => (8 + packet.len()).next_multiple_of(8),
            NdOption::Other { data, .. } => (2 + data.len()).next_multiple_of(8),
        }
    }

    /// `out` is exactly `wire_len` long. Panics when the option is longer than its length field can say (2,040 bytes).
    fn emit(&self, out: &mut [u8]) {
        out.fill(0);
        out[1] = u8::try_from(out.len() / 8).expect("an option fits its length field");
        let mac = |out: &mut [u8], kind, mac: MacAddr| {
            out[0] = kind;
            out[2..8].copy_from_slice(&mac.0);
        };
        match self {
            NdOption::SourceLinkLayer(address) => mac(out, SOURCE_LINK_LAYER, *address),
            NdOption::TargetLinkLayer(address) => mac(out, TARGET_LINK_LAYER, *address),
            NdOption::Mtu(mtu) => {
                out[0] = MTU;
                out[4..8].copy_from_slice(&mtu.to_be_bytes());
            }
            NdOption::Prefix(p) => {
                out[0] = PREFIX_INFORMATION;
                out[2] = p.prefix_len;
                out[3] = u8::from(p.on_link) << 7 | u8::from(p.autonomous) << 6;
                out[4..8].copy_from_slice(&p.valid_lifetime.to_be_bytes());
                out[8..12].copy_from_slice(&p.preferred_lifetime.to_be_bytes());
                out[16..32].copy_from_slice(&p.prefix.octets());
            }
            NdOption::RedirectedHeader(packet) => {
                out[0] = REDIRECTED_HEADER;
                out[8..8 + packet.len()].copy_from_slice(packet);
            }
            NdOption::Other { kind, data } => {
                out[0] = *kind;
                out[2..2 + data.len()].copy_from_slice(data);
            }
        }
    }
}

impl<'a> Message<'a> {
    /// Reads a whole ICMPv6 message of one of these types.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Message<'a>, Malformed> {
        let (h, rest) = bytes.split_first_chunk::<8>().ok_or(Malformed::Truncated)?;
        let target = |rest: &'a [u8]| {
            let (target, rest) = rest.split_first_chunk::<16>().ok_or(Malformed::Truncated)?;
            Ok((Ipv6Addr::from(*target), rest))
        };
        Ok(match h[0] {
            ROUTER_SOLICITATION => Message::RouterSolicitation { options: Options::check(rest)? },
            ROUTER_ADVERTISEMENT => {
                let (times, rest) = rest.split_first_chunk::<8>().ok_or(Malformed::Truncated)?;
                let millis =
                    |b: &[u8]| Duration::from_millis(u32::from_be_bytes([b[0], b[1], b[2], b[3]]).into());
                let router = RouterAdvertisement {
                    hop_limit: h[4],
                    managed: h[5] & 0x80 != 0,
                    other_config: h[5] & 0x40 != 0,
                    lifetime: Duration::from_secs(u16::from_be_bytes([h[6], h[7]]).into()),
                    reachable_time: millis(&times[..4]),
                    retrans_timer: millis(&times[4..]),
                };
                Message::RouterAdvertisement { router, options: Options::check(rest)? }
            }
            NEIGHBOR_SOLICITATION => {
                let (target, rest) = target(rest)?;
                Message::NeighborSolicitation { target, options: Options::check(rest)? }
            }
            NEIGHBOR_ADVERTISEMENT => {
                let (target, rest) = target(rest)?;
                Message::NeighborAdvertisement {
                    router: h[4] & 0x80 != 0,
                    solicited: h[4] & 0x40 != 0,
                    override_: h[4] & 0x20 != 0,
                    target,
                    options: Options::check(rest)?,
                }
            }
            REDIRECT => {
                let (better, rest) = target(rest)?;
                let (destination, rest) = target(rest)?;
                Message::Redirect { target: better, destination, options: Options::check(rest)? }
            }
            _ => return Err(Malformed::Field),
        })
    }

    /// What follows the fixed part.
    pub fn options(&self) -> Options<'a> {
        match *self {
            Message::RouterSolicitation { options }
            | Message::RouterAdvertisement { options, .. }
            | Message::NeighborSolicitation { options, .. }
            | Message::NeighborAdvertisement { options, .. }
            | Message::Redirect { options, .. } => options,
        }
    }

    fn fixed_len(&self) -> usize {
        match self {
            Message::RouterSolicitation { .. } => 8,
            Message::RouterAdvertisement { .. } => 16,
            Message::NeighborSolicitation { .. } | Message::NeighborAdvertisement { .. } => 24,
            Message::Redirect { .. } => 40,
        }
    }

    /// The message in bytes.
    pub(crate) fn wire_len(&self) -> usize {
        self.fixed_len() + self.options().wire_len()
    }

    /// Writes the message, checksum zero; `out` is exactly `wire_len` long.
    pub(crate) fn emit(&self, out: &mut [u8]) {
        let (fixed, options) = out.split_at_mut(self.fixed_len());
        fixed.fill(0);
        match *self {
            Message::RouterSolicitation { .. } => fixed[0] = ROUTER_SOLICITATION,
            Message::RouterAdvertisement { router, .. } => {
                let millis = |d: Duration| u32::try_from(d.as_millis()).unwrap_or(u32::MAX).to_be_bytes();
                fixed[0] = ROUTER_ADVERTISEMENT;
                fixed[4] = router.hop_limit;
                fixed[5] = u8::from(router.managed) << 7 | u8::from(router.other_config) << 6;
                let lifetime = u16::try_from(router.lifetime.as_secs()).unwrap_or(u16::MAX);
                fixed[6..8].copy_from_slice(&lifetime.to_be_bytes());
                fixed[8..12].copy_from_slice(&millis(router.reachable_time));
                fixed[12..16].copy_from_slice(&millis(router.retrans_timer));
            }
            Message::NeighborSolicitation { target, .. } => {
                fixed[0] = NEIGHBOR_SOLICITATION;
                fixed[8..].copy_from_slice(&target.octets());
            }
            Message::NeighborAdvertisement { router, solicited, override_, target, .. } => {
                fixed[0] = NEIGHBOR_ADVERTISEMENT;
                fixed[4] = u8::from(router) << 7 | u8::from(solicited) << 6 | u8::from(override_) << 5;
                fixed[8..].copy_from_slice(&target.octets());
            }
            Message::Redirect { target, destination, .. } => {
                fixed[0] = REDIRECT;
                fixed[8..24].copy_from_slice(&target.octets());
                fixed[24..].copy_from_slice(&destination.octets());
            }
        }
        self.options().emit(options);
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
