use super::{Node, TimerId, Wheel};
use proptest::prelude::*;
use tcp::Instant;

fn ms(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

#[test]
fn a_timer_costs_sixteen_bytes_and_none_costs_four() {
    assert_eq!((size_of::<Node>(), size_of::<TimerId>()), (16, 4));
}

#[test]
fn timers_fire_in_their_order_and_never_early() {
    let mut wheel = Wheel::new(ms(1_000));
    let mut ids = [TimerId::IDLE; 6];
    let delays = [0, 1, 63, 64, 5_000, 4_000_000];
    for (owner, delay) in delays.iter().enumerate() {
        wheel.set(&mut ids[owner], owner as u32, Some(ms(1_000 + delay)));
    }
    let mut fired = Vec::new();
    let mut now = ms(1_000);
    while let Some(deadline) = wheel.next_deadline() {
        now = now.max(deadline);
        while let Some(owner) = wheel.poll(now) {
            fired.push((owner as usize, now.as_millis() - 1_000));
        }
    }
    assert_eq!(fired, delays.into_iter().enumerate().collect::<Vec<_>>());
    assert_eq!(wheel.len(), 0);
}

#[test]
fn a_part_of_a_tick_counts_whole() {
    let mut wheel = Wheel::new(Instant::ZERO);
    let mut id = TimerId::IDLE;
    wheel.set(&mut id, 1, Some(Instant::from_micros(10_500)));
    assert_eq!(wheel.poll(Instant::from_micros(10_999)), None);
    assert_eq!(wheel.poll(ms(11)), Some(1));
}

#[test]
fn later_is_lazy_earlier_and_never_are_not() {
    let mut wheel = Wheel::new(Instant::ZERO);
    let mut id = TimerId::IDLE;
    wheel.set(&mut id, 1, Some(ms(100)));
    wheel.set(&mut id, 1, Some(ms(300)));
    assert_eq!(wheel.next_deadline().map(|at| at <= ms(100)), Some(true));
    wheel.set(&mut id, 1, Some(ms(50)));
    assert_eq!(wheel.poll(ms(49)), None);
    assert_eq!(wheel.poll(ms(50)), Some(1));
    id = TimerId::IDLE;
    wheel.set(&mut id, 1, Some(ms(400)));
    wheel.set(&mut id, 1, None);
    assert!(id.is_idle() && wheel.next_deadline().is_none());
    assert_eq!(wheel.poll(ms(10_000_000)), None);
}

#[test]
fn what_lies_beyond_the_horizon_is_looked_at_sooner() {
    let mut wheel = Wheel::new(Instant::ZERO);
    let mut id = TimerId::IDLE;
    wheel.set(&mut id, 1, Some(Instant::from_secs(400 * 24 * 3600)));
    let first = wheel.next_deadline().expect("it runs");
    assert!(first < Instant::from_secs(13 * 24 * 3600));
}

proptest! {
    /// Against a list that is searched: each timer fires at the first poll at or after its time, once.
    #[test]
    fn the_wheel_agrees_with_a_list(
        start in 0u64..10_000_000,
        steps in prop::collection::vec((0u8..4, 0usize..8, 0u64..400_000), 1..200),
    ) {
        let mut wheel = Wheel::new(ms(start));
        let mut now = start;
        let mut ids = [TimerId::IDLE; 8];
        // When each wants to be looked at, and when the wheel may look early because it was moved later.
        let mut wanted: [Option<u64>; 8] = [None; 8];
        for (what, who, span) in steps {
            match what {
                0 | 1 => {
                    wanted[who] = Some(now + span);
                    wheel.set(&mut ids[who], who as u32, Some(ms(now + span)));
                }
                2 => {
                    wanted[who] = None;
                    wheel.set(&mut ids[who], who as u32, None);
                }
                _ => {
                    let target = now + span;
                    // As a driver would: from deadline to deadline.
                    loop {
                        let next = wheel.next_deadline().map_or(target, |at| at.as_millis().min(target));
                        now = now.max(next);
                        let first = wanted.iter().flatten().min();
                        prop_assert!(first.is_none_or(|first| *first >= now), "overslept");
                        while let Some(owner) = wheel.poll(ms(now)) {
                            let owner = owner as usize;
                            ids[owner] = TimerId::IDLE;
                            let at = wanted[owner].expect("a cancelled timer does not fire");
                            if at > now {
                                wheel.set(&mut ids[owner], owner as u32, Some(ms(at)));
                            } else {
                                wanted[owner] = None;
                            }
                        }
                        prop_assert!(wanted.iter().flatten().all(|at| *at > now));
                        if now == target {
                            break;
                        }
                    }
                }
            }
            prop_assert_eq!(wheel.len(), ids.iter().filter(|id| !id.is_idle()).count());
        }
    }
}
