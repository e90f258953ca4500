//! A look into an element that was checked, without copying it.
//! Spec: RFC 6120 8.1 (common attributes), 4.8 (which namespace a name is in).
//! Invariants: values come out unescaped, and borrowed where nothing was escaped; a `Node` knows every declaration
//!   around it, so what it says does not depend on where it was cut from.
//! Not here: what a stanza means; checking, which the scanner has done.

use std::borrow::Cow;

use smallvec::SmallVec;

use crate::ns;
use crate::scanner::{Limits, Outer, Shape, Span};
use crate::write;
use crate::xml::{attr_value, tag_len, text_value};

/// Which stanza it is, if it is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StanzaKind {
    /// `<message/>` in `jabber:client`.
    Message,
    /// `<presence/>` in `jabber:client`.
    Presence,
    /// `<iq/>` in `jabber:client`.
    Iq,
    /// Anything else at the top level.
    Other,
}

impl StanzaKind {
    /// The element's name; empty for what is no stanza.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            StanzaKind::Message => "message",
            StanzaKind::Presence => "presence",
            StanzaKind::Iq => "iq",
            StanzaKind::Other => "",
        }
    }
}

/// A checked top-level element.
#[derive(Clone, Copy, Debug)]
pub struct Stanza<'a> {
    raw: &'a str,
    shape: Shape,
    outer: &'a Outer,
    stream_lang: Option<&'a str>,
}

impl<'a> Stanza<'a> {
    pub(crate) fn of(
        raw: &'a str,
        shape: Shape,
        outer: &'a Outer,
        stream_lang: Option<&'a str>,
    ) -> Stanza<'a> {
        Stanza { raw, shape, outer, stream_lang }
    }

    /// Checks bytes that stand where `jabber:client` is the default namespace: a stanza from the store, from another
    /// loop, or one that was just written.
    ///
    /// # Errors
    /// The stream error that the bytes would call for in a stream.
    pub fn parse(bytes: &'a [u8]) -> Result<Stanza<'a>, crate::StreamErrorKind> {
        crate::scanner::stanza(bytes, Limits::TRUSTED)
    }

    /// Which stanza it is, if it is one.
    #[must_use]
    pub fn kind(&self) -> StanzaKind {
        self.shape.kind
    }

    /// Its name without a prefix.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.shape.local.of(self.raw)
    }

    /// Its namespace.
    #[must_use]
    pub fn ns(&self) -> Cow<'a, str> {
        if self.shape.kind != StanzaKind::Other {
            return Cow::Borrowed(ns::CLIENT);
        }
        match (self.shape.prefix.is_none(), self.shape.xmlns.is_none()) {
            (true, false) => attr_value(self.shape.xmlns.of(self.raw)),
            (true, true) => Cow::Borrowed(&self.outer.default),
            _ => self.node().ns(),
        }
    }

    /// Whether it has this name in this namespace.
    #[must_use]
    pub fn is(&self, name: &str, ns: &str) -> bool {
        self.name() == name && self.ns() == ns
    }

    /// The address it is for, as written.
    #[must_use]
    pub fn to(&self) -> Option<Cow<'a, str>> {
        self.value(self.shape.to)
    }

    /// The address it says it is from, as written.
    #[must_use]
    pub fn from(&self) -> Option<Cow<'a, str>> {
        self.value(self.shape.from)
    }

    /// Its `id`.
    #[must_use]
    pub fn id(&self) -> Option<Cow<'a, str>> {
        self.value(self.shape.id)
    }

    /// Its `type`.
    #[must_use]
    pub fn type_(&self) -> Option<Cow<'a, str>> {
        self.value(self.shape.type_)
    }

    /// Its own `xml:lang`, else the stream's (RFC 6120 8.1.5).
    #[must_use]
    pub fn lang(&self) -> Option<Cow<'a, str>> {
        self.value(self.shape.lang).or(self.stream_lang.map(Cow::Borrowed))
    }

    /// Any attribute, by its name as written.
    #[must_use]
    pub fn attr(&self, name: &str) -> Option<Cow<'a, str>> {
        attributes(self.raw).find(|(found, _)| *found == name).map(|(_, value)| attr_value(value))
    }

    /// All of it, as it came.
    #[must_use]
    pub fn raw(&self) -> &'a str {
        self.raw
    }

    /// What stands between its tags, as it came; empty for an empty element.
    #[must_use]
    pub fn inner(&self) -> &'a str {
        self.shape.inner.of(self.raw)
    }

    /// Its child elements.
    #[must_use]
    pub fn children(&self) -> Children<'a> {
        Children { rest: self.inner(), scope: self.scope() }
    }

    /// Its first child element of this name and namespace.
    #[must_use]
    pub fn child(&self, name: &str, ns: &str) -> Option<Node<'a>> {
        self.children().find(|child| child.is(name, ns))
    }

    /// Whether one of its child elements is named `stanza-id`, in whatever namespace. Costs nothing.
    #[must_use]
    pub fn names_stanza_id(&self) -> bool {
        self.shape.stanza_id
    }

    /// The character data directly in it.
    #[must_use]
    pub fn text(&self) -> Cow<'a, str> {
        text_value(self.inner())
    }

    /// The element as a node like those inside it.
    #[must_use]
    pub fn node(&self) -> Node<'a> {
        let inner = (self.shape.inner.at as usize, (self.shape.inner.at + self.shape.inner.len) as usize);
        Node { raw: self.raw, inner, scope: Scope { outer: self.outer, tags: SmallVec::new() } }
    }

    /// A tree of its own, for who wants to keep or change it.
    ///
    /// # Errors
    /// It has no namespace at all, which `minidom` does not hold.
    pub fn element(&self) -> Result<minidom::Element, minidom::Error> {
        self.node().element()
    }

    pub(crate) fn shape(&self) -> &Shape {
        &self.shape
    }

    pub(crate) fn outer(&self) -> &'a Outer {
        self.outer
    }

    pub(crate) fn stream_lang(&self) -> Option<&'a str> {
        self.stream_lang
    }

    /// The start tag, as it came.
    pub(crate) fn tag(&self) -> &'a str {
        &self.raw[..self.shape.inner.at as usize]
    }

    fn scope(&self) -> Scope<'a> {
        Scope { outer: self.outer, tags: SmallVec::new() }.with(self.tag())
    }

    fn value(&self, span: Span) -> Option<Cow<'a, str>> {
        (!span.is_none()).then(|| attr_value(span.of(self.raw)))
    }
}

/// What is declared around a node.
#[derive(Debug)]
struct Scope<'a> {
    outer: &'a Outer,
    /// Start tags around it that declare something, outermost first.
    tags: SmallVec<[&'a str; 2]>,
}

impl Clone for Scope<'_> {
    fn clone(&self) -> Self {
        // A node is made for each child that is looked at: references are copied at once, where `SmallVec::clone` goes
        // through them one by one.
        Self { outer: self.outer, tags: SmallVec::from_slice(&self.tags) }
    }
}

impl<'a> Scope<'a> {
    /// The scope inside of an element with this start tag.
    fn with(&self, tag: &'a str) -> Scope<'a> {
        let mut scope = self.clone();
        if may_declare(tag) {
            scope.tags.push(tag);
        }
        scope
    }

    /// The raw value of the declaration of a prefix, the empty one standing for the default namespace.
    fn resolve(&self, prefix: &str) -> Option<Cow<'a, str>> {
        let declared = self.tags.iter().rev().find_map(|tag| declared(tag, prefix));
        declared.map(attr_value).or_else(|| self.outer.resolve(prefix).map(Cow::Borrowed))
    }

    /// Every prefix in scope, the innermost declaration of each first.
    fn prefixes(&self) -> impl Iterator<Item = (&'a str, Cow<'a, str>)> + '_ {
        let inner = self.tags.iter().rev().flat_map(|tag| {
            attributes(tag)
                .filter_map(|(name, value)| Some((name.strip_prefix("xmlns:")?, attr_value(value))))
        });
        inner.chain(self.outer.prefixes.iter().map(|(name, ns)| (name.as_ref(), Cow::Borrowed(ns.as_ref()))))
    }
}

/// Whether a start tag says `xmlns` anywhere, if only in a value. One pass over the letter it begins with: a tag is too
/// short to be worth setting up a search for more.
fn may_declare(tag: &str) -> bool {
    let tag = tag.as_bytes();
    memchr::memchr_iter(b'x', tag).any(|at| tag[at..].starts_with(b"xmlns"))
}

/// The raw value that a start tag gives a prefix.
fn declared<'a>(tag: &'a str, prefix: &str) -> Option<&'a str> {
    attributes(tag)
        .find(|(name, _)| match name.strip_prefix("xmlns") {
            Some("") => prefix.is_empty(),
            Some(rest) => !prefix.is_empty() && rest.strip_prefix(':') == Some(prefix),
            None => false,
        })
        .map(|(_, value)| value)
}

/// An element inside a checked one.
#[derive(Clone, Debug)]
pub struct Node<'a> {
    raw: &'a str,
    inner: (usize, usize),
    scope: Scope<'a>,
}

impl<'a> Node<'a> {
    /// The name without a prefix.
    #[must_use]
    pub fn name(&self) -> &'a str {
        let name = self.qname();
        name.split_once(':').map_or(name, |(_, local)| local)
    }

    /// The namespace.
    #[must_use]
    pub fn ns(&self) -> Cow<'a, str> {
        let prefix = self.qname().split_once(':').map_or("", |(prefix, _)| prefix);
        let own = declared(self.tag(), prefix).map(attr_value);
        own.or_else(|| self.scope.resolve(prefix)).unwrap_or_default()
    }

    /// Whether it has this name in this namespace.
    #[must_use]
    pub fn is(&self, name: &str, ns: &str) -> bool {
        self.name() == name && self.ns() == ns
    }

    /// An attribute, by its name as written.
    #[must_use]
    pub fn attr(&self, name: &str) -> Option<Cow<'a, str>> {
        attributes(self.tag()).find(|(found, _)| *found == name).map(|(_, value)| attr_value(value))
    }

    /// All of it, as it came. It may lean on declarations around it; [`Node::write_alone`] does not.
    #[must_use]
    pub fn raw(&self) -> &'a str {
        self.raw
    }

    /// What stands between its tags, as it came.
    #[must_use]
    pub fn inner(&self) -> &'a str {
        &self.raw[self.inner.0..self.inner.1]
    }

    /// The character data directly in it.
    #[must_use]
    pub fn text(&self) -> Cow<'a, str> {
        text_value(self.inner())
    }

    /// Its child elements.
    #[must_use]
    pub fn children(&self) -> Children<'a> {
        Children { rest: self.inner(), scope: self.scope.with(self.tag()) }
    }

    /// Its first child element of this name and namespace.
    #[must_use]
    pub fn child(&self, name: &str, ns: &str) -> Option<Node<'a>> {
        self.children().find(|child| child.is(name, ns))
    }

    /// Appends it so that it parses by itself to the same tree: what it leans on is declared in its own start tag.
    pub fn write_alone(&self, out: &mut Vec<u8>) {
        let tag = self.tag();
        let name_end = 1 + self.qname().len();
        out.extend_from_slice(&self.raw.as_bytes()[..name_end]);
        if declared(tag, "").is_none()
            && let Some(default) = self.scope.resolve("").filter(|ns| !ns.is_empty())
        {
            write::attr(out, "xmlns", &default);
        }
        let mut done: SmallVec<[&str; 4]> = SmallVec::new();
        for (prefix, ns) in self.scope.prefixes() {
            // A prefix that stands nowhere in it is not needed; one that only seems to is harmless.
            if declared(tag, prefix).is_none() && !done.contains(&prefix) && mentions(self.raw, prefix) {
                done.push(prefix);
                out.extend_from_slice(b" xmlns:");
                out.extend_from_slice(prefix.as_bytes());
                out.extend_from_slice(b"='");
                write::attr_value(out, &ns);
                out.push(b'\'');
            }
        }
        out.extend_from_slice(&self.raw.as_bytes()[name_end..]);
    }

    /// A tree of its own, for who wants to keep or change it.
    ///
    /// # Errors
    /// It has no namespace at all, which `minidom` does not hold.
    pub fn element(&self) -> Result<minidom::Element, minidom::Error> {
        let mut alone = Vec::with_capacity(self.raw.len() + 64);
        self.write_alone(&mut alone);
        String::from_utf8(alone).unwrap_or_default().parse()
    }

    fn qname(&self) -> &'a str {
        crate::scanner::element_name(self.raw)
    }

    fn tag(&self) -> &'a str {
        &self.raw[..self.inner.0]
    }
}

fn mentions(raw: &str, prefix: &str) -> bool {
    memchr::memmem::find_iter(raw.as_bytes(), prefix.as_bytes())
        .any(|at| raw.as_bytes().get(at + prefix.len()) == Some(&b':'))
}

/// The child elements of a node, in order.
#[derive(Clone, Debug)]
pub struct Children<'a> {
    rest: &'a str,
    scope: Scope<'a>,
}

impl<'a> Iterator for Children<'a> {
    type Item = Node<'a>;

    fn next(&mut self) -> Option<Node<'a>> {
        let (start, place) = next_element(self.rest)?;
        let raw = &self.rest[start..start + place.total];
        self.rest = &self.rest[start + place.total..];
        Some(Node { raw, inner: (place.tag, place.tag + place.inner), scope: self.scope.clone() })
    }
}

/// How long an element and its parts are.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) tag: usize,
    pub(crate) inner: usize,
    pub(crate) total: usize,
}

/// The first element in checked content, and where it starts.
pub(crate) fn next_element(content: &str) -> Option<(usize, Place)> {
    let bytes = content.as_bytes();
    let mut at = 0;
    loop {
        at += memchr::memchr(b'<', &bytes[at..])?;
        match bytes.get(at + 1)? {
            b'!' => at += section_len(&bytes[at..]),
            _ => return Some((at, place(&bytes[at..]))),
        }
    }
}

fn section_len(bytes: &[u8]) -> usize {
    memchr::memmem::find(bytes, b"]]>").map_or(bytes.len(), |end| end + 3)
}

fn place(bytes: &[u8]) -> Place {
    let tag = tag_len(bytes);
    if bytes[..tag].ends_with(b"/>") {
        return Place { tag, inner: 0, total: tag };
    }
    let mut depth = 1;
    let mut at = tag;
    while let Some(found) = memchr::memchr(b'<', &bytes[at..]) {
        let start = at + found;
        if bytes.get(start + 1) == Some(&b'!') {
            at = start + section_len(&bytes[start..]);
            continue;
        }
        at = start + tag_len(&bytes[start..]);
        if bytes.get(start + 1) == Some(&b'/') {
            depth -= 1;
            if depth == 0 {
                return Place { tag, inner: start - tag, total: at };
            }
        } else if !bytes[..at].ends_with(b"/>") {
            depth += 1;
        }
    }
    // Checked content has every end tag.
    Place { tag, inner: bytes.len() - tag, total: bytes.len() }
}

/// The attributes of a checked start tag, as written: names with their prefixes, values still escaped.
pub(crate) fn attributes(tag: &str) -> impl Iterator<Item = (&str, &str)> {
    let name = crate::scanner::element_name(tag);
    let mut rest = &tag[(1 + name.len()).min(tag.len())..];
    std::iter::from_fn(move || {
        let trimmed = rest.trim_ascii_start();
        let eq = match trimmed.as_bytes().first()? {
            b'/' | b'>' => return None,
            _ => memchr::memchr(b'=', trimmed.as_bytes())?,
        };
        let value = trimmed[eq + 1..].trim_ascii_start();
        let quote = *value.as_bytes().first()?;
        let end = memchr::memchr(quote, &value.as_bytes()[1..])? + 1;
        rest = &value[end + 1..];
        Some((trimmed[..eq].trim_ascii_end(), &value[1..end]))
    })
}

impl<'a> TryFrom<&'a [u8]> for Stanza<'a> {
    type Error = crate::StreamErrorKind;
    fn try_from(bytes: &'a [u8]) -> Result<Stanza<'a>, crate::StreamErrorKind> {
        Stanza::parse(bytes)
    }
}

#[cfg(test)]
pub(crate) mod tests;
