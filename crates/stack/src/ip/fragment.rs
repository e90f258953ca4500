//! Fragmentation: cutting what does not fit its path.
//! Spec: RFC 791 2.3 and 3.2, RFC 8200 4.5 (only a source cuts), RFC 6864 and RFC 7739 (identifications that nobody can foresee).
//! Owns: the identifications. Invariants: every piece but the last carries a multiple of eight octets; pieces carry no DF; an
//! identification of IPv4 repeats for one pair of hosts only after 65,536 datagrams.
//! Not here: putting together (`reassembly`), which packets may be cut (`output`).

use crate::ip::output::Outgoing;
use crate::random::{HashKey, Random, Secret};
use std::net::IpAddr;
use wire::ip::Protocol;
use wire::ipv6::extension;
use wire::{ipv4, ipv6};

/// Counters of identifications; a pair of hosts and a protocol hash to one (RFC 7739 5.3 with a fixed table).
const COUNTERS: usize = 1_024;

/// The identifications of the datagrams that we cut.
#[derive(Debug)]
pub(crate) struct Identifications {
    key: HashKey,
    random: Random,
    /// Empty until the first datagram is cut.
    counters: Vec<u32>,
}

impl Identifications {
    pub(crate) fn new(secret: &Secret) -> Self {
        Self {
            key: secret.key("fragment identification"),
            random: Random::new(secret, "fragment identification"),
            counters: Vec::new(),
        }
    }

    /// The next identification between two hosts; IPv4 uses its lower sixteen bits.
    pub(crate) fn next(&mut self, src: IpAddr, dst: IpAddr, protocol: Protocol) -> u32 {
        if self.counters.is_empty() {
            self.counters = (0..COUNTERS).map(|_| self.random.next_u64() as u32).collect();
        }
        let hash = match (src, dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                self.key.digest(&[&src.octets(), &dst.octets(), &[protocol.0]])
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => self.key.digest(&[&src.octets(), &dst.octets()]),
            _ => 0,
        };
        let counter = &mut self.counters[hash as usize % COUNTERS];
        *counter = counter.wrapping_add(1);
        // The hash offsets the counter, so that pairs that share it do not see one another's steps.
        counter.wrapping_add((hash >> 32) as u32)
    }
}

/// How a datagram is cut.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cut {
    len: usize,
    /// Octets of payload in each piece but the last.
    piece: usize,
    header_len: usize,
}

impl Cut {
    /// A cut of `len` octets to packets of at most `mtu`; `None` if it cannot be made: the datagram is longer than any
    /// receiver could put together, or the path takes no eight octets of it.
    pub(crate) fn new(out: &Outgoing, len: usize, mtu: u32) -> Option<Self> {
        let header_len = match out.dst {
            IpAddr::V4(_) => ipv4::HEADER_LEN,
            IpAddr::V6(_) => ipv6::HEADER_LEN + extension::FRAGMENT_LEN,
        };
        let longest = if out.dst.is_ipv4() { 65_535 - ipv4::HEADER_LEN } else { 65_535 };
        let piece = (mtu as usize).checked_sub(header_len)? / 8 * 8;
        (piece > 0 && len <= longest).then_some(Self { len, piece, header_len })
    }

    pub(crate) fn pieces(&self) -> usize {
        self.len.div_ceil(self.piece)
    }

    pub(crate) fn header_len(&self) -> usize {
        self.header_len
    }

    fn range(&self, index: usize) -> std::ops::Range<usize> {
        index * self.piece..((index + 1) * self.piece).min(self.len)
    }

    pub(crate) fn packet_len(&self, index: usize) -> usize {
        self.header_len + self.range(index).len()
    }

    /// Writes piece `index` of `whole`, headers and all, to `packet`, which is `packet_len(index)` long.
    pub(crate) fn write(
        &self,
        index: usize,
        out: &Outgoing,
        hop_limit: u8,
        ident: u32,
        whole: &[u8],
        packet: &mut [u8],
    ) {
        let range = self.range(index);
        let (offset, more) = (range.start as u16, range.end < self.len);
        let payload_len = packet.len() - ip_len(out.dst);
        match (out.src, out.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                let mut header = ipv4::Header::new(src, dst, out.protocol, hop_limit, payload_len as u16);
                header.ecn = out.ecn;
                header.dscp = out.dscp;
                header.dont_fragment = false;
                header.ident = ident as u16;
                header.fragment_offset = offset;
                header.more_fragments = more;
                header.emit(packet);
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                let mut header =
                    ipv6::Header::new(src, dst, Protocol::FRAGMENT, hop_limit, payload_len as u16);
                header.ecn = out.ecn;
                header.dscp = out.dscp;
                header.emit(packet);
                extension::Fragment { next_header: out.protocol, offset, more, ident }
                    .emit(&mut packet[ipv6::HEADER_LEN..]);
            }
            _ => unreachable!("a packet's addresses are of one family"),
        }
        packet[self.header_len..].copy_from_slice(&whole[range]);
    }
}

fn ip_len(dst: IpAddr) -> usize {
    if dst.is_ipv4() { ipv4::HEADER_LEN } else { ipv6::HEADER_LEN }
}

#[cfg(test)]
mod tests;
