use super::{GiveUp, Retransmit, Timeout, backed_off};
use crate::seq::{SeqNum, SeqRange};
use crate::time::Instant;
use core::time::Duration;
use proptest::prelude::*;

const RTO: Duration = Duration::from_millis(200);
const RTO_MAX: Duration = Duration::from_secs(120);
const NEVER: GiveUp = GiveUp { retries: u32::MAX, user_timeout: None };

fn ms(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn range(from: u32, to: u32) -> SeqRange {
    SeqRange::new(SeqNum(from), SeqNum(to))
}

fn send(room: &mut Retransmit, from: u32, to: u32, at: u64) {
    room.on_sent(range(from, to), false, ms(at), RTO);
}

/// RFC 6298 5.1 to 5.3.
#[test]
fn the_timer_runs_while_something_is_out() {
    let mut room = Retransmit::new();
    assert_eq!(room.deadline(), None);
    send(&mut room, 0, 100, 0);
    send(&mut room, 100, 200, 50);
    assert_eq!(room.deadline(), Some(ms(200)), "the second segment does not postpone it");
    room.on_ack(SeqNum(100), ms(60), RTO, RTO_MAX, &mut |_| {});
    assert_eq!(room.deadline(), Some(ms(260)));
    room.on_ack(SeqNum(100), ms(70), RTO, RTO_MAX, &mut |_| {});
    assert_eq!(room.deadline(), Some(ms(260)), "no progress, no restart");
    room.on_ack(SeqNum(200), ms(80), RTO, RTO_MAX, &mut |_| {});
    assert_eq!(room.deadline(), None);
    assert!(room.is_empty());
}

#[test]
fn silence_doubles_the_timeout_and_an_unambiguous_ack_ends_it() {
    let mut room = Retransmit::new();
    send(&mut room, 0, 100, 0);
    let mut at = Vec::new();
    for _ in 0..4 {
        let now = room.deadline().expect("running");
        at.push(now.as_millis());
        assert_eq!(room.on_timeout(now, RTO, RTO_MAX, &NEVER), Timeout::Retransmit);
        room.on_sent(range(0, 100), true, now, RTO);
    }
    assert_eq!(at, [200, 600, 1400, 3000]);
    assert_eq!((room.retries(), room.backoff(), room.total()), (4, 4, 4));
    // Karn: the ACK of what was sent twice ends the count of failures, not the backoff.
    send(&mut room, 100, 200, 3100);
    assert_eq!(room.on_ack(SeqNum(100), ms(3200), RTO, RTO_MAX, &mut |_| {}).rtt, None);
    assert_eq!((room.retries(), room.backoff()), (0, 4));
    assert_eq!(
        room.on_ack(SeqNum(200), ms(3300), RTO, RTO_MAX, &mut |_| {}).rtt,
        Some(Duration::from_millis(200))
    );
    assert_eq!(room.backoff(), 0);
}

/// RFC 9293 3.8.3: R2.
#[test]
fn r2_ends_the_connection() {
    let mut room = Retransmit::new();
    send(&mut room, 0, 1, 0);
    let give_up = GiveUp { retries: 15, user_timeout: None };
    let mut sent = 0;
    let end = loop {
        let now = room.deadline().expect("running");
        match room.on_timeout(now, RTO, RTO_MAX, &give_up) {
            Timeout::Retransmit => sent += 1,
            Timeout::GiveUp => break now,
        }
    };
    assert_eq!(sent, 15);
    // 0.2 * (2^10 - 1) + 6 * 120: Linux's 924.6 s.
    assert_eq!(end, ms(924_600));
    assert_eq!(room.deadline(), None);
}

#[test]
fn a_user_timeout_ends_it_on_time() {
    let mut room = Retransmit::new();
    send(&mut room, 0, 1, 500);
    let give_up = GiveUp { retries: 1, user_timeout: Some(Duration::from_secs(5)) };
    let end = loop {
        let now = room.deadline().expect("running");
        if room.on_timeout(now, RTO, RTO_MAX, &give_up) == Timeout::GiveUp {
            break now;
        }
    };
    assert_eq!(end, ms(5500));
}

#[test]
fn a_super_segment_resent_in_part_is_ambiguous_in_that_part_only() {
    let mut room = Retransmit::new();
    send(&mut room, 0, 1000, 0);
    room.on_sent(range(0, 100), true, ms(50), RTO);
    assert_eq!(room.on_ack(SeqNum(100), ms(60), RTO, RTO_MAX, &mut |_| {}).rtt, None);
    assert_eq!(
        room.on_ack(SeqNum(1000), ms(70), RTO, RTO_MAX, &mut |_| {}).rtt,
        Some(Duration::from_millis(70))
    );
}

/// The ACK of the first transmission was lost, the second one only provoked it again: its echo is of the first.
#[test]
fn an_echo_from_before_the_retransmission_times_nothing() {
    let mut room = Retransmit::new();
    send(&mut room, 0, 100, 0);
    room.on_sent(range(0, 100), true, ms(5_000), RTO);
    let acked = room.on_ack(SeqNum(100), ms(5_030), RTO, RTO_MAX, &mut |_| {});
    assert!(!acked.admits(Duration::from_millis(5_030), ms(5_030)));
    assert!(acked.admits(Duration::from_millis(30), ms(5_030)));
    assert!(super::Acked::default().admits(Duration::from_millis(5_030), ms(5_030)), "sent once");
}

#[test]
fn the_delivery_rate_is_that_of_the_path() {
    let mut room = Retransmit::new();
    // Ten segments of 1000 octets every millisecond, acknowledged 20 ms later at half that pace.
    for i in 0..10 {
        send(&mut room, i * 1000, (i + 1) * 1000, u64::from(i));
    }
    let mut last = None;
    for i in 0..10 {
        last = room.on_ack(SeqNum((i + 1) * 1000), ms(20 + 2 * u64::from(i)), RTO, RTO_MAX, &mut |_| {}).rate;
    }
    let last = last.expect("an interval passed");
    assert_eq!(last.delivered, 10_000);
    assert_eq!(last.interval, Duration::from_millis(38));
    assert!(!last.app_limited);
    send(&mut room, 10_000, 11_000, 100);
    room.on_app_limited();
    send(&mut room, 11_000, 12_000, 101);
    let sample =
        room.on_ack(SeqNum(12_000), ms(130), RTO, RTO_MAX, &mut |_| {}).rate.expect("an interval passed");
    assert!(sample.app_limited);
}

#[test]
fn doubling_saturates() {
    assert_eq!(backed_off(RTO, 500, RTO_MAX), RTO_MAX);
    assert_eq!(backed_off(Duration::MAX, 3, RTO_MAX), RTO_MAX);
}

proptest! {
    #[test]
    fn records_cover_exactly_what_is_unacknowledged(
        base: u32,
        steps in prop::collection::vec((0u8..3, 1u32..5000, 1u32..3000), 1..80),
    ) {
        let mut room = Retransmit::new();
        let (mut una, mut nxt) = (SeqNum(base), SeqNum(base));
        let mut now = Instant::ZERO;
        for (step, a, b) in steps {
            now += Duration::from_millis(u64::from(a % 50));
            match step {
                0 => {
                    room.on_sent(SeqRange::new(nxt, nxt + a), false, now, RTO);
                    nxt += a;
                }
                1 if nxt != una => {
                    let start = una + a % (nxt - una);
                    let end = (start + b).earlier(nxt);
                    room.on_sent(SeqRange::new(start, end), true, now, RTO);
                }
                _ => {
                    una += a.min(nxt - una);
                    room.on_ack(una, now, RTO, RTO_MAX, &mut |_| {});
                }
            }
            let mut edge = una;
            for record in &room.records {
                prop_assert_eq!(record.range.start, edge);
                prop_assert!(!record.range.is_empty() && record.first_sent <= record.sent);
                edge = record.range.end;
            }
            prop_assert_eq!(edge, nxt);
            prop_assert_eq!(room.deadline().is_some(), una != nxt);
        }
    }
}
