//! How a link changes over a life: phases of drawn conditions, cuts among them, and then peace.
//! Owns: the schedule. Invariants: phases follow one another in time; the last one is healed, and nothing comes after it.
//! Not here: what a condition does to a frame (`link`).

use crate::link::{Conditions, End, Link};
use crate::rng::Rng;
use std::time::Duration;
use tcp::Instant;

/// Phases in one schedule, at most.
pub const PHASES_MAX: u64 = 6;
/// How long one phase lasts, at most. With [`PHASES_MAX`] this keeps the faults below the 100 s after which RFC 9293 lets a
/// connection give up (R2), so that no connection has a reason to.
pub const PHASE_MAX: Duration = Duration::from_secs(6);

/// What the link is like from a time on, as frames from A and from B see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phase {
    /// From when on.
    pub from: Instant,
    /// For frames from A, and from B.
    pub conditions: [Conditions; 2],
}

/// A schedule of phases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    phases: Vec<Phase>,
    next: usize,
}

impl Schedule {
    /// These phases, in order of time.
    pub fn new(phases: Vec<Phase>) -> Schedule {
        debug_assert!(phases.is_sorted_by_key(|phase| phase.from), "phases follow one another");
        Schedule { phases, next: 0 }
    }

    /// Draws a schedule that starts at `start` on a path whose delay and jitter are `base`'s.
    pub fn draw(rng: &mut Rng, start: Instant, base: Conditions) -> Schedule {
        let mut from = start;
        let mut phases = Vec::new();
        for _ in 0..rng.between(1, PHASES_MAX) {
            let cut = rng.chance(150_000);
            let mut conditions = [draw_conditions(rng, base), draw_conditions(rng, base)];
            if cut {
                // Half of the cuts are of one direction only.
                let both = rng.flip();
                let first = usize::from(rng.flip());
                conditions[first].cut = true;
                conditions[1 - first].cut |= both;
            }
            phases.push(Phase { from, conditions });
            from += rng.duration(PHASE_MAX);
        }
        phases.push(Phase { from, conditions: [base.healed(); 2] });
        Schedule::new(phases)
    }

    /// The same, `by` later.
    #[must_use]
    pub fn delayed(mut self, by: Duration) -> Schedule {
        for phase in &mut self.phases {
            phase.from += by;
        }
        self
    }

    /// When the last phase begins: from then on nothing is wrong.
    pub fn healed_at(&self) -> Option<Instant> {
        self.phases.last().map(|phase| phase.from)
    }

    /// When conditions change next.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.phases.get(self.next).map(|phase| phase.from)
    }

    /// Changes the link to the phase that has come.
    pub fn apply(&mut self, now: Instant, link: &mut Link) {
        while let Some(phase) = self.phases.get(self.next).filter(|phase| phase.from <= now) {
            for end in End::BOTH {
                link.set_conditions(end, phase.conditions[end.index()]);
            }
            self.next += 1;
        }
    }
}

fn draw_conditions(rng: &mut Rng, base: Conditions) -> Conditions {
    // Each fault is absent in half of all phases, so that each is also seen alone.
    let mut share = |most: u64| if rng.flip() { 0 } else { rng.spread(100, most) as u32 };
    let (loss, duplicate, corrupt, reorder) = (share(200_000), share(50_000), share(50_000), share(100_000));
    Conditions {
        loss,
        duplicate,
        corrupt,
        reorder,
        reorder_by: Duration::from_micros(rng.spread(100, 2_000_000)),
        ..base
    }
}

#[cfg(test)]
mod tests;
