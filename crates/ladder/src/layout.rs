//! Layout: which moment stands on which row, and from which row to which each arrow goes.
//! Owns: the rows since everything last was at rest. Invariants: rows are in the order of time; a block ends only where no packet is
//! under way, or after [`ROWS_MAX`] rows, so that a ladder of any length is drawn in bounded memory.
//! Not here: columns and characters (`text`), coordinates (`svg`).

use crate::analysis::Marks;
use crate::item::Side;
use crate::moment::{Arrived, Moment, Sent, Standing};
use crate::state::State;
use std::time::Duration;

/// Rows of a block, at most: what is under way then is drawn as if it arrived there.
pub const ROWS_MAX: usize = 400;
/// A silence from this on is shown as such.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// A wait of 2*MSL beside a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bracket {
    /// It begins here.
    Open,
    /// It lasts.
    Inside,
    /// It ends here.
    Close,
    /// The picture ends before it does.
    Ragged,
}

/// One row.
#[derive(Debug, Clone, Default)]
pub struct Row {
    /// When, if something happens here.
    pub time: Option<Duration>,
    /// What each end is in now, where that is to be said.
    pub standings: [Option<Standing>; 2],
    /// The wait beside it.
    pub brackets: [Option<Bracket>; 2],
    /// What is on it.
    pub place: Place,
}

/// What a row is for.
#[derive(Debug, Clone, Default)]
pub enum Place {
    /// Ends of arrows: one that begins here, one that ends here.
    #[default]
    Arrows,
    /// Something happens at one end.
    Event(Side, String),
    /// An explanation.
    Note(String),
    /// Nothing happens for so long.
    Pause(Duration),
}

/// An arrow.
#[derive(Debug, Clone)]
pub struct Arrow {
    /// What is sent.
    pub sent: Box<Sent>,
    /// The row where it leaves.
    pub start: usize,
    /// The row where it arrives; the one where it leaves, if it is lost.
    pub end: usize,
    /// Marks that show on arrival.
    pub marks: Marks,
}

/// Rows and the arrows between them.
#[derive(Debug, Clone, Default)]
pub struct Block {
    /// The rows.
    pub rows: Vec<Row>,
    /// The arrows, by where they begin.
    pub arrows: Vec<Arrow>,
}

/// The layout under way.
#[derive(Debug, Clone, Default)]
pub struct Layout {
    block: Block,
    /// Empty, with memory for the next.
    spare: Block,
    /// Arrows that have not arrived, by the packet's number, which rises.
    open: Vec<(u64, usize)>,
    /// An arrival whose row may be shared with what is sent next.
    pending: Option<Arrived>,
    waiting: [bool; 2],
    clock: Option<Duration>,
}

impl Layout {
    /// The first block that is complete, if this moment is the first after it. `share`: what is sent now fits on the row on which the
    /// packet before it arrives.
    pub fn push(&mut self, moment: Moment, share: bool) -> Option<Block> {
        if let Some(pending) = self.pending.take() {
            let side = pending.side;
            self.row(None, Place::Arrows);
            self.land(pending);
            match moment {
                Moment::Sent(sent) if share && sent.from != side && sent.lost.is_none() => {
                    self.depart(sent, true);
                    return None;
                }
                other => return self.place(other),
            }
        }
        self.place(moment)
    }

    fn place(&mut self, moment: Moment) -> Option<Block> {
        let complete =
            (self.open.is_empty() || self.block.rows.len() >= ROWS_MAX) && !self.block.rows.is_empty();
        let block = complete.then(|| self.take());
        match moment {
            Moment::Sent(sent) => self.depart(sent, false),
            Moment::Arrived(arrived) if arrived.at.is_none() => self.pending = Some(arrived),
            Moment::Arrived(arrived) => {
                if self.open_at(arrived.id).is_ok() {
                    self.row(arrived.at, Place::Arrows);
                    self.land(arrived);
                }
            }
            Moment::Event { at, side, what, standing } => {
                self.row(Some(at), Place::Event(side, what));
                self.stand(side, standing);
            }
            Moment::Note(text) => self.row(None, Place::Note(text)),
        }
        block
    }

    /// The last block. What waits for 2*MSL still, waits beyond the picture.
    pub fn finish(&mut self) -> Block {
        if let Some(pending) = self.pending.take() {
            self.row(None, Place::Arrows);
            self.land(pending);
        }
        if self.waiting != [false; 2] {
            self.row(None, Place::Arrows);
            self.row(None, Place::Arrows);
            if let Some(row) = self.block.rows.last_mut() {
                row.brackets.iter_mut().flatten().for_each(|bracket| *bracket = Bracket::Ragged);
            }
        }
        self.take()
    }

    fn take(&mut self) -> Block {
        let last = self.block.rows.len().saturating_sub(1);
        for (_, index) in self.open.drain(..) {
            self.block.arrows[index].end = last;
        }
        std::mem::replace(&mut self.block, std::mem::take(&mut self.spare))
    }

    /// A block that is drawn: the next but one is made of its memory.
    pub fn reuse(&mut self, mut block: Block) {
        block.rows.clear();
        block.arrows.clear();
        self.spare = block;
    }

    fn open_at(&self, id: u64) -> Result<usize, usize> {
        self.open.binary_search_by_key(&id, |(id, _)| *id)
    }

    /// Adds a row, and one for the silence before it.
    fn row(&mut self, time: Option<Duration>, place: Place) {
        if let (Some(now), Some(before)) = (time, self.clock) {
            let silence = now.saturating_sub(before);
            if silence >= PAUSE_MIN && self.open.is_empty() {
                self.push_row(None, Place::Pause(silence));
            }
        }
        self.clock = time.or(self.clock);
        self.push_row(time, place);
    }

    fn push_row(&mut self, time: Option<Duration>, place: Place) {
        let brackets = self.waiting.map(|waits| waits.then_some(Bracket::Inside));
        self.block.rows.push(Row { time, standings: [None; 2], brackets, place });
    }

    fn depart(&mut self, sent: Box<Sent>, shares: bool) {
        if shares {
            if let Some(row) = self.block.rows.last_mut() {
                row.time = Some(sent.at);
            }
            self.clock = Some(sent.at);
        } else {
            self.row(Some(sent.at), Place::Arrows);
        }
        let start = self.block.rows.len() - 1;
        self.stand(sent.from, sent.standing);
        if sent.lost.is_none() {
            self.open.push((sent.id, self.block.arrows.len()));
        }
        self.block.arrows.push(Arrow { sent, start, end: start, marks: Marks::NONE });
    }

    fn land(&mut self, arrived: Arrived) {
        let end = self.block.rows.len() - 1;
        if let Ok(place) = self.open_at(arrived.id) {
            let (_, index) = self.open.remove(place);
            let arrow = &mut self.block.arrows[index];
            (arrow.end, arrow.marks) = (end, arrived.marks);
        }
        self.stand(arrived.side, arrived.standing);
    }

    /// Notes a state beside the last row, and the wait that it begins or ends.
    fn stand(&mut self, side: Side, standing: Option<Standing>) {
        let Some(standing) = standing else { return };
        let waits = standing.state == State::TimeWait;
        let waited = std::mem::replace(&mut self.waiting[side.index()], waits);
        let Some(row) = self.block.rows.last_mut() else { return };
        row.standings[side.index()] = Some(standing);
        row.brackets[side.index()] = match (waited, waits) {
            (false, true) => Some(Bracket::Open),
            (true, true) => Some(Bracket::Inside),
            (true, false) => Some(Bracket::Close),
            (false, false) => None,
        };
    }
}
