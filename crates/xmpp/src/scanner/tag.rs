//! One start tag, as written: names, values, declarations, where it ends; and the XML declaration, which looks like one.
//! Spec: XML 1.0 2.3, 2.8, 3.1; Namespaces in XML 1.0 3, 4, 6.3 (what may be declared).
//! Invariants: linear in the tag; a tag that is cut is told from one that is wrong.
//! Not here: what its prefixes mean, whether two attributes are the same (`walk`).

use std::borrow::Cow;

use smallvec::SmallVec;

use super::{ATTRIBUTES_MAX, NAME_MAX, PREFIXES_MAX};
use crate::error::StreamErrorKind::{self, *};
use crate::ns;
use crate::xml::{self, Lex};

/// Where something lies in the element's bytes; `at` is 0 when it is not there, since an element begins with `<`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) at: u32,
    pub(crate) len: u32,
}

impl Span {
    // No element is longer than `Limits::stanza_max`, a u32.
    pub(super) fn new(start: usize, end: usize) -> Span {
        Span { at: start as u32, len: (end - start) as u32 }
    }

    pub(crate) fn is_none(self) -> bool {
        self.at == 0
    }

    pub(crate) fn of(self, text: &str) -> &str {
        &text[self.at as usize..(self.at + self.len) as usize]
    }

    pub(super) fn bytes(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.at as usize..(self.at + self.len) as usize]
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Declaration {
    pub(super) prefix: Span,
    pub(super) uri: Span,
}

/// One attribute that is no declaration.
#[derive(Clone, Copy)]
pub(super) struct Attribute {
    // Length of the prefix, colon not counted; 0 for none.
    pub(super) prefix_len: u16,
    pub(super) name: Span,
    pub(super) value: Span,
}

impl Attribute {
    pub(super) fn prefix(self) -> Span {
        Span { at: self.name.at, len: u32::from(self.prefix_len) }
    }

    pub(super) fn local(self) -> Span {
        match u32::from(self.prefix_len) {
            0 => self.name,
            len => Span { at: self.name.at + len + 1, len: self.name.len - len - 1 },
        }
    }
}

/// What a start tag holds, found without regard to what its prefixes mean.
pub(super) struct Tag {
    pub(super) name: Span,
    pub(super) prefix_len: u16,
    pub(super) attributes: SmallVec<[Attribute; 8]>,
    pub(super) xmlns: Span,
    /// How many declarations there were before its own.
    pub(super) around: u8,
    pub(super) end: usize,
    pub(super) empty: bool,
}

/// What an attribute's value means, before all of the element was checked to be UTF-8.
pub(super) fn value(bytes: &[u8], span: Span) -> Cow<'_, str> {
    xml::attr_value(std::str::from_utf8(span.bytes(bytes)).unwrap_or("\u{fffd}"))
}

/// Where the name without its prefix lies.
pub(super) fn local_of(tag: &Tag) -> Span {
    match u32::from(tag.prefix_len) {
        0 => tag.name,
        len => Span { at: tag.name.at + len + 1, len: tag.name.len - len - 1 },
    }
}

/// Why a tag is not taken.
pub(super) enum Refused {
    Lex(Lex),
    /// A named limit was passed.
    Limit,
}

impl From<Lex> for Refused {
    fn from(lex: Lex) -> Refused {
        Refused::Lex(lex)
    }
}

impl From<Refused> for StreamErrorKind {
    fn from(refused: Refused) -> StreamErrorKind {
        match refused {
            Refused::Limit => PolicyViolation,
            Refused::Lex(Lex::Restricted) => RestrictedXml,
            // A tag that was said to be complete and is not has its quotes wrong.
            Refused::Lex(Lex::Malformed | Lex::Incomplete) => NotWellFormed,
        }
    }
}

/// The qualified name at `at`: all of it, and the length of its prefix.
fn qname(bytes: &[u8], at: usize) -> Result<(Span, u16), Refused> {
    let first = xml::ncname(&bytes[at..])?;
    if first > NAME_MAX {
        return Err(Refused::Limit);
    }
    if bytes.get(at + first) != Some(&b':') {
        return Ok((Span::new(at, at + first), 0));
    }
    let second = xml::ncname(&bytes[at + first + 1..])?;
    if second > NAME_MAX {
        return Err(Refused::Limit);
    }
    if bytes.get(at + first + 1 + second) == Some(&b':') {
        return Err(Lex::Malformed.into());
    }
    Ok((Span::new(at, at + first + 1 + second), first as u16))
}

/// The quoted value at `at`, without its quotes (XML 1.0 2.3, production 10).
fn quoted(bytes: &[u8], at: usize) -> Result<Span, Lex> {
    let quote = match bytes.get(at) {
        Some(&quote @ (b'"' | b'\'')) => quote,
        Some(_) => return Err(Lex::Malformed),
        None => return Err(Lex::Incomplete),
    };
    let start = at + 1;
    let mut at = start;
    loop {
        at += xml::value_run(&bytes[at..]);
        match bytes.get(at) {
            Some(&b) if b == quote => return Ok(Span::new(start, at)),
            Some(b'"' | b'\'') => at += 1,
            Some(b'&') => at += xml::reference(&bytes[at..])?.0,
            Some(0xef) => at += xml::byte_ef(&bytes[at..])?,
            Some(_) => return Err(Lex::Malformed),
            None => return Err(Lex::Incomplete),
        }
    }
}

/// Reads the start tag at `at`; its declarations are appended.
pub(super) fn read_tag(
    bytes: &[u8],
    start: usize,
    declarations: &mut SmallVec<[Declaration; 4]>,
) -> Result<Tag, Refused> {
    let around = declarations.len();
    let (name, prefix_len) = qname(bytes, start + 1)?;
    let mut tag = Tag {
        name,
        prefix_len,
        attributes: SmallVec::new(),
        xmlns: Span::default(),
        around: around as u8,
        end: 0,
        empty: false,
    };
    let mut at = start + 1 + name.len as usize;
    loop {
        let space = xml::space_run(&bytes[at..]);
        at += space;
        match bytes.get(at) {
            None => return Err(Lex::Incomplete.into()),
            Some(b'>') => {
                tag.end = at + 1;
                return Ok(tag);
            }
            Some(b'/') => match bytes.get(at + 1) {
                None => return Err(Lex::Incomplete.into()),
                Some(b'>') => {
                    tag.end = at + 2;
                    tag.empty = true;
                    return Ok(tag);
                }
                Some(_) => return Err(Lex::Malformed.into()),
            },
            Some(_) if space == 0 => return Err(Lex::Malformed.into()),
            Some(_) => {}
        }
        let (name, prefix_len) = qname(bytes, at)?;
        at += name.len as usize;
        at += xml::space_run(&bytes[at..]);
        match bytes.get(at) {
            None => return Err(Lex::Incomplete.into()),
            Some(b'=') => at += 1,
            Some(_) => return Err(Lex::Malformed.into()),
        }
        at += xml::space_run(&bytes[at..]);
        let value = quoted(bytes, at)?;
        at = (value.at + value.len) as usize + 1;
        let attribute = Attribute { prefix_len, name, value };
        if name.bytes(bytes) == b"xmlns" {
            if !tag.xmlns.is_none() {
                return Err(Lex::Malformed.into());
            }
            default_is_allowed(bytes, value)?;
            tag.xmlns = value;
        } else if attribute.prefix().bytes(bytes) == b"xmlns" {
            declare(bytes, &attribute, around, declarations)?;
        } else if tag.attributes.len() == ATTRIBUTES_MAX {
            return Err(Refused::Limit);
        } else {
            tag.attributes.push(attribute);
        }
    }
}

// Namespaces in XML 3: the two reserved namespaces are never the default.
fn default_is_allowed(bytes: &[u8], uri: Span) -> Result<(), Lex> {
    match value(bytes, uri).as_ref() {
        ns::XML | ns::XMLNS => Err(Lex::Malformed),
        _ => Ok(()),
    }
}

/// Takes `xmlns:prefix='uri'` (Namespaces in XML 3).
fn declare(
    bytes: &[u8],
    attribute: &Attribute,
    around: usize,
    declarations: &mut SmallVec<[Declaration; 4]>,
) -> Result<(), Refused> {
    let prefix = attribute.local();
    let name = prefix.bytes(bytes);
    let uri = value(bytes, attribute.value);
    let allowed = match name {
        b"xml" => uri == ns::XML,
        b"xmlns" => false,
        // A prefix cannot be undeclared, and nothing else may stand for the reserved namespaces.
        _ => !uri.is_empty() && uri != ns::XML && uri != ns::XMLNS,
    };
    if !allowed || declarations[around..].iter().any(|d| d.prefix.bytes(bytes) == name) {
        return Err(Lex::Malformed.into());
    }
    if declarations.len() == PREFIXES_MAX {
        return Err(Refused::Limit);
    }
    declarations.push(Declaration { prefix, uri: attribute.value });
    Ok(())
}

/// Checks what stands between `<?xml` and its `>` (XML 1.0 2.8; RFC 6120 11.5, 11.6).
pub(super) fn declaration(bytes: &[u8]) -> Result<(), StreamErrorKind> {
    let mut rest = bytes.strip_suffix(b"?>").ok_or(NotWellFormed)?;
    let mut due = 0;
    loop {
        let space = xml::space_run(rest);
        rest = &rest[space..];
        if rest.is_empty() {
            return if due == 0 { Err(NotWellFormed) } else { Ok(()) };
        }
        let name = rest.iter().position(|b| !b.is_ascii_lowercase()).ok_or(NotWellFormed)?;
        let after = name + xml::space_run(&rest[name..]);
        if space == 0 || rest.get(after) != Some(&b'=') {
            return Err(NotWellFormed);
        }
        let quote = after + 1 + xml::space_run(&rest[after + 1..]);
        let value = quoted(rest, quote).map_err(|_| NotWellFormed)?;
        let text = value.bytes(rest);
        // The three stand in this order, the first always.
        let place = match &rest[..name] {
            b"version" if text == b"1.0" => 1,
            b"encoding" if due > 0 && text.eq_ignore_ascii_case(b"utf-8") => 2,
            b"encoding" if due > 0 => return Err(UnsupportedEncoding),
            b"standalone" if due > 0 && (text == b"yes" || text == b"no") => 3,
            _ => return Err(NotWellFormed),
        };
        if place <= due {
            return Err(NotWellFormed);
        }
        due = place;
        rest = &rest[(value.at + value.len) as usize + 1..];
    }
}
