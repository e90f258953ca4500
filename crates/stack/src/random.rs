//! Keyed hashing and the stack's own die, both seeded by the secret that the owner hands in.
//! Spec: RFC 4086 (why what others may not guess is keyed); SipHash-1-3 for tables, SipHash-2-4 where an answer leaves the host.
//! Owns: the draw counter. Borrows: the secret, once, at construction.
//! Invariants: the same secret and the same calls give the same draws, so a simulated life can be played again.
//! Not here: what is done with a draw (ports, identifiers, jitter live in their rooms).

use siphasher::sip::{SipHasher13, SipHasher24};
use std::hash::{BuildHasher, Hasher};

/// What the host knows and its peers do not. Hand in 32 bytes of real entropy, or a seed in simulation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret([u8; 32]);

impl Secret {
    /// Wraps 32 bytes of entropy.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A secret for simulations and tests, where it has to be reproducible and need not be secret.
    pub fn from_seed(seed: u64) -> Self {
        let mut bytes = [0; 32];
        for (i, chunk) in bytes.chunks_exact_mut(8).enumerate() {
            let mut hasher = SipHasher24::new_with_keys(seed, i as u64);
            hasher.write_u64(seed);
            chunk.copy_from_slice(&hasher.finish().to_le_bytes());
        }
        Self(bytes)
    }

    /// A key of its own for each purpose, so that what one answer reveals says nothing about another.
    pub fn key(&self, purpose: &str) -> HashKey {
        let half = |at: usize| {
            let word = |i: usize| {
                u64::from_le_bytes(self.0[i..i + 8].try_into().expect("eight bytes of a fixed array of 32"))
            };
            let mut hasher = SipHasher24::new_with_keys(word(at), word(at + 8));
            hasher.write(purpose.as_bytes());
            hasher.finish()
        };
        HashKey { k0: half(0), k1: half(16) }
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A 128-bit key; also the `BuildHasher` of every table that strangers can fill or probe.
#[derive(Clone, Copy)]
pub struct HashKey {
    k0: u64,
    k1: u64,
}

impl HashKey {
    /// A hash whose value may leave the host (identifiers, interface identifiers): SipHash-2-4.
    pub fn digest(&self, parts: &[&[u8]]) -> u64 {
        if let [whole] = parts {
            return SipHasher24::new_with_keys(self.k0, self.k1).hash(whole);
        }
        let mut hasher = SipHasher24::new_with_keys(self.k0, self.k1);
        for part in parts {
            hasher.write(part);
        }
        hasher.finish()
    }

    /// The hash of a table's key whose octets lie together: SipHash-1-3 in one go.
    #[inline]
    pub fn hash(&self, bytes: &[u8]) -> u64 {
        SipHasher13::new_with_keys(self.k0, self.k1).hash(bytes)
    }
}

impl std::fmt::Debug for HashKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HashKey(..)")
    }
}

impl BuildHasher for HashKey {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_keys(self.k0, self.k1)
    }
}

/// The stack's die: a keyed hash of a counter, unpredictable without the secret and repeatable with it.
#[derive(Debug)]
pub struct Random {
    key: HashKey,
    drawn: u64,
}

impl Random {
    /// A die for one purpose.
    pub fn new(secret: &Secret, purpose: &str) -> Self {
        Self { key: secret.key(purpose), drawn: 0 }
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.drawn = self.drawn.wrapping_add(1);
        self.key.digest(&[&self.drawn.to_le_bytes()])
    }

    /// Uniform in `0..bound`; zero when `bound` is zero. The bias, below 2^-32 for every bound used here, is harmless.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }
}

#[cfg(test)]
mod tests;
