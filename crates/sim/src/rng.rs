//! Chance from a seed: small, fast, the same on every machine.
//! Spec: xoshiro256++ (Blackman and Vigna, 2019), its state filled by SplitMix64 as its authors advise.
//! Owns: 256 bits. Invariants: equal seeds give equal draws; a [`fork`](Rng::fork) draws independently of its parent.
//! Not here: secrets; nothing drawn here is hard to guess.

use std::time::Duration;

/// One part in a million: the unit of every probability here, an integer so that draws are the same everywhere.
pub const MILLION: u32 = 1_000_000;

/// A stream of draws.
#[derive(Debug, Clone)]
pub struct Rng {
    s: [u64; 4],
}

/// One step of SplitMix64: also how the content of streams is made (`oracle`).
pub fn split_mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

impl Rng {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Rng {
        let mut x = seed;
        let s = std::array::from_fn(|_| {
            let word = split_mix(x);
            x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
            word
        });
        Rng { s }
    }

    /// A stream of its own for a purpose, so that one more draw here changes nothing there.
    #[must_use]
    pub fn fork(&mut self) -> Rng {
        Rng::new(self.next_u64())
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        let s = &mut self.s;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// From `0..n`; zero for `n` zero. (The bias of the multiplication is below 2^-32 for the `n` used here.)
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(n)) >> 64) as u64
    }

    /// From `low..=high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low).saturating_add(1))
    }

    /// From `low..=high`, each order of magnitude as likely as the next: small values as often as large ones.
    pub fn spread(&mut self, low: u64, high: u64) -> u64 {
        let bits = |x: u64| u64::from(u64::BITS - x.leading_zeros());
        let width = self.between(bits(low), bits(high));
        let (least, most) = if width == 0 {
            (0, 0)
        } else {
            (1u64 << (width - 1), u64::MAX >> (u64::from(u64::BITS) - width))
        };
        self.between(least.max(low), most.min(high))
    }

    /// True `per_million` times in a million.
    pub fn chance(&mut self, per_million: u32) -> bool {
        per_million != 0 && self.below(u64::from(MILLION)) < u64::from(per_million)
    }

    /// Heads or tails.
    pub fn flip(&mut self) -> bool {
        self.next_u64() >> 63 == 1
    }

    /// One of `choices`, which is not empty.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// From zero to `most`.
    pub fn duration(&mut self, most: Duration) -> Duration {
        Duration::from_nanos(self.between(0, most.as_nanos() as u64))
    }
}

#[cfg(test)]
mod tests;
