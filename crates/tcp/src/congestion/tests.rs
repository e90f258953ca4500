use super::{AckSample, Congestion, CongestionKind, LossKind, Resting, initial_window};
use crate::seq::SeqNum;
use crate::time::Instant;
use core::time::Duration;
use proptest::prelude::*;

const SMSS: u32 = 1460;
const RTT: Duration = Duration::from_millis(100);

fn ack(now: Instant, acked: u32) -> AckSample {
    AckSample {
        now,
        una: SeqNum(0),
        nxt: SeqNum(1),
        acked,
        flight: acked,
        cwnd_limited: true,
        flight_max: 0,
        srtt: Some(RTT),
        rtt: Some(RTT),
        min_rtt: Some(RTT),
        rate: None,
        in_recovery: false,
        paced: true,
    }
}

fn wake(kind: CongestionKind, segments: u32, ssthresh: u32) -> Congestion {
    let resting = Resting { cwnd: segments * SMSS, ssthresh, w_max: 0 };
    Congestion::wake(kind, resting, SMSS, Instant::ZERO)
}

/// One round trip: the window's worth of segments is acknowledged, two at a time.
fn round_trip(control: &mut Congestion, start: Instant) {
    let mut left = control.window() / SMSS;
    while left > 0 {
        let segments = left.min(2);
        control.on_ack(&ack(start, segments * SMSS));
        left -= segments;
    }
}

/// RFC 6928 section 2.
#[test]
fn the_initial_window() {
    for (smss, want) in [(1460, 14_600), (536, 5_360), (1220, 12_200), (9000, 18_000), (2000, 14_600)] {
        assert_eq!(initial_window(smss, 10), want, "smss {smss}");
    }
}

#[test]
fn slow_start_doubles_in_a_round_trip_and_stops_at_ssthresh() {
    for kind in [CongestionKind::Reno, CongestionKind::Cubic] {
        let mut control = wake(kind, 10, 100 * SMSS);
        round_trip(&mut control, Instant::ZERO + RTT);
        assert_eq!(control.window(), 20 * SMSS, "{kind:?}");
        control.on_ack(&ack(Instant::ZERO + RTT, 85 * SMSS));
        assert!(!control.in_slow_start());
        assert!(control.window() < 102 * SMSS);
    }
}

#[test]
fn reno_adds_one_segment_a_round_trip_and_halves() {
    let mut control = wake(CongestionKind::Reno, 20, 10 * SMSS);
    for _ in 0..5 {
        round_trip(&mut control, Instant::ZERO);
    }
    assert!((24..=25).contains(&(control.window() / SMSS)));
    control.on_loss(Instant::ZERO, LossKind::FastRetransmit, 24 * SMSS);
    assert_eq!((control.window(), control.ssthresh()), (12 * SMSS, 12 * SMSS));
}

#[test]
fn a_timeout_leaves_one_segment_and_the_second_does_not_lower_ssthresh_again() {
    for kind in [CongestionKind::Reno, CongestionKind::Cubic] {
        let mut control = wake(kind, 40, 10 * SMSS);
        control.on_timeout(Instant::ZERO, 40 * SMSS, true);
        let ssthresh = control.ssthresh();
        control.on_timeout(Instant::ZERO, SMSS, false);
        assert_eq!((control.window(), control.ssthresh()), (SMSS, ssthresh), "{kind:?}");
    }
}

/// RFC 9438 4.2 and figure 1: concave up to W_max at t = K, then convex beyond it.
#[test]
fn cubic_is_back_at_w_max_after_k_seconds() {
    let mut control = wake(CongestionKind::Cubic, 1000, SMSS);
    control.on_loss(Instant::ZERO, LossKind::FastRetransmit, 1000 * SMSS);
    assert_eq!(control.window(), 700 * SMSS);
    // K = cbrt(300 / 0.4) = 9.09 s.
    let mut now = Instant::ZERO;
    let mut heights = Vec::new();
    for _ in 0..180 {
        now += RTT;
        round_trip(&mut control, now);
        heights.push(control.window() / SMSS);
    }
    assert!((960..=1001).contains(&heights[80]), "a second before K: {}", heights[80]);
    assert!((995..=1005).contains(&heights[92]), "at K: {}", heights[92]);
    let (first, before_k) = (heights[10] - 700, heights[90] - heights[80]);
    let after = heights[179] - heights[169];
    assert!(first > 10 * before_k.max(1) && after > 10 * before_k.max(1), "{first} {before_k} {after}");
}

/// RFC 9438 4.3: where Reno would be faster (short round trips, small windows), CUBIC is as fast as Reno.
#[test]
fn cubic_is_no_slower_than_its_reno_estimate() {
    let mut control = wake(CongestionKind::Cubic, 20, SMSS);
    control.on_loss(Instant::ZERO, LossKind::FastRetransmit, 20 * SMSS);
    let start = control.window() / SMSS;
    let mut now = Instant::ZERO;
    for _ in 0..40 {
        now += Duration::from_millis(2);
        round_trip(&mut control, now);
    }
    // 40 round trips of alpha = 0.53 make 21, of which those beyond cwnd_prior = 20 count whole.
    let grown = control.window() / SMSS - start;
    assert!((24..=40).contains(&grown), "{grown}");
}

/// RFC 9438 4.7.
#[test]
fn fast_convergence_gives_way() {
    let mut control = wake(CongestionKind::Cubic, 100, SMSS);
    control.on_loss(Instant::ZERO, LossKind::FastRetransmit, 100 * SMSS);
    assert_eq!(control.rest().w_max, 100 * SMSS);
    control.on_loss(Instant::ZERO, LossKind::FastRetransmit, 70 * SMSS);
    assert_eq!(control.rest().w_max, (70.0 * 0.85 * f64::from(SMSS)) as u32);
}

#[test]
fn a_window_that_is_not_used_does_not_grow_nor_does_its_curve_advance() {
    let mut control = wake(CongestionKind::Cubic, 100, SMSS);
    control.on_loss(Instant::ZERO, LossKind::FastRetransmit, 100 * SMSS);
    control.on_ack(&ack(Instant::from_millis(100), SMSS));
    let window = control.window();
    for second in 1..60 {
        control.on_ack(&AckSample { cwnd_limited: false, ..ack(Instant::from_secs(second), SMSS) });
    }
    assert_eq!(control.window(), window);
    control.on_ack(&ack(Instant::from_secs(59) + RTT, SMSS));
    assert!(control.window() - window < SMSS, "no burst after a pause");
}

#[test]
fn undo_gives_back_what_a_false_alarm_took() {
    for kind in [CongestionKind::Reno, CongestionKind::Cubic] {
        let mut control = wake(kind, 50, 40 * SMSS);
        control.on_timeout(Instant::ZERO, 50 * SMSS, true);
        control.undo();
        assert_eq!((control.window(), control.ssthresh()), (50 * SMSS, 40 * SMSS));
    }
}

#[test]
fn idling_halves_the_window_for_each_rto_down_to_the_restart_window() {
    let mut control = wake(CongestionKind::Cubic, 80, u32::MAX);
    let rto = Duration::from_secs(1);
    control.on_idle(Instant::ZERO, Duration::from_millis(900), rto, 10 * SMSS);
    assert_eq!(control.window(), 80 * SMSS);
    control.on_idle(Instant::ZERO, Duration::from_millis(2500), rto, 10 * SMSS);
    assert_eq!(control.window(), 20 * SMSS);
    control.on_idle(Instant::ZERO, Duration::from_secs(3600), rto, 10 * SMSS);
    assert_eq!(control.window(), 10 * SMSS);
}

proptest! {
    #[test]
    fn windows_keep_their_bounds_whatever_happens(
        cubic: bool,
        steps in prop::collection::vec((0u8..7, 1u32..3_000_000, 0u64..2_000), 1..200),
    ) {
        let kind = if cubic { CongestionKind::Cubic } else { CongestionKind::Reno };
        let mut control = Congestion::wake(kind, Resting::new(initial_window(SMSS, 10)), SMSS, Instant::ZERO);
        let mut now = Instant::ZERO;
        for (event, bytes, millis) in steps {
            now += Duration::from_millis(millis);
            let before = control.window();
            match event {
                0 | 1 => control.on_ack(&ack(now, bytes.min(before))),
                2 => control.on_loss(now, LossKind::FastRetransmit, bytes.min(before)),
                3 => control.on_timeout(now, bytes.min(before), bytes % 2 == 0),
                4 => control.undo(),
                5 => control.on_idle(now, Duration::from_millis(millis), Duration::from_millis(300), 10 * SMSS),
                _ => control.on_sent(now, SMSS, bytes.max(SMSS)),
            }
            prop_assert!(control.window() >= SMSS && control.ssthresh() >= 2 * SMSS);
            if event < 2 {
                prop_assert!(control.window() <= 2 * before, "an ACK of a window at most doubles it");
            }
            prop_assert!(control.pacing_rate(Some(RTT)) > Some(0));
        }
    }
}

/// Found by the property above: what was counted towards a large window burst open the small one that a second timeout left.
#[test]
fn what_was_counted_towards_a_large_window_is_one_step_of_a_small_one() {
    let mut control = wake(CongestionKind::Reno, 100, SMSS);
    control.on_ack(&ack(Instant::from_secs(1), 99 * SMSS));
    control.on_timeout(Instant::from_secs(2), 100 * SMSS, false);
    assert_eq!(control.window(), SMSS);
    control.on_ack(&ack(Instant::from_secs(3), SMSS));
    assert_eq!(control.window(), 2 * SMSS);
}

/// Found by the property above: a curve that was begun before a rest pulled the window up at once after it.
#[test]
fn a_rest_begins_the_curve_anew() {
    let mut control = wake(CongestionKind::Cubic, 100, SMSS);
    control.on_ack(&ack(Instant::from_secs(1), SMSS));
    control.on_ack(&ack(Instant::from_secs(60), SMSS));
    control.on_idle(Instant::from_secs(70), Duration::from_secs(9), Duration::from_secs(1), 10 * SMSS);
    let before = control.window();
    control.on_ack(&ack(Instant::from_secs(70), SMSS));
    assert!(control.window() <= before + SMSS, "{} {before}", control.window());
}
