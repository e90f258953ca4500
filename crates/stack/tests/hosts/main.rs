//! Hosts on a link: whole stacks that talk over a cable in memory, by virtual time.
//!
//! `lan` is the cable and the helper that every test speaks through.

extern crate switchboard_stack as stack;

mod autoconfiguration;
mod fragments;
mod groups;
mod hostile;
mod icmp;
mod lan;
mod neighbors;
mod udp;
