//! Pacing: new data leaves no faster than the window a round trip, where no ACKs set the pace.
//! Spec: none obliges; RFC 9406 4.3 and RFC 9937 ask for it where bursts would follow; the factors are Linux's (`congestion`).
//! Units: rates in octets a second.
//! Owns: the time up to which what has left is paid for. Borrows: the rate, the time.
//! Invariants: what is ahead of its time is at most a lead; the timer runs only while something was held back.
//! Not here: how much may be in flight (`congestion`), retransmissions, which `prr` paces by ACKs.

use core::time::Duration;

use crate::time::Instant;

/// How far ahead of its time data may leave: two ticks of a stack's timing wheel, so that a wake-up that comes late costs nothing.
/// Paths whose round trip is shorter are never paced: their ACKs come as fast as any timer would.
pub(crate) const LEAD: Duration = Duration::from_millis(2);

/// Segments that may leave at once whatever the rate: an initial window (RFC 6928).
const BURST_SEGMENTS: u32 = 10;

/// When new data may leave.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pacer {
    /// What has left is paid for up to here.
    paid: Instant,
    /// Nothing leaves before.
    held_until: Option<Instant>,
}

fn time_of(octets: u32, rate: u64) -> Duration {
    Duration::from_nanos(
        (u128::from(octets) * 1_000_000_000 / u128::from(rate.max(1))).min(1_000_000_000) as u64
    )
}

impl Pacer {
    pub(crate) fn reset(&mut self) {
        *self = Pacer::default();
    }

    /// Octets have left; without a rate they cost nothing.
    pub(crate) fn on_sent(&mut self, now: Instant, octets: u32, rate: Option<u64>) {
        self.held_until = None;
        if let Some(rate) = rate {
            self.paid = self.paid.max(now) + time_of(octets, rate);
        }
    }

    /// Octets that may leave now, at least one segment of `smss`; none: later, at [`Pacer::deadline`].
    pub(crate) fn allowance(&mut self, now: Instant, smss: u32, rate: u64) -> Option<u32> {
        let lead = LEAD.max(time_of(BURST_SEGMENTS * smss, rate));
        let ahead = self.paid - now;
        if ahead >= lead {
            self.held_until = Some(self.paid - lead + time_of(smss, rate));
            return None;
        }
        self.held_until = None;
        // With the nanosecond that rounding took from the lead: a burst of ten is ten, not nine and a bit.
        let room = u128::from(rate) * ((lead - ahead).as_nanos() + 1) / 1_000_000_000;
        Some(u32::try_from(room).unwrap_or(u32::MAX).max(smss))
    }

    /// The timer has done its work.
    pub(crate) fn on_timeout(&mut self) {
        self.held_until = None;
    }

    /// When what was held back may leave.
    pub(crate) const fn deadline(&self) -> Option<Instant> {
        self.held_until
    }
}

#[cfg(test)]
mod tests;
