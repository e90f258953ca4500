//! An agenda: which site has something to do next, and when.
//! Owns: the times, by site and in order. Invariants: both say the same; looking and noting cost a logarithm, so that a moment costs
//! what happens in it and not how many are there.
//! Not here: what is done (`world`).

use std::collections::BTreeSet;

use tcp::Instant;

#[derive(Debug, Default)]
pub(crate) struct Agenda {
    of: Vec<Option<Instant>>,
    order: BTreeSet<(Instant, usize)>,
}

impl Agenda {
    /// A site's next time, whatever it was before.
    pub(crate) fn set(&mut self, site: usize, at: Option<Instant>) {
        if self.of.len() <= site {
            self.of.resize(site + 1, None);
        }
        if let Some(before) = std::mem::replace(&mut self.of[site], at) {
            self.order.remove(&(before, site));
        }
        self.order.extend(at.map(|at| (at, site)));
    }

    /// The same, unless something is due before.
    pub(crate) fn bring_forward(&mut self, site: usize, at: Option<Instant>) {
        let before = self.of.get(site).copied().flatten();
        if at.is_some_and(|at| before.is_none_or(|before| at < before)) {
            self.set(site, at);
        }
    }

    /// The next time of all.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Whose time has come, in the order of the sites.
    pub(crate) fn due(&self, now: Instant) -> Vec<usize> {
        let mut due: Vec<usize> = self.order.range(..=(now, usize::MAX)).map(|(_, site)| *site).collect();
        due.sort_unstable();
        due
    }
}
