//! Time as it is handed to a core: a monotonic instant for deadlines and a wall clock for what people read.
//! Spec: XEP-0082 (date and time profiles). Units: `Instant` in nanoseconds, `Wallclock` in milliseconds since 1970 UTC.
//! Invariants: arithmetic saturates, so that no deadline computed from a hostile or misconfigured number can panic.
//! Not here: reading a clock; only drivers do.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};
use std::str::FromStr;
use std::time::Duration;

/// A point on a monotonic clock whose origin is the driver's business.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The clock's origin.
    pub const ZERO: Instant = Instant(0);

    /// The instant `nanos` nanoseconds after the origin.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Instant {
        Instant(nanos)
    }

    /// Nanoseconds since the origin.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long before `self` `earlier` was; zero when it was not.
    #[must_use]
    pub const fn saturating_since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;
    fn add(self, by: Duration) -> Instant {
        Instant(self.0.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, by: Duration) {
        *self = *self + by;
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;
    fn sub(self, by: Duration) -> Instant {
        Instant(self.0.saturating_sub(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl Sub<Instant> for Instant {
    type Output = Duration;
    fn sub(self, earlier: Instant) -> Duration {
        self.saturating_since(earlier)
    }
}

/// A point in civil time, UTC, to the millisecond. `Display` and `FromStr` speak XEP-0082's DateTime profile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wallclock(u64);

impl Wallclock {
    /// The moment `millis` milliseconds after 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Wallclock {
        Wallclock(millis)
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }
}

impl Add<Duration> for Wallclock {
    type Output = Wallclock;
    fn add(self, by: Duration) -> Wallclock {
        Wallclock(self.0.saturating_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// Days from 1970-01-01 to the first of March of `year`, in the proleptic Gregorian calendar; a year that starts in
/// March has its leap day last, which is what makes the arithmetic below free of tables.
fn days_to_march(year: i64) -> i64 {
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 - 719_468
}

/// Day number within the March year of the first of a month counted from March (0) to February (11).
fn days_before_month(from_march: i64) -> i64 {
    (153 * from_march + 2) / 5
}

impl fmt::Display for Wallclock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = i64::try_from(self.0 / 86_400_000).unwrap_or(i64::MAX);
        let of_day = self.0 % 86_400_000;
        // An estimate of the March year that is never too early by more than one.
        let mut year =
            (days + 719_468).div_euclid(146_097) * 400 + (days + 719_468).rem_euclid(146_097) / 365;
        while days_to_march(year) > days {
            year -= 1;
        }
        let of_year = days - days_to_march(year);
        let from_march = (5 * of_year + 2) / 153;
        let day = of_year - days_before_month(from_march) + 1;
        let (month, year) = if from_march < 10 { (from_march + 3, year) } else { (from_march - 9, year + 1) };
        let (hour, minute) = (of_day / 3_600_000, of_day / 60_000 % 60);
        let (second, milli) = (of_day / 1_000 % 60, of_day % 1_000);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
    }
}

/// The text is not a DateTime of XEP-0082, or is earlier than 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WallclockError;

impl fmt::Display for WallclockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a date and time such as 2026-11-24T09:00:00Z")
    }
}

impl std::error::Error for WallclockError {}

impl FromStr for Wallclock {
    type Err = WallclockError;

    fn from_str(text: &str) -> Result<Wallclock, WallclockError> {
        parse(text.as_bytes()).ok_or(WallclockError)
    }
}

fn digits(text: &[u8], at: usize, count: usize) -> Option<i64> {
    text.get(at..at + count)?.iter().try_fold(0, |value, b| match b {
        b'0'..=b'9' => Some(value * 10 + i64::from(b - b'0')),
        _ => None,
    })
}

// XEP-0082 3.2: CCYY-MM-DDThh:mm:ss[.sss]TZD, where TZD is `Z` or an offset.
fn parse(text: &[u8]) -> Option<Wallclock> {
    let (year, month, day) = (digits(text, 0, 4)?, digits(text, 5, 2)?, digits(text, 8, 2)?);
    let (hour, minute, second) = (digits(text, 11, 2)?, digits(text, 14, 2)?, digits(text, 17, 2)?);
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if marks.iter().any(|&(at, mark)| text[at] != mark) {
        return None;
    }
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let month_days = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    // A leap second reads as the last millisecond's neighbour, the next minute.
    if !(1..=month_days).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut rest = &text[19..];
    let mut millis = 0;
    if let Some(fraction) = rest.strip_prefix(b".") {
        let count = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
        if count == 0 {
            return None;
        }
        let kept = count.min(3);
        millis = digits(fraction, 0, kept)? * 10_i64.pow(u32::try_from(3 - kept).ok()?);
        rest = &fraction[count..];
    }
    let offset_minutes = match rest {
        b"Z" => 0,
        [sign @ (b'+' | b'-'), zone @ ..] if zone.len() == 5 && zone[2] == b':' => {
            let (hours, minutes) = (digits(zone, 0, 2)?, digits(zone, 3, 2)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let offset = hours * 60 + minutes;
            if *sign == b'+' { offset } else { -offset }
        }
        _ => return None,
    };
    let (from_march, march_year) = if month > 2 { (month - 3, year) } else { (month + 9, year - 1) };
    let days = days_to_march(march_year) + days_before_month(from_march) + day - 1;
    let seconds = ((days * 24 + hour) * 60 + minute - offset_minutes) * 60 + second;
    u64::try_from(seconds * 1_000 + millis).ok().map(Wallclock)
}

/// Both clocks, read once for a batch of inputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// For deadlines.
    pub mono: Instant,
    /// For what people read.
    pub wall: Wallclock,
}

impl Now {
    /// The same moment `by` later on both clocks.
    #[must_use]
    pub fn later(self, by: Duration) -> Now {
        Now { mono: self.mono + by, wall: self.wall + by }
    }
}

#[cfg(test)]
mod tests;
