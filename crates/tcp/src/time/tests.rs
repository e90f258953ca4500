use super::Instant;
use core::time::Duration;

#[test]
fn arithmetic_saturates_at_both_ends() {
    assert_eq!(Instant::FAR_FUTURE + Duration::from_secs(1), Instant::FAR_FUTURE);
    assert_eq!(Instant::ZERO - Duration::from_secs(1), Instant::ZERO);
    assert_eq!(Instant::ZERO - Instant::from_millis(5), Duration::ZERO);
    assert_eq!(Instant::ZERO + Duration::MAX, Instant::FAR_FUTURE);
}

#[test]
fn units_agree() {
    assert_eq!(Instant::from_secs(2), Instant::from_millis(2_000));
    assert_eq!(Instant::from_micros(1_500).as_millis(), 1);
    assert_eq!(format!("{:?}", Instant::from_millis(1_250)), "1.250000000s");
}
