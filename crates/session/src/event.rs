//! Events: what a session tells the server.
//!
//! Not here: what the server does about them.

use std::fmt;

use xmpp::address::AccountNumber;
use xmpp::error::StreamErrorKind;
use xmpp::stanza::Stanza;

use crate::register::RegisterRequest;
use crate::resume::ResumeId;
use crate::sasl::CredentialsRequest;

/// What a delivered stanza is known by until the client has confirmed it. The session carries it and does not look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tag(pub u64);

/// What a session has to say, one at a time.
#[derive(Debug)]
pub enum Event<'a> {
    /// The client may begin TLS: write out what is in the outbox, then hand every octet to TLS, then call
    /// [`Session::handle_secured`](crate::Session::handle_secured). Octets that are left of the input were sent before TLS and must be dropped.
    StartTls,
    /// The client wants to prove who it is; [`Session::handle_credentials`](crate::Session::handle_credentials) wants the answer.
    Credentials(Box<CredentialsRequest>),
    /// It has proved it, and its tokens change with that (XEP-0484);
    /// [`Session::handle_tokens`](crate::Session::handle_tokens) wants to know how that went.
    Tokens(Box<store::TokenChange>),
    /// It wants something of accounts; [`Session::handle_registered`](crate::Session::handle_registered) wants the answer.
    Register(Box<RegisterRequest>),
    /// It has. Once the session is on the loop where it stays,
    /// [`Session::handle_home`](crate::Session::handle_home) says what else the client asked for.
    LoggedIn {
        /// Who it is.
        number: AccountNumber,
    },
    /// It has not. The next attempt is slowed by whoever answers the next [`Event::Credentials`].
    LogInFailed {
        /// The number it claimed, if it was one.
        number: Option<AccountNumber>,
    },
    /// The client asks for a resource; [`Session::handle_bound`](crate::Session::handle_bound) or [`Session::handle_bind_refused`](crate::Session::handle_bind_refused) wants the answer.
    Bind {
        /// Whose session this is.
        number: AccountNumber,
        /// The resource it would like (RFC 6120 7.7), or one of the exchange's choice.
        resource: Option<String>,
        /// What is known of it already.
        facts: BindFacts,
    },
    /// The client wants to take up a session that lost its connection (XEP-0198 section 5);
    /// [`Session::handle_resumed`](crate::Session::handle_resumed) or [`Session::handle_resume_refused`](crate::Session::handle_resume_refused) wants the answer.
    Resume {
        /// Whose session it must be.
        number: AccountNumber,
        /// Which.
        id: ResumeId,
    },
    /// The client confirms what it receives from now on (XEP-0198 section 3).
    Acknowledging {
        /// Where it may also resume: what the session is known by then, and the inbound count that its `h` begins at.
        resume: Option<(ResumeId, u32)>,
    },
    /// The client says that its user looks at it, or no longer (XEP-0352).
    ClientState {
        /// Somebody does.
        active: bool,
    },
    /// A stanza of a bound client.
    Stanza {
        /// Its number on this stream, counted from 1, modulo 2^32;
        /// [`Session::handle_processed`](crate::Session::handle_processed) wants it back.
        seq: u32,
        /// Every stanza up to this one has been processed.
        processed: u32,
        /// The stanza. What it says of its sender has not been checked.
        stanza: Stanza<'a>,
    },
    /// The client has confirmed a stanza that was delivered with a tag (XEP-0198 section 4).
    Delivered {
        /// The tag.
        tag: Tag,
    },
    /// The conversation is over: write out what is in the outbox, wait for the client to close the connection, up to a
    /// bound, and then close it.
    Finished {
        /// Why.
        reason: EndReason,
    },
}

/// What is known of a client that asks for a resource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BindFacts {
    /// It confirms what it receives (XEP-0198) from the first stanza on.
    pub acknowledging: bool,
    /// XEP-0386: a `<bind xmlns='urn:xmpp:bind:0'/>` with the elements that it asked for along with it, for features
    /// that know them.
    pub inline: Option<Box<str>>,
}

/// How a change of tokens went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokensAnswer {
    /// It is durable.
    Done,
    /// What the client proved is not so any more.
    Stale,
    /// The store could not.
    Failed,
}

/// A count for the record of a session that may be resumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// The session.
    pub id: ResumeId,
    /// What [`Session::handle_counted`](crate::Session::handle_counted) wants back.
    pub upto: u32,
    /// What the record should say: XEP-0198's `h`.
    pub h: u32,
}

/// Why a conversation ended; recorded once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// The client ended its stream.
    Client,
    /// The connection ended under an open stream.
    ConnectionLost,
    /// We ended it with this error: the client's mistake, a bound, or the exchange's own wish.
    Error(StreamErrorKind),
    /// We ended it without an error.
    Exchange,
}

impl EndReason {
    /// Whether the client went on purpose, so that there is nobody to wait for.
    #[must_use]
    pub fn is_polite(self) -> bool {
        matches!(self, EndReason::Client | EndReason::Exchange)
    }

    /// Whether the client may come back for its session (XEP-0198 section 5): its connection was lost, it was silent, it
    /// did not read, or the exchange leaves. A client that ended its stream has left, and one that made a mistake would make
    /// it again.
    #[must_use]
    pub fn is_resumable(self) -> bool {
        matches!(
            self,
            EndReason::ConnectionLost
                | EndReason::Error(
                    StreamErrorKind::ConnectionTimeout
                        | StreamErrorKind::PolicyViolation
                        | StreamErrorKind::SystemShutdown
                )
        )
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EndReason::Client => f.write_str("closed by the client"),
            EndReason::ConnectionLost => f.write_str("connection lost"),
            EndReason::Error(kind) => write!(f, "stream error {kind}"),
            EndReason::Exchange => f.write_str("closed by the exchange"),
        }
    }
}

/// A bound was exceeded by what waits for this client: its stream has been closed with `policy-violation`, and
/// [`Event::Finished`] has to be treated as said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overflow;
