//! Persist: probes a window that the peer has closed, so that a lost window update cannot stop a connection for ever.
//! Spec: RFC 9293 3.8.6.1 (MUST-35 to MUST-37, SHLD-29, SHLD-30).
//! Owns: the probe timer, its backoff, how many probes went unanswered. Borrows: the RTO.
//! Invariants: while the peer answers, the connection lives, however long its window stays shut (MUST-37), unless the user
//! set a timeout.
//! Not here: what a probe looks like (`transmit`), when the window counts as shut (`window`).

use core::time::Duration;

use crate::retransmit::{GiveUp, Timeout, backed_off};
use crate::time::Instant;

/// The probe timer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Persist {
    deadline: Option<Instant>,
    started: Option<Instant>,
    probes: u32,
    unanswered: u32,
}

impl Persist {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }

    pub(crate) const fn is_running(&self) -> bool {
        self.deadline.is_some()
    }

    /// The window is shut and there is something to send: the first probe goes after one RTO (SHLD-29).
    pub(crate) fn start(&mut self, now: Instant, rto: Duration) {
        if self.deadline.is_none() {
            *self = Persist { deadline: Some(now + rto), started: Some(now), ..Self::default() };
        }
    }

    /// The window opened, or nothing is left to send.
    pub(crate) fn stop(&mut self) {
        self.reset();
    }

    pub(crate) const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The timer expired: `Retransmit` stands for a probe.
    pub(crate) fn on_timeout(
        &mut self,
        now: Instant,
        rto: Duration,
        rto_max: Duration,
        give_up: &GiveUp,
    ) -> Timeout {
        let shut_for = self.started.map_or(Duration::ZERO, |started| now - started);
        let gone = match give_up.user_timeout {
            Some(limit) => self.probes > 0 && shut_for >= limit,
            None => self.unanswered >= give_up.retries,
        };
        if gone {
            self.deadline = None;
            return Timeout::GiveUp;
        }
        self.probes = self.probes.saturating_add(1);
        self.unanswered = self.unanswered.saturating_add(1);
        // SHLD-30: the interval doubles.
        let mut next = now + backed_off(rto, self.probes, rto_max);
        if let (Some(limit), Some(started)) = (give_up.user_timeout, self.started) {
            next = next.min(started + limit).max(now + Duration::from_millis(1));
        }
        self.deadline = Some(next);
        Timeout::Retransmit
    }

    /// The peer acknowledged a probe, window still shut: it lives.
    pub(crate) fn on_answer(&mut self) {
        self.unanswered = 0;
    }

    /// Probes sent since the window shut.
    pub(crate) const fn probes(&self) -> u32 {
        self.probes
    }
}

#[cfg(test)]
mod tests;
