//! Outputs: what the driver is to do, in order.
//!
//! Owns: the queue, and one buffer that holds the bytes of everything in it. Invariants: the buffer is emptied when the
//! queue is, so once warm nothing is allocated for a delivery.
//! Not here: deciding.

use std::collections::VecDeque;
use std::ops::Range;

use store::Request;
use xmpp::address::AccountNumber;
use xmpp::error::{StanzaCondition, StreamErrorKind};

use crate::line::SessionId;
use crate::parcel::Parcel;
use crate::resume::Handover;
use crate::tag::Tag;

/// Something that the driver is to do.
#[derive(Debug)]
pub enum Output<'a> {
    /// The session has its resource (RFC 6120 7.6.1).
    Bound {
        /// Which.
        session: SessionId,
        /// Its full address.
        jid: &'a str,
        /// What features say of it to a client that asked them something along with binding (XEP-0386), as XML.
        inline: &'a [u8],
    },
    /// It gets none (RFC 6120 7.6.2), and is unknown to the router.
    BindRefused {
        /// Which.
        session: SessionId,
        /// Why.
        error: BindError,
    },
    /// A stanza for the session's client.
    Deliver {
        /// To whom.
        session: SessionId,
        /// Ready to be written where `jabber:client` is the default namespace.
        stanza: &'a [u8],
        /// What it is known by until the client has confirmed it. Without one nobody asks again.
        tag: Option<Tag>,
    },
    /// The stanza with this number needs the router no more; XEP-0198 may count it as handled.
    Processed {
        /// Who sent it.
        session: SessionId,
        /// Its number, as it was given.
        seq: u32,
        /// The record of the session counts it already.
        recorded: bool,
    },
    /// The session that asked for it has the line of an earlier one, which was handed over so.
    Resumed {
        /// Which.
        session: SessionId,
        /// Its full address.
        jid: &'a str,
        /// What its client had not confirmed, and the counts.
        handover: Box<Handover>,
    },
    /// There is no such line any more.
    ResumeRefused {
        /// Who asked.
        session: SessionId,
        /// How many stanzas of it are known to have been handled, if anything is known.
        h: Option<u32>,
    },
    /// The session's client has come back over another connection: this one is to be given up by
    /// [`Router::handle_surrendered`](crate::Router::handle_surrendered).
    Surrender {
        /// Which.
        session: SessionId,
    },
    /// Something for another loop's router.
    Post {
        /// Which loop.
        to_loop: u16,
        /// What.
        parcel: Parcel,
    },
    /// Something for the store.
    Store(Request),
    /// Something that only the driver can do, which answers the session's iq itself.
    Errand {
        /// Who asks.
        session: SessionId,
        /// Whose session that is.
        number: AccountNumber,
        /// The iq's id.
        id: Option<String>,
        /// What.
        errand: Errand,
    },
    /// The session is to be ended with a stream error, and handed back by
    /// [`Router::handle_unbound`](crate::Router::handle_unbound).
    Close {
        /// Which.
        session: SessionId,
        /// Why.
        error: StreamErrorKind,
    },
}

/// What is asked of the exchange itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Errand {
    /// Every line, for an administrator.
    Lines {
        /// The line whose facts are wanted too, by its [`SessionId::to_bits`].
        open: Option<u64>,
    },
    /// The ladder of a line, for an administrator.
    Trace {
        /// The line, by its [`SessionId::to_bits`].
        line: u64,
        /// What the asker has seen of it: the cursor of the last answer, or 0.
        after: u64,
    },
    /// A new invite, for an administrator.
    Invite,
    /// The end of every session and token of the asker's own number.
    Revoke,
}

/// Why no resource was bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BindError {
    /// The resource is no resourcepart (RFC 6120 7.7.2.1).
    BadRequest,
    /// Too many sessions of this number (7.6.2.1), or too much is waiting.
    ResourceConstraint,
    /// The account is gone (7.6.2.2).
    NotAllowed,
}

impl BindError {
    /// The stanza error's condition.
    #[must_use]
    pub fn condition(self) -> StanzaCondition {
        match self {
            Self::BadRequest => StanzaCondition::BadRequest,
            Self::ResourceConstraint => StanzaCondition::ResourceConstraint,
            Self::NotAllowed => StanzaCondition::NotAllowed,
        }
    }
}

/// An output, its bytes elsewhere.
enum Queued {
    Bound {
        session: SessionId,
        jid: Range<usize>,
        inline: Range<usize>,
    },
    BindRefused {
        session: SessionId,
        error: BindError,
    },
    Deliver {
        session: SessionId,
        stanza: Range<usize>,
        tag: Option<Tag>,
    },
    Processed {
        session: SessionId,
        seq: u32,
        recorded: bool,
    },
    Resumed {
        session: SessionId,
        jid: Range<usize>,
        handover: Box<Handover>,
    },
    ResumeRefused {
        session: SessionId,
        h: Option<u32>,
    },
    Surrender {
        session: SessionId,
    },
    Post {
        to_loop: u16,
        parcel: Parcel,
    },
    /// The first of the requests.
    Store,
    Errand(Box<(SessionId, AccountNumber, Option<String>, Errand)>),
    Close {
        session: SessionId,
        error: StreamErrorKind,
    },
}

/// Most bytes that the emptied buffer keeps for the next turn: a turn's worth of relaying, not of a presence flood.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// The queue.
#[derive(Default)]
pub(crate) struct Outputs {
    queue: VecDeque<Queued>,
    /// What the store is asked. Apart, so that what is smaller stays so, and nothing is allocated for one.
    requests: VecDeque<Request>,
    bytes: Vec<u8>,
}

impl Outputs {
    /// A turn begins: what the last one left is reused if nobody needs it.
    pub(crate) fn begin(&mut self) {
        if self.queue.is_empty() {
            self.bytes.clear();
            self.bytes.shrink_to(KEPT_BYTES_MAX);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Puts bytes where several deliveries can share them.
    pub(crate) fn put(&mut self, stanza: &[u8]) -> Range<usize> {
        self.write(|bytes| bytes.extend_from_slice(stanza))
    }

    /// The same for what is yet to be written.
    pub(crate) fn write(&mut self, stanza: impl FnOnce(&mut Vec<u8>)) -> Range<usize> {
        let start = self.bytes.len();
        stanza(&mut self.bytes);
        start..self.bytes.len()
    }

    pub(crate) fn bytes(&self, range: &Range<usize>) -> &[u8] {
        &self.bytes[range.clone()]
    }

    pub(crate) fn deliver(&mut self, session: SessionId, stanza: Range<usize>, tag: Option<Tag>) {
        self.queue.push_back(Queued::Deliver { session, stanza, tag });
    }

    pub(crate) fn bound(&mut self, session: SessionId, jid: &str, inline: &[u8]) {
        let jid = self.put(jid.as_bytes());
        let inline = self.put(inline);
        self.queue.push_back(Queued::Bound { session, jid, inline });
    }

    pub(crate) fn bind_refused(&mut self, session: SessionId, error: BindError) {
        self.queue.push_back(Queued::BindRefused { session, error });
    }

    pub(crate) fn processed(&mut self, session: SessionId, seq: u32, recorded: bool) {
        self.queue.push_back(Queued::Processed { session, seq, recorded });
    }

    pub(crate) fn resumed(&mut self, session: SessionId, jid: &str, handover: Box<Handover>) {
        let jid = self.put(jid.as_bytes());
        self.queue.push_back(Queued::Resumed { session, jid, handover });
    }

    pub(crate) fn resume_refused(&mut self, session: SessionId, h: Option<u32>) {
        self.queue.push_back(Queued::ResumeRefused { session, h });
    }

    pub(crate) fn surrender(&mut self, session: SessionId) {
        self.queue.push_back(Queued::Surrender { session });
    }

    pub(crate) fn post(&mut self, to_loop: u16, parcel: Parcel) {
        self.queue.push_back(Queued::Post { to_loop, parcel });
    }

    pub(crate) fn store(&mut self, request: Request) {
        self.requests.push_back(request);
        self.queue.push_back(Queued::Store);
    }

    #[allow(dead_code, reason = "the feature that runs errands may have been removed")]
    pub(crate) fn errand(
        &mut self,
        session: SessionId,
        number: AccountNumber,
        id: Option<String>,
        errand: Errand,
    ) {
        self.queue.push_back(Queued::Errand(Box::new((session, number, id, errand))));
    }

    pub(crate) fn close(&mut self, session: SessionId, error: StreamErrorKind) {
        self.queue.push_back(Queued::Close { session, error });
    }

    pub(crate) fn poll(&mut self) -> Option<Output<'_>> {
        Some(match self.queue.pop_front()? {
            Queued::Bound { session, jid, inline } => {
                let jid = std::str::from_utf8(&self.bytes[jid]).expect("an address was put there");
                Output::Bound { session, jid, inline: &self.bytes[inline] }
            }
            Queued::BindRefused { session, error } => Output::BindRefused { session, error },
            Queued::Deliver { session, stanza, tag } => {
                Output::Deliver { session, stanza: &self.bytes[stanza], tag }
            }
            Queued::Processed { session, seq, recorded } => Output::Processed { session, seq, recorded },
            Queued::Resumed { session, jid, handover } => {
                let jid = std::str::from_utf8(&self.bytes[jid]).expect("an address was put there");
                Output::Resumed { session, jid, handover }
            }
            Queued::ResumeRefused { session, h } => Output::ResumeRefused { session, h },
            Queued::Surrender { session } => Output::Surrender { session },
            Queued::Post { to_loop, parcel } => Output::Post { to_loop, parcel },
            Queued::Store => Output::Store(self.requests.pop_front()?),
            Queued::Errand(errand) => {
                let (session, number, id, errand) = *errand;
                Output::Errand { session, number, id, errand }
            }
            Queued::Close { session, error } => Output::Close { session, error },
        })
    }
}
