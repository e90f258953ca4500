//! Times that TCP_INFO keeps: how long a connection had something to send, and what held it up meanwhile.
//! Spec: `tcpi_busy_time`, `tcpi_rwnd_limited`, `tcpi_sndbuf_limited` of uapi/linux/tcp.h, as Linux's `tcp_chrono_start` counts them.
//! Owns: the sums of one descriptor, and the spell that lasts. Borrows: the look at the connection (`tcp::TcpInfo`).
//! Invariants: at one time at most one thing is what limits; the time it limits is busy time too.
//! Not here: the connection, which would have to keep them through its idle form; time is virtual here, so that a look after each event
//! misses nothing.

use stack::Instant;
use std::time::Duration;
use tcp::{State, TcpInfo};

/// What a connection does with its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spell {
    /// Nothing is queued, nothing in flight.
    Idle,
    /// The network has its share.
    Busy,
    /// The peer's window lets out no more.
    WindowLimited,
    /// The program would send more, but for the send buffer, and all that it took is out.
    BufferLimited,
}

/// The sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Times {
    pub(crate) busy: Duration,
    pub(crate) window_limited: Duration,
    pub(crate) buffer_limited: Duration,
}

/// The clock of one connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chrono {
    spell: Spell,
    since: Instant,
    times: Times,
    /// A write was not taken whole, and there has been no room since (SOCK_NOSPACE).
    pub(crate) wants_room: bool,
}

impl Chrono {
    pub(crate) fn new(now: Instant) -> Self {
        Chrono { spell: Spell::Idle, since: now, times: Times::default(), wants_room: false }
    }

    /// Something has happened at `now`, and this is how the connection stands after it.
    pub(crate) fn look(&mut self, now: Instant, info: Option<&TcpInfo>) {
        self.times = self.at(now);
        self.since = now;
        self.spell = info.map_or(Spell::Idle, |info| spell(info, self.wants_room));
    }

    /// The sums up to `now`.
    pub(crate) fn at(&self, now: Instant) -> Times {
        let (mut times, lasted) = (self.times, now.since(self.since));
        match self.spell {
            Spell::Idle => return times,
            Spell::Busy => {}
            Spell::WindowLimited => times.window_limited += lasted,
            Spell::BufferLimited => times.buffer_limited += lasted,
        }
        times.busy += lasted;
        times
    }
}

fn spell(info: &TcpInfo, wants_room: bool) -> Spell {
    // A SYN is not yet the program's business.
    let open = !matches!(info.state, State::SynSent | State::SynReceived | State::Closed);
    if !open || (info.unacked == 0 && info.not_sent == 0) {
        return Spell::Idle;
    }
    let mss = u32::from(info.snd_mss);
    let in_network = (info.unacked + info.resent).saturating_sub(info.sacked + info.lost);
    let window = info.snd_wnd.saturating_sub(info.unacked);
    match info.not_sent {
        _ if info.cwnd.saturating_sub(in_network) < mss => Spell::Busy,
        0 if wants_room => Spell::BufferLimited,
        // Linux waits for a window that takes a segment whole.
        waiting if window < waiting.min(mss) => Spell::WindowLimited,
        _ => Spell::Busy,
    }
}

#[cfg(test)]
mod tests;
