//! The exchange as its clients see it: real sockets over loopback, a raw client that shares no code with it.

mod away;
mod bad_input;
mod carriers;
mod client;
mod closing;
mod doors;
mod house;
mod pressure;
