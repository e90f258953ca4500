//! Lines: the sessions that are bound, each with its resource and its presence.
//!
//! Spec: RFC 6120 section 7 (resources), RFC 6121 section 4 (presence of a resource).
//! Owns: the table of lines. Invariants: a session has one line at most; an account's lines have different resources.
//! Not here: what an account's lines have in common (`account`).

use std::hash::BuildHasher;

use hashbrown::HashTable;
use slab::Slab;
use xmpp::address::AccountNumber;

use crate::features;
use crate::numbers::NumberHasher;
use crate::resume::Resumable;

/// A session, named by the loop on which its carrier lives and a number that this loop never uses again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(u64);

/// Bits that a loop numbers its sessions with: a million a second for eight years.
const LOCAL_BITS: u32 = 48;

impl SessionId {
    /// The session `local` of a loop; of `local` the lower 48 bits count.
    #[must_use]
    pub const fn new(of_loop: u16, local: u64) -> Self {
        Self((of_loop as u64) << LOCAL_BITS | local & ((1 << LOCAL_BITS) - 1))
    }

    /// The loop on which its carrier lives.
    #[must_use]
    pub const fn of_loop(self) -> u16 {
        (self.0 >> LOCAL_BITS) as u16
    }

    /// The number within its loop.
    #[must_use]
    pub const fn local(self) -> u64 {
        self.0 & ((1 << LOCAL_BITS) - 1)
    }

    /// Both.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// The session with these bits, if there is one.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

/// What the router must know of a session when it binds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LineFacts {
    /// The client confirms what it receives (XEP-0198) already; [`Router::handle_acknowledging`] says so later.
    ///
    /// [`Router::handle_acknowledging`]: crate::Router::handle_acknowledging
    pub acknowledging: bool,
    /// What its client asked for along with its resource (XEP-0386): a `<bind xmlns='urn:xmpp:bind:0'/>` with elements
    /// for the features that know them. It makes that the features' answers stand in [`Output::Bound`].
    ///
    /// [`Output::Bound`]: crate::Output::Bound
    pub inline: Option<Box<str>>,
}

/// What happened to an account outside of the router.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountChange {
    /// It may no longer log in.
    Disabled,
    /// It is gone, with all that was kept for it. Its contacts are told as far as they are in memory; whoever knows them
    /// says [`Router::handle_deleted`] instead. Those who are not told now learn it when they ask after it next.
    ///
    /// [`Router::handle_deleted`]: crate::Router::handle_deleted
    Deleted,
    /// It has a new password, so who logged in with the old one must do so again.
    Password,
    /// The same, and this session has set it itself: it stays.
    OwnPassword {
        /// Which.
        by: SessionId,
    },
}

/// An index into the table of lines.
pub(crate) type LineId = usize;

/// A bound session.
pub(crate) struct Line {
    pub(crate) session: SessionId,
    pub(crate) number: AccountNumber,
    /// The full address; the bare one is its beginning.
    jid: Box<str>,
    bare_len: u16,
    /// The client confirms what it receives.
    pub(crate) acknowledging: bool,
    /// It asked for the roster, so it is told of changes (RFC 6121 2.2).
    pub(crate) interested: bool,
    /// It is being closed, and takes nothing any more.
    pub(crate) closing: bool,
    /// It came while the roster was being written or read: requests that wait are shown to it after that.
    pub(crate) requests_due: bool,
    /// Its presence says something of a picture (XEP-0153).
    pub(crate) says_photo: bool,
    /// Meaningful only while there is a presence.
    pub(crate) priority: i8,
    /// The last available presence, from behind the `to` on: ` id='a1'><show>away</show></presence>`.
    pub(crate) presence: Option<Box<[u8]>>,
    /// What it needs to be resumed, where its client wants that.
    pub(crate) resumable: Option<Box<Resumable>>,
    /// Who was sent directed presence (RFC 6121 4.6): full or bare addresses at our domain.
    pub(crate) directed: Box<[Box<str>]>,
    /// What each feature remembers of it.
    pub(crate) features: features::LineStates,
}

impl Line {
    pub(crate) fn new(session: SessionId, number: AccountNumber, jid: String, bare_len: usize) -> Self {
        Self {
            session,
            number,
            jid: jid.into(),
            bare_len: u16::try_from(bare_len).expect("an address is shorter than 3,072 bytes"),
            acknowledging: false,
            interested: false,
            closing: false,
            requests_due: false,
            says_photo: false,
            priority: 0,
            presence: None,
            resumable: None,
            directed: Box::default(),
            features: features::LineStates::default(),
        }
    }

    pub(crate) fn jid(&self) -> &str {
        &self.jid
    }

    pub(crate) fn bare(&self) -> &str {
        &self.jid[..usize::from(self.bare_len)]
    }

    pub(crate) fn resource(&self) -> &str {
        &self.jid[usize::from(self.bare_len) + 1..]
    }

    pub(crate) fn is_available(&self) -> bool {
        self.presence.is_some()
    }

    /// Whether messages for the bare address may come here (RFC 6121 8.5.2.1.1).
    pub(crate) fn takes_messages(&self) -> bool {
        self.is_available() && self.priority >= 0 && !self.closing
    }
}

/// All lines of one router.
pub(crate) struct Lines {
    lines: Slab<Line>,
    by_session: HashTable<LineId>,
    hasher: NumberHasher,
}

impl Lines {
    pub(crate) fn new(hasher: NumberHasher) -> Self {
        Self { lines: Slab::new(), by_session: HashTable::new(), hasher }
    }

    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    pub(crate) fn ids(&self) -> Vec<LineId> {
        self.lines.iter().map(|(id, _)| id).collect()
    }

    pub(crate) fn find(&self, session: SessionId) -> Option<LineId> {
        let hash = self.hasher.hash_one(session.to_bits());
        self.by_session.find(hash, |&id| self.lines[id].session == session).copied()
    }

    pub(crate) fn insert(&mut self, line: Line) -> LineId {
        let hash = self.hasher.hash_one(line.session.to_bits());
        let id = self.lines.insert(line);
        let (lines, hasher) = (&self.lines, &self.hasher);
        self.by_session.insert_unique(hash, id, |&id| hasher.hash_one(lines[id].session.to_bits()));
        id
    }

    /// The line is another session's from now on.
    pub(crate) fn rename(&mut self, id: LineId, session: SessionId) {
        let line = self.remove(id);
        let again = self.insert(Line { session, ..line });
        debug_assert_eq!(again, id, "a slab gives back the place that was freed last");
    }

    pub(crate) fn remove(&mut self, id: LineId) -> Line {
        let session = self.lines[id].session;
        let hash = self.hasher.hash_one(session.to_bits());
        if let Ok(entry) = self.by_session.find_entry(hash, |&other| other == id) {
            entry.remove();
        }
        self.lines.remove(id)
    }
}

impl std::ops::Index<LineId> for Lines {
    type Output = Line;
    fn index(&self, id: LineId) -> &Line {
        &self.lines[id]
    }
}

impl std::ops::IndexMut<LineId> for Lines {
    fn index_mut(&mut self, id: LineId) -> &mut Line {
        &mut self.lines[id]
    }
}
#[cfg(test)]
mod tests {
    use super::Line;
    use crate::account::Account;

    /// An idle session costs the exchange 1 KiB at most (DESIGN 4), of which the router takes its line, its account, two
    /// table entries and its address: half at most.
    #[test]
    fn a_session_is_small() {
        let entries = 2 * (size_of::<usize>() + 1) + size_of::<u64>();
        let address = "10001@localhost/".len() + 16;
        let all = size_of::<Line>() + size_of::<Account>() + entries + address;
        assert!(all <= 512, "{all} bytes");
    }
}
