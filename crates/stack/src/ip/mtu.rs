//! The path MTU cache: destinations that routers said take smaller packets than the link does.
//! Spec: RFC 1191 (sections 6.3, 6.4 and 7.1's table), RFC 8201 section 4, RFC 8200 section 5.
//! Owns: one entry a destination. Borrows: the link's MTU from the caller.
//! Invariants: an entry only ever lowers, and never below the protocol's floor; it ends after its lifetime; never more than
//! `path_mtus_max`, the oldest goes first.
//! Not here: whether a "too big" message is to be believed, which the transport decides by what it quotes (RFC 5927 7).

use crate::random::HashKey;
use hashbrown::HashMap;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;
use tcp::Instant;

/// The least path MTU that is believed over IPv4: Linux's `min_pmtu`. RFC 791 allows 68, which only attackers announce.
pub const MIN_PATH_MTU_V4: u32 = 552;
/// The least MTU of any IPv6 link (RFC 8200 5); smaller announcements are ignored (RFC 8201 4).
pub const MIN_PATH_MTU_V6: u32 = 1_280;

/// RFC 1191 section 7.1: plausible MTUs, for routers that do not tell theirs.
const PLATEAUS: [u32; 10] = [65_535, 32_000, 17_914, 8_166, 4_352, 2_002, 1_492, 1_006, 576, 552];

#[derive(Debug, Clone, Copy)]
struct Entry {
    mtu: u32,
    expires: Instant,
}

/// The cache.
#[derive(Debug)]
pub struct PathMtus {
    entries: HashMap<IpAddr, Entry, HashKey>,
    /// Each entry once, in the order of its expiry: all lifetimes are the same, and renewal moves an entry to the back.
    by_age: VecDeque<(Instant, IpAddr)>,
    entries_max: usize,
    lifetime: Duration,
}

impl PathMtus {
    /// An empty cache.
    pub fn new(entries_max: usize, lifetime: Duration, key: HashKey) -> Self {
        Self { entries: HashMap::with_hasher(key), by_age: VecDeque::new(), entries_max, lifetime }
    }

    /// The largest packet to `dst` over a link of `link_mtu`.
    #[inline]
    pub fn get(&self, now: Instant, dst: IpAddr, link_mtu: u32) -> u32 {
        if self.entries.is_empty() {
            return link_mtu;
        }
        match self.entries.get(&dst) {
            Some(entry) if entry.expires > now => entry.mtu.min(link_mtu),
            _ => link_mtu,
        }
    }

    /// A router said that a packet of `packet_len` octets did not fit and that `announced` would (0: it did not say).
    /// Returns the new path MTU if it is smaller than what was known.
    pub fn on_too_big(
        &mut self,
        now: Instant,
        dst: IpAddr,
        announced: u32,
        packet_len: u32,
        link_mtu: u32,
    ) -> Option<u32> {
        let known = self.get(now, dst, link_mtu);
        let mtu = match dst {
            // RFC 8201 4: a node must not reduce below the IPv6 minimum link MTU.
            IpAddr::V6(_) if announced < MIN_PATH_MTU_V6 => return None,
            IpAddr::V6(_) => announced,
            // RFC 1191 5 and 7.1: an old router; take the next plateau below the packet that failed.
            IpAddr::V4(_) if announced == 0 => PLATEAUS
                .into_iter()
                .find(|&plateau| plateau < packet_len.min(known))
                .unwrap_or(MIN_PATH_MTU_V4),
            IpAddr::V4(_) => announced.max(MIN_PATH_MTU_V4),
        };
        // RFC 1191 3, RFC 8201 4: such a message never increases the estimate.
        if mtu >= known || self.entries_max == 0 {
            return None;
        }
        let expires = now + self.lifetime;
        if self.entries.insert(dst, Entry { mtu, expires }).is_some() {
            self.by_age.retain(|&(_, addr)| addr != dst);
        } else if self.entries.len() > self.entries_max
            && let Some((_, oldest)) = self.by_age.pop_front()
        {
            self.entries.remove(&oldest);
        }
        self.by_age.push_back((expires, dst));
        Some(mtu)
    }

    /// Forgets what has expired: larger packets may be tried again (RFC 1191 6.3).
    pub fn handle_deadline(&mut self, now: Instant) {
        while let Some(&(expires, dst)) = self.by_age.front()
            && expires <= now
        {
            self.by_age.pop_front();
            self.entries.remove(&dst);
        }
    }

    /// When the next entry expires.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.by_age.front().map(|&(expires, _)| expires)
    }

    /// Destinations remembered.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests;
