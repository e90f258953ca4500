//! What a ladder is made of, as its caller tells it: packets, what programs do, explanations.
//! Owns: the vocabulary at the entrance. Units: times since an origin that the caller chose.
//! Invariants: items come in the order of their times; numbers are as they were on the wire.
//! Not here: what is made of them (`moment`).

use crate::mark::Mark;
use crate::state::State;
use std::time::Duration;
use wire::tcp::Header;

/// One of the two hosts: on the left the one that opened, where that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The left one.
    Left,
    /// The right one.
    Right,
}

impl Side {
    /// Both, in order.
    pub const BOTH: [Side; 2] = [Side::Left, Side::Right];

    /// The far one.
    #[must_use]
    pub const fn other(self) -> Side {
        match self {
            Side::Left => Side::Right,
            Side::Right => Side::Left,
        }
    }

    /// As an index into pairs.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// What passes between the hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// A TCP segment.
    Segment {
        /// Its header; the ports do not matter here.
        header: Header,
        /// Octets of text.
        len: u32,
    },
    /// A UDP datagram.
    Datagram {
        /// Octets of payload.
        len: u32,
        /// What it says, where that is worth showing.
        says: Option<String>,
    },
    /// Something else that concerns the conversation: an ICMP error about it, a fragment.
    Other(String),
}

/// What became of a packet after it was sent or seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Passage {
    /// It was seen once, by a capture or by one of the ends: taken to arrive at once.
    SeenOnce,
    /// It arrived then: both ends were watched.
    Arrived(Duration),
    /// It did not arrive, and why: seen by its sender only.
    Lost(String),
}

/// A packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Who sent it.
    pub from: Side,
    /// When it was sent, or seen.
    pub at: Duration,
    /// What became of it.
    pub passage: Passage,
    /// What it is.
    pub packet: Packet,
    /// The sender's state after it was sent, where that is known; else it is inferred.
    pub sender: Option<State>,
    /// The receiver's state after it arrived, likewise.
    pub receiver: Option<State>,
    /// The sender did not send it now, and it tells nothing of the sender: [`Mark::Forged`],
    /// [`Mark::OldDuplicate`] or [`Mark::FromRouter`].
    pub forged: Option<Mark>,
    /// An explanation, shown when it has arrived.
    pub note: Option<String>,
}

impl Step {
    /// A packet that was seen once.
    #[must_use]
    pub fn seen(from: Side, at: Duration, packet: Packet) -> Step {
        Step {
            from,
            at,
            passage: Passage::SeenOnce,
            packet,
            sender: None,
            receiver: None,
            forged: None,
            note: None,
        }
    }
}

/// Something that happens at one end, without a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: Duration,
    /// At which end.
    pub side: Side,
    /// What: `connect()`, `timer: 2*MSL are over`.
    pub what: String,
    /// The state of that end afterwards, where it is known.
    pub state: Option<State>,
    /// An explanation.
    pub note: Option<String>,
}

/// One item of a ladder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A packet.
    Step(Step),
    /// Something that happens at one end.
    Event(Event),
    /// An explanation that belongs to no packet.
    Note {
        /// When it is to be read.
        at: Duration,
        /// What it says.
        text: String,
    },
}

impl Item {
    /// When it happens.
    #[must_use]
    pub fn at(&self) -> Duration {
        match self {
            Item::Step(step) => step.at,
            Item::Event(event) => event.at,
            Item::Note { at, .. } => *at,
        }
    }
}

/// The names of the two hosts, and where each begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hosts {
    /// What stands above the lines: a name, an address and a port.
    pub names: [String; 2],
    /// The state of each before the first item, where it is known.
    pub states: [Option<State>; 2],
    /// 2*MSL at each, where it is known: how long TIME_WAIT lasts there.
    pub time_wait: Option<Duration>,
}
