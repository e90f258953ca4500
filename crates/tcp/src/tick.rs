//! An instant in four bytes, for the fields of the idle form.
//! Spec: none. Units: milliseconds modulo 2^32.
//! Owns: the type.
//! Invariants: comparisons are right as long as the two moments lie less than 24.8 days apart; whoever keeps a tick
//! longer than that says why it does not matter.
//! Not here: the timestamp option's clock (`options`), deadlines by name (`timers`).

use core::time::Duration;

use crate::time::Instant;

/// Milliseconds on the driver's clock, modulo 2^32.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Tick(u32);

impl Tick {
    /// The tick that `now` falls into.
    #[allow(clippy::cast_possible_truncation)] // Modulo 2^32 is the point.
    pub(crate) const fn at(now: Instant) -> Self {
        Tick(now.as_millis() as u32)
    }

    /// Half the circle before `now`: further back than any limit looks.
    pub(crate) const fn long_before(now: Instant) -> Self {
        Tick(Tick::at(now).0.wrapping_sub(1 << 31))
    }

    /// From milliseconds on the driver's clock, modulo 2^32.
    pub(crate) const fn from_millis(millis: u32) -> Self {
        Tick(millis)
    }

    /// Whether it is older than the tick that `at` falls into.
    pub(crate) const fn is_before(self, at: Instant) -> bool {
        self.0.wrapping_sub(Tick::at(at).0).cast_signed() < 0
    }

    /// How long before `now` this tick was; zero if it lies ahead.
    pub(crate) const fn elapsed(self, now: Instant) -> Duration {
        let millis = Tick::at(now).0.wrapping_sub(self.0);
        if millis > u32::MAX / 2 { Duration::ZERO } else { Duration::from_millis(millis as u64) }
    }

    /// How long before `now` this tick was, modulo 49.7 days: for limits, where a rare wrong "just now" does no harm.
    pub(crate) const fn turned(self, now: Instant) -> Duration {
        Duration::from_millis(Tick::at(now).0.wrapping_sub(self.0) as u64)
    }

    /// The first nanosecond of this tick, taken to be the one nearest to `now`.
    pub(crate) const fn near(self, now: Instant) -> Instant {
        let ahead = self.0.wrapping_sub(Tick::at(now).0).cast_signed();
        Instant::from_millis(now.as_millis().saturating_add_signed(ahead as i64))
    }
}

#[cfg(test)]
mod tests;
