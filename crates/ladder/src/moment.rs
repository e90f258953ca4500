//! Moments: what happens on a ladder, in the order of time, with everything that is to be said about it.
//! Owns: packets under way, until they arrive. Invariants: moments come in the order of their times; what arrives at one time comes
//! before what is sent at it; at most [`UNDER_WAY_MAX`] packets are under way, then the oldest arrives at once.
//! Not here: where a moment is drawn (`layout`).

use crate::analysis::{Analysis, Finding, Marks, Vantage};
use crate::infer::Inference;
use crate::item::{Event, Item, Packet, Passage, Side, Step};
use crate::mark::Mark;
use crate::state::State;
use std::collections::BTreeMap;
use std::time::Duration;

/// Packets under way at one time, at most.
pub const UNDER_WAY_MAX: usize = 4096;

/// The state of an end after a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The state.
    pub state: State,
    /// It is another than before.
    pub is_new: bool,
}

/// A packet leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Its number, from 0.
    pub id: u64,
    /// When.
    pub at: Duration,
    /// Who sends it.
    pub from: Side,
    /// What it is.
    pub packet: Packet,
    /// Relative numbers and marks, if it is a segment.
    pub finding: Option<Finding>,
    /// Its sender's state now.
    pub standing: Option<Standing>,
    /// It will not arrive, and why.
    pub lost: Option<String>,
    /// Its sender did not send it now, and what it is instead.
    pub forged: Option<Mark>,
}

/// A packet arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrived {
    /// Its number.
    pub id: u64,
    /// When, if both ends were watched.
    pub at: Option<Duration>,
    /// Where.
    pub side: Side,
    /// Marks that show only here.
    pub marks: Marks,
    /// Its receiver's state now.
    pub standing: Option<Standing>,
}

/// One thing that happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moment {
    /// A packet leaves.
    Sent(Box<Sent>),
    /// A packet arrives.
    Arrived(Arrived),
    /// Something happens at one end.
    Event {
        /// When.
        at: Duration,
        /// Where.
        side: Side,
        /// What.
        what: String,
        /// The state there now.
        standing: Option<Standing>,
    },
    /// An explanation.
    Note(String),
}

/// Turns items into moments.
#[derive(Debug, Clone)]
pub struct Narrator {
    vantage: Vantage,
    analysis: Analysis,
    inference: Inference,
    shown: [Option<State>; 2],
    under_way: BTreeMap<(Duration, u64), UnderWay>,
    next_id: u64,
    /// The latest packet of each direction that has arrived.
    latest: [Option<u64>; 2],
}

#[derive(Debug, Clone)]
struct UnderWay {
    step: Step,
    id: u64,
}

impl Narrator {
    /// A narrator of a conversation that is watched from `vantage` and begins in `states`.
    #[must_use]
    pub fn new(vantage: Vantage, states: [Option<State>; 2]) -> Narrator {
        let mut inference = Inference::default();
        for side in Side::BOTH {
            if let Some(state) = states[side.index()] {
                inference.correct(side, state);
            }
        }
        Narrator {
            vantage,
            analysis: Analysis::new(vantage),
            inference,
            shown: states,
            under_way: BTreeMap::new(),
            next_id: 0,
            latest: [None; 2],
        }
    }

    /// Takes the next item and appends the moments that are certain by now.
    pub fn push(&mut self, item: Item, out: &mut Vec<Moment>) {
        self.arrive_until(item.at(), out);
        match item {
            Item::Step(step) => self.on_step(step, out),
            Item::Event(event) => self.on_event(event, out),
            Item::Note { text, .. } => out.push(Moment::Note(text)),
        }
    }

    /// No more items will come: everything arrives.
    pub fn finish(&mut self, out: &mut Vec<Moment>) {
        self.arrive_until(Duration::MAX, out);
    }

    fn arrive_until(&mut self, now: Duration, out: &mut Vec<Moment>) {
        while let Some(first) = self.under_way.first_entry() {
            if first.key().0 > now {
                break;
            }
            let under_way = first.remove();
            self.land(under_way, out);
        }
    }

    fn on_step(&mut self, step: Step, out: &mut Vec<Moment>) {
        let id = self.next_id;
        self.next_id += 1;
        let finding = match &step.packet {
            Packet::Segment { header, len } => Some(match step.forged {
                Some(what) => self.analysis.on_forged(step.from, header, what),
                None => self.analysis.on_segment(step.from, step.at, header, *len),
            }),
            Packet::Datagram { .. } | Packet::Other(_) => None,
        };
        let inferred = match &step.packet {
            Packet::Segment { header, len } if step.forged.is_none() => {
                Some(self.inference.on_sent(step.from, header, *len))
            }
            _ => None,
        };
        let state = if step.forged.is_some() { None } else { step.sender.or(inferred) };
        let standing = self.stand(step.from, state);
        let (at, from, forged) = (step.at, step.from, step.forged);
        let sent = |packet: Packet, lost: Option<String>| {
            Moment::Sent(Box::new(Sent { id, at, from, packet, finding, standing, lost, forged }))
        };
        if let Passage::Arrived(arrives_at) = step.passage {
            out.push(sent(step.packet.clone(), None));
            if self.under_way.len() >= UNDER_WAY_MAX
                && let Some((_, first)) = self.under_way.pop_first()
            {
                self.land(first, out);
            }
            self.under_way.insert((arrives_at, id), UnderWay { step, id });
            return;
        }
        let arrived = (step.passage == Passage::SeenOnce).then(|| self.arrive(&step, id));
        let Step { passage, packet, note, .. } = step;
        let lost = if let Passage::Lost(why) = passage { Some(why) } else { None };
        out.push(sent(packet, lost));
        out.extend(arrived.map(Moment::Arrived));
        out.extend(note.map(Moment::Note));
    }

    /// A packet that was under way arrives.
    fn land(&mut self, under_way: UnderWay, out: &mut Vec<Moment>) {
        out.push(Moment::Arrived(self.arrive(&under_way.step, under_way.id)));
        out.extend(under_way.step.note.map(Moment::Note));
    }

    fn arrive(&mut self, step: &Step, id: u64) -> Arrived {
        let side = step.from.other();
        let at = match step.passage {
            Passage::Arrived(at) => Some(at),
            Passage::SeenOnce | Passage::Lost(_) => None,
        };
        let latest = &mut self.latest[step.from.index()];
        let overtaken = latest.is_some_and(|latest| latest > id) && step.forged.is_none();
        *latest = (*latest).max(Some(id));
        let inferred = match &step.packet {
            Packet::Segment { header, len } => {
                if self.vantage == Vantage::BothEnds {
                    // A SYN that opens anew after 2*MSL, or instead of them, is no challenge.
                    let before = self.inference.state(side);
                    let synchronized = before.is_synchronized() && step.receiver != Some(State::SynReceived);
                    self.analysis.on_arrived(step.from, header, synchronized);
                }
                Some(self.inference.on_arrived(step.from, header, *len))
            }
            Packet::Datagram { .. } | Packet::Other(_) => None,
        };
        let standing = self.stand(side, step.receiver.or(inferred));
        let marks = if overtaken { Analysis::overtaken() } else { Marks::NONE };
        Arrived { id, at, side, marks, standing }
    }

    fn on_event(&mut self, event: Event, out: &mut Vec<Moment>) {
        let standing = self.stand(event.side, event.state);
        out.push(Moment::Event { at: event.at, side: event.side, what: event.what, standing });
        out.extend(event.note.map(Moment::Note));
    }

    /// The state of an end now: who knows it corrects what was inferred.
    fn stand(&mut self, side: Side, state: Option<State>) -> Option<Standing> {
        let state = state?;
        self.inference.correct(side, state);
        let is_new = self.shown[side.index()] != Some(state);
        self.shown[side.index()] = Some(state);
        Some(Standing { state, is_new })
    }
}

#[cfg(test)]
mod tests;
