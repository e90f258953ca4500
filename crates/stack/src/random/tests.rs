use super::*;

#[test]
fn same_secret_same_draws_and_another_secret_others() {
    let draws = |seed| {
        let mut random = Random::new(&Secret::from_seed(seed), "test");
        [random.next_u64(), random.next_u64(), random.next_u64()]
    };
    assert_eq!(draws(7), draws(7));
    assert_ne!(draws(7), draws(8));
    let [a, b, c] = draws(7);
    assert!(a != b && b != c && a != c);
}

#[test]
fn purposes_do_not_share_a_key() {
    let secret = Secret::from_seed(1);
    assert_ne!(secret.key("one").digest(&[b"x"]), secret.key("two").digest(&[b"x"]));
}

#[test]
fn below_stays_below_and_reaches_both_ends() {
    let mut random = Random::new(&Secret::from_seed(3), "below");
    let mut seen = [0u32; 5];
    for _ in 0..1_000 {
        seen[random.below(5) as usize] += 1;
    }
    assert!(seen.iter().all(|&n| n > 100), "{seen:?}");
    assert_eq!(random.below(0), 0);
}

#[test]
fn a_secret_does_not_print_itself() {
    assert_eq!(format!("{:?}", Secret::from_seed(9)), "Secret(..)");
}
