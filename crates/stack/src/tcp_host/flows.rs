//! Flows: every four-tuple of the host in one index, whatever stands behind it.
//! Owns: sockets, the SYN cache, TIME-WAIT and the index over the three. Invariants: a four-tuple is indexed at most once; an
//! indexed place exists and has that key.
//! Not here: what is done with a record (`input`, `output`, `calls`).

use super::socket::Socket;
use crate::demux::Demux;
use crate::flow::FlowKey;
use crate::random::{HashKey, Secret};
use crate::slab::Slab;
use crate::syn_cache::SynCache;
use crate::time_wait_table::{TimeWaitPlace, TimeWaitTable};

/// Where the record of a four-tuple is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the socket table: a connection.
    Socket(u32),
    /// In TIME-WAIT.
    TimeWait(TimeWaitPlace),
    /// In the SYN cache.
    Syn(u32),
}

const INDEX_BITS: u32 = 30;
const INDEX_MASK: u32 = (1 << INDEX_BITS) - 1;

impl Place {
    /// As four bytes: two bits say which table.
    pub(crate) fn code(self) -> u32 {
        match self {
            Place::Socket(index) => index,
            Place::TimeWait(TimeWaitPlace::V4(index)) => 1 << INDEX_BITS | index,
            Place::TimeWait(TimeWaitPlace::V6(index)) => 2 << INDEX_BITS | index,
            Place::Syn(index) => 3 << INDEX_BITS | index,
        }
    }

    pub(crate) fn decode(code: u32) -> Self {
        let index = code & INDEX_MASK;
        match code >> INDEX_BITS {
            0 => Place::Socket(index),
            1 => Place::TimeWait(TimeWaitPlace::V4(index)),
            2 => Place::TimeWait(TimeWaitPlace::V6(index)),
            _ => Place::Syn(index),
        }
    }
}

/// The tables.
pub(crate) struct Flows {
    pub(crate) sockets: Slab<Socket>,
    pub(crate) syn_cache: SynCache,
    pub(crate) time_wait: TimeWaitTable,
    demux: Demux,
    hash: HashKey,
    /// The connection of the latest segment that had one, which the next segment most often has too.
    latest: u32,
}

/// The key of an indexed record.
fn key_at(
    sockets: &Slab<Socket>,
    syn_cache: &SynCache,
    time_wait: &TimeWaitTable,
    code: u32,
) -> Option<FlowKey> {
    match Place::decode(code) {
        Place::Socket(index) => sockets.get(index)?.flow(),
        Place::TimeWait(place) => time_wait.key(place),
        Place::Syn(index) => syn_cache.key(index),
    }
}

impl Flows {
    pub(crate) fn new(secret: &Secret, syn_backlog: usize, time_wait_max: usize) -> Self {
        Flows {
            sockets: Slab::new(),
            syn_cache: SynCache::new(syn_backlog),
            time_wait: TimeWaitTable::new(time_wait_max),
            demux: Demux::new(),
            hash: secret.key("tcp demux"),
            latest: 0,
        }
    }

    /// The keyed hash of a four-tuple, also used to spread SYNs over a group of listeners.
    #[inline]
    pub(crate) fn hash(&self, key: &FlowKey) -> u64 {
        key.hash_with(&self.hash)
    }

    /// The connection of the latest segment, if this is its four-tuple: neither hash nor probe then. It is asked itself, so that it may
    /// come and go meanwhile.
    #[inline]
    pub(crate) fn recall(&self, key: &FlowKey) -> Option<u32> {
        self.sockets.get(self.latest).is_some_and(|socket| socket.is_indexed_as(key)).then_some(self.latest)
    }

    /// A segment's connection was found.
    pub(crate) fn remember(&mut self, index: u32) {
        self.latest = index;
    }

    /// Who has this four-tuple: one probe, and one look at the record.
    pub(crate) fn find(&self, key: &FlowKey, hash: u64) -> Option<Place> {
        let Flows { sockets, syn_cache, time_wait, .. } = self;
        self.demux
            .find(hash, |code| match Place::decode(code) {
                Place::Socket(index) => sockets.get(index).is_some_and(|socket| socket.has_flow(key)),
                _ => key_at(sockets, syn_cache, time_wait, code).is_some_and(|held| held == *key),
            })
            .map(Place::decode)
    }

    /// Looks a batch of four-tuples up so that the misses overlap: first every bucket, then every record. Returns how many of
    /// them have a record; the caches then hold what `find` is going to read.
    pub(crate) fn warm(&self, keys: &[FlowKey]) -> usize {
        const BATCH: usize = 64;
        let mut found = 0;
        for keys in keys.chunks(BATCH) {
            let mut codes = [None; BATCH];
            for (code, key) in codes.iter_mut().zip(keys) {
                *code = self.demux.candidate(self.hash(key));
            }
            for (code, key) in codes.iter().zip(keys) {
                let held =
                    code.and_then(|code| key_at(&self.sockets, &self.syn_cache, &self.time_wait, code));
                found += usize::from(held.as_ref() == Some(key));
            }
        }
        found
    }

    /// Indexes a record whose key, of this hash, is not indexed yet.
    pub(crate) fn insert(&mut self, hash: u64, place: Place) {
        let Flows { sockets, syn_cache, time_wait, demux, hash: secret, .. } = self;
        demux.insert(hash, place.code(), |code| {
            key_at(sockets, syn_cache, time_wait, code).map_or(0, |key| key.hash_with(secret))
        });
    }

    /// Takes a record out of the index. The record must still be there, as all others must: their keys are asked.
    pub(crate) fn remove(&mut self, hash: u64, place: Place) {
        let Flows { sockets, syn_cache, time_wait, demux, hash: secret, .. } = self;
        let was = demux.remove(hash, place.code(), |code| {
            key_at(sockets, syn_cache, time_wait, code).map_or(0, |key| key.hash_with(secret))
        });
        debug_assert!(was, "what is removed was indexed");
    }

    /// The record of a four-tuple of this hash has moved.
    pub(crate) fn change(&mut self, hash: u64, old: Place, new: Place) {
        let was = self.demux.change(hash, old.code(), new.code());
        debug_assert!(was, "what moves was indexed");
    }

    /// Four-tuples indexed.
    pub(crate) fn len(&self) -> usize {
        self.demux.len()
    }
}

impl std::fmt::Debug for Flows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Flows").field("len", &self.len()).finish_non_exhaustive()
    }
}
