use super::{Look, Rack};
use crate::retransmit::Retransmit;
use crate::seq::{SeqNum, SeqRange};
use crate::tick::Tick;
use crate::time::Instant;
use core::time::Duration;
use proptest::prelude::*;

const RTO: Duration = Duration::from_secs(1);
const MIN_RTT: Duration = Duration::from_millis(40);

fn ms(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

/// Segments of 1000 octets by number, as one end sees them.
struct Path {
    rack: Rack,
    records: Retransmit,
    una: u32,
    nxt: u32,
    now: u64,
    sacked: u32,
    in_recovery: bool,
    echo: Option<Tick>,
}

impl Path {
    /// `count` segments leave, one a millisecond from 0 on.
    fn new(count: u32) -> Self {
        let mut path = Path {
            rack: Rack::new(false),
            records: Retransmit::new(),
            una: 0,
            nxt: 0,
            now: 0,
            sacked: 0,
            in_recovery: false,
            echo: None,
        };
        for at in 0..count {
            path.now = u64::from(at);
            path.send();
        }
        path
    }

    fn range(from: u32, to: u32) -> SeqRange {
        SeqRange::new(SeqNum(from * 1000), SeqNum(to * 1000))
    }

    fn send(&mut self) {
        self.records.on_sent(Self::range(self.nxt, self.nxt + 1), false, ms(self.now), RTO);
        self.nxt += 1;
    }

    fn send_again(&mut self, segment: u32) {
        self.records.on_sent(Self::range(segment, segment + 1), true, ms(self.now), RTO);
    }

    fn sack(&mut self, segment: u32) {
        let (rack, now, echo) = (&mut self.rack, ms(self.now), self.echo);
        self.records.on_sacked(Self::range(segment, segment + 1), &mut |delivery| {
            rack.on_delivered(delivery, now, Some(MIN_RTT), echo);
        });
        self.sacked += 1;
    }

    fn ack(&mut self, una: u32) {
        let (rack, now, echo) = (&mut self.rack, ms(self.now), self.echo);
        self.records.on_ack(SeqNum(una * 1000), now, RTO, RTO, &mut |delivery| {
            rack.on_delivered(delivery, now, Some(MIN_RTT), echo);
        });
        self.una = una;
    }

    fn look(&self) -> Look {
        Look {
            now: ms(self.now),
            in_recovery: self.in_recovery,
            dup_thresh_sacked: self.sacked >= 3,
            min_rtt: Some(MIN_RTT),
            srtt: Some(2 * MIN_RTT),
        }
    }

    /// Segments found lost now, counted, and when to look again.
    fn detect(&mut self) -> (u32, Option<u64>) {
        let look = self.look();
        let lost = self.rack.detect(&look, &mut self.records);
        (lost / 1000, self.rack.deadline().map(Instant::as_millis))
    }
}

/// RFC 8985 6.2: Segment.xmit_ts + RACK.rtt + RACK.reo_wnd, with reo_wnd = min_RTT / 4.
#[test]
fn what_was_overtaken_is_lost_once_the_window_has_passed() {
    let mut path = Path::new(5);
    path.now = 42;
    path.sack(2);
    // RACK.rtt = 40, reo_wnd = 10: segment 0 is due at 50, segment 1 at 51; 3 and 4 were sent later.
    assert_eq!(path.detect(), (0, Some(51)));
    path.now = 50;
    assert_eq!(path.detect(), (1, Some(51)));
    path.now = 51;
    assert_eq!(path.detect(), (1, None));
    assert_eq!(path.records.first_lost(10_000), Some(Path::range(0, 2)), "in one piece");
    assert_eq!(path.records.first_lost(1500), Some(SeqRange::new(SeqNum(0), SeqNum(1500))));
}

/// Step 4: without reordering seen there is no window once three segments are SACKed, or in recovery.
#[test]
fn no_window_where_nothing_was_ever_reordered() {
    let mut path = Path::new(6);
    path.now = 45;
    for segment in [3, 4, 5] {
        path.sack(segment);
    }
    assert_eq!(path.detect(), (3, None));

    let mut path = Path { in_recovery: true, ..Path::new(6) };
    path.now = 41;
    path.sack(1);
    assert_eq!(path.detect(), (1, None));

    // Segment 1 comes late, though it was sent once: reordering. From now on the window is kept.
    let mut path = Path::new(6);
    path.now = 45;
    for segment in [3, 4, 1] {
        path.sack(segment);
    }
    assert!(path.rack.reordering_seen());
    assert_eq!(path.detect().0, 0);
    path.now = 2 + 44 + 10;
    assert_eq!(path.detect(), (2, None), "0 and 2: RACK.rtt is 44, of segment 1, which came last");
}

/// A segment that went out again and arrived below the highest one tells of no reordering.
#[test]
fn a_repaired_hole_is_no_reordering() {
    let mut path = Path::new(3);
    path.now = 50;
    path.sack(2);
    path.send_again(0);
    path.now = 95;
    path.ack(1);
    assert!(!path.rack.reordering_seen());
}

/// Step 2: what went out twice times nothing if the first may have arrived.
#[test]
fn a_retransmission_answered_too_soon_is_not_what_arrived() {
    let mut path = Path::new(2);
    path.now = 60;
    path.send_again(0);
    path.now = 70; // 10 ms after it left: below min_RTT
    path.ack(1);
    assert_eq!(path.rack.latest, None);

    let mut path = Path::new(2);
    path.now = 60;
    path.send_again(0);
    path.now = 110;
    path.echo = Some(Tick::at(ms(3))); // the answer is to the first
    path.ack(1);
    assert_eq!(path.rack.latest, None);

    let mut path = Path::new(2);
    path.now = 60;
    path.send_again(0);
    path.now = 110;
    path.echo = Some(Tick::at(ms(60)));
    path.ack(1);
    assert_eq!((path.rack.latest, path.rack.rtt.as_millis()), (Some((ms(60), SeqNum(1000))), 50));
}

/// What RFC 6675 could not: a retransmission that is lost again.
#[test]
fn a_lost_retransmission_is_found() {
    let mut path = Path { in_recovery: true, ..Path::new(3) };
    path.now = 45;
    path.sack(1);
    path.sack(2);
    assert_eq!(path.detect(), (1, None));
    path.send_again(0);
    path.now = 46;
    path.send(); // segment 3, after it
    path.now = 87;
    path.sack(3);
    assert_eq!(path.detect(), (1, None));
    assert_eq!(path.records.first_lost(1000), Some(Path::range(0, 1)));
}

/// Step 4: a D-SACK a round widens the window by a quarter of min_RTT, up to SRTT; sixteen recoveries without one narrow it.
#[test]
fn dsacks_widen_the_window_and_it_is_bounded() {
    let mut path = Path::new(2);
    path.rack.reordering_seen = true;
    let window = |path: &Path| path.rack.window(&path.look()).as_millis();
    let surplus = Some(Path::range(0, 1));
    assert_eq!(window(&path), 10);
    path.rack.adapt(SeqNum(0), SeqNum(1000), surplus, false);
    path.rack.adapt(SeqNum(500), SeqNum(3000), surplus, false);
    assert_eq!(window(&path), 20, "once a round");
    for round in 1..10 {
        path.rack.adapt(SeqNum(round * 1000), SeqNum((round + 1) * 1000), surplus, false);
    }
    assert_eq!(window(&path), 80, "SRTT bounds it");
    let una = SeqNum(20_000);
    for _ in 0..15 {
        path.rack.adapt(una, una, None, true);
    }
    assert_eq!(window(&path), 80);
    path.rack.adapt(una, una, None, true);
    assert_eq!(window(&path), 10);
}

/// 6.3.
#[test]
fn a_timeout_loses_the_first_and_what_has_had_its_time() {
    let mut path = Path::new(3);
    path.now = 100;
    path.ack(1);
    path.now = 120;
    path.send(); // segment 3, 20 ms old at the timeout
    path.now = 140;
    let look = Look { in_recovery: true, ..path.look() };
    path.rack.on_timeout(&look, &mut path.records);
    assert_eq!(path.records.lost(), 2000, "1 and 2; RACK.rtt is 100");

    // The only one out is lost however young: the timer says so.
    let mut path = Path::new(2);
    path.now = 50;
    path.ack(2);
    path.send();
    path.now = 51;
    let look = path.look();
    path.rack.on_timeout(&look, &mut path.records);
    assert_eq!(path.records.lost(), 1000);
}

proptest! {
    /// Against RFC 8985's loop, written down plainly over all segments.
    #[test]
    fn the_short_walk_finds_what_the_rfcs_loop_finds(
        steps in prop::collection::vec((0u8..4, 0u32..40, 0u64..30), 1..120),
    ) {
        let mut path = Path::new(1);
        path.rack.reordering_seen = true;
        let mut model: Vec<(u64, bool, bool)> = vec![(0, false, false)]; // sent, SACKed, lost
        for (step, which, wait) in steps {
            path.now += wait;
            let pick = which % path.nxt;
            match step {
                0 => {
                    path.send();
                    model.push((path.now, false, false));
                }
                1 if pick > 0 && !model[pick as usize].1 => {
                    path.sack(pick);
                    model[pick as usize].1 = true;
                    model[pick as usize].2 = false;
                }
                2 if model[pick as usize].2 => {
                    path.send_again(pick);
                    model[pick as usize] = (path.now, false, false);
                }
                _ => {}
            }
            let (_, deadline) = path.detect();
            let mut last = None;
            if let Some((xmit, end)) = path.rack.latest {
                let patience = (path.rack.rtt + path.rack.window(&path.look())).as_millis() as u64;
                for (index, segment) in model.iter_mut().enumerate() {
                    let own_end = SeqNum((index as u32 + 1) * 1000);
                    let before = (segment.0, own_end.raw()) < (xmit.as_millis(), end.raw());
                    if segment.1 || segment.2 || !before {
                        continue;
                    }
                    if segment.0 + patience <= path.now {
                        segment.2 = true;
                    } else {
                        last = last.max(Some(segment.0 + patience));
                    }
                }
            }
            prop_assert_eq!(deadline, last);
            let lost = model.iter().filter(|segment| segment.2).count() as u32;
            prop_assert_eq!(path.records.lost(), lost * 1000);
            prop_assert_eq!((path.records.sacked(), path.records.lost()), path.records.recount());
        }
    }
}

/// What TCP_INFO tells as reordering: by how much, not only that.
#[test]
fn how_late_a_segment_came_is_kept() {
    let mut path = Path::new(10);
    for (segments, late_by) in [((2, 3), 0), ((8, 9), 0), ((3, 4), 6), ((7, 8), 6), ((1, 2), 8)] {
        let range = Path::range(segments.0, segments.1);
        let (rack, now) = (&mut path.rack, ms(path.now + 50));
        path.records.on_sacked(range, &mut |delivery| rack.on_delivered(delivery, now, None, None));
        assert_eq!(path.rack.late_by(), late_by * 1000, "{segments:?}");
    }
    // One that went out again tells nothing of the path.
    let mut path = Path::new(10);
    path.send_again(1);
    for segment in [9, 1] {
        let (rack, now) = (&mut path.rack, ms(path.now + 50));
        let range = Path::range(segment, segment + 1);
        path.records.on_sacked(range, &mut |delivery| rack.on_delivered(delivery, now, None, None));
    }
    assert_eq!(path.rack.late_by(), 0);
}
