//! Memory: devices whose cable is a queue. A pair is one cable with two ends; a hub is one cable with many.
//!
//! Owns: the queues. Units: frames; a queue holds [`FRAMES_MAX`].
//! Invariants: frames arrive in the order they were sent, once at each other end; a warm cable does not allocate.
//! Not here: delay and damage (`fault`).

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wire::meta::{Capabilities, FrameBatch, FrameSink, Nanos, RxFrame, RxMeta, TxMeta};

use crate::{Device, Dropped};

/// Frames that one end holds before its others' are dropped.
pub const FRAMES_MAX: usize = 4096;

/// Buffers kept for the next frames, per end.
const SPARE_MAX: usize = 4096;

/// What waits at one end.
#[derive(Debug, Default)]
struct Inbox {
    frames: VecDeque<(Vec<u8>, RxMeta)>,
    spare: Vec<Vec<u8>>,
    dropped: u64,
}

type Cable = Arc<[Mutex<Inbox>]>;

fn open(inbox: &Mutex<Inbox>) -> MutexGuard<'_, Inbox> {
    // A panic elsewhere leaves whole frames, so the queue is as good as before.
    inbox.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One end of a cable.
#[derive(Debug)]
pub struct Memory {
    capabilities: Capabilities,
    cable: Cable,
    end: usize,
    received: Batch,
    sink: Sink,
}

/// Two ends of one cable.
#[must_use]
pub fn pair(capabilities: Capabilities) -> (Memory, Memory) {
    let mut ends = hub(capabilities, 2);
    let (Some(second), Some(first)) = (ends.pop(), ends.pop()) else {
        unreachable!("a hub of two has two ends")
    };
    (first, second)
}

/// Ends of one cable: what one sends, all others receive.
#[must_use]
pub fn hub(capabilities: Capabilities, ends: usize) -> Vec<Memory> {
    let capabilities = Capabilities { queues: 1, ..capabilities };
    let cable: Cable = (0..ends).map(|_| Mutex::new(Inbox::default())).collect();
    (0..ends)
        .map(|end| Memory {
            capabilities,
            cable: Arc::clone(&cable),
            end,
            received: Batch::default(),
            sink: Sink::default(),
        })
        .collect()
}

impl Memory {
    /// Frames that the other ends have yet to take, of all that were sent to them.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let others = self.cable.iter().enumerate().filter(|(end, _)| *end != self.end);
        others.map(|(_, inbox)| open(inbox).frames.len()).sum()
    }
}

impl Device for Memory {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn receive(&mut self, _now: Nanos, _queue: u16, frames_max: usize) -> io::Result<&dyn FrameBatch> {
        let mut inbox = open(&self.cable[self.end]);
        for (buffer, _) in self.received.frames.drain(..) {
            if inbox.spare.len() < SPARE_MAX {
                inbox.spare.push(buffer);
            }
        }
        let count = inbox.frames.len().min(frames_max);
        self.received.frames.extend(inbox.frames.drain(..count));
        drop(inbox);
        Ok(&self.received)
    }

    fn transmit(&mut self, _now: Nanos, _queue: u16) -> &mut dyn FrameSink {
        &mut self.sink
    }

    fn flush(&mut self, _now: Nanos, _queue: u16) -> io::Result<()> {
        if self.sink.ready.is_empty() {
            return Ok(());
        }
        for (end, inbox) in self.cable.iter().enumerate().filter(|(end, _)| *end != self.end) {
            let mut inbox = open(inbox);
            for (frame, meta) in &self.sink.ready {
                if inbox.frames.len() == FRAMES_MAX {
                    inbox.dropped += 1;
                    continue;
                }
                let mut copy = inbox.spare.pop().unwrap_or_default();
                copy.clear();
                copy.extend_from_slice(frame);
                inbox.frames.push_back((copy, received(meta)));
            }
            debug_assert!(end < self.cable.len());
        }
        self.sink.recycle();
        Ok(())
    }

    fn dropped(&self) -> Dropped {
        Dropped { received: open(&self.cable[self.end]).dropped, sent: 0 }
    }
}

/// What the other end may believe of a frame that never left memory. Without offload asked for, the checksum is in the
/// frame, and whoever wants to can check it.
fn received(meta: &TxMeta) -> RxMeta {
    RxMeta { checksum_ok: meta.checksum.is_some(), gso_size: meta.gso.map_or(0, |gso| gso.size), queue: 0 }
}

#[derive(Debug, Default)]
struct Batch {
    frames: Vec<(Vec<u8>, RxMeta)>,
}

impl FrameBatch for Batch {
    fn len(&self) -> usize {
        self.frames.len()
    }

    fn frame(&self, index: usize) -> RxFrame<'_> {
        let (bytes, meta) = &self.frames[index];
        RxFrame { bytes, meta: *meta }
    }
}

/// Frames that were written and not yet flushed.
#[derive(Debug, Default)]
pub(crate) struct Sink {
    pub(crate) ready: Vec<(Vec<u8>, TxMeta)>,
    spare: Vec<Vec<u8>>,
    reserved: Vec<u8>,
}

impl Sink {
    /// Takes the buffers of all frames back.
    pub(crate) fn recycle(&mut self) {
        self.spare.extend(self.ready.drain(..).map(|(buffer, _)| buffer));
        self.spare.truncate(SPARE_MAX);
    }
}

impl FrameSink for Sink {
    fn reserve(&mut self, len: usize) -> Option<&mut [u8]> {
        if self.ready.len() == FRAMES_MAX {
            return None;
        }
        if self.reserved.capacity() == 0 {
            self.reserved = self.spare.pop().unwrap_or_default();
        }
        if self.reserved.len() < len {
            self.reserved.resize(len, 0);
        }
        Some(&mut self.reserved[..len])
    }

    fn has_room(&mut self, _len: usize) -> bool {
        self.ready.len() < FRAMES_MAX
    }

    fn room_for(&mut self, _len: usize) -> usize {
        FRAMES_MAX.saturating_sub(self.ready.len())
    }

    fn commit(&mut self, len: usize, meta: TxMeta) {
        let mut frame = std::mem::take(&mut self.reserved);
        frame.truncate(len);
        self.ready.push((frame, meta));
    }
}

#[cfg(test)]
mod tests;
