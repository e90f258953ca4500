//! A TCP/UDP/IP host, sans-IO: IP, neighbours, ICMP, routing, demux, sockets, listeners, TIME_WAIT.
//!
//! A [`Stack`] is a value. It is told what arrived and what time it is, and asked what to send:
//!
//! ```text
//!   loop {
//!       stack.handle_frames(now, interface, &frames);        // what the device received
//!       stack.handle_deadline(now);                          // if next_deadline() has passed
//!       while let Some((socket, what)) = stack.poll_ready()  // read, write, accept until WouldBlock
//!       stack.poll_transmit(now, &mut sink);                 // what the device shall send
//!       sleep until frames come or stack.next_deadline(now)
//!   }
//! ```
//!
//! Reading order: `stack` (one turn), `frame` (its doorways), `config`; `ip` and its rooms; `udp`; `tcp_host` and its rooms;
//! `socket::{udp, tcp}` (the calls of programs).
//!
//! Spec: RFC 1122, RFC 791, RFC 8200, RFC 826, RFC 4861, RFC 4862, RFC 792, RFC 4443, RFC 768, RFC 9293, and what each room names.
//! Owns: a host. Invariants: no clock, no randomness but the secret handed in, no IO, no callback, no unbounded queue; the same
//! inputs give the same outputs, octet for octet.
//! Not here: one TCP connection's rules (`tcp`), header formats (`wire`), devices (`device`), threads and sleeping (`net`).

#![forbid(unsafe_code)]

pub mod config;
mod counters;
mod demux;
mod events;
mod flow;
pub mod frame;
pub mod hostile;
pub mod ip;
mod isn;
mod listener;
mod port;
mod random;
mod ready;
mod slab;
pub mod socket;
pub mod stack;
mod syn_cache;
mod syn_cookie;
mod tcp_host;
mod time_wait_table;
mod udp;
mod wheel;

pub use config::{Config, ConfigError, InterfaceConfig, RouteConfig};
pub use counters::{Counters, DropReason};
pub use events::{AddressChange, Direction, Event, Events};
pub use frame::InterfaceId;
pub use ip::icmp::EchoReply;
pub use ip::interface::{Address, AddressOrigin};
pub use ip::neighbor::NeighborState;
pub use ip::prefix::{Prefix, PrefixError};
pub use ip::route::{Route, RouteOrigin, RouteTableFull};
pub use ip::{AddressError, Delivery, Fragmentation, IpMeta};
pub use random::{HashKey, Random, Secret};
pub use ready::{Handle, Readiness, TcpHandle, UdpHandle};
pub use stack::Stack;
pub use tcp::Instant;
pub use tcp_host::TcpHostConfig;
