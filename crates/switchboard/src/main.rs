//! Switchboard: instant messaging by number, over TCP and UDP.

fn main() {}
