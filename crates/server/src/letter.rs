//! Letters: what one thread of the exchange writes to another, each kind with its reason.
//! Invariants: a letter owns all it says; what travels to a session names it by a [`SessionName`], whose generation
//! tells a session that has ended from the one that took its place.
//! Not here: how letters travel (`mailbox`), what they cause (`event_loop::switch`, `store_thread`).

use std::net::{IpAddr, SocketAddr};
use std::sync::mpsc::Sender;

use bytes::BytesMut;
use router::SessionId;
use session::{
    Carrier, CredentialsAnswer, CredentialsRequest, RegisterAnswer, RegisterRequest, TokensAnswer,
};
use xmpp::address::AccountNumber;

use crate::admin;
use crate::connection::Connection;
use crate::counts::LoopCounts;
use crate::errands;
use crate::http::Handover;
use crate::network::{DatagramMeta, Stray, Stream, trace};

/// A session, wherever it lives: its loop, its place there, and which of the place's tenants it is.
///
/// ```text
///  63     48 47                21 20        0
/// +---------+--------------------+-----------+
/// |  loop   |     generation     |   slot    |
/// +---------+--------------------+-----------+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SessionName {
    pub(crate) event_loop: u8,
    pub(crate) generation: u32,
    pub(crate) slot: u32,
}

const SLOT_BITS: u32 = 21;
/// Connections one loop can hold. The slot behind the last is where sessions of the exchange before this one are said to sit.
pub(crate) const SLOTS_MAX: usize = (1 << SLOT_BITS) - 1;
/// Generations are counted modulo 2^27: a name comes back after a hundred million connections to one loop.
pub(crate) const GENERATION_MASK: u32 = (1 << (48 - SLOT_BITS)) - 1;

impl SessionName {
    pub(crate) fn to_id(self) -> SessionId {
        let generation = u64::from(self.generation & GENERATION_MASK);
        SessionId::new(u16::from(self.event_loop), generation << SLOT_BITS | u64::from(self.slot))
    }

    pub(crate) fn from_id(id: SessionId) -> Self {
        let local = id.local();
        Self {
            event_loop: id.of_loop() as u8,
            generation: (local >> SLOT_BITS) as u32 & GENERATION_MASK,
            slot: local as u32 & ((1 << SLOT_BITS) - 1),
        }
    }
}

/// What a loop is written.
pub(crate) enum Letter {
    /// A connection was accepted elsewhere; this loop takes it.
    Accepted(Box<Arrival>),
    /// A WebSocket was opened over HTTP; this loop takes it.
    Upgraded(Box<Handover>),
    /// A logged-in session comes home.
    Moved { connection: Box<Connection>, stream: Stream, network: u8 },
    /// A QUIC datagram whose connection lives here.
    Datagram { endpoint: u8, meta: DatagramMeta, data: BytesMut },

    /// A packet that came to another loop's share of a network and may concern this one's.
    Stray { network: u8, stray: Stray },

    /// From another loop's router to this one's.
    Parcel(router::Parcel),
    /// From the store: the router's answer.
    Reply(store::Reply),
    /// From the store: what a log-in is checked against.
    Credentials { session: SessionId, answer: Box<CredentialsAnswer> },
    /// From the store: how a change of tokens went.
    Tokens { session: SessionId, answer: TokensAnswer },
    /// From the store: whether a count is on record.
    Counted { session: SessionId, upto: u32, kept: bool },
    /// From the key derivation: what is to be done to an account, with its keys.
    Derived { session: SessionId, change: Box<store::Op> },
    /// From the store: what came of a session's wish about accounts.
    Registered { session: SessionId, answer: RegisterAnswer },
    /// An account changed under its sessions.
    Account { number: AccountNumber, change: router::AccountChange },
    /// An account was deleted; this was its roster.
    Deleted { number: AccountNumber, roster: store::Roster },

    /// `who`: every line here, then the end.
    Who(Sender<Vec<admin::Line>>),
    /// `/metrics` and `/healthz`: what has happened here.
    Counts(Sender<Box<LoopCounts>>),
    /// `trace`: this number's lines, or one of them with its frames, then the end.
    Trace { number: AccountNumber, of: Option<admin::TraceOf>, answer: Sender<Vec<admin::Trace>> },
    /// The latest frames of one line, for its ladder; no answer if it is gone.
    Ladder { session: SessionId, answer: Sender<trace::Answer> },
    /// The same with each line's name.
    Lines(Sender<Vec<(SessionId, admin::Line)>>),
    /// What is known of one line.
    Facts { session: SessionId, answer: Sender<Vec<errands::Facts>> },
    /// An errand is done: the answer to its iq.
    Answer { session: SessionId, stanza: Vec<u8> },
    /// The exchange is leaving: ask every client to go.
    Leave,
    /// Time is up: close what is left.
    Stop,
    /// Every stream is closed and all letters of that are read: what is held in memory goes to the store.
    Settle,
    /// It has: parked sessions go to their homes.
    Stow,
    /// They have: they are saved. Hear the store out, and end.
    End,
}

/// A connection on its way from a listener to its loop.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) stream: Stream,
    pub(crate) remote: SocketAddr,
    pub(crate) door: Door,
    pub(crate) network: u8,
}

/// Which kind of listener it came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// STARTTLS.
    Tcp,
    /// Direct TLS.
    Tls,
}

impl Door {
    /// What the connection will be called.
    pub(crate) fn carrier(self) -> Carrier {
        match self {
            Door::Tcp => Carrier::Tcp,
            Door::Tls => Carrier::Tls,
        }
    }
}

/// What the store thread is written.
pub(crate) enum StoreLetter {
    /// A router asks.
    Request { from: u8, request: store::Request },
    /// A session wants to log in from this address.
    Credentials { from: u8, session: SessionId, address: IpAddr, request: Box<CredentialsRequest> },
    /// So many stanzas of a session's client were handled: for the record, before the client is told.
    Count { from: u8, session: SessionId, upto: u32, op: store::SessionOp },
    /// A session has proved who it is, and its tokens change with that.
    Tokens { from: u8, session: SessionId, change: Box<store::TokenChange> },
    /// A session from this address wants something of accounts.
    Register { from: u8, session: SessionId, address: IpAddr, request: Box<RegisterRequest> },
    /// The same, once the password has become keys.
    Derived { from: u8, session: SessionId, change: Box<store::Op> },
    /// How a log-in from this address went.
    LogIn { address: IpAddr, number: Option<AccountNumber>, succeeded: bool },
    /// The admin socket asks.
    Admin { op: store::Op, answer: Sender<Result<store::Answer, store::StoreError>> },
    /// Commit what came before this, and end.
    Stop,
}
