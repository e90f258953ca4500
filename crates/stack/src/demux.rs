//! Demultiplexing: from a four-tuple to the place of its record, in one probe.
//! Spec: none; linear hashing after Litwin (1980).
//! Owns: 4-byte places in cache lines of twelve, each with a byte of hash beside it. Borrows: the records, where the key is
//! checked, through the caller's `is` test.
//! Invariants: growing and shrinking move one bucket at a time (at most a line's worth of places, plus its overflow), so no
//! call ever re-hashes the table; a place is stored once.
//! Not here: what a place means (`tcp_host`), the hash (`flow`).

/// Places in a bucket: twelve 4-byte places, twelve bytes of hash and a link make a 64-byte cache line.
const WAYS: usize = 12;
/// Places a bucket holds on average before the table grows by one. Linear hashing lets the buckets not yet split grow to 4/3
/// of that at worst, still below `WAYS`, so that overflow stays rare.
const FILL_MAX: usize = 7;
/// Below this average the table gives a bucket back.
const FILL_MIN: usize = 2;
/// Buckets a chunk: the table grows by allocating chunks (16 KiB), never by moving what it has.
const CHUNK: usize = 256;
/// Smallest table: one bucket.
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy)]
#[repr(align(64))]
struct Bucket {
    places: [u32; WAYS],
    tags: [u8; WAYS],
    /// The next bucket of an overflow chain, by index into `overflow`.
    more: u32,
}

impl Bucket {
    const EMPTY: Bucket = Bucket { places: [NONE; WAYS], tags: [0; WAYS], more: NONE };

    /// The ways whose byte of hash is `tag`, a bit each. All are compared before anything is asked, which takes no branch.
    #[inline]
    fn ways_of(&self, tag: u8) -> u32 {
        self.tags.iter().enumerate().fold(0, |ways, (way, held)| ways | u32::from(*held == tag) << way)
    }
}

/// The table. It stores places and asks the caller, by place, whether a record is the one sought and what its hash is.
pub(crate) struct Demux {
    chunks: Vec<Box<[Bucket]>>,
    overflow: Vec<Bucket>,
    overflow_free: Vec<u32>,
    /// Buckets in use: `2^level + split`.
    level: u32,
    split: usize,
    len: usize,
}

/// The byte that is compared before a record is touched; zero means empty.
fn tag_of(hash: u64) -> u8 {
    ((hash >> 56) as u8).max(1)
}

impl Demux {
    pub(crate) fn new() -> Self {
        Demux {
            chunks: vec![vec![Bucket::EMPTY; 1].into_boxed_slice()],
            overflow: Vec::new(),
            overflow_free: Vec::new(),
            level: 0,
            split: 0,
            len: 0,
        }
    }

    /// Places stored.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Bytes the table occupies.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        let chunks: usize = self.chunks.iter().map(|chunk| chunk.len()).sum();
        (chunks + self.overflow.capacity()) * size_of::<Bucket>()
            + self.chunks.capacity() * size_of::<usize>() * 2
    }

    fn buckets(&self) -> usize {
        (1 << self.level) + self.split
    }

    fn bucket_of(&self, hash: u64) -> usize {
        let hash = hash as usize;
        let low = hash & ((1 << self.level) - 1);
        if low < self.split { hash & ((2 << self.level) - 1) } else { low }
    }

    fn bucket(&self, index: usize) -> &Bucket {
        if self.chunks.len() == 1 {
            &self.chunks[0][index]
        } else {
            &self.chunks[index / CHUNK][index % CHUNK]
        }
    }

    fn bucket_mut(&mut self, index: usize) -> &mut Bucket {
        if self.chunks.len() == 1 {
            &mut self.chunks[0][index]
        } else {
            &mut self.chunks[index / CHUNK][index % CHUNK]
        }
    }

    /// The place of the record that `is` says yes to.
    pub(crate) fn find(&self, hash: u64, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        let tag = tag_of(hash);
        let mut bucket = self.bucket(self.bucket_of(hash));
        loop {
            let mut ways = bucket.ways_of(tag);
            while ways != 0 {
                let place = bucket.places[ways.trailing_zeros() as usize];
                if is(place) {
                    return Some(place);
                }
                ways &= ways - 1;
            }
            bucket = self.overflow.get(bucket.more as usize)?;
        }
    }

    /// The first place that may be the one sought, by its hash byte alone. A batch calls this for all of its packets before it
    /// touches the first record: the loads are independent and overlap.
    pub(crate) fn candidate(&self, hash: u64) -> Option<u32> {
        self.find(hash, |_| true)
    }

    /// Stores a place that is not stored yet. `hash_of` is asked for the hash of places that move.
    pub(crate) fn insert(&mut self, hash: u64, place: u32, hash_of: impl FnMut(u32) -> u64) {
        debug_assert_ne!(place, NONE);
        self.put(self.bucket_of(hash), tag_of(hash), place);
        self.len += 1;
        if self.len > self.buckets() * FILL_MAX {
            self.grow(hash_of);
        }
    }

    fn put(&mut self, index: usize, tag: u8, place: u32) {
        let bucket = self.bucket_mut(index);
        if let Some(way) = bucket.tags.iter().position(|tag| *tag == 0) {
            bucket.tags[way] = tag;
            bucket.places[way] = place;
            return;
        }
        let mut link = bucket.more;
        while let Some(bucket) = self.overflow.get_mut(link as usize) {
            if let Some(way) = bucket.tags.iter().position(|tag| *tag == 0) {
                bucket.tags[way] = tag;
                bucket.places[way] = place;
                return;
            }
            link = bucket.more;
        }
        let mut fresh = Bucket { more: self.bucket(index).more, ..Bucket::EMPTY };
        fresh.tags[0] = tag;
        fresh.places[0] = place;
        let link = match self.overflow_free.pop() {
            Some(link) => {
                self.overflow[link as usize] = fresh;
                link
            }
            None => {
                self.overflow.push(fresh);
                (self.overflow.len() - 1) as u32
            }
        };
        self.bucket_mut(index).more = link;
    }

    /// Removes `place`. True if it was stored.
    pub(crate) fn remove(&mut self, hash: u64, place: u32, hash_of: impl FnMut(u32) -> u64) -> bool {
        let removed = self.replace(hash, place, None);
        if removed {
            self.len -= 1;
            if self.len < self.buckets() * FILL_MIN && self.buckets() > 1 {
                self.shrink(hash_of);
            }
        }
        removed
    }

    /// Puts `new` where `old` is: the record has moved (a connection became an entry in TIME-WAIT).
    pub(crate) fn change(&mut self, hash: u64, old: u32, new: u32) -> bool {
        self.replace(hash, old, Some(new))
    }

    fn replace(&mut self, hash: u64, old: u32, new: Option<u32>) -> bool {
        let apply = |bucket: &mut Bucket| {
            let Some(way) = (0..WAYS).find(|way| bucket.places[*way] == old && bucket.tags[*way] != 0) else {
                return false;
            };
            match new {
                Some(new) => bucket.places[way] = new,
                None => {
                    bucket.places[way] = NONE;
                    bucket.tags[way] = 0;
                }
            }
            true
        };
        let index = self.bucket_of(hash);
        let bucket = self.bucket_mut(index);
        if apply(bucket) {
            return true;
        }
        let mut link = bucket.more;
        while let Some(bucket) = self.overflow.get_mut(link as usize) {
            if apply(bucket) {
                return true;
            }
            link = bucket.more;
        }
        false
    }

    /// Takes everything out of a bucket and its chain.
    fn drain(&mut self, index: usize) -> impl Iterator<Item = u32> + use<> {
        let mut found = Vec::new();
        let mut first = [NONE; WAYS];
        let bucket = core::mem::replace(self.bucket_mut(index), Bucket::EMPTY);
        for (way, slot) in first.iter_mut().enumerate() {
            if bucket.tags[way] != 0 {
                *slot = bucket.places[way];
            }
        }
        let mut link = bucket.more;
        while let Some(bucket) = self.overflow.get_mut(link as usize) {
            found.extend((0..WAYS).filter(|way| bucket.tags[*way] != 0).map(|way| bucket.places[way]));
            self.overflow_free.push(link);
            link = core::mem::replace(bucket, Bucket::EMPTY).more;
        }
        first.into_iter().filter(|place| *place != NONE).chain(found)
    }

    /// Splits one bucket in two.
    fn grow(&mut self, mut hash_of: impl FnMut(u32) -> u64) {
        let count = self.buckets();
        if count < CHUNK {
            // The first chunk doubles until it is one: at most 16 KiB are copied, and only while the table is tiny.
            if count == self.chunks[0].len() {
                let mut wider = vec![Bucket::EMPTY; (count * 2).min(CHUNK)];
                wider[..count].copy_from_slice(&self.chunks[0]);
                self.chunks[0] = wider.into_boxed_slice();
            }
        } else if count == self.chunks.len() * CHUNK {
            self.chunks.push(vec![Bucket::EMPTY; CHUNK].into_boxed_slice());
        }
        let old = self.split;
        self.split += 1;
        if self.split == 1 << self.level {
            self.level += 1;
            self.split = 0;
        }
        for place in self.drain(old) {
            let hash = hash_of(place);
            self.put(self.bucket_of(hash), tag_of(hash), place);
        }
    }

    /// Melts the last bucket into the one it was split from.
    fn shrink(&mut self, mut hash_of: impl FnMut(u32) -> u64) {
        let last = self.buckets() - 1;
        if self.split == 0 {
            self.level -= 1;
            self.split = 1 << self.level;
        }
        self.split -= 1;
        for place in self.drain(last) {
            let hash = hash_of(place);
            self.put(self.bucket_of(hash), tag_of(hash), place);
        }
        if self.chunks.len() > 1 && last + CHUNK <= (self.chunks.len() - 1) * CHUNK {
            self.chunks.pop();
        }
    }
}

#[cfg(test)]
mod tests;
