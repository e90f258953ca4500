//! What stands around a stream's octets: WebSocket frames, and what a trusted proxy says first.
//!
//! Spec: RFC 6455 section 5 as RFC 7395 narrows it; the PROXY protocol, versions 1 and 2.
//! Owns: nothing but what a decoder holds of a message in pieces.
//! Invariants: octets in, values out; no IO and no clock. However its input is cut, a decoder says the same.
//! Not here: TLS and QUIC (libraries), the HTTP upgrade (`server`), the stream itself (`session`).
//!
//! A crate of its own, so that what reads the first octets of a stranger is fuzzed without the server around it.

#![forbid(unsafe_code)]

pub mod fuzz;
pub mod proxy;
pub mod websocket;
