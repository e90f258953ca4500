//! Relaying: a stanza is sent onward with a start tag written anew and its inside as it came.
//! Spec: RFC 6120 8.1.2.1 (`from` is the exchange's to say), 4.7.4 (a stream's `xml:lang` belongs to its stanzas),
//!   XEP-0359 3 (an id that claims to be ours is removed).
//! Invariants: what is written parses by itself, where `jabber:client` is the default namespace, to the tree that was
//!   sent, plus or minus what [`Head`] says; the inside is copied, not parsed again, unless a flag of the scanner asks.
//! Not here: who receives it.

use crate::ns;
use crate::stanza::{Place, Stanza, attributes, next_element};
use crate::write;
use crate::xml::attr_value;

/// What a relayed stanza's start tag says that the sent one's need not.
#[derive(Clone, Copy, Debug, Default)]
pub struct Head<'h> {
    /// Replaces `from`; without it the stanza has none.
    pub from: Option<&'h str>,
    /// Replaces `to`; without it the stanza keeps its own.
    pub to: Option<&'h str>,
    /// Removes every `<stanza-id/>` by one of these addresses.
    pub without_stanza_id_by: &'h [&'h str],
    /// Well-formed elements to put behind what was sent, each with its own `xmlns`.
    pub append: &'h [u8],
}

/// Appends the stanza as it goes onward. It must be one of the three stanzas.
pub fn relay(out: &mut Vec<u8>, stanza: &Stanza<'_>, head: &Head<'_>) {
    let shape = stanza.shape();
    let raw = stanza.raw();
    let name = stanza.name();
    out.reserve(raw.len() + head.append.len() + 128);
    out.push(b'<');
    out.extend_from_slice(name.as_bytes());
    if let Some(from) = head.from {
        write::attr(out, "from", from);
    }
    match head.to {
        Some(to) => write::attr(out, "to", to),
        None => copy(out, "to", (!shape.to.is_none()).then(|| shape.to.of(raw))),
    }
    copy(out, "type", (!shape.type_.is_none()).then(|| shape.type_.of(raw)));
    copy(out, "id", (!shape.id.is_none()).then(|| shape.id.of(raw)));
    if !shape.lang.is_none() {
        copy(out, "xml:lang", Some(shape.lang.of(raw)));
    } else if let Some(lang) = stanza.stream_lang() {
        write::attr(out, "xml:lang", lang);
    }
    if shape.other_attributes {
        let known = |name: &str| matches!(name, "from" | "to" | "type" | "id" | "xml:lang");
        let declares = |name: &str| name == "xmlns" || name.starts_with("xmlns:");
        for (name, value) in attributes(raw).filter(|(name, _)| !known(name) && !declares(name)) {
            copy(out, name, Some(value));
        }
    }
    if shape.used != 0 {
        declare_used(out, stanza);
    }
    let inner = stanza.inner();
    if inner.is_empty() && head.append.is_empty() {
        out.extend_from_slice(b"/>");
        return;
    }
    out.push(b'>');
    let remove = if shape.stanza_id { head.without_stanza_id_by } else { &[] };
    if shape.plain_inside && remove.is_empty() {
        out.extend_from_slice(inner.as_bytes());
    } else {
        copy_children(out, stanza, remove);
    }
    out.extend_from_slice(head.append);
    write::close(out, name);
}

/// Appends an attribute whose value is escaped already. The quotes it had may have been double ones, so a single one
/// inside is escaped now.
fn copy(out: &mut Vec<u8>, name: &str, value: Option<&str>) {
    let Some(value) = value else { return };
    out.push(b' ');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"='");
    let mut pieces = value.split('\'');
    out.extend_from_slice(pieces.next().unwrap_or_default().as_bytes());
    for piece in pieces {
        out.extend_from_slice(b"&apos;");
        out.extend_from_slice(piece.as_bytes());
    }
    out.push(b'\'');
}

/// Declares what the inside uses of the stream's header and of the start tag that was sent.
fn declare_used(out: &mut Vec<u8>, stanza: &Stanza<'_>) {
    let used = stanza.shape().used;
    let outer = &stanza.outer().prefixes;
    let own = attributes(stanza.tag())
        .filter_map(|(name, value)| Some((name.strip_prefix("xmlns:")?, attr_value(value))));
    let all = outer.iter().map(|(prefix, ns)| (prefix.as_ref(), ns.clone())).chain(own);
    for (_, (prefix, ns)) in all.enumerate().filter(|(bit, _)| used & (1 << bit) != 0) {
        out.extend_from_slice(b" xmlns:");
        out.extend_from_slice(prefix.as_bytes());
        out.extend_from_slice(b"='");
        write::attr_value(out, &ns);
        out.push(b'\'');
    }
}

/// Copies the inside child by child, where a default namespace has to be said that was declared around it, or a
/// `stanza-id` has to go.
fn copy_children(out: &mut Vec<u8>, stanza: &Stanza<'_>, without_stanza_id_by: &[&str]) {
    let inside = stanza.shape().plain_inside;
    let default = match stanza.shape().xmlns {
        own if !own.is_none() => attr_value(own.of(stanza.raw())),
        _ => stanza.outer().default.as_ref().into(),
    };
    let mut rest = stanza.inner();
    let mut nodes = stanza.children();
    while let (Some((start, Place { total, .. })), Some(node)) = (next_element(rest), nodes.next()) {
        out.extend_from_slice(&rest.as_bytes()[..start]);
        let ours = || {
            node.is("stanza-id", ns::STANZA_ID)
                && node.attr("by").is_some_and(|by| without_stanza_id_by.contains(&&*by))
        };
        if without_stanza_id_by.is_empty() || !ours() {
            let raw = node.raw();
            let name_end = 1 + crate::scanner::element_name(raw).len();
            out.extend_from_slice(&raw.as_bytes()[..name_end]);
            if !inside && attributes(raw).all(|(name, _)| name != "xmlns") {
                write::attr(out, "xmlns", &default);
            }
            out.extend_from_slice(&raw.as_bytes()[name_end..]);
        }
        rest = &rest[start + total..];
    }
    out.extend_from_slice(rest.as_bytes());
}

#[cfg(test)]
mod tests;
