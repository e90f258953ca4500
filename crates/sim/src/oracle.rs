//! What must hold, whatever the link does: bytes arrive once, in order, intact; nobody waits for ever; nothing is left behind.
//! Spec: RFC 9293 1 and 3.7: "a reliable, in-order, byte-stream service".
//! Owns: what each stream has carried, as two counts: the bytes themselves follow from stream and offset, so none is stored.
//! Invariants: every received byte is compared. Not here: how a life is driven (`life`), what programs do (`host`).

use crate::link::End;
use crate::rng::split_mix;
use std::fmt;
use std::io::ErrorKind;
use std::time::Duration;

/// One direction of one conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamId {
    /// Which conversation.
    pub talk: usize,
    /// Who sends.
    pub from: End,
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "conversation {}, from {:?}", self.talk, self.from)
    }
}

/// What did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// A byte is not what was sent.
    Corrupted {
        /// Where.
        stream: StreamId,
        /// At which offset.
        offset: u64,
        /// What came.
        got: u8,
        /// What was sent.
        sent: u8,
    },
    /// More arrived than was sent.
    Invented {
        /// Where.
        stream: StreamId,
        /// Bytes that arrived.
        received: u64,
        /// Bytes that were sent.
        sent: u64,
    },
    /// The stream ended, and bytes that were owed are missing.
    Truncated {
        /// Where.
        stream: StreamId,
        /// Bytes that arrived.
        received: u64,
        /// Bytes that were sent.
        sent: u64,
    },
    /// A conversation that had no reason to fail did.
    Failed {
        /// Which.
        talk: usize,
        /// At whose end.
        end: End,
        /// With what word.
        why: ErrorKind,
    },
    /// A datagram arrived that nobody sent.
    ForeignDatagram {
        /// At whose host.
        end: End,
        /// What it says.
        datagram: Vec<u8>,
    },
    /// A connection was accepted that nobody opened: an old double came to life (RFC 9293 3.5, figure 8).
    Ghost {
        /// Whose caller's address and port it has.
        talk: usize,
    },
    /// All faults are over, and somebody still waits.
    Stuck {
        /// How long the link has been healed.
        healed_for: Duration,
        /// Who waits for what.
        waiting: String,
    },
    /// All conversations are over, and something is left.
    Leak {
        /// At whose host.
        end: End,
        /// What.
        what: String,
    },
    /// The hosts answer each other without end at one moment.
    Restless,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Violation::Corrupted { stream, offset, got, sent } => {
                write!(f, "{stream}: byte {offset} is {got:#04x}, sent was {sent:#04x}")
            }
            Violation::Invented { stream, received, sent } => {
                write!(f, "{stream}: {received} bytes arrived, {sent} were sent")
            }
            Violation::Truncated { stream, received, sent } => {
                write!(f, "{stream}: the stream ended after {received} bytes of {sent}")
            }
            Violation::Failed { talk, end, why } => {
                write!(f, "conversation {talk} failed at {end:?} without a reason: {why}")
            }
            Violation::Stuck { healed_for, waiting } => {
                write!(f, "nothing is wrong with the link since {healed_for:?}, and still: {waiting}")
            }
            Violation::ForeignDatagram { end, datagram } => {
                write!(f, "nobody sent {end:?} this datagram: {datagram:02x?}")
            }
            Violation::Ghost { talk } => write!(f, "conversation {talk} was accepted twice"),
            Violation::Leak { end, what } => write!(f, "all is over, and {end:?} keeps {what}"),
            Violation::Restless => f.write_str("the hosts do not come to rest"),
        }
    }
}

/// One direction's account.
#[derive(Debug, Clone, Copy)]
pub struct Stream {
    id: StreamId,
    key: u64,
    sent: u64,
    received: u64,
    ended: bool,
}

impl Stream {
    /// A stream whose content is drawn from `key`.
    pub fn new(id: StreamId, key: u64) -> Stream {
        Stream { id, key, sent: 0, received: 0, ended: false }
    }

    fn byte(&self, offset: u64) -> u8 {
        let word = split_mix(self.key.wrapping_add(offset / 8));
        word.to_le_bytes()[(offset % 8) as usize]
    }

    /// The next bytes that its sender sends; [`sent`](Stream::on_sent) says how many were taken.
    pub fn fill(&self, buffer: &mut [u8]) {
        for (offset, byte) in (self.sent..).zip(buffer) {
            *byte = self.byte(offset);
        }
    }

    /// The stack took `len` of them.
    pub fn on_sent(&mut self, len: usize) {
        self.sent += len as u64;
    }

    /// Bytes that the stack took.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Bytes that arrived.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Bytes arrived: once, in order, intact?
    pub fn on_received(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        for (offset, got) in (self.received..).zip(bytes.iter().copied()) {
            let sent = self.byte(offset);
            if got != sent {
                return Err(Violation::Corrupted { stream: self.id, offset, got, sent });
            }
        }
        self.received += bytes.len() as u64;
        if self.received > self.sent {
            return Err(Violation::Invented { stream: self.id, received: self.received, sent: self.sent });
        }
        Ok(())
    }

    /// The receiver read the end of the stream.
    pub fn on_end(&mut self) {
        self.ended = true;
    }

    /// The end of the stream was read.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// Nothing is missing of what had to arrive.
    pub fn check_whole(&self) -> Result<(), Violation> {
        if self.received == self.sent {
            return Ok(());
        }
        Err(Violation::Truncated { stream: self.id, received: self.received, sent: self.sent })
    }
}

#[cfg(test)]
mod tests;
