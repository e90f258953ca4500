//! The archives, in SQLite.
//!
//! Owns: the tables `archives`, `archive`, `archive_contacts`, `archive_with`, `archive_gone`, and the ends of archives in
//! use, so that an append is one INSERT.
//! Invariants: rows are appended at one end and leave at the other, and where one is taken back those behind it move up, so
//! their places have no gaps; a contact's lane names the places of the filed messages with that contact, without gaps too; at most
//! [`TAIL_MAX`] messages of an archive are not filed, and these are its last; after [`Archives::flush`] the tables say where each
//! begins and what of it is filed; between groups nothing here is newer than they are.
//! Not here: pages (`archive_pages`), the account (`accounts`).
//!
//! ```text
//! archive       slot | 1  2  3  4  5  6      each row: the message, its id, its contact
//! archive_with  a    | 1=1 2=3 3=4           the lane of contact a: its 2nd message has place 3
//!               b    | 1=2                   5 and 6 are with b, and not filed yet: the tail
//! ```
//! A lane's page, and the pages that hold the ends of archives and lanes, would each be written with every group in which somebody
//! says something: as much again as the message. So messages are filed many at a time; until then their own rows, read
//! when the archive comes into memory, say whose they are. After a kill nothing is missing, only not filed.
//!
//! Since nothing has gaps, an id, a time or a place is found by halving, the n-th of a lane without looking, and how many
//! there are is a subtraction: no index beside the lanes is kept, and no count is ever counted.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use rusqlite::{Connection, OptionalExtension};
use xmpp::address::AccountNumber;
use xmpp::time::Wallclock;

use super::Stop;
use super::schema::{SEQ_BITS, SEQ_MAX, SLOT_MAX};
use crate::archive::floor;
use crate::limits::ARCHIVE_TRIM_ROWS;
use crate::{Answer, ArchiveId, ArchiveOp, Limits, StoreError};

/// Archives and contacts remembered from group to group, at some 100 bytes each and their tails; beyond it all are forgotten and read
/// anew.
const KNOWN_MAX: usize = 64 * 1024;

/// Messages of an archive that are not filed at most: enough that a lane's page is written for many at once, few enough to be
/// read when an archive comes into memory, and remembered at four bytes each.
pub(super) const TAIL_MAX: usize = 32;

/// Archives that one sweep looks at.
const SWEEP_ARCHIVES: u32 = 256;

#[derive(Debug, Default)]
pub(super) struct Archives {
    archives: HashMap<u64, Archive>,
    contacts: HashMap<i64, Lane>,
    /// Those that changed in this group.
    dirty_archives: Vec<u64>,
    dirty_contacts: Vec<i64>,
    /// The highest id that this group gave to a message.
    high: Option<ArchiveId>,
    /// The last number that a sweep looked at.
    swept: u64,
}

/// Rows without gaps under one prefix.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lane {
    pub(super) prefix: i64,
    /// The places of the first and the last row; the first is above the last when there is none.
    pub(super) first: u64,
    pub(super) last: u64,
    dirty: bool,
}

impl Lane {
    pub(super) fn row(self, place: u64) -> i64 {
        self.prefix << SEQ_BITS | place.min(SEQ_MAX) as i64
    }

    pub(super) fn len(self) -> u64 {
        (self.last + 1).saturating_sub(self.first)
    }
}

#[derive(Debug)]
struct Archive {
    lane: Lane,
    /// The ids at both ends; the last stays when the rows are gone.
    first_id: ArchiveId,
    last_id: ArchiveId,
    /// The id of the last message that is filed, in the same sense.
    filed_id: ArchiveId,
    /// The contacts of the messages that are not filed: ids of contacts are below 2^28 ([`SLOT_MAX`]).
    tail: Vec<u32>,
    contacts: HashMap<Box<str>, i64>,
}

impl Archive {
    fn new(lane: Lane, first_id: ArchiveId, filed_id: ArchiveId) -> Self {
        let (tail, contacts) = (Vec::new(), HashMap::new());
        Self { lane, first_id, last_id: filed_id, filed_id, tail, contacts }
    }

    /// Finds what was appended since the last filing.
    fn read_tail(&mut self, db: &Connection) -> Result<(), Stop> {
        let mut rows =
            db.prepare_cached("SELECT mark, contact FROM archive WHERE id > ?1 AND id <= ?2 ORDER BY id")?;
        let mut rows = rows.query((self.lane.row(self.lane.last), self.lane.row(SEQ_MAX)))?;
        while let Some(row) = rows.next()? {
            self.last_id = ArchiveId(row.get::<_, i64>(0)? as u64);
            self.tail.push(row.get(1)?);
            self.lane.last += 1;
        }
        Ok(())
    }

    /// The place of the last message that is filed.
    fn filed(&self) -> u64 {
        self.lane.last - self.tail.len() as u64
    }
}

/// A contact's lane with what is not filed in it yet.
#[derive(Debug)]
pub(super) struct Theirs {
    lane: Lane,
    /// Places behind those that the lane names.
    unfiled: Vec<u64>,
}

impl Theirs {
    /// The place of the message at a step.
    pub(super) fn place(&self, db: &Connection, step: u64) -> Result<u64, Stop> {
        if let Some(unfiled) = step.checked_sub(self.lane.last + 1) {
            return Ok(self.unfiled[unfiled as usize]);
        }
        let place = db
            .prepare_cached("SELECT place FROM archive_with WHERE id = ?1")?
            .query_row([self.lane.row(step)], |row| row.get(0))?;
        Ok(place)
    }

    /// The first step whose message's place is not below `place`.
    pub(super) fn step_of(&self, db: &Connection, place: u64) -> Result<u64, Stop> {
        let (mut low, mut high) =
            (self.lane.first, self.lane.first + self.lane.len() + self.unfiled.len() as u64);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.place(db, middle)? < place { low = middle + 1 } else { high = middle }
        }
        Ok(low)
    }
}

impl Archives {
    pub(super) fn apply(
        &mut self,
        db: &Connection,
        now: Wallclock,
        limits: &Limits,
        op: &ArchiveOp,
    ) -> Result<Answer, Stop> {
        let floor = floor(now, limits.archive_keep);
        match op {
            ArchiveOp::Append { number, id, with, stanza } => {
                self.append(db, floor, limits, *number, *id, with, stanza)
            }
            ArchiveOp::Page { number, query } => self.page(db, floor, *number, query),
            ArchiveOp::Pick { number, ids } => self.pick(db, floor, *number, ids),
            ArchiveOp::Ends { number } => self.ends(db, floor, *number),
            ArchiveOp::Sweep { rows_max } => self.sweep(db, floor, u64::from(*rows_max)),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "a row in its parts")]
    fn append(
        &mut self,
        db: &Connection,
        floor: ArchiveId,
        limits: &Limits,
        number: AccountNumber,
        id: ArchiveId,
        with: &str,
        stanza: &[u8],
    ) -> Result<Answer, Stop> {
        let archive = self.find(db, number)?;
        if id <= archive.last_id {
            return Ok(Answer::Done);
        }
        let (lane, known) = (archive.lane, archive.contacts.get(with).copied());
        let contact = match known {
            Some(contact) => contact,
            None => self.find_contact(db, number, with, true)?.ok_or(StoreError::NoSuchItem)?,
        };
        let place = lane.last + 1;
        if place >= SEQ_MAX {
            return Err(StoreError::QuotaExceeded.into());
        }
        db.prepare_cached("INSERT INTO archive VALUES (?1, ?2, ?3, ?4)")?.execute((
            lane.row(place),
            id.0 as i64,
            contact,
            stanza,
        ))?;
        self.high = self.high.max(Some(id));
        let archive = self.find(db, number)?;
        archive.lane.last = place;
        archive.last_id = id;
        archive.tail.push(contact as u32);
        if lane.len() == 0 {
            // Told to the tables: where an archive begins, and that it is there.
            self.set(number, Lane { last: place, ..lane }).first_id = id;
        }
        if self.find(db, number)?.tail.len() >= TAIL_MAX {
            self.file(db, number)?;
        }
        let archive = self.find(db, number)?;
        let over = archive.lane.len().saturating_sub(limits.archive_rows_max);
        if over > 0 || archive.first_id < floor {
            self.trim(db, number, floor, over, ARCHIVE_TRIM_ROWS)?;
        }
        Ok(Answer::Done)
    }

    /// Enters what is not filed into the lanes of its contacts.
    fn file(&mut self, db: &Connection, number: AccountNumber) -> Result<(), Stop> {
        let archive = self.find(db, number)?;
        if archive.tail.is_empty() {
            return Ok(());
        }
        let (lane, filed) = (archive.lane, archive.filed());
        archive.filed_id = archive.last_id;
        let tail = std::mem::take(&mut archive.tail);
        self.set(number, lane);
        for (place, contact) in (filed + 1..).zip(tail) {
            let contact = i64::from(contact);
            let theirs = self.find_lane(db, contact)?;
            // No lane is longer than its archive, so neither are its steps more than there may be.
            let step = theirs.last + 1;
            db.prepare_cached("INSERT INTO archive_with VALUES (?1, ?2)")?
                .execute((theirs.row(step), place))?;
            self.set_contact(contact, Lane { last: step, ..theirs });
        }
        Ok(())
    }

    /// Forgets the oldest rows: `over` of them, and what is below `floor`, together `rows_max` at most. Answers how many.
    fn trim(
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
            let (lane, oldest) = (archive.lane, archive.first_id);
            if rows >= rows_max || lane.len() == 0 || rows >= over && oldest >= floor {
                return Ok(rows);
            }
            // What goes is filed, so that it goes from its lane too.
            if lane.first > archive.filed() {
                self.file(db, number)?;
            }
            let contact: i64 = db
                .prepare_cached("SELECT contact FROM archive WHERE id = ?1")?
                .query_row([lane.row(lane.first)], |row| row.get(0))?;
            let theirs = self.find_lane(db, contact)?;
            db.prepare_cached("DELETE FROM archive WHERE id = ?1")?.execute([lane.row(lane.first)])?;
            // The oldest of all is the oldest of its contact.
            db.prepare_cached("DELETE FROM archive_with WHERE id = ?1")?
                .execute([theirs.row(theirs.first)])?;
            self.set_contact(contact, Lane { first: theirs.first + 1, ..theirs });
            let lane = Lane { first: lane.first + 1, ..lane };
            let first_id = if lane.len() == 0 { ArchiveId(0) } else { id_at(db, lane, lane.first)? };
            self.set(number, lane).first_id = first_id;
            rows += 1;
        }
    }

    /// As if a message had never been appended: those behind it move up, in the archive and in their contacts' lanes. It
    /// is among the last, since it is taken back as soon as the exchange is there again.
    pub(super) fn take_back(
        &mut self,
        db: &Connection,
        number: AccountNumber,
        id: ArchiveId,
    ) -> Result<(), Stop> {
        self.file(db, number)?;
        let lane = self.find(db, number)?.lane;
        let place = lower_bound(db, lane, id)?;
        if place > lane.last || id_at(db, lane, place)? != id {
            return Ok(());
        }
        let contact: i64 = db
            .prepare_cached("SELECT contact FROM archive WHERE id = ?1")?
            .query_row([lane.row(place)], |row| row.get(0))?;
        let theirs = self.find_lane(db, contact)?;
        let step = Theirs { lane: theirs, unfiled: Vec::new() }.step_of(db, place)?;
        db.prepare_cached("DELETE FROM archive_with WHERE id = ?1")?.execute([theirs.row(step)])?;
        // In the order of their ids, so that each moves to where one has just left.
        db.prepare_cached("UPDATE archive_with SET id = id - 1 WHERE id > ?1 AND id <= ?2")?
            .execute((theirs.row(step), theirs.row(theirs.last)))?;
        self.set_contact(contact, Lane { last: theirs.last - 1, ..theirs });
        let behind = (lane.row(place), lane.row(lane.last));
        let contacts: Vec<i64> = db
            .prepare_cached("SELECT DISTINCT contact FROM archive WHERE id > ?1 AND id <= ?2")?
            .query_map(behind, |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        for contact in contacts {
            let theirs = self.find_lane(db, contact)?;
            let from = Theirs { lane: theirs, unfiled: Vec::new() }.step_of(db, place)?;
            db.prepare_cached("UPDATE archive_with SET place = place - 1 WHERE id BETWEEN ?1 AND ?2")?
                .execute((theirs.row(from), theirs.row(theirs.last)))?;
        }
        db.prepare_cached("DELETE FROM archive WHERE id = ?1")?.execute([behind.0])?;
        db.prepare_cached("UPDATE archive SET id = id - 1 WHERE id > ?1 AND id <= ?2")?.execute(behind)?;
        let lane = Lane { last: lane.last - 1, ..lane };
        let ends = match lane.len() {
            0 => None,
            _ => Some((id_at(db, lane, lane.first)?, id_at(db, lane, lane.last)?)),
        };
        let archive = self.set(number, lane);
        (archive.first_id, archive.last_id) = ends.unwrap_or((ArchiveId(0), archive.last_id));
        archive.filed_id = archive.last_id;
        Ok(())
    }

    fn sweep(&mut self, db: &Connection, floor: ArchiveId, rows_max: u64) -> Result<Answer, Stop> {
        let mut left = rows_max;
        while left > 0 {
            let gone = db
                .prepare_cached("SELECT lane, low, high FROM archive_gone LIMIT 1")?
                .query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                .optional()?;
            let Some((lane, low, high)): Option<(bool, i64, i64)> = gone else { break };
            let delete = if lane {
                "DELETE FROM archive_with WHERE id IN
                 (SELECT id FROM archive_with WHERE id BETWEEN ?1 AND ?2 ORDER BY id LIMIT ?3)"
            } else {
                "DELETE FROM archive WHERE id IN
                 (SELECT id FROM archive WHERE id BETWEEN ?1 AND ?2 ORDER BY id LIMIT ?3)"
            };
            let rows = db.prepare_cached(delete)?.execute((low, high, left as i64))? as u64;
            if rows < left {
                db.prepare_cached("DELETE FROM archive_gone WHERE lane = ?1 AND low = ?2")?
                    .execute((lane, low))?;
            }
            left -= rows;
        }
        let numbers: Vec<u64> = db
            .prepare_cached("SELECT number FROM archives WHERE number > ?1 ORDER BY number LIMIT ?2")?
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

    fn ends(&mut self, db: &Connection, floor: ArchiveId, number: AccountNumber) -> Result<Answer, Stop> {
        let Archive { lane, last_id, .. } = *self.find(db, number)?;
        let first = lower_bound(db, lane, floor)?;
        if first > lane.last {
            return Ok(Answer::ArchiveEnds(None));
        }
        Ok(Answer::ArchiveEnds(Some((id_at(db, lane, first)?, last_id))))
    }

    /// Everything of an account; none is no error. The rows themselves go with the sweeps.
    pub(super) fn remove(&mut self, db: &Connection, number: AccountNumber) -> Result<(), Stop> {
        let lane = match self.find(db, number) {
            Ok(archive) => archive.lane,
            Err(Stop::Refused(_)) => return Ok(()),
            Err(stop) => return Err(stop),
        };
        db.prepare_cached("INSERT INTO archive_gone VALUES (0, ?1, ?2)")?
            .execute((lane.row(0), lane.row(SEQ_MAX)))?;
        db.prepare_cached(
            "INSERT INTO archive_gone SELECT 1, id << ?2, id << ?2 | ?3 FROM archive_contacts WHERE number = ?1",
        )?
        .execute((number.get(), SEQ_BITS, SEQ_MAX))?;
        db.prepare_cached("DELETE FROM archive_contacts WHERE number = ?1")?.execute([number.get()])?;
        db.prepare_cached("DELETE FROM archives WHERE number = ?1")?.execute([number.get()])?;
        if let Some(archive) = self.archives.remove(&number.get()) {
            for contact in archive.contacts.values() {
                self.contacts.remove(contact);
            }
        }
        Ok(())
    }

    /// Writes what changed in this group, before its COMMIT.
    pub(super) fn flush(&mut self, db: &Connection) -> rusqlite::Result<()> {
        if !self.dirty_archives.is_empty() {
            let mut write =
                db.prepare_cached("INSERT OR REPLACE INTO archives VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
            for number in self.dirty_archives.drain(..) {
                // Not there: the account was deleted later in the same group.
                let Some(archive) = self.archives.get_mut(&number) else { continue };
                archive.lane.dirty = false;
                let Lane { prefix, first, .. } = archive.lane;
                let ids = (archive.first_id.0 as i64, archive.filed_id.0 as i64);
                write.execute((number, prefix, first, archive.filed(), ids.0, ids.1))?;
            }
        }
        if !self.dirty_contacts.is_empty() {
            let mut write =
                db.prepare_cached("UPDATE archive_contacts SET first = ?2, last = ?3 WHERE id = ?1")?;
            for contact in self.dirty_contacts.drain(..) {
                let Some(lane) = self.contacts.get_mut(&contact) else { continue };
                lane.dirty = false;
                write.execute((contact, lane.first, lane.last))?;
            }
        }
        if let Some(high) = self.high.take() {
            db.prepare_cached("UPDATE counters SET archive_high = ?1 WHERE archive_high < ?1")?
                .execute([high.0 as i64])?;
        }
        if self.archives.len() > KNOWN_MAX || self.contacts.len() > KNOWN_MAX {
            self.forget();
        }
        Ok(())
    }

    /// After a rollback: what is here is newer than the tables.
    pub(super) fn forget(&mut self) {
        self.archives.clear();
        self.contacts.clear();
        self.dirty_archives.clear();
        self.dirty_contacts.clear();
        self.high = None;
    }

    fn find(&mut self, db: &Connection, number: AccountNumber) -> Result<&mut Archive, Stop> {
        let vacant = match self.archives.entry(number.get()) {
            Entry::Occupied(known) => return Ok(known.into_mut()),
            Entry::Vacant(vacant) => vacant,
        };
        let found = db
            .prepare_cached("SELECT slot, first, last, first_id, last_id FROM archives WHERE number = ?1")?
            .query_row([number.get()], |row| {
                let lane = Lane { prefix: row.get(0)?, first: row.get(1)?, last: row.get(2)?, dirty: false };
                let (first_id, last_id): (i64, i64) = (row.get(3)?, row.get(4)?);
                Ok(Archive::new(lane, ArchiveId(first_id as u64), ArchiveId(last_id as u64)))
            })
            .optional()?;
        let archive = match found {
            Some(mut archive) => {
                archive.read_tail(db)?;
                archive
            }
            None => {
                let slot = db
                    .prepare_cached("SELECT slot FROM mailboxes WHERE number = ?1")?
                    .query_row([number.get()], |row| row.get(0))
                    .optional()?
                    .ok_or(StoreError::NoSuchAccount)?;
                let lane = Lane { prefix: slot, first: 1, last: 0, dirty: false };
                Archive::new(lane, ArchiveId(0), ArchiveId(0))
            }
        };
        Ok(vacant.insert(archive))
    }

    pub(super) fn lane(&mut self, db: &Connection, number: AccountNumber) -> Result<Lane, Stop> {
        Ok(self.find(db, number)?.lane)
    }

    /// The lane of a contact, made if need be.
    fn find_contact(
        &mut self,
        db: &Connection,
        number: AccountNumber,
        with: &str,
        make: bool,
    ) -> Result<Option<i64>, Stop> {
        let found = db
            .prepare_cached(
                "SELECT id, first, last FROM archive_contacts WHERE number = ?1 AND address = ?2",
            )?
            .query_row((number.get(), with), |row| {
                Ok(Lane { prefix: row.get(0)?, first: row.get(1)?, last: row.get(2)?, dirty: false })
            })
            .optional()?;
        let lane = match found {
            // What memory has may be newer, in the midst of a group.
            Some(lane) => self.contacts.get(&lane.prefix).copied().unwrap_or(lane),
            None if make => {
                db.prepare_cached(
                    "INSERT INTO archive_contacts (number, address, first, last) VALUES (?1, ?2, 1, 0)",
                )?
                .execute((number.get(), with))?;
                Lane { prefix: db.last_insert_rowid(), first: 1, last: 0, dirty: false }
            }
            None => return Ok(None),
        };
        if lane.prefix > SLOT_MAX {
            return Err(StoreError::QuotaExceeded.into());
        }
        self.contacts.insert(lane.prefix, lane);
        self.find(db, number)?.contacts.insert(with.into(), lane.prefix);
        Ok(Some(lane.prefix))
    }

    pub(super) fn contact_lane(
        &mut self,
        db: &Connection,
        number: AccountNumber,
        with: &str,
    ) -> Result<Option<Theirs>, Stop> {
        let Some(contact) = self.find_contact(db, number, with, false)? else { return Ok(None) };
        let lane = self.contacts[&contact];
        let archive = self.find(db, number)?;
        let tail = (archive.filed() + 1..).zip(&archive.tail);
        let unfiled = tail.filter(|(_, of)| i64::from(**of) == contact).map(|(place, _)| place).collect();
        Ok(Some(Theirs { lane, unfiled }))
    }

    fn find_lane(&mut self, db: &Connection, contact: i64) -> Result<Lane, Stop> {
        if let Some(lane) = self.contacts.get(&contact) {
            return Ok(*lane);
        }
        let lane = db
            .prepare_cached("SELECT first, last FROM archive_contacts WHERE id = ?1")?
            .query_row([contact], |row| {
                Ok(Lane { prefix: contact, first: row.get(0)?, last: row.get(1)?, dirty: false })
            })?;
        self.contacts.insert(contact, lane);
        Ok(lane)
    }

    fn set(&mut self, number: AccountNumber, lane: Lane) -> &mut Archive {
        let archive = self.archives.get_mut(&number.get()).expect("it was found before");
        if !archive.lane.dirty {
            self.dirty_archives.push(number.get());
        }
        archive.lane = Lane { dirty: true, ..lane };
        archive
    }

    fn set_contact(&mut self, contact: i64, lane: Lane) {
        if !lane.dirty {
            self.dirty_contacts.push(contact);
        }
        self.contacts.insert(contact, Lane { dirty: true, ..lane });
    }
}

/// The highest id that any archive was given: what is drawn after a restart must be above it.
pub(super) fn high(db: &Connection) -> rusqlite::Result<ArchiveId> {
    let high: i64 = db.query_row("SELECT archive_high FROM counters", [], |row| row.get(0))?;
    Ok(ArchiveId(high as u64))
}

/// The id of the message at a place.
pub(super) fn id_at(db: &Connection, lane: Lane, place: u64) -> Result<ArchiveId, Stop> {
    let id: i64 = db
        .prepare_cached("SELECT mark FROM archive WHERE id = ?1")?
        .query_row([lane.row(place)], |row| row.get(0))?;
    Ok(ArchiveId(id as u64))
}

/// The first place whose message's id is not below `id`; one behind the last if there is none.
pub(super) fn lower_bound(db: &Connection, lane: Lane, id: ArchiveId) -> Result<u64, Stop> {
    let (mut low, mut high) = (lane.first, lane.first + lane.len());
    // Often asked about the whole.
    if lane.len() == 0 || id_at(db, lane, low)? >= id {
        return Ok(low);
    }
    while low < high {
        let middle = low + (high - low) / 2;
        if id_at(db, lane, middle)? < id { low = middle + 1 } else { high = middle }
    }
    Ok(low)
}

#[cfg(test)]
mod tests;
