//! Answers: errors and results that the exchange sends in a recipient's name or in its own.
//!
//! Spec: RFC 6120 8.3 (errors), 8.2.3 (iq). Invariants: nothing of type `error` or `result` is ever answered; an answer
//! travels like any stanza, so it cannot overtake one.
//! Not here: which answer is due.

use xmpp::error::StanzaError;
use xmpp::stanza::{Stanza, StanzaKind};
use xmpp::write;

use crate::parcel::{Letter, OwnedLetter};
use crate::route::{IqType, Kind, MessageType, PresenceType};
use crate::router::Router;

impl Kind {
    /// Whether it may be answered with an error.
    pub(crate) fn may_be_refused(self) -> bool {
        !matches!(
            self,
            Self::Event
                | Self::Wish
                | Self::Message(MessageType::Error)
                | Self::Presence(PresenceType::Error)
                | Self::Iq(IqType::Error | IqType::Result)
        )
    }

    fn error(self) -> Self {
        match self {
            Self::Message(_) => Self::Message(MessageType::Error),
            Self::Presence(_) => Self::Presence(PresenceType::Error),
            Self::Iq(_) => Self::Iq(IqType::Error),
            Self::Event | Self::Wish => self,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Message(_) | Self::Event => StanzaKind::Message.name(),
            Self::Presence(_) | Self::Wish => StanzaKind::Presence.name(),
            Self::Iq(_) => StanzaKind::Iq.name(),
        }
    }
}

impl Router {
    /// Sends an error back for a letter, and is done with it. Its sender hears of the refusal before the letter counts as
    /// handled, whatever way the error takes: the promise travels with it.
    pub(crate) fn refuse(&mut self, letter: Letter<'_>, error: &StanzaError) {
        if letter.kind.may_be_refused()
            && let Ok(stanza) = Stanza::parse(letter.stanza)
            && let Some(sender) = stanza.from()
        {
            let mut bytes = Vec::new();
            let (id, to) = (stanza.id(), stanza.to());
            error.write_reply(&mut bytes, letter.kind.name(), id.as_deref(), to.as_deref(), Some(&sender));
            let resource = sender.split_once('/').map(|(_, resource)| resource);
            return self.route(Letter {
                resource,
                ack: letter.ack,
                ..Letter::new(letter.kind.error(), letter.to, letter.from, &bytes)
            });
        }
        self.processed(letter.ack);
    }

    /// Answers an iq with a result (RFC 6120 8.2.3), whose inside is well-formed XML, and is done with it in the same way.
    pub(crate) fn answer(&mut self, query: &Letter<'_>, inner: &[u8]) {
        match make_result(query, inner) {
            Some(result) => self.route(Letter { ack: query.ack, ..result.borrow() }),
            None => self.processed(query.ack),
        }
    }
}

/// The result that answers an iq.
pub(crate) fn make_result(query: &Letter<'_>, inner: &[u8]) -> Option<OwnedLetter> {
    let stanza = Stanza::parse(query.stanza).ok()?;
    let sender = stanza.from()?;
    let mut bytes = Vec::with_capacity(inner.len() + 160);
    let tag = write::open(&mut bytes, "iq")
        .attr("type", "result")
        .attr_opt("id", stanza.id().as_deref())
        .attr_opt("from", stanza.to().as_deref())
        .attr("to", &sender);
    if inner.is_empty() {
        tag.empty();
    } else {
        tag.raw(inner);
    }
    Some(OwnedLetter {
        kind: Kind::Iq(IqType::Result),
        from: query.to,
        to: query.from,
        resource: sender.split_once('/').map(|(_, resource)| resource.into()),
        stanza: bytes.into(),
        gist: None,
        ack: None,
    })
}

/// The letter without its inside: enough to refuse it later.
pub(crate) fn head_of(letter: &Letter<'_>) -> OwnedLetter {
    let mut head = Vec::new();
    if let Ok(stanza) = Stanza::parse(letter.stanza) {
        write::open(&mut head, letter.kind.name())
            .attr_opt("from", stanza.from().as_deref())
            .attr_opt("to", stanza.to().as_deref())
            .attr_opt("type", stanza.type_().as_deref())
            .attr_opt("id", stanza.id().as_deref())
            .empty();
    }
    Letter { stanza: &head, gist: None, ..*letter }.to_owned()
}
