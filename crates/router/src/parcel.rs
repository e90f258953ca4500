//! Parcels: what the routers of different loops say to each other.
//!
//! Owns: the types. Invariants: parcels between two loops arrive in the order in which they were posted, so stanzas
//! between two addresses do too (RFC 6120 10.1).
//! A session whose carrier is on another loop may end while messages are on their way to it. They come back behind the
//! news of its end ([`Freight::Returned`]) and are given to others, or kept, then; by that time newer ones may have gone
//! to another resource. They bear the time at which they were first received.
//! Not here: how they travel (the server's mailboxes).

use xmpp::address::AccountNumber;
use xmpp::error::StreamErrorKind;

use crate::line::{LineFacts, SessionId};
use crate::output::BindError;
use crate::route::Kind;
use crate::tag::Tag;

/// Something for another loop's router. Opaque to who carries it.
#[derive(Debug)]
pub struct Parcel(pub(crate) Box<Freight>);

impl Parcel {
    /// About how many bytes it holds, for a bound on the queue that carries it.
    #[must_use]
    pub fn len(&self) -> usize {
        let stanza = match &*self.0 {
            Freight::Sent { stanza, .. }
            | Freight::Deliver { stanza, .. }
            | Freight::Returned { stanza, .. } => stanza.len(),
            Freight::Letter(letter) => letter.stanza.len(),
            Freight::Unbound { undelivered, .. } => undelivered.iter().map(|(stanza, _)| stanza.len()).sum(),
            _ => 0,
        };
        size_of::<Freight>() + stanza
    }

    /// Never: a parcel has at least its own size.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }
}

/// Who waits to hear that a stanza was processed; the session id says on which loop.
pub(crate) type Ack = Option<(SessionId, u32)>;

/// What a session could not deliver.
pub(crate) type Undelivered = Vec<(Vec<u8>, Option<Tag>)>;

/// A parcel's inside.
#[derive(Debug)]
pub(crate) enum Freight {
    /// Between the homes of two numbers.
    Letter(OwnedLetter),

    // From a session's loop to its number's home.
    /// It wants a resource.
    Bind { session: SessionId, number: AccountNumber, resource: Option<Box<str>>, facts: LineFacts },
    /// It sent a stanza, with its own `from`, if any.
    Sent { session: SessionId, seq: u32, stanza: Box<[u8]> },
    /// Its client confirmed a message.
    Delivered { session: SessionId, tag: Tag },
    /// Its client begins to confirm.
    Acknowledging { session: SessionId },
    /// It is over.
    Unbound { session: SessionId, undelivered: Undelivered },
    /// This came when it was over.
    Returned { session: SessionId, number: AccountNumber, stanza: Box<[u8]>, tag: Option<Tag> },

    // From a number's home to its session's loop.
    /// It has a resource.
    Bound { session: SessionId, jid: Box<str>, inline: Box<[u8]> },
    /// It has none.
    BindRefused { session: SessionId, error: BindError },
    /// A stanza for its client.
    Deliver { session: SessionId, number: AccountNumber, stanza: Box<[u8]>, tag: Option<Tag> },
    /// Its stanza was processed.
    Processed { session: SessionId, seq: u32 },
    /// It is to be closed.
    Close { session: SessionId, error: StreamErrorKind },
}

/// A stanza on its way to a number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Letter<'a> {
    pub(crate) kind: Kind,
    pub(crate) from: AccountNumber,
    pub(crate) to: AccountNumber,
    pub(crate) resource: Option<&'a str>,
    /// Ready for delivery.
    pub(crate) stanza: &'a [u8],
    pub(crate) ack: Ack,
}

impl Letter<'_> {
    pub(crate) fn to_owned(self) -> OwnedLetter {
        OwnedLetter {
            kind: self.kind,
            from: self.from,
            to: self.to,
            resource: self.resource.map(Box::from),
            stanza: self.stanza.into(),
            ack: self.ack,
        }
    }
}

/// The same, owned.
#[derive(Debug)]
pub(crate) struct OwnedLetter {
    pub(crate) kind: Kind,
    pub(crate) from: AccountNumber,
    pub(crate) to: AccountNumber,
    pub(crate) resource: Option<Box<str>>,
    pub(crate) stanza: Box<[u8]>,
    pub(crate) ack: Ack,
}

impl OwnedLetter {
    pub(crate) fn borrow(&self) -> Letter<'_> {
        Letter {
            kind: self.kind,
            from: self.from,
            to: self.to,
            resource: self.resource.as_deref(),
            stanza: &self.stanza,
            ack: self.ack,
        }
    }
}
