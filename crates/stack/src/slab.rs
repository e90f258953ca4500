//! A slab: records of one kind at places that do not move.
//! Owns: chunks of records, the list of free places, a generation for each place.
//! Invariants: growing allocates a chunk and moves no record (but those of the first chunk); a place given back is the first to be given out again, and its
//! generation tells the old user from the new one.
//! Not here: what a record is.

/// Records a chunk: at ten million records the list of chunks, the only thing that is ever moved, is half a megabyte.
const CHUNK: usize = 512;

#[derive(Debug)]
enum Entry<T> {
    Free { next: u32 },
    Used(T),
}

/// Records of type `T`, found by a 4-byte place.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    chunks: Vec<Vec<Entry<T>>>,
    generations: Vec<Vec<u32>>,
    free: u32,
    made: u32,
    len: usize,
}

const NONE: u32 = u32::MAX;

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Slab { chunks: Vec::new(), generations: Vec::new(), free: NONE, made: 0, len: 0 }
    }

    /// Records stored.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Stores a record; returns its place and how often the place had been given away before.
    pub(crate) fn insert(&mut self, value: T) -> (u32, u32) {
        self.len += 1;
        if self.free != NONE {
            let place = self.free;
            let (chunk, within) = (place as usize / CHUNK, place as usize % CHUNK);
            let entry = &mut self.chunks[chunk][within];
            if let Entry::Free { next } = *entry {
                self.free = next;
            }
            *entry = Entry::Used(value);
            return (place, self.generations[chunk][within]);
        }
        let place = self.made;
        if (place as usize).is_multiple_of(CHUNK) {
            // The first chunk grows as it must, so that a small host stays small.
            let capacity = if self.chunks.is_empty() { 0 } else { CHUNK };
            self.chunks.push(Vec::with_capacity(capacity));
            self.generations.push(Vec::with_capacity(capacity));
        }
        self.made += 1;
        let chunk = place as usize / CHUNK;
        self.chunks[chunk].push(Entry::Used(value));
        self.generations[chunk].push(0);
        (place, 0)
    }

    pub(crate) fn get(&self, place: u32) -> Option<&T> {
        match self.chunks.get(place as usize / CHUNK)?.get(place as usize % CHUNK)? {
            Entry::Used(value) => Some(value),
            Entry::Free { .. } => None,
        }
    }

    pub(crate) fn get_mut(&mut self, place: u32) -> Option<&mut T> {
        match self.chunks.get_mut(place as usize / CHUNK)?.get_mut(place as usize % CHUNK)? {
            Entry::Used(value) => Some(value),
            Entry::Free { .. } => None,
        }
    }

    /// The generation of a place that is or was in use.
    pub(crate) fn generation(&self, place: u32) -> Option<u32> {
        self.generations.get(place as usize / CHUNK)?.get(place as usize % CHUNK).copied()
    }

    /// Takes a record out.
    pub(crate) fn remove(&mut self, place: u32) -> Option<T> {
        let (chunk, within) = (place as usize / CHUNK, place as usize % CHUNK);
        let entry = self.chunks.get_mut(chunk)?.get_mut(within)?;
        if matches!(entry, Entry::Free { .. }) {
            return None;
        }
        let Entry::Used(value) = core::mem::replace(entry, Entry::Free { next: self.free }) else {
            return None;
        };
        self.free = place;
        self.len -= 1;
        let generation = &mut self.generations[chunk][within];
        *generation = generation.wrapping_add(1);
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::Slab;

    #[test]
    fn places_are_reused_under_a_new_generation() {
        let mut slab = Slab::new();
        let places: Vec<u32> = (0..1_300).map(|i| slab.insert(i).0).collect();
        assert_eq!(slab.len(), 1_300);
        assert_eq!(slab.remove(places[7]), Some(7));
        assert_eq!(slab.remove(places[7]), None);
        assert_eq!(slab.get(places[7]), None);
        assert_eq!(slab.insert(5_000), (places[7], 1));
        assert_eq!(slab.get(places[7]), Some(&5_000));
        assert_eq!(slab.get(places[1_299]), Some(&1_299));
        assert_eq!(slab.len(), 1_300);
        assert_eq!(slab.get(9999), None);
    }
}
