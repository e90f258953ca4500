//! Hashing of numbers that strangers may choose: account numbers and session ids.
//!
//! Owns: the keys, from the bytes that the router is handed. Invariants: the same key gives the same tables, so a run
//! can be replayed; without the key nobody can choose numbers that collide.
//! Not here: tables.

use std::hash::{BuildHasher, Hasher};

/// Makes hashers for `u64` keys: one multiplication to 128 bits, folded, with a secret on either side.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NumberHasher {
    add: u64,
    multiply: u64,
}

impl NumberHasher {
    pub(crate) fn new(key: [u8; 16]) -> Self {
        let key = u128::from_le_bytes(key);
        Self { add: key as u64, multiply: (key >> 64) as u64 | 1 }
    }
}

impl BuildHasher for NumberHasher {
    type Hasher = Folding;
    fn build_hasher(&self) -> Folding {
        Folding { keys: *self, state: 0 }
    }
}

/// The hasher of one number.
pub(crate) struct Folding {
    keys: NumberHasher,
    state: u64,
}

impl Hasher for Folding {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        let mixed = self.state ^ value ^ self.keys.add;
        let wide = u128::from(mixed) * u128::from(self.keys.multiply ^ 0x9e37_79b9_7f4a_7c15 | 1);
        // A second round spreads the high half into the bits that a table's group tag is taken from.
        let folded = wide as u64 ^ (wide >> 64) as u64;
        self.state = folded.wrapping_mul(0xd6e8_feb8_6659_fd93).rotate_left(32);
    }

    fn finish(&self) -> u64 {
        self.state
    }
}
