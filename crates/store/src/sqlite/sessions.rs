//! The records of sessions that may be resumed, in SQLite.
//!
//! Spec: XEP-0198 section 5.
//! Owns: the tables `sessions`, `uncovered`, `ahead` and `had`, and the counts of sessions in use, so that a group writes each
//! session's count once, and lists only what no count covers when it ends: as a rule nothing.
//! Invariants: a count is written in the transaction that holds what it counts; at the end of each group `uncovered` names what
//! stanzas of live sessions added that no count covers, and `ahead` the marks of those of which all is done; what a
//! group noted is forgotten with it when it is rolled back.
//! Not here: when a stanza counts (`handled`), taking back what it added (`mod`).

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension};
use xmpp::address::AccountNumber;
use xmpp::time::Wallclock;

use super::{Stop, millis, wallclock};
use crate::handled::{Added, Handled, Over, Uncovered};
use crate::{Answer, ArchiveId, Left, OfflineId, Origin, SavedSession, SessionOp};

/// Sessions remembered from group to group, at some 100 bytes each; beyond it those of which nothing is under way are
/// read anew.
const KNOWN_MAX: usize = 64 * 1024;

/// A row that lives: when it is forgotten is not known yet.
const LIVES: i64 = 0;

/// Which stanza of which session.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct StanzaOf {
    key: u64,
    h: u32,
}

#[derive(Debug, Default)]
pub(super) struct Sessions {
    /// As of the last group.
    known: HashMap<u64, Handled>,
    /// As of this one: whose they are, and their counts.
    staged: HashMap<u64, (AccountNumber, Handled)>,
    /// Forgotten or replaced in this group.
    gone: Vec<u64>,
    over: Over,
}

impl Sessions {
    pub(super) fn apply(&mut self, db: &Connection, now: Wallclock, op: &SessionOp) -> Result<Answer, Stop> {
        match op {
            SessionOp::Begin { until } => {
                db.prepare_cached("DELETE FROM sessions WHERE until <> ?1 AND until <= ?2")?
                    .execute((LIVES, millis(now)))?;
                db.prepare_cached("UPDATE sessions SET until = ?2 WHERE until = ?1")?
                    .execute((LIVES, millis(*until)))?;
                db.prepare_cached("DELETE FROM had WHERE key NOT IN (SELECT key FROM sessions)")?
                    .execute([])?;
            }
            SessionOp::Count { key, number, h } => {
                if let Some(handled) = self.stage(db, *key, *number)? {
                    handled.raise(*h);
                }
            }
            SessionOp::Handled { key, number } => {
                self.flush(db)?;
                let found = db
                    .prepare_cached("SELECT h FROM sessions WHERE key = ?1 AND number = ?2")?
                    .query_row((*key, number.get()), |row| row.get(0))
                    .optional()?;
                let Some(h) = found else { return Ok(Answer::Handled(None)) };
                let mut marks = db.prepare_cached("SELECT mark FROM had WHERE key = ?1")?;
                let marks = marks.query_map([*key], |row| Ok(row.get::<_, i64>(0)? as u64))?;
                let mut had = marks.collect::<Result<Vec<_>, _>>()?;
                had.sort_unstable();
                return Ok(Answer::Handled(Some(Left { h, had })));
            }
            SessionOp::CameAgain { key, mark } => {
                db.prepare_cached("DELETE FROM had WHERE key = ?1 AND mark = ?2")?
                    .execute((*key, *mark as i64))?;
            }
            SessionOp::Forget { key } => {
                self.drop_staged(db, *key)?;
                self.over.add(*key);
                db.prepare_cached("DELETE FROM sessions WHERE key = ?1")?.execute([*key])?;
            }
            SessionOp::Save(saved) => {
                self.drop_staged(db, saved.key)?;
                db.prepare_cached("INSERT OR REPLACE INTO sessions VALUES (?1, ?2, ?3, ?4, ?5)")?.execute(
                    (saved.key, saved.number.get(), saved.h(), millis(saved.until), saved.to_json()),
                )?;
            }
            SessionOp::Take { limit } => return take(db, *limit),
        }
        Ok(Answer::Done)
    }

    /// A stanza asked for what this transaction holds, which added this.
    pub(super) fn note(
        &mut self,
        db: &Connection,
        origin: &Origin,
        added: Option<Added>,
    ) -> Result<(), Stop> {
        if let Some(handled) = self.stage(db, origin.key, origin.number)? {
            handled.note(origin, added);
        }
        Ok(())
    }

    /// The stanzas that added something and were never covered, as an exchange finds them that starts after a crash; it is not
    /// listed any more.
    pub(super) fn take_uncovered(&mut self, db: &Connection) -> Result<Vec<(StanzaOf, Uncovered)>, Stop> {
        self.flush(db)?;
        self.staged.clear();
        self.known.clear();
        self.over = Over::default();
        let mut all = db.prepare_cached(
            "SELECT key, h, mark, number, archive, row FROM uncovered LEFT JOIN ahead USING (key, h)
             ORDER BY key, h",
        )?;
        let mut rows = all.query([])?;
        let mut stanzas: Vec<(StanzaOf, Uncovered)> = Vec::new();
        while let Some(row) = rows.next()? {
            let stanza = StanzaOf { key: row.get(0)?, h: row.get(1)? };
            let mark = row.get::<_, Option<i64>>(2)?.map(|mark| mark as u64);
            let (number, is_archived, id) = (row.get(3)?, row.get(4)?, row.get::<_, i64>(5)? as u64);
            let added = AccountNumber::new(number).map(|number| match is_archived {
                true => Added::Archived(number, ArchiveId(id)),
                false => Added::Offline(number, OfflineId(id)),
            });
            match stanzas.last_mut() {
                Some((last, uncovered)) if *last == stanza => uncovered.added.extend(added),
                _ => stanzas.push((stanza, Uncovered { mark, added: added.into_iter().collect() })),
            }
        }
        db.prepare_cached("DELETE FROM uncovered")?.execute([])?;
        Ok(stanzas)
    }

    /// A stanza is to be done anew when it comes again.
    pub(super) fn unmark(&self, db: &Connection, stanza: StanzaOf) -> rusqlite::Result<()> {
        db.prepare_cached("DELETE FROM ahead WHERE key = ?1 AND h = ?2")?.execute((stanza.key, stanza.h))?;
        Ok(())
    }

    /// Those that are marked still have been had.
    pub(super) fn keep_marks(&self, db: &Connection) -> rusqlite::Result<()> {
        db.prepare_cached("INSERT OR IGNORE INTO had SELECT key, mark FROM ahead")?.execute([])?;
        db.prepare_cached("DELETE FROM ahead")?.execute([])?;
        Ok(())
    }

    pub(super) fn remove(&mut self, db: &Connection, number: AccountNumber) -> Result<(), Stop> {
        let mut theirs = db.prepare_cached("SELECT key FROM sessions WHERE number = ?1")?;
        for key in theirs.query_map([number.get()], |row| row.get(0))? {
            self.gone.push(key?);
        }
        self.staged.retain(|_, (of, _)| *of != number);
        for table in ["uncovered", "ahead", "had"] {
            let theirs = "(SELECT key FROM sessions WHERE number = ?1)";
            db.prepare_cached(&format!("DELETE FROM {table} WHERE key IN {theirs}"))?
                .execute([number.get()])?;
        }
        db.prepare_cached("DELETE FROM sessions WHERE number = ?1")?.execute([number.get()])?;
        Ok(())
    }

    /// Writes what changed in this group, before its COMMIT.
    pub(super) fn flush(&mut self, db: &Connection) -> rusqlite::Result<()> {
        if self.staged.is_empty() {
            return Ok(());
        }
        let mut put = db.prepare_cached(
            "INSERT INTO sessions VALUES (?1, ?2, ?3, ?4, NULL)
             ON CONFLICT (key) DO UPDATE SET h = excluded.h WHERE h <> excluded.h",
        )?;
        for (key, (number, handled)) in &mut self.staged {
            put.execute((*key, number.get(), handled.h, LIVES))?;
            for h in handled.unlist() {
                db.prepare_cached("DELETE FROM uncovered WHERE key = ?1 AND h = ?2")?.execute((*key, h))?;
                db.prepare_cached("DELETE FROM ahead WHERE key = ?1 AND h = ?2")?.execute((*key, h))?;
            }
            for (h, added) in handled.list() {
                let (number, is_archived, id) = match added {
                    Added::Archived(number, id) => (number, true, id.0),
                    Added::Offline(number, id) => (number, false, id.0),
                };
                db.prepare_cached("INSERT OR IGNORE INTO uncovered VALUES (?1, ?2, ?3, ?4, ?5)")?
                    .execute((*key, h, number.get(), is_archived, id as i64))?;
            }
            for (h, mark) in handled.list_marks() {
                db.prepare_cached("INSERT OR REPLACE INTO ahead VALUES (?1, ?2, ?3)")?.execute((
                    *key,
                    h,
                    mark as i64,
                ))?;
            }
        }
        Ok(())
    }

    /// The group is durable.
    pub(super) fn committed(&mut self) {
        for key in self.gone.drain(..) {
            self.known.remove(&key);
        }
        self.known.extend(self.staged.drain().map(|(key, (_, handled))| (key, handled)));
        if self.known.len() > KNOWN_MAX {
            self.known.retain(|_, handled| !handled.is_settled());
        }
    }

    /// After a rollback: nothing of the group was.
    pub(super) fn forget(&mut self) {
        self.staged.clear();
        self.gone.clear();
    }

    /// What is known of a session is so no more, and what its stanzas added stays.
    fn drop_staged(&mut self, db: &Connection, key: u64) -> rusqlite::Result<()> {
        self.staged.remove(&key);
        self.gone.push(key);
        db.prepare_cached("DELETE FROM uncovered WHERE key = ?1")?.execute([key])?;
        db.prepare_cached("DELETE FROM ahead WHERE key = ?1")?.execute([key])?;
        db.prepare_cached("DELETE FROM had WHERE key = ?1")?.execute([key])?;
        Ok(())
    }

    /// The count of a session, begun if need be; none if it is over.
    fn stage(
        &mut self,
        db: &Connection,
        key: u64,
        number: AccountNumber,
    ) -> rusqlite::Result<Option<&mut Handled>> {
        if !self.staged.contains_key(&key) {
            let known = self.known.get(&key).filter(|_| !self.gone.contains(&key)).cloned();
            let handled = match known {
                Some(handled) => handled,
                None if self.over.has(key) => return Ok(None),
                None => Handled::new(
                    db.prepare_cached("SELECT h FROM sessions WHERE key = ?1")?
                        .query_row([key], |row| row.get(0))
                        .optional()?
                        .unwrap_or_default(),
                ),
            };
            self.staged.insert(key, (number, handled));
        }
        Ok(self.staged.get_mut(&key).map(|(_, handled)| handled))
    }
}

fn take(db: &Connection, limit: u32) -> Result<Answer, Stop> {
    let mut found = db.prepare_cached(
        "SELECT key, number, until, state FROM sessions WHERE state IS NOT NULL ORDER BY key LIMIT ?1",
    )?;
    let mut rows = found.query([limit])?;
    let (mut keys, mut taken) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        let (key, number, until): (u64, u64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let state: String = row.get(3)?;
        keys.push(key);
        taken.extend(
            AccountNumber::new(number)
                .and_then(|number| SavedSession::from_json(key, number, wallclock(until), &state)),
        );
    }
    let mut live = db.prepare_cached("UPDATE sessions SET state = NULL, until = ?2 WHERE key = ?1")?;
    for key in keys {
        live.execute((key, LIVES))?;
    }
    Ok(Answer::Sessions(taken))
}
