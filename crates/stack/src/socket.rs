//! Sockets: the calls of a program, RFC 9293 3.9.1 for TCP and RFC 768 for UDP.
//! Not here: what the calls set in motion (`tcp_host`, `udp`).

pub mod error;
pub mod options;
pub mod tcp;
pub mod udp;
