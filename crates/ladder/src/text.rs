//! The ladder as text: Unicode or plain ASCII, as wide as the terminal.
//! Owns: columns and characters. Invariants: no line is wider than asked for (at least [`WIDTH_MIN`]); a block is drawn when its last
//! packet has arrived, so memory is bounded; escape sequences only where colour was asked for, and never from what others wrote.
//! Not here: what happens when (`moment`), which row it is on (`layout`), what an arrow says (`label`), which line and column an arrow
//! takes (`plan`).
//!
//! ```text
//!    0.000      SYN-SENT   ├─ SYN seq 0 win 65535 ───────────────────╲          │
//!    0.010                 │  <mss 1460, sackOK, ts, wscale 7>        ╲────────►│   SYN-RECEIVED
//!   <-time-> <--state-->   <-------------- canvas ---------------------------->   <--state-->
//! ```

mod glyphs;
mod plan;

use crate::canvas::{Line, pieces_width, width, wrap};
use crate::item::{Hosts, Side};
use crate::label::{self, Ink, LabelOptions, Piece, label};
use crate::layout::{Arrow, Block, Bracket, Layout, Place, Row};
use crate::moment::{Moment, Sent};
use crate::phrase::ascii;
use glyphs::{ASCII, Glyphs, UNICODE};
use plan::{Fitted, HEAD, Plan, Way, lost_len, spaced};
use std::collections::VecDeque;
use std::io::{self, Write};
use std::time::Duration;

/// The narrowest ladder.
pub const WIDTH_MIN: usize = 72;
/// The widest: beyond, the eye loses the row.
pub const WIDTH_MAX: usize = 132;
/// Places of seconds after the point, at most: nanoseconds.
const DECIMALS_MAX: usize = 9;
/// What is used where there is no terminal.
pub const WIDTH_DEFAULT: usize = 100;

/// Columns of a state, `SYN-RECEIVED`; `2*MSL = 60 s` fits too.
const STATE: usize = 12;
/// Columns between a state and its line: a space, a bracket, a space.
const GAP: usize = 3;
/// Lines, and labels, that are kept to be used again: as many as an ordinary block has.
const SPARE_MAX: usize = 64;

/// How a ladder is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextOptions {
    /// Columns, between [`WIDTH_MIN`] and [`WIDTH_MAX`].
    pub width: usize,
    /// Only characters of ASCII for lines and arrows.
    pub ascii: bool,
    /// Colour, by escape sequences.
    pub colour: bool,
    /// Places of seconds after the point.
    pub decimals: usize,
    /// What labels say.
    pub label: LabelOptions,
}

impl Default for TextOptions {
    fn default() -> TextOptions {
        TextOptions {
            width: WIDTH_DEFAULT,
            ascii: false,
            colour: false,
            decimals: 3,
            label: LabelOptions::default(),
        }
    }
}

/// A ladder that is written while it happens.
pub struct TextLadder<W: Write> {
    out: W,
    options: TextOptions,
    hosts: Hosts,
    layout: Layout,
    begun: bool,
    shown_at: Option<Duration>,
    /// Where the latest arrow that was seen once turns down, and whether the row on which it arrives is free for another.
    chain: Option<usize>,
    /// Whose wait has its name already.
    captioned: [bool; 2],
    /// Labels of arrows that are not drawn yet, in the order in which they were sent.
    labels: VecDeque<Fitted>,
    /// Labels that were drawn, to be filled again.
    spare_labels: Vec<Fitted>,
    /// The lines of the latest block, to be drawn on again.
    lines: Vec<Line>,
    /// The plan of the latest block, likewise.
    plan: Plan,
    /// A line on which there are only those of the hosts.
    empty: Line,
    /// The octets that are written.
    rendered: Vec<u8>,
    /// Between which columns the lines stand.
    canvas: usize,
    time: usize,
}

impl<W: Write> TextLadder<W> {
    /// A ladder between `hosts`.
    pub fn new(out: W, hosts: Hosts, options: TextOptions) -> TextLadder<W> {
        let width = options.width.clamp(WIDTH_MIN, WIDTH_MAX);
        let time = 5 + options.decimals;
        let canvas = width - time - 2 * (STATE + GAP + 1) - 1;
        let mut ladder = TextLadder {
            out,
            options,
            hosts,
            layout: Layout::default(),
            begun: false,
            shown_at: None,
            chain: None,
            captioned: [false; 2],
            labels: VecDeque::new(),
            spare_labels: Vec::new(),
            lines: Vec::new(),
            plan: Plan::default(),
            empty: Line::new(0),
            rendered: Vec::new(),
            canvas,
            time,
        };
        ladder.empty = ladder.blank();
        let glyph = ladder.glyphs().line;
        for side in Side::BOTH {
            ladder.empty.put(ladder.lifeline(side), glyph, Ink::Plain);
        }
        ladder
    }

    /// Takes the next moment; writes what is complete by now.
    ///
    /// # Errors
    /// The writer's.
    pub fn push(&mut self, moment: Moment) -> io::Result<()> {
        self.begin()?;
        let share = self.may_share(&moment);
        if let Some(block) = self.layout.push(moment, share) {
            self.draw(&block)?;
            self.layout.reuse(block);
        }
        Ok(())
    }

    /// Writes the rest, and gives the writer back.
    ///
    /// # Errors
    /// The writer's.
    pub fn finish(mut self) -> io::Result<W> {
        self.begin()?;
        let block = self.layout.finish();
        self.draw(&block)?;
        let mut line = self.blank();
        self.lifelines(&mut line, self.glyphs().ragged);
        self.write(&[line])?;
        self.out.flush()?;
        Ok(self.out)
    }

    /// What is written so far, for whoever must flush it.
    pub fn writer(&mut self) -> &mut W {
        &mut self.out
    }

    fn glyphs(&self) -> &'static Glyphs {
        if self.options.ascii { &ASCII } else { &UNICODE }
    }

    /// The column of a host's line.
    fn lifeline(&self, side: Side) -> usize {
        let left = self.time + 1 + STATE + GAP;
        match side {
            Side::Left => left,
            Side::Right => left + self.canvas + 1,
        }
    }

    fn blank(&self) -> Line {
        Line::new(self.lifeline(Side::Right) + 1 + GAP + STATE)
    }

    fn lifelines(&self, line: &mut Line, glyph: char) {
        for side in Side::BOTH {
            line.put(self.lifeline(side), glyph, Ink::Plain);
        }
    }

    fn write(&mut self, lines: &[Line]) -> io::Result<()> {
        self.rendered.clear();
        for line in lines {
            line.render(self.options.colour, &mut self.rendered);
        }
        self.out.write_all(&self.rendered)
    }

    /// The hosts' names over their lines, and the states they begin in.
    fn begin(&mut self) -> io::Result<()> {
        if self.begun {
            return Ok(());
        }
        self.begun = true;
        let columns = self.lifeline(Side::Right) + 1 + GAP + STATE;
        let names = self.hosts.names.clone();
        let place = |side: Side, len: usize| {
            (self.lifeline(side) + 1).saturating_sub(len.div_ceil(2)).min(columns.saturating_sub(len))
        };
        let left_at = place(Side::Left, width(&names[0]));
        let right_at = place(Side::Right, width(&names[1]));
        let mut line = self.blank();
        line.text(left_at, &names[0], Ink::Flags);
        if left_at + width(&names[0]) + 2 > right_at {
            // Two long names (IPv6) take a line each.
            self.write(&[line])?;
            line = self.blank();
        }
        line.text(right_at, &names[1], Ink::Flags);
        self.write(&[line])?;
        let mut line = self.blank();
        self.lifelines(&mut line, self.glyphs().top);
        for side in Side::BOTH {
            if let Some(state) = self.hosts.states[side.index()] {
                self.put_state(&mut line, side, state.name(), Ink::Faint);
            }
        }
        self.write(&[line])
    }

    fn put_state(&self, line: &mut Line, side: Side, text: &str, ink: Ink) {
        let column = match side {
            Side::Left => (self.lifeline(side) - GAP).saturating_sub(width(text)),
            Side::Right => self.lifeline(side) + 1 + GAP,
        };
        line.text(column, text, ink);
    }

    /// Where an arrow turns down if nothing hinders it, given the columns that its label takes.
    fn turn(&self, label_end: usize) -> usize {
        (label_end + 1).max(self.canvas * 2 / 3)
    }

    /// Whether a packet can leave on the row on which the one before it, of the same direction and seen once too, arrives.
    fn may_share(&mut self, moment: &Moment) -> bool {
        match moment {
            Moment::Sent(sent) => {
                let label = self.label_of(sent);
                let end = label.end();
                let fits = label.below.is_empty();
                self.labels.push_back(label);
                let turn = self.turn(end);
                let limit = self.chain.map(|chain| chain.saturating_sub(1));
                let share = fits && limit.is_some_and(|limit| end < limit);
                self.chain = match limit {
                    Some(limit) if share => Some(turn.min(limit)),
                    _ if fits => Some(turn.min(self.canvas - HEAD - 1)),
                    _ => None,
                };
                share
            }
            Moment::Arrived(arrived) => {
                if arrived.at.is_some() {
                    self.chain = None;
                }
                false
            }
            Moment::Event { .. } | Moment::Note(_) => {
                self.chain = None;
                false
            }
        }
    }

    fn draw(&mut self, block: &Block) -> io::Result<()> {
        // What is drawn is taken out of `self`, which says how, and put back: so no block needs memory of its own.
        let mut labels = std::mem::take(&mut self.labels);
        let arrows = block.arrows.len();
        let mut plan = std::mem::take(&mut self.plan);
        plan.make(self, block, &labels.make_contiguous()[..arrows]);
        let mut all_lines = std::mem::take(&mut self.lines);
        if all_lines.len() < plan.lines {
            all_lines.resize(plan.lines, self.empty.clone());
        }
        let lines = &mut all_lines[..plan.lines];
        lines.iter_mut().for_each(|line| line.copy(&self.empty));
        for (row, at) in block.rows.iter().zip(&plan.first_line) {
            self.put_row(&mut lines[*at..], row);
        }
        for (index, arrow) in block.arrows.iter().enumerate() {
            self.put_line(lines, arrow, &plan.ways[index]);
        }
        for (row, at) in block.rows.iter().zip(&plan.first_line) {
            self.put_words(&mut lines[*at..], row);
        }
        for (index, arrow) in block.arrows.iter().enumerate() {
            self.put_label(lines, arrow, &labels[index], &plan.ways[index]);
        }
        // A wait goes on beside the lines that a row has more than one of.
        for (index, row) in block.rows.iter().enumerate() {
            let end = plan.first_line.get(index + 1).copied().unwrap_or(plan.lines);
            self.put_brackets(&mut lines[plan.first_line[index]..end], row);
        }
        let written = self.write(lines);
        all_lines.truncate(SPARE_MAX);
        self.spare_labels.extend(labels.drain(..arrows));
        self.spare_labels.truncate(SPARE_MAX);
        (self.lines, self.plan, self.labels) = (all_lines, plan, labels);
        written
    }

    fn label_of(&mut self, sent: &Sent) -> Fitted {
        let mut fitted = self.spare_labels.pop().unwrap_or_default();
        fitted.main.clear();
        let mut extras = label::fill(&mut fitted.main, sent, self.options.label);
        if self.options.ascii {
            // Names of hosts and payloads may hold anything; lines and marks are ASCII already.
            fitted.main.make_ascii();
            extras.iter_mut().for_each(|piece| piece.text = ascii(&piece.text).into());
        }
        if let Some(why) = &sent.lost
            && why != "lost"
        {
            extras.push(Piece { text: format!("({why})").into(), ink: Ink::Trouble });
        }
        fitted.fit(extras, self.canvas, lost_len(sent));
        fitted
    }

    fn put_row(&mut self, lines: &mut [Line], row: &Row) {
        let Some(line) = lines.first_mut() else { return };
        if let Some(time) = row.time
            && self.shown_at != Some(time)
        {
            self.shown_at = Some(time);
            self.put_clock(line, time);
        }
        for side in Side::BOTH {
            if let Some(standing) = row.standings[side.index()] {
                let ink = if standing.is_new { Ink::State } else { Ink::Faint };
                self.put_state(line, side, standing.state.name(), ink);
            }
        }
    }

    /// Seconds with their decimals, rounded, to the right of their column.
    fn put_clock(&self, line: &mut Line, time: Duration) {
        let decimals = self.options.decimals.min(DECIMALS_MAX) as u32;
        let unit = 10_u32.pow(DECIMALS_MAX as u32 - decimals);
        // Rounding may carry: 0.9996 s are 1.000.
        let (mut secs, mut units) = (u128::from(time.as_secs()), (time.subsec_nanos() + unit / 2) / unit);
        let whole = 10_u32.pow(decimals);
        if units >= whole {
            (secs, units) = (secs + 1, units - whole);
        }
        let mut buffer = itoa::Buffer::new();
        let secs = buffer.format(secs);
        let behind = if decimals == 0 { 0 } else { 1 + decimals as usize };
        let column = line.text(self.time.saturating_sub(secs.len() + behind), secs, Ink::Faint);
        if decimals > 0 {
            // One more digit in front, which the point takes the place of, gives the others their zeros.
            let mut buffer = itoa::Buffer::new();
            line.text(column, buffer.format(whole + units), Ink::Faint);
            line.put(column, '.', Ink::Faint);
        }
    }

    /// What stands between the lines and is no arrow, over whatever passes there.
    fn put_words(&self, lines: &mut [Line], row: &Row) {
        let glyphs = self.glyphs();
        let Some(line) = lines.first_mut() else { return };
        let left = self.lifeline(Side::Left) + 1;
        match &row.place {
            Place::Arrows => {}
            Place::Event(side, what) => {
                line.put(self.lifeline(*side), glyphs.dot, Ink::Call);
                for (line, text) in lines.iter_mut().zip(wrap(what, self.canvas - 4)) {
                    let column = match side {
                        Side::Left => left + 1,
                        Side::Right => left + self.canvas - 1 - width(&text),
                    };
                    line.text(column, &text, Ink::Call);
                }
            }
            Place::Note(text) => {
                for (line, text) in lines.iter_mut().zip(self.note_lines(text)) {
                    let column = line.text(left + 3, glyphs.note, Ink::Note);
                    line.text(column, &text, Ink::Note);
                }
            }
            Place::Pause(span) => {
                let text = format!("{0}  {1}  {0}", glyphs.pause, span_words(*span));
                line.text(left + (self.canvas.saturating_sub(width(&text))) / 2, &text, Ink::Faint);
            }
        }
    }

    fn note_lines(&self, text: &str) -> Vec<String> {
        wrap(text, self.canvas - 8)
    }

    /// The line of an arrow, behind everything else.
    fn put_line(&self, lines: &mut [Line], arrow: &Arrow, way: &Way) {
        let glyphs = self.glyphs();
        let from = arrow.sent.from;
        let lost = arrow.sent.lost.is_some();
        let ink = if lost { Ink::Trouble } else { Ink::Plain };
        let at = |x: usize| match from {
            Side::Left => self.lifeline(Side::Left) + 1 + x,
            Side::Right => self.lifeline(Side::Right) - 1 - x,
        };
        let put = |line: &mut Line, x: usize, glyph: char| line.put(at(x), glyph, ink);
        lines[way.start].put(self.lifeline(from), glyphs.start[from.index()], Ink::Plain);
        let columns = |start: usize, end: usize| match from {
            Side::Left => at(start)..at(end),
            Side::Right => at(end) + 1..at(start) + 1,
        };
        lines[way.start].fill(columns(0, way.turn), glyphs.flat, ink);
        if lost {
            put(&mut lines[way.start], way.turn, glyphs.cross);
            let word = " lost ";
            let column = if from == Side::Left { at(way.turn) + 1 } else { at(way.turn + word.len()) };
            lines[way.start].text(column, word, Ink::Trouble);
            return;
        }
        for (index, line) in lines.iter_mut().enumerate().take(way.end + 1).skip(way.start) {
            let x = way.x(index);
            let falls = index == way.start || way.x(index - 1) != x;
            let glyph = if falls || index == way.end { glyphs.down[from.index()] } else { glyphs.steep };
            put(line, x, glyph);
        }
        // What comes down further right is not cut through.
        let flat = columns(way.x(way.end) + 1, self.canvas - 1);
        lines[way.end].fill_beside(flat, glyphs.flat, glyphs.down, ink);
        put(&mut lines[way.end], self.canvas - 1, glyphs.head[from.index()]);
    }

    /// What an arrow says, over everything else.
    fn put_label(&self, lines: &mut [Line], arrow: &Arrow, label: &Fitted, way: &Way) {
        let from = arrow.sent.from;
        let line = &mut lines[way.start];
        let column = self.padded_at(from, 1, label.columns);
        line.put(column, ' ', Ink::Plain);
        let end = line.phrase(column + 1, &label.main);
        line.put(end, ' ', Ink::Plain);
        for (line, below) in lines[way.start + 1..].iter_mut().zip(&label.below) {
            self.put_text(line, from, 2, below);
        }
        if !arrow.marks.is_empty() {
            let marks: Vec<_> = arrow
                .marks
                .iter()
                .map(|mark| Piece { text: format!("[{mark}]").into(), ink: Ink::Trouble })
                .collect();
            // At the receiver, where it shows.
            let marks = spaced(&marks);
            let x = (self.canvas - 2).saturating_sub(pieces_width(&marks) + 2);
            let line = &mut lines[way.end];
            let column = self.padded_at(from, x, pieces_width(&marks));
            line.put(column, ' ', Ink::Plain);
            let end = line.pieces(column + 1, &marks);
            line.put(end, ' ', Ink::Plain);
        }
    }

    /// Where something of so many columns begins, with a space before and behind, so that the first space begins (for a right-hand
    /// sender: the second ends) `x` columns from the sender's line.
    fn padded_at(&self, from: Side, x: usize, columns: usize) -> usize {
        match from {
            Side::Left => self.lifeline(Side::Left) + 1 + x,
            Side::Right => (self.lifeline(Side::Right) - x).saturating_sub(columns + 2),
        }
    }

    /// Puts pieces so that they begin (for a right-hand sender: end) `x` columns from the sender's line.
    fn put_text(&self, line: &mut Line, from: Side, x: usize, pieces: &[Piece]) {
        let column = match from {
            Side::Left => self.lifeline(Side::Left) + 1 + x,
            Side::Right => (self.lifeline(Side::Right) - x).saturating_sub(pieces_width(pieces)),
        };
        line.pieces(column, pieces);
    }

    fn put_brackets(&mut self, lines: &mut [Line], row: &Row) {
        let glyphs = self.glyphs();
        for side in Side::BOTH {
            let Some(bracket) = row.brackets[side.index()] else { continue };
            let column = match side {
                Side::Left => self.lifeline(side) - 2,
                Side::Right => self.lifeline(side) + 2,
            };
            let glyph = |bracket: Bracket| glyphs.bracket[side.index()][bracket as usize];
            for (index, line) in lines.iter_mut().enumerate() {
                let here = match (index, bracket) {
                    (0, bracket) => bracket,
                    (_, Bracket::Open) => Bracket::Inside,
                    (_, Bracket::Close | Bracket::Ragged) => break,
                    (_, Bracket::Inside) => Bracket::Inside,
                };
                line.put(column, glyph(here), Ink::State);
            }
            // Its name stands beside the first line without a state.
            let has_room = bracket == Bracket::Inside && row.standings[side.index()].is_none();
            self.captioned[side.index()] &= bracket != Bracket::Open;
            if has_room
                && !std::mem::replace(&mut self.captioned[side.index()], true)
                && let Some(line) = lines.first_mut()
            {
                self.put_state(line, side, &self.wait_words(), Ink::State);
            }
        }
    }

    fn wait_words(&self) -> String {
        match self.hosts.time_wait {
            Some(span) => format!("2*MSL = {} s", span.as_secs()),
            None => "2*MSL".to_owned(),
        }
    }
}

/// A span for people: three digits are enough.
#[must_use]
pub fn span_words(span: Duration) -> String {
    let secs = span.as_secs_f64();
    match secs {
        s if s >= 7200.0 => format!("{:.1} h", s / 3600.0),
        s if s >= 600.0 => format!("{:.0} min", s / 60.0),
        s if s >= 100.0 => format!("{s:.0} s"),
        s if s >= 10.0 => format!("{s:.1} s"),
        s if s >= 1.0 => format!("{s:.2} s"),
        s if s >= 0.1 => format!("{:.0} ms", s * 1e3),
        s if s >= 0.001 => format!("{:.1} ms", s * 1e3),
        s => format!("{:.0} us", s * 1e6),
    }
}

/// The label of a packet on one line, for whoever prints one packet.
#[must_use]
pub fn one_line(sent: &Sent, options: LabelOptions) -> String {
    let label = label(sent, options);
    let mut text = label.main.text().to_owned();
    for piece in &label.extras {
        text.push(' ');
        text.push_str(&piece.text);
    }
    text
}

#[cfg(test)]
mod tests;
