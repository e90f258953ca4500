use super::*;
use proptest::prelude::*;

#[test]
fn known_dates() {
    // Left: `date -u -d @SECONDS`.
    for (text, millis) in [
        ("1970-01-01T00:00:00.000Z", 0),
        ("2000-02-29T12:00:00.000Z", 951_825_600_000),
        ("1999-12-31T23:59:59.999Z", 946_684_799_999),
        ("2024-12-31T00:00:00.000Z", 1_735_603_200_000),
        ("2100-03-01T00:00:00.000Z", 4_107_542_400_000),
    ] {
        assert_eq!(Wallclock::from_millis(millis).to_string(), text);
        assert_eq!(text.parse(), Ok(Wallclock::from_millis(millis)));
    }
}

#[test]
fn zones_and_fractions() {
    // XEP-0082 section 4: two ways to write one moment of the moon landing's sort.
    let utc: Wallclock = "1979-07-21T02:56:15Z".parse().unwrap();
    assert_eq!("1979-07-20T21:56:15-05:00".parse(), Ok(utc));
    assert_eq!("1979-07-21T02:56:15.1Z".parse(), Ok(utc + Duration::from_millis(100)));
    assert_eq!("1979-07-21T02:56:15.123456Z".parse(), Ok(utc + Duration::from_millis(123)));
}

#[test]
fn refused() {
    for text in [
        "",
        "2026",
        "2026-11-24",
        "2026-13-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:00:00",
        "2026-01-01T00:00:00.Z",
        "2026-01-01 00:00:00Z",
        "1969-12-31T23:59:59Z",
        "2026-01-01T00:00:00+0500",
        "2026-01-01T00:00:00Zx",
    ] {
        assert_eq!(text.parse::<Wallclock>(), Err(WallclockError), "{text}");
    }
}

proptest! {
    #[test]
    fn round_trip(millis in 0..253_402_300_800_000_u64) {
        let text = Wallclock::from_millis(millis).to_string();
        prop_assert_eq!(text.len(), 24);
        prop_assert_eq!(text.parse(), Ok(Wallclock::from_millis(millis)));
    }

    #[test]
    fn instants_saturate(at: u64, by: u64) {
        let instant = Instant::from_nanos(at);
        prop_assert_eq!((instant + Duration::from_nanos(by)).as_nanos(), at.saturating_add(by));
        prop_assert!(instant - Duration::MAX == Instant::ZERO);
    }
}
