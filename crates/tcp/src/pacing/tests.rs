use super::{LEAD, Pacer};
use crate::time::Instant;
use core::time::Duration;

const SMSS: u32 = 1000;

/// Sends whatever may leave until `end`, waking at deadlines; returns how many segments that was.
fn run(pacer: &mut Pacer, from: Instant, end: Instant, rate: u64, late: Duration) -> (u32, u32) {
    let (mut now, mut sent, mut largest) = (from, 0, 0);
    while now <= end {
        let mut burst = 0;
        while let Some(room) = pacer.allowance(now, SMSS, rate) {
            assert!(room >= SMSS);
            pacer.on_sent(now, SMSS, Some(rate));
            burst += 1;
        }
        largest = largest.max(burst);
        sent += burst;
        now = pacer.deadline().expect("it is held back") + late;
        pacer.on_timeout();
    }
    (sent, largest)
}

#[test]
fn after_the_first_burst_data_leaves_at_the_rate() {
    // 1 MB/s: one segment a millisecond; ten may go at once.
    let mut pacer = Pacer::default();
    let start = Instant::from_secs(5);
    let (sent, largest) =
        run(&mut pacer, start, start + Duration::from_millis(100), 1_000_000, Duration::ZERO);
    assert!((109..=111).contains(&sent), "{sent}");
    assert_eq!(largest, 10);
}

/// A driver that wakes up to two milliseconds late loses no rate, where the rate is worth pacing.
#[test]
fn late_wakeups_cost_nothing() {
    let rate = 100_000_000; // 100 segments a millisecond
    for late in [Duration::ZERO, Duration::from_millis(1), Duration::from_micros(1_900)] {
        let mut pacer = Pacer::default();
        let start = Instant::from_secs(5);
        let (sent, largest) = run(&mut pacer, start, start + Duration::from_millis(100), rate, late);
        assert!((9_900..=10_500).contains(&sent), "late by {late:?}: {sent}");
        assert!(largest <= 200, "no burst longer than {LEAD:?}: {largest}");
    }
}

#[test]
fn a_pause_earns_one_burst_and_no_more() {
    let mut pacer = Pacer::default();
    let start = Instant::from_secs(5);
    run(&mut pacer, start, start + Duration::from_millis(10), 1_000_000, Duration::ZERO);
    let later = start + Duration::from_secs(60);
    let (_, largest) = run(&mut pacer, later, later + Duration::from_millis(5), 1_000_000, Duration::ZERO);
    assert_eq!(largest, 10);
}

#[test]
fn without_a_rate_nothing_is_owed() {
    let mut pacer = Pacer::default();
    for _ in 0..1000 {
        pacer.on_sent(Instant::from_secs(1), SMSS, None);
    }
    assert!(pacer.allowance(Instant::from_secs(1), SMSS, 1000).is_some());
    assert_eq!(pacer.deadline(), None);
}

/// The first burst is whole segments at any rate, so that a device that cuts is handed it as one.
#[test]
fn the_first_burst_is_ten_whole_segments_at_any_rate() {
    for rate in [19_999, 99_999, 199_999, 1_234_567, 4_999_999] {
        let room = Pacer::default().allowance(Instant::from_secs(1), SMSS, rate);
        assert_eq!(room.map(|room| room / SMSS), Some(10), "{rate}");
    }
}
