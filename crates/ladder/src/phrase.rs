//! Phrases: a text of several inks, kept as one string.
//! Owns: the string, and where each part of it ends. Invariants: a phrase that is cleared and filled again allocates nothing, unless it
//! grows.
//! Not here: what is said (`label`), where it stands (`text`).

use crate::canvas::width;
use crate::label::{Ink, Piece};

/// Text in several inks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Phrase {
    text: String,
    /// Where each part ends, and its ink.
    parts: Vec<(usize, Ink)>,
}

impl Phrase {
    /// Nothing is left of it but its memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.parts.clear();
    }

    /// Adds a part.
    pub fn push(&mut self, text: &str, ink: Ink) {
        self.text.push_str(text);
        self.parts.push((self.text.len(), ink));
    }

    /// Adds a number as a part.
    pub fn push_number(&mut self, number: i64, ink: Ink) {
        self.push(itoa::Buffer::new().format(number), ink);
    }

    /// Makes the last part longer.
    pub fn lengthen(&mut self, text: &str) {
        self.text.push_str(text);
        if let Some((end, _)) = self.parts.last_mut() {
            *end = self.text.len();
        }
    }

    /// All of it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How many parts it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.parts.len()
    }

    /// Nothing was said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Columns that it takes on a terminal.
    #[must_use]
    pub fn width(&self) -> usize {
        width(&self.text)
    }

    /// Its parts.
    pub fn parts(&self) -> impl Iterator<Item = (&str, Ink)> {
        let mut start = 0;
        self.parts.iter().map(move |(end, ink)| (&self.text[std::mem::replace(&mut start, *end)..*end], *ink))
    }

    /// Its parts, each with a text of its own.
    #[must_use]
    pub fn pieces(&self) -> Vec<Piece> {
        self.parts().map(|(text, ink)| Piece { text: text.to_owned().into(), ink }).collect()
    }

    /// Takes the last `count` parts away, and says what they said.
    pub(crate) fn split_last(&mut self, count: usize) -> String {
        self.parts.truncate(self.parts.len().saturating_sub(count));
        self.text.split_off(self.parts.last().map_or(0, |(end, _)| *end))
    }

    /// What is not of ASCII becomes a question mark.
    pub(crate) fn make_ascii(&mut self) {
        if self.text.is_ascii() {
            return;
        }
        let parts: Vec<_> = self.parts().map(|(text, ink)| (ascii(text), ink)).collect();
        self.clear();
        parts.iter().for_each(|(text, ink)| self.push(text, *ink));
    }
}

/// A text with a question mark for each character that is not of ASCII.
pub(crate) fn ascii(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect()
}

#[cfg(test)]
mod tests;
