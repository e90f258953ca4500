//! The doorways of a stack: how frames come in and where frames go out.
//! Owns: interface numbers and the seam between several interfaces and several sinks. Borrows: `wire::meta`'s frame types.
//! Invariants: a frame is borrowed for the length of one call and outlives nothing; what goes out is written straight into
//! the device's memory.
//! Not here: devices (`device`), what a frame means (`ip`).

pub use wire::meta::{
    Capabilities, ChecksumOffload, FrameBatch, FrameSink, Gso, GsoKind, Medium, RxFrame, RxMeta, TxMeta,
};

/// One of a host's interfaces: its place in `Config::interfaces`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InterfaceId(pub u8);

impl InterfaceId {
    /// The interface that every host has and no device serves: packets to the host's own addresses pass through it.
    pub const LOOPBACK: Self = Self(u8::MAX);

    /// As an index into the configured interfaces; `None` for loopback.
    pub fn index(self) -> Option<usize> {
        (self != Self::LOOPBACK).then_some(usize::from(self.0))
    }
}

/// Where the frames of each interface go. Every `FrameSink` is one: with a single interface, hand in the device's sink.
pub trait Outlets {
    /// The sink of `interface`, or nothing if nobody takes its frames in this call.
    fn outlet(&mut self, interface: InterfaceId) -> Option<&mut dyn FrameSink>;
}

impl<S: FrameSink> Outlets for S {
    fn outlet(&mut self, _interface: InterfaceId) -> Option<&mut dyn FrameSink> {
        Some(self)
    }
}

/// The sinks of several interfaces, in the order of `Config::interfaces`.
pub struct SinkPerInterface<'a, 'b>(pub &'a mut [&'b mut dyn FrameSink]);

impl Outlets for SinkPerInterface<'_, '_> {
    fn outlet(&mut self, interface: InterfaceId) -> Option<&mut dyn FrameSink> {
        let sink = self.0.get_mut(interface.index()?)?;
        Some(&mut **sink)
    }
}

/// A sink that keeps its frames in memory, up to a bound: for tests, simulators and pipes between stacks. Buffers are kept for
/// the next frames, so a warm queue does not allocate.
#[derive(Debug, Default)]
pub struct FrameQueue {
    frames: std::collections::VecDeque<(Vec<u8>, TxMeta)>,
    spare: Vec<Vec<u8>>,
    reserved: Vec<u8>,
    frames_max: usize,
}

impl FrameQueue {
    /// A queue of at most `frames_max` frames.
    pub fn new(frames_max: usize) -> Self {
        Self { frames_max, ..Self::default() }
    }

    /// The oldest frame; give it back with [`recycle`](Self::recycle) to keep its buffer in use.
    pub fn pop(&mut self) -> Option<(Vec<u8>, TxMeta)> {
        self.frames.pop_front()
    }

    /// Takes a frame's buffer back.
    pub fn recycle(&mut self, buffer: Vec<u8>) {
        if self.spare.len() < self.frames_max {
            self.spare.push(buffer);
        }
    }

    /// Frames waiting.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether no frame waits.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }
}

impl FrameSink for FrameQueue {
    fn reserve(&mut self, len: usize) -> Option<&mut [u8]> {
        if self.frames.len() >= self.frames_max {
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
        self.frames.len() < self.frames_max
    }

    fn room_for(&mut self, _len: usize) -> usize {
        self.frames_max.saturating_sub(self.frames.len())
    }

    fn commit(&mut self, len: usize, meta: TxMeta) {
        let mut frame = std::mem::take(&mut self.reserved);
        frame.truncate(len);
        self.frames.push_back((frame, meta));
    }
}

#[cfg(test)]
mod tests;
