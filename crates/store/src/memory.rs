//! The reference back end: what each operation means, in maps and vectors. It forgets everything when it is dropped.
//!
//! Owns: everything it keeps. Invariants: the same as SQLite's, which `contract` checks by asking both the same.
//! Not here: durability.

pub(crate) mod archive;
mod pep;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use xmpp::address::{AccountNumber, BareJid};
use xmpp::time::Wallclock;

use crate::handled::{Added, Handled, Over};
use crate::invite::{GRACE, INVITES_MAX};
use crate::limits::{ACCOUNTS_PAGE_MAX, OFFLINE_PAGE_BYTES_MAX, OFFLINE_PAGE_ROWS_MAX};
use crate::token::{AGENTS_MAX, AgentMark};
use crate::{
    Account, AccountState, Answer, ArchiveOp, Authority, Backend, Credentials, DocumentOp, Hold, Invite,
    InviteMark, Left, Limits, OfflineId, OfflinePage, OfflineRow, Op, PepOp, Reply, Request, Roster,
    RosterItem, SavedSession, SessionOp, Space, StoreError, Token, TokenChange,
};
use archive::Archive;

/// A store that lives as long as its process.
#[derive(Debug)]
pub struct Memory {
    limits: Limits,
    /// By number. A deleted account leaves `None`, so that its number is never given out again.
    accounts: BTreeMap<u64, Option<Kept>>,
    invites: BTreeMap<InviteMark, Invite>,
    /// No number from [`AccountNumber::FIRST`] to below this one is free.
    first_free: u64,
    /// The last number that a sweep of the archives looked at.
    swept: u64,
    sessions: BTreeMap<u64, Session>,
    over: Over,
}

/// The record of a session.
#[derive(Debug)]
struct Session {
    number: AccountNumber,
    handled: Handled,
    /// Marks of what had been had when an exchange died.
    had: BTreeSet<u64>,
    /// When it is forgotten; none while it lives.
    until: Option<Wallclock>,
    saved: Option<Box<SavedSession>>,
}

impl Session {
    fn new(number: AccountNumber, handled: Handled) -> Self {
        Self { number, handled, had: BTreeSet::new(), until: None, saved: None }
    }
}

#[derive(Debug)]
struct Kept {
    account: Account,
    credentials: Credentials,
    tokens: BTreeMap<AgentMark, Vec<Token>>,
    roster_version: u64,
    roster: BTreeMap<BareJid, RosterItem>,
    offline: BTreeMap<u64, OfflineRow>,
    offline_bytes: u64,
    offline_last: u64,
    archive: Archive,
    documents: BTreeMap<(Space, Box<str>), Vec<u8>>,
    nodes: pep::Nodes,
}

impl Memory {
    /// An empty store.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            accounts: BTreeMap::new(),
            invites: BTreeMap::new(),
            first_free: AccountNumber::FIRST.get(),
            swept: 0,
            sessions: BTreeMap::new(),
            over: Over::default(),
        }
    }

    fn apply(&mut self, now: Wallclock, op: Op) -> Result<Answer, StoreError> {
        match op {
            Op::CreateAccount { number, name, credentials } => self.create(now, number, name, *credentials),
            Op::LoadAccount { number } => {
                Ok(Answer::Account(self.kept(number).ok().map(|kept| Box::new(kept.account.clone()))))
            }
            Op::ListAccounts { after, limit } => Ok(self.list(after, limit)),
            Op::LoadCredentials { number } => Ok(Answer::Credentials(
                self.kept(number).ok().map(|kept| (kept.account.state, Box::new(kept.credentials.clone()))),
            )),
            Op::SetCredentials { number, credentials } => {
                let kept = self.kept_mut(number)?;
                kept.credentials = *credentials;
                kept.tokens.clear();
                Ok(Answer::Done)
            }
            Op::SetEnabled { number, enabled } => {
                let kept = self.kept_mut(number)?;
                kept.account.state = if enabled { AccountState::Enabled } else { AccountState::Disabled };
                if !enabled {
                    kept.tokens.clear();
                }
                Ok(Answer::Done)
            }
            Op::CreateInvite { mark, hold, expires, inviter } => {
                self.invites.retain(|_, invite| invite.expires + GRACE > now);
                if self.invites.len() as u64 >= INVITES_MAX {
                    return Err(StoreError::QuotaExceeded);
                }
                let number = match hold {
                    Hold::Later => None,
                    Hold::First => Some(self.first_number(now)?),
                    Hold::This(number) if self.is_free(now, number.get()) => Some(number),
                    Hold::This(_) => return Err(StoreError::NumberTaken),
                };
                let invite = Invite { mark, number, expires, inviter };
                self.invites.insert(mark, invite.clone());
                Ok(Answer::Invite(invite))
            }
            Op::ShowInvite { mark } => {
                let invite = self.invites.get(&mark).filter(|invite| invite.expires > now);
                let mut invite = invite.ok_or(StoreError::NoSuchItem)?.clone();
                if invite.number.is_none() {
                    invite.number = Some(self.first_number(now)?);
                    self.invites.insert(mark, invite.clone());
                }
                Ok(Answer::Invite(invite))
            }
            Op::ListInvites => {
                let mut invites: Vec<_> =
                    self.invites.values().filter(|invite| invite.expires > now).cloned().collect();
                invites.sort_by_key(|invite| (invite.expires, invite.mark));
                Ok(Answer::Invites(invites))
            }
            Op::RevokeInvite { number } => {
                let held = |invite: &&Invite| invite.number == Some(number) && invite.expires > now;
                let mark = self.invites.values().find(held).ok_or(StoreError::NoSuchItem)?.mark;
                self.invites.remove(&mark);
                Ok(Answer::Done)
            }
            Op::AcceptInvite { mark, number, credentials } => {
                let fits = |invite: &&Invite| invite.number == Some(number) && invite.expires + GRACE > now;
                let invite = self.invites.get(&mark).filter(fits);
                let invite = invite.ok_or(StoreError::NoSuchItem)?.clone();
                self.invites.remove(&mark);
                // It was held back, so it is free now.
                self.create(now, Some(number), None, *credentials)?;
                Ok(Answer::Invite(invite))
            }
            Op::SetAdmin { number, admin } => {
                self.kept_mut(number)?.account.admin = admin;
                Ok(Answer::Done)
            }
            Op::LoadTokens { number, agent } => Ok(Answer::Tokens(
                self.kept(number)
                    .ok()
                    .map(|kept| (kept.account.state, kept.tokens.get(&agent).cloned().unwrap_or_default())),
            )),
            Op::ChangeTokens(change) => {
                let kept = self.kept_mut(change.number).map_err(|_| StoreError::NoSuchItem)?;
                kept.change_tokens(now, &change)
            }
            Op::RevokeTokens { number } => {
                self.kept_mut(number)?.tokens.clear();
                Ok(Answer::Done)
            }
            Op::SetName { number, name } => {
                self.kept_mut(number)?.account.name = name;
                Ok(Answer::Done)
            }
            Op::DeleteAccount { number } => {
                self.kept(number)?;
                self.sessions.retain(|_, session| session.number != number);
                self.accounts.insert(number.get(), None);
                Ok(Answer::Done)
            }
            Op::LoadRoster { number } => {
                let kept = self.kept(number)?;
                let items = kept.roster.values().cloned().collect();
                Ok(Answer::Roster(Roster { version: kept.roster_version, items }))
            }
            Op::PutRosterItem { number, item } => {
                let items_max = self.limits.roster_items_max;
                self.kept_mut(number)?.put(*item, items_max)
            }
            Op::RemoveRosterItem { number, contact } => self.kept_mut(number)?.remove(&contact),
            Op::PushOffline { number, stamp, stanza } => {
                let limits = self.limits;
                self.kept_mut(number)?.push(limits, stamp, stanza)
            }
            Op::LoadOffline { number, after, limit } => Ok(self.kept(number)?.page(after, limit)),
            Op::DeleteOffline { number, first, last } => {
                self.kept_mut(number)?.forget(first, last);
                Ok(Answer::Done)
            }
            Op::CountOffline { number } => {
                let kept = self.kept(number)?;
                Ok(Answer::OfflineCount { rows: kept.offline.len() as u64, bytes: kept.offline_bytes })
            }
            Op::Archive(op) => self.apply_archive(now, op),
            Op::Document(op) => self.apply_document(op),
            Op::Pep(op) => self.apply_pep(op),
            Op::Session(op) => Ok(self.apply_session(now, op)),
            Op::OnBehalf(asked) => {
                let (origin, op) = *asked;
                // What it added is told by its name, not by its text.
                let asked = op.clone();
                let answer = self.apply(now, op)?;
                let added = Added::by(&asked, &answer);
                if let Some(session) = self.session(origin.key, origin.number) {
                    session.handled.note(&origin, added);
                }
                Ok(answer)
            }
        }
    }

    fn apply_archive(&mut self, now: Wallclock, op: ArchiveOp) -> Result<Answer, StoreError> {
        let limits = self.limits;
        let floor = crate::archive::floor(now, limits.archive_keep);
        match op {
            ArchiveOp::Append { number, id, with, stanza } => {
                self.kept_mut(number)?.archive.append(now, &limits, id, with, stanza);
                Ok(Answer::Done)
            }
            ArchiveOp::Page { number, query } => self.kept(number)?.archive.page(floor, &query),
            ArchiveOp::Pick { number, ids } => self.kept(number)?.archive.pick(floor, &ids),
            ArchiveOp::Ends { number } => Ok(self.kept(number)?.archive.ends(floor)),
            ArchiveOp::Sweep { rows_max } => {
                let mut left = u64::from(rows_max);
                let accounts = self.accounts.range_mut(self.swept + 1..);
                let archives =
                    accounts.filter_map(|(number, kept)| Some((*number, &mut kept.as_mut()?.archive)));
                for (number, archive) in archives.filter(|(_, archive)| archive.exists()) {
                    left -= archive.sweep(floor, left);
                    if left == 0 {
                        return Ok(Answer::Swept { done: false });
                    }
                    self.swept = number;
                }
                self.swept = 0;
                Ok(Answer::Swept { done: true })
            }
        }
    }

    /// The record of a session, begun if need be; none if it is over.
    fn session(&mut self, key: u64, number: AccountNumber) -> Option<&mut Session> {
        if !self.sessions.contains_key(&key) && self.over.has(key) {
            return None;
        }
        let new = || Session::new(number, Handled::default());
        Some(self.sessions.entry(key).or_insert_with(new))
    }

    /// As if it had never been added. Whose it was may be gone.
    fn take_back(&mut self, added: Added) {
        match added {
            Added::Offline(number, id) => {
                if let Ok(kept) = self.kept_mut(number) {
                    kept.forget(id, id);
                }
            }
            Added::Archived(number, id) => {
                if let Ok(kept) = self.kept_mut(number) {
                    kept.archive.take_back(id);
                }
            }
        }
    }

    /// Whether a message is in its recipient's queue.
    fn waits(&self, number: AccountNumber, id: OfflineId) -> bool {
        self.kept(number).is_ok_and(|kept| kept.offline.contains_key(&id.0))
    }

    fn apply_session(&mut self, now: Wallclock, op: SessionOp) -> Answer {
        match op {
            SessionOp::Begin { until } => {
                let mut uncovered = Vec::new();
                for (key, session) in &mut self.sessions {
                    uncovered.extend(session.handled.uncovered().map(|uncovered| (*key, uncovered)));
                    session.handled = Handled::new(session.handled.h);
                }
                for (key, uncovered) in uncovered {
                    let Ok(had) = uncovered.had(|number, id| Ok::<_, Infallible>(self.waits(number, id)));
                    match (had, self.sessions.get_mut(&key)) {
                        (Some(mark), Some(session)) => drop(session.had.insert(mark)),
                        _ => uncovered.added.into_iter().for_each(|added| self.take_back(added)),
                    }
                }
                self.over = Over::default();
                self.sessions.retain(|_, session| session.until.is_none_or(|until| until > now));
                for session in self.sessions.values_mut() {
                    session.until.get_or_insert(until);
                }
                Answer::Done
            }
            SessionOp::Count { key, number, h } => {
                if let Some(session) = self.session(key, number) {
                    session.handled.raise(h);
                }
                Answer::Done
            }
            SessionOp::Handled { key, number } => {
                let known = self.sessions.get(&key).filter(|session| session.number == number);
                Answer::Handled(
                    known.map(|session| Left {
                        h: session.handled.h,
                        had: session.had.iter().copied().collect(),
                    }),
                )
            }
            SessionOp::CameAgain { key, mark } => {
                if let Some(session) = self.sessions.get_mut(&key) {
                    session.had.remove(&mark);
                }
                Answer::Done
            }
            SessionOp::Forget { key } => {
                self.sessions.remove(&key);
                self.over.add(key);
                Answer::Done
            }
            SessionOp::Save(saved) => {
                let (number, handled) = (saved.number, Handled::new(saved.h()));
                let (key, until) = (saved.key, Some(saved.until));
                self.sessions
                    .insert(key, Session { until, saved: Some(saved), ..Session::new(number, handled) });
                Answer::Done
            }
            SessionOp::Take { limit } => {
                let mut taken = Vec::new();
                for session in self.sessions.values_mut() {
                    if taken.len() < limit as usize
                        && let Some(saved) = session.saved.take()
                    {
                        session.until = None;
                        taken.push(*saved);
                    }
                }
                Answer::Sessions(taken)
            }
        }
    }

    fn apply_pep(&mut self, op: PepOp) -> Result<Answer, StoreError> {
        let (PepOp::Nodes { number }
        | PepOp::PutNode { number, .. }
        | PepOp::DeleteNode { number, .. }
        | PepOp::Publish { number, .. }
        | PepOp::Retract { number, .. }
        | PepOp::Purge { number, .. }
        | PepOp::Items { number, .. }) = op;
        match (self.kept_mut(number), &op) {
            (Ok(kept), _) => kept.nodes.apply(op),
            (Err(_), PepOp::Nodes { .. }) => Ok(Answer::Nodes(Vec::new())),
            (Err(_), PepOp::Items { .. }) => Ok(Answer::Items(Vec::new())),
            (Err(error), _) => Err(error),
        }
    }

    fn apply_document(&mut self, op: DocumentOp) -> Result<Answer, StoreError> {
        match op {
            DocumentOp::Load { number, space, name } => Ok(Answer::Document(
                self.kept(number).ok().and_then(|kept| kept.documents.get(&(space, name)).cloned()),
            )),
            DocumentOp::Names { number, space } => {
                let kept = self.kept(number).ok();
                let names = kept.into_iter().flat_map(|kept| kept.documents.keys());
                let ours = names.filter(|(other, _)| *other == space);
                Ok(Answer::DocumentNames(ours.map(|(_, name)| name.clone()).collect()))
            }
            DocumentOp::Put { number, space, name, value, quota } => {
                let kept = self.kept_mut(number)?;
                let key = (space, name);
                let others = || kept.documents.iter().filter(|(other, _)| other.0 == space && **other != key);
                let bytes: usize = others().map(|(_, value)| value.len()).sum();
                if others().count() as u64 >= quota.documents_max
                    || (bytes + value.len()) as u64 > quota.bytes_max
                {
                    return Err(StoreError::QuotaExceeded);
                }
                kept.documents.insert(key, value);
                Ok(Answer::Done)
            }
            DocumentOp::Remove { number, space, name } => {
                if let Ok(kept) = self.kept_mut(number) {
                    kept.documents.remove(&(space, name));
                }
                Ok(Answer::Done)
            }
        }
    }

    fn is_free(&self, now: Wallclock, number: u64) -> bool {
        let held = |invite: &Invite| {
            invite.number.is_some_and(|held| held.get() == number) && invite.expires + GRACE > now
        };
        !self.accounts.contains_key(&number) && !self.invites.values().any(held)
    }

    fn first_number(&mut self, now: Wallclock) -> Result<AccountNumber, StoreError> {
        while self.accounts.contains_key(&self.first_free) {
            self.first_free += 1;
        }
        // What is only held may become free again, and is looked at each time.
        let mut number = self.first_free;
        while !self.is_free(now, number) {
            number += 1;
        }
        AccountNumber::new(number).ok_or(StoreError::NumberTaken)
    }

    fn kept(&self, number: AccountNumber) -> Result<&Kept, StoreError> {
        self.accounts.get(&number.get()).and_then(Option::as_ref).ok_or(StoreError::NoSuchAccount)
    }

    fn kept_mut(&mut self, number: AccountNumber) -> Result<&mut Kept, StoreError> {
        self.accounts.get_mut(&number.get()).and_then(Option::as_mut).ok_or(StoreError::NoSuchAccount)
    }

    fn create(
        &mut self,
        now: Wallclock,
        number: Option<AccountNumber>,
        name: Option<String>,
        credentials: Credentials,
    ) -> Result<Answer, StoreError> {
        let number = match number {
            Some(number) if !self.is_free(now, number.get()) => return Err(StoreError::NumberTaken),
            Some(number) => number,
            None => self.first_number(now)?,
        };
        let kept = Kept {
            account: Account { number, name, state: AccountState::Enabled, created: now, admin: false },
            credentials,
            tokens: BTreeMap::new(),
            roster_version: 0,
            roster: BTreeMap::new(),
            offline: BTreeMap::new(),
            offline_bytes: 0,
            offline_last: 0,
            archive: Archive::default(),
            documents: BTreeMap::new(),
            nodes: pep::Nodes::default(),
        };
        self.accounts.insert(number.get(), Some(kept));
        Ok(Answer::Created(number))
    }

    fn list(&self, after: Option<AccountNumber>, limit: u32) -> Answer {
        let limit = limit.min(ACCOUNTS_PAGE_MAX) as usize;
        let from = after.map_or(0, |number| number.get() + 1);
        let mut rest = self.accounts.range(from..).filter_map(|(_, kept)| kept.as_ref());
        let accounts = rest.by_ref().take(limit).map(|kept| kept.account.clone()).collect();
        Answer::Accounts { accounts, more: rest.next().is_some() }
    }
}

impl Kept {
    fn change_tokens(&mut self, now: Wallclock, change: &TokenChange) -> Result<Answer, StoreError> {
        if self.account.state != AccountState::Enabled {
            return Err(StoreError::NoSuchItem);
        }
        let mut tokens = self.tokens.get(&change.agent).cloned().unwrap_or_default();
        match &change.authority {
            Authority::Password(mark) if *mark == self.credentials.mark() => {}
            Authority::Password(_) => return Err(StoreError::NoSuchItem),
            Authority::Token { nonce, count } => {
                let used = tokens.iter_mut().find(|token| token.nonce == *nonce);
                let used = used.ok_or(StoreError::NoSuchItem)?;
                if count.is_some_and(|count| count <= used.count) {
                    return Err(StoreError::NoSuchItem);
                }
                used.count = count.unwrap_or(used.count);
                if std::mem::take(&mut used.fresh) {
                    tokens.retain(|token| token.nonce == *nonce);
                }
                if change.forget {
                    tokens.clear();
                }
            }
        }
        if let Some(new) = &change.issue {
            tokens.retain(|token| !token.fresh);
            tokens.push(new.kept());
        }
        self.tokens.insert(change.agent, tokens);
        self.tokens.retain(|_, tokens| {
            tokens.retain(|token| token.expires > now);
            !tokens.is_empty()
        });
        while self.tokens.len() > AGENTS_MAX {
            let last = |tokens: &Vec<Token>| tokens.iter().map(|token| token.expires).max();
            let oldest = self.tokens.iter().map(|(agent, tokens)| (last(tokens), *agent)).min();
            let (_, agent) = oldest.expect("there are too many");
            self.tokens.remove(&agent);
        }
        Ok(Answer::Done)
    }

    fn put(&mut self, item: RosterItem, items_max: u64) -> Result<Answer, StoreError> {
        let before = self.roster.get(&item.contact);
        if before.is_none() && self.roster.len() as u64 >= items_max {
            return Err(StoreError::QuotaExceeded);
        }
        if item.listed || before.is_some_and(|before| before.listed) {
            self.roster_version += 1;
        }
        self.roster.insert(item.contact.clone(), item);
        Ok(Answer::RosterVersion(self.roster_version))
    }

    fn remove(&mut self, contact: &BareJid) -> Result<Answer, StoreError> {
        let removed = self.roster.remove(contact).ok_or(StoreError::NoSuchItem)?;
        self.roster_version += u64::from(removed.listed);
        Ok(Answer::RosterVersion(self.roster_version))
    }

    fn push(&mut self, limits: Limits, stamp: Wallclock, stanza: Vec<u8>) -> Result<Answer, StoreError> {
        let bytes = self.offline_bytes + stanza.len() as u64;
        if self.offline.len() as u64 >= limits.offline_rows_max || bytes > limits.offline_bytes_max {
            return Err(StoreError::QuotaExceeded);
        }
        self.offline_bytes = bytes;
        self.offline_last += 1;
        let id = OfflineId(self.offline_last);
        self.offline.insert(id.0, OfflineRow { id, stamp, stanza });
        Ok(Answer::Pushed(id))
    }

    fn page(&self, after: OfflineId, limit: u32) -> Answer {
        let limit = limit.min(OFFLINE_PAGE_ROWS_MAX) as usize;
        let mut rest = self.offline.range(after.0.saturating_add(1)..).map(|(_, row)| row);
        let (mut rows, mut bytes) = (Vec::new(), 0);
        while rows.len() < limit && bytes < OFFLINE_PAGE_BYTES_MAX {
            let Some(row) = rest.next() else { break };
            bytes += row.stanza.len() as u64;
            rows.push(row.clone());
        }
        Answer::Offline(OfflinePage { rows, more: rest.next().is_some() })
    }

    fn forget(&mut self, first: OfflineId, last: OfflineId) {
        if first > last {
            return;
        }
        let gone: Vec<u64> = self.offline.range(first.0..=last.0).map(|(&id, _)| id).collect();
        for id in gone {
            let row = self.offline.remove(&id).expect("just seen");
            self.offline_bytes -= row.stanza.len() as u64;
        }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Backend for Memory {
    fn run(&mut self, now: Wallclock, batch: &mut Vec<Request>, replies: &mut Vec<Reply>) {
        for Request { token, op } in batch.drain(..) {
            replies.push(Reply { token, answer: self.apply(now, op) });
        }
    }
}
