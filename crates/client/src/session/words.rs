//! What a client says, word for word: headers, good-byes, requests and replies.
//!
//! Spec: RFC 6120 4.7 (stream headers) and 7 (binding), RFC 7395 3.3 (`<open/>`, `<close/>`, namespaces in frames),
//! XEP-0198 4 and 5, XEP-0388 2.3, XEP-0386 2.
//! Owns: nothing. Invariants: in a frame each element declares its namespace; in a stream none needs to.
//! Not here: when it is said (`session`).

use xmpp::ns;
use xmpp::write::{Tag, open};

use crate::element::Element;

/// What the exchange calls our resources after (XEP-0386 2.2).
const TAG: &str = "switchboard";

pub(super) fn header(framed: bool, domain: &str, from: Option<&str>) -> Vec<u8> {
    let mut out = Vec::new();
    if framed {
        let start = open(&mut out, "open").ns(ns::FRAMING).attr("to", domain).attr("version", "1.0");
        start.attr_opt("from", from).empty();
    } else {
        out.extend_from_slice(b"<?xml version='1.0'?>");
        open(&mut out, "stream:stream")
            .ns(ns::CLIENT)
            .attr("xmlns:stream", ns::STREAMS)
            .attr("to", domain)
            .attr_opt("from", from)
            .attr("version", "1.0")
            .attr("xml:lang", "en")
            .start();
    }
    out
}

pub(super) fn close(framed: bool) -> Vec<u8> {
    if !framed {
        return b"</stream:stream>".to_vec();
    }
    let mut out = Vec::new();
    open(&mut out, "close").ns(ns::FRAMING).empty();
    out
}

pub(super) fn bind(framed: bool, resource: Option<&str>) -> Vec<u8> {
    let mut out = Vec::new();
    stanza(&mut out, "iq", framed).attr("type", "set").attr("id", "bind").with(|out| {
        let bind = open(out, "bind").ns(ns::BIND);
        match resource {
            None => bind.empty(),
            Some(resource) => bind.with(|out| open(out, "resource").text(resource)),
        }
    });
    out
}

/// SASL2's beginning, with what goes along with it.
pub(super) fn authenticate(
    out: &mut Vec<u8>,
    mechanism: &str,
    first: &str,
    along: impl FnOnce(&mut Vec<u8>),
) {
    open(out, "authenticate").ns(ns::SASL2).attr("mechanism", mechanism).with(|out| {
        open(out, "initial-response").text(first);
        along(out);
    });
}

/// Along with a log-in: a resource that is called after us, and what is to be on for it.
pub(super) fn bind_along(out: &mut Vec<u8>, enable: Option<bool>) {
    open(out, "bind").ns(ns::BIND2).with(|out| {
        open(out, "tag").text(TAG);
        if let Some(resume) = enable {
            write_enable(out, resume);
        }
    });
}

/// `resume`: the session is to outlive its connection.
pub(super) fn write_enable(out: &mut Vec<u8>, resume: bool) {
    open(out, "enable").ns(ns::SM).attr_opt("resume", resume.then_some("true")).empty();
}

/// Asks for an earlier session, of which so many stanzas were taken.
pub(super) fn write_resume(out: &mut Vec<u8>, id: &str, h: u32) {
    open(out, "resume").ns(ns::SM).attr("previd", id).attr_number("h", u64::from(h)).empty();
}

pub(super) fn presence(framed: bool) -> Vec<u8> {
    let mut out = Vec::new();
    stanza(&mut out, "presence", framed).empty();
    out
}

pub(super) fn ping(framed: bool) -> Vec<u8> {
    let mut out = Vec::new();
    stanza(&mut out, "iq", framed)
        .attr("type", "get")
        .attr("id", "alive")
        .with(|out| open(out, "ping").ns(ns::PING).empty());
    out
}

/// RFC 6120 8.2.3: each request gets an answer. `None`: it was no request.
pub(super) fn reply(framed: bool, iq: &Element, understood: &[(&str, &str)]) -> Option<Vec<u8>> {
    if !iq.is("iq", ns::CLIENT) || !matches!(iq.attribute("type"), Some("get" | "set")) {
        return None;
    }
    let mut out = Vec::new();
    let reply = stanza(&mut out, "iq", framed);
    let reply = reply.attr_opt("to", iq.attribute("from")).attr_opt("id", iq.attribute("id"));
    let sets = iq.attribute("type") == Some("set");
    let taken = sets && understood.iter().any(|(name, ns)| iq.child(name, ns).is_some());
    if taken || !sets && iq.child("ping", ns::PING).is_some() {
        reply.attr("type", "result").empty();
    } else {
        let error = xmpp::StanzaError::new(xmpp::StanzaCondition::ServiceUnavailable);
        reply.attr("type", "error").with(|out| error.write(out));
    }
    Some(out)
}

pub(super) fn request_acknowledgement() -> Vec<u8> {
    let mut out = Vec::new();
    open(&mut out, "r").ns(ns::SM).empty();
    out
}

pub(super) fn acknowledgement(h: u32) -> Vec<u8> {
    let mut out = Vec::new();
    open(&mut out, "a").ns(ns::SM).attr_number("h", u64::from(h)).empty();
    out
}

/// RFC 7395 3.3.3: a frame stands alone, so each stanza in one declares its namespace.
fn stanza<'o, 'n>(out: &'o mut Vec<u8>, name: &'n str, framed: bool) -> Tag<'o, 'n> {
    let start = open(out, name);
    if framed { start.ns(ns::CLIENT) } else { start }
}
