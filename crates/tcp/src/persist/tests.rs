use super::Persist;
use crate::retransmit::{GiveUp, Timeout};
use crate::time::Instant;
use core::time::Duration;

const RTO: Duration = Duration::from_millis(200);
const RTO_MAX: Duration = Duration::from_secs(120);

#[test]
fn probes_double_their_distance_up_to_the_greatest_rto() {
    let mut room = Persist::new();
    room.start(Instant::ZERO, RTO);
    let give_up = GiveUp { retries: 15, user_timeout: None };
    let mut now = Instant::ZERO;
    let mut gaps = Vec::new();
    for _ in 0..14 {
        let due = room.deadline().expect("running");
        gaps.push((due - now).as_millis());
        now = due;
        assert_eq!(room.on_timeout(now, RTO, RTO_MAX, &give_up), Timeout::Retransmit);
    }
    assert_eq!(gaps[..4], [200, 400, 800, 1600]);
    assert_eq!(gaps[13], 120_000);
}

/// RFC 9293 MUST-37.
#[test]
fn a_peer_that_answers_is_never_given_up() {
    let mut room = Persist::new();
    room.start(Instant::ZERO, RTO);
    let give_up = GiveUp { retries: 3, user_timeout: None };
    for _ in 0..1000 {
        let now = room.deadline().expect("running");
        assert_eq!(room.on_timeout(now, RTO, RTO_MAX, &give_up), Timeout::Retransmit);
        room.on_answer();
    }
    for _ in 0..3 {
        let now = room.deadline().expect("running");
        assert_eq!(room.on_timeout(now, RTO, RTO_MAX, &give_up), Timeout::Retransmit);
    }
    let now = room.deadline().expect("running");
    assert_eq!(room.on_timeout(now, RTO, RTO_MAX, &give_up), Timeout::GiveUp);
    assert!(!room.is_running());
}

#[test]
fn a_user_timeout_ends_even_an_answered_wait_and_on_time() {
    let mut room = Persist::new();
    room.start(Instant::ZERO, RTO);
    let give_up = GiveUp { retries: 15, user_timeout: Some(Duration::from_secs(2)) };
    let end = loop {
        let now = room.deadline().expect("running");
        if room.on_timeout(now, RTO, RTO_MAX, &give_up) == Timeout::GiveUp {
            break now;
        }
        room.on_answer();
    };
    assert_eq!(end, Instant::from_secs(2));
}

#[test]
fn starting_twice_does_not_postpone() {
    let mut room = Persist::new();
    room.start(Instant::ZERO, RTO);
    room.start(Instant::from_millis(150), RTO);
    assert_eq!(room.deadline(), Some(Instant::ZERO + RTO));
    room.stop();
    assert!(!room.is_running());
}
