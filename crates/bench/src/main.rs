//! Side-by-side measurements of the exchange and the stack.

fn main() {}
