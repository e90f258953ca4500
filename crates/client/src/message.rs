//! A chat message, read and written.
//!
//! Spec: RFC 6121 5 (messages), XEP-0203 (when one that waited was sent), XEP-0359 (stanza ids).
//! Not here: when it is sent or taken (`session`).

use std::fmt::Write;

use xmpp::ns;
use xmpp::write::open;

use crate::element::Element;

/// A message with a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Who sent it, with the resource.
    pub from: String,
    /// To whom, as the sender wrote it.
    pub to: Option<String>,
    /// The sender's mark.
    pub id: Option<String>,
    /// The text.
    pub body: String,
    /// When the exchange received it, if it had to wait (XEP-0082).
    pub delayed: Option<String>,
    /// The exchange's mark, if it gave one.
    pub stanza_id: Option<String>,
}

impl Message {
    /// The message in a stanza; `None` for a stanza without text, such as a receipt, and for errors.
    pub fn read(stanza: &Element) -> Option<Self> {
        if !stanza.is("message", ns::CLIENT) || stanza.attribute("type") == Some("error") {
            return None;
        }
        let owned = |name| stanza.attribute(name).map(str::to_owned);
        let delay = stanza.child("delay", ns::DELAY);
        let stanza_id = stanza.child("stanza-id", ns::STANZA_ID);
        Some(Self {
            from: owned("from").unwrap_or_default(),
            to: owned("to"),
            id: owned("id"),
            body: stanza.child("body", ns::CLIENT)?.text.clone(),
            delayed: delay.and_then(|delay| delay.attribute("stamp")).map(str::to_owned),
            stanza_id: stanza_id.and_then(|it| it.attribute("id")).map(str::to_owned),
        })
    }

    /// A stanza of type `chat` with a text.
    pub fn write(to: &str, id: &str, body: &str, framed: bool) -> Vec<u8> {
        let mut out = Vec::with_capacity(96 + to.len() + body.len());
        let start = open(&mut out, "message");
        // RFC 7395 3.3.3: a frame stands alone, so each stanza declares its namespace.
        let start = if framed { start.ns(ns::CLIENT) } else { start };
        start.attr("to", to).attr("type", "chat").attr("id", id).with(|inner| open(inner, "body").text(body));
        out
    }
}

/// Why a stanza came back: the condition and the text of its `<error/>`.
pub fn read_error(stanza: &Element) -> Option<String> {
    if stanza.attribute("type") != Some("error") {
        return None;
    }
    let error = stanza.child("error", ns::CLIENT)?;
    let condition = error.children.iter().find(|child| child.ns == ns::STANZA_ERRORS && child.name != "text");
    let mut why = condition.map_or_else(|| "undefined-condition".to_owned(), |child| child.name.clone());
    if let Some(text) = error.child("text", ns::STANZA_ERRORS) {
        let _ = write!(why, " ({})", text.text);
    }
    Some(why)
}
