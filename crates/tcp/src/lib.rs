//! One TCP connection to RFC 9293, sans-IO: no clock, no address, no device.

#![forbid(unsafe_code)]

mod budget;
mod buffer;
mod config;
mod congestion;
mod delayed_ack;
mod keepalive;
mod persist;
mod pmtu;
mod reassembly;
mod recovery;
mod retransmit;
mod rtt;
mod sack;
mod seq;
mod tick;
mod time;

pub use budget::{BLOCK_SIZE, Block, Budget, Purpose};
pub use buffer::Slices;
pub use config::{EcnPolicy, Linger, Settings, TcpConfig, TestSwitches};
pub use congestion::CongestionKind;
pub use keepalive::KeepAliveSettings;
pub use seq::{SackBlocks, SeqNum, SeqRange};
pub use time::Instant;
