//! A TCP/UDP/IP host, sans-IO: IP, neighbours, ICMP, routing, demux, sockets, listeners, TIME_WAIT.

#![forbid(unsafe_code)]

mod demux;
mod flow;
mod isn;
mod slab;
mod wheel;
mod random;
