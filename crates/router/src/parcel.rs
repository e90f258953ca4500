//! Parcels: what the routers of different loops say to each other.
//!
//! Owns: the types. Invariants: parcels between two loops arrive in the order in which they were posted, so stanzas
//! between two addresses do too (RFC 6120 10.1).
//! A session whose carrier is on another loop may end while messages are on their way to it. They come back behind the
//! news of its end ([`Freight::Returned`]) and are given to others, or kept, then; by that time newer ones may have gone
//! to another resource. They bear the time at which they were first received.
//! Not here: how they travel (the server's mailboxes).

use store::Origin;
use xmpp::address::AccountNumber;
use xmpp::error::StreamErrorKind;
use xmpp::stanza::Stanza;

use crate::features::{self, Gist};
use crate::line::{LineFacts, SessionId};
use crate::output::BindError;
use crate::restart::Stowed;
use crate::resume::{Handover, Resumption};
use crate::route::Kind;
use crate::tag::Tag;

/// Something for another loop's router. Opaque to who carries it.
#[derive(Debug)]
pub struct Parcel(pub(crate) Inside);

/// What is in it.
#[derive(Debug)]
pub(crate) enum Inside {
    Freight(Box<Freight>),
    /// A stanza was processed, or a share of the work on it is done. There is one for every message, and it is small: it lies
    /// among the letters themselves, where its reader finds it without going after it into another thread's memory.
    Done(Done),
}

impl Parcel {
    pub(crate) fn new(freight: Freight) -> Self {
        Self(Inside::Freight(Box::new(freight)))
    }

    /// About how many bytes it holds, for a bound on the queue that carries it.
    #[must_use]
    pub fn len(&self) -> usize {
        let Inside::Freight(freight) = &self.0 else { return size_of::<Self>() };
        let stanza = match &**freight {
            Freight::Sent { stanza, .. }
            | Freight::Deliver { stanza, .. }
            | Freight::Returned { stanza, .. } => stanza.len(),
            Freight::Letter(letter) => letter.stanza.len(),
            Freight::Surrendered { handover, .. } | Freight::Resumed { handover, .. } => {
                handover.unacked.iter().map(|(stanza, _)| stanza.len()).sum()
            }
            Freight::Stowed { stowed, .. } => {
                stowed.handover.unacked.iter().map(|(stanza, _)| stanza.len()).sum()
            }
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

/// Who waits to hear that a stanza was processed.
pub(crate) type Ack = Option<Receipt>;

/// A promise to say that a stanza was processed, or that a share of the work on it is done: a message may have to be
/// committed in several places, and is processed once all of them have said so.
///
/// The shares of one stanza always add up to the whole, so whoever has one may give half of it away without telling
/// anybody, and the one who collects them need not know how many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Receipt {
    /// Its session; the id says on which loop the shares are collected.
    pub(crate) session: SessionId,
    pub(crate) seq: u32,
    pub(crate) share: u16,
    /// It is durable, and the session's record counts it.
    recorded: bool,
    /// How that record counts the stanza, where the session may be resumed.
    counted: Option<Counted>,
}

/// A stanza in the words of its session's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) key: u64,
    pub(crate) number: AccountNumber,
    /// Which it is.
    pub(crate) h: u32,
    /// All up to this one are done with.
    pub(crate) floor: u32,
    /// By what it is known if it comes again.
    pub(crate) mark: u64,
}

/// A share of the work on a stanza is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) session: SessionId,
    pub(crate) seq: u32,
    pub(crate) share: u16,
    pub(crate) recorded: bool,
}

impl From<Receipt> for Done {
    fn from(receipt: Receipt) -> Self {
        let Receipt { session, seq, share, recorded, .. } = receipt;
        Self { session, seq, share, recorded }
    }
}

/// Where a stanza stands among those of its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its number.
    pub seq: u32,
    /// Every stanza up to this one was processed when it came.
    pub processed: u32,
}

impl From<u32> for Place {
    /// Nothing is known of those before it.
    fn from(seq: u32) -> Self {
        Self { seq, processed: 0 }
    }
}

impl Receipt {
    /// All of it, in shares: it can be halved fifteen times, and no stanza has as many places to go.
    pub(crate) const WHOLE: u16 = store::session::WHOLE;

    pub(crate) fn whole(session: SessionId, seq: u32) -> Self {
        Self { session, seq, share: Self::WHOLE, recorded: false, counted: None }
    }

    /// The same for a stanza that the session's record counts.
    pub(crate) fn counted(session: SessionId, seq: u32, counted: Option<Counted>) -> Self {
        Self { counted, ..Self::whole(session, seq) }
    }

    /// The same for one that it counts already, or does not.
    pub(crate) fn late(session: SessionId, seq: u32, recorded: bool) -> Self {
        Self { recorded, ..Self::whole(session, seq) }
    }

    /// What the store is told along with what the stanza asks for.
    pub(crate) fn origin(ack: Ack) -> Option<Origin> {
        let receipt = ack?;
        let Counted { key, number, h, floor, mark } = receipt.counted?;
        Some(Origin { key, number, h, floor, share: receipt.share, mark })
    }

    /// The store has done it, and counts it.
    #[allow(dead_code, reason = "nobody asks when no feature keeps messages")]
    pub(crate) fn committed(ack: Ack) -> Ack {
        ack.map(|receipt| Self { recorded: receipt.counted.is_some(), ..receipt })
    }

    /// Takes another share of the same stanza in. Answers whether it can: what one record counts and another does not stays
    /// apart.
    pub(crate) fn merge(&mut self, other: Receipt) -> bool {
        let same = Self { share: self.share, ..other } == *self;
        if same {
            self.share += other.share;
        }
        same
    }

    /// Gives half of an ack away.
    #[allow(dead_code, reason = "nobody halves when no feature keeps what is delivered")]
    pub(crate) fn halve(ack: &mut Ack) -> Ack {
        let receipt = ack.as_mut().filter(|receipt| receipt.share > 1)?;
        receipt.share /= 2;
        Some(*receipt)
    }
}

/// What a session could not deliver: stanzas, oldest first, each with what it is known by.
pub type Undelivered = Vec<(Vec<u8>, Option<Tag>)>;

/// A parcel's inside.
#[derive(Debug)]
pub(crate) enum Freight {
    /// Between the homes of two numbers.
    Letter(OwnedLetter),

    // From a session's loop to its number's home.
    /// It wants a resource.
    Bind { session: SessionId, number: AccountNumber, resource: Option<Box<str>>, facts: LineFacts },
    /// It sent a stanza, with its own `from`, if any.
    Sent { session: SessionId, place: Place, stanza: Box<[u8]> },
    /// Its client confirmed a message.
    Delivered { session: SessionId, tag: Tag },
    /// Its client begins to confirm.
    Acknowledging { session: SessionId, resumption: Option<Resumption> },
    /// Somebody looks at its client, or no longer.
    ClientState { session: SessionId, active: bool },
    /// It wants the line of an earlier one.
    Resume { session: SessionId, number: AccountNumber, key: u64 },
    /// It gives up its line to another.
    Surrendered { session: SessionId, handover: Box<Handover> },
    /// It is parked, and the exchange is about to end.
    Stowed { session: SessionId, stowed: Box<Stowed> },
    /// A stanza was processed that it sent before it gave up its line.
    Late { session: SessionId, seq: u32, recorded: bool },
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
    /// It has the line it wanted.
    Resumed { session: SessionId, jid: Box<str>, handover: Box<Handover> },
    /// That line is gone.
    ResumeRefused { session: SessionId, h: Option<u32> },
    /// Its line is wanted.
    Surrender { session: SessionId },
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
    /// What that says, where somebody has looked.
    pub(crate) gist: Option<Gist>,
    pub(crate) ack: Ack,
}

impl<'a> Letter<'a> {
    /// One to a whole account, whose inside nobody has looked at, and of which nobody waits to hear.
    pub(crate) fn new(kind: Kind, from: AccountNumber, to: AccountNumber, stanza: &'a [u8]) -> Self {
        Self { kind, from, to, resource: None, stanza, gist: None, ack: None }
    }

    /// What its inside says of it; nothing only where that is not well-formed. Looks once.
    #[allow(dead_code, reason = "nobody asks when no feature keeps messages")]
    pub(crate) fn gist(&mut self) -> Option<Gist> {
        if self.gist.is_none() {
            self.gist = Stanza::parse(self.stanza).ok().map(|stanza| features::gist(&stanza));
        }
        self.gist
    }

    pub(crate) fn to_owned(self) -> OwnedLetter {
        OwnedLetter {
            kind: self.kind,
            from: self.from,
            to: self.to,
            resource: self.resource.map(Box::from),
            stanza: self.stanza.into(),
            gist: self.gist,
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
    pub(crate) gist: Option<Gist>,
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
            gist: self.gist,
            ack: self.ack,
        }
    }
}
