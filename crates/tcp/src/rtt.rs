//! Round-trip time: SRTT and RTTVAR, and the retransmission timeout that follows from them.
//! Spec: RFC 6298 sections 2 and 5.7; RFC 7323 appendix G (many samples a round trip).
//! Units: SRTT in eighths and RTTVAR in quarters of a microsecond, so that the RFC's divisions lose nothing that matters.
//! Owns: the estimate. Borrows: the bounds of the RTO from `config`.
//! Invariants: without a sample there is no SRTT; with one it is positive. Twelve bytes, since an idle connection keeps it.
//! Not here: which segments may be timed (Karn: `retransmit`), backoff (`retransmit`).

use core::time::Duration;

use crate::config::TcpConfig;
use crate::time::nanos_of;

/// RFC 6298 5.7: the RTO once data flows, if the SYN had to be sent again with a shorter one.
const RTO_AFTER_SYN_TIMEOUT: Duration = Duration::from_secs(3);

/// What RTTVAR holds while SRTT is absent and 5.7 applies.
const SYN_TIMED_OUT: u32 = u32::MAX;

/// SRTT, RTTVAR and the least round trip seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RttEstimator {
    srtt_eighths: u32,
    rttvar_quarters: u32,
    min_micros: u32,
}

impl RttEstimator {
    /// Nothing measured yet.
    pub(crate) const fn new() -> Self {
        RttEstimator { srtt_eighths: 0, rttvar_quarters: 0, min_micros: u32::MAX }
    }

    /// A round trip was measured; `samples_per_rtt` of them are expected in one (RFC 7323 appendix G: FlightSize / 2 SMSS).
    pub(crate) fn on_sample(&mut self, rtt: Duration, samples_per_rtt: u32) {
        // 2^28 us, four and a half minutes, keeps the eighths within 32 bits.
        let rtt = u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX).clamp(1, (1 << 28) - 1);
        self.min_micros = self.min_micros.min(rtt as u32);
        if self.srtt_eighths == 0 {
            // RFC 6298 2.2: SRTT <- R, RTTVAR <- R/2.
            self.srtt_eighths = (rtt * 8) as u32;
            self.rttvar_quarters = (rtt * 2) as u32;
            return;
        }
        // RFC 6298 2.3, alpha = 1/8, beta = 1/4, each divided by the samples a round trip.
        let weight = i64::from(samples_per_rtt.max(1));
        let (srtt, rttvar) = (i64::from(self.srtt_eighths), i64::from(self.rttvar_quarters));
        let (rtt8, srtt_micros) = (rtt as i64 * 8, srtt / 8);
        let deviation4 = (rtt as i64 - srtt_micros).abs() * 4;
        self.rttvar_quarters = (rttvar + (deviation4 - rttvar) / (4 * weight)).max(0) as u32;
        self.srtt_eighths = (srtt + (rtt8 - srtt) / (8 * weight)).max(1) as u32;
    }

    /// The timer expired on our SYN.
    pub(crate) fn on_syn_timeout(&mut self) {
        if self.srtt_eighths == 0 {
            self.rttvar_quarters = SYN_TIMED_OUT;
        }
    }

    /// The retransmission timeout without backoff.
    pub(crate) fn rto(&self, config: &TcpConfig) -> Duration {
        let rto = if self.srtt_eighths > 0 {
            // RFC 6298 2.3, but as Linux does the least RTO bounds the variance term, so that RTO > SRTT + rto_min always. In
            // nanoseconds, since this is asked for every segment: neither term reaches 2^43.
            let variance = u64::from(self.rttvar_quarters) * 1_000;
            Duration::from_nanos(self.srtt_nanos().saturating_add(variance.max(nanos_of(config.rto_min))))
        } else if self.rttvar_quarters == SYN_TIMED_OUT {
            config.rto_initial.max(RTO_AFTER_SYN_TIMEOUT)
        } else {
            config.rto_initial
        };
        rto.min(config.rto_max)
    }

    /// SRTT in nanoseconds; zero without a sample.
    fn srtt_nanos(&self) -> u64 {
        u64::from(self.srtt_eighths) * 125
    }

    /// The smoothed round-trip time.
    pub(crate) fn srtt(&self) -> Option<Duration> {
        (self.srtt_eighths > 0).then(|| Duration::from_nanos(self.srtt_nanos()))
    }

    /// The round-trip time variation.
    pub(crate) fn rttvar(&self) -> Option<Duration> {
        (self.srtt_eighths > 0).then(|| Duration::from_nanos(u64::from(self.rttvar_quarters) * 250))
    }

    /// The least round-trip time measured.
    pub(crate) fn min_rtt(&self) -> Option<Duration> {
        (self.min_micros != u32::MAX).then(|| Duration::from_micros(u64::from(self.min_micros)))
    }
}

#[cfg(test)]
mod tests;
