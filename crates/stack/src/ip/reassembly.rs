//! Reassembly: holds the fragments of unfinished datagrams and gives back whole ones.
//! Spec: RFC 791 3.2, RFC 8200 4.5, RFC 5722 (overlaps), RFC 6946 (atomic fragments), RFC 7112 (first fragments),
//!       RFC 3168 5.3 (ECN), RFC 1858 and RFC 3128 (tiny and overlapping fragments as attacks).
//! Owns: the fragments and when their datagrams expire. Units: octets; offsets count from the first octet behind the
//! unfragmentable part.
//! Invariants: held bytes, book-keeping included, never exceed `bytes_max`; no source holds more than its share; every kept
//! fragment lies inside 65,535 octets and touches no other.
//! Not here: reading fragment headers (`input`), answering with ICMP (`icmp`).

use crate::config::ReassemblyConfig;
use crate::random::HashKey;
use hashbrown::HashMap;
use std::collections::BTreeMap;
use std::net::IpAddr;
use tcp::Instant;
use wire::ip::{Ecn, Protocol};

/// What the book-keeping of one fragment is reckoned at, in bytes.
const FRAGMENT_COST: usize = 64;
/// What the book-keeping of one datagram is reckoned at, in bytes.
const DATAGRAM_COST: usize = 256;
/// The longest payload of an IP packet.
const PAYLOAD_MAX: usize = 65_535;

/// What fragments of one datagram have in common (RFC 791 3.2; over IPv6 the protocol of the first fragment counts, RFC 8200 4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DatagramKey {
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// The identification.
    pub ident: u32,
    /// The protocol over IPv4; zero over IPv6.
    pub protocol: u8,
}

/// One fragment.
#[derive(Debug, Clone, Copy)]
pub struct Fragment<'a> {
    /// Which datagram it belongs to.
    pub key: DatagramKey,
    /// Where it lies, in octets; a multiple of eight.
    pub offset: usize,
    /// Others follow.
    pub more: bool,
    /// The octets.
    pub data: &'a [u8],
    /// What the datagram carries, as this fragment says.
    pub protocol: Protocol,
    /// Its mark.
    pub ecn: Ecn,
    /// Octets in front of `data` in its packet: they limit what the datagram may grow to.
    pub header_len: usize,
    /// The packet as it came, kept for the first fragment only: what an ICMP "time exceeded" quotes.
    pub packet: &'a [u8],
}

/// Why a fragment was not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Not the last and not a multiple of eight octets long (RFC 8200 4.5).
    Length,
    /// The datagram would exceed 65,535 octets (RFC 8200 4.5).
    TooLong,
    /// It overlaps another, or two disagree about the end: the whole datagram is gone (RFC 5722 4).
    Overlap,
    /// Marked congested where the sender does not speak ECN elsewhere (RFC 3168 5.3).
    Ecn,
    /// No room.
    Full,
}

/// What became of a fragment.
#[derive(Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Kept, or a copy of one that is kept.
    Kept,
    /// The last one missing: here is the datagram.
    Complete(Datagram),
    /// Not kept.
    Refused(Refusal),
}

/// A datagram put together.
#[derive(Debug, PartialEq, Eq)]
pub struct Datagram {
    /// What it carries.
    pub protocol: Protocol,
    /// The joint mark (RFC 3168 5.3).
    pub ecn: Ecn,
    /// The octets.
    pub data: Vec<u8>,
}

/// A datagram that did not come together in time.
#[derive(Debug, PartialEq, Eq)]
pub struct Expired {
    /// Which.
    pub key: DatagramKey,
    /// The packet of its first fragment, cut to what an ICMP error quotes; without it no error is sent (RFC 792, RFC 8200 4.5).
    pub first_packet: Option<Vec<u8>>,
}

#[derive(Debug)]
struct Piece {
    offset: usize,
    data: Vec<u8>,
}

impl Piece {
    fn end(&self) -> usize {
        self.offset + self.data.len()
    }
}

#[derive(Debug)]
struct Unfinished {
    /// By offset, none touching another's octets.
    pieces: Vec<Piece>,
    /// Octets in all, once the last fragment is here.
    total: Option<usize>,
    protocol: Option<Protocol>,
    ecn: Ecn,
    first_packet: Option<Vec<u8>>,
    cost: usize,
    /// Its place in the order of expiry.
    age: (Instant, u64),
}

/// All unfinished datagrams.
#[derive(Debug)]
pub struct Reassembly {
    datagrams: HashMap<DatagramKey, Unfinished, HashKey>,
    by_age: BTreeMap<(Instant, u64), DatagramKey>,
    per_source: HashMap<(IpAddr, IpAddr), usize, HashKey>,
    cost: usize,
    started: u64,
    evicted: u64,
    config: ReassemblyConfig,
}

/// How much of the first packet is kept for an ICMP error: RFC 4443 2.4 (c) wants as much as fits 1,280 octets.
const QUOTE_MAX: usize = 1_232;

impl Reassembly {
    /// Nothing held.
    pub fn new(config: ReassemblyConfig, key: HashKey) -> Self {
        Self {
            datagrams: HashMap::with_hasher(key),
            by_age: BTreeMap::new(),
            per_source: HashMap::with_hasher(key),
            cost: 0,
            started: 0,
            evicted: 0,
            config,
        }
    }

    /// Takes one fragment.
    pub fn handle_fragment(&mut self, now: Instant, fragment: &Fragment<'_>) -> Arrival {
        let Fragment { key, offset, more, data, .. } = *fragment;
        let end = offset + data.len();
        if more && (data.is_empty() || !data.len().is_multiple_of(8)) {
            return Arrival::Refused(Refusal::Length);
        }
        if fragment.header_len + end > PAYLOAD_MAX {
            self.forget(&key);
            return Arrival::Refused(Refusal::TooLong);
        }
        let is_new = !self.datagrams.contains_key(&key);
        if is_new && !self.admit(key) {
            return Arrival::Refused(Refusal::Full);
        }
        let age = self.age(now, key);
        let unfinished = self.datagrams.entry(key).or_insert_with(|| Unfinished {
            pieces: Vec::new(),
            total: None,
            protocol: None,
            ecn: fragment.ecn,
            first_packet: None,
            cost: 0,
            age,
        });
        if is_new {
            self.by_age.insert(age, key);
            *self.per_source.entry((key.src, key.dst)).or_insert(0) += 1;
        }

        let at = unfinished.pieces.partition_point(|piece| piece.offset < offset);
        if let Some(piece) = unfinished.pieces.get(at)
            && piece.offset == offset
            && piece.data == data
            && unfinished.total.is_none_or(|total| more == (end != total))
        {
            return Arrival::Kept; // RFC 8200 4.5: exact duplicates may be ignored, networks make them.
        }
        let before = at.checked_sub(1).and_then(|i| unfinished.pieces.get(i)).map_or(0, Piece::end);
        let after = unfinished.pieces.get(at).map_or(usize::MAX, |piece| piece.offset);
        let last_end = unfinished.pieces.last().map_or(0, Piece::end);
        let contradicts_end = match unfinished.total {
            Some(total) => end > total || !more,
            None => !more && last_end > end,
        };
        // An empty last fragment at the very start of another adds nothing, but has no business there either.
        if before > offset || end > after || (data.is_empty() && after == offset) || contradicts_end {
            self.forget(&key); // RFC 5722 4: the datagram, and what else of it is held, must be discarded.
            return Arrival::Refused(Refusal::Overlap);
        }
        let Some(ecn) = join_ecn(unfinished.ecn, fragment.ecn) else {
            self.forget(&key);
            return Arrival::Refused(Refusal::Ecn);
        };
        if unfinished.pieces.len() >= self.config.fragments_max {
            self.forget(&key);
            return Arrival::Refused(Refusal::Full);
        }

        unfinished.ecn = ecn;
        let mut cost = data.len() + FRAGMENT_COST;
        if unfinished.cost == 0 {
            cost += DATAGRAM_COST;
        }
        if offset == 0 {
            unfinished.protocol = Some(fragment.protocol);
            let quote = fragment.packet[..fragment.packet.len().min(QUOTE_MAX)].to_vec();
            cost += quote.len();
            unfinished.first_packet = Some(quote);
        }
        if !more {
            unfinished.total = Some(end);
        }
        unfinished.pieces.insert(at, Piece { offset, data: data.to_vec() });
        unfinished.cost += cost;
        self.cost += cost;

        if is_complete(unfinished) {
            let unfinished = self.forget(&key).expect("it was just completed");
            return Arrival::Complete(join(&unfinished));
        }
        self.make_room(key);
        if self.datagrams.contains_key(&key) { Arrival::Kept } else { Arrival::Refused(Refusal::Full) }
    }

    /// Gives up one datagram whose time is over; call until it returns nothing.
    pub fn poll_expired(&mut self, now: Instant) -> Option<Expired> {
        let (&(deadline, _), &key) = self.by_age.first_key_value()?;
        if deadline > now {
            return None;
        }
        let unfinished = self.forget(&key).expect("every age has its datagram");
        Some(Expired { key, first_packet: unfinished.first_packet })
    }

    /// When the next datagram's time is over.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.by_age.first_key_value().map(|(&(deadline, _), _)| deadline)
    }

    /// Bytes held, book-keeping included.
    pub fn bytes(&self) -> usize {
        self.cost
    }

    /// Unfinished datagrams.
    pub fn len(&self) -> usize {
        self.datagrams.len()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.datagrams.is_empty()
    }

    /// Datagrams that were given up to make room, since the start.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    fn age(&mut self, now: Instant, key: DatagramKey) -> (Instant, u64) {
        self.started += 1;
        let timeout = if key.src.is_ipv4() { self.config.timeout_v4 } else { self.config.timeout_v6 };
        (now + timeout, self.started)
    }

    fn admit(&self, key: DatagramKey) -> bool {
        let held = self.per_source.get(&(key.src, key.dst)).copied().unwrap_or(0);
        held < self.config.datagrams_per_source_max
    }

    /// Evicts the oldest datagrams, `newest` last of all, until the bound holds.
    fn make_room(&mut self, newest: DatagramKey) {
        while self.cost > self.config.bytes_max {
            let oldest = self.by_age.values().copied().find(|&key| key != newest).unwrap_or(newest);
            self.forget(&oldest);
            self.evicted += 1;
        }
    }

    fn forget(&mut self, key: &DatagramKey) -> Option<Unfinished> {
        let unfinished = self.datagrams.remove(key)?;
        self.by_age.remove(&unfinished.age);
        self.cost -= unfinished.cost;
        if let Some(held) = self.per_source.get_mut(&(key.src, key.dst)) {
            *held -= 1;
            if *held == 0 {
                self.per_source.remove(&(key.src, key.dst));
            }
        }
        Some(unfinished)
    }
}

fn is_complete(unfinished: &Unfinished) -> bool {
    let held: usize = unfinished.pieces.iter().map(|piece| piece.data.len()).sum();
    // The pieces do not overlap and none passes the end, so their lengths add up exactly when no hole is left.
    unfinished.total == Some(held) && unfinished.protocol.is_some()
}

fn join(unfinished: &Unfinished) -> Datagram {
    let mut data = Vec::with_capacity(unfinished.total.unwrap_or(0));
    for piece in &unfinished.pieces {
        debug_assert_eq!(piece.offset, data.len(), "pieces are in order and without holes");
        data.extend_from_slice(&piece.data);
    }
    Datagram {
        protocol: unfinished.protocol.expect("a complete datagram has its first fragment"),
        ecn: unfinished.ecn,
        data,
    }
}

/// RFC 3168 5.3: congestion marked on one fragment counts for all, unless another says that its sender does not speak ECN.
fn join_ecn(a: Ecn, b: Ecn) -> Option<Ecn> {
    match (a, b) {
        (a, b) if a == b => Some(a),
        (Ecn::Ce, Ecn::NotEct) | (Ecn::NotEct, Ecn::Ce) => None,
        (Ecn::Ce, _) | (_, Ecn::Ce) => Some(Ecn::Ce),
        (Ecn::NotEct, _) | (_, Ecn::NotEct) => Some(Ecn::NotEct),
        // ECT(0) and ECT(1) mixed: either is allowed; the one that RFC 3168 senders use.
        _ => Some(Ecn::Ect0),
    }
}

#[cfg(test)]
mod tests;
