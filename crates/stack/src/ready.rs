//! Socket handles, and the queue of sockets to which something happened.
//! Owns: the order in which ready sockets are reported. Borrows: the readiness bits, which each socket keeps itself.
//! Invariants: a place in a socket table is queued at most once, whoever comes and goes there, so that the queue is never longer
//! than the tables have been though nobody ever asks; asking costs what happened, never how many sockets exist.
//! Not here: what a bit means for one kind of socket (`socket::tcp`, `socket::udp`).

use std::collections::VecDeque;

/// A TCP socket: a connection or a listener. The generation tells a handle from a later one at the same index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TcpHandle {
    /// Place in the socket table.
    pub index: u32,
    /// How often that place had been given away before.
    pub generation: u32,
}

/// A UDP socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UdpHandle {
    /// Place in the socket table.
    pub index: u32,
    /// How often that place had been given away before.
    pub generation: u32,
}

/// Any socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Handle {
    /// A TCP connection or listener.
    Tcp(TcpHandle),
    /// A UDP socket.
    Udp(UdpHandle),
}

/// What happened to a socket since it was last reported. Edge-triggered: a bit is set when its condition comes about,
/// not as long as it lasts, so the owner reads, writes or accepts until `WouldBlock`.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Readiness(u8);

impl Readiness {
    /// Nothing happened.
    pub const NONE: Self = Self(0);
    /// Bytes, datagrams, a connection to accept, or the end of the stream can be read.
    pub const READABLE: Self = Self(1);
    /// There is room again to send; for a connecting socket, the connection is established.
    pub const WRITABLE: Self = Self(2);
    /// An error waits to be taken.
    pub const ERROR: Self = Self(4);
    /// Both directions are over.
    pub const HANGUP: Self = Self(8);
    /// Urgent data was announced (RFC 9293 3.8.5).
    pub const PRIORITY: Self = Self(16);
    /// The peer will send no more: what `EPOLLRDHUP` says.
    pub const READ_CLOSED: Self = Self(32);

    /// No bit set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// All bits of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The bits of both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl std::ops::BitOr for Readiness {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.union(other)
    }
}

impl std::ops::BitOrAssign for Readiness {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl std::fmt::Debug for Readiness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const NAMES: [&str; 6] = ["READABLE", "WRITABLE", "ERROR", "HANGUP", "PRIORITY", "READ_CLOSED"];
        let mut set = f.debug_set();
        for (bit, name) in NAMES.iter().enumerate() {
            if self.0 & (1 << bit) != 0 {
                set.entry(&format_args!("{name}"));
            }
        }
        set.finish()
    }
}

/// A place in one of the socket tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadyPlace {
    Tcp(u32),
    Udp(u32),
}

/// Which places of one table are queued: a bit each.
#[derive(Debug, Default)]
struct Queued {
    words: Vec<u64>,
}

impl Queued {
    /// Sets a place's bit; says whether it was clear.
    fn set(&mut self, place: u32) -> bool {
        let (word, bit) = (place as usize / 64, 1 << (place % 64));
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        let was = self.words[word] & bit != 0;
        self.words[word] |= bit;
        !was
    }

    fn clear(&mut self, place: u32) {
        self.words[place as usize / 64] &= !(1 << (place % 64));
    }
}

/// Places of one table in the order in which they came, each at most once.
#[derive(Debug, Default)]
pub(crate) struct PlaceQueue {
    queue: VecDeque<u32>,
    queued: Queued,
}

impl PlaceQueue {
    /// Adds a place at the end, if it is not there already.
    pub(crate) fn push(&mut self, place: u32) {
        if self.queued.set(place) {
            self.queue.push_back(place);
        }
    }

    /// Whether no place is queued.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Takes the first one. Whoever was meant may be gone, and its place another's.
    pub(crate) fn pop(&mut self) -> Option<u32> {
        let place = self.queue.pop_front()?;
        self.queued.clear(place);
        Some(place)
    }
}

/// The sockets that have something to report, oldest first.
#[derive(Debug, Default)]
pub(crate) struct ReadyQueue {
    queue: VecDeque<ReadyPlace>,
    tcp: Queued,
    udp: Queued,
}

impl ReadyQueue {
    /// Adds `bits` to a socket's pending bits and queues its place.
    pub(crate) fn raise(&mut self, handle: Handle, pending: &mut Readiness, bits: Readiness) {
        if bits.is_empty() {
            return;
        }
        *pending |= bits;
        let (place, is_new) = match handle {
            Handle::Tcp(tcp) => (ReadyPlace::Tcp(tcp.index), self.tcp.set(tcp.index)),
            Handle::Udp(udp) => (ReadyPlace::Udp(udp.index), self.udp.set(udp.index)),
        };
        if is_new {
            self.queue.push_back(place);
        }
    }

    /// The place of the next socket to report. The caller takes its pending bits, and skips it when nobody is there or there are
    /// none: a closed socket stays queued until its turn, or until its place has a new user.
    pub(crate) fn pop(&mut self) -> Option<ReadyPlace> {
        let place = self.queue.pop_front()?;
        match place {
            ReadyPlace::Tcp(index) => self.tcp.clear(index),
            ReadyPlace::Udp(index) => self.udp.clear(index),
        }
        Some(place)
    }

    /// Whether anything waits to be reported.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests;
