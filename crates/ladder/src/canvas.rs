//! Lines of cells: characters with an ink each, of which some are two columns wide.
//! Owns: columns. Invariants: a line is as many columns as it was made for, whatever is put on it; what does not fit is cut off.
//! Not here: what is drawn (`text`).

use crate::label::{Ink, Piece};
use crate::phrase::Phrase;
use std::io::Write;
use std::ops::Range;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Columns that a text takes on a terminal.
#[must_use]
pub fn width(text: &str) -> usize {
    // What is drawn is nearly all of these.
    if is_all_plain(text) { text.len() } else { text.width() }
}

/// Every character of it is one of ASCII that takes a column. (All are looked at, which is faster than stopping at the first.)
fn is_all_plain(text: &str) -> bool {
    text.bytes().fold(true, |all, octet| all & matches!(octet, b' '..=b'~'))
}

/// Columns of a label's pieces.
pub(crate) fn pieces_width(pieces: &[Piece]) -> usize {
    pieces.iter().map(|piece| width(&piece.text)).sum()
}

/// A character as its octets of UTF-8, the first lowest: so a line is written without asking what each of its characters is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Glyph(u32);

impl Glyph {
    const SPACE: Glyph = Glyph(b' ' as u32);
    /// The second column of the character before.
    const NONE: Glyph = Glyph(0);
    /// Octets of a character, at most.
    const LEN_MAX: usize = 4;

    /// Its octets: those up to the last that is not zero.
    fn len(self) -> usize {
        (39 - self.0.leading_zeros() as usize) / 8
    }
}

impl From<char> for Glyph {
    fn from(glyph: char) -> Glyph {
        let mut octets = [0; Glyph::LEN_MAX];
        glyph.encode_utf8(&mut octets);
        Glyph(u32::from_le_bytes(octets))
    }
}

/// Columns that are looked at together.
const STRIDE: usize = 8;

/// A line of a fixed number of columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    glyphs: Vec<Glyph>,
    inks: Vec<Ink>,
    /// A character of two columns was put on it.
    has_wide: bool,
}

impl Line {
    pub(crate) fn new(columns: usize) -> Line {
        Line { glyphs: vec![Glyph::SPACE; columns], inks: vec![Ink::Plain; columns], has_wide: false }
    }

    /// Becomes as `other` is, which has as many columns.
    pub(crate) fn copy(&mut self, other: &Line) {
        self.glyphs.copy_from_slice(&other.glyphs);
        self.inks.copy_from_slice(&other.inks);
        self.has_wide = other.has_wide;
    }

    /// Puts one character of one column.
    pub(crate) fn put(&mut self, column: usize, glyph: impl Into<Glyph>, ink: Ink) {
        if column < self.glyphs.len() {
            self.glyphs[column] = glyph.into();
            self.inks[column] = ink;
        }
    }

    /// Puts one character of one column into each of several.
    pub(crate) fn fill(&mut self, columns: Range<usize>, glyph: char, ink: Ink) {
        let columns = self.within(columns);
        self.glyphs[columns.clone()].fill(glyph.into());
        self.inks[columns].fill(ink);
    }

    /// The same, but what is one of `kept` stays.
    pub(crate) fn fill_beside(&mut self, columns: Range<usize>, glyph: char, kept: [char; 2], ink: Ink) {
        let columns = self.within(columns);
        let (glyph, kept) = (Glyph::from(glyph), kept.map(Glyph::from));
        for (place, its_ink) in self.glyphs[columns.clone()].iter_mut().zip(&mut self.inks[columns]) {
            let stays = (*place == kept[0]) | (*place == kept[1]);
            *place = if stays { *place } else { glyph };
            *its_ink = if stays { *its_ink } else { ink };
        }
    }

    /// Those of `columns` that there are.
    fn within(&self, columns: Range<usize>) -> Range<usize> {
        let end = columns.end.min(self.glyphs.len());
        columns.start.min(end)..end
    }

    /// Puts a text, and returns the column behind it. What has no width, or would command a terminal, is left out.
    pub(crate) fn text(&mut self, column: usize, text: &str, ink: Ink) -> usize {
        if self.plain_text(column, text) {
            self.inks[column..column + text.len()].fill(ink);
            return column + text.len();
        }
        self.any_text(column, text, ink)
    }

    /// Puts the characters of a text, without an ink, if each of them takes a column and there is room for all.
    fn plain_text(&mut self, column: usize, text: &str) -> bool {
        let end = column + text.len();
        if end > self.glyphs.len() || !is_all_plain(text) {
            return false;
        }
        for (glyph, octet) in self.glyphs[column..end].iter_mut().zip(text.bytes()) {
            *glyph = Glyph(octet.into());
        }
        true
    }

    /// The same for any text.
    fn any_text(&mut self, mut column: usize, text: &str, ink: Ink) -> usize {
        for glyph in text.chars() {
            let columns = if matches!(glyph, ' '..='~') { 1 } else { glyph.width().unwrap_or(0) };
            if columns == 0 || column + columns > self.glyphs.len() {
                continue;
            }
            self.glyphs[column] = glyph.into();
            self.glyphs[column + 1..column + columns].fill(Glyph::NONE);
            self.inks[column..column + columns].fill(ink);
            self.has_wide |= columns > 1;
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

    /// Puts a phrase.
    pub(crate) fn phrase(&mut self, mut column: usize, phrase: &Phrase) -> usize {
        let is_put = self.plain_text(column, phrase.text());
        for (text, ink) in phrase.parts() {
            if is_put {
                self.inks[column..column + text.len()].fill(ink);
                column += text.len();
            } else {
                column = self.any_text(column, text, ink);
            }
        }
        column
    }

    /// Appends the line without its blank end; `colour`: with the escape sequences of a terminal.
    pub(crate) fn render(&self, colour: bool, out: &mut Vec<u8>) {
        let used = self.glyphs.iter().rposition(|glyph| *glyph != Glyph::SPACE).map_or(0, |last| last + 1);
        if colour {
            self.render_coloured(used, out);
        } else {
            self.render_plain(used, out);
        }
        out.push(b'\n');
    }

    fn render_coloured(&self, used: usize, out: &mut Vec<u8>) {
        let mut now = Ink::Plain;
        for (glyph, ink) in self.glyphs[..used].iter().zip(&self.inks) {
            if *ink != now && *glyph != Glyph::SPACE {
                let _ = write!(out, "\x1b[{}m", sgr(*ink)); // a Vec takes all
                now = *ink;
            }
            out.extend_from_slice(&glyph.0.to_le_bytes()[..glyph.len()]);
        }
        if now != Ink::Plain {
            out.extend_from_slice(b"\x1b[0m");
        }
    }

    /// Nearly every line there is: a glyph is written with all four octets, and the next over those that are none.
    fn render_plain(&self, used: usize, out: &mut Vec<u8>) {
        let start = out.len();
        out.resize(start + used * Glyph::LEN_MAX + STRIDE, 0);
        let room = &mut out[start..];
        let mut end = 0;
        let one = |room: &mut [u8], end: &mut usize, glyph: Glyph| {
            room[*end..*end + Glyph::LEN_MAX].copy_from_slice(&glyph.0.to_le_bytes());
            *end += glyph.len();
        };
        let mut strides = self.glyphs[..used].chunks_exact(STRIDE);
        for stride in strides.by_ref().filter_map(|stride| <&[Glyph; STRIDE]>::try_from(stride).ok()) {
            let together = stride.iter().fold(0, |all, glyph| all | glyph.0);
            if together < 0x80 && !self.has_wide {
                room[end..end + STRIDE].copy_from_slice(&stride.map(|glyph| glyph.0 as u8));
                end += STRIDE;
            } else if stride.iter().fold(true, |all, glyph| all & (*glyph == stride[0]))
                && stride[0].len() == 3
            {
                // A stretch of a line.
                let [a, b, c, _] = stride[0].0.to_le_bytes();
                room[end..end + 3 * STRIDE].copy_from_slice([[a, b, c]; STRIDE].as_flattened());
                end += 3 * STRIDE;
            } else {
                stride.iter().for_each(|glyph| one(room, &mut end, *glyph));
            }
        }
        strides.remainder().iter().for_each(|glyph| one(room, &mut end, *glyph));
        out.truncate(start + end);
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
