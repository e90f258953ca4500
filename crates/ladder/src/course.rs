//! The course of a connection: how it opened and how it ended.
//! Spec: RFC 9293 3.5, 3.6.
//! Owns: a few facts a connection. Invariants: constant size.
//! Not here: states (`infer`), what is unusual on the way (`analysis`).

use crate::item::Side;
use std::fmt;
use tcp::SeqNum;
use wire::tcp::Flags;

/// How a connection opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Opening {
    /// SYN, SYN+ACK, ACK.
    ThreeWay,
    /// Both sent a SYN before they had the other's.
    Simultaneous,
    /// The SYN was answered by RST.
    Refused,
    /// The SYN was not answered.
    NoAnswer,
    /// SYN and SYN+ACK, and nothing more of the opener.
    Unfinished,
    /// It was open before the capture began.
    Midstream,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ending {
    /// It did not open.
    NotOpened,
    /// It goes on.
    StillOpen,
    /// One end has finished, the other has not.
    HalfClosed(Side),
    /// FIN, ACK, FIN, ACK.
    FourSegments,
    /// FIN, FIN+ACK, ACK.
    ThreeSegments,
    /// Two FINs that crossed.
    Simultaneous,
    /// Both have finished; the last acknowledgment was not seen.
    LastAckMissing,
    /// One end sent RST.
    Reset(Side),
}

/// What was seen of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Course {
    /// Sequence numbers behind each end's SYN and FIN.
    opened: [Option<SeqNum>; 2],
    finished: [Option<SeqNum>; 2],
    /// Each end's FIN has been acknowledged.
    acknowledged: [bool; 2],
    syn_ack: [bool; 2],
    /// Each end has sent something that is no SYN.
    spoke: [bool; 2],
    began: Option<bool>,
    reset: Option<Side>,
    /// Who finished first, and whether its FIN had been acknowledged, or was by the same segment, when the other finished.
    first: Option<Side>,
    joined: bool,
    crossed: bool,
}

impl Course {
    /// A segment passes.
    pub fn on_segment(&mut self, from: Side, seq: u32, ack: u32, flags: Flags, len: u32) {
        let (me, peer) = (from.index(), from.other().index());
        let (seq, ack) = (SeqNum(seq), SeqNum(ack));
        self.began.get_or_insert(flags.syn());
        if flags.rst() {
            self.reset.get_or_insert(from);
            return;
        }
        if flags.syn() {
            self.opened[me] = Some(seq + 1);
            self.syn_ack[me] |= flags.ack();
        } else {
            self.spoke[me] = true;
        }
        let acknowledges = flags.ack() && self.finished[peer].is_some_and(|fin| ack.at_or_after(fin));
        let is_new = acknowledges && !self.acknowledged[peer];
        if flags.fin() && self.finished[me].is_none() {
            self.finished[me] = Some(seq + len + 1);
            match self.first {
                None => self.first = Some(from),
                Some(_) => {
                    self.joined = is_new;
                    self.crossed = !acknowledges;
                }
            }
        }
        self.acknowledged[peer] |= acknowledges;
    }

    /// How it opened, as far as one can tell by now.
    #[must_use]
    pub fn opening(&self) -> Opening {
        if self.began == Some(false) {
            return Opening::Midstream;
        }
        match (self.opened, self.syn_ack) {
            ([Some(_), Some(_)], [true, true]) => Opening::Simultaneous,
            // The one that answered with SYN+ACK is not the one that must still speak.
            ([Some(_), Some(_)], [left, right]) if left != right => {
                let opener = usize::from(left);
                if self.spoke[opener] { Opening::ThreeWay } else { Opening::Unfinished }
            }
            ([Some(_), Some(_)], _) => Opening::Simultaneous,
            _ if self.syn_ack != [false; 2] => Opening::Midstream,
            _ if self.reset.is_some() => Opening::Refused,
            _ => Opening::NoAnswer,
        }
    }

    /// How it ended, as far as one can tell by now.
    #[must_use]
    pub fn ending(&self) -> Ending {
        if matches!(self.opening(), Opening::Refused | Opening::NoAnswer | Opening::Unfinished) {
            return self
                .reset
                .filter(|_| self.opening() == Opening::Unfinished)
                .map_or(Ending::NotOpened, Ending::Reset);
        }
        if let Some(side) = self.reset
            && self.acknowledged != [true; 2]
        {
            return Ending::Reset(side);
        }
        match (self.finished, self.first) {
            ([None, None], _) | (_, None) => Ending::StillOpen,
            ([Some(_), Some(_)], _) if self.acknowledged != [true; 2] => Ending::LastAckMissing,
            ([Some(_), Some(_)], _) if self.crossed => Ending::Simultaneous,
            ([Some(_), Some(_)], _) if self.joined => Ending::ThreeSegments,
            ([Some(_), Some(_)], _) => Ending::FourSegments,
            (_, Some(first)) => Ending::HalfClosed(first),
        }
    }

    /// Nothing more belongs to it: a SYN with another number begins a new connection.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.reset.is_some() || self.finished.iter().all(Option::is_some)
    }

    /// Whether a SYN with this number has passed in this direction.
    #[must_use]
    pub fn has_opened_with(&self, from: Side, seq: u32) -> bool {
        self.opened[from.index()] == Some(SeqNum(seq) + 1)
    }
}

impl Opening {
    /// The word for JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Opening::ThreeWay => "three-way",
            Opening::Simultaneous => "simultaneous",
            Opening::Refused => "refused",
            Opening::NoAnswer => "no-answer",
            Opening::Unfinished => "unfinished",
            Opening::Midstream => "before-the-capture",
        }
    }
}

impl fmt::Display for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Opening::NoAnswer => "no answer",
            Opening::Midstream => "before",
            other => other.word(),
        })
    }
}

impl Ending {
    /// The word for JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Ending::NotOpened => "not-opened",
            Ending::StillOpen => "still-open",
            Ending::HalfClosed(_) => "half-closed",
            Ending::FourSegments => "four-segments",
            Ending::ThreeSegments => "three-segments",
            Ending::Simultaneous => "simultaneous",
            Ending::LastAckMissing => "last-ack-missing",
            Ending::Reset(_) => "reset",
        }
    }

    /// Who did it, where one did.
    #[must_use]
    pub const fn by(self) -> Option<Side> {
        match self {
            Ending::HalfClosed(side) | Ending::Reset(side) => Some(side),
            _ => None,
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arrow = |side: &Side| if *side == Side::Left { "->" } else { "<-" };
        let text = match self {
            Ending::NotOpened => "-".to_owned(),
            Ending::StillOpen => "still open".to_owned(),
            Ending::HalfClosed(side) => format!("half-closed {}", arrow(side)),
            Ending::FourSegments => "four segments".to_owned(),
            Ending::ThreeSegments => "three segments".to_owned(),
            Ending::Simultaneous => "simultaneous".to_owned(),
            Ending::LastAckMissing => "last ACK missing".to_owned(),
            Ending::Reset(side) => format!("RST {}", arrow(side)),
        };
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests;
