//! Schedules end in peace and come in time.

use super::*;
use crate::link::LinkConfig;
use crate::rng::Rng;
use proptest::prelude::*;

proptest! {
    #[test]
    fn every_schedule_heals(seed: u64, delay_ms in 0u64..500) {
        let base = Conditions { delay: Duration::from_millis(delay_ms), ..Conditions::default() };
        let start = Instant::from_secs(9);
        let mut schedule = Schedule::draw(&mut Rng::new(seed), start, base);
        let healed_at = schedule.healed_at().unwrap();
        prop_assert!(healed_at.since(start) <= PHASE_MAX * PHASES_MAX as u32);
        let mut link = Link::new(LinkConfig::default(), seed);
        let mut changes = 0;
        while let Some(when) = schedule.next_deadline() {
            schedule.apply(when, &mut link);
            changes += 1;
            prop_assert!(changes <= PHASES_MAX + 1);
            prop_assert!(schedule.next_deadline().is_none_or(|next| next > when));
        }
        for end in End::BOTH {
            prop_assert_eq!(link.conditions(end), base);
        }
    }
}
