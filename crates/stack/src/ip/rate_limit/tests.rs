use super::*;
use crate::random::Secret;
use std::time::Duration;

fn limit(per_sec: u32, burst: u32, per_destination: u32, seed: u64) -> (RateLimit, Random) {
    let secret = Secret::from_seed(seed);
    let limit = RateLimit::new(Instant::ZERO, per_sec, burst, per_destination, secret.key("limit"));
    (limit, Random::new(&secret, "jitter"))
}

fn addr(i: u32) -> IpAddr {
    IpAddr::from(i.to_be_bytes())
}

#[test]
fn one_destination_gets_its_rate_and_leaves_others_theirs() {
    let (mut limit, mut random) = limit(100_000, 100_000, 10, 1);
    let mut granted = |at: Duration, dst| {
        (0..100).filter(|_| limit.allow(Instant::ZERO + at, addr(dst), &mut random)).count()
    };
    assert_eq!(granted(Duration::ZERO, 1), 10);
    assert_eq!(granted(Duration::from_millis(500), 1), 5);
    assert_eq!(granted(Duration::from_millis(500), 2), 10);
    assert_eq!(granted(Duration::from_secs(100), 1), 10, "a long silence earns one burst");
}

#[test]
fn all_together_stay_under_the_shared_limit() {
    let (mut limit, mut random) = limit(1_000, 50, 10, 1);
    let mut sent = 0;
    // Ten seconds, ten thousand destinations a second.
    for tick in 0..100_000u64 {
        let now = Instant::from_micros(tick * 100);
        sent += usize::from(limit.allow(now, addr(tick as u32), &mut random));
    }
    assert!((4_000..=10_050).contains(&sent), "{sent} of a thousand a second, less the jitter");
}

#[test]
fn how_many_answers_a_burst_has_left_cannot_be_counted() {
    let answers = |seed| {
        let (mut limit, mut random) = limit(1_000, 50, 10, seed);
        (0..200).filter(|&i| limit.allow(Instant::ZERO, addr(i), &mut random)).count()
    };
    let counts: std::collections::BTreeSet<_> = (0..32).map(answers).collect();
    assert!(counts.len() > 3, "the same number every time: {counts:?}");
    assert!(counts.iter().all(|n| (16..=50).contains(n)), "{counts:?}");
}
