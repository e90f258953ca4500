//! What waits for the store, by the token of its request.
//!
//! Owns: the table. Invariants: each request is answered once, and its place is free then; what waits for a roster
//! write happens in the order of the writes.
//! Not here: what the answers mean (`roster`, `features`).

use slab::Slab;
use store::RosterItem;
use xmpp::address::{AccountNumber, BareJid};

use crate::account::Pending;
use crate::features;
use crate::line::SessionId;
use crate::parcel::{Ack, OwnedLetter, Receipt};

/// A place in the table.
pub(crate) type Token = usize;

/// Who waits.
pub(crate) enum Waiting {
    /// An account, for its roster.
    Load(AccountNumber),
    /// A change of a roster.
    Write(Box<Write>),
    /// A feature.
    Feature(features::Wait),
    /// A session that wants to go on where another was, which is not there any more.
    Handled { session: SessionId, number: AccountNumber, key: u64 },
    /// A stanza, of which a share of the work is done then.
    #[allow(dead_code, reason = "nobody asks when no feature archives messages")]
    Share(Ack),
    /// Nobody.
    Nobody,
}

/// A change of a roster that is on its way, and what happens once it is committed.
pub(crate) struct Write {
    pub(crate) number: AccountNumber,
    pub(crate) effects: Vec<Effect>,
    /// The start of what asked for it, to be refused if it fails.
    pub(crate) request: Option<OwnedLetter>,
}

/// Something that must not be seen before a change is committed.
pub(crate) enum Effect {
    /// A roster push (RFC 6121 2.1.6) of the item as it was then.
    Push(Box<RosterItem>),
    /// The push of a removal.
    PushRemoval(BareJid),
    /// A stanza for another number, or for a session of this one.
    Send(OwnedLetter),
    /// A stanza for each available resource.
    ToAvailable(Box<[u8]>),
    /// A stanza for each resource that asked for the roster.
    ToInterested(Box<[u8]>),
    /// The presence of each available resource, as it is, for a contact.
    Presence(AccountNumber),
    /// The same, as if it left.
    Unavailable(AccountNumber),
    /// The user sees this contact from now on.
    Sees(AccountNumber),
    /// Presence that came meanwhile: it must not overtake the subscription that lets it be seen.
    Arrive(OwnedLetter),
    /// A question that came meanwhile: it is answered from what is committed.
    Resume(Pending),
    /// The stanza that caused it is done.
    Processed(Ack),
}

/// The table.
#[derive(Default)]
pub(crate) struct Table {
    slots: Slab<Waiting>,
}

impl Table {
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn insert(&mut self, waiting: Waiting) -> Token {
        self.slots.insert(waiting)
    }

    pub(crate) fn take(&mut self, token: u64) -> Option<Waiting> {
        self.slots.try_remove(usize::try_from(token).ok()?)
    }

    /// Another share of the same work is done: it goes along. Answers whether it does.
    pub(crate) fn lend(&mut self, token: Token, receipt: Receipt) -> bool {
        match self.slots.get_mut(token) {
            Some(Waiting::Share(Some(waiting))) => waiting.merge(receipt),
            _ => false,
        }
    }

    pub(crate) fn write_mut(&mut self, token: Token) -> Option<&mut Write> {
        match self.slots.get_mut(token) {
            Some(Waiting::Write(write)) => Some(write),
            _ => None,
        }
    }
}
