//! A document that is too long to be held: some of its elements are entered, and what stands in these is taken whole,
//! element by element.
//! Spec: as the scanner's own. What RFC 6120 11.1 forbids in a stream is forbidden in such a document too.
//! Owns: the bytes of an element that is not complete, and the declarations of the elements that are entered.
//! Invariants: what is taken was checked like a stanza, and knows the declarations around it; nothing longer than the
//!   limit is ever held; no more than [`LEVELS_MAX`] elements are entered in each other.
//! Not here: which elements are entered (the caller says), what they mean.

use std::borrow::Cow;

use super::header::{ALONE, Outer};
use super::walk::{Step, Walk};
use super::{Limits, utf8};
use crate::error::StreamErrorKind;
use crate::stanza::{Stanza, attributes};
use crate::xml::{self, attr_value};

/// Elements entered in each other at most.
pub const LEVELS_MAX: usize = 16;

/// What stands next in a document.
#[derive(Debug)]
pub enum Piece<'a> {
    /// An element was entered.
    Enter(Tag<'a>),
    /// An element that is not entered: all of it.
    Element(Stanza<'a>),
    /// The innermost element that was entered has ended.
    Leave,
}

/// The start tag of an element that was entered.
#[derive(Debug)]
pub struct Tag<'a> {
    text: &'a str,
    ns: &'a str,
}

impl<'a> Tag<'a> {
    /// The name without a prefix.
    #[must_use]
    pub fn name(&self) -> &'a str {
        let name = super::element_name(self.text);
        name.split_once(':').map_or(name, |(_, local)| local)
    }

    /// The namespace.
    #[must_use]
    pub fn ns(&self) -> &'a str {
        self.ns
    }

    /// An attribute, by its name as written.
    #[must_use]
    pub fn attr(&self, name: &str) -> Option<Cow<'a, str>> {
        attributes(self.text).find(|(found, _)| *found == name).map(|(_, value)| attr_value(value))
    }
}

/// A reader of one document.
#[derive(Debug)]
pub struct Nested {
    limits: Limits,
    buffer: Vec<u8>,
    /// How much of the buffer is used up.
    at: usize,
    /// An element that is not complete.
    walk: Option<Box<Walk>>,
    /// What is entered, the outermost first.
    levels: Vec<Outer>,
    /// The innermost was entered by a tag that is its own end.
    empty: bool,
    begun: bool,
}

impl Nested {
    /// A reader that expects a document's first element.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, buffer: Vec::new(), at: 0, walk: None, levels: Vec::new(), empty: false, begun: false }
    }

    /// More of the document. To be given once [`Nested::next`] has said that it needs more.
    pub fn feed(&mut self, input: &[u8]) {
        if self.at > 0 {
            self.buffer.drain(..self.at);
            self.at = 0;
        }
        self.buffer.extend_from_slice(input);
    }

    /// How many elements are entered.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.levels.len()
    }

    /// Whether the document's first element has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.begun && self.levels.is_empty()
    }

    /// What stands next. `None`: more is needed, or the document has ended. The first element is always entered; of the
    /// others `enter` says so, by namespace and name.
    ///
    /// # Errors
    /// The stream error that such a document would call for in a stream.
    pub fn next(&mut self, enter: impl Fn(&str, &str) -> bool) -> Result<Option<Piece<'_>>, StreamErrorKind> {
        if self.empty {
            self.empty = false;
            self.levels.pop();
            return Ok(Some(Piece::Leave));
        }
        if !self.begun {
            return self.begin();
        }
        if self.walk.is_none() {
            self.at += xml::space_run(&self.buffer[self.at..]);
            let rest = &self.buffer[self.at..];
            match rest {
                [] => return Ok(None),
                // XML 1.0 2.1: one element, and white space behind it.
                _ if self.levels.is_empty() => return Err(StreamErrorKind::NotWellFormed),
                [b'<'] => return Ok(None),
                [b'<', b'/', ..] => return self.leave(),
                [b'<', b'!' | b'?', ..] => return Err(StreamErrorKind::RestrictedXml),
                [b'<', ..] => {}
                _ => return Err(StreamErrorKind::BadFormat),
            }
            if self.levels.len() < LEVELS_MAX {
                match self.start_tag()? {
                    None => return Ok(None),
                    Some(start) if enter(&start.ns, &start.local) => return Ok(Some(self.enter(start))),
                    Some(_) => {}
                }
            }
        }
        self.element()
    }

    fn begin(&mut self) -> Result<Option<Piece<'_>>, StreamErrorKind> {
        let seen = &self.buffer[..self.buffer.len().min(self.limits.stanza_max as usize)];
        // Parsed from its beginning each time: it is short, and its end comes with the first piece that is fed.
        let Step::Header { start, len } = Walk::new().header(seen)? else {
            return if seen.len() < self.buffer.len() {
                Err(StreamErrorKind::PolicyViolation)
            } else {
                Ok(None)
            };
        };
        self.begun = true;
        let text = utf8(&seen[start..len])?;
        let level = declared_in(text, &ALONE);
        let ns = namespace(text, &level)?.to_owned();
        let start = Start { from: start, len, empty: false, local: String::new(), ns, level };
        Ok(Some(self.enter(start)))
    }

    /// The start tag that comes next, once it is whole.
    fn start_tag(&self) -> Result<Option<Start>, StreamErrorKind> {
        let Some(outer) = self.levels.last() else { return Ok(None) };
        let rest = &self.buffer[self.at..];
        let seen = &rest[..rest.len().min(self.limits.stanza_max as usize)];
        let Some((len, empty)) = Walk::new().start(seen, outer)? else {
            return if seen.len() < rest.len() { Err(StreamErrorKind::PolicyViolation) } else { Ok(None) };
        };
        let text = utf8(&seen[..len])?;
        let level = declared_in(text, outer);
        let ns = namespace(text, &level)?.to_owned();
        let name = super::element_name(text);
        let local = name.split_once(':').map_or(name, |(_, local)| local).to_owned();
        Ok(Some(Start { from: self.at, len: self.at + len, empty, local, ns, level }))
    }

    fn enter(&mut self, start: Start) -> Piece<'_> {
        self.at = start.len;
        self.empty = start.empty;
        self.levels.push(start.level);
        let text = std::str::from_utf8(&self.buffer[start.from..start.len]).unwrap_or_default();
        let level = self.levels.last().expect("it was pushed just now");
        Piece::Enter(Tag { text, ns: namespace(text, level).unwrap_or_default() })
    }

    fn leave(&mut self) -> Result<Option<Piece<'_>>, StreamErrorKind> {
        let rest = &self.buffer[self.at + 2..];
        let Some(end) = memchr::memchr(b'>', rest) else {
            // No name is longer, and white space behind one is not written.
            return if rest.len() > 4 * super::NAME_MAX {
                Err(StreamErrorKind::PolicyViolation)
            } else {
                Ok(None)
            };
        };
        let Some(level) = self.levels.pop() else { return Err(StreamErrorKind::NotWellFormed) };
        let name = level.name.as_bytes();
        if !rest.starts_with(name) || xml::space_run(&rest[name.len()..end]) != end - name.len() {
            return Err(StreamErrorKind::NotWellFormed);
        }
        self.at += 2 + end + 1;
        Ok(Some(Piece::Leave))
    }

    /// The element that comes next, once it is whole.
    fn element(&mut self) -> Result<Option<Piece<'_>>, StreamErrorKind> {
        let Some(outer) = self.levels.last() else { return Ok(None) };
        let rest = &self.buffer[self.at..];
        let seen = &rest[..rest.len().min(self.limits.stanza_max as usize)];
        let mut walk = self.walk.take().unwrap_or_else(|| Box::new(Walk::new()));
        match walk.element(seen, outer, self.limits.depth_max)? {
            Step::Element(shape) => {
                let start = self.at;
                self.at += shape.len();
                let text = utf8(&self.buffer[start..self.at])?;
                Ok(Some(Piece::Element(Stanza::of(text, shape, outer, None))))
            }
            _ if seen.len() < rest.len() => Err(StreamErrorKind::PolicyViolation),
            _ => {
                self.walk = Some(walk);
                Ok(None)
            }
        }
    }
}

/// A start tag that was looked at.
struct Start {
    from: usize,
    len: usize,
    empty: bool,
    local: String,
    ns: String,
    level: Outer,
}

/// What is in force inside an element with this start tag.
fn declared_in(tag: &str, outer: &Outer) -> Outer {
    let mut level = Outer { name: Cow::Owned(super::element_name(tag).into()), ..outer.clone() };
    let mut prefixes = outer.prefixes.to_vec();
    for (name, value) in attributes(tag) {
        if name == "xmlns" {
            level.default = Cow::Owned(attr_value(value).into_owned());
        } else if let Some(prefix) = name.strip_prefix("xmlns:") {
            prefixes.retain(|(known, _)| known != prefix);
            prefixes.push((Cow::Owned(prefix.into()), Cow::Owned(attr_value(value).into_owned())));
        }
    }
    level.prefixes = Cow::Owned(prefixes);
    level
}

/// The namespace of the element with this start tag.
fn namespace<'l>(tag: &str, level: &'l Outer) -> Result<&'l str, StreamErrorKind> {
    let prefix = super::element_name(tag).split_once(':').map_or("", |(prefix, _)| prefix);
    level.resolve(prefix).ok_or(StreamErrorKind::BadNamespacePrefix)
}

#[cfg(test)]
mod tests;
