//! One TCP connection to RFC 9293, sans-IO: no clock, no address, no device.

#![forbid(unsafe_code)]

mod budget;
mod buffer;
mod reassembly;
mod seq;
mod time;

pub use budget::{BLOCK_SIZE, Block, Budget, Purpose};
pub use buffer::Slices;
pub use seq::{SackBlocks, SeqNum, SeqRange};
pub use time::Instant;
