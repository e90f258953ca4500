//! One TCP connection to RFC 9293, sans-IO: no clock, no address, no device.

#![forbid(unsafe_code)]

mod seq;

pub use seq::SeqNum;
