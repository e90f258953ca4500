//! The exchange as its clients see it: real sockets over loopback, a raw client that shares no code with it.

mod carriers;
mod client;
mod house;
