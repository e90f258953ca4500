//! CUBIC's part: the window follows a cubic curve of the time since the last loss, flat around where the loss was.
//! Spec: RFC 9438 sections 4.1 to 4.8. Units: windows in segments as `f64` (the curve needs fractions; plain IEEE operations
//! give the same bits on every machine), times in seconds.
//! Owns: W_max, K, the epoch, the Reno-friendly estimate.
//! Invariants: a step never exceeds half of the window (target <= 1.5 cwnd); no growth is counted for time not used.
//! Not here: slow start and bounds, which all algorithms share (`mod`); HyStart++ (`hystart`).

use core::time::Duration;

use super::Window;
use crate::time::Instant;

/// RFC 9438 4.6: multiplicative decrease to 0.7.
const BETA: f64 = 0.7;
/// RFC 9438 5.1: how steep the curve is, in segments a second cubed.
const C: f64 = 0.4;
/// RFC 9438 4.3: makes the estimate grow as Reno would with BETA in place of one half.
const ALPHA: f64 = 3.0 * (1.0 - BETA) / (1.0 + BETA);

#[derive(Clone, Debug)]
pub(super) struct Cubic {
    w_max: f64,
    /// In octets, since the MSS is not known at rest.
    w_max_at_rest: u32,
    w_max_prior: f64,
    w_max_at_rest_prior: u32,
    /// cwnd just before the last reduction (4.3: from there on alpha is 1).
    cwnd_prior: f64,
    epoch: Option<Epoch>,
    last: Instant,
    fraction: f64,
}

#[derive(Clone, Copy, Debug)]
struct Epoch {
    start: Instant,
    k: f64,
    w_est: f64,
}

/// The cube root of a number that is not negative, by Newton's method: `f64::cbrt` may differ from platform to platform.
fn cube_root(x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    let mut y = if x > 1.0 { x } else { 1.0 };
    // From above, each step takes off at least a third until it is near, then doubles the digits: 64 steps are ample
    // for any ratio of two windows.
    for _ in 0..64 {
        let next = y - (y - x / (y * y)) / 3.0;
        if next >= y {
            break;
        }
        y = next;
    }
    y
}

impl Cubic {
    pub(super) const fn new(w_max_at_rest: u32, now: Instant) -> Self {
        Cubic {
            w_max: 0.0,
            w_max_at_rest,
            w_max_prior: 0.0,
            w_max_at_rest_prior: 0,
            cwnd_prior: 0.0,
            epoch: None,
            last: now,
            fraction: 0.0,
        }
    }

    /// W_max in octets, for the time of rest.
    pub(super) const fn w_max(&self) -> u32 {
        self.w_max_at_rest
    }

    fn set_w_max(&mut self, segments: f64, smss: u32) {
        self.w_max = segments;
        self.w_max_at_rest = (segments * f64::from(smss)) as u32;
    }

    /// `before` was in flight before this segment: none means that the curve's time stood still (5.8).
    pub(super) fn on_sent(&mut self, now: Instant, before: u32) {
        if before == 0 {
            self.pass_over(now);
        }
    }

    /// A rest. If it cost some of the window, the curve begins anew from what is left.
    pub(super) fn on_idle(&mut self, now: Instant, reduced: bool) {
        self.pass_over(now);
        if reduced {
            self.epoch = None;
        }
    }

    /// An ACK while the window did not limit the sender.
    pub(super) fn on_idle_ack(&mut self, now: Instant) {
        self.pass_over(now);
    }

    fn pass_over(&mut self, now: Instant) {
        if let Some(epoch) = &mut self.epoch {
            epoch.start += now.since(self.last);
        }
        self.last = now;
    }

    pub(super) fn avoid(&mut self, window: &mut Window, acked: u32, now: Instant, srtt: Option<Duration>) {
        self.last = now;
        let smss = f64::from(window.smss);
        let cwnd = f64::from(window.cwnd) / smss;
        let acked = f64::from(acked) / smss;
        let mut epoch = self.epoch.unwrap_or_else(|| self.begin(cwnd, now, window.smss));

        // 4.3: what Reno would have by now.
        let alpha = if epoch.w_est < self.cwnd_prior { ALPHA } else { 1.0 };
        epoch.w_est += alpha * acked / cwnd;
        self.epoch = Some(epoch);

        let t = now.since(epoch.start).as_secs_f64();
        let rtt = srtt.unwrap_or_default().as_secs_f64();
        let next = if self.curve(t, epoch.k) < epoch.w_est {
            epoch.w_est.max(cwnd)
        } else {
            // 4.2, 4.4, 4.5: towards where the curve will be in one round trip.
            let target = self.curve(t + rtt, epoch.k).clamp(cwnd, 1.5 * cwnd);
            cwnd + (target - cwnd) / cwnd * acked
        };
        let next = next.min(1.5 * cwnd);
        let grown = (next - cwnd) * smss + self.fraction;
        let whole = grown as u32;
        self.fraction = grown - f64::from(whole);
        window.grow(whole);
    }

    /// Congestion avoidance begins: after a loss the curve has its plateau at W_max; after a timeout or a slow start that met
    /// no loss it starts on the plateau, K = 0 (4.8).
    fn begin(&mut self, cwnd: f64, now: Instant, smss: u32) -> Epoch {
        if self.w_max == 0.0 {
            self.w_max = f64::from(self.w_max_at_rest) / f64::from(smss);
        }
        let k = if cwnd < self.w_max {
            cube_root((self.w_max - cwnd) / C)
        } else {
            self.set_w_max(cwnd, smss);
            0.0
        };
        Epoch { start: now, k, w_est: cwnd }
    }

    /// RFC 9438 equation 1.
    fn curve(&self, t: f64, k: f64) -> f64 {
        let d = t - k;
        C * d * d * d + self.w_max
    }

    pub(super) fn back_off(&mut self, window: &mut Window, flight: u32) {
        let cwnd = f64::from(window.cwnd) / f64::from(window.smss);
        (self.w_max_prior, self.w_max_at_rest_prior) = (self.w_max, self.w_max_at_rest);
        // 4.7, fast convergence: a flow that did not get back to its old height leaves room to newcomers.
        let w_max = if cwnd < self.w_max { cwnd * (1.0 + BETA) / 2.0 } else { cwnd };
        self.set_w_max(w_max, window.smss);
        self.cwnd_prior = cwnd;
        self.epoch = None;
        self.fraction = 0.0;
        // 4.6, on the flight rather than on cwnd, which may be larger than what was in use.
        window.reduce_to((u64::from(flight) * 7 / 10) as u32);
    }

    pub(super) fn on_timeout(&mut self) {
        self.epoch = None;
        self.fraction = 0.0;
        self.w_max = 0.0;
        self.w_max_at_rest = 0;
    }

    pub(super) fn undo(&mut self) {
        (self.w_max, self.w_max_at_rest) = (self.w_max_prior, self.w_max_at_rest_prior);
        self.epoch = None;
    }
}

#[cfg(test)]
mod tests {
    use super::cube_root;

    #[test]
    fn cube_roots_are_cube_roots() {
        for x in [1e-9, 0.001, 0.5, 1.0, 2.0, 27.0, 1e6, 1e12] {
            let y = cube_root(x);
            assert!((y * y * y - x).abs() <= x * 1e-12, "{x}: {y}");
        }
        assert!(cube_root(0.0) == 0.0);
    }
}
