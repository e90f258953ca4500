//! Development tasks: check, interop, fuzz.

fn main() {}
