//! The clocks, read once a turn and handed to the cores. The only place of the exchange that reads them for protocol.
//! Not here: deadlines (each core tells its own).

use std::time::{Duration, Instant as StdInstant, SystemTime, UNIX_EPOCH};

use xmpp::time::{Instant, Now, Wallclock};

/// Both clocks, with one origin for all threads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: StdInstant,
}

impl Clock {
    pub(crate) fn new() -> Self {
        // An origin in the past keeps instants away from zero, so that subtracting a little never saturates.
        let now = StdInstant::now();
        Self { origin: now.checked_sub(Duration::from_secs(1)).unwrap_or(now) }
    }

    pub(crate) fn now(self) -> Now {
        let nanos = u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX);
        Now { mono: Instant::from_nanos(nanos), wall: wall() }
    }

    /// The same instant, for those who want the standard library's.
    pub(crate) fn to_std(self, instant: Instant) -> StdInstant {
        self.origin + Duration::from_nanos(instant.as_nanos())
    }

    /// And back.
    pub(crate) fn to_core(self, instant: StdInstant) -> Instant {
        let since = instant.saturating_duration_since(self.origin);
        Instant::from_nanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }
}

/// Civil time. A clock before 1970 reads as 1970.
pub(crate) fn wall() -> Wallclock {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Wallclock::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
