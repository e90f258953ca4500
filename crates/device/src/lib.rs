//! Devices: what carries frames to and from a stack, many a call.
//!
//! Spec: the offloads are virtio-net's vocabulary (`wire::meta`), which TUN and most NICs can express.
//! Owns: the trait [`Device`], and the devices: [`memory`] (pairs and hubs), [`fault`] (a bad link around a device),
//! [`pcap`] (writes down what passes, reads captures), [`tun`] (Linux: tun and tap), [`packet`] (Linux: what passes an interface, to look at).
//! Invariants: frames belong to the device, which hands out views of them; a device keeps what it was given only within
//! its bound, and counts what it dropped; no device reads a clock.
//! Not here: what a frame means (`stack`), threads and sleeping (`net`, `server`).
//!
//! # A turn
//! ```
//! use switchboard_device::{Device, memory};
//! use wire::meta::{Capabilities, FrameBatch, Nanos, TxMeta};
//!
//! let (mut a, mut b) = memory::pair(Capabilities::default());
//! let now = Nanos(0);
//! let sink = a.transmit(now, 0);
//! if let Some(room) = sink.reserve(5) {
//!     room.copy_from_slice(b"frame");
//!     sink.commit(5, TxMeta::default());
//! }
//! a.flush(now, 0)?;
//! let batch = b.receive(now, 0, 64)?;
//! assert_eq!(batch.frame(0).bytes, b"frame");
//! # Ok::<(), std::io::Error>(())
//! ```

#![deny(unsafe_code)]

pub mod fault;
pub mod memory;
#[cfg(target_os = "linux")]
pub mod packet;
pub mod pcap;
#[cfg(target_os = "linux")]
pub mod tun;

use std::io;
use std::os::fd::BorrowedFd;

use wire::meta::{Capabilities, FrameBatch, FrameSink, Nanos};

/// What carries frames. Each queue belongs to one stack; `queue` is below [`Capabilities::queues`].
///
/// The shape fits rings that the kernel shares (AF_XDP): received frames stay in the device's memory until the next
/// [`receive`](Device::receive) on that queue, and frames to be sent are written straight into it.
pub trait Device {
    /// What it can do. Does not change while it is open.
    fn capabilities(&self) -> Capabilities;

    /// What has arrived on a queue, at most `frames_max` frames; gives back the batch before.
    ///
    /// # Errors
    /// The device is gone or broken; that nothing has arrived is an empty batch.
    fn receive(&mut self, now: Nanos, queue: u16, frames_max: usize) -> io::Result<&dyn FrameBatch>;

    /// Where frames to be sent on a queue are written. They leave at [`flush`](Device::flush) at the latest.
    fn transmit(&mut self, now: Nanos, queue: u16) -> &mut dyn FrameSink;

    /// Sends what was written and is due.
    ///
    /// # Errors
    /// The device is gone or broken; frames it cannot take are dropped and counted.
    fn flush(&mut self, now: Nanos, queue: u16) -> io::Result<()>;

    /// When the device wants to be polled though nothing arrives: a frame that it holds back is due.
    fn next_deadline(&self) -> Option<Nanos> {
        None
    }

    /// What to wait on for frames to arrive, where there is such a thing.
    fn descriptor(&self, _queue: u16) -> Option<BorrowedFd<'_>> {
        None
    }

    /// What it dropped so far.
    fn dropped(&self) -> Dropped {
        Dropped::default()
    }
}

/// Counters of frames that a device did not carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dropped {
    /// Arrived and did not fit.
    pub received: u64,
    /// Were to be sent and could not be.
    pub sent: u64,
}
