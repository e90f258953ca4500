//! Accounts: the numbers that somebody is logged in to, and those whose roster was needed lately.
//!
//! Spec: RFC 6121 section 2 (the roster is the account's, not a session's).
//! Owns: the table of accounts, the order in which idle ones are forgotten. Invariants: an account with a line, a
//! waiting input or a write under way is never forgotten; idle ones are at most as many as the configuration says.
//! Not here: reading and writing rosters (`roster`), lines (`line`).

use std::collections::VecDeque;

use hashbrown::HashMap;
use smallvec::SmallVec;
use store::{Roster, RosterItem};
use xmpp::address::AccountNumber;

use crate::features;
use crate::hands::Shared;
use crate::line::{LineFacts, LineId, SessionId};
use crate::numbers::NumberHasher;
use crate::parcel::{OwnedLetter, Place, Undelivered};
use crate::subscription::Standing;
use crate::tag::Tag;
use crate::waiting::Token;

/// A session that waits for its resource.
pub(crate) struct Binding {
    pub(crate) session: SessionId,
    pub(crate) jid: String,
    pub(crate) bare_len: usize,
    pub(crate) facts: LineFacts,
}

impl Binding {
    pub(crate) fn resource(&self) -> &str {
        &self.jid[self.bare_len + 1..]
    }
}

/// An input that waits until the account is loaded.
pub(crate) enum Pending {
    /// A stanza for it.
    Letter(OwnedLetter),
    /// A stanza of one of its sessions.
    Sent { session: SessionId, place: Place, stanza: Box<[u8]> },
    /// The end of a session: what it sent before goes first.
    Unbound { session: SessionId, undelivered: Undelivered },
    /// What came for a session after its end.
    Returned { session: SessionId, stanza: Box<[u8]>, tag: Option<Tag> },
}

/// An account in memory.
pub(crate) struct Account {
    /// Its roster is being read, for the first time or after a write failed; inputs wait.
    pub(crate) loading: bool,
    /// It could not be read: whoever needs it has it read again, and with its last session the account is forgotten.
    pub(crate) unread: bool,
    /// Something that a feature must know could not be read, so the roster will not be taken either.
    pub(crate) unknown: bool,
    pub(crate) roster: Roster,
    /// The hash of its picture (XEP-0153), for its lines' presence.
    pub(crate) photo: Option<Box<str>>,
    pub(crate) lines: SmallVec<[LineId; 4]>,
    pub(crate) binding: Vec<Binding>,
    pub(crate) pending: VecDeque<Pending>,
    /// The latest roster write that has not been answered: what comes after it waits for it.
    pub(crate) last_write: Option<Token>,
    pub(crate) shared: VecDeque<Shared>,
    pub(crate) features: features::AccountStates,
    /// It is in the queue of those that may be forgotten.
    queued: bool,
    /// It was used since it was last looked at there.
    touched: bool,
}

impl Account {
    fn new() -> Self {
        Self {
            loading: true,
            unread: false,
            unknown: false,
            roster: Roster::default(),
            photo: None,
            lines: SmallVec::new(),
            binding: Vec::new(),
            pending: VecDeque::new(),
            last_write: None,
            shared: VecDeque::new(),
            features: features::AccountStates::default(),
            queued: false,
            touched: false,
        }
    }

    fn is_idle(&self) -> bool {
        !self.loading
            && self.lines.is_empty()
            && self.binding.is_empty()
            && self.pending.is_empty()
            && self.last_write.is_none()
            // Some may be on its way back.
            && self.shared.is_empty()
    }

    fn place(&self, contact: &str) -> Result<usize, usize> {
        self.roster.items.binary_search_by(|item| item.contact.as_str().cmp(contact))
    }

    /// The item of a contact, by its bare address.
    pub(crate) fn item(&self, contact: &str) -> Option<&RosterItem> {
        self.place(contact).ok().map(|at| &self.roster.items[at])
    }

    /// Puts an item in memory, as the store is about to keep it.
    pub(crate) fn put_item(&mut self, item: RosterItem) {
        match self.place(item.contact.as_str()) {
            Ok(at) => self.roster.items[at] = item,
            Err(at) => self.roster.items.insert(at, item),
        }
    }

    /// Removes an item from memory, as the store is about to.
    pub(crate) fn remove_item(&mut self, contact: &str) {
        if let Ok(at) = self.place(contact) {
            self.roster.items.remove(at);
        }
    }

    /// How things stand with a contact.
    pub(crate) fn standing(&self, contact: &str) -> Standing {
        self.item(contact).map(standing_of).unwrap_or_default()
    }
}

/// How things stand according to an item.
pub(crate) fn standing_of(item: &RosterItem) -> Standing {
    Standing {
        to: item.subscription.is_to(),
        from: item.subscription.is_from(),
        ask: item.ask,
        pending_in: item.pending_in.is_some(),
        approved: item.approved,
    }
}

/// All accounts in memory.
pub(crate) struct Accounts {
    accounts: HashMap<AccountNumber, Box<Account>, NumberHasher>,
    idle: VecDeque<AccountNumber>,
    idle_max: usize,
}

impl Accounts {
    pub(crate) fn new(hasher: NumberHasher, idle_max: usize) -> Self {
        Self { accounts: HashMap::with_hasher(hasher), idle: VecDeque::new(), idle_max }
    }

    pub(crate) fn get(&self, number: AccountNumber) -> Option<&Account> {
        self.accounts.get(&number).map(|account| &**account)
    }

    pub(crate) fn get_mut(&mut self, number: AccountNumber) -> Option<&mut Account> {
        self.accounts.get_mut(&number).map(|account| {
            account.touched = true;
            &mut **account
        })
    }

    /// A new account, whose loading is up to the caller.
    pub(crate) fn insert(&mut self, number: AccountNumber) -> &mut Account {
        self.accounts.entry(number).or_insert_with(|| Box::new(Account::new()))
    }

    pub(crate) fn numbers(&self) -> Vec<AccountNumber> {
        self.accounts.keys().copied().collect()
    }

    /// Something ended: if nobody uses the account any more, it may be forgotten, and so may the one that was unused
    /// longest (a clock with one bit, as page tables have).
    pub(crate) fn settle(&mut self, number: AccountNumber) {
        if let Some(account) = self.accounts.get_mut(&number)
            && account.is_idle()
        {
            if account.unread {
                self.accounts.remove(&number);
            } else if !account.queued {
                account.queued = true;
                self.idle.push_back(number);
            }
        }
        // Each is looked at twice at most: the second time its bit is clear.
        for _ in 0..2 * self.idle.len() {
            if self.idle.len() <= self.idle_max {
                break;
            }
            let Some(oldest) = self.idle.pop_front() else { break };
            let Some(account) = self.accounts.get_mut(&oldest) else { continue };
            account.queued = false;
            if !account.is_idle() {
                continue;
            }
            if std::mem::take(&mut account.touched) {
                account.queued = true;
                self.idle.push_back(oldest);
            } else {
                self.accounts.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests;
