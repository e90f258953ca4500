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
fn the_table_is_bounded_and_forgets_the_least_recent() {
    let mut throttle = LoginThrottle::new(10);
    for value in 1..=1000 {
        throttle.on_failure(at(0), STRANGER, number(value));
    }
    assert_eq!(throttle.len(), 10);
    assert_eq!(throttle.by_age.len(), 10);
    assert!(throttle.records.contains_key(&(STRANGER, number(1000))));
    assert!(!throttle.records.contains_key(&(STRANGER, number(990))));
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
