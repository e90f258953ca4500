//! The plan of a block: which line each row begins on, what fits on an arrow and what stands below it, and by which columns its line goes.
//! Owns: nothing. Invariants: an arrow turns down behind its label, left of what is under way before it, and comes down before the
//! receiver's line.
//! Not here: characters (`text`), which row an arrow begins and ends on (`layout`).

use super::TextLadder;
use crate::canvas::{pieces_width, width, wrap};
use crate::label::{Ink, Label, Piece};
use crate::layout::{Arrow, Block, Place};
use crate::moment::Sent;
use std::io::Write;

/// What an arrow needs behind its label at least.
const TAIL: usize = 7;
/// What is left of an arrow when it has come down: `───►`.
pub(super) const HEAD: usize = 4;

/// A label that fits beside its arrow.
pub(super) struct Fitted {
    /// What stands on the arrow.
    pub(super) main: Vec<Piece>,
    /// What stands in the lines below.
    pub(super) below: Vec<Vec<Piece>>,
}

impl Fitted {
    /// Fits a label into `canvas` columns, of which `spare` are taken already.
    pub(super) fn new(label: Label, canvas: usize, spare: usize) -> Fitted {
        let room = canvas.saturating_sub(3 + TAIL + spare);
        let mut main = label.main;
        let mut moved: Vec<Piece> = Vec::new();
        // Fields are pairs of a name and a value; the flags stay.
        while pieces_width(&main) > room && main.len() > 3 {
            let field = main.split_off(main.len() - 2);
            let text: String = field.iter().map(|piece| piece.text.as_ref()).collect();
            moved.insert(0, Piece { text: text.trim().to_owned().into(), ink: Ink::Plain });
        }
        moved.extend(label.extras);
        if moved.is_empty() {
            return Fitted { main, below: Vec::new() };
        }
        let extras = spaced(&moved);
        if pieces_width(&main) + 1 + pieces_width(&extras) <= room {
            main.push(blank_piece());
            main.extend(extras);
            return Fitted { main, below: Vec::new() };
        }
        let columns = canvas - 6;
        let mut below: Vec<Vec<Piece>> = Vec::new();
        for piece in moved {
            for text in wrap(&piece.text, columns) {
                let piece = Piece { text: text.into(), ink: piece.ink };
                match below.last_mut() {
                    Some(line) if pieces_width(line) + 1 + width(&piece.text) <= columns => {
                        line.push(blank_piece());
                        line.push(piece);
                    }
                    _ => below.push(vec![piece]),
                }
            }
        }
        Fitted { main, below }
    }

    /// How far from the sender's line it reaches on the arrow: a stroke, a space, its pieces, a space.
    pub(super) fn end(&self) -> usize {
        3 + pieces_width(&self.main)
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
pub(super) struct Plan {
    pub(super) first_line: Vec<usize>,
    pub(super) lines: usize,
    pub(super) ways: Vec<Way>,
}

impl Plan {
    pub(super) fn new<W: Write>(ladder: &TextLadder<W>, block: &Block, labels: &[Fitted]) -> Plan {
        let canvas = ladder.canvas;
        // What is below a label has lines of its own, but the last may stand beside the end of the arrow if that is next.
        let mut own_lines = vec![0; block.rows.len()];
        let mut beside_end = vec![false; block.arrows.len()];
        for (index, (arrow, label)) in block.arrows.iter().zip(labels).enumerate() {
            let next_is_its_own = arrow.end == arrow.start + 1
                && block.arrows.get(index + 1).is_none_or(|next| next.start > arrow.end);
            beside_end[index] = !label.below.is_empty()
                && next_is_its_own
                && label.below_end() + 2 + HEAD <= canvas
                && arrow.marks.is_empty();
            own_lines[arrow.start] = label.below.len() - usize::from(beside_end[index]);
        }
        let mut first_line = Vec::with_capacity(block.rows.len());
        let mut lines = 0;
        for (row, own_lines) in block.rows.iter().zip(&own_lines) {
            first_line.push(lines);
            lines += match &row.place {
                Place::Note(text) => ladder.note_lines(text).len().max(1),
                Place::Event(_, what) => wrap(what, canvas - 4).len().max(1),
                Place::Arrows | Place::Pause(_) => 1 + own_lines,
            };
        }
        let span = |arrow: &Arrow| (first_line[arrow.start], first_line[arrow.end]);
        // The least turn of each: behind its own label, and right of what leaves while it is under way.
        let mut least: Vec<usize> = labels.iter().map(|label| label.end() + 1).collect();
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
        let mut ways: Vec<Way> = Vec::with_capacity(block.arrows.len());
        for (index, arrow) in block.arrows.iter().enumerate() {
            let (start, end) = span(arrow);
            let mut turn = least[index].max(canvas * 2 / 3);
            // Left of what is under way.
            let beside = block.arrows[..index]
                .iter()
                .zip(&ways)
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
        Plan { first_line, lines, ways }
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
