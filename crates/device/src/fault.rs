//! Fault: a bad link around a device: frames are lost, delayed, reordered, doubled, damaged, held to a rate, by a seed.
//!
//! Spec: damage is what a checksum must catch (RFC 1071 section 1): one bit, or a burst of fewer than 16.
//! Owns: the frames it holds back, at most [`Faults::frames_max`] in each direction.
//! Invariants: the same seed, frames and times give the same faults; frames of one direction that are not picked for
//! reordering keep their order.
//! Not here: what the inner device does. It must not offload: a super-packet would be lost whole, and damage done before
//! the checksum is made would be signed by it. Offloads are therefore hidden from the stack above.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use wire::meta::{Capabilities, FrameBatch, FrameSink, Nanos, RxFrame, RxMeta, TxMeta};

use crate::memory::Sink;
use crate::{Device, Dropped};

/// What one direction of a link does to frames. Shares are of 1,000,000; the default is a perfect link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Faults {
    /// Frames that vanish.
    pub lose: u32,
    /// Frames that come twice.
    pub duplicate: u32,
    /// Frames that are damaged.
    pub corrupt: u32,
    /// Frames that are held back by `reorder_by`, so that later ones overtake them.
    pub reorder: u32,
    /// How long those are held back.
    pub reorder_by: Duration,
    /// How long every frame takes.
    pub delay: Duration,
    /// Octets a second; 0: without limit.
    pub rate: u64,
    /// Frames that are held at most; more are dropped, as a router's queue does.
    pub frames_max: usize,
}

impl Default for Faults {
    fn default() -> Faults {
        Faults {
            lose: 0,
            duplicate: 0,
            corrupt: 0,
            reorder: 0,
            reorder_by: Duration::from_millis(10),
            delay: Duration::ZERO,
            rate: 0,
            frames_max: 1000,
        }
    }
}

/// A device behind a bad link.
#[derive(Debug)]
pub struct Fault<D> {
    inner: D,
    outward: Direction,
    inward: Direction,
    sink: Sink,
    received: Vec<Vec<u8>>,
}

impl<D: Device> Fault<D> {
    /// Puts a link with these faults, seen from the stack, around a device.
    pub fn new(inner: D, seed: u64, outward: Faults, inward: Faults) -> Fault<D> {
        Fault {
            inner,
            outward: Direction::new(outward, seed),
            inward: Direction::new(inward, seed ^ 0x9e37_79b9_7f4a_7c15),
            sink: Sink::default(),
            received: Vec::new(),
        }
    }

    /// Changes the faults from now on; what is held stays held.
    pub fn set_faults(&mut self, outward: Faults, inward: Faults) {
        self.outward.faults = outward;
        self.inward.faults = inward;
    }

    /// Moves what is due out to the inner device.
    fn release(&mut self, now: Nanos) {
        while let Some(frame) = self.outward.due(now) {
            let sink = self.inner.transmit(now, 0);
            if let Some(room) = sink.reserve(frame.len()) {
                room.copy_from_slice(&frame);
                sink.commit(frame.len(), TxMeta::default());
            } else {
                self.outward.dropped += 1;
            }
        }
    }
}

impl<D: Device> Device for Fault<D> {
    fn capabilities(&self) -> Capabilities {
        let inner = self.inner.capabilities();
        Capabilities { tx_checksum: false, tso_max: 0, uso_max: 0, gro_max: 0, queues: 1, ..inner }
    }

    fn receive(&mut self, now: Nanos, _queue: u16, frames_max: usize) -> io::Result<&dyn FrameBatch> {
        self.release(now);
        self.inner.flush(now, 0)?;
        let batch = self.inner.receive(now, 0, frames_max)?;
        for index in 0..batch.len() {
            self.inward.take(now, batch.frame(index).bytes);
        }
        self.received.clear();
        while self.received.len() < frames_max
            && let Some(frame) = self.inward.due(now)
        {
            self.received.push(frame);
        }
        Ok(self)
    }

    fn transmit(&mut self, _now: Nanos, _queue: u16) -> &mut dyn FrameSink {
        &mut self.sink
    }

    fn flush(&mut self, now: Nanos, _queue: u16) -> io::Result<()> {
        for (frame, _) in &self.sink.ready {
            self.outward.take(now, frame);
        }
        self.sink.recycle();
        self.release(now);
        self.inner.flush(now, 0)
    }

    fn next_deadline(&self) -> Option<Nanos> {
        let own = [self.outward.next(), self.inward.next(), self.inner.next_deadline()];
        own.into_iter().flatten().min()
    }

    fn descriptor(&self, queue: u16) -> Option<BorrowedFd<'_>> {
        self.inner.descriptor(queue)
    }

    fn dropped(&self) -> Dropped {
        let inner = self.inner.dropped();
        Dropped { received: inner.received + self.inward.dropped, sent: inner.sent + self.outward.dropped }
    }
}

impl<D> FrameBatch for Fault<D> {
    fn len(&self) -> usize {
        self.received.len()
    }

    fn frame(&self, index: usize) -> RxFrame<'_> {
        RxFrame { bytes: &self.received[index], meta: RxMeta::default() }
    }
}

/// One direction of a link.
#[derive(Debug)]
pub struct Direction {
    faults: Faults,
    rng: SplitMix,
    /// Frames on their way, by when they arrive, and then by when they were sent.
    held: BinaryHeap<Reverse<(Nanos, u64, Vec<u8>)>>,
    sent: u64,
    /// When the last frame has left, at the link's rate.
    free_at: Nanos,
    dropped: u64,
    spare: VecDeque<Vec<u8>>,
}

impl Direction {
    /// A direction with these faults.
    #[must_use]
    pub fn new(faults: Faults, seed: u64) -> Direction {
        Direction {
            faults,
            rng: SplitMix(seed),
            held: BinaryHeap::new(),
            sent: 0,
            free_at: Nanos(0),
            dropped: 0,
            spare: VecDeque::new(),
        }
    }

    /// Takes a frame that is sent now.
    pub fn take(&mut self, now: Nanos, frame: &[u8]) {
        // Every frame draws the same number of times, so that changing one share does not move the others.
        let (lose, duplicate) = (self.rng.picks(self.faults.lose), self.rng.picks(self.faults.duplicate));
        let (corrupt, reorder) = (self.rng.picks(self.faults.corrupt), self.rng.picks(self.faults.reorder));
        let damage = self.rng.next();
        if lose {
            return;
        }
        let mut arrives = now;
        if let Some(takes) = (frame.len() as u64 * 1_000_000_000).checked_div(self.faults.rate) {
            self.free_at = Nanos(self.free_at.0.max(now.0).saturating_add(takes));
            arrives = self.free_at;
        }
        arrives = arrives.after(self.faults.delay);
        if reorder {
            arrives = arrives.after(self.faults.reorder_by);
        }
        for _ in 0..if duplicate { 2 } else { 1 } {
            if self.held.len() >= self.faults.frames_max {
                self.dropped += 1;
                continue;
            }
            let mut copy = self.spare.pop_front().unwrap_or_default();
            copy.clear();
            copy.extend_from_slice(frame);
            if corrupt {
                damage_frame(&mut copy, damage);
            }
            self.sent += 1;
            self.held.push(Reverse((arrives, self.sent, copy)));
        }
    }

    /// The next frame that has arrived by now.
    pub fn due(&mut self, now: Nanos) -> Option<Vec<u8>> {
        let Reverse((arrives, _, _)) = self.held.peek()?;
        if *arrives > now {
            return None;
        }
        self.held.pop().map(|Reverse((_, _, frame))| frame)
    }

    /// When the next frame arrives.
    #[must_use]
    pub fn next(&self) -> Option<Nanos> {
        self.held.peek().map(|Reverse((arrives, _, _))| *arrives)
    }
}

/// Flips one bit, or a burst of 2 to 15 bits whose first and last are flipped.
fn damage_frame(frame: &mut [u8], draw: u64) {
    let bits = frame.len() as u64 * 8;
    if bits == 0 {
        return;
    }
    let length = if draw & 1 == 0 { 1 } else { 2 + (draw >> 1) % 14 }.min(bits);
    let start = (draw >> 8) % (bits - length + 1);
    let pattern = draw >> 40;
    for bit in 0..length {
        let is_edge = bit == 0 || bit == length - 1;
        if is_edge || pattern >> bit & 1 == 1 {
            let at = start + bit;
            frame[(at / 8) as usize] ^= 0x80 >> (at % 8);
        }
    }
}

/// Steele, Lea and Flood's SplitMix64 (2014): small, fast, and the same everywhere.
#[derive(Debug, Clone)]
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn picks(&mut self, millionths: u32) -> bool {
        self.next() % 1_000_000 < u64::from(millionths)
    }
}

#[cfg(test)]
mod tests;
