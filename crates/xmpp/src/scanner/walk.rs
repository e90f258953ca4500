//! The walk through one top-level element: resumable, checking as it goes.
//! Spec: XML 1.0 3.1 (tags match, attributes are unique), Namespaces in XML 1.0 (prefixes are declared, expanded names
//!   are unique), RFC 6120 11.1 (what is forbidden).
//! Invariants: `at` never goes back; a tag that is not complete is parsed once, when its `>` has come, so that no byte
//!   is looked at more than a few times however the input is cut.
//! Not here: UTF-8, which is checked over the whole element at once when it is complete.

use std::borrow::Cow;

use arrayvec::ArrayVec;
use smallvec::SmallVec;

use super::header::Outer;
use super::tag::{Declaration, Refused, Span, Tag, declaration, local_of, read_tag, value};
use super::{DEPTH_WRAPPED_MAX, PREFIXES_MAX};
use crate::error::StreamErrorKind::{self, *};
use crate::ns;
use crate::stanza::StanzaKind;
use crate::xml::{self, Lex};

/// What the walk learnt about an element, so that nobody has to look again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) kind: StanzaKind,
    pub(crate) prefix: Span,
    pub(crate) local: Span,
    pub(crate) to: Span,
    pub(crate) from: Span,
    pub(crate) id: Span,
    pub(crate) type_: Span,
    pub(crate) lang: Span,
    /// The value of its own `xmlns`.
    pub(crate) xmlns: Span,
    pub(crate) inner: Span,
    pub(crate) total: u32,
    /// Prefixes that are used below the start tag, or in an attribute of it, and are declared by the stream's header
    /// (lowest bits) or by the start tag itself (the bits after those).
    pub(crate) used: u64,
    /// It has attributes besides the five known ones and `xmlns`.
    pub(crate) other_attributes: bool,
    /// The default namespace inside it is `jabber:client`.
    pub(crate) plain_inside: bool,
    /// A direct child is named `stanza-id`.
    pub(crate) stanza_id: bool,
}

impl Shape {
    const NONE: Shape = Shape {
        kind: StanzaKind::Other,
        prefix: Span { at: 0, len: 0 },
        local: Span { at: 0, len: 0 },
        to: Span { at: 0, len: 0 },
        from: Span { at: 0, len: 0 },
        id: Span { at: 0, len: 0 },
        type_: Span { at: 0, len: 0 },
        lang: Span { at: 0, len: 0 },
        xmlns: Span { at: 0, len: 0 },
        inner: Span { at: 0, len: 0 },
        total: 0,
        used: 0,
        other_attributes: false,
        plain_inside: false,
        stanza_id: false,
    };

    pub(crate) fn len(&self) -> usize {
        self.total as usize
    }
}

/// How far a walk came.
pub(crate) enum Step {
    Incomplete,
    Header { start: usize, len: usize },
    Element(Shape),
    Close { len: usize },
}

/// An element that is open: its name as written, and how many prefixes were in scope around it.
#[derive(Clone, Copy, Debug)]
struct Open {
    name: Span,
    around: u8,
}

/// The walk: where it stands and what is open there.
#[derive(Debug)]
pub(crate) struct Walk {
    at: usize,
    /// How far the end of the tag at `at` was looked for; not beyond `at` when it was not.
    cursor: usize,
    /// The quote that the cursor is inside of, or 0.
    quote: u8,
    in_cdata: bool,
    open: ArrayVec<Open, { DEPTH_WRAPPED_MAX as usize }>,
    declarations: SmallVec<[Declaration; 4]>,
    /// How many of the declarations are the element's own.
    own: u8,
    shape: Shape,
}

impl Walk {
    pub(crate) fn new() -> Walk {
        Walk {
            at: 0,
            cursor: 0,
            quote: 0,
            in_cdata: false,
            open: ArrayVec::new(),
            declarations: SmallVec::new(),
            own: 0,
            shape: Shape::NONE,
        }
    }

    pub(crate) fn is_at_top(&self) -> bool {
        self.open.is_empty()
    }

    /// Walks to the end of a stream's header.
    pub(crate) fn header(&mut self, bytes: &[u8]) -> Result<Step, StreamErrorKind> {
        loop {
            self.at += xml::space_run(&bytes[self.at..]);
            match bytes.get(self.at) {
                None => return Ok(Step::Incomplete),
                Some(b'<') => {}
                Some(_) => return Err(NotWellFormed),
            }
            if self.tag_is_cut(bytes) {
                return Ok(Step::Incomplete);
            }
            let rest = &bytes[self.at..];
            if rest.starts_with(b"<?") {
                // XML 1.0 2.8: the declaration stands first or not at all.
                if self.at != 0 || !rest.starts_with(b"<?xml") || xml::space_run(&rest[5..]) == 0 {
                    return Err(RestrictedXml);
                }
                declaration(&rest[5..self.cursor - self.at])?;
                self.at = self.cursor;
                continue;
            }
            let start = self.at;
            match rest.get(1) {
                Some(b'!') => return Err(RestrictedXml),
                Some(b'/') => return Err(NotWellFormed),
                _ => {}
            }
            let tag = self.tag(bytes)?;
            if tag.empty {
                // A stream that is its own end is no stream.
                return Err(BadFormat);
            }
            self.resolve(bytes, &super::ALONE, &tag)?;
            self.at = tag.end;
            return Ok(Step::Header { start, len: tag.end });
        }
    }

    /// Reads the start tag at the beginning, and no further: how long it is, and whether it is its own end. `None`: it is
    /// cut.
    pub(crate) fn start(
        &mut self,
        bytes: &[u8],
        outer: &Outer,
    ) -> Result<Option<(usize, bool)>, StreamErrorKind> {
        if self.tag_is_cut(bytes) {
            return Ok(None);
        }
        let tag = self.tag(bytes)?;
        self.resolve(bytes, outer, &tag)?;
        Ok(Some((tag.end, tag.empty)))
    }

    /// Walks to the end of a top-level element.
    pub(crate) fn element(
        &mut self,
        bytes: &[u8],
        outer: &Outer,
        depth_max: u8,
    ) -> Result<Step, StreamErrorKind> {
        // Every turn passes a run of text, a reference, a section or a tag.
        loop {
            if self.in_cdata {
                match self.cdata(bytes) {
                    Ok(()) => {}
                    Err(Lex::Incomplete) => return Ok(Step::Incomplete),
                    Err(lex) => return Err(Refused::Lex(lex).into()),
                }
            }
            if !self.open.is_empty() {
                match self.text(bytes) {
                    Ok(()) => {}
                    Err(Lex::Incomplete) => return Ok(Step::Incomplete),
                    Err(lex) => return Err(Refused::Lex(lex).into()),
                }
            }
            // Here stands a `<`.
            match bytes.get(self.at + 1) {
                None => return Ok(Step::Incomplete),
                Some(b'/') => {
                    if self.tag_is_cut(bytes) {
                        return Ok(Step::Incomplete);
                    }
                    if let Some(step) = self.end_tag(bytes, outer)? {
                        return Ok(step);
                    }
                }
                Some(b'!') => {
                    const SECTION: &[u8] = b"<![CDATA[";
                    let rest = &bytes[self.at..bytes.len().min(self.at + SECTION.len())];
                    // RFC 6120 11.1: comments and DTDs are forbidden, sections are not.
                    if !SECTION.starts_with(rest) || self.open.is_empty() {
                        return Err(RestrictedXml);
                    }
                    if rest.len() < SECTION.len() {
                        return Ok(Step::Incomplete);
                    }
                    self.at += SECTION.len();
                    self.in_cdata = true;
                }
                Some(b'?') => return Err(RestrictedXml),
                Some(_) => {
                    if self.cursor > self.at && self.tag_is_cut(bytes) {
                        return Ok(Step::Incomplete);
                    }
                    let tag = match self.tag(bytes) {
                        Ok(tag) => tag,
                        // Look for its end from now on, and parse it again only then.
                        Err(Refused::Lex(Lex::Incomplete)) if self.tag_is_cut(bytes) => {
                            return Ok(Step::Incomplete);
                        }
                        Err(refused) => return Err(refused.into()),
                    };
                    if let Some(step) = self.start_tag(bytes, outer, depth_max, &tag)? {
                        return Ok(step);
                    }
                }
            }
        }
    }

    /// Looks on for the `>` of the tag at `at`; leaves the cursor behind it.
    fn tag_is_cut(&mut self, bytes: &[u8]) -> bool {
        if self.cursor <= self.at {
            self.cursor = self.at + 1;
            self.quote = 0;
        }
        // The cursor stands behind a `>` already when this tag was looked at before.
        if self.quote == 0 && self.cursor > self.at + 1 && bytes[self.cursor - 1] == b'>' {
            return false;
        }
        while self.cursor < bytes.len() {
            let rest = &bytes[self.cursor..];
            if self.quote != 0 {
                match memchr::memchr(self.quote, rest) {
                    None => break,
                    Some(end) => {
                        self.cursor += end + 1;
                        self.quote = 0;
                    }
                }
            } else {
                match memchr::memchr3(b'>', b'"', b'\'', rest) {
                    None => break,
                    Some(found) => {
                        self.cursor += found + 1;
                        match rest[found] {
                            b'>' => return false,
                            quote => self.quote = quote,
                        }
                    }
                }
            }
        }
        self.cursor = bytes.len();
        true
    }

    /// Passes character data up to the next `<`.
    fn text(&mut self, bytes: &[u8]) -> Result<(), Lex> {
        loop {
            self.at += xml::text_run(&bytes[self.at..]);
            let rest = &bytes[self.at..];
            match rest.first() {
                Some(b'<') => return Ok(()),
                Some(b'&') => self.at += xml::reference(rest)?.0,
                // XML 1.0 2.4: `]]>` must not stand in text.
                Some(b']') => match rest {
                    [_, b']', b'>', ..] => return Err(Lex::Malformed),
                    [_, b']'] | [_] => return Err(Lex::Incomplete),
                    _ => self.at += 1,
                },
                Some(0xef) => self.at += xml::byte_ef(rest)?,
                Some(_) => return Err(Lex::Malformed),
                None => return Err(Lex::Incomplete),
            }
        }
    }

    /// Passes a CDATA section up to and with its `]]>`.
    fn cdata(&mut self, bytes: &[u8]) -> Result<(), Lex> {
        loop {
            self.at += xml::text_run(&bytes[self.at..]);
            let rest = &bytes[self.at..];
            match rest.first() {
                Some(b']') => match rest {
                    [_, b']', b'>', ..] => {
                        self.at += 3;
                        self.in_cdata = false;
                        return Ok(());
                    }
                    [_, b']'] | [_] => return Err(Lex::Incomplete),
                    _ => self.at += 1,
                },
                Some(b'<' | b'&') => self.at += 1,
                Some(0xef) => self.at += xml::byte_ef(rest)?,
                Some(_) => return Err(Lex::Malformed),
                None => return Err(Lex::Incomplete),
            }
        }
    }

    /// Reads the start tag at `at`. A tag that is cut leaves the declarations as they were.
    fn tag(&mut self, bytes: &[u8]) -> Result<Tag, Refused> {
        let around = self.declarations.len();
        let tag = read_tag(bytes, self.at, &mut self.declarations);
        if tag.is_err() {
            self.declarations.truncate(around);
        }
        tag
    }

    /// Enters the element whose start tag was read. Says the step if that was the whole element.
    fn start_tag(
        &mut self,
        bytes: &[u8],
        outer: &Outer,
        depth_max: u8,
        tag: &Tag,
    ) -> Result<Option<Step>, StreamErrorKind> {
        let depth = self.open.len();
        if depth >= usize::from(depth_max.min(DEPTH_WRAPPED_MAX)) {
            return Err(PolicyViolation);
        }
        if depth == 0 {
            self.own = self.declarations.len() as u8;
        }
        let of_element = self.resolve(bytes, outer, tag)?;
        match depth {
            0 => {
                self.shape = shape_of(bytes, outer, tag, of_element.uri(self, bytes, outer), self.shape.used);
            }
            1 if local_of(tag).bytes(bytes) == b"stanza-id" => self.shape.stanza_id = true,
            _ => {}
        }
        self.at = tag.end;
        if !tag.empty {
            self.open.push(Open { name: tag.name, around: tag.around });
            return Ok(None);
        }
        self.declarations.truncate(usize::from(tag.around));
        if depth > 0 {
            return Ok(None);
        }
        self.shape.inner = Span::new(tag.end, tag.end);
        self.shape.total = tag.end as u32;
        Ok(Some(Step::Element(self.shape)))
    }

    /// Leaves the innermost element, or the stream when none is open. Says the step if that ends the token.
    fn end_tag(&mut self, bytes: &[u8], outer: &Outer) -> Result<Option<Step>, StreamErrorKind> {
        let rest = &bytes[self.at + 2..];
        let name = match self.open.last() {
            Some(open) => open.name.bytes(bytes),
            None => outer.name.as_bytes(),
        };
        if name.is_empty() || !rest.starts_with(name) {
            return Err(NotWellFormed);
        }
        let after = name.len() + xml::space_run(&rest[name.len()..]);
        if rest.get(after) != Some(&b'>') {
            return Err(NotWellFormed);
        }
        let start = self.at;
        self.at += 2 + after + 1;
        let Some(open) = self.open.pop() else { return Ok(Some(Step::Close { len: self.at })) };
        self.declarations.truncate(usize::from(open.around));
        if !self.open.is_empty() {
            return Ok(None);
        }
        self.shape.inner = Span::new(self.shape.inner.at as usize, start);
        self.shape.total = self.at as u32;
        Ok(Some(Step::Element(self.shape)))
    }

    /// Checks what a tag's prefixes are bound to, and that no two attributes are the same; says what the element's
    /// own prefix is.
    fn resolve(&mut self, bytes: &[u8], outer: &Outer, tag: &Tag) -> Result<Bound, StreamErrorKind> {
        if outer.prefixes.len() + self.declarations.len() > PREFIXES_MAX {
            return Err(PolicyViolation);
        }
        let prefix = Span { at: tag.name.at, len: u32::from(tag.prefix_len) };
        let of_element = match tag.prefix_len {
            0 => Bound::Default,
            // The start tag of a stanza is written anew without its prefix, so that does not count as use.
            _ => self.look_up(bytes, outer, prefix, self.open.is_empty())?,
        };
        let attributes = &tag.attributes[..];
        for (at, attribute) in attributes.iter().enumerate() {
            let bound = match attribute.prefix_len {
                0 => Bound::Default,
                _ => self.look_up(bytes, outer, attribute.prefix(), false)?,
            };
            let local = attribute.local().bytes(bytes);
            for earlier in &attributes[..at] {
                // Namespaces in XML 6.3: neither the same name nor the same expanded name twice.
                if earlier.local().bytes(bytes) != local
                    || (earlier.prefix_len == 0) != (bound == Bound::Default)
                {
                    continue;
                }
                let same = bound == Bound::Default || {
                    let other = self.look_up(bytes, outer, earlier.prefix(), false)?;
                    other == bound || other.uri(self, bytes, outer) == bound.uri(self, bytes, outer)
                };
                if same {
                    return Err(NotWellFormed);
                }
            }
        }
        Ok(of_element)
    }

    /// What a prefix is bound to here; notes that it is used unless `unseen`.
    fn look_up(
        &mut self,
        bytes: &[u8],
        outer: &Outer,
        prefix: Span,
        unseen: bool,
    ) -> Result<Bound, StreamErrorKind> {
        let name = prefix.bytes(bytes);
        if name == b"xml" {
            return Ok(Bound::Xml);
        }
        let here = self.declarations.iter().rposition(|d| d.prefix.bytes(bytes) == name);
        let (bound, bit) = match here {
            Some(at) => (Bound::Here(at), outer.prefixes.len() + at),
            None => {
                let at = outer.prefixes.iter().position(|(prefix, _)| prefix.as_bytes() == name);
                // RFC 6120 4.9.3.2.
                let at = at.ok_or(BadNamespacePrefix)?;
                (Bound::Outer(at), at)
            }
        };
        if !unseen && !matches!(here, Some(at) if at >= usize::from(self.own)) {
            self.shape.used |= 1 << bit;
        }
        Ok(bound)
    }
}

/// What a prefix is bound to: where the declaration is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bound {
    Default,
    Xml,
    Here(usize),
    Outer(usize),
}

impl Bound {
    /// The namespace, or `None` for the default one.
    fn uri<'a>(self, walk: &Walk, bytes: &'a [u8], outer: &'a Outer) -> Option<Cow<'a, str>> {
        match self {
            Bound::Default => None,
            Bound::Xml => Some(Cow::Borrowed(ns::XML)),
            Bound::Here(at) => Some(value(bytes, walk.declarations[at].uri)),
            Bound::Outer(at) => Some(Cow::Borrowed(&outer.prefixes[at].1)),
        }
    }
}

/// What a top-level element's start tag says.
fn shape_of(bytes: &[u8], outer: &Outer, tag: &Tag, ns: Option<Cow<'_, str>>, used: u64) -> Shape {
    let default_is_client = match tag.xmlns.is_none() {
        true => outer.default == ns::CLIENT,
        false => value(bytes, tag.xmlns) == ns::CLIENT,
    };
    let is_client = ns.map_or(default_is_client, |ns| ns == ns::CLIENT);
    let local = local_of(tag);
    let kind = match local.bytes(bytes) {
        b"message" if is_client => StanzaKind::Message,
        b"presence" if is_client => StanzaKind::Presence,
        b"iq" if is_client => StanzaKind::Iq,
        _ => StanzaKind::Other,
    };
    let prefix = match tag.prefix_len {
        0 => Span::default(),
        len => Span { at: tag.name.at, len: u32::from(len) },
    };
    let inner = Span { at: tag.end as u32, len: 0 };
    let mut shape = Shape {
        kind,
        prefix,
        local,
        xmlns: tag.xmlns,
        inner,
        used,
        plain_inside: default_is_client,
        ..Shape::NONE
    };
    for attribute in &tag.attributes {
        let slot = match attribute.name.bytes(bytes) {
            b"to" => &mut shape.to,
            b"from" => &mut shape.from,
            b"id" => &mut shape.id,
            b"type" => &mut shape.type_,
            b"xml:lang" => &mut shape.lang,
            _ => {
                shape.other_attributes = true;
                continue;
            }
        };
        *slot = attribute.value;
    }
    shape
}
