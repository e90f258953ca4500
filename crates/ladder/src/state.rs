//! The states of an end, as a ladder prints them.
//! Spec: RFC 9293 3.3.2 (figure 5).
//! Owns: the eleven names. Not here: how a state follows from another (`infer`, or a stack that says so).

use std::fmt;

/// The state of one end. Unlike [`tcp::State`] it has LISTEN, which a passive end is in before the first segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum State {
    /// No connection.
    #[default]
    Closed,
    /// Waits for a SYN.
    Listen,
    /// Its SYN is out.
    SynSent,
    /// Has sent and received a SYN, its own not yet acknowledged.
    SynReceived,
    /// Data flows both ways.
    Established,
    /// Has finished; the peer has neither acknowledged that nor finished itself.
    FinWait1,
    /// Has finished and the peer knows.
    FinWait2,
    /// The peer has finished.
    CloseWait,
    /// Both have finished, and the peer does not know of this one's FIN yet.
    Closing,
    /// The peer finished first; this one's FIN waits for its acknowledgment.
    LastAck,
    /// All is done; it stays for 2*MSL.
    TimeWait,
}

impl State {
    /// The RFC's spelling.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            State::Closed => "CLOSED",
            State::Listen => "LISTEN",
            State::SynSent => "SYN-SENT",
            State::SynReceived => "SYN-RECEIVED",
            State::Established => "ESTABLISHED",
            State::FinWait1 => "FIN-WAIT-1",
            State::FinWait2 => "FIN-WAIT-2",
            State::CloseWait => "CLOSE-WAIT",
            State::Closing => "CLOSING",
            State::LastAck => "LAST-ACK",
            State::TimeWait => "TIME-WAIT",
        }
    }

    /// Both SYNs are acknowledged, as far as this end knows (RFC 9293 3.5.3).
    #[must_use]
    pub const fn is_synchronized(self) -> bool {
        !matches!(self, State::Closed | State::Listen | State::SynSent | State::SynReceived)
    }
}

impl From<tcp::State> for State {
    fn from(state: tcp::State) -> State {
        match state {
            tcp::State::Closed => State::Closed,
            tcp::State::SynSent => State::SynSent,
            tcp::State::SynReceived => State::SynReceived,
            tcp::State::Established => State::Established,
            tcp::State::FinWait1 => State::FinWait1,
            tcp::State::FinWait2 => State::FinWait2,
            tcp::State::CloseWait => State::CloseWait,
            tcp::State::Closing => State::Closing,
            tcp::State::LastAck => State::LastAck,
            tcp::State::TimeWait => State::TimeWait,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
