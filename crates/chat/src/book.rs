//! The book: every conversation, its messages in order, who is there, who is blocked.
//!
//! Owns: what is shown. Invariants: a message is in a conversation once, whichever ways it came (live, carbon, archive);
//! messages are in the order of their times, those of one time in the order in which they came; each conversation keeps at
//! most [`ENTRIES_MAX`], the newest; there are at most [`CONVERSATIONS_MAX`].
//! Not here: what the server said (`talk`), how it looks (`view`).

use std::collections::{BTreeMap, BTreeSet};

use xmpp::time::{Instant, Wallclock};

use crate::entry::{Entry, Mark};

/// Messages kept of one conversation; older ones can be asked for again.
pub const ENTRIES_MAX: usize = 5_000;
/// Conversations; a stranger who opens more is not shown.
pub const CONVERSATIONS_MAX: usize = 2_000;

/// How someone is, as far as we may know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Presence {
    /// Away from every device, or not to be known.
    #[default]
    Offline,
    /// There, but not looking.
    Away,
    /// Not to be disturbed.
    Busy,
    /// There.
    Online,
}

/// What the roster says of someone (RFC 6121 2.1.2.5, and 3.1 for the request).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// Not in the roster.
    #[default]
    Stranger,
    /// They ask to see our presence.
    Asks,
    /// We have asked, and wait.
    Asked,
    /// In the roster, without a full subscription.
    Listed,
    /// Both see each other.
    Contact,
}

/// How much of the archive has been read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// The archive's mark of the oldest message that was read from it.
    pub oldest: Option<String>,
    /// There is nothing older.
    pub complete: bool,
    /// A page was asked for.
    pub asked: bool,
}

/// A conversation with one address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conversation {
    /// What the roster calls them.
    pub name: Option<String>,
    /// What the roster says.
    pub standing: Standing,
    /// Nothing comes from them.
    pub blocked: bool,
    /// Messages, oldest first.
    pub entries: Vec<Entry>,
    /// Messages of theirs that have not been looked at.
    pub unread: usize,
    /// What is being written and has not been sent.
    pub draft: String,
    /// They are writing, until then at most.
    pub typing: Option<Instant>,
    /// How much has been read from the archive.
    pub history: History,
    /// Devices that are there.
    devices: BTreeMap<String, Presence>,
    /// Nobody tells us: the network is away.
    unreachable: bool,
}

impl Conversation {
    /// The most available of their devices.
    #[must_use]
    pub fn presence(&self) -> Presence {
        if self.unreachable {
            return Presence::Offline;
        }
        self.devices.values().copied().max().unwrap_or_default()
    }

    /// A device came, went or changed.
    pub fn set_device(&mut self, resource: &str, presence: Presence) {
        if presence == Presence::Offline {
            self.devices.remove(resource);
        } else if self.devices.len() < 100 || self.devices.contains_key(resource) {
            self.devices.insert(resource.to_owned(), presence);
        }
    }

    /// Whether we are told how they are. What was known when the network went is true again when a session goes on.
    pub fn set_reachable(&mut self, reachable: bool) {
        self.unreachable = !reachable;
        self.typing = None;
    }

    /// All that is known of their devices is of a session that is over.
    pub fn forget_devices(&mut self) {
        self.devices.clear();
        self.set_reachable(true);
    }

    /// Puts a message where its time says, unless it is here already. Whether it was new.
    pub fn insert(&mut self, entry: Entry) -> bool {
        if let Some(known) = self.known(&entry) {
            known.archive_id = known.archive_id.take().or(entry.archive_id);
            if known.ours {
                known.advance(Mark::Sent);
            }
            return false;
        }
        let at = self.entries.partition_point(|other| other.at <= entry.at);
        self.entries.insert(at, entry);
        if self.entries.len() > ENTRIES_MAX {
            self.entries.remove(0);
            // What was dropped can be read again.
            self.history = History::default();
        }
        true
    }

    fn known(&mut self, entry: &Entry) -> Option<&mut Entry> {
        self.entries.iter_mut().rev().find(|other| {
            let archived = other.archive_id.is_some() && other.archive_id == entry.archive_id;
            archived || other.ours == entry.ours && !entry.id.is_empty() && other.id == entry.id
        })
    }

    /// The message with this id of ours or of theirs.
    pub fn find(&mut self, ours: bool, id: &str) -> Option<&mut Entry> {
        self.entries.iter_mut().rev().find(|entry| entry.ours == ours && entry.id == id && !id.is_empty())
    }

    /// Our messages up to and with this one have come so far.
    pub fn advance_to(&mut self, id: &str, mark: &Mark) {
        let Some(last) = self.entries.iter().rposition(|entry| entry.ours && entry.id == id) else { return };
        // XEP-0333 5.1: a marker speaks for all before it.
        self.entries[..=last].iter_mut().filter(|entry| entry.ours).for_each(|entry| {
            if entry.mark != Mark::Sending || entry.id == id {
                entry.advance(mark.clone());
            }
        });
    }

    /// When something last happened.
    #[must_use]
    pub fn last(&self) -> Wallclock {
        self.entries.last().map_or(Wallclock::from_millis(0), |entry| entry.at)
    }
}

/// Every conversation.
#[derive(Debug, Default)]
pub struct Book {
    conversations: BTreeMap<String, Conversation>,
    /// The one that is looked at.
    open: Option<String>,
    blocked: BTreeSet<String>,
}

impl Book {
    /// The conversation with this bare address, made if there is room for it.
    pub fn conversation(&mut self, with: &str) -> Option<&mut Conversation> {
        if !self.conversations.contains_key(with) {
            if self.conversations.len() >= CONVERSATIONS_MAX {
                return None;
            }
            let blocked = self.blocked.contains(with);
            self.conversations.insert(with.to_owned(), Conversation { blocked, ..Conversation::default() });
        }
        self.conversations.get_mut(with)
    }

    /// The conversation with this bare address, if there is one.
    #[must_use]
    pub fn get(&self, with: &str) -> Option<&Conversation> {
        self.conversations.get(with)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, with: &str) -> Option<&mut Conversation> {
        self.conversations.get_mut(with)
    }

    /// Who is on the list, those first with whom something happened last.
    #[must_use]
    pub fn list(&self) -> Vec<&str> {
        let mut list: Vec<(&String, &Conversation)> = self.conversations.iter().collect();
        list.sort_by_key(|(with, conversation)| {
            let asks = conversation.standing == Standing::Asks;
            (std::cmp::Reverse((asks, conversation.last())), conversation.name.clone(), (*with).clone())
        });
        list.into_iter().map(|(with, _)| with.as_str()).collect()
    }

    /// Every conversation, by its address.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Conversation)> {
        self.conversations.iter().map(|(with, conversation)| (with.as_str(), conversation))
    }

    /// Every conversation, to be changed.
    pub fn all(&mut self) -> impl Iterator<Item = (&String, &mut Conversation)> {
        self.conversations.iter_mut()
    }

    /// Whose conversation is looked at.
    #[must_use]
    pub fn open(&self) -> Option<&str> {
        self.open.as_deref()
    }

    /// Looks at a conversation.
    pub fn set_open(&mut self, with: Option<&str>) {
        self.open = with.filter(|with| self.conversations.contains_key(*with)).map(str::to_owned);
    }

    /// Nothing comes from them any more, or again.
    pub fn set_blocked(&mut self, with: &str, blocked: bool) {
        if blocked {
            self.blocked.insert(with.to_owned());
        } else {
            self.blocked.remove(with);
        }
        if let Some(conversation) = self.conversations.get_mut(with) {
            conversation.blocked = blocked;
        }
    }

    /// The whole list of those from whom nothing comes.
    #[must_use]
    pub fn blocked(&self) -> &BTreeSet<String> {
        &self.blocked
    }

    /// Unread messages of all conversations.
    #[must_use]
    pub fn unread(&self) -> usize {
        self.conversations.values().map(|conversation| conversation.unread).sum()
    }

    /// Removes a conversation that nothing holds: neither the roster nor a message.
    pub fn remove_if_empty(&mut self, with: &str) {
        let empty = |c: &Conversation| c.entries.is_empty() && c.standing == Standing::Stranger;
        if self.conversations.get(with).is_some_and(empty) {
            self.conversations.remove(with);
            if self.open.as_deref() == Some(with) {
                self.open = None;
            }
        }
    }
}

#[cfg(test)]
mod tests;
