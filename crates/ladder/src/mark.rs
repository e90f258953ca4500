//! What is unusual about a segment, by name.
//! Spec: RFC 9293 3.8, 3.10.7; RFC 5681 2 (duplicate ACK); RFC 5961 (challenge ACK).
//! Owns: the names. Not here: when one applies (`analysis`).

use std::fmt;

/// Something unusual.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mark {
    /// Its sequence space, or part of it, had been sent before.
    Retransmission,
    /// The same, and the receiver's duplicate ACKs asked for it.
    FastRetransmission,
    /// The same, and the receiver had acknowledged it already.
    SpuriousRetransmission,
    /// It was overtaken by a segment that was sent after it.
    OutOfOrder,
    /// Segments before it were sent and not seen: the capture missed them, or the path lost them before it.
    Gap,
    /// It acknowledges what was not seen.
    AckOfUnseen,
    /// The n-th ACK that says again what the one before said, while data is missing.
    DuplicateAck(u32),
    /// It tells that its sender has no room.
    ZeroWindow,
    /// It fills the window that its receiver had offered.
    WindowFull,
    /// It tells of more room, and nothing else.
    WindowUpdate,
    /// One octet, or none, into a zero window, to hear whether there is room now.
    ZeroWindowProbe,
    /// The answer to that: still none.
    ZeroWindowProbeAck,
    /// An old octet, or none, to hear whether the peer is still there.
    KeepAlive,
    /// The answer to that.
    KeepAliveAck,
    /// The answer to a SYN or RST that may be forged: say it again if you mean it (RFC 5961).
    ChallengeAck,
    /// Put on the wire by somebody else, in the sender's name.
    Forged,
    /// An old duplicate of a segment of the sender's, late on its way: it sent nothing now.
    OldDuplicate,
    /// A router on the way says it, of what it could not forward; the end in whose place it stands sent nothing.
    FromRouter,
}

impl Mark {
    /// Its name in JSON: lower case, with hyphens.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Mark::Retransmission => "retransmission",
            Mark::FastRetransmission => "fast-retransmission",
            Mark::SpuriousRetransmission => "spurious-retransmission",
            Mark::OutOfOrder => "out-of-order",
            Mark::Gap => "gap-before",
            Mark::AckOfUnseen => "ack-of-unseen",
            Mark::DuplicateAck(_) => "duplicate-ack",
            Mark::ZeroWindow => "zero-window",
            Mark::WindowFull => "window-full",
            Mark::WindowUpdate => "window-update",
            Mark::ZeroWindowProbe => "zero-window-probe",
            Mark::ZeroWindowProbeAck => "zero-window-probe-ack",
            Mark::KeepAlive => "keep-alive",
            Mark::KeepAliveAck => "keep-alive-ack",
            Mark::ChallengeAck => "challenge-ack",
            Mark::Forged => "forged",
            Mark::OldDuplicate => "old-duplicate",
            Mark::FromRouter => "from-router",
        }
    }

    /// Something went wrong, rather than being merely worth a word.
    #[must_use]
    pub const fn is_trouble(self) -> bool {
        !matches!(
            self,
            Mark::WindowUpdate
                | Mark::KeepAlive
                | Mark::KeepAliveAck
                | Mark::WindowFull
                | Mark::ZeroWindowProbeAck
        )
    }
}

/// For people.
impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mark::DuplicateAck(n) => return write!(f, "duplicate ACK #{n}"),
            Mark::FastRetransmission => "fast retransmission",
            Mark::SpuriousRetransmission => "spurious retransmission",
            Mark::OutOfOrder => "out of order",
            Mark::Gap => "segment before it not seen",
            Mark::AckOfUnseen => "acknowledges what was not seen",
            Mark::ZeroWindow => "zero window",
            Mark::WindowFull => "window full",
            Mark::WindowUpdate => "window update",
            Mark::ZeroWindowProbe => "zero-window probe",
            Mark::ZeroWindowProbeAck => "answer to the probe",
            Mark::KeepAlive => "keep-alive",
            Mark::KeepAliveAck => "answer to the keep-alive",
            Mark::ChallengeAck => "challenge ACK",
            Mark::OldDuplicate => "old duplicate",
            Mark::FromRouter => "from a router",
            other => other.word(),
        })
    }
}
