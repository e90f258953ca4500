//! Chance: what the exchange draws for its protocols, from the system, or from a seed where a run is to be had again.
//! Owns: the seeded stream. Invariants: a seeded stream is drawn from by one thread at a time, so that its order is the
//! order of what happened; it is no secret, and nothing but a simulation may use it.
//! Not here: what TLS and QUIC draw, which is theirs.

use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};

/// Where randomness comes from.
#[derive(Debug)]
pub(crate) enum Chance {
    /// The system.
    System,
    /// A seed, and how many blocks have been drawn.
    Seeded { seed: u64, drawn: Mutex<u64> },
}

impl Chance {
    /// The stream of a seed.
    pub(crate) fn seeded(seed: u64) -> Self {
        Self::Seeded { seed, drawn: Mutex::new(0) }
    }

    /// Fills `into`.
    pub(crate) fn fill(&self, into: &mut [u8]) {
        match self {
            Self::System => getrandom::fill(into).expect("the system has randomness"),
            Self::Seeded { seed, drawn } => {
                let mut drawn = drawn.lock().unwrap_or_else(PoisonError::into_inner);
                for chunk in into.chunks_mut(32) {
                    *drawn += 1;
                    let block =
                        Sha256::new().chain_update(seed.to_le_bytes()).chain_update(drawn.to_le_bytes());
                    chunk.copy_from_slice(&block.finalize()[..chunk.len()]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_stream() {
        let draw = |chance: &Chance| {
            let mut octets = [0; 40];
            chance.fill(&mut octets);
            octets
        };
        let (first, again, other) = (Chance::seeded(7), Chance::seeded(7), Chance::seeded(8));
        let drawn = draw(&first);
        assert_eq!(drawn, draw(&again));
        assert_ne!(drawn, draw(&first), "it goes on");
        assert_ne!(drawn, draw(&other));
        assert_ne!(draw(&Chance::System), draw(&Chance::System));
    }
}
