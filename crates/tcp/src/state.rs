//! The states of a connection and the moves between them.
//! Spec: RFC 9293 3.3.2 (figure 5).
//! Owns: the enum and the table of legal moves; `invariants` holds every event to it.
//! Not here: LISTEN, which is no state of a connection here but a listener of the stack's (`listen` decides for it).
//!
//! ```text
//!            connect()                      passive open (handshake::SynReceived)
//!   CLOSED ------------> SYN-SENT ------------------+
//!                          |   \ rcv SYN            |
//!                rcv SYN,ACK|    \                  v
//!                          |      +--------> SYN-RECEIVED
//!                          v   rcv ACK of SYN  |    | close()
//!                      ESTABLISHED <-----------+    |
//!               close() |      | rcv FIN            |
//!                       v      v                    |
//!        +------ FIN-WAIT-1   CLOSE-WAIT            |
//!        |          |  ^ \      | close()           |
//!  rcv FIN|  ACK of |  +--\-----|-------------------+
//!        v    FIN   v      \    v
//!     CLOSING   FIN-WAIT-2  \  LAST-ACK
//!        | ACK of   | rcv    \   | ACK of FIN
//!        v  FIN     v  FIN    v  v
//!     TIME-WAIT <---+------<--+  CLOSED        (2*MSL later CLOSED; RST, abort() or a timeout: CLOSED from anywhere)
//! ```

use core::fmt;

/// The state of a connection, as RFC 9293 spells it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum State {
    /// No connection.
    Closed,
    /// Our SYN is out.
    SynSent,
    /// Both SYNs have passed, ours is not yet acknowledged (reached by a connection only in a simultaneous open).
    SynReceived,
    /// Data flows both ways.
    Established,
    /// We have finished; the peer has acknowledged neither that nor finished itself.
    FinWait1,
    /// We have finished and the peer knows; it may still send.
    FinWait2,
    /// The peer has finished; we may still send.
    CloseWait,
    /// Both have finished; the peer does not yet know of us.
    Closing,
    /// The peer finished first; our FIN awaits its acknowledgment.
    LastAck,
    /// All is done; we stay for 2*MSL to answer a repeated FIN.
    TimeWait,
}

impl State {
    /// Every state, in the RFC's order.
    pub const ALL: [State; 10] = [
        State::Closed,
        State::SynSent,
        State::SynReceived,
        State::Established,
        State::FinWait1,
        State::FinWait2,
        State::CloseWait,
        State::Closing,
        State::LastAck,
        State::TimeWait,
    ];

    /// Both ends' SYNs are acknowledged (RFC 9293 3.5.3: "synchronized state").
    #[must_use]
    pub const fn is_synchronized(self) -> bool {
        !matches!(self, State::Closed | State::SynSent | State::SynReceived)
    }

    /// The user has said that nothing more will be sent: a FIN is queued, sent or acknowledged.
    #[must_use]
    pub const fn has_finished(self) -> bool {
        matches!(self, State::FinWait1 | State::FinWait2 | State::Closing | State::LastAck | State::TimeWait)
    }

    /// The peer's FIN has been taken in order.
    #[must_use]
    pub const fn peer_has_finished(self) -> bool {
        matches!(self, State::CloseWait | State::Closing | State::LastAck | State::TimeWait)
    }

    /// The user may queue data.
    #[must_use]
    pub const fn may_send(self) -> bool {
        matches!(self, State::SynSent | State::SynReceived | State::Established | State::CloseWait)
    }

    /// Text of a segment is still wanted (RFC 9293 3.10.7.4, seventh step).
    #[must_use]
    pub const fn takes_text(self) -> bool {
        matches!(self, State::SynReceived | State::Established | State::FinWait1 | State::FinWait2)
    }

    /// Whether the diagram has an arrow from `self` to `next`, in one event. A segment may run along several arrows
    /// (ACK of our FIN and the peer's FIN at once); staying is no move.
    #[must_use]
    pub const fn may_become(self, next: State) -> bool {
        use State::*;
        match self {
            Closed => matches!(next, SynSent),
            SynSent => matches!(next, Closed | SynReceived | Established | CloseWait),
            SynReceived => matches!(
                next,
                Closed | Established | FinWait1 | FinWait2 | CloseWait | Closing | LastAck | TimeWait
            ),
            Established => matches!(next, Closed | FinWait1 | CloseWait),
            FinWait1 => matches!(next, Closed | FinWait2 | Closing | TimeWait),
            FinWait2 => matches!(next, Closed | TimeWait),
            CloseWait => matches!(next, Closed | LastAck),
            Closing => matches!(next, Closed | TimeWait),
            LastAck | TimeWait => matches!(next, Closed),
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            State::Closed => "CLOSED",
            State::SynSent => "SYN-SENT",
            State::SynReceived => "SYN-RECEIVED",
            State::Established => "ESTABLISHED",
            State::FinWait1 => "FIN-WAIT-1",
            State::FinWait2 => "FIN-WAIT-2",
            State::CloseWait => "CLOSE-WAIT",
            State::Closing => "CLOSING",
            State::LastAck => "LAST-ACK",
            State::TimeWait => "TIME-WAIT",
        })
    }
}
