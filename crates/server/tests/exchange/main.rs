//! The exchange as its clients see it: real sockets over loopback, a raw client that shares no code with it.

#![allow(clippy::unwrap_used, reason = "in a test a surprise is a failure")]

mod away;
mod bad_input;
mod carriers;
mod client;
mod closing;
mod configured;
mod doors;
mod house;
mod instruments;
mod log_in;
mod pressure;
mod resume;
