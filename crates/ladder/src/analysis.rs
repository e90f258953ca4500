//! Analysis: what is unusual about each segment.
//! Spec: RFC 9293 3.8 (retransmission, windows, keep-alive), RFC 5681 2 and 3.2 (duplicate ACKs), RFC 5961 3 to 5 (challenge ACKs);
//! where a capture leaves a choice, the names are given as Wireshark's documentation of "TCP Analysis" gives them.
//! Owns: per direction a handful of numbers. Invariants: constant size, nothing allocated.
//! Not here: states (`infer`), drawing.
//!
//! ```text
//!   seq < highest seen, and it has text, SYN or FIN:
//!     all of it acknowledged before                        spurious retransmission
//!     the receiver asked by duplicate ACKs, and just now   fast retransmission
//!     it was missing, and the highest was seen a moment
//!     ago (captures only)                                  out of order
//!     otherwise                                            retransmission
//! ```

use crate::item::Side;
use crate::mark::Mark;
use std::time::Duration;
use tcp::SeqNum;
use wire::tcp::{Flags, Header};

/// A lost segment is asked for by two duplicate ACKs at least, and comes within this (Wireshark's rule; a sender's own threshold is
/// three, but a capture may miss one).
const FAST_WITHIN: Duration = Duration::from_millis(20);
/// A segment that comes so soon after one with a higher number was overtaken, not sent again, where no round-trip time is known.
const OVERTAKEN_WITHIN: Duration = Duration::from_millis(3);
/// Ranges that were missing and may come still, a direction: beyond, the oldest is forgotten, and what fills it is taken for a repeat.
const HOLES_MAX: usize = 4;
/// The largest shift of RFC 7323 2.3.
const SHIFT_MAX: u8 = 14;

/// The marks of one segment: seldom more than one, never more than [`Marks::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Marks {
    marks: [Option<Mark>; Marks::MAX],
}

impl Marks {
    /// As many as can come together.
    pub const MAX: usize = 4;
    /// None.
    pub const NONE: Marks = Marks { marks: [None; Marks::MAX] };

    /// One.
    #[must_use]
    pub fn of(mark: Mark) -> Marks {
        let mut marks = Marks::NONE;
        marks.push(mark);
        marks
    }

    /// Adds one; beyond [`Marks::MAX`] it is forgotten.
    pub fn push(&mut self, mark: Mark) {
        if let Some(free) = self.marks.iter_mut().find(|slot| slot.is_none()) {
            *free = Some(mark);
        }
    }

    /// Those that there are.
    pub fn iter(&self) -> impl Iterator<Item = Mark> + '_ {
        self.marks.iter().flatten().copied()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.marks[0].is_none()
    }

    /// Whether `mark` is among them.
    #[must_use]
    pub fn has(&self, mark: Mark) -> bool {
        self.iter().any(|held| held == mark)
    }

    /// Whether its sequence space had been sent before, by whatever name.
    #[must_use]
    pub fn is_repeat(&self) -> bool {
        self.iter().any(|mark| {
            matches!(mark, Mark::Retransmission | Mark::FastRetransmission | Mark::SpuriousRetransmission)
        })
    }
}

/// How the conversation is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Vantage {
    /// Somewhere on the way: whether a segment was overtaken or sent again must be guessed from the time.
    #[default]
    Capture,
    /// At both ends: what is sent with an old number is sent again; being overtaken shows at the receiver.
    BothEnds,
}

/// What the last segment of a direction was, as far as the answer's name depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Last {
    #[default]
    Ordinary,
    KeepAlive,
    ZeroWindowProbe,
}

/// One direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Lane {
    /// Relative numbers count from here.
    base: Option<SeqNum>,
    /// The highest sequence number seen, and one more.
    nxt: Option<SeqNum>,
    nxt_at: Duration,
    /// Up to where everything was seen, or was told to be missing.
    unbroken: Option<SeqNum>,
    /// The latest acknowledgment.
    ack: Option<SeqNum>,
    ack_at: Duration,
    duplicates: u32,
    /// The latest window field.
    window: u16,
    /// Snd.Wind.Shift as announced in its SYN; `None`: no SYN seen.
    shift: Option<Option<u8>>,
    last: Last,
    /// Something arrived to which a bare ACK, if it is the next thing sent, is a challenge.
    challenged: bool,
    finished: bool,
    /// What was skipped, from and up to.
    holes: [Option<(SeqNum, SeqNum)>; HOLES_MAX],
}

/// A conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Analysis {
    vantage: Vantage,
    lanes: [Lane; 2],
    syn_at: Option<(Side, Duration)>,
    /// The first round trip, from a SYN to its answer.
    rtt: Option<Duration>,
    /// A RST that was in order has passed.
    reset: bool,
    /// A SYN with a new number within a connection: a new incarnation if it is answered by SYN+ACK, a challenge if by ACK.
    newborn: Option<(Side, SeqNum, Option<u8>)>,
}

/// A segment without its options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plain {
    /// SEG.SEQ.
    pub seq: u32,
    /// SEG.ACK.
    pub ack: u32,
    /// The control bits.
    pub flags: Flags,
    /// The window field.
    pub window: u16,
    /// Octets of text.
    pub len: u32,
}

/// What is said of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finding {
    /// Its sequence number from the sender's ISN on.
    pub seq: u32,
    /// Its acknowledgment number from the receiver's ISN on.
    pub ack: u32,
    /// Where the receiver's numbers, which SACK blocks speak of, count from.
    pub peer_base: SeqNum,
    /// Its window in octets, where the scale is known or there is none.
    pub window: u32,
    /// The window's scale is not known: the handshake was not seen.
    pub window_is_raw: bool,
    /// What is unusual.
    pub marks: Marks,
}

impl Analysis {
    /// Watches from `vantage`.
    #[must_use]
    pub fn new(vantage: Vantage) -> Analysis {
        Analysis { vantage, ..Analysis::default() }
    }

    /// Relative numbers and window of a segment that is not the sender's own, or is about to be analysed.
    fn place(&mut self, from: Side, header: &Header) -> Finding {
        let (seq, ack) = (SeqNum(header.seq), SeqNum(header.ack));
        let syn = header.flags.syn();
        // In mid-stream the first octet seen is octet 1, as if a SYN had been before it.
        let own = *self.lanes[from.index()].base.get_or_insert(if syn { seq } else { seq - 1 });
        let shifts = self.lanes.map(|lane| lane.shift);
        let peer = &mut self.lanes[from.other().index()];
        let peer = if header.flags.ack() { *peer.base.get_or_insert(ack - 1) } else { ack };
        let (shift, is_raw) = match (shifts, syn) {
            // RFC 7323 2.2: the window of a SYN is never scaled, and scaling is on only if both asked for it.
            (_, true) => (0, false),
            // Where only one SYN was seen, the other is taken to have agreed.
            _ => match (shifts[from.index()], shifts[from.other().index()]) {
                (Some(Some(shift)), Some(Some(_)) | None) => (shift, false),
                (Some(_), _) | (None, Some(None)) => (0, false),
                (None, Some(Some(_)) | None) => (0, true),
            },
        };
        Finding {
            seq: seq.since(own),
            ack: if header.flags.ack() { ack.since(peer) } else { 0 },
            peer_base: peer,
            window: u32::from(header.window) << shift.min(SHIFT_MAX),
            window_is_raw: is_raw,
            marks: Marks::NONE,
        }
    }

    /// A segment in `from`'s name that it did not send now; `what` says what it is. It tells nothing of `from`, but its receiver may answer
    /// it by a challenge.
    pub fn on_forged(&mut self, from: Side, header: &Header, what: Mark) -> Finding {
        let mut finding = self.place(from, header);
        finding.marks.push(what);
        if self.vantage == Vantage::Capture {
            let synchronized = self.seems_synchronized();
            self.on_arrived(from, header, synchronized);
        }
        finding
    }

    /// `from` sends the next segment of its stream, and there is nothing to say of it: most are such. Answers whether it was one; if
    /// not, nothing has changed, and [`on_segment`](Analysis::on_segment) is to judge. Options are not looked at, since none of such
    /// a segment matters.
    #[inline]
    pub fn on_next(&mut self, from: Side, at: Duration, segment: &Plain) -> bool {
        let Plain { seq, ack, flags, window, len } = *segment;
        let (seq, ack) = (SeqNum(seq), SeqNum(ack));
        let (lane, peer) = match &mut self.lanes {
            [left, right] if from == Side::Left => (left, right),
            [left, right] => (right, left),
        };
        let plain = flags.without(Flags::PSH) == Flags::ACK
            && window != 0
            && lane.nxt == Some(seq)
            && (len > 0 || lane.ack != Some(ack))
            && !lane.challenged
            && lane.holes[0].is_none()
            && peer.base.is_some()
            && (peer.ack.is_none() || peer.window != 0)
            && peer.unbroken.is_none_or(|unbroken| !ack.after(unbroken));
        if !plain {
            return false;
        }
        if len > 0 {
            lane.nxt = Some(seq + len);
            lane.nxt_at = at;
        }
        if lane.unbroken.is_none_or(|unbroken| unbroken == seq) {
            lane.unbroken = lane.nxt;
        }
        lane.ack = Some(ack);
        lane.ack_at = at;
        lane.window = window;
        lane.duplicates = 0;
        lane.last = Last::Ordinary;
        true
    }

    /// `from` sends a segment, or a capture sees it pass.
    pub fn on_segment(&mut self, from: Side, at: Duration, header: &Header, len: u32) -> Finding {
        if header.flags.syn() {
            self.on_syn(from, at, header);
        }
        let mut finding = self.place(from, header);
        let marks = &mut finding.marks;
        let vantage = self.vantage;
        let rtt = self.rtt;
        let (lane, peer) = match &mut self.lanes {
            [left, right] if from == Side::Left => (left, right),
            [left, right] => (right, left),
        };
        let (seq, ack, flags) = (SeqNum(header.seq), SeqNum(header.ack), header.flags);
        let bare = !(flags.syn() || flags.fin() || flags.rst());
        let end = seq + len + flags.sequence_len();
        let mut last = Last::Ordinary;
        let mut duplicates = 0;
        let in_turn = lane.nxt == Some(seq);
        let says_again = len == 0 && bare && in_turn && flags.ack() && lane.ack == Some(ack);
        let same_window = header.window == lane.window;

        let peer_is_full = peer.ack.is_some() && peer.window == 0;
        let is_probe = bare && peer_is_full && len == 1 && in_turn;
        let keep_alive = bare && len <= 1 && !flags.rst() && lane.nxt.is_some_and(|nxt| nxt - 1 == seq);
        if is_probe {
            marks.push(Mark::ZeroWindowProbe);
            last = Last::ZeroWindowProbe;
        } else if keep_alive {
            // Without text into a zero window it asks for the window, not for a sign of life (RFC 9293 3.8.6.1).
            if peer_is_full {
                marks.push(Mark::ZeroWindowProbe);
                last = Last::ZeroWindowProbe;
            } else {
                marks.push(Mark::KeepAlive);
                last = Last::KeepAlive;
            }
        } else if lane.challenged && len == 0 && bare && flags.ack() {
            marks.push(Mark::ChallengeAck);
        } else if says_again && same_window && header.window != 0 && peer.last == Last::KeepAlive {
            marks.push(Mark::KeepAliveAck);
        } else if says_again && header.window == 0 && same_window && peer.last == Last::ZeroWindowProbe {
            marks.push(Mark::ZeroWindowProbeAck);
        } else if says_again && header.window != 0 && (same_window || !header.options.sack.is_empty()) {
            duplicates = lane.duplicates + 1;
            marks.push(Mark::DuplicateAck(duplicates));
        } else if says_again && header.window != 0 {
            marks.push(Mark::WindowUpdate);
        }
        if header.window == 0 && bare && !marks.has(Mark::ZeroWindowProbeAck) {
            marks.push(Mark::ZeroWindow);
        }
        if !flags.rst() && lane.nxt.is_some_and(|nxt| seq.after(nxt)) {
            marks.push(Mark::Gap);
            lane.skip_to(seq);
        }
        if flags.ack() && !flags.rst() && peer.unbroken.is_some_and(|unbroken| ack.after(unbroken)) {
            marks.push(Mark::AckOfUnseen);
            peer.unbroken = peer.nxt.map(|nxt| nxt.later(ack)); // told once
        }
        let takes_space = end != seq;
        // A SYN+ACK after a bare SYN of the same end answers the other's SYN: both open at once (RFC 9293 3.5, figure 7).
        let answers_syn = flags.syn() && flags.ack() && lane.ack.is_none();
        if takes_space
            && !is_probe
            && !keep_alive
            && !answers_syn
            && lane.nxt.is_some_and(|nxt| seq.before(nxt))
        {
            let asked = peer.duplicates >= 2
                && peer.ack == Some(seq)
                && at.saturating_sub(peer.ack_at) <= FAST_WITHIN;
            let overtaken = vantage == Vantage::Capture
                && lane.was_missing(seq)
                && at.saturating_sub(lane.nxt_at) < rtt.unwrap_or(OVERTAKEN_WITHIN)
                && lane.nxt != Some(end);
            marks.push(if len > 0 && peer.ack.is_some_and(|acked| end.at_or_before(acked)) {
                Mark::SpuriousRetransmission
            } else if asked {
                Mark::FastRetransmission
            } else if overtaken {
                Mark::OutOfOrder
            } else {
                Mark::Retransmission
            });
        }
        let shift = peer.shift.flatten().filter(|_| lane.shift != Some(None)).unwrap_or(0);
        let limit = peer.ack.map(|acked| acked + (u32::from(peer.window) << shift.min(SHIFT_MAX)));
        if len > 0 && bare && peer.shift.is_some() && limit == Some(end) && !is_probe && !marks.is_repeat() {
            marks.push(Mark::WindowFull);
        }

        if takes_space {
            lane.fill(seq, end);
        }
        if !is_probe && !flags.rst() && lane.nxt.is_none_or(|nxt| end.after(nxt)) {
            lane.nxt = Some(end);
            lane.nxt_at = at;
        }
        if !is_probe && !flags.rst() && lane.unbroken.is_none_or(|unbroken| unbroken == seq) {
            lane.unbroken = lane.nxt;
        }
        if flags.ack() && !flags.rst() {
            lane.ack = Some(ack);
            lane.ack_at = at;
        }
        if !flags.rst() {
            lane.window = header.window;
        }
        lane.duplicates = duplicates;
        lane.last = last;
        lane.challenged = false;
        lane.finished |= flags.fin();
        self.reset |= flags.rst() && (in_turn || lane.nxt.is_none());
        if vantage == Vantage::Capture {
            let synchronized = self.seems_synchronized();
            self.on_arrived(from, header, synchronized);
        }
        finding
    }

    /// A segment of `from` arrives that was overtaken on the way (only [`Vantage::BothEnds`] can tell).
    #[must_use]
    pub fn overtaken() -> Marks {
        Marks::of(Mark::OutOfOrder)
    }

    fn on_syn(&mut self, from: Side, at: Duration, header: &Header) {
        let (seq, scale) = (SeqNum(header.seq), header.options.window_scale);
        let lane = &self.lanes[from.index()];
        let other_number = lane.base.is_some_and(|base| base != seq);
        if !header.flags.ack() && other_number {
            if !self.is_over() {
                self.newborn = Some((from, seq, scale));
                return;
            }
            *self = Analysis::new(self.vantage); // the four-tuple lives again: numbers count from the new ISN
        }
        if header.flags.ack()
            && let Some((opener, iss, scale)) = self.newborn
            && opener != from
            && SeqNum(header.ack) == iss + 1
        {
            *self = Analysis::new(self.vantage);
            let lane = &mut self.lanes[opener.index()];
            (lane.base, lane.nxt, lane.nxt_at, lane.shift) = (Some(iss), Some(iss + 1), at, Some(scale));
            lane.unbroken = lane.nxt;
        }
        // Who has forgotten an answer that nobody acknowledged answers anew, from another number.
        let unheard = self.lanes[from.other().index()].ack.is_none();
        if header.flags.ack() && other_number && unheard {
            self.lanes[from.index()] = Lane::default();
        }
        let lane = &mut self.lanes[from.index()];
        if lane.base.is_none_or(|base| base == seq) {
            lane.base = Some(seq);
            lane.shift = Some(scale);
        }
        match self.syn_at {
            None if !header.flags.ack() => self.syn_at = Some((from, at)),
            Some((asked, then)) if header.flags.ack() && asked != from && self.rtt.is_none() => {
                self.rtt = Some(at.saturating_sub(then));
            }
            _ => {}
        }
    }

    /// Both have finished, or one has reset it.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.reset || self.lanes.iter().all(|lane| lane.finished)
    }

    /// Both have acknowledged something, so both SYNs are behind them.
    fn seems_synchronized(&self) -> bool {
        self.lanes.iter().all(|lane| lane.ack.is_some())
    }

    /// A segment of `from` arrives at an end that is synchronized, or is not. RFC 5961: a SYN within a connection (4.2), and a RST in
    /// the window but not at RCV.NXT (3.2), are answered by an ACK that asks whether they are meant. With [`Vantage::Capture`]
    /// this is done by itself.
    pub fn on_arrived(&mut self, from: Side, header: &Header, synchronized: bool) {
        let shift = self.lanes[from.other().index()].shift.flatten().unwrap_or(0);
        let receiver = &mut self.lanes[from.other().index()];
        if !synchronized {
            return;
        }
        let window = u32::from(receiver.window) << shift.min(SHIFT_MAX);
        let seq = SeqNum(header.seq);
        let in_window = receiver.ack.is_some_and(|rcv_nxt| seq != rcv_nxt && seq.within(rcv_nxt, window));
        receiver.challenged |= header.flags.syn() || (header.flags.rst() && in_window);
    }
}

impl Lane {
    /// What lies before `seq` is missing.
    fn skip_to(&mut self, seq: SeqNum) {
        let Some(from) = self.nxt else { return };
        if self.holes[HOLES_MAX - 1].is_some() {
            self.holes.rotate_left(1);
            self.holes[HOLES_MAX - 1] = None;
        }
        if let Some(free) = self.holes.iter_mut().find(|hole| hole.is_none()) {
            *free = Some((from, seq));
        }
    }

    fn was_missing(&self, seq: SeqNum) -> bool {
        self.holes.iter().flatten().any(|(from, to)| seq.at_or_after(*from) && seq.before(*to))
    }

    /// What lies between has come: a hole is closed, or gets smaller at one end. (One in its middle leaves it as it is.)
    fn fill(&mut self, start: SeqNum, end: SeqNum) {
        for slot in &mut self.holes {
            let Some((from, to)) = *slot else { continue };
            *slot = match (start.at_or_before(from), end.at_or_after(to)) {
                (true, true) => None,
                (true, false) if end.after(from) => Some((end, to)),
                (false, true) if start.before(to) => Some((from, start)),
                _ => Some((from, to)),
            };
        }
        // Those that are left stand in front, the oldest first.
        self.holes.sort_by_key(Option::is_none);
    }
}

#[cfg(test)]
mod tests;
