//! Messages that wait, in SQLite.
//!
//! Owns: the tables `mailboxes` and `offline`, and the counts of mailboxes in use, so that a push is one INSERT and a
//! group writes each mailbox's counts once.
//! Invariants: after [`Mailboxes::flush`] a mailbox's row tells the last id given out and how much lies in `offline`;
//! between groups nothing here is newer than the tables, so it can be forgotten at any time.
//! Not here: the account (`accounts`).

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension};
use xmpp::address::AccountNumber;
use xmpp::time::Wallclock;

use super::schema::{SEQ_BITS, SEQ_MAX};
use super::{Stop, millis, wallclock};
use crate::limits::{OFFLINE_PAGE_BYTES_MAX, OFFLINE_PAGE_ROWS_MAX};
use crate::{Answer, Limits, OfflineId, OfflinePage, OfflineRow, StoreError};

/// Mailboxes remembered from group to group, at some 64 bytes each; beyond it all are forgotten and read anew.
const KNOWN_MAX: usize = 16 * 1024;

#[derive(Debug, Default)]
pub(super) struct Mailboxes {
    known: HashMap<u64, Mailbox>,
    /// Those that changed in this group.
    dirty: Vec<u64>,
}

#[derive(Debug, Clone, Copy)]
struct Mailbox {
    slot: i64,
    last: u64,
    messages: u64,
    bytes: u64,
    dirty: bool,
}

impl Mailbox {
    /// The rowid of a place in this mailbox's queue.
    fn row(self, place: u64) -> i64 {
        self.slot << SEQ_BITS | place.min(SEQ_MAX) as i64
    }
}

impl Mailboxes {
    pub(super) fn push(
        &mut self,
        db: &Connection,
        limits: &Limits,
        number: AccountNumber,
        stamp: Wallclock,
        stanza: &[u8],
    ) -> Result<Answer, Stop> {
        let mailbox = self.find(db, number)?;
        let bytes = mailbox.bytes + stanza.len() as u64;
        if mailbox.messages >= limits.offline_rows_max
            || bytes > limits.offline_bytes_max
            || mailbox.last >= SEQ_MAX
        {
            return Err(StoreError::QuotaExceeded.into());
        }
        let place = mailbox.last + 1;
        db.prepare_cached("INSERT INTO offline VALUES (?1, ?2, ?3)")?.execute((
            mailbox.row(place),
            millis(stamp),
            stanza,
        ))?;
        self.set(number, Mailbox { last: place, messages: mailbox.messages + 1, bytes, ..mailbox });
        Ok(Answer::Pushed(OfflineId(place)))
    }

    pub(super) fn page(
        &mut self,
        db: &Connection,
        number: AccountNumber,
        after: OfflineId,
        limit: u32,
    ) -> Result<Answer, Stop> {
        let mailbox = self.find(db, number)?;
        let limit = limit.min(OFFLINE_PAGE_ROWS_MAX) as usize;
        let mut query = db.prepare_cached(
            "SELECT id, stamp, stanza FROM offline WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3",
        )?;
        let mut found = query.query((mailbox.row(after.0), mailbox.row(SEQ_MAX), limit + 1))?;
        let (mut page, mut bytes) = (OfflinePage::default(), 0);
        while let Some(row) = found.next()? {
            if page.rows.len() >= limit || bytes >= OFFLINE_PAGE_BYTES_MAX {
                page.more = true;
                break;
            }
            let id: i64 = row.get(0)?;
            let stanza: Vec<u8> = row.get(2)?;
            bytes += stanza.len() as u64;
            let id = OfflineId(id as u64 & SEQ_MAX);
            page.rows.push(OfflineRow { id, stamp: wallclock(row.get(1)?), stanza });
        }
        Ok(Answer::Offline(page))
    }

    /// Whether a message waits.
    pub(super) fn has(
        &mut self,
        db: &Connection,
        number: AccountNumber,
        id: OfflineId,
    ) -> Result<bool, Stop> {
        let mailbox = match self.find(db, number) {
            // Whose it was is gone.
            Err(Stop::Refused(_)) => return Ok(false),
            found => found?,
        };
        Ok(db.prepare_cached("SELECT 1 FROM offline WHERE id = ?1")?.exists([mailbox.row(id.0)])?)
    }

    pub(super) fn delete_rows(
        &mut self,
        db: &Connection,
        number: AccountNumber,
        first: OfflineId,
        last: OfflineId,
    ) -> Result<Answer, Stop> {
        let mailbox = self.find(db, number)?;
        if first > last || first.0 > SEQ_MAX {
            return Ok(Answer::Done);
        }
        let range = (mailbox.row(first.0), mailbox.row(last.0));
        let (messages, bytes): (u64, u64) = db
            .prepare_cached(
                "SELECT count(*), coalesce(sum(length(stanza)), 0) FROM offline WHERE id BETWEEN ?1 AND ?2",
            )?
            .query_row(range, |row| Ok((row.get(0)?, row.get(1)?)))?;
        if messages > 0 {
            db.prepare_cached("DELETE FROM offline WHERE id BETWEEN ?1 AND ?2")?.execute(range)?;
            let (messages, bytes) = (mailbox.messages - messages, mailbox.bytes - bytes);
            self.set(number, Mailbox { messages, bytes, ..mailbox });
        }
        Ok(Answer::Done)
    }

    pub(super) fn count(&mut self, db: &Connection, number: AccountNumber) -> Result<Answer, Stop> {
        let mailbox = self.find(db, number)?;
        Ok(Answer::OfflineCount { rows: mailbox.messages, bytes: mailbox.bytes })
    }

    /// Everything of an account; none is no error.
    pub(super) fn remove(&mut self, db: &Connection, number: AccountNumber) -> Result<(), Stop> {
        let mailbox = match self.find(db, number) {
            Ok(mailbox) => mailbox,
            Err(Stop::Refused(_)) => return Ok(()),
            Err(stop) => return Err(stop),
        };
        db.prepare_cached("DELETE FROM offline WHERE id BETWEEN ?1 AND ?2")?
            .execute((mailbox.row(0), mailbox.row(SEQ_MAX)))?;
        db.prepare_cached("DELETE FROM mailboxes WHERE number = ?1")?.execute([number.get()])?;
        self.known.remove(&number.get());
        Ok(())
    }

    /// Writes what changed in this group, before its COMMIT.
    pub(super) fn flush(&mut self, db: &Connection) -> rusqlite::Result<()> {
        if !self.dirty.is_empty() {
            let mut update = db.prepare_cached(
                "UPDATE mailboxes SET last = ?2, messages = ?3, bytes = ?4 WHERE number = ?1",
            )?;
            for number in self.dirty.drain(..) {
                // Not there: the account was deleted later in the same group.
                let Some(mailbox) = self.known.get_mut(&number) else { continue };
                mailbox.dirty = false;
                update.execute((number, mailbox.last, mailbox.messages, mailbox.bytes))?;
            }
        }
        if self.known.len() > KNOWN_MAX {
            self.known.clear();
        }
        Ok(())
    }

    /// After a rollback: what is here is newer than the tables.
    pub(super) fn forget(&mut self) {
        self.known.clear();
        self.dirty.clear();
    }

    fn find(&mut self, db: &Connection, number: AccountNumber) -> Result<Mailbox, Stop> {
        if let Some(mailbox) = self.known.get(&number.get()) {
            return Ok(*mailbox);
        }
        let found = db
            .prepare_cached("SELECT slot, last, messages, bytes FROM mailboxes WHERE number = ?1")?
            .query_row([number.get()], |row| {
                let (slot, last, messages, bytes) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
                Ok(Mailbox { slot, last, messages, bytes, dirty: false })
            })
            .optional()?
            .ok_or(StoreError::NoSuchAccount)?;
        self.known.insert(number.get(), found);
        Ok(found)
    }

    fn set(&mut self, number: AccountNumber, mailbox: Mailbox) {
        if !mailbox.dirty {
            self.dirty.push(number.get());
        }
        self.known.insert(number.get(), Mailbox { dirty: true, ..mailbox });
    }
}
