use super::*;

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
