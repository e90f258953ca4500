//! What this loop writes to the others and to the store, staged within a turn and sent at its end.
//! Owns: the sending ends of the mailboxes, the count of store requests without a reply.
//! Invariants: letters to one receiver keep their order; congestion (a full box, or a full turn's worth staged) is seen
//! before another stanza is read.
//! Not here: reading (`EventLoop::read_mail`), what a letter means (`switch`).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::letter::{Letter, StoreLetter};
use crate::mailbox::Outbound;

/// Letters staged for one receiver beyond which they are sent at once rather than at the turn's end.
const STAGED_BEFORE_FLUSH: usize = 512;

/// How many parcels and requests a loop has written, and how many parcels and replies it has done with: whoever waits for all
/// loops to come to rest compares the sums. Each is written by its loop alone.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Traffic {
    written: AtomicU64,
    done: AtomicU64,
}

impl Traffic {
    /// Whether nothing is under way between loops that do nothing of themselves, nor between them and the store.
    pub(crate) fn is_at_rest(all: &[Arc<Traffic>]) -> bool {
        // What has been done was written before: where the sums agree in this order, nothing was under way in between.
        let done: u64 = all.iter().map(|traffic| traffic.done.load(Ordering::Acquire)).sum();
        let written: u64 = all.iter().map(|traffic| traffic.written.load(Ordering::Acquire)).sum();
        done == written
    }

    /// Nobody else adds to these, so they need not be read and written in one.
    fn add(count: &AtomicU64) {
        count.store(count.load(Ordering::Relaxed) + 1, Ordering::Release);
    }
}

/// The loop's outgoing mail.
pub(crate) struct Posts {
    this: u8,
    /// Indexed by loop; none to ourselves.
    loops: Vec<Option<Outbound<Letter>>>,
    store: Outbound<StoreLetter>,
    outstanding: usize,
    /// Something that is staged for the store cannot wait.
    urgent: bool,
    congested: bool,
    staged_max: usize,
    traffic: Arc<Traffic>,
}

impl Posts {
    pub(crate) fn new(
        this: u8,
        loops: Vec<Option<Outbound<Letter>>>,
        store: Outbound<StoreLetter>,
        staged_max: usize,
    ) -> Self {
        Self {
            this,
            loops,
            store,
            outstanding: 0,
            urgent: false,
            congested: false,
            staged_max,
            traffic: Arc::default(),
        }
    }

    pub(crate) fn traffic(&self) -> Arc<Traffic> {
        Arc::clone(&self.traffic)
    }

    /// Stages a router's parcel to another.
    pub(crate) fn parcel(&mut self, to: u8, parcel: router::Parcel) {
        Traffic::add(&self.traffic.written);
        self.write_loop(to, Letter::Parcel(parcel));
    }

    /// A parcel or a reply has been read, and all it caused has been staged.
    pub(crate) fn done(&self) {
        Traffic::add(&self.traffic.done);
    }

    /// Stages a letter to another loop.
    pub(crate) fn write_loop(&mut self, to: u8, letter: Letter) {
        debug_assert_ne!(to, self.this, "a loop writes to others only");
        let Some(Some(outbound)) = self.loops.get_mut(usize::from(to)) else { return };
        outbound.stage(letter);
        if outbound.staged() >= STAGED_BEFORE_FLUSH {
            self.congested |= outbound.flush() && outbound.staged() > self.staged_max;
        }
    }

    /// Letters staged for a loop that it has had no room for.
    pub(crate) fn backlog(&self, to: u8) -> usize {
        self.loops.get(usize::from(to)).and_then(Option::as_ref).map_or(0, Outbound::staged)
    }

    /// Stages a router's request; its reply will come as a letter.
    pub(crate) fn request(&mut self, request: store::Request) {
        self.outstanding += 1;
        Traffic::add(&self.traffic.written);
        self.write_store(StoreLetter::Request { from: self.this, request });
    }

    /// Stages a letter to the store thread.
    pub(crate) fn write_store(&mut self, letter: StoreLetter) {
        self.urgent = true;
        self.store.stage(letter);
        if self.store.staged() >= STAGED_BEFORE_FLUSH {
            self.congested |= self.store.flush();
        }
    }

    /// Stages a letter that travels with the next one: waking the store's thread for it would cost more than it tells.
    pub(crate) fn mention_to_store(&mut self, letter: StoreLetter) {
        self.store.stage(letter);
        self.urgent |= self.store.staged() >= STAGED_BEFORE_FLUSH;
    }

    /// A reply has come.
    pub(crate) fn replied(&mut self) {
        self.outstanding -= 1;
    }

    /// Requests without a reply.
    pub(crate) fn outstanding(&self) -> usize {
        self.outstanding
    }

    /// Sends what is staged; `all`: also what could wait.
    pub(crate) fn flush(&mut self, all: bool) {
        let mut congested = false;
        if self.urgent || all {
            congested = self.store.flush();
            self.urgent = congested;
        }
        for outbound in self.loops.iter_mut().flatten() {
            congested |= outbound.flush();
        }
        self.congested = congested;
    }

    /// Whether a receiver has no room: whoever writes to it should not be read.
    pub(crate) fn is_congested(&self) -> bool {
        self.congested
    }

    pub(crate) fn has_staged(&self) -> bool {
        self.store.staged() > 0 || self.loops.iter().flatten().any(|outbound| outbound.staged() > 0)
    }
}
