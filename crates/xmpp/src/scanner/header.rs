//! The stream's header: what it says, and the declarations it leaves in force for every stanza after it.
//! Spec: RFC 6120 4.7 (attributes), 4.8 (namespaces).
//! Invariants: the header that nearly every client sends costs a session no memory; the content namespace of a stream
//!   is `jabber:client`, as default or under a prefix.
//! Not here: whether its version or address is ours (`session`).

use std::borrow::Cow;

use super::walk::Walk;
use crate::error::StreamErrorKind;
use crate::ns;
use crate::stanza::attributes;
use crate::xml::{attr_value, tag_len};

/// Most prefixes that a header may declare.
const HEADER_PREFIXES_MAX: usize = 16;

/// What is declared around a top-level element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outer {
    /// The stream's name as written, for its end tag to match.
    pub(crate) name: Cow<'static, str>,
    /// The default namespace.
    pub(crate) default: Cow<'static, str>,
    /// Prefixes and what they are bound to.
    pub(crate) prefixes: Cow<'static, [(Cow<'static, str>, Cow<'static, str>)]>,
}

/// Nothing is declared: a document of its own.
pub(crate) static ALONE: Outer =
    Outer { name: Cow::Borrowed(""), default: Cow::Borrowed(""), prefixes: Cow::Borrowed(&[]) };

/// A stanza that was stored or is to be delivered: the default namespace is `jabber:client`, nothing else is declared.
pub(crate) static CLIENT_STREAM: Outer =
    Outer { name: Cow::Borrowed(""), default: Cow::Borrowed(ns::CLIENT), prefixes: Cow::Borrowed(&[]) };

/// What nearly every client's header declares (RFC 6120 4.8.5, first example).
static USUAL: Outer = Outer {
    name: Cow::Borrowed("stream:stream"),
    default: Cow::Borrowed(ns::CLIENT),
    prefixes: Cow::Borrowed(&[(Cow::Borrowed("stream"), Cow::Borrowed(ns::STREAMS))]),
};

/// The declarations of a header, in the least memory.
#[derive(Debug, Default)]
pub(crate) struct Header {
    unusual: Option<Box<Outer>>,
    lang: Option<Box<str>>,
}

impl Header {
    pub(crate) fn get(&self) -> &Outer {
        self.unusual.as_deref().unwrap_or(&USUAL)
    }

    pub(crate) fn lang(&self) -> Option<&str> {
        self.lang.as_deref()
    }

    /// Reads a start tag whose prefixes the walk has resolved.
    pub(crate) fn read(tag: &str, walk: &Walk) -> Result<Header, StreamErrorKind> {
        let name = element_name(tag);
        let mut outer = Outer { name: Cow::Owned(name.into()), ..ALONE.clone() };
        let mut prefixes = Vec::new();
        let mut lang = None;
        for (name, value) in attributes(tag) {
            if name == "xmlns" {
                outer.default = Cow::Owned(attr_value(value).into_owned());
            } else if let Some(prefix) = name.strip_prefix("xmlns:") {
                if prefixes.len() == HEADER_PREFIXES_MAX {
                    return Err(StreamErrorKind::PolicyViolation);
                }
                prefixes.push((Cow::Owned(prefix.into()), Cow::Owned(attr_value(value).into_owned())));
            } else if name == "xml:lang" {
                lang = Some(attr_value(value).into());
            }
        }
        outer.prefixes = Cow::Owned(prefixes);
        let (prefix, local) = name.split_once(':').unwrap_or(("", name));
        // RFC 6120 4.8.1, 4.9.3.10: the stream's own namespace.
        if outer.resolve(prefix) != Some(ns::STREAMS) {
            return Err(StreamErrorKind::InvalidNamespace);
        }
        if local != "stream" {
            return Err(StreamErrorKind::BadFormat);
        }
        // RFC 6120 4.8.2: the content namespace. A stream that declares none as default uses a prefix for it (4.8.3).
        let content_by_prefix = outer.prefixes.iter().any(|(_, ns)| *ns == ns::CLIENT);
        if outer.default != ns::CLIENT
            && !(content_by_prefix && (prefix.is_empty() || outer.default.is_empty()))
        {
            return Err(StreamErrorKind::InvalidNamespace);
        }
        debug_assert!(walk.is_at_top());
        Ok(Header { unusual: (outer != USUAL).then(|| Box::new(outer)), lang })
    }
}

impl Outer {
    /// What a prefix is bound to; the empty one stands for the default.
    pub(crate) fn resolve(&self, prefix: &str) -> Option<&str> {
        match prefix {
            "" => Some(&self.default),
            "xml" => Some(ns::XML),
            _ => self.prefixes.iter().find(|(name, _)| name == prefix).map(|(_, ns)| ns.as_ref()),
        }
    }
}

/// The name that a tag begins with, prefix and all.
pub(crate) fn element_name(tag: &str) -> &str {
    let end = tag.bytes().position(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n' | b'/' | b'>'));
    // The `/` of an end tag is not met here: only start tags are named this way.
    &tag[1..end.unwrap_or(tag.len())]
}

/// What a stream's start tag says.
#[derive(Clone, Debug)]
pub struct StreamHeader<'a> {
    tag: &'a str,
}

impl<'a> StreamHeader<'a> {
    /// The header whose start tag ends `text`.
    pub(super) fn of(text: &'a str) -> StreamHeader<'a> {
        // An XML declaration may stand before it.
        let start = if text.starts_with("<?") {
            let declaration = tag_len(text.as_bytes());
            declaration + text[declaration..].find('<').unwrap_or(0)
        } else {
            0
        };
        StreamHeader { tag: &text[start..] }
    }

    /// Any attribute, by its name as written.
    #[must_use]
    pub fn attr(&self, name: &str) -> Option<Cow<'a, str>> {
        attributes(self.tag).find(|(found, _)| *found == name).map(|(_, value)| attr_value(value))
    }

    /// Who it is meant for (RFC 6120 4.7.2).
    #[must_use]
    pub fn to(&self) -> Option<Cow<'a, str>> {
        self.attr("to")
    }

    /// Who says it comes from (RFC 6120 4.7.1).
    #[must_use]
    pub fn from(&self) -> Option<Cow<'a, str>> {
        self.attr("from")
    }

    /// The stream's identity, which a server gives (RFC 6120 4.7.3).
    #[must_use]
    pub fn id(&self) -> Option<Cow<'a, str>> {
        self.attr("id")
    }

    /// The language of its texts (RFC 6120 4.7.4).
    #[must_use]
    pub fn lang(&self) -> Option<Cow<'a, str>> {
        self.attr("xml:lang")
    }

    /// The version, as written (RFC 6120 4.7.5).
    #[must_use]
    pub fn version(&self) -> Option<Cow<'a, str>> {
        self.attr("version")
    }
}
