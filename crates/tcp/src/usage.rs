//! Usage: was it the congestion window that limited what was in flight?
//! Spec: RFC 9438 4.2 (note), RFC 7661 4.3: a window that was not used does not grow; Linux's `tcp_cwnd_validate`.
//! Owns: what was seen of the flight that is out, or the one before. Units: octets of sequence space.
//! Not here: what follows (`congestion`).

use crate::seq::SeqNum;

/// How much of the congestion window was in use, lately: within the flight that is out, or the one before.
/// As Linux's `tcp_cwnd_validate`: what was limited stays so until what was out then is acknowledged.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    limited: bool,
    /// The most that was out.
    flight_max: u32,
    /// SND.NXT as of then.
    until: SeqNum,
    known: bool,
}

impl Usage {
    /// Text went out up to `nxt`, and the window, or something else, let out no more.
    pub(crate) fn on_sent(&mut self, una: SeqNum, nxt: SeqNum, limited: bool) {
        let flight = nxt.since(una);
        let over = !self.known || una.at_or_after(self.until);
        if over || limited || (!self.limited && flight > self.flight_max) {
            *self = Usage { limited, flight_max: flight, until: nxt, known: true };
        }
    }

    /// The window is full.
    pub(crate) fn on_refused(&mut self, una: SeqNum, nxt: SeqNum) {
        *self = Usage { limited: true, flight_max: nxt.since(una), until: nxt, known: true };
    }

    /// The window is what limits.
    pub(crate) const fn is_limited(&self) -> bool {
        self.limited
    }

    /// The most that was in flight of the window that is being acknowledged.
    pub(crate) const fn flight_max(&self) -> u32 {
        self.flight_max
    }
}
