//! The scanner: cuts a stream of bytes into its header, its top-level elements and its closing tag, and checks each.
//! Spec: RFC 6120 4.2-4.4 (streams), 4.9.3 (which error), 11 (what XML is allowed); Namespaces in XML 1.0.
//! Owns: the bytes of an element that is not complete, and nothing while there is none.
//! Invariants: an element that lies whole in the input is not copied; bytes that come one at a time cost linear time;
//!   no element longer than `stanza_max` or deeper than `depth_max` is ever held; what is found is well-formed UTF-8,
//!   every prefix in it is declared, no attribute occurs twice.
//! Not here: what an element means (`stanza`), what may come when (`session`).

mod header;
pub mod nested;
mod tag;
mod walk;

use crate::error::StreamErrorKind;
use crate::stanza::{Stanza, StanzaKind};
use crate::xml;

pub use header::StreamHeader;
pub(crate) use header::{ALONE, CLIENT_STREAM, Outer, element_name};
pub(crate) use tag::Span;
pub(crate) use walk::Shape;
use walk::{Step, Walk};

/// Deepest nesting of a stanza, itself counted (DESIGN section 4): deeper than any payload in use, and shallow enough
/// that code which recurses over a checked tree is safe.
pub const DEPTH_MAX: u8 = 100;

/// Deepest nesting that is ever walked: a stanza of full depth inside what the exchange itself puts around one (carbons,
/// archive and publish-subscribe wrap it in four or five levels).
pub const DEPTH_WRAPPED_MAX: u8 = 120;

/// Most prefixes in scope at once; the count is what keeps resolving them cheap, and what fits one word of bits.
pub const PREFIXES_MAX: usize = 64;

/// Most attributes on one element; bounds the search for doubles.
pub const ATTRIBUTES_MAX: usize = 64;

/// Longest name of an element, attribute or prefix, in octets.
pub const NAME_MAX: usize = 1024;

/// How much of the input is appended at a time to an element that is not complete, so that little is copied in vain
/// once its end is found.
const PIECE: usize = 2048;

/// What a scanner holds at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest top-level element or stream header in octets.
    pub stanza_max: u32,
    /// Deepest nesting, the top-level element counted; at most [`DEPTH_WRAPPED_MAX`].
    pub depth_max: u8,
}

impl Limits {
    /// For what the exchange itself wrote or checked before: any length, and depth enough for a stanza that was wrapped.
    pub const TRUSTED: Limits = Limits { stanza_max: u32::MAX, depth_max: DEPTH_WRAPPED_MAX };

    /// A length limit with the usual depth.
    #[must_use]
    pub const fn of(stanza_max: u32) -> Limits {
        Limits { stanza_max, depth_max: DEPTH_MAX }
    }
}

/// What stands at the top level of a stream.
#[derive(Clone, Debug)]
pub enum Token<'a> {
    /// The stream's start tag.
    Open(StreamHeader<'a>),
    /// A complete top-level element, stanza or not.
    Stanza(Stanza<'a>),
    /// The stream's end tag.
    Close,
}

/// Where in the input (or in the scanner's own buffer) a token lies. It borrows nothing, so that a caller can decide
/// first and look again with [`Scanner::view`] later.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// How many octets of the input are used up.
    pub consumed: usize,
    // Octets of white space before it, when it lies in the input.
    skipped: usize,
    buffered: bool,
    what: What,
}

impl Found {
    /// Which stanza it is; `None` for a header or an end tag. Costs nothing, where a view costs a little.
    #[must_use]
    pub fn stanza_kind(&self) -> Option<StanzaKind> {
        match self.what {
            What::Stanza(shape) => Some(shape.kind),
            What::Open { .. } | What::Close => None,
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum What {
    Open { len: usize },
    Stanza(Shape),
    Close,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The stream's header is due.
    Header,
    /// Top-level elements may come.
    Open,
    /// The end tag was found, or an error.
    Closed,
}

/// An element that is not complete, and how far it was checked.
#[derive(Debug)]
struct Partial {
    bytes: Vec<u8>,
    walk: Walk,
}

/// A resumable scanner of one direction of one stream.
#[derive(Debug)]
pub struct Scanner {
    limits: Limits,
    state: State,
    // The buffered token was handed out; its memory goes at the next call.
    spent: bool,
    partial: Option<Box<Partial>>,
    outer: header::Header,
}

impl Scanner {
    /// A scanner that expects a stream's header.
    #[must_use]
    pub fn new(limits: Limits) -> Scanner {
        Scanner {
            limits,
            state: State::Header,
            spent: false,
            partial: None,
            outer: header::Header::default(),
        }
    }

    /// Changes the limits from the next octet on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Expects a new header, as after STARTTLS and SASL (RFC 6120 4.3.3).
    pub fn restart(&mut self) {
        *self = Scanner::new(self.limits);
    }

    /// Whether some octets of an incomplete token are held.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.partial.is_some() && !self.spent
    }

    /// The `xml:lang` of the stream's header.
    #[must_use]
    pub fn lang(&self) -> Option<&str> {
        self.outer.lang()
    }

    /// Looks for the next token. `None`: all of `input` is used up, or kept, and more is needed. After an error or the
    /// end tag the rest of the input is ignored.
    ///
    /// # Errors
    /// The stream error that the input calls for.
    pub fn scan(&mut self, input: &[u8]) -> Result<Option<Found>, StreamErrorKind> {
        if self.spent {
            self.partial = None;
            self.spent = false;
        }
        if self.state == State::Closed {
            return Ok(None);
        }
        let found = if self.partial.is_some() { self.resume(input) } else { self.start(input) };
        if found.is_err() {
            self.state = State::Closed;
            self.partial = None;
        }
        found
    }

    /// The token that `scan` found in the same `input`.
    ///
    /// # Panics
    /// When `found` does not come from the last `scan`, of this very input.
    #[must_use]
    pub fn view<'a>(&'a self, input: &'a [u8], found: &Found) -> Token<'a> {
        let bytes = match &self.partial {
            Some(partial) if found.buffered => &partial.bytes[..],
            _ => &input[found.skipped..found.consumed],
        };
        match found.what {
            What::Open { len } => Token::Open(StreamHeader::of(text_of(&bytes[..len]))),
            What::Stanza(shape) => Token::Stanza(Stanza::of(
                text_of(&bytes[..shape.len()]),
                shape,
                self.outer.get(),
                self.lang(),
            )),
            What::Close => Token::Close,
        }
    }

    /// Finds the next token, looks at it and moves `input` past it.
    ///
    /// # Errors
    /// The stream error that the input calls for.
    pub fn next<'a, 'i: 'a>(
        &'a mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<Token<'a>>, StreamErrorKind> {
        let whole = *input;
        let Some(found) = self.scan(whole)? else {
            *input = &[];
            return Ok(None);
        };
        *input = &whole[found.consumed..];
        Ok(Some(self.view(whole, &found)))
    }

    fn start(&mut self, input: &[u8]) -> Result<Option<Found>, StreamErrorKind> {
        // White space between stanzas is a sign of life (RFC 6120 4.6.1), and some clients send a line end first.
        let skipped = xml::space_run(input);
        let bytes = &input[skipped..];
        match bytes.first() {
            None => return Ok(None),
            Some(b'<') => {}
            // Before the header any text is outside of every element; after it, it is text where none may stand.
            Some(_) if self.state == State::Header => return Err(StreamErrorKind::NotWellFormed),
            Some(_) => return Err(StreamErrorKind::BadFormat),
        }
        let mut walk = Walk::new();
        match self.walk(&mut walk, bytes)? {
            Some((len, what)) => Ok(Some(Found { consumed: skipped + len, skipped, buffered: false, what })),
            None => {
                self.partial = Some(Box::new(Partial { bytes: bytes.to_vec(), walk }));
                Ok(None)
            }
        }
    }

    fn resume(&mut self, input: &[u8]) -> Result<Option<Found>, StreamErrorKind> {
        let mut consumed = 0;
        // The box leaves `self` while it is walked, so that the walk may change the stream's declarations.
        let Some(mut partial) = self.partial.take() else { return Ok(None) };
        while consumed < input.len() {
            let piece = &input[consumed..input.len().min(consumed + PIECE)];
            let before = partial.bytes.len();
            partial.bytes.extend_from_slice(piece);
            let Partial { bytes, walk } = &mut *partial;
            if let Some((len, what)) = self.walk(walk, bytes)? {
                consumed += len - before;
                partial.bytes.truncate(len);
                self.partial = Some(partial);
                self.spent = true;
                return Ok(Some(Found { consumed, skipped: 0, buffered: true, what }));
            }
            consumed += piece.len();
        }
        self.partial = Some(partial);
        Ok(None)
    }

    /// Walks on through `bytes`, which begin at the token: its length and what it is, once it is complete.
    fn walk(&mut self, walk: &mut Walk, bytes: &[u8]) -> Result<Option<(usize, What)>, StreamErrorKind> {
        let max = self.limits.stanza_max as usize;
        let seen = &bytes[..bytes.len().min(max)];
        let step = if self.state == State::Header {
            walk.header(seen)?
        } else {
            walk.element(seen, self.outer.get(), self.limits.depth_max)?
        };
        let (len, what) = match step {
            Step::Incomplete if bytes.len() > max => return Err(StreamErrorKind::PolicyViolation),
            Step::Incomplete => return Ok(None),
            Step::Header { start, len } => {
                let text = utf8(&seen[start..len])?;
                self.outer = header::Header::read(text, walk)?;
                self.state = State::Open;
                // The view begins at the tag; an XML declaration before it says nothing more.
                return Ok(Some((len, What::Open { len })));
            }
            Step::Element(shape) => {
                utf8(&seen[..shape.len()])?;
                (shape.len(), What::Stanza(shape))
            }
            Step::Close { len } => {
                self.state = State::Closed;
                (len, What::Close)
            }
        };
        Ok(Some((len, what)))
    }
}

// RFC 6120 4.9.3.22: "violating the rules of the UTF-8 encoding" is an encoding that is not supported.
fn utf8(bytes: &[u8]) -> Result<&str, StreamErrorKind> {
    std::str::from_utf8(bytes).map_err(|_| StreamErrorKind::UnsupportedEncoding)
}

/// The text of bytes that were checked when they were found.
fn text_of(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// Checks one document that is one element, as a WebSocket message holds it (RFC 7395 3.3): nothing is declared
/// around it.
///
/// # Errors
/// The stream error that the document calls for.
pub fn document(bytes: &[u8], limits: Limits) -> Result<Stanza<'_>, StreamErrorKind> {
    whole(bytes, limits, &ALONE)
}

/// Checks one element that stands inside a client's stream, as a stored or delivered stanza does.
///
/// # Errors
/// The stream error that the bytes would call for in a stream.
pub fn stanza(bytes: &[u8], limits: Limits) -> Result<Stanza<'_>, StreamErrorKind> {
    whole(bytes, limits, &CLIENT_STREAM)
}

fn whole<'a>(bytes: &'a [u8], limits: Limits, outer: &'static Outer) -> Result<Stanza<'a>, StreamErrorKind> {
    let bytes = bytes.trim_ascii();
    if bytes.len() > limits.stanza_max as usize {
        return Err(StreamErrorKind::PolicyViolation);
    }
    if bytes.first() != Some(&b'<') {
        return Err(StreamErrorKind::NotWellFormed);
    }
    match Walk::new().element(bytes, outer, limits.depth_max)? {
        Step::Element(shape) if shape.len() == bytes.len() => {
            Ok(Stanza::of(utf8(bytes)?, shape, outer, None))
        }
        _ => Err(StreamErrorKind::NotWellFormed),
    }
}

#[cfg(test)]
pub(crate) mod tests;
