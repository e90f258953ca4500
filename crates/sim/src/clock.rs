//! Virtual time: it stands still while something happens and jumps to the next event.
//! Owns: the time. Invariants: it never runs backwards.
//! Not here: what the next event is (`world`).

use tcp::Instant;

/// The one clock of a world.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    now: Instant,
}

impl Clock {
    /// A world begins an hour after its stacks' origin, so that nothing can rely on time zero.
    pub const START: Instant = Instant::from_secs(3600);

    /// At the beginning.
    pub fn new() -> Clock {
        Clock { now: Clock::START }
    }

    /// What time it is.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Jumps to `then`, or stays where it is if that has passed.
    pub fn advance_to(&mut self, then: Instant) {
        self.now = self.now.max(then);
    }
}

impl Default for Clock {
    fn default() -> Clock {
        Clock::new()
    }
}
