//! The states of both ends, inferred from what passes between them.
//! Spec: RFC 9293 3.3.2, 3.10.7.
//! Owns: per end its state, its FIN, and how far it has received. Invariants: constant size, whatever passes.
//! Limits: what a capture saw is taken to have arrived; a FIN out of order counts once it is acknowledged, or what was missing
//! before it has passed.
//! Not here: what is unusual (`analysis`). A stack that knows its states says them in the step, and is believed.

use crate::item::Side;
use crate::state::State;
use tcp::SeqNum;
use wire::tcp::Header;

#[derive(Debug, Clone, Copy, Default)]
struct End {
    state: State,
    /// The sequence number behind its SYN, once sent.
    opened: Option<SeqNum>,
    /// The sequence number behind its FIN, once sent.
    finished: Option<SeqNum>,
    /// RCV.NXT, as far as it can be known.
    rcv_nxt: Option<SeqNum>,
    /// The peer's FIN has been taken.
    peer_finished: bool,
}

/// Both ends.
#[derive(Debug, Clone, Copy, Default)]
pub struct Inference {
    ends: [End; 2],
    /// Of whom it was said where they are, before the first segment.
    told: [bool; 2],
    begun: bool,
}

impl Inference {
    /// What an end is in now.
    #[must_use]
    pub fn state(&self, side: Side) -> State {
        self.ends[side.index()].state
    }

    /// Somebody who knows says so.
    pub fn correct(&mut self, side: Side, state: State) {
        self.ends[side.index()].state = state;
        self.told[side.index()] = true;
    }

    /// `from` sends a segment; its state afterwards.
    pub fn on_sent(&mut self, from: Side, header: &Header, len: u32) -> State {
        let flags = header.flags;
        self.begin(from, header);
        let end_of_peer = self.ends[from.other().index()];
        let end = &mut self.ends[from.index()];
        let (seq, ack) = (SeqNum(header.seq), SeqNum(header.ack));
        if flags.rst() {
            if end.state != State::Listen {
                end.state = State::Closed;
            }
            return end.state;
        }
        if flags.ack() && !flags.syn() {
            end.rcv_nxt = Some(end.rcv_nxt.map_or(ack, |nxt| nxt.later(ack)));
            if end_of_peer.finished.is_some_and(|fin| ack.at_or_after(fin)) {
                end.take_fin();
            }
        }
        if flags.syn() {
            if matches!(end.state, State::Closed | State::Listen | State::TimeWait) && !flags.ack() {
                *end = End { state: State::SynSent, ..End::default() };
            } else if flags.ack() && !end.state.is_synchronized() {
                end.state = State::SynReceived;
            }
            end.opened = Some(seq + 1);
        }
        if flags.fin() {
            end.finished = Some(seq + len + 1);
            end.state = match end.state {
                State::Established | State::SynReceived => State::FinWait1,
                State::CloseWait => State::LastAck,
                other => other,
            };
        }
        end.state
    }

    /// A segment of `from` reaches the other end; the state of that one afterwards.
    pub fn on_arrived(&mut self, from: Side, header: &Header, len: u32) -> State {
        let flags = header.flags;
        let (seq, ack) = (SeqNum(header.seq), SeqNum(header.ack));
        let end = &mut self.ends[from.other().index()];
        if flags.rst() {
            // RFC 5961 3.2: exactly RCV.NXT; in SYN-SENT, an acknowledgment of our SYN (RFC 9293 3.10.7.3).
            let believed = match end.state {
                State::Listen => false,
                State::SynSent => flags.ack() && end.opened == Some(ack),
                _ => end.rcv_nxt.is_none_or(|nxt| nxt == seq),
            };
            if believed {
                end.state = State::Closed;
            }
            return end.state;
        }
        if flags.syn() {
            match (end.state, flags.ack()) {
                (State::Closed | State::Listen | State::TimeWait, false) => {
                    *end = End { state: State::SynReceived, rcv_nxt: Some(seq + 1), ..End::default() };
                }
                (State::SynSent, true) if end.opened.is_none_or(|opened| opened == ack) => {
                    end.state = State::Established;
                    end.rcv_nxt = Some(seq + 1);
                }
                (State::SynSent, false) => {
                    end.state = State::SynReceived;
                    end.rcv_nxt = Some(seq + 1);
                }
                _ => {}
            }
        }
        if flags.ack()
            && end.state == State::SynReceived
            && end.opened.is_none_or(|opened| ack.at_or_after(opened))
        {
            end.state = State::Established;
        }
        if flags.ack() && end.finished.is_some_and(|fin| ack.at_or_after(fin)) {
            end.state = match end.state {
                State::FinWait1 => State::FinWait2,
                State::Closing => State::TimeWait,
                State::LastAck => State::Closed,
                other => other,
            };
        }
        let behind = seq + len;
        let in_order = end.rcv_nxt.is_none_or(|nxt| seq.at_or_before(nxt));
        if in_order && len > 0 {
            end.rcv_nxt = Some(end.rcv_nxt.map_or(behind, |nxt| nxt.later(behind)));
        }
        if flags.fin() && end.rcv_nxt.is_none_or(|nxt| behind.at_or_before(nxt)) {
            end.rcv_nxt = Some(behind + 1);
            end.take_fin();
        }
        end.state
    }

    /// The first segment tells where both are, unless somebody else did.
    fn begin(&mut self, from: Side, header: &Header) {
        if self.begun {
            return;
        }
        self.begun = true;
        let flags = header.flags;
        let (sender, receiver) = match (flags.syn(), flags.ack()) {
            (true, false) => (State::Closed, State::Listen),
            (true, true) => (State::SynReceived, State::SynSent),
            (false, _) if flags.rst() => (State::Closed, State::Closed),
            (false, _) => (State::Established, State::Established),
        };
        for (side, state) in [(from, sender), (from.other(), receiver)] {
            if !self.told[side.index()] {
                self.ends[side.index()].state = state;
            }
        }
    }
}

impl End {
    fn take_fin(&mut self) {
        if self.peer_finished {
            return;
        }
        self.peer_finished = true;
        self.state = match self.state {
            State::SynReceived | State::Established => State::CloseWait,
            State::FinWait1 => State::Closing,
            State::FinWait2 => State::TimeWait,
            other => other,
        };
    }
}

#[cfg(test)]
mod tests;
