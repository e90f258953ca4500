//! Two stacks, a link and a clock: one event after another.
//! Owns: the hosts' stacks, the link, the time, the trace and the digest.
//! Invariants: at any time everything that is due has been done before the clock moves; what hosts do at one moment they do in
//! the order A, B.
//! Not here: programs (`host`), what must hold (`oracle`).

use crate::clock::Clock;
use crate::digest::Digest;
use crate::link::{End, Link};
use crate::trace::{Passed, Trace};
use stack::frame::FrameQueue;
use stack::{InterfaceId, Stack};
use std::time::Duration;
use tcp::Instant;
use wire::meta::{RxFrame, RxMeta};

/// The interface that faces the link.
pub const INTERFACE: InterfaceId = InterfaceId(0);
/// Frames that a host sends before the link takes them.
const SINK_MAX: usize = 64;
/// Turns at one moment. A world that needs more does not come to rest: two hosts answer each other without end, in no time.
pub const TURNS_MAX: usize = 100_000;

/// A world.
pub struct World {
    clock: Clock,
    stacks: [Stack; 2],
    /// The cable between them.
    pub link: Link,
    /// Frames that hosts take before they answer, if so many have arrived: 1, or what a device's batch holds.
    pub batch: usize,
    sink: FrameQueue,
    /// What passed.
    pub trace: Trace,
    /// What passed, and when, as one number.
    pub digest: Digest,
}

/// The hosts do not come to rest at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restless;

impl World {
    /// A world of two stacks, each with its first interface on `link`. Both were made at [`Clock::START`].
    pub fn new(stacks: [Stack; 2], link: Link, trace: Trace) -> World {
        World {
            clock: Clock::new(),
            stacks,
            link,
            batch: 1,
            sink: FrameQueue::new(SINK_MAX),
            trace,
            digest: Digest::default(),
        }
    }

    /// What time it is.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// A host's stack.
    pub fn stack(&self, end: End) -> &Stack {
        &self.stacks[end.index()]
    }

    /// A host's stack, to call as its programs do; [`settle`](World::settle) afterwards.
    pub fn stack_mut(&mut self, end: End) -> &mut Stack {
        &mut self.stacks[end.index()]
    }

    /// Does all that is due now: deliveries, deadlines, transmissions.
    pub fn settle(&mut self) -> Result<(), Restless> {
        let now = self.clock.now();
        for _ in 0..TURNS_MAX {
            let mut busy = false;
            for _ in 0..self.batch {
                let Some((to, frame)) = self.link.poll(now) else { break };
                busy = true;
                let frame = RxFrame { bytes: &frame, meta: RxMeta::default() };
                self.stacks[to.index()].handle_frame(now, INTERFACE, frame);
            }
            for end in End::BOTH {
                let stack = &mut self.stacks[end.index()];
                if stack.next_deadline(now).is_some_and(|deadline| deadline <= now) {
                    busy = true;
                    stack.handle_deadline(now);
                }
                busy |= self.transmit(end);
            }
            if !busy {
                return Ok(());
            }
        }
        Err(Restless)
    }

    /// Moves what a host has to send onto the link.
    fn transmit(&mut self, from: End) -> bool {
        let now = self.clock.now();
        self.stacks[from.index()].poll_transmit(now, &mut self.sink);
        let any = !self.sink.is_empty();
        while let Some((frame, _)) = self.sink.pop() {
            self.digest.instant(now);
            self.digest.number(from.index() as u64);
            self.digest.bytes(&frame);
            if self.trace.is_on() {
                let copy = frame.clone();
                let fate = self.link.send(now, from, frame);
                self.trace.record(|| Passed { at: now, from, fate, frame: copy });
            } else {
                self.link.send(now, from, frame);
            }
        }
        any
    }

    /// When something is due next, if ever.
    pub fn next_deadline(&self) -> Option<Instant> {
        let now = self.clock.now();
        let stacks = self.stacks.iter().filter_map(|stack| stack.next_deadline(now));
        stacks.chain(self.link.next_deadline()).min()
    }

    /// Moves the clock; whatever was due before has been done by [`settle`](World::settle).
    pub fn advance_to(&mut self, then: Instant) {
        self.clock.advance_to(then);
    }

    /// Lives on by itself for `span`, event by event.
    pub fn run_for(&mut self, span: Duration) -> Result<(), Restless> {
        let end = self.now() + span;
        loop {
            self.settle()?;
            match self.next_deadline().filter(|next| *next <= end) {
                Some(next) => self.advance_to(next),
                None => {
                    self.advance_to(end);
                    return Ok(());
                }
            }
        }
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("now", &self.now()).field("link", &self.link).finish_non_exhaustive()
    }
}
