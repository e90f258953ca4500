//! Congestion control: how much may be in flight, told by a small vocabulary of events.
//! Spec: RFC 5681 sections 3 and 4.1; RFC 6928 (initial window); RFC 9438 in `cubic`, Reno in `reno`; RFC 9406 in `hystart`.
//! Units: windows in octets, rates in octets a second.
//! Owns: cwnd, ssthresh and what the algorithm remembers. Borrows: everything it is told.
//! Invariants: cwnd is at least one SMSS, ssthresh at least two; a window grows only while it is what limits the sender.
//! Not here: what is in flight and what is lost (`recovery`), when segments leave (`transmit`).

mod cubic;
mod hystart;
mod reno;

use core::time::Duration;

use crate::seq::SeqNum;
use crate::time::Instant;
use cubic::Cubic;
use hystart::{Growth, HyStart};
use reno::Reno;

/// TCP_CONGESTION.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum CongestionKind {
    /// RFC 9438.
    #[default]
    Cubic,
    /// RFC 5681.
    Reno,
}

/// What an idle connection remembers of its path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Resting {
    pub(crate) cwnd: u32,
    pub(crate) ssthresh: u32,
    pub(crate) w_max: u32,
}

impl Resting {
    /// A connection that has sent nothing: RFC 5681 3.1, ssthresh "arbitrarily high".
    pub(crate) const fn new(initial_window: u32) -> Self {
        Resting { cwnd: initial_window, ssthresh: u32::MAX, w_max: 0 }
    }
}

/// How fast the path took what it was given, measured over one ACK (draft-ietf-ccwg-bbr 4.1, "delivery rate sample").
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RateSample {
    /// Octets delivered over the interval.
    pub(crate) delivered: u64,
    /// The longer of the sending and the acknowledging phase.
    pub(crate) interval: Duration,
    /// The program, not the network, set the pace.
    pub(crate) app_limited: bool,
}

/// An ACK that shows something delivered, as congestion control sees it.
#[derive(Clone, Copy, Debug)]
#[expect(dead_code, reason = "the vocabulary carries what rate-based control will read")]
pub(crate) struct AckSample {
    pub(crate) now: Instant,
    /// SND.UNA, now.
    pub(crate) una: SeqNum,
    /// SND.NXT.
    pub(crate) nxt: SeqNum,
    /// Octets that this ACK shows delivered and none before did; without SACK, less a segment for each duplicate ACK.
    pub(crate) acked: u32,
    /// Octets in flight before.
    pub(crate) flight: u32,
    /// cwnd is what kept the sender from sending more.
    pub(crate) cwnd_limited: bool,
    /// The most octets in flight of the window that is being acknowledged.
    pub(crate) flight_max: u32,
    pub(crate) srtt: Option<Duration>,
    pub(crate) rtt: Option<Duration>,
    pub(crate) min_rtt: Option<Duration>,
    pub(crate) rate: Option<RateSample>,
    /// Fast recovery is under way: the window is `recovery`'s business.
    pub(crate) in_recovery: bool,
    /// New data is paced, so that no ACK makes a burst.
    pub(crate) paced: bool,
}

/// How congestion made itself known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LossKind {
    /// Duplicate ACKs or SACK (RFC 5681 3.2).
    FastRetransmit,
    /// ECN-Echo (RFC 3168 6.1.2).
    Ecn,
}

/// RFC 6928 section 2: min(n*MSS, max(2*MSS, n*1460)), written for n = 10.
pub(crate) const fn initial_window(smss: u32, segments: u32) -> u32 {
    let full = segments.saturating_mul(smss);
    let most = segments.saturating_mul(1460);
    let least = 2 * smss;
    let bound = if most > least { most } else { least };
    if full < bound { full } else { bound }
}

/// What both algorithms keep.
#[derive(Clone, Copy, Debug)]
struct Window {
    cwnd: u32,
    ssthresh: u32,
    smss: u32,
    /// Before the last reduction, for `undo`.
    prior: Option<(u32, u32)>,
}

/// A window larger than any that a scaled 16-bit field can ask for (RFC 7323 2.3: 2^30) is of no use.
const CWND_MAX: u32 = 1 << 30;

impl Window {
    const fn in_slow_start(&self) -> bool {
        self.cwnd < self.ssthresh
    }

    /// Nothing has told yet how much the path takes (RFC 9406 4.3: HyStart++ is for this one).
    const fn is_in_first_slow_start(&self) -> bool {
        self.ssthresh == u32::MAX
    }

    /// RFC 5681 3.1, with RFC 3465's byte counting. All that was acknowledged counts, as in Linux, since one ACK may stand
    /// for a whole super-segment. Returns what is left for congestion avoidance once ssthresh is reached.
    fn slow_start(&mut self, acked: u32) -> u32 {
        let step = acked.min(self.ssthresh.saturating_sub(self.cwnd));
        self.grow(step);
        acked - step
    }

    fn grow(&mut self, octets: u32) {
        self.cwnd = self.cwnd.saturating_add(octets).min(CWND_MAX);
    }

    fn remember(&mut self) {
        self.prior = Some((self.cwnd, self.ssthresh));
    }

    /// RFC 5681 equation 4, with the algorithm's own factor already applied to the flight.
    fn reduce_to(&mut self, ssthresh: u32) {
        self.ssthresh = ssthresh.max(2 * self.smss);
    }
}

#[derive(Clone, Debug)]
enum Algorithm {
    Reno(Reno),
    Cubic(Cubic),
}

/// The congestion state of a connection that is sending.
#[derive(Clone, Debug)]
pub(crate) struct Congestion {
    window: Window,
    hystart: HyStart,
    algorithm: Algorithm,
}

impl Congestion {
    /// Takes up from where the connection rested.
    pub(crate) fn wake(kind: CongestionKind, resting: Resting, smss: u32, now: Instant) -> Self {
        let window = Window { cwnd: resting.cwnd.max(smss), ssthresh: resting.ssthresh, smss, prior: None };
        let algorithm = match kind {
            CongestionKind::Cubic => Algorithm::Cubic(Cubic::new(resting.w_max, now)),
            CongestionKind::Reno => Algorithm::Reno(Reno::new()),
        };
        Congestion { window, hystart: HyStart::new(), algorithm }
    }

    /// What to remember while nothing is in flight.
    pub(crate) fn rest(&self) -> Resting {
        let w_max = match &self.algorithm {
            Algorithm::Cubic(cubic) => cubic.w_max(),
            Algorithm::Reno(_) => 0,
        };
        Resting { cwnd: self.window.cwnd, ssthresh: self.window.ssthresh, w_max }
    }

    pub(crate) const fn kind(&self) -> CongestionKind {
        match self.algorithm {
            Algorithm::Cubic(_) => CongestionKind::Cubic,
            Algorithm::Reno(_) => CongestionKind::Reno,
        }
    }

    /// cwnd.
    pub(crate) const fn window(&self) -> u32 {
        self.window.cwnd
    }

    pub(crate) const fn ssthresh(&self) -> u32 {
        self.window.ssthresh
    }

    #[cfg(test)]
    pub(crate) const fn in_slow_start(&self) -> bool {
        self.window.in_slow_start()
    }

    /// Octets a second to pace at, once a round trip is known: twice the window a round trip while it doubles, 1.2 times
    /// after, as Linux, so that pacing never is what limits.
    pub(crate) fn pacing_rate(&self, srtt: Option<Duration>) -> Option<u64> {
        let micros = u64::try_from(srtt?.as_micros()).ok()?.max(1);
        let percent = if self.window.cwnd < self.window.ssthresh / 2 { 200 } else { 120 };
        Some(u64::from(self.window.cwnd) * 10_000 * percent / micros)
    }

    /// `bytes` went out; `flight` is in flight now.
    pub(crate) fn on_sent(&mut self, now: Instant, bytes: u32, flight: u32) {
        if let Algorithm::Cubic(cubic) = &mut self.algorithm {
            cubic.on_sent(now, flight.saturating_sub(bytes));
        }
    }

    pub(crate) fn on_ack(&mut self, ack: &AckSample) {
        if ack.in_recovery {
            return;
        }
        // As Linux: slow start may go on to twice of what was in use, since that is what it is about to prove.
        let used = ack.cwnd_limited
            || (self.window.in_slow_start() && self.window.cwnd < ack.flight_max.saturating_mul(2));
        if !used {
            // RFC 7661 and RFC 9438 5.8: a window that is not used proves nothing about the path.
            if let Algorithm::Cubic(cubic) = &mut self.algorithm {
                cubic.on_idle_ack(ack.now);
            }
            return;
        }
        let mut acked = ack.acked;
        if self.window.is_in_first_slow_start() {
            match self.hystart.on_ack(ack, acked, self.window.smss) {
                Growth::By(octets) => self.window.grow(octets),
                // RFC 9406 4.2: ssthresh = cwnd, and congestion avoidance from here on.
                Growth::Last(octets) => {
                    self.window.grow(octets);
                    self.window.ssthresh = self.window.cwnd;
                }
            }
            acked = 0;
        } else if self.window.in_slow_start() {
            acked = self.window.slow_start(acked);
        }
        if acked > 0 {
            match &mut self.algorithm {
                Algorithm::Reno(reno) => reno.avoid(&mut self.window, acked),
                Algorithm::Cubic(cubic) => cubic.avoid(&mut self.window, acked, ack.now, ack.srtt),
            }
        }
    }

    /// Congestion was noticed, at most once a window of data.
    pub(crate) fn on_loss(&mut self, _now: Instant, _kind: LossKind, flight: u32) {
        self.window.remember();
        self.back_off(flight);
        self.window.cwnd = self.window.ssthresh;
    }

    /// The retransmission timer expired; `first` time for this data (RFC 5681 3.1: ssthresh stays at the second).
    pub(crate) fn on_timeout(&mut self, _now: Instant, flight: u32, first: bool) {
        if first {
            self.window.remember();
            self.back_off(flight);
        }
        if let Algorithm::Cubic(cubic) = &mut self.algorithm {
            cubic.on_timeout();
        }
        // RFC 5681 3.1: no more than the loss window, one full-sized segment.
        self.window.cwnd = self.window.smss;
    }

    fn back_off(&mut self, flight: u32) {
        // RFC 5681 3.1: what limited transmit sent beyond the window does not count.
        let flight = flight.min(self.window.cwnd);
        match &mut self.algorithm {
            Algorithm::Reno(reno) => reno.back_off(&mut self.window, flight),
            Algorithm::Cubic(cubic) => cubic.back_off(&mut self.window, flight),
        }
    }

    /// Everything that was out when loss was noticed is acknowledged (RFC 5681 3.2 step 6: deflate; RFC 9937 6: cwnd = ssthresh).
    pub(crate) fn on_recovered(&mut self, _now: Instant) {
        self.window.cwnd = self.window.ssthresh.max(self.window.smss);
    }

    /// Fast recovery sets the window itself, ACK by ACK (RFC 9937).
    pub(crate) fn set_recovery_window(&mut self, cwnd: u32) {
        self.window.cwnd = cwnd.clamp(self.window.smss, CWND_MAX);
    }

    /// The reduction was uncalled for: what seemed lost was late.
    pub(crate) fn undo(&mut self) {
        if let Some((cwnd, ssthresh)) = self.window.prior.take() {
            self.window.cwnd = self.window.cwnd.max(cwnd);
            self.window.ssthresh = ssthresh;
            if let Algorithm::Cubic(cubic) = &mut self.algorithm {
                cubic.undo();
            }
        }
    }

    pub(crate) fn on_mss(&mut self, smss: u32) {
        self.window.smss = smss;
        self.window.cwnd = self.window.cwnd.max(smss);
    }

    /// Nothing was sent for `idle`. RFC 5681 4.1 would fall to the restart window at once; as Linux (and RFC 2861) the
    /// window halves for each RTO that passed, and ssthresh remembers three quarters of it.
    pub(crate) fn on_idle(&mut self, now: Instant, idle: Duration, rto: Duration, restart_window: u32) {
        let floor = restart_window.min(self.window.cwnd);
        let rto = rto.max(Duration::from_millis(1));
        let mut left = idle;
        if left > rto {
            self.window.ssthresh = self.window.ssthresh.max(self.window.cwnd / 4 * 3);
        }
        while left > rto && self.window.cwnd > floor {
            left -= rto;
            self.window.cwnd /= 2;
        }
        self.window.cwnd = self.window.cwnd.max(floor);
        if let Algorithm::Cubic(cubic) = &mut self.algorithm {
            cubic.on_idle(now, left < idle);
        }
    }
}

#[cfg(test)]
mod tests;
