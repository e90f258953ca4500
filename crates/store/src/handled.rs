//! When a stanza of a session that may be resumed counts as handled, and what is to be taken back if it never does.
//!
//! Spec: XEP-0198 section 5.
//! Owns: one session's count, what is durable ahead of it, which sessions are over. Invariants: the count never goes back;
//! what stanzas added is known for as long as the count does not cover them, and no longer.
//! Not here: where a back end keeps it (`memory`, `sqlite/sessions`).
//!
//! ```text
//!  stanza      1    2    3    4    5          h = 2: what <failed h=''/> says after a crash
//!  shares      1    1    1/2  1    1          3 is in one of its two places, 4 and 5 are in all of theirs
//!              `-- h --'  `--- ahead ---'     a crash takes back what these added: their client sends them again;
//!                              but not of 5 if its recipient has confirmed it: it is known by its mark when it comes
//! ```

use std::collections::VecDeque;

use xmpp::address::AccountNumber;

use crate::session::WHOLE;
use crate::{Answer, ArchiveId, ArchiveOp, OfflineId, Op, Origin};

/// Stanzas of one session that are durable and cannot be counted yet, since one before them is not: more than a session
/// may have under way.
const AHEAD_MAX: usize = 1_024;

/// Sessions remembered as over: more than can end while a share of a stanza is on its way from one loop to another.
const OVER_MAX: usize = 4_096;

/// A row that a stanza added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Added {
    /// It waits for who is away.
    Offline(AccountNumber, OfflineId),
    /// It is in an archive.
    Archived(AccountNumber, ArchiveId),
}

impl Added {
    /// What a request that was answered like this added. Other requests set something to a value, and asked again they set
    /// it to the same.
    pub(crate) fn by(op: &Op, answer: &Answer) -> Option<Self> {
        match (op, answer) {
            (Op::PushOffline { number, .. }, Answer::Pushed(id)) => Some(Self::Offline(*number, *id)),
            (Op::Archive(ArchiveOp::Append { number, id, .. }), _) => Some(Self::Archived(*number, *id)),
            _ => None,
        }
    }
}

/// A stanza behind the count that is durable in part or whole.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ahead {
    h: u32,
    share: u16,
    mark: u64,
    added: Vec<Added>,
    /// So many of `added`, from the front, are on the back end's list of what to take back.
    listed: usize,
    /// Its mark is on the back end's list.
    is_marked: bool,
}

impl Ahead {
    fn is_whole(&self) -> bool {
        self.share >= WHOLE
    }

    fn is_listed(&self) -> bool {
        self.listed > 0 || self.is_marked
    }
}

/// A stanza that no count covers when its exchange is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Uncovered {
    /// If it has one, and all of its work was done.
    pub(crate) mark: Option<u64>,
    pub(crate) added: Vec<Added>,
}

impl Uncovered {
    /// Its mark, if its recipient has had it, so that what it added is to stay: it was queued, and is not any more. (To who never
    /// confirms nothing is queued, and nobody knows whether they had it.) What added nothing came again itself. `waits` says
    /// whether a place in a queue is still taken.
    pub(crate) fn had<E>(
        &self,
        mut waits: impl FnMut(AccountNumber, OfflineId) -> Result<bool, E>,
    ) -> Result<Option<u64>, E> {
        let mut was_queued = self.added.is_empty();
        for added in &self.added {
            if let Added::Offline(number, id) = *added {
                if waits(number, id)? {
                    return Ok(None);
                }
                was_queued = true;
            }
        }
        Ok(self.mark.filter(|_| was_queued))
    }
}

/// How many stanzas of a session are durable, and which behind these are in part or whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Handled {
    pub(crate) h: u32,
    ahead: Vec<Ahead>,
    /// Stanzas that the count has come to cover since something of them was listed.
    unlist: Vec<u32>,
}

impl Handled {
    pub(crate) fn new(h: u32) -> Self {
        Self { h, ..Self::default() }
    }

    /// Everything up to this one is done with.
    pub(crate) fn raise(&mut self, h: u32) {
        if is_behind(self.h, h) {
            self.h = h;
            let (unlist, covered) = (&mut self.unlist, |ahead: &Ahead| !is_behind(h, ahead.h));
            unlist.extend(self.ahead.iter().filter(|a| covered(a) && a.is_listed()).map(|a| a.h));
            self.ahead.retain(|ahead| !covered(ahead));
            self.advance();
        }
    }

    /// Part of the work on a stanza is durable, and added this.
    pub(crate) fn note(&mut self, origin: &Origin, added: Option<Added>) {
        self.raise(origin.floor);
        if !is_behind(self.h, origin.h) {
            return;
        }
        if let Some(ahead) = self.ahead.iter_mut().find(|ahead| ahead.h == origin.h) {
            ahead.share = ahead.share.saturating_add(origin.share);
            ahead.added.extend(added);
        } else if self.ahead.len() < AHEAD_MAX {
            let Origin { h, share, mark, .. } = *origin;
            let added = added.into_iter().collect();
            self.ahead.push(Ahead { h, share, mark, added, listed: 0, is_marked: false });
        }
        self.advance();
    }

    /// Whether nothing would be lost by reading the record instead.
    pub(crate) fn is_settled(&self) -> bool {
        self.ahead.is_empty()
    }

    /// The stanzas that the count does not cover.
    pub(crate) fn uncovered(&self) -> impl Iterator<Item = Uncovered> {
        self.ahead.iter().map(|ahead| Uncovered {
            mark: (ahead.is_whole() && ahead.mark != 0).then_some(ahead.mark),
            added: ahead.added.clone(),
        })
    }

    /// What they added, each with its stanza's number, but only what has not been asked for before: it is listed now.
    pub(crate) fn list(&mut self) -> impl Iterator<Item = (u32, Added)> {
        self.ahead.iter_mut().flat_map(|ahead| {
            let from = std::mem::replace(&mut ahead.listed, ahead.added.len());
            ahead.added[from..].iter().map(|added| (ahead.h, *added))
        })
    }

    /// Those of which all is done, by number and mark, but only what has not been asked for before: it is listed now.
    pub(crate) fn list_marks(&mut self) -> impl Iterator<Item = (u32, u64)> {
        let fresh = |ahead: &&mut Ahead| ahead.is_whole() && ahead.mark != 0 && !ahead.is_marked;
        self.ahead.iter_mut().filter(fresh).map(|ahead| {
            ahead.is_marked = true;
            (ahead.h, ahead.mark)
        })
    }

    /// Stanzas of which something is listed that should be no more.
    pub(crate) fn unlist(&mut self) -> impl Iterator<Item = u32> {
        self.unlist.drain(..)
    }

    fn advance(&mut self) {
        loop {
            let next = self.h.wrapping_add(1);
            let whole = |ahead: &Ahead| ahead.h == next && ahead.is_whole();
            let Some(at) = self.ahead.iter().position(whole) else { return };
            if self.ahead.swap_remove(at).is_listed() {
                self.unlist.push(next);
            }
            self.h = next;
        }
    }
}

/// Circular: whether a count is behind another.
fn is_behind(count: u32, other: u32) -> bool {
    count.wrapping_sub(other) > u32::MAX / 2
}

/// Sessions that ended politely, the latest of them. A share of the work on a stanza may have been under way between two
/// loops when its session was forgotten; it must neither begin a record anew nor be taken back after a crash. Lives as
/// long as the exchange: what was under way dies with it.
#[derive(Debug, Default)]
pub(crate) struct Over {
    keys: VecDeque<u64>,
}

impl Over {
    pub(crate) fn add(&mut self, key: u64) {
        if self.keys.len() >= OVER_MAX {
            self.keys.pop_front();
        }
        self.keys.push_back(key);
    }

    /// Looks at all of them; asked only of sessions that nothing else is known of.
    pub(crate) fn has(&self, key: u64) -> bool {
        self.keys.contains(&key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(h: u32, floor: u32, share: u16) -> Origin {
        Origin { key: 1, number: AccountNumber::FIRST, h, floor, share, mark: u64::from(h) }
    }

    fn row(id: u64) -> Added {
        Added::Offline(AccountNumber::FIRST, OfflineId(id))
    }

    #[test]
    fn a_stanza_counts_once_all_of_it_and_all_before_it_is_durable() {
        let mut handled = Handled::default();
        handled.note(&origin(2, 0, WHOLE), None);
        assert_eq!(handled.h, 0, "the first is not");
        handled.note(&origin(1, 0, WHOLE / 2), None);
        assert_eq!(handled.h, 0, "half of the first is");
        handled.note(&origin(1, 0, WHOLE / 2), None);
        assert_eq!(handled.h, 2);
        // 3 and 4 needed no record, as whoever sent 5 knew.
        handled.note(&origin(5, 4, WHOLE), None);
        assert_eq!(handled.h, 5);
        handled.note(&origin(5, 4, WHOLE), None);
        handled.raise(3);
        assert_eq!((handled.h, handled.is_settled()), (5, true), "never backwards");
    }

    #[test]
    fn counts_go_round() {
        let mut handled = Handled::new(u32::MAX - 1);
        for h in [0, u32::MAX] {
            handled.note(&origin(h, u32::MAX - 1, WHOLE), None);
        }
        assert_eq!(handled.h, 0);
    }

    #[test]
    fn what_a_stanza_added_is_known_until_it_counts() {
        let mut handled = Handled::default();
        handled.note(&origin(2, 0, WHOLE / 2), Some(row(1)));
        assert_eq!(handled.list().collect::<Vec<_>>(), [(2, row(1))]);
        handled.note(&origin(2, 0, WHOLE / 2), Some(row(2)));
        handled.note(&origin(3, 0, WHOLE), Some(row(3)));
        assert_eq!(handled.list().collect::<Vec<_>>(), [(2, row(2)), (3, row(3))], "each once");
        handled.note(&origin(5, 0, WHOLE), Some(row(5)));
        let added: Vec<_> = handled.uncovered().flat_map(|uncovered| uncovered.added).collect();
        assert_eq!(added, [row(1), row(2), row(3), row(5)]);
        handled.note(&origin(1, 0, WHOLE), Some(row(4)));
        assert_eq!((handled.h, handled.unlist().collect::<Vec<_>>()), (3, vec![2, 3]));
        handled.raise(5);
        assert_eq!(handled.unlist().count(), 0, "nobody had asked for what 5 added");
        assert_eq!((handled.uncovered().count(), handled.is_settled()), (0, true));
    }

    #[test]
    fn a_mark_is_listed_once_all_is_done_and_unlisted_like_a_row() {
        let mut handled = Handled::default();
        handled.note(&origin(2, 0, WHOLE / 2), None);
        handled.note(&Origin { mark: 0, ..origin(3, 0, WHOLE) }, None);
        assert_eq!(handled.list_marks().count(), 0, "half of it; and none");
        handled.note(&origin(2, 0, WHOLE / 2), None);
        assert_eq!(handled.list_marks().collect::<Vec<_>>(), [(2, 2)]);
        assert_eq!(handled.list_marks().count(), 0, "once");
        assert_eq!(handled.uncovered().map(|uncovered| uncovered.mark).collect::<Vec<_>>(), [Some(2), None]);
        handled.note(&origin(1, 0, WHOLE), None);
        assert_eq!((handled.h, handled.unlist().collect::<Vec<_>>()), (3, vec![2]));
    }

    #[test]
    fn the_latest_to_end_are_remembered_as_over() {
        let mut over = Over::default();
        (0..=OVER_MAX as u64).for_each(|key| over.add(key));
        assert!(!over.has(0) && over.has(1) && over.has(OVER_MAX as u64));
    }
}
