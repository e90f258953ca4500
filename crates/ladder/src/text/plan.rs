//! The plan of a block: which line each row begins on, what fits on an arrow and what stands below it, and by which columns its line goes.
//! Owns: nothing. Invariants: an arrow turns down behind its label, left of what is under way before it, and comes down before the
//! receiver's line.
//! Not here: characters (`text`), which row an arrow begins and ends on (`layout`).

use super::TextLadder;
use crate::canvas::{pieces_width, width, wrap};
use crate::label::{Ink, Piece};
use crate::layout::{Arrow, Block, Place};
use crate::moment::Sent;
use crate::phrase::Phrase;
use std::io::Write;

/// What an arrow needs behind its label at least.
const TAIL: usize = 7;
/// What is left of an arrow when it has come down: `───►`.
pub(super) const HEAD: usize = 4;

/// A label that fits beside its arrow.
#[derive(Default)]
pub(super) struct Fitted {
    /// What stands on the arrow.
    pub(super) main: Phrase,
    /// Columns that it takes.
    pub(super) columns: usize,
    /// What stands in the lines below.
    pub(super) below: Vec<Vec<Piece>>,
}

impl Fitted {
    /// Fits what is on the arrow, and `extras`, into `canvas` columns, of which `spare` are taken already.
    pub(super) fn fit(&mut self, extras: Vec<Piece>, canvas: usize, spare: usize) {
        let room = canvas.saturating_sub(3 + TAIL + spare);
        self.columns = self.main.width();
        self.below.clear();
        let mut moved: Vec<Piece> = Vec::new();
        // Fields are pairs of a name and a value; the flags stay.
        while self.columns > room && self.main.len() > 3 {
            let text = self.main.split_last(2).trim().to_owned();
            moved.insert(0, Piece { text: text.into(), ink: Ink::Plain });
            self.columns = self.main.width();
        }
        moved.extend(extras);
        if moved.is_empty() {
            return;
        }
        let extras = spaced(&moved);
        if self.columns + 1 + pieces_width(&extras) <= room {
            self.main.push(" ", Ink::Plain);
            extras.iter().for_each(|piece| self.main.push(&piece.text, piece.ink));
            self.columns = self.main.width();
            return;
        }
        let columns = canvas - 6;
        for piece in moved {
            for text in wrap(&piece.text, columns) {
                let piece = Piece { text: text.into(), ink: piece.ink };
                match self.below.last_mut() {
                    Some(line) if pieces_width(line) + 1 + width(&piece.text) <= columns => {
                        line.push(blank_piece());
                        line.push(piece);
                    }
                    _ => self.below.push(vec![piece]),
                }
            }
        }
    }

    /// How far from the sender's line it reaches on the arrow: a stroke, a space, its pieces, a space.
    pub(super) fn end(&self) -> usize {
        3 + self.columns
    }

    /// How far it reaches in the line below.
    fn below_end(&self) -> usize {
        2 + self.below.last().map_or(0, |line| pieces_width(line))
    }
}

/// Where an arrow's line is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    /// The line of its beginning and of its end.
    pub(super) start: usize,
    pub(super) end: usize,
    /// Columns from the sender's line to where it turns down.
    pub(super) turn: usize,
    /// The first line after which it falls by a column a line; before, it goes straight down.
    slope_from: usize,
}

impl Way {
    /// How far from the sender's line it is on a line between `start` and `end`.
    pub(super) fn x(&self, line: usize) -> usize {
        self.turn + line.saturating_sub(self.slope_from)
    }
}

/// Which line each row begins on, and every arrow's way.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) first_line: Vec<usize>,
    pub(super) lines: usize,
    pub(super) ways: Vec<Way>,
    /// Lines of each row for what is below a label.
    own_lines: Vec<usize>,
    /// Of each arrow whether the last of these stands beside its end.
    beside_end: Vec<bool>,
    /// The least turn of each arrow.
    least: Vec<usize>,
}

impl Plan {
    /// Plans another block, in the memory of the one before.
    pub(super) fn make<W: Write>(&mut self, ladder: &TextLadder<W>, block: &Block, labels: &[Fitted]) {
        let canvas = ladder.canvas;
        let Plan { first_line, lines, ways, own_lines, beside_end, least } = self;
        // What is below a label has lines of its own, but the last may stand beside the end of the arrow if that is next.
        own_lines.clear();
        own_lines.resize(block.rows.len(), 0);
        beside_end.clear();
        beside_end.resize(block.arrows.len(), false);
        for (index, (arrow, label)) in block.arrows.iter().zip(labels).enumerate() {
            let next_is_its_own = arrow.end == arrow.start + 1
                && block.arrows.get(index + 1).is_none_or(|next| next.start > arrow.end);
            beside_end[index] = !label.below.is_empty()
                && next_is_its_own
                && label.below_end() + 2 + HEAD <= canvas
                && arrow.marks.is_empty();
            own_lines[arrow.start] = label.below.len() - usize::from(beside_end[index]);
        }
        first_line.clear();
        *lines = 0;
        for (row, own_lines) in block.rows.iter().zip(&*own_lines) {
            first_line.push(*lines);
            *lines += match &row.place {
                Place::Note(text) => ladder.note_lines(text).len().max(1),
                Place::Event(_, what) => wrap(what, canvas - 4).len().max(1),
                Place::Arrows | Place::Pause(_) => 1 + own_lines,
            };
        }
        let span = |arrow: &Arrow| (first_line[arrow.start], first_line[arrow.end]);
        // The least turn of each: behind its own label, and right of what leaves while it is under way.
        least.clear();
        least.extend(labels.iter().map(|label| label.end() + 1));
        for index in (0..block.arrows.len()).rev() {
            let arrow = &block.arrows[index];
            if beside_end[index] {
                least[index] = least[index].max(labels[index].below_end() + 2);
            }
            let (start, end) = span(arrow);
            let next = block.arrows[index + 1..]
                .iter()
                .zip(&least[index + 1..])
                .find(|(next, _)| next.sent.from == arrow.sent.from && next.sent.lost.is_none());
            if let Some((next, least_of_next)) = next
                && span(next).0 <= end
                && arrow.sent.lost.is_none()
            {
                let fallen = span(next).0 - start;
                least[index] = least[index].max((least_of_next + 2).saturating_sub(fallen));
            }
        }
        ways.clear();
        for (index, arrow) in block.arrows.iter().enumerate() {
            let (start, end) = span(arrow);
            let mut turn = least[index].max(canvas * 2 / 3);
            // Left of what is under way.
            let beside = block.arrows[..index]
                .iter()
                .zip(&*ways)
                .filter(|(other, way)| {
                    other.sent.from == arrow.sent.from && other.sent.lost.is_none() && way.end >= start
                })
                .map(|(_, way)| way.x(start))
                .min();
            if let Some(beside) = beside {
                turn = turn.min(beside.saturating_sub(2)).max(least[index]);
            }
            let turn_max = canvas.saturating_sub(HEAD + 1 + lost_len(&arrow.sent));
            turn = turn.min(turn_max.max((labels[index].end() + 1).min(canvas - 3)));
            let fall_max = (canvas - HEAD).saturating_sub(turn);
            let slope_from = start.max(end.saturating_sub(fall_max));
            ways.push(Way { start, end, turn, slope_from });
        }
    }
}

/// What the word behind the cross takes.
pub(super) fn lost_len(sent: &Sent) -> usize {
    if sent.lost.is_some() { 3 } else { 0 }
}

fn blank_piece() -> Piece {
    Piece { text: " ".into(), ink: Ink::Plain }
}

/// Pieces with a space between each two.
pub(super) fn spaced(pieces: &[Piece]) -> Vec<Piece> {
    let mut spaced = Vec::with_capacity(pieces.len() * 2);
    for piece in pieces {
        if !spaced.is_empty() {
            spaced.push(blank_piece());
        }
        spaced.push(piece.clone());
    }
    spaced
}
