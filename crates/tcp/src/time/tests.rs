use super::*;

#[test]
fn arithmetic_saturates_at_both_ends() {
    assert_eq!(Instant::MAX + Duration::from_secs(1), Instant::MAX);
    assert_eq!(Instant::ZERO - Duration::from_secs(1), Instant::ZERO);
    assert_eq!(Instant::ZERO - Instant::from_millis(5), Duration::ZERO);
    assert_eq!(Instant::ZERO + Duration::MAX, Instant::MAX);
}

#[test]
fn a_tick_survives_the_wrap_of_its_counter() {
    let before = Instant::from_millis((1 << 32) - 10);
    let after = before + Duration::from_millis(30);
    let tick = Tick::at(before);
    assert_eq!(tick.elapsed(after), Duration::from_millis(30));
    assert_eq!(tick.near(after), before);
    assert_eq!(Tick::at(after).elapsed(before), Duration::ZERO);
    assert_eq!(Tick::at(after).near(before), after);
}
