//! Source address choice: which of our addresses a new conversation starts from.
//! Spec: RFC 6724 section 5 (the eight rules) and 2.1 (labels); IPv4 addresses take part as mapped ones (3.2).
//! Owns: nothing. Invariants: the answer depends on the candidates only, and the first of equals wins.
//! Not here: rules 4 and 7, home and temporary addresses, which this host does not have; destination choice (section 6), which is
//! a resolver's.

use crate::frame::InterfaceId;
use crate::ip::prefix::Prefix;
use std::cmp::Ordering;
use std::net::{IpAddr, Ipv6Addr};

/// An address of ours that may be chosen. Tentative and duplicate ones are no candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// The address and its prefix.
    pub prefix: Prefix,
    /// Where it lives.
    pub interface: InterfaceId,
    /// Its preferred lifetime is over (RFC 4862 5.5.4).
    pub deprecated: bool,
}

/// The best source for `dst` among `candidates`, when packets leave through `outgoing`.
pub fn choose_source(
    candidates: impl IntoIterator<Item = Candidate>,
    dst: IpAddr,
    outgoing: InterfaceId,
) -> Option<IpAddr> {
    let mut best: Option<Candidate> = None;
    for candidate in candidates {
        let addr = candidate.prefix.addr();
        // Section 4: candidates are unicast addresses; link-local ones serve only their own link.
        let serves = addr.is_ipv4() == dst.is_ipv4()
            && (scope(addr) != Scope::LinkLocal || candidate.interface == outgoing);
        if serves && best.is_none_or(|best| compare(&candidate, &best, dst, outgoing) == Ordering::Greater) {
            best = Some(candidate);
        }
    }
    best.map(|candidate| candidate.prefix.addr())
}

/// Whether `a` is better (`Greater`) than `b`.
fn compare(a: &Candidate, b: &Candidate, dst: IpAddr, outgoing: InterfaceId) -> Ordering {
    let (addr_a, addr_b) = (a.prefix.addr(), b.prefix.addr());
    // Rule 1: prefer the same address.
    (addr_a == dst)
        .cmp(&(addr_b == dst))
        // Rule 2: prefer appropriate scope, the smallest that still reaches the destination.
        .then_with(|| {
            let (sa, sb, sd) = (scope(addr_a), scope(addr_b), scope(dst));
            match sa.cmp(&sb) {
                Ordering::Less if sa < sd => Ordering::Less,
                Ordering::Less => Ordering::Greater,
                Ordering::Greater if sb < sd => Ordering::Greater,
                Ordering::Greater => Ordering::Less,
                Ordering::Equal => Ordering::Equal,
            }
        })
        // Rule 3: avoid deprecated addresses.
        .then_with(|| b.deprecated.cmp(&a.deprecated))
        // Rule 5: prefer the outgoing interface.
        .then_with(|| (a.interface == outgoing).cmp(&(b.interface == outgoing)))
        // Rule 6: prefer a matching label.
        .then_with(|| (label(addr_a) == label(dst)).cmp(&(label(addr_b) == label(dst))))
        // Rule 8: the longest matching prefix, no longer than the source's own prefix (section 2.2).
        .then_with(|| common_prefix_len(a.prefix, dst).cmp(&common_prefix_len(b.prefix, dst)))
}

/// Scopes in the order of RFC 6724 3.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    InterfaceLocal = 0x1,
    LinkLocal = 0x2,
    AdminLocal = 0x4,
    SiteLocal = 0x5,
    OrganizationLocal = 0x8,
    Global = 0xe,
}

fn scope(addr: IpAddr) -> Scope {
    match addr {
        // Section 3.2: loopback and 169.254/16 have link-local scope, all other IPv4 addresses global scope.
        IpAddr::V4(a) if a.is_loopback() || a.is_link_local() => Scope::LinkLocal,
        IpAddr::V4(_) => Scope::Global,
        IpAddr::V6(a) if a.is_multicast() => match a.octets()[1] & 0xf {
            0x0 | 0x1 => Scope::InterfaceLocal,
            0x2 | 0x3 => Scope::LinkLocal,
            0x4 => Scope::AdminLocal,
            0x5..=0x7 => Scope::SiteLocal,
            0x8..=0xd => Scope::OrganizationLocal,
            _ => Scope::Global,
        },
        // Section 3.4: ::1 has link-local scope.
        IpAddr::V6(a) if a.is_loopback() || a.is_unicast_link_local() => Scope::LinkLocal,
        // fec0::/10, deprecated by RFC 3879, still scoped in 3.1.
        IpAddr::V6(a) if a.segments()[0] & 0xffc0 == 0xfec0 => Scope::SiteLocal,
        IpAddr::V6(_) => Scope::Global,
    }
}

/// The default policy table of section 2.1: prefix, length, label; longest first.
const LABELS: [(Ipv6Addr, u8, u8); 9] = [
    (Ipv6Addr::LOCALHOST, 128, 0),
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96, 4),
    (Ipv6Addr::UNSPECIFIED, 96, 3),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 32, 5),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, 2),
    (Ipv6Addr::new(0x3ffe, 0, 0, 0, 0, 0, 0, 0), 16, 12),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, 11),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, 13),
    (Ipv6Addr::UNSPECIFIED, 0, 1),
];

fn label(addr: IpAddr) -> u8 {
    let bits = mapped(addr);
    let matches = |prefix: Ipv6Addr, len: u8| {
        (bits ^ prefix.to_bits()).checked_shr(128 - u32::from(len)).unwrap_or(0) == 0
    };
    LABELS.iter().find(|(prefix, len, _)| matches(*prefix, *len)).map_or(1, |&(_, _, label)| label)
}

fn mapped(addr: IpAddr) -> u128 {
    match addr {
        IpAddr::V4(a) => a.to_ipv6_mapped().to_bits(),
        IpAddr::V6(a) => a.to_bits(),
    }
}

fn common_prefix_len(source: Prefix, dst: IpAddr) -> u32 {
    let common = match (source.addr(), dst) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
        (a, b) => (mapped(a) ^ mapped(b)).leading_zeros(),
    };
    common.min(u32::from(source.prefix_len()))
}

#[cfg(test)]
mod tests;
