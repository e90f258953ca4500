//! The rate limit of our ICMP errors: one bucket for all, and one for each destination.
//! Spec: RFC 1122 3.2.2 and RFC 1812 4.3.2.8 (v4), RFC 4443 2.4 (f) (v6: a token bucket); the jitter answers CVE-2020-25705
//!       ("SAD DNS"), which counted a shared bucket from outside to find open ports.
//! Owns: the buckets. Invariants: fixed memory; what a stranger can learn from whether an answer came is blurred by up to three
//! tokens a message in the shared bucket, and says nothing of other destinations in theirs.
//! Not here: which errors may be sent at all (`icmp`).

use crate::random::{HashKey, Random};
use std::net::IpAddr;
use tcp::Instant;

/// Buckets for destinations; two that share one share its rate.
const DESTINATION_BUCKETS: usize = 256;

/// Thousandths of a token, so that slow rates refill smoothly.
const TOKEN: u64 = 1_000;

#[derive(Debug, Clone, Copy)]
struct Bucket {
    millitokens: u64,
    refilled: Instant,
}

impl Bucket {
    /// Tops the bucket up and reports whether it holds a token.
    fn refill(&mut self, now: Instant, per_sec: u64, burst: u64) -> bool {
        let elapsed_micros = now.since(self.refilled).as_micros();
        let earned = elapsed_micros.saturating_mul(u128::from(per_sec)) / 1_000;
        if earned > 0 {
            let earned = u64::try_from(earned).unwrap_or(u64::MAX);
            self.millitokens = self.millitokens.saturating_add(earned).min(burst * TOKEN);
            self.refilled = now;
        }
        self.millitokens >= TOKEN
    }
}

/// The limit.
#[derive(Debug)]
pub struct RateLimit {
    all: Bucket,
    destinations: Box<[Bucket; DESTINATION_BUCKETS]>,
    per_sec: u64,
    burst: u64,
    per_destination: u64,
    key: HashKey,
}

impl RateLimit {
    /// Full buckets.
    pub fn new(now: Instant, per_sec: u32, burst: u32, per_destination_per_sec: u32, key: HashKey) -> Self {
        let per_destination = u64::from(per_destination_per_sec);
        let full = |burst: u64| Bucket { millitokens: burst * TOKEN, refilled: now };
        Self {
            all: full(u64::from(burst)),
            destinations: Box::new([full(per_destination); DESTINATION_BUCKETS]),
            per_sec: u64::from(per_sec),
            burst: u64::from(burst),
            per_destination,
            key,
        }
    }

    /// Whether an error may go to `dst` now; if so, it is paid for.
    pub fn allow(&mut self, now: Instant, dst: IpAddr, random: &mut Random) -> bool {
        let hash = match dst {
            IpAddr::V4(a) => self.key.digest(&[&a.octets()]),
            IpAddr::V6(a) => self.key.digest(&[&a.octets()]),
        };
        let destination = &mut self.destinations[hash as usize % DESTINATION_BUCKETS];
        if !destination.refill(now, self.per_destination, self.per_destination)
            || !self.all.refill(now, self.per_sec, self.burst)
        {
            return false;
        }
        destination.millitokens -= TOKEN;
        // One token and up to two more, so that the number of answers left cannot be counted.
        let price = TOKEN + random.below(2 * TOKEN + 1);
        self.all.millitokens = self.all.millitokens.saturating_sub(price);
        true
    }
}

#[cfg(test)]
mod tests;
