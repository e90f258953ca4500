use super::{Growth, HyStart};
use crate::congestion::AckSample;
use crate::seq::SeqNum;
use crate::time::Instant;
use core::time::Duration;

const SMSS: u32 = 1000;

/// A sender of rounds: each ACK acknowledges one segment and lets two more out.
struct Rounds {
    room: HyStart,
    una: u32,
    nxt: u32,
    paced: bool,
}

impl Rounds {
    fn new() -> Self {
        Rounds { room: HyStart::new(), una: 0, nxt: 10, paced: true }
    }

    fn ack(&mut self, rtt: Option<u64>, segments: u32) -> Growth {
        self.una += segments;
        let sample = AckSample {
            now: Instant::ZERO,
            una: SeqNum(self.una * SMSS),
            nxt: SeqNum(self.nxt * SMSS),
            acked: segments * SMSS,
            flight: 0,
            cwnd_limited: true,
            flight_max: 0,
            srtt: None,
            rtt: rtt.map(Duration::from_millis),
            min_rtt: None,
            rate: None,
            in_recovery: false,
            paced: self.paced,
        };
        let growth = self.room.on_ack(&sample, segments * SMSS, SMSS);
        self.nxt += 2 * segments;
        growth
    }

    /// A whole round of single ACKs at one round-trip time; the last growth.
    fn round(&mut self, rtt: u64) -> Growth {
        let end = self.room.window_end.map_or(self.nxt, |end| end.raw() / SMSS);
        let mut growth = Growth::By(0);
        while self.una < end {
            growth = self.ack(Some(rtt), 1);
        }
        growth
    }
}

/// RFC 9406 4.2: RttThresh = max(4 ms, min(lastRoundMinRTT / 8, 16 ms)), asked with eight samples and more.
#[test]
fn a_round_that_is_longer_by_the_threshold_ends_slow_start() {
    for (last, current, exits) in [
        (20, 23, false),
        (20, 24, true),
        (80, 89, false),
        (80, 90, true),
        (400, 415, false),
        (400, 416, true),
    ] {
        let mut rounds = Rounds::new();
        rounds.round(last);
        rounds.round(last);
        for sample in 1..=8 {
            assert!(!rounds.room.is_conservative(), "{last} -> {current}: after {} samples", sample - 1);
            rounds.ack(Some(current), 1);
        }
        assert_eq!(rounds.room.is_conservative(), exits, "{last} -> {current}");
    }
}

/// 4.2: a quarter of the growth for five rounds, the one it began in counted; then congestion avoidance.
#[test]
fn conservative_slow_start_lasts_five_rounds() {
    let mut rounds = Rounds::new();
    rounds.round(20);
    rounds.round(20);
    assert_eq!(rounds.round(30), Growth::By(SMSS / 4), "the round it begins in");
    for _ in 0..3 {
        assert_eq!(rounds.round(30), Growth::By(SMSS / 4));
    }
    assert_eq!(rounds.round(30), Growth::Last(SMSS / 4));
}

/// 4.2: a round trip below the baseline shows that it was an accident.
#[test]
fn a_shorter_round_trip_resumes_slow_start() {
    let mut rounds = Rounds::new();
    rounds.round(20);
    rounds.round(20);
    rounds.round(30);
    assert!(rounds.room.is_conservative());
    assert_eq!(rounds.round(22), Growth::By(SMSS));
    assert!(!rounds.room.is_conservative());
}

/// 4.3: L, eight segments an ACK for who does not pace.
#[test]
fn growth_by_one_ack_is_bounded_without_pacing() {
    let mut rounds = Rounds { paced: false, ..Rounds::new() };
    assert_eq!(rounds.ack(Some(20), 10), Growth::By(8 * SMSS));
    let mut rounds = Rounds::new();
    assert_eq!(rounds.ack(Some(20), 10), Growth::By(10 * SMSS));
}

#[test]
fn acks_without_a_sample_tell_nothing() {
    let mut rounds = Rounds::new();
    rounds.round(20);
    rounds.round(20);
    for _ in 0..7 {
        rounds.ack(Some(90), 1);
    }
    for _ in 0..3 {
        rounds.ack(None, 1);
    }
    assert!(!rounds.room.is_conservative());
}
