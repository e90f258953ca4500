//! Who waits, how long, and who never does.

use super::*;

fn number(value: u64) -> Option<AccountNumber> {
    AccountNumber::new(value)
}

fn at(seconds: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(seconds)
}

const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 1));
const STRANGER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));

#[test]
fn waits_double_up_to_a_bound_and_concern_one_address_and_one_number() {
    let mut throttle = LoginThrottle::new(100);
    let mut waits = Vec::new();
    for _ in 0..14 {
        waits.push(throttle.delay(at(0), STRANGER, number(10_001)).as_millis());
        throttle.on_failure(at(0), STRANGER, number(10_001));
    }
    assert_eq!(waits, [0, 0, 0, 0, 250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
    assert_eq!(throttle.delay(at(0), STRANGER, number(10_002)), Duration::ZERO, "another number");
    assert_eq!(throttle.delay(at(0), HOME, number(10_001)), Duration::ZERO, "another address");
    assert_eq!(throttle.delay(at(3600), STRANGER, number(10_001)), Duration::ZERO, "an hour later");
}

#[test]
fn an_address_that_logged_in_before_is_never_locked_out() {
    let mut throttle = LoginThrottle::new(100);
    throttle.on_success(at(0), HOME, number(10_001).unwrap());
    for _ in 0..1000 {
        throttle.on_failure(at(1), HOME, number(10_001));
    }
    assert_eq!(throttle.delay(at(1), HOME, number(10_001)), DELAY_MAX_KNOWN);
    throttle.on_success(at(2), HOME, number(10_001).unwrap());
    assert_eq!(throttle.delay(at(2), HOME, number(10_001)), Duration::ZERO);
}

#[test]
fn the_tables_are_bounded_and_forget_the_least_recent() {
    let mut throttle = LoginThrottle::new(20);
    for value in 1..=1000 {
        throttle.on_failure(at(0), STRANGER, number(value));
    }
    assert_eq!((throttle.len(), throttle.strangers.by_age.len()), (10, 10));
    assert!(throttle.strangers.records.contains_key(&(STRANGER, number(1000))));
    assert!(!throttle.strangers.records.contains_key(&(STRANGER, number(990))));
    for value in 1..=1000 {
        throttle.on_success(at(0), STRANGER, number(value).unwrap());
    }
    assert_eq!((throttle.len(), throttle.known.by_age.len(), throttle.strangers.by_age.len()), (10, 10, 0));
}

#[test]
fn a_crowd_of_strangers_does_not_make_it_forget_who_logged_in() {
    let mut throttle = LoginThrottle::new(20);
    throttle.on_success(at(0), HOME, number(10_001).unwrap());
    for value in 1..=1000 {
        throttle.on_failure(at(1), STRANGER, number(value));
    }
    for _ in 0..100 {
        throttle.on_failure(at(2), HOME, number(10_001));
    }
    assert_eq!(throttle.delay(at(2), HOME, number(10_001)), DELAY_MAX_KNOWN);
}

#[test]
fn one_ipv6_network_is_one_address() {
    let mut throttle = LoginThrottle::new(10);
    for host in 1..=10_u128 {
        let address = IpAddr::V6((0x2001_0db8_u128 << 96 | host).into());
        throttle.on_failure(at(0), address, number(10_001));
    }
    assert_eq!(throttle.len(), 1);
    let mapped: IpAddr = "::ffff:127.0.0.2".parse().unwrap();
    throttle.on_failure(at(0), mapped, number(10_001));
    throttle.on_failure(at(0), STRANGER, number(10_001));
    assert_eq!(throttle.len(), 2);
}
