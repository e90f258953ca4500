//! SYN cookies: answering a SYN without remembering it, when there is no room to.
//! Spec: RFC 4987 3.6 and appendix A (Bernstein's layout); the timestamp bits are Linux's idea.
//! Owns: two keys. Borrows: the time.
//! Invariants: a cookie is good for the minute it was made in and the one after; what it cannot carry is not agreed on.
//! Not here: when a cookie is sent (`tcp_host`: when the SYN cache is full).
//!
//! ```text
//!   ISN - F1(four-tuple) - IRS =  | minute (8) | F2(four-tuple, IRS, minute) + index of the MSS (24) |
//!   low bits of TSval          =  ... | ECN (1) | SACK (1) | window scale, 15 for none (4) |
//! ```

use crate::flow::FlowKey;
use crate::random::{HashKey, Secret};
use tcp::{Instant, SeqNum};

/// The MSSs a cookie can carry: what real peers announce, each rounded down (Linux's tables, joined).
const MSS: [u16; 8] = [536, 1220, 1300, 1360, 1400, 1440, 1460, 8960];

/// Seconds a period.
const PERIOD_SECS: u64 = 60;
/// A cookie of an earlier period is believed up to this age.
const PERIODS_MAX: u32 = 1;

const OPTION_BITS: u32 = 6;
const OPTION_MASK: u32 = (1 << OPTION_BITS) - 1;
const NO_SCALE: u32 = 0xf;

/// What a timestamp carries over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CookieOptions {
    pub(crate) window_scale: Option<u8>,
    pub(crate) sack: bool,
    pub(crate) ecn: bool,
}

/// The baker.
#[derive(Debug)]
pub(crate) struct SynCookies {
    flow: HashKey,
    minute: HashKey,
}

impl SynCookies {
    pub(crate) fn new(secret: &Secret) -> Self {
        SynCookies { flow: secret.key("tcp cookie flow"), minute: secret.key("tcp cookie minute") }
    }

    fn period(now: Instant) -> u32 {
        (now.as_millis() / 1_000 / PERIOD_SECS) as u32
    }

    fn base(&self, flow: &FlowKey, irs: SeqNum) -> u32 {
        (self.flow.digest(&[&flow.bytes()]) as u32).wrapping_add(irs.raw())
    }

    fn mask(&self, flow: &FlowKey, irs: SeqNum, period: u32) -> u32 {
        self.minute.digest(&[&flow.bytes(), &irs.raw().to_be_bytes(), &period.to_be_bytes()]) as u32
    }

    /// The ISS that answers a SYN with `irs` and `mss`.
    pub(crate) fn make(&self, now: Instant, flow: &FlowKey, irs: SeqNum, mss: u16) -> SeqNum {
        let index = MSS.iter().rposition(|known| *known <= mss).unwrap_or(0) as u32;
        let period = Self::period(now);
        let low = self.mask(flow, irs, period).wrapping_add(index) & 0x00ff_ffff;
        SeqNum(self.base(flow, irs).wrapping_add(period << 24).wrapping_add(low))
    }

    /// The MSS that the cookie `iss` carries, if it is one of ours and fresh.
    pub(crate) fn check(&self, now: Instant, flow: &FlowKey, irs: SeqNum, iss: SeqNum) -> Option<u16> {
        let inner = iss.raw().wrapping_sub(self.base(flow, irs));
        let period = Self::period(now);
        let age = (period & 0xff).wrapping_sub(inner >> 24) & 0xff;
        if age > PERIODS_MAX {
            return None;
        }
        let index = inner.wrapping_sub(self.mask(flow, irs, period.wrapping_sub(age))) & 0x00ff_ffff;
        MSS.get(index as usize).copied()
    }

    /// A TSval not after `clock` whose low bits carry the options.
    pub(crate) fn stamp(clock: u32, options: CookieOptions) -> u32 {
        let scale = options.window_scale.map_or(NO_SCALE, |scale| u32::from(scale.min(14)));
        let bits = scale | u32::from(options.sack) << 4 | u32::from(options.ecn) << 5;
        let stamp = clock & !OPTION_MASK | bits;
        if stamp.wrapping_sub(clock) as i32 > 0 { stamp.wrapping_sub(1 << OPTION_BITS) } else { stamp }
    }

    /// The options in the TSecr that came back.
    pub(crate) fn options(echo: u32) -> CookieOptions {
        let scale = echo & 0xf;
        CookieOptions {
            window_scale: (scale != NO_SCALE).then_some(scale as u8),
            sack: echo & 0x10 != 0,
            ecn: echo & 0x20 != 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CookieOptions, MSS, SynCookies};
    use crate::flow::FlowKey;
    use crate::random::Secret;
    use tcp::{Instant, SeqNum};

    fn flow(port: u16) -> FlowKey {
        FlowKey::new(([10, 0, 0, 1], 80).into(), ([10, 0, 0, 2], port).into())
    }

    #[test]
    fn a_cookie_keeps_the_mss_rounded_down() {
        let cookies = SynCookies::new(&Secret::from_seed(1));
        let now = Instant::from_secs(1_000);
        for (offered, kept) in [(1460, 1460), (1459, 1440), (100, 536), (65_535, 8960)] {
            let iss = cookies.make(now, &flow(1), SeqNum(77), offered);
            assert_eq!(cookies.check(now, &flow(1), SeqNum(77), iss), Some(kept));
        }
    }

    #[test]
    fn it_is_good_for_its_own_flow_and_for_a_minute_or_two() {
        let cookies = SynCookies::new(&Secret::from_seed(1));
        let made = Instant::from_secs(60 * 300);
        let iss = cookies.make(made, &flow(1), SeqNum(77), 1460);
        let check = |secs, port, irs| cookies.check(Instant::from_secs(secs), &flow(port), SeqNum(irs), iss);
        assert_eq!(check(60 * 300 + 119, 1, 77), Some(1460));
        assert_eq!(check(60 * 300 + 121, 1, 77), None);
        assert_eq!(check(60 * 300, 2, 77), None);
        assert_eq!(check(60 * 300, 1, 78), None);
        assert_eq!(check(60 * (300 + 256), 1, 77), None, "the minute's low bits come round");
    }

    #[test]
    fn guesses_fail() {
        let cookies = SynCookies::new(&Secret::from_seed(1));
        let now = Instant::from_secs(1_000);
        let hits = (0..200_000u32)
            .filter(|i| {
                cookies.check(now, &flow(1), SeqNum(5), SeqNum(i.wrapping_mul(0x9e37_79b9))).is_some()
            })
            .count();
        // Two periods times eight indices of 2^32 ISSs are good.
        assert!(hits <= 1, "{hits}");
        assert!(MSS.is_sorted());
    }

    #[test]
    fn a_timestamp_carries_the_options_and_does_not_run_ahead() {
        for clock in [0u32, 5, 63, 64, 1_000_003, u32::MAX] {
            for scale in [None, Some(0), Some(7), Some(14)] {
                for bits in 0..4 {
                    let options =
                        CookieOptions { window_scale: scale, sack: bits & 1 != 0, ecn: bits & 2 != 0 };
                    let stamp = SynCookies::stamp(clock, options);
                    assert_eq!(SynCookies::options(stamp), options);
                    assert!(clock.wrapping_sub(stamp) < 128);
                }
            }
        }
    }
}
