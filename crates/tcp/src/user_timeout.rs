//! User timeout: how long what was sent may stay unacknowledged, told to the peer and heard from it.
//! Spec: RFC 5482 sections 2 and 3; RFC 9293 3.9.1.1 (the default), SHLD-11 (R2 at least 100 s).
//! Owns: ADV_UTO as an option, REMOTE_UTO in two octets, and what both come to. Borrows: the socket's settings, the stack's limits.
//! Invariants: once the program has set a timeout no peer changes it (CHANGEABLE is false); what a peer asks for stays between
//! L_LIMIT and U_LIMIT, and never ends a connection whose peer answers (RFC 9293 MUST-37).
//! Not here: the clock that runs out (`retransmit`, `persist`, `keepalive`).
//!
//! ```text
//!   USER_TIMEOUT = min(U_LIMIT, max(ADV_UTO, REMOTE_UTO, L_LIMIT))      RFC 5482 3.1, while CHANGEABLE
//! ```

use core::time::Duration;

use wire::tcp::UserTimeout;

use crate::config::{Settings, TcpConfig};
use crate::connection::{Bits, Connection};
use crate::segment::Segment;

/// The option's value, as the wire has it; a value of zero, which RFC 5482 section 2 reserves, stands for none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Advertised(u16);

const MINUTES: u16 = 1 << 15;

impl Advertised {
    pub(crate) const NONE: Advertised = Advertised(0);

    pub(crate) fn option(self) -> Option<UserTimeout> {
        (self.0 & !MINUTES != 0)
            .then_some(UserTimeout { minutes: self.0 & MINUTES != 0, value: self.0 & !MINUTES })
    }
}

impl From<Option<UserTimeout>> for Advertised {
    fn from(option: Option<UserTimeout>) -> Self {
        option.map_or(Advertised::NONE, |timeout| {
            Advertised(timeout.value & !MINUTES | if timeout.minutes { MINUTES } else { 0 })
        })
    }
}

impl Settings {
    /// ADV_UTO as an option, if there is one to send: whole seconds, rounded up, so that it is never the reserved zero.
    pub(crate) fn advertised_user_timeout(&self) -> Option<UserTimeout> {
        let limit = self.user_timeout.filter(|_| self.user_timeout_option)?;
        let secs = limit.as_secs() + u64::from(limit.subsec_nanos() > 0);
        Some(UserTimeout::from_secs(u32::try_from(secs.max(1)).unwrap_or(u32::MAX)))
    }
}

/// RFC 5482 3.1: what a peer's wish comes to.
fn adopt(remote: UserTimeout, config: &TcpConfig) -> Duration {
    let remote = Duration::from_secs(u64::from(remote.secs()));
    config.user_timeout_default.max(remote).max(config.user_timeout_min).min(config.user_timeout_max)
}

impl Connection {
    /// USER_TIMEOUT: what the program set, or else what the peer's wish comes to.
    pub(crate) fn user_timeout(&self, config: &TcpConfig) -> Option<Duration> {
        self.settings.user_timeout.or_else(|| {
            let remote = self.remote_uto.option().filter(|_| self.settings.user_timeout_option)?;
            Some(adopt(remote, config))
        })
    }

    /// A segment that is believed may tell the peer's timeout; the last word counts.
    pub(crate) fn note_user_timeout(&mut self, seg: &Segment<'_>) {
        let told = Advertised::from(seg.options.user_timeout);
        if told.option().is_some() {
            self.remote_uto = told;
        }
    }

    /// What the next segment is to say.
    pub(crate) fn owed_user_timeout(&self) -> Option<UserTimeout> {
        self.settings.advertised_user_timeout().filter(|_| self.bits.has(Bits::UTO_DUE))
    }
}

#[cfg(test)]
mod tests;
