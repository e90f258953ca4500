//! Draws stay in their bounds, and equal seeds draw alike.

use super::{MILLION, Rng, split_mix};
use proptest::prelude::*;

#[test]
fn seeds_repeat_and_differ() {
    let draw = |seed| {
        let mut rng = Rng::new(seed);
        (0..8).map(|_| rng.next_u64()).collect::<Vec<_>>()
    };
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
    assert_ne!(draw(0)[0], 0, "the zero seed is a seed like any other");
}

#[test]
fn split_mix_of_its_authors() {
    // The first outputs of splitmix64.c for the seed 1234567, as published with it.
    let x: u64 = 1_234_567;
    assert_eq!(split_mix(x), 6_457_827_717_110_365_317);
    assert_eq!(split_mix(x.wrapping_add(0x9e37_79b9_7f4a_7c15)), 3_203_168_211_198_807_973);
}

#[test]
fn a_fork_does_not_depend_on_what_its_parent_draws_later() {
    let (mut a, mut b) = (Rng::new(3), Rng::new(3));
    let (mut fork_a, mut fork_b) = (a.fork(), b.fork());
    a.next_u64();
    assert_eq!(fork_a.next_u64(), fork_b.next_u64());
    assert_ne!(fork_a.next_u64(), b.next_u64());
}

#[test]
fn chances_come_out_about_right() {
    let mut rng = Rng::new(7);
    let hits = (0..100_000).filter(|_| rng.chance(50_000)).count();
    assert!((4_700..5_300).contains(&hits), "{hits} of 100,000 at five in a hundred");
    assert!(!(0..1000).any(|_| rng.chance(0)));
    assert!((0..1000).all(|_| rng.chance(MILLION)));
}

proptest! {
    #[test]
    fn draws_stay_within(seed: u64, low: u64, high: u64) {
        let (low, high) = (low.min(high), low.max(high));
        let mut rng = Rng::new(seed);
        prop_assert!((low..=high).contains(&rng.between(low, high)));
        prop_assert!((low..=high).contains(&rng.spread(low, high)));
        prop_assert!(high == 0 || rng.below(high) < high);
    }
}
