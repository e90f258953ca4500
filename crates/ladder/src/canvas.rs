//! Lines of cells: characters with an ink each, of which some are two columns wide.
//! Owns: columns. Invariants: a line is as many columns as it was made for, whatever is put on it; what does not fit is cut off.
//! Not here: what is drawn (`text`).

use crate::label::{Ink, Piece};
use std::io::Write;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Columns that a text takes on a terminal.
#[must_use]
pub fn width(text: &str) -> usize {
    // What is drawn is nearly all of these.
    if text.bytes().all(is_plain) { text.len() } else { text.width() }
}

/// A character of ASCII that takes a column.
fn is_plain(octet: u8) -> bool {
    matches!(octet, b' '..=b'~')
}

/// Columns of a label's pieces.
pub(crate) fn pieces_width(pieces: &[Piece]) -> usize {
    pieces.iter().map(|piece| width(&piece.text)).sum()
}

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cell {
    /// Its character; `None`: the second column of the one before.
    pub(crate) glyph: Option<char>,
    pub(crate) ink: Ink,
}

impl Cell {
    const BLANK: Cell = Cell { glyph: Some(' '), ink: Ink::Plain };
}

/// A line of a fixed number of columns.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    cells: Vec<Cell>,
}

impl Line {
    pub(crate) fn new(columns: usize) -> Line {
        Line { cells: vec![Cell::BLANK; columns] }
    }

    /// As when it was made.
    pub(crate) fn clear(&mut self) {
        self.cells.fill(Cell::BLANK);
    }

    /// What stands in a column.
    pub(crate) fn at(&self, column: usize) -> Option<char> {
        self.cells.get(column).and_then(|cell| cell.glyph)
    }

    /// Puts one character of one column.
    pub(crate) fn put(&mut self, column: usize, glyph: char, ink: Ink) {
        if let Some(cell) = self.cells.get_mut(column) {
            *cell = Cell { glyph: Some(glyph), ink };
        }
    }

    /// Puts a text, and returns the column behind it. What has no width, or would command a terminal, is left out.
    pub(crate) fn text(&mut self, mut column: usize, text: &str, ink: Ink) -> usize {
        for glyph in text.chars() {
            let columns = if matches!(glyph, ' '..='~') { 1 } else { glyph.width().unwrap_or(0) };
            if columns == 0 || column + columns > self.cells.len() {
                continue;
            }
            self.cells[column] = Cell { glyph: Some(glyph), ink };
            for rest in 1..columns {
                self.cells[column + rest] = Cell { glyph: None, ink };
            }
            column += columns;
        }
        column
    }

    /// Puts pieces one behind the other.
    pub(crate) fn pieces(&mut self, mut column: usize, pieces: &[Piece]) -> usize {
        for piece in pieces {
            column = self.text(column, &piece.text, piece.ink);
        }
        column
    }

    /// Appends the line without its blank end; `colour`: with the escape sequences of a terminal.
    pub(crate) fn render(&self, colour: bool, out: &mut Vec<u8>) {
        let used = self.cells.iter().rposition(|cell| *cell != Cell::BLANK && cell.glyph != Some(' '));
        let mut ink = Ink::Plain;
        for cell in &self.cells[..used.map_or(0, |last| last + 1)] {
            if colour && cell.ink != ink && cell.glyph != Some(' ') {
                let _ = write!(out, "\x1b[{}m", sgr(cell.ink)); // a Vec takes all
                ink = cell.ink;
            }
            match cell.glyph {
                Some(glyph) if glyph.is_ascii() => out.push(glyph as u8),
                Some(glyph) => out.extend_from_slice(glyph.encode_utf8(&mut [0; 4]).as_bytes()),
                None => {}
            }
        }
        if ink != Ink::Plain {
            out.extend_from_slice(b"\x1b[0m");
        }
        out.push(b'\n');
    }
}

/// The escape sequence of an ink: the sixteen colours that every terminal has, legible on dark and on light.
fn sgr(ink: Ink) -> &'static str {
    match ink {
        Ink::Plain => "0",
        Ink::Faint => "0;2",
        Ink::Flags => "0;1",
        Ink::Opening => "0;1;32",
        Ink::Closing => "0;1;35",
        Ink::Reset => "0;1;31",
        Ink::State => "0;1;36",
        Ink::Trouble => "0;1;31",
        Ink::Remark => "0;33",
        Ink::Call => "0;1;34",
        Ink::Note => "0;36",
    }
}

/// Breaks a text into lines of at most `columns`: at spaces, and between characters of two columns, which need none.
#[must_use]
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(2);
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        let mut used = 0;
        for word in words(paragraph) {
            let len = width(word.trim_end());
            if used > 0 && used + len > columns {
                lines.push(std::mem::take(&mut line).trim_end().to_owned());
                used = 0;
            }
            let mut rest = word;
            // A word that is longer than a line is cut.
            while width(rest.trim_end()) > columns {
                let (head, tail) = cut(rest, columns);
                lines.push(head.to_owned());
                rest = tail;
            }
            line.push_str(rest);
            used += width(rest);
        }
        lines.push(line.trim_end().to_owned());
    }
    lines
}

/// Pieces that a line may be broken behind: words with the space after them, single wide characters. Punctuation stays with what it
/// follows.
fn words(text: &str) -> Vec<&str> {
    const NEVER_FIRST: &str = "，。；：、！？）》」』”’";
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut before: Option<char> = None;
    for (at, c) in text.char_indices() {
        let wide = |c: char| c.width() == Some(2);
        let breaks = before.is_some_and(|before| {
            (before == ' ' && c != ' ')
                || ((wide(before) || wide(c)) && c != ' ' && !"（《「『“‘".contains(before))
        });
        if breaks && !NEVER_FIRST.contains(c) {
            pieces.push(&text[start..at]);
            start = at;
        }
        before = Some(c);
    }
    if start < text.len() {
        pieces.push(&text[start..]);
    }
    pieces
}

fn cut(text: &str, columns: usize) -> (&str, &str) {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        used += c.width().unwrap_or(0);
        if used > columns && at > 0 {
            return text.split_at(at);
        }
    }
    (text, "")
}

#[cfg(test)]
mod tests;
