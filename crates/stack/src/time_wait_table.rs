//! TIME-WAIT, many of them: what is left of closed connections until 2*MSL are over.
//! Spec: RFC 9293 3.6.1; the rules themselves are `tcp::TimeWait`'s.
//! Owns: the entries, in the order in which they end. All waits are equally long, so a queue is the timer.
//! Invariants: an entry is 36 bytes over IPv4 (60 over IPv6), its timer included, and some ten bytes in `demux`; at most
//! `entries_max` exist, and then the oldest goes first, since it has waited longest.
//! Not here: finding an entry by its key (`demux` holds its place).

use crate::flow::{FlowKey, FlowKeyV4};
use crate::port::Sharing;
use crate::tcp_host::below::Marks;
use std::collections::VecDeque;
use tcp::{Instant, TimeWait};

/// Entries a chunk: memory is taken and given back in pieces of some 20 KiB, and nothing is ever copied.
const CHUNK: usize = 512;

#[derive(Debug, Clone, Copy)]
struct Entry<K> {
    key: K,
    wait: TimeWait,
    sharing: Sharing,
    marks: Marks,
}

/// A queue whose members are found by a number that never changes.
#[derive(Debug)]
struct Ring<T> {
    chunks: VecDeque<Vec<Option<T>>>,
    /// The number of the first entry of the first chunk.
    first: u32,
    /// Entries of the first chunk that have left.
    left: usize,
    len: usize,
}

/// Places are numbers below this; the bits above are the caller's.
pub(crate) const PLACES: u32 = 1 << 30;

impl<T> Ring<T> {
    const fn new() -> Self {
        Ring { chunks: VecDeque::new(), first: 0, left: 0, len: 0 }
    }

    fn push(&mut self, entry: T) -> u32 {
        if self.chunks.back().is_none_or(|chunk| chunk.len() == CHUNK) {
            self.chunks.push_back(Vec::with_capacity(CHUNK));
        }
        let behind = (self.chunks.len() - 1) * CHUNK;
        let chunk = self.chunks.back_mut().expect("pushed if there was none");
        chunk.push(Some(entry));
        self.len += 1;
        self.first.wrapping_add((behind + chunk.len() - 1) as u32) % PLACES
    }

    fn slot(&mut self, place: u32) -> Option<&mut Option<T>> {
        let at = (place.wrapping_sub(self.first) % PLACES) as usize;
        self.chunks.get_mut(at / CHUNK)?.get_mut(at % CHUNK)
    }

    fn peek(&self, place: u32) -> Option<&T> {
        let at = (place.wrapping_sub(self.first) % PLACES) as usize;
        self.chunks.get(at / CHUNK)?.get(at % CHUNK)?.as_ref()
    }

    fn remove(&mut self, place: u32) -> Option<T> {
        let entry = self.slot(place)?.take();
        self.len -= usize::from(entry.is_some());
        self.trim();
        entry
    }

    /// Lets go of what has left at the front.
    fn trim(&mut self) {
        while let Some(chunk) = self.chunks.front() {
            match chunk[self.left..].iter().position(Option::is_some) {
                Some(gone) => {
                    self.left += gone;
                    return;
                }
                None if chunk.len() == CHUNK => {
                    self.chunks.pop_front();
                    self.first = self.first.wrapping_add(CHUNK as u32) % PLACES;
                    self.left = 0;
                }
                None => {
                    self.left = chunk.len();
                    return;
                }
            }
        }
    }

    fn front(&self) -> Option<(u32, &T)> {
        let entry = self.chunks.front()?.get(self.left)?.as_ref()?;
        Some((self.first.wrapping_add(self.left as u32) % PLACES, entry))
    }
}

/// Where an entry is. Which of the two it is, `demux` keeps in the bits that `PLACES` leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeWaitPlace {
    V4(u32),
    V6(u32),
}

/// An entry that has left the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Left {
    pub(crate) key: FlowKey,
    pub(crate) sharing: Sharing,
}

/// The table.
#[derive(Debug)]
pub(crate) struct TimeWaitTable {
    v4: Ring<Entry<FlowKeyV4>>,
    v6: Ring<Entry<FlowKey>>,
    entries_max: usize,
}

impl TimeWaitTable {
    pub(crate) const fn new(entries_max: usize) -> Self {
        TimeWaitTable { v4: Ring::new(), v6: Ring::new(), entries_max }
    }

    /// Entries now.
    pub(crate) const fn len(&self) -> usize {
        self.v4.len + self.v6.len
    }

    /// Whether an entry must go before another may come.
    pub(crate) const fn is_full(&self) -> bool {
        self.len() >= self.entries_max
    }

    /// Adds an entry at the end of the queue: its wait begins now.
    pub(crate) fn insert(
        &mut self,
        key: FlowKey,
        wait: TimeWait,
        sharing: Sharing,
        marks: Marks,
    ) -> TimeWaitPlace {
        match key.v4() {
            Some(key) => TimeWaitPlace::V4(self.v4.push(Entry { key, wait, sharing, marks })),
            None => TimeWaitPlace::V6(self.v6.push(Entry { key, wait, sharing, marks })),
        }
    }

    /// What the closed connection's packets carried, and its answers carry still.
    pub(crate) fn marks(&self, place: TimeWaitPlace) -> Marks {
        let marks = match place {
            TimeWaitPlace::V4(place) => self.v4.peek(place).map(|entry| entry.marks),
            TimeWaitPlace::V6(place) => self.v6.peek(place).map(|entry| entry.marks),
        };
        marks.unwrap_or_default()
    }

    /// The key at a place.
    pub(crate) fn key(&self, place: TimeWaitPlace) -> Option<FlowKey> {
        match place {
            TimeWaitPlace::V4(place) => self.v4.peek(place).map(|entry| entry.key.widen()),
            TimeWaitPlace::V6(place) => self.v6.peek(place).map(|entry| entry.key),
        }
    }

    /// A look at the automaton at a place.
    pub(crate) fn get(&self, place: TimeWaitPlace) -> Option<&TimeWait> {
        match place {
            TimeWaitPlace::V4(place) => self.v4.peek(place).map(|entry| &entry.wait),
            TimeWaitPlace::V6(place) => self.v6.peek(place).map(|entry| &entry.wait),
        }
    }

    /// The automaton at a place.
    pub(crate) fn get_mut(&mut self, place: TimeWaitPlace) -> Option<&mut TimeWait> {
        match place {
            TimeWaitPlace::V4(place) => self.v4.slot(place)?.as_mut().map(|entry| &mut entry.wait),
            TimeWaitPlace::V6(place) => self.v6.slot(place)?.as_mut().map(|entry| &mut entry.wait),
        }
    }

    /// Takes an entry out.
    pub(crate) fn remove(&mut self, place: TimeWaitPlace) -> Option<Left> {
        match place {
            TimeWaitPlace::V4(at) => {
                self.v4.remove(at).map(|entry| Left { key: entry.key.widen(), sharing: entry.sharing })
            }
            TimeWaitPlace::V6(at) => {
                self.v6.remove(at).map(|entry| Left { key: entry.key, sharing: entry.sharing })
            }
        }
    }

    /// The wait began anew (the peer's FIN came again): the entry moves to the end of the queue, and to a new place.
    pub(crate) fn renew(&mut self, place: TimeWaitPlace) -> Option<TimeWaitPlace> {
        Some(match place {
            TimeWaitPlace::V4(at) => {
                let entry = self.v4.remove(at)?;
                TimeWaitPlace::V4(self.v4.push(entry))
            }
            TimeWaitPlace::V6(at) => {
                let entry = self.v6.remove(at)?;
                TimeWaitPlace::V6(self.v6.push(entry))
            }
        })
    }

    fn oldest(&self, now: Instant) -> Option<(TimeWaitPlace, Instant)> {
        let v4 = self.v4.front().map(|(at, entry)| (TimeWaitPlace::V4(at), entry.wait.deadline(now)));
        let v6 = self.v6.front().map(|(at, entry)| (TimeWaitPlace::V6(at), entry.wait.deadline(now)));
        [v4, v6].into_iter().flatten().min_by_key(|(_, deadline)| *deadline)
    }

    /// When the next wait is over.
    pub(crate) fn next_deadline(&self, now: Instant) -> Option<Instant> {
        self.oldest(now).map(|(_, deadline)| deadline)
    }

    /// The entry that has waited longest.
    pub(crate) fn oldest_place(&self, now: Instant) -> Option<TimeWaitPlace> {
        self.oldest(now).map(|(place, _)| place)
    }
}

#[cfg(test)]
mod tests;
