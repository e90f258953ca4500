//! One TCP connection to RFC 9293, sans-IO: no clock, no address, no device.
//!
//! A [`Connection`] is told what happens and asked what to do about it; it does nothing by itself:
//!
//! ```text
//!   handle_segment  handle_timer  handle_unreachable  handle_path          send recv shutdown_* close abort set_option
//!            \          |               |               /                              |
//!             v         v               v              v                               v
//!         +-------------------------------------------------------------------------------+
//!         |                                   Connection                                  |
//!         +-------------------------------------------------------------------------------+
//!                  |                      |                         |
//!            poll_segment, payload   poll_events             next_deadline
//! ```
//!
//! After every input drain `poll_segment` until it is `None`, take `poll_events`, and ask `next_deadline`. Every call is handed
//! a [`Ctx`]: the time, the rules, the memory. Before a connection is dropped, [`Connection::release`] gives its memory back.
//!
//! Two automata exist without a connection, so that millions cost little: [`SynReceived`], a passive open that is not yet
//! acknowledged, and [`TimeWait`], what is left after the end. [`listen`] and [`make_reset`] answer where there is neither.
//!
//! # Reading order
//! 1. `seq`, `segment`, `state`, `tcb`: the words. `config`, `ctx`: what comes from outside.
//! 2. `connection`: the conductor. `arrives`: a segment, step by step; `predicted`: the one that was
//!    expected. `transmit`: what leaves. `user`: the calls. `timers`.
//! 3. Opening and closing: `listen`, `handshake`, `options`; `close`, `time_wait`, `reset`.
//! 4. Receiving: `acceptability`, `reassembly`, `buffer`, `window`, `delayed_ack`.
//! 5. Sending: `decision`, `records`, `usage`, `ack`, `rtt`, `retransmit`, `sack`, `rack`, `recovery`, `false_alarm`, `prr`,
//!    `tail_probe`, `congestion`, `pacing`, `persist`, `keepalive`, `user_timeout`, `pmtu`.
//! 6. `invariants`: what holds between any two events.
//!
//! # RFCs
//! 9293 (TCP); 5681, 6582, 8985, 9937, 3042, 6928, 9406, 9438 (congestion and loss); 3522, 3708, 4015, 5682 (false alarms); 6298 (RTO); 7323 (scale, timestamps, PAWS); 2018, 2883
//! (SACK, D-SACK); 3168 (ECN); 5961 (attacks); 1337, 6191 (TIME-WAIT); 5482 (user timeout); 6093 (urgent); 5461, 5927 (ICMP);
//! 1191, 8201, 4821 (path MTU).
//!
//! # Missing on purpose
//! Addresses, ports, checksums, ISN, cookies and tables are `stack`'s. IP options, the security compartment, TCP Fast Open, MD5 and
//! AO are not there at all.

#![forbid(unsafe_code)]

mod acceptability;
mod ack;
mod arrives;
mod budget;
mod buffer;
mod close;
mod config;
mod congestion;
mod connection;
mod ctx;
mod decision;
mod delayed_ack;
mod events;
mod false_alarm;
mod handshake;
mod info;
mod invariants;
mod keepalive;
mod listen;
mod options;
mod pacing;
mod persist;
mod pmtu;
mod predicted;
mod prr;
mod rack;
mod reassembly;
mod records;
mod recovery;
mod reset;
mod retransmit;
mod rtt;
mod sack;
mod segment;
mod seq;
mod state;
mod tail_probe;
mod tcb;
#[cfg(test)]
mod testing;
mod tick;
mod time;
mod time_wait;
mod timers;
mod transmit;
mod usage;
mod user;
mod user_timeout;
mod window;

pub use arrives::{Disposition, DropReason};
pub use budget::{BLOCK_SIZE, Block, Budget, Purpose};
pub use buffer::Slices;
pub use config::{EcnPolicy, Linger, Settings, TcpConfig, TestSwitches};
pub use congestion::CongestionKind;
pub use connection::{Connection, Opening};
pub use ctx::{Ctx, Memory};
pub use events::Events;
pub use handshake::{Restored, SynDisposition, SynReceived, SynTimeout};
pub use info::{Ages, End, RecoveryState, TcpInfo, Unreachable};
pub use keepalive::KeepAliveSettings;
pub use listen::{ListenDisposition, listen};
pub use reset::make_reset;
pub use segment::{Segment, SegmentOut};
pub use seq::{SackBlocks, SeqNum, SeqRange};
pub use state::State;
pub use time::Instant;
pub use time_wait::{TimeWait, TimeWaitDisposition};
pub use user::{RecvError, SendError, SendFlags};
