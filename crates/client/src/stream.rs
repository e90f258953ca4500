//! Bytes of a stream, or frames of a WebSocket, into a header and top-level elements.
//!
//! Spec: RFC 6120 4 (streams), RFC 7395 3 (one document a message).
//! Owns: the parser and the element under construction. Invariants: what is kept is bounded by [`ELEMENT_MAX`] and
//! [`DEPTH_MAX`], so a hostile exchange cannot fill the client's memory.
//! Not here: what an element means (`session`).

use rxml::{Event, Options, Parse, Parser, WithOptions, error::EndOrError};
use xmpp::ns;

use crate::element::Element;

/// The most bytes one top-level element may have: four times what the exchange lets anyone send.
const ELEMENT_MAX: usize = 1024 * 1024;

/// The deepest element: what the exchange allows.
const DEPTH_MAX: usize = 100;

/// The longest attribute. Text may be longer; it comes in pieces.
const TOKEN_MAX: usize = 64 * 1024;

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// `<stream:stream>` or `<open/>`, without children.
    Open(Element),
    /// A top-level element.
    Element(Element),
    /// `</stream:stream>` or `<close/>`.
    Close,
}

/// Reads one stream, or one side of a WebSocket.
#[derive(Debug)]
pub(crate) struct Reader {
    parser: Parser,
    /// Elements that are open; with a byte stream the first is the stream itself.
    open: Vec<Element>,
    /// Bytes of the element under construction.
    bytes: usize,
    framed: bool,
    /// The first `<` has come.
    begun: bool,
}

impl Reader {
    pub(crate) fn new(framed: bool) -> Self {
        Self { parser: parser(), open: Vec::new(), bytes: 0, framed, begun: false }
    }

    /// Takes bytes up to and including one finding. `Err` is why this is no XMPP.
    pub(crate) fn handle_bytes(&mut self, input: &mut &[u8]) -> Result<Option<Found>, String> {
        if !self.begun
            && let Some(first) = input.iter().find(|byte| !byte.is_ascii_whitespace())
        {
            // The parser would wait for more of what can never become XML.
            if *first != b'<' {
                return Err("bytes that are no XML".to_owned());
            }
            self.begun = true;
        }
        loop {
            let before = input.len();
            let event = match self.parser.parse(input, false) {
                Ok(Some(event)) => event,
                Ok(None) | Err(EndOrError::NeedMoreData) => {
                    self.count(before - input.len())?;
                    return Ok(None);
                }
                Err(EndOrError::Error(error)) => return Err(error.to_string()),
            };
            self.count(before - input.len())?;
            if let Some(found) = self.on_event(event)? {
                self.bytes = 0;
                return Ok(Some(found));
            }
        }
    }

    /// Takes one WebSocket message, which is one whole document (RFC 7395 3.3.3).
    pub(crate) fn handle_message(&mut self, message: &str) -> Result<Found, String> {
        *self = Self::new(true);
        let mut input = message.as_bytes();
        match self.handle_bytes(&mut input)? {
            Some(found) if input.iter().all(u8::is_ascii_whitespace) => Ok(found),
            Some(_) => Err("a WebSocket message with more than one element".to_owned()),
            None => Err("a WebSocket message with less than an element".to_owned()),
        }
    }

    fn count(&mut self, bytes: usize) -> Result<(), String> {
        self.bytes += bytes;
        if self.bytes > ELEMENT_MAX {
            return Err(format!("an element of more than {ELEMENT_MAX} bytes"));
        }
        Ok(())
    }

    fn on_event(&mut self, event: Event) -> Result<Option<Found>, String> {
        match event {
            Event::XmlDeclaration(..) => Ok(None),
            Event::StartElement(_, (ns, name), attributes) => {
                if self.open.len() >= DEPTH_MAX {
                    return Err(format!("elements more than {DEPTH_MAX} deep"));
                }
                let attributes = attributes
                    .into_iter()
                    .filter(|((ns, _), _)| ns.is_none())
                    .map(|((_, name), value)| (name.to_string(), value))
                    .collect();
                let element =
                    Element { ns: ns.to_string(), name: name.to_string(), attributes, ..Element::default() };
                self.open.push(element);
                if self.framed || self.open.len() > 1 {
                    return Ok(None);
                }
                let header = self.open[0].clone();
                if !header.is("stream", ns::STREAMS) {
                    return Err(format!("<{}> instead of a stream", header.name));
                }
                Ok(Some(Found::Open(header)))
            }
            Event::Text(_, text) => {
                if let Some(element) = self.open.last_mut() {
                    element.text.push_str(&text);
                }
                // Text between stanzas is white space that keeps the connection alive (RFC 6120 4.6.1).
                if self.open.len() == 1 && !self.framed {
                    self.open[0].text.clear();
                    self.bytes = 0;
                }
                Ok(None)
            }
            Event::EndElement(_) => {
                let element = self.open.pop().expect("the parser pairs the tags");
                let top = usize::from(!self.framed);
                if self.open.len() > top {
                    self.open.last_mut().expect("just counted").children.push(element);
                    return Ok(None);
                }
                if self.open.len() < top {
                    return Ok(Some(Found::Close));
                }
                Ok(Some(if element.is("open", ns::FRAMING) {
                    Found::Open(element)
                } else if element.is("close", ns::FRAMING) {
                    Found::Close
                } else {
                    Found::Element(element)
                }))
            }
        }
    }
}

impl Element {
    /// Reads one whole document: an element that stands alone, as in a WebSocket message.
    pub fn parse(document: &str) -> Result<Element, String> {
        match Reader::new(true).handle_message(document)? {
            Found::Element(element) | Found::Open(element) => Ok(element),
            Found::Close => Err("the end of a stream".to_owned()),
        }
    }
}

fn parser() -> Parser {
    Parser::with_options(Options { max_token_length: TOKEN_MAX, ..Options::default() })
}

#[cfg(test)]
mod tests;
