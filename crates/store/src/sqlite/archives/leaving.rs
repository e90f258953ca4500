//! How messages leave an archive: the oldest, what is taken back, and all of an account's.
//!
//! Owns: the table `archive_gone`. Invariants: a message leaves the log, its archive's lane and its contact's in one group.
//! Not here: when the oldest are too many or too old (`archives`).

use rusqlite::{Connection, OptionalExtension};
use xmpp::address::AccountNumber;

use super::Archives;
use super::lane::{View, decode, encode};
use crate::sqlite::Stop;
use crate::sqlite::schema::{SEQ_BITS, SEQ_MAX};
use crate::{Answer, ArchiveId};

/// Archives that one sweep looks at.
const SWEEP_ARCHIVES: u32 = 256;

impl Archives {
    /// Forgets the oldest rows: `over` of them, and what is below `floor`, together `rows_max` at most. Answers how many.
    pub(super) fn trim(
        &mut self,
        db: &Connection,
        number: AccountNumber,
        floor: ArchiveId,
        over: u64,
        rows_max: u64,
    ) -> Result<u64, Stop> {
        let mut rows = 0;
        loop {
            let archive = self.find(db, number)?;
            let Some(oldest) = archive.first_id else { return Ok(rows) };
            if rows >= rows_max || rows >= over && oldest >= floor {
                return Ok(rows);
            }
            // What goes is filed, so that it goes from its lanes too.
            if archive.whole.len() == 0 {
                self.file(db, number)?;
            }
            let mut whole = self.change(db, number)?.whole;
            let contact = forget(db, whole.pop(db)?.seq)?;
            self.set_whole(number, whole);
            // The oldest of all is the oldest of its contact.
            let mut theirs = self.contact(db, contact)?;
            theirs.pop(db)?;
            self.set_contact(theirs);
            self.find(db, number)?.read_first(db)?;
            rows += 1;
        }
    }

    /// As if a message had never been appended: those behind it move up, in both lanes. It is among the last, since it is
    /// taken back as soon as the exchange is there again.
    pub(in crate::sqlite) fn take_back(
        &mut self,
        db: &Connection,
        number: AccountNumber,
        id: ArchiveId,
    ) -> Result<(), Stop> {
        self.file(db, number)?;
        let mut view = self.whole(db, number)?;
        let step = view.lower_bound(db, id)?;
        if step >= view.end() {
            return Ok(());
        }
        let entry = view.at(db, step)?;
        if entry.id != id {
            return Ok(());
        }
        let contact = forget(db, entry.seq)?;
        let mut whole = self.change(db, number)?.whole;
        whole.remove(db, step)?;
        self.set_whole(number, whole);
        let mut theirs = self.contact(db, contact)?;
        let step = View::new(theirs, Vec::new()).lower_bound(db, id)?;
        theirs.remove(db, step)?;
        self.set_contact(theirs);
        self.find(db, number)?.read_first(db)
    }

    pub(super) fn sweep(&mut self, db: &Connection, floor: ArchiveId, rows_max: u64) -> Result<Answer, Stop> {
        let mut left = rows_max;
        while left > 0 && self.sweep_gone(db, &mut left)? {}
        let numbers: Vec<u64> = db
            .prepare_cached(
                "SELECT number FROM archive_lanes WHERE contact = '' AND number > ?1 ORDER BY number LIMIT ?2",
            )?
            .query_map((self.swept, SWEEP_ARCHIVES), |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let last = numbers.len() < SWEEP_ARCHIVES as usize;
        for number in numbers.into_iter().filter_map(AccountNumber::new) {
            if left == 0 {
                return Ok(Answer::Swept { done: false });
            }
            left -= self.trim(db, number, floor, 0, left)?;
            if left == 0 {
                return Ok(Answer::Swept { done: false });
            }
            self.swept = number.get();
        }
        if last {
            self.swept = 0;
        }
        Ok(Answer::Swept { done: last && left > 0 })
    }

    /// A pack's worth of what deleted accounts left. Answers whether there may be more.
    fn sweep_gone(&mut self, db: &Connection, left: &mut u64) -> Result<bool, Stop> {
        let gone = db
            .prepare_cached("SELECT lane, number, whole FROM archive_gone LIMIT 1")?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        let Some((lane, number, whole)): Option<(i64, u64, bool)> = gone else { return Ok(false) };
        let pack = db
            .prepare_cached("SELECT id, entries FROM archive_packs WHERE id BETWEEN ?1 AND ?2 LIMIT 1")?
            .query_row((lane << SEQ_BITS, lane << SEQ_BITS | SEQ_MAX as i64), |row| {
                Ok((row.get::<_, i64>(0)?, decode(row.get_ref(1)?.as_blob()?)))
            })
            .optional()?;
        let Some((id, entries)) = pack else {
            db.prepare_cached("DELETE FROM archive_gone WHERE lane = ?1")?.execute([lane])?;
            return Ok(true);
        };
        let mut kept = &entries[..0];
        if whole {
            let now = entries.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
            // Some left before the account did, and their rows may be somebody else's by now.
            let mut delete = db.prepare_cached("DELETE FROM archive_log WHERE seq = ?1 AND number = ?2")?;
            for entry in &entries[..now] {
                delete.execute((entry.seq, number))?;
            }
            kept = &entries[now..];
            *left -= now as u64;
        } else {
            *left -= 1;
        }
        if kept.is_empty() {
            db.prepare_cached("DELETE FROM archive_packs WHERE id = ?1")?.execute([id])?;
        } else {
            db.prepare_cached("UPDATE archive_packs SET entries = ?2 WHERE id = ?1")?
                .execute((id, encode(kept)))?;
        }
        Ok(true)
    }

    /// Everything of an account; none is no error. The messages themselves go with the sweeps.
    pub(in crate::sqlite) fn remove(&mut self, db: &Connection, number: AccountNumber) -> Result<(), Stop> {
        match self.file(db, number) {
            Ok(()) => {}
            Err(Stop::Refused(_)) => return Ok(()),
            Err(stop) => return Err(stop),
        }
        self.change(db, number)?;
        db.prepare_cached(
            "INSERT INTO archive_gone SELECT id, number, contact = '' FROM archive_lanes WHERE number = ?1",
        )?
        .execute([number.get()])?;
        db.prepare_cached("DELETE FROM archive_lanes WHERE number = ?1")?.execute([number.get()])?;
        self.drop_archive(number.get());
        Ok(())
    }
}

/// Deletes a message's row; answers which contact's lane it was in.
fn forget(db: &Connection, seq: i64) -> Result<i64, Stop> {
    let contact = db
        .prepare_cached("SELECT contact FROM archive_log WHERE seq = ?1")?
        .query_row([seq], |row| row.get(0))?;
    db.prepare_cached("DELETE FROM archive_log WHERE seq = ?1")?.execute([seq])?;
    Ok(contact)
}
