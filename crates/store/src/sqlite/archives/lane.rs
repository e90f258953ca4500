//! Lanes: which message is the n-th of an archive, or of what it holds of one contact.
//!
//! Owns: the tables `archive_lanes` and `archive_packs`. Invariants: the steps of a lane have no gaps, and what they name has
//! ids that grow with them; packs do not overlap, and none holds more than [`PACK_MAX`].
//! Not here: the messages (`archives`), which of them are in no lane yet (the same).
//!
//! ```text
//! archive_lanes   7  10001  ''       first 3, last 6      the whole of the archive of 10001
//!                 8  10001  a@x      first 2, last 4      what it holds of a@x
//! archive_packs   7 | 1   [1 2 3 4]                       steps 1 to 4: the id of each message, and its row in archive_log
//!                 7 | 5   [5 6]
//!                 8 | 1   [1 3 4 6]
//! ```
//! What has left at the front stays in its pack until all of that has left. Since nothing has gaps, an id or a time is found by
//! halving, the n-th without looking, and how many there are is a subtraction: no index beside the packs is kept, and no
//! count is ever counted.

use rusqlite::{Connection, OptionalExtension, Row};
use xmpp::address::AccountNumber;

use crate::sqlite::Stop;
use crate::sqlite::schema::{SEQ_BITS, SEQ_MAX, SLOT_MAX};
use crate::{ArchiveId, StoreError};

/// Messages that one row names at most: so many that a row is written seldom, so few that it fits a page of the database.
pub(in crate::sqlite) const PACK_MAX: usize = 128;

/// The pack that a step is in.
pub(super) const READ_PACK: &str =
    "SELECT id, entries FROM archive_packs WHERE id BETWEEN ?1 AND ?2 ORDER BY id DESC LIMIT 1";

/// Octets of an entry in its row: the id and the row, lowest first.
const ENTRY_LEN: usize = 16;

/// What a lane says of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sqlite) struct Entry {
    pub(in crate::sqlite) id: ArchiveId,
    /// Its row in `archive_log`.
    pub(in crate::sqlite) seq: i64,
}

/// Messages in their order.
#[derive(Debug, Clone, Copy)]
pub(in crate::sqlite) struct Lane {
    /// Its row; 0 if it has none yet.
    pub(super) id: i64,
    /// The steps of the first and the last message; the first is one above the last when there is none.
    pub(super) first: u64,
    pub(super) last: u64,
    /// The id of the last; it stays when the messages are gone.
    pub(super) last_id: ArchiveId,
    /// To be written before the group ends.
    pub(super) dirty: bool,
}

impl Lane {
    /// One that is not in the tables.
    pub(super) const NEW: Self = Self { id: 0, first: 1, last: 0, last_id: ArchiveId(0), dirty: false };

    /// The lane of an account and a contact, or of the whole archive if the contact is `""`.
    pub(super) fn find(db: &Connection, number: AccountNumber, contact: &str) -> Result<Option<Self>, Stop> {
        let found = db
            .prepare_cached(
                "SELECT id, first, last, last_id FROM archive_lanes WHERE number = ?1 AND contact = ?2",
            )?
            .query_row((number.get(), contact), Self::from_row)
            .optional()?;
        Ok(found)
    }

    pub(super) fn read(db: &Connection, id: i64) -> Result<Self, Stop> {
        let found = db
            .prepare_cached("SELECT id, first, last, last_id FROM archive_lanes WHERE id = ?1")?
            .query_row([id], Self::from_row)?;
        Ok(found)
    }

    /// Ids are never used again, since packs of a lane that is gone may outlive it.
    pub(super) fn make(db: &Connection, number: AccountNumber, contact: &str) -> Result<Self, Stop> {
        db.prepare_cached(
            "INSERT INTO archive_lanes (number, contact, first, last, last_id) VALUES (?1, ?2, 1, 0, 0)",
        )?
        .execute((number.get(), contact))?;
        let id = db.last_insert_rowid();
        if id > SLOT_MAX {
            return Err(StoreError::QuotaExceeded.into());
        }
        Ok(Self { id, ..Self::NEW })
    }

    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let last_id = ArchiveId(row.get::<_, i64>(3)? as u64);
        Ok(Self { id: row.get(0)?, first: row.get(1)?, last: row.get(2)?, last_id, dirty: false })
    }

    /// Writes where it begins and ends.
    pub(super) fn write(&self, db: &Connection) -> rusqlite::Result<()> {
        db.prepare_cached("UPDATE archive_lanes SET first = ?2, last = ?3, last_id = ?4 WHERE id = ?1")?
            .execute((self.id, self.first, self.last, self.last_id.0 as i64))?;
        Ok(())
    }

    pub(super) fn len(&self) -> u64 {
        (self.last + 1).saturating_sub(self.first)
    }

    /// The key of a pack that begins at this step.
    pub(super) fn row(&self, step: u64) -> i64 {
        self.id << SEQ_BITS | step.min(SEQ_MAX) as i64
    }

    /// Adds messages at the end, to the last pack if they fit.
    pub(super) fn push(&mut self, db: &Connection, entries: &[Entry]) -> Result<(), Stop> {
        let Some(last) = entries.last() else { return Ok(()) };
        let mut pack = Pack::empty_at(self.last + 1);
        if self.len() > 0 {
            let before = Pack::read(db, self, self.last)?;
            if before.entries.len() + entries.len() <= PACK_MAX {
                pack = before;
            }
        }
        pack.entries.extend_from_slice(entries);
        pack.write(db, self)?;
        self.last += entries.len() as u64;
        self.last_id = last.id;
        Ok(())
    }

    /// The first message, if there is one.
    pub(super) fn front(&self, db: &Connection) -> Result<Option<Entry>, Stop> {
        if self.len() == 0 {
            return Ok(None);
        }
        Ok(Some(Pack::read(db, self, self.first)?.at(self.first)))
    }

    /// Forgets the first message, which there is.
    pub(super) fn pop(&mut self, db: &Connection) -> Result<Entry, Stop> {
        let pack = Pack::read(db, self, self.first)?;
        if pack.end() == self.first + 1 {
            pack.delete(db, self)?;
        }
        let entry = pack.at(self.first);
        self.first += 1;
        Ok(entry)
    }

    /// As if a message had never been in it: those behind it move up.
    pub(super) fn remove(&mut self, db: &Connection, step: u64) -> Result<(), Stop> {
        let mut pack = Pack::read(db, self, step)?;
        pack.entries.remove((step - pack.start) as usize);
        // What has left at the front goes with the last that has not.
        if pack.entries.is_empty() || self.len() == 1 {
            pack.delete(db, self)?;
        } else {
            pack.write(db, self)?;
        }
        // In the order of their keys, so that each moves to where there is room.
        db.prepare_cached("UPDATE archive_packs SET id = id - 1 WHERE id > ?1 AND id <= ?2")?
            .execute((self.row(pack.start), self.row(SEQ_MAX)))?;
        self.last -= 1;
        if self.len() > 0 {
            let last = Pack::read(db, self, self.last)?;
            self.last_id = last.at(self.last).id;
        }
        Ok(())
    }
}

/// A row of `archive_packs`.
#[derive(Debug)]
pub(super) struct Pack {
    /// The step of the first entry.
    start: u64,
    pub(super) entries: Vec<Entry>,
}

impl Pack {
    fn empty_at(start: u64) -> Self {
        Self { start, entries: Vec::new() }
    }

    /// The pack that a step of the lane is in.
    fn read(db: &Connection, lane: &Lane, step: u64) -> Result<Self, Stop> {
        let (key, entries) =
            db.prepare_cached(READ_PACK)?.query_row((lane.row(0), lane.row(step)), |row| {
                Ok((row.get::<_, i64>(0)?, decode(row.get_ref(1)?.as_blob()?)))
            })?;
        let pack = Self { start: key as u64 & SEQ_MAX, entries };
        if pack.holds(step) { Ok(pack) } else { Err(rusqlite::Error::QueryReturnedNoRows.into()) }
    }

    fn write(&self, db: &Connection, lane: &Lane) -> Result<(), Stop> {
        db.prepare_cached("INSERT OR REPLACE INTO archive_packs VALUES (?1, ?2)")?
            .execute((lane.row(self.start), encode(&self.entries)))?;
        Ok(())
    }

    fn delete(&self, db: &Connection, lane: &Lane) -> Result<(), Stop> {
        db.prepare_cached("DELETE FROM archive_packs WHERE id = ?1")?.execute([lane.row(self.start)])?;
        Ok(())
    }

    /// One behind its last step.
    fn end(&self) -> u64 {
        self.start + self.entries.len() as u64
    }

    fn holds(&self, step: u64) -> bool {
        (self.start..self.end()).contains(&step)
    }

    /// What is at a step that it holds.
    fn at(&self, step: u64) -> Entry {
        self.entries[(step - self.start) as usize]
    }
}

pub(super) fn encode(entries: &[Entry]) -> Vec<u8> {
    entries.iter().flat_map(|entry| [entry.id.0.to_le_bytes(), entry.seq.to_le_bytes()]).flatten().collect()
}

/// The entries of a pack's row; what is cut at its end is not there.
pub(super) fn decode(blob: &[u8]) -> Vec<Entry> {
    let (entries, _) = blob.as_chunks::<ENTRY_LEN>();
    let word = |bytes: &[u8]| bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
    entries
        .iter()
        .map(|entry| Entry { id: ArchiveId(word(&entry[..8])), seq: word(&entry[8..]) as i64 })
        .collect()
}

/// A lane with what is not filed in it yet, to be read.
#[derive(Debug)]
pub(in crate::sqlite) struct View {
    lane: Lane,
    /// Behind those that the lane names.
    unfiled: Vec<Entry>,
    /// The one that was read last: what is asked next is often in it.
    pack: Option<Pack>,
}

impl View {
    pub(super) fn new(lane: Lane, unfiled: Vec<Entry>) -> Self {
        Self { lane, unfiled, pack: None }
    }

    /// One behind the last step.
    pub(in crate::sqlite) fn end(&self) -> u64 {
        self.lane.last + 1 + self.unfiled.len() as u64
    }

    /// What is at a step that there is.
    pub(in crate::sqlite) fn at(&mut self, db: &Connection, step: u64) -> Result<Entry, Stop> {
        match step.checked_sub(self.lane.last + 1) {
            Some(behind) => Ok(self.unfiled[behind as usize]),
            None => Ok(self.pack(db, step)?.at(step)),
        }
    }

    fn pack(&mut self, db: &Connection, step: u64) -> Result<&Pack, Stop> {
        let pack = match self.pack.take() {
            Some(pack) if pack.holds(step) => pack,
            _ => Pack::read(db, &self.lane, step)?,
        };
        Ok(self.pack.insert(pack))
    }

    /// The first step whose message's id is not below `id`; one behind the last if there is none.
    pub(in crate::sqlite) fn lower_bound(&mut self, db: &Connection, id: ArchiveId) -> Result<u64, Stop> {
        let (mut low, mut high) = (self.lane.first, self.lane.last + 1);
        if low == high || id > self.lane.last_id {
            return Ok(high + self.unfiled.partition_point(|entry| entry.id < id) as u64);
        }
        // Often asked about the whole.
        if self.at(db, low)?.id >= id {
            return Ok(low);
        }
        while low < high {
            let pack = self.pack(db, low + (high - low) / 2)?;
            match pack.entries.partition_point(|entry| entry.id < id) as u64 {
                0 => high = pack.start.max(low),
                below if pack.start + below == pack.end() => low = pack.end(),
                below => return Ok((pack.start + below).clamp(low, high)),
            }
        }
        Ok(low)
    }
}

#[cfg(test)]
mod tests;
