//! Keep-alive: asks an idle peer whether it is still there.
//! Spec: RFC 9293 3.8.4 (MUST-24 to MUST-29), RFC 1122 4.2.3.6; RFC 5482 for the user timeout; timing as Linux.
//! Owns: when the peer was last heard and how many probes it has left unanswered. Borrows: the socket's settings.
//! Invariants: nothing is sent before `idle` has passed; a peer that answers is never given up.
//! Not here: data that is not acknowledged (`retransmit`); whether keep-alive is on (MUST-25: off by default, `config`).

use core::time::Duration;

use crate::tick::Tick;
use crate::time::Instant;

/// TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeepAliveSettings {
    /// Quiet before the first probe.
    pub idle: Duration,
    /// Between probes.
    pub interval: Duration,
    /// Unanswered probes before the connection ends.
    pub probes: u32,
}

/// What the keep-alive timer asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum KeepAliveVerdict {
    /// Something was heard meanwhile.
    NotYet,
    /// Send a segment that asks for an ACK: SEQ = SND.NXT-1 (RFC 1122 4.2.3.6).
    Probe,
    /// The peer is gone.
    GiveUp,
}

/// The idle form of the rule: ten bytes in twelve.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeepAlive {
    heard: Tick,
    probed: Tick,
    probes: u8,
}

impl KeepAlive {
    pub(crate) const fn new(now: Instant) -> Self {
        KeepAlive { heard: Tick::at(now), probed: Tick::at(now), probes: 0 }
    }

    /// The peer sent something.
    pub(crate) const fn on_heard(&mut self, now: Instant) {
        self.heard = Tick::at(now);
        self.probes = 0;
    }

    /// How long the peer has been silent.
    pub(crate) fn silence(&self, now: Instant) -> Duration {
        self.heard.elapsed(now)
    }

    /// When to look again.
    pub(crate) fn deadline(&self, settings: &KeepAliveSettings, now: Instant) -> Instant {
        if self.probes == 0 {
            self.heard.near(now) + settings.idle
        } else {
            self.probed.near(now) + settings.interval
        }
    }

    pub(crate) fn on_timeout(
        &mut self,
        now: Instant,
        settings: &KeepAliveSettings,
        user_timeout: Option<Duration>,
    ) -> KeepAliveVerdict {
        if now < self.deadline(settings, now) {
            return KeepAliveVerdict::NotYet;
        }
        // As Linux: a user timeout, where set, decides in place of the count.
        let gone = match user_timeout {
            Some(limit) => self.probes > 0 && self.heard.elapsed(now) >= limit,
            None => u32::from(self.probes) >= settings.probes,
        };
        if gone {
            return KeepAliveVerdict::GiveUp;
        }
        self.probed = Tick::at(now);
        self.probes = self.probes.saturating_add(1);
        KeepAliveVerdict::Probe
    }

    /// Probes that were not answered.
    pub(crate) const fn probes_sent(&self) -> u32 {
        self.probes as u32
    }
}

#[cfg(test)]
mod tests;
