//! A mailbox: letters from one loop, or thread, to another. Bounded, with one lock a batch and one wake-up a batch.
//! Owns: the letters under way and the bell that wakes their reader.
//! Invariants: `post` takes a whole batch or what fits, in order; the bell rings only when the box was empty; a sender
//! that was refused is told, by its own bell, once there is room.
//! Not here: what a full box means for a session (`event_loop`: its sender is no longer read).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[cfg(test)]
mod tests;

/// Wakes a sleeping reader. Ringing twice before it wakes is as good as once.
pub(crate) trait Bell: Send + Sync {
    fn ring(&self);
}

impl Bell for mio::Waker {
    fn ring(&self) {
        // A wake-up that fails means that the poll is gone, and its loop with it.
        let _ = self.wake();
    }
}

struct Inner<T> {
    letters: VecDeque<T>,
    /// Who was refused and waits for room.
    refused: bool,
    closed: bool,
}

struct Shared<T> {
    inner: Mutex<Inner<T>>,
    max: usize,
    reader: Arc<dyn Bell>,
    sender: Arc<dyn Bell>,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        // A panic while the lock was held cannot leave the queue half changed.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sender's end, with the letters of this turn.
pub(crate) struct Outbound<T> {
    staged: VecDeque<T>,
    shared: Arc<Shared<T>>,
}

/// The reader's end.
pub(crate) struct Inbound<T> {
    shared: Arc<Shared<T>>,
}

/// A mailbox of at most `max` letters: `reader` is rung when letters come, `sender` when a full box has room again.
pub(crate) fn mailbox<T>(
    max: usize,
    reader: Arc<dyn Bell>,
    sender: Arc<dyn Bell>,
) -> (Outbound<T>, Inbound<T>) {
    let inner = Inner { letters: VecDeque::new(), refused: false, closed: false };
    let shared = Arc::new(Shared { inner: Mutex::new(inner), max, reader, sender });
    (Outbound { staged: VecDeque::new(), shared: Arc::clone(&shared) }, Inbound { shared })
}

impl<T> Outbound<T> {
    /// Stages a letter; `flush` sends it.
    pub(crate) fn stage(&mut self, letter: T) {
        self.staged.push_back(letter);
    }

    /// Sends what fits of what was staged, with one lock and at most one wake-up. Answers whether the box is full: then
    /// some stays staged, and the sender's bell rings once there is room.
    pub(crate) fn flush(&mut self) -> bool {
        if self.staged.is_empty() {
            return false;
        }
        let mut inner = self.shared.lock();
        if inner.closed {
            self.staged.clear();
            return false;
        }
        let was_empty = inner.letters.is_empty();
        if was_empty && self.staged.len() <= self.shared.max {
            std::mem::swap(&mut inner.letters, &mut self.staged);
        } else {
            let room = self.shared.max.saturating_sub(inner.letters.len()).min(self.staged.len());
            inner.letters.extend(self.staged.drain(..room));
        }
        let full = !self.staged.is_empty();
        inner.refused = full;
        drop(inner);
        if was_empty {
            self.shared.reader.ring();
        }
        full
    }

    /// Letters that did not fit.
    pub(crate) fn staged(&self) -> usize {
        self.staged.len()
    }

    /// Whether the reader has gone: nothing that is posted will be read.
    pub(crate) fn is_closed(&self) -> bool {
        self.shared.lock().closed
    }
}

impl<T> Inbound<T> {
    /// Takes everything, swapping it against the empty `into`, whose space is used again.
    pub(crate) fn take(&self, into: &mut VecDeque<T>) {
        debug_assert!(into.is_empty());
        let mut inner = self.shared.lock();
        std::mem::swap(&mut inner.letters, into);
        let refused = std::mem::take(&mut inner.refused);
        drop(inner);
        if refused {
            self.shared.sender.ring();
        }
    }

    /// Nothing more will be read: what is posted from now on vanishes.
    pub(crate) fn close(&self) {
        let mut inner = self.shared.lock();
        inner.closed = true;
        inner.letters.clear();
        let refused = std::mem::take(&mut inner.refused);
        drop(inner);
        if refused {
            self.shared.sender.ring();
        }
    }
}

impl<T> Drop for Inbound<T> {
    fn drop(&mut self) {
        self.close();
    }
}
