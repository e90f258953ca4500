//! Hosts on a link: whole stacks that talk over a cable in memory, by virtual time.
//!
//! `lan` is the cable and the helper that every test speaks through.

// A test that cannot set its scene has failed, wherever that happens.
#![allow(clippy::unwrap_used)]

extern crate switchboard_stack as stack;

mod autoconfiguration;
mod fragments;
mod groups;
mod hostile;
mod icmp;
mod lan;
mod neighbors;
mod turns;
mod udp;
