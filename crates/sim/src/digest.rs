//! One number for a whole life: two runs that differ anywhere, in a frame or in its time, have different ones.
//! Owns: 64 bits. Not here: security; this finds accidents, not forgeries.

use crate::rng::split_mix;
use tcp::Instant;

/// The running digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Digest(u64);

impl Digest {
    /// Takes a number in.
    pub fn number(&mut self, x: u64) {
        self.0 = split_mix(self.0.rotate_left(5) ^ x);
    }

    /// Takes a moment in.
    pub fn instant(&mut self, at: Instant) {
        self.number(at.as_nanos());
    }

    /// Takes bytes in, their length included.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.number(u64::from_le_bytes(word));
        }
    }

    /// The number so far.
    pub fn value(&self) -> u64 {
        self.0
    }
}
