//! What the exchange must not forget: accounts, rosters, messages for who is away.
//!
//! Spec: RFC 6121 section 2 (rosters) and 3 (subscriptions); RFC 5802 and 7677 (what is kept of a password);
//! XEP-0160 (messages for who is away).
//! Owns: the request and reply types, the data folder and its lock, the back ends.
//! Invariants: a reply exists only once what it says would survive a power cut; requests of one batch take effect in
//! their order, and a later request sees what an earlier one wrote; a refused request changes nothing.
//! Not here: threads (the server runs a back end on one of its own), who may do what (the router), hashing of passwords
//! (`session`).
//!
//! The store is IO, so nothing calls it: the router returns a [`Request`], the server gathers those that wait into a
//! batch and hands it to [`Backend::run`] on the store's thread, and each [`Reply`] comes back to the router as its next
//! input. One batch is one group commit: a hundred messages cost one `fsync`, and none is acknowledged before it.
//!
//! Reading order: this file, then [`account`], [`token`], [`roster`], [`offline`], [`archive`], [`document`] for what is
//! kept; [`folder`] for where;
//! [`memory`] for what each operation means, in the plainest words; [`sqlite`] for how it is kept.

#![forbid(unsafe_code)]

pub mod account;
pub mod archive;
#[cfg(test)]
#[cfg(feature = "sqlite")]
mod contract;
pub mod document;
pub mod error;
pub mod folder;
mod handled;
pub mod invite;
pub mod limits;
pub mod memory;
pub mod offline;
pub mod pep;
pub mod roster;
pub mod session;
#[cfg(feature = "sqlite")]
pub mod sqlite;
pub mod token;
pub mod whole_file;

use xmpp::address::{AccountNumber, BareJid};
use xmpp::time::Wallclock;

pub use account::{Account, AccountState, Credentials, ScramKeys};
pub use archive::{ArchiveId, ArchiveOp, ArchivePage, ArchivePaging, ArchiveQuery, ArchiveRow};
pub use document::{DocumentOp, Quota, Space};
pub use error::StoreError;
pub use folder::{Folder, FolderError};
pub use invite::{Invite, InviteMark};
pub use limits::Limits;
pub use memory::Memory;
pub use offline::{OfflineId, OfflinePage, OfflineRow};
pub use pep::PepOp;
pub use roster::{Roster, RosterItem, Subscription};
pub use session::{Counts, Left, Origin, SavedSession, SessionOp};
#[cfg(feature = "sqlite")]
pub use sqlite::Sqlite;
pub use token::{Authority, NewToken, Token, TokenChange};
pub use whole_file::WholeFile;

/// Something to be kept or looked up. The token comes back in the [`Reply`]; the store does not look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The asker's own mark.
    pub token: u64,
    /// What is asked.
    pub op: Op,
}

/// The answer to the [`Request`] with the same token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The asker's own mark.
    pub token: u64,
    /// What came of it. An error means that nothing was changed.
    pub answer: Result<Answer, StoreError>,
}

/// What can be asked of the store. Each says which [`Answer`] it gets; any may get [`StoreError::Full`] or
/// [`StoreError::Failed`] besides the errors it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Makes an account: [`Answer::Created`], or [`StoreError::NumberTaken`].
    CreateAccount {
        /// This number; otherwise the first free one from [`AccountNumber::FIRST`] up. A number that was ever in use
        /// is never free again; one that an invite holds is not free until that has expired.
        number: Option<AccountNumber>,
        /// What people may call it.
        name: Option<String>,
        /// Boxed, so that the ops of every message stay small.
        credentials: Box<Credentials>,
    },
    /// One account: [`Answer::Account`].
    LoadAccount {
        /// Whose.
        number: AccountNumber,
    },
    /// Accounts in order of their numbers: [`Answer::Accounts`], at most [`limits::ACCOUNTS_PAGE_MAX`] at a time.
    ListAccounts {
        /// Only numbers above this one.
        after: Option<AccountNumber>,
        /// How many at most.
        limit: u32,
    },
    /// What a log-in is checked against: [`Answer::Credentials`].
    LoadCredentials {
        /// Whose.
        number: AccountNumber,
    },
    /// A new password, so no token of the old one is good any more: [`Answer::Done`], or [`StoreError::NoSuchAccount`].
    SetCredentials {
        /// Whose.
        number: AccountNumber,
        /// Boxed, so that the ops of every message stay small.
        credentials: Box<Credentials>,
    },
    /// Enables or disables, which ends every token: [`Answer::Done`], or [`StoreError::NoSuchAccount`].
    SetEnabled {
        /// Whose.
        number: AccountNumber,
        /// A disabled account cannot log in; what was kept for it stays.
        enabled: bool,
    },
    /// Makes an invite: [`Answer::Invite`], or [`StoreError::NumberTaken`], or [`StoreError::QuotaExceeded`] beyond
    /// [`invite::INVITES_MAX`].
    CreateInvite {
        /// What it is to be known by.
        mark: InviteMark,
        /// Which number it holds back until it expires.
        hold: Hold,
        /// Until when.
        expires: Wallclock,
        /// Who invites.
        inviter: Option<AccountNumber>,
    },
    /// An invite that has not expired: [`Answer::Invite`] with its number, which it is given now if it has none, or
    /// [`StoreError::NoSuchItem`].
    ShowInvite {
        /// Which.
        mark: InviteMark,
    },
    /// Every invite that has not expired, those that expire first in front: [`Answer::Invites`].
    ListInvites,
    /// Takes back the invite that holds this number: [`Answer::Done`], or [`StoreError::NoSuchItem`].
    RevokeInvite {
        /// Which number.
        number: AccountNumber,
    },
    /// Makes the account that an invite holds the number for, and uses the invite up: [`Answer::Invite`], or
    /// [`StoreError::NoSuchItem`] if there is no such invite (any more), or it holds another number or none.
    AcceptInvite {
        /// Which.
        mark: InviteMark,
        /// The number that is asked for.
        number: AccountNumber,
        /// Boxed, so that the ops of every message stay small.
        credentials: Box<Credentials>,
    },
    /// Lets it do what an operator may, or no longer: [`Answer::Done`], or [`StoreError::NoSuchAccount`].
    SetAdmin {
        /// Whose.
        number: AccountNumber,
        /// Whether it may.
        admin: bool,
    },
    /// The tokens of one client (XEP-0484): [`Answer::Tokens`].
    LoadTokens {
        /// Whose.
        number: AccountNumber,
        /// Which client's.
        agent: token::AgentMark,
    },
    /// Changes a client's tokens: [`Answer::Done`], or [`StoreError::NoSuchItem`] if what the client proved is not so
    /// (any more): the account gone or disabled, another password, a token forgotten, a count that is not higher.
    ChangeTokens(Box<TokenChange>),
    /// Forgets every token of the account: [`Answer::Done`], or [`StoreError::NoSuchAccount`].
    RevokeTokens {
        /// Whose.
        number: AccountNumber,
    },
    /// Names or un-names: [`Answer::Done`], or [`StoreError::NoSuchAccount`].
    SetName {
        /// Whose.
        number: AccountNumber,
        /// The new name.
        name: Option<String>,
    },
    /// Forgets the account, its roster and its messages, but not that the number was used: [`Answer::Done`], or
    /// [`StoreError::NoSuchAccount`].
    DeleteAccount {
        /// Whose.
        number: AccountNumber,
    },

    /// The whole roster: [`Answer::Roster`], or [`StoreError::NoSuchAccount`].
    LoadRoster {
        /// Whose.
        number: AccountNumber,
    },
    /// Adds or replaces the item of one contact: [`Answer::RosterVersion`], or [`StoreError::NoSuchAccount`], or
    /// [`StoreError::QuotaExceeded`] for a new contact beyond [`Limits::roster_items_max`].
    PutRosterItem {
        /// Whose.
        number: AccountNumber,
        /// Boxed, so that the ops of every message stay small.
        item: Box<RosterItem>,
    },
    /// Removes the item of one contact: [`Answer::RosterVersion`], or [`StoreError::NoSuchAccount`], or
    /// [`StoreError::NoSuchItem`].
    RemoveRosterItem {
        /// Whose.
        number: AccountNumber,
        /// Which.
        contact: BareJid,
    },

    /// Keeps a stanza for who is away: [`Answer::Pushed`], or [`StoreError::NoSuchAccount`], or
    /// [`StoreError::QuotaExceeded`] beyond [`Limits::offline_rows_max`] or [`Limits::offline_bytes_max`].
    PushOffline {
        /// For whom.
        number: AccountNumber,
        /// When the exchange received it (XEP-0203).
        stamp: Wallclock,
        /// The stanza, ready for delivery.
        stanza: Vec<u8>,
    },
    /// What is kept, oldest first: [`Answer::Offline`], or [`StoreError::NoSuchAccount`].
    LoadOffline {
        /// For whom.
        number: AccountNumber,
        /// Only rows above this one; `OfflineId(0)` is below all.
        after: OfflineId,
        /// How many at most; a page also ends at [`limits::OFFLINE_PAGE_ROWS_MAX`] rows and once it holds
        /// [`limits::OFFLINE_PAGE_BYTES_MAX`] bytes.
        limit: u32,
    },
    /// Forgets the rows from `first` to `last`, both included, since they arrived: [`Answer::Done`], or
    /// [`StoreError::NoSuchAccount`]. Rows that are gone already are no error.
    DeleteOffline {
        /// For whom.
        number: AccountNumber,
        /// The first to go.
        first: OfflineId,
        /// The last to go.
        last: OfflineId,
    },
    /// How much is kept: [`Answer::OfflineCount`], or [`StoreError::NoSuchAccount`].
    CountOffline {
        /// For whom.
        number: AccountNumber,
    },

    /// Something about the archive.
    Archive(ArchiveOp),
    /// Something about a document.
    Document(DocumentOp),
    /// Something about nodes and items.
    Pep(PepOp),
    /// Something about a session that may be resumed.
    Session(SessionOp),
    /// What a stanza of such a session asked for: answered as if asked alone. Unless it is refused, the session's record
    /// counts the stanza in the same commit.
    OnBehalf(Box<(Origin, Op)>),
}

/// Which number an invite holds back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// The first free one.
    First,
    /// This one.
    This(AccountNumber),
    /// None, until it is shown for the first time.
    Later,
}

/// What the store answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is so, and stays so.
    Done,
    /// The new account's number.
    Created(AccountNumber),
    /// The account, if there is one.
    Account(Option<Box<Account>>),
    /// A page of accounts.
    Accounts {
        /// In order of their numbers.
        accounts: Vec<Account>,
        /// Whether there are more above the last.
        more: bool,
    },
    /// What a log-in is checked against, and whether it may log in at all; none if there is no such account.
    Credentials(Option<(AccountState, Box<Credentials>)>),
    /// An invite.
    Invite(Invite),
    /// Invites.
    Invites(Vec<Invite>),
    /// A client's tokens, at most two, and whether the account may log in at all; none if there is no such account.
    Tokens(Option<(AccountState, Vec<Token>)>),
    /// The roster.
    Roster(Roster),
    /// The roster's version after the change (RFC 6121 2.6).
    RosterVersion(u64),
    /// The row's id.
    Pushed(OfflineId),
    /// A page of what is kept.
    Offline(OfflinePage),
    /// How much is kept.
    OfflineCount {
        /// How many stanzas.
        rows: u64,
        /// Their bytes together.
        bytes: u64,
    },
    /// A page of the archive.
    Archive(ArchivePage),
    /// The first and the last id of the archive, if there is anything in it.
    ArchiveEnds(Option<(ArchiveId, ArchiveId)>),
    /// What a sweep did.
    Swept {
        /// Nothing is left for now; otherwise the next sweep goes on.
        done: bool,
    },
    /// A document, if it is there.
    Document(Option<Vec<u8>>),
    /// Names of documents.
    DocumentNames(Vec<Box<str>>),
    /// Nodes, by name, each with its configuration.
    Nodes(Vec<(Box<str>, Vec<u8>)>),
    /// Items, oldest first.
    Items(Vec<pep::Item>),
    /// How many stanzas of a session were handled, and which beyond.
    Handled(Option<Left>),
    /// Sessions that were saved.
    Sessions(Vec<SavedSession>),
}

/// Whatever keeps things: [`Sqlite`] for real, [`Memory`] as its measure.
pub trait Backend: Send {
    /// Performs a batch as one group commit: drains `batch` in order and appends one reply for each request, in the same
    /// order, to `replies`. When it returns, all that the replies say is durable.
    ///
    /// Both vectors are the caller's, so that a warm store allocates neither.
    fn run(&mut self, now: Wallclock, batch: &mut Vec<Request>, replies: &mut Vec<Reply>);

    /// Performs one request alone, for who has no batch to gather: the command line, a test.
    fn run_one(&mut self, now: Wallclock, op: Op) -> Result<Answer, StoreError> {
        let mut batch = vec![Request { token: 0, op }];
        let mut replies = Vec::with_capacity(1);
        self.run(now, &mut batch, &mut replies);
        replies.pop().expect("a back end answers each request").answer
    }
}
