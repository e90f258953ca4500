//! The archives, in SQLite.
//!
//! Owns: the table `archive_log`, and what of the archives in use is not filed, so that an append is one INSERT behind the
//! last. Invariants: at most [`PACK_MAX`] messages of an archive are not filed, these are its last, and their rows are among the last
//! [`WINDOW`] of the log; after [`Archives::flush`] the lanes' rows say where each begins and what of it is filed; between
//! groups nothing here is newer than the tables.
//! Not here: lanes (`lane`), how messages leave (`leaving`), pages (`archive_pages`), the account (`accounts`).
//!
//! ```text
//! archive_log    ... 97 98 99 | 100 101 102 103 104      every message of everybody, in the order of arrival
//!                             |  a       a       b       filed: the lanes of its archive and its contact name it
//!                             |     a       b            not filed yet: found when the exchange starts
//! ```
//! Each message is written once, at one end of one table, beside those that came with it: full pages, one after the other. Were
//! it written to where its archive is, each group would write a page or more for everybody who spoke in it, and so it would for
//! the lanes. So these are written for many messages at a time; until then the messages' own rows, read at the start, say
//! whose they are. After a kill nothing is missing, only not filed.

use std::collections::hash_map::Entry as Place;
use std::collections::{BTreeMap, HashMap};

use rusqlite::Connection;
use xmpp::address::AccountNumber;
use xmpp::time::Wallclock;

use super::schema::SEQ_MAX;
use super::{Stop, accounts};
use crate::archive::floor;
use crate::limits::ARCHIVE_TRIM_ROWS;
use crate::{Answer, ArchiveId, ArchiveOp, Limits, StoreError};

pub(super) mod lane;
mod leaving;

use lane::{Entry, Lane, PACK_MAX, View};

/// Archives and contacts remembered from group to group, at some 100 bytes each and what is not filed; beyond it those of which
/// all is filed are forgotten and read anew.
const KNOWN_MAX: usize = 64 * 1024;

/// Rows at the end of the log among which there may be some that are not filed. So many are read at the start (without
/// their stanzas), and remembered at 24 bytes each.
const WINDOW: i64 = 32 * 1024;

/// Archives that a group changes at most for it to be undone in memory; after a larger one that failed all is read anew.
const UNDO_MAX: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct Archives {
    known: HashMap<u64, Archive>,
    contacts: HashMap<i64, Lane>,
    /// The last row of the log; none before the log was looked at.
    last_seq: Option<i64>,
    /// Archives of which something is not filed, by the first such row.
    unfiled: BTreeMap<i64, u64>,
    /// The group that is under way, the last row before it, and the archives that it changed, as they were.
    group: u64,
    committed_seq: Option<i64>,
    changed: Vec<(u64, Archive)>,
    /// Those whose lanes' rows are to be written before the group ends.
    dirty_archives: Vec<u64>,
    dirty_contacts: Vec<i64>,
    /// The highest id that this group gave to a message.
    high: Option<ArchiveId>,
    /// The last number that a sweep looked at.
    swept: u64,
}

#[derive(Debug)]
struct Archive {
    /// What is filed of the whole of it.
    whole: Lane,
    /// The id of the oldest message, if there is one.
    first_id: Option<ArchiveId>,
    tail: Vec<Unfiled>,
    /// The lanes of contacts that were looked for.
    contacts: HashMap<Box<str>, i64>,
    /// The group that changed it last.
    changed_in: u64,
}

/// A message that is in no lane yet.
#[derive(Debug, Clone, Copy)]
struct Unfiled {
    entry: Entry,
    /// The lane of its contact: ids of lanes are below 2^28 (`SLOT_MAX`).
    contact: u32,
}

impl Archive {
    fn new(whole: Lane) -> Self {
        Self { whole, first_id: None, tail: Vec::new(), contacts: HashMap::new(), changed_in: 0 }
    }

    /// Without what is only a help to find things: a group that failed may have made the lanes that it names.
    fn snapshot(&self) -> Self {
        let Self { whole, first_id, ref tail, .. } = *self;
        Self { whole, first_id, tail: tail.clone(), ..Self::new(whole) }
    }

    fn last_id(&self) -> ArchiveId {
        self.tail.last().map_or(self.whole.last_id, |unfiled| unfiled.entry.id)
    }

    fn len(&self) -> u64 {
        self.whole.len() + self.tail.len() as u64
    }

    /// Finds the oldest message anew.
    fn read_first(&mut self, db: &Connection) -> Result<(), Stop> {
        let unfiled = self.tail.first().map(|unfiled| unfiled.entry);
        self.first_id = self.whole.front(db)?.or(unfiled).map(|entry| entry.id);
        Ok(())
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
        if id <= archive.last_id() {
            return Ok(Answer::Done);
        }
        if archive.whole.last + PACK_MAX as u64 >= SEQ_MAX {
            return Err(StoreError::QuotaExceeded.into());
        }
        let is_new = archive.whole.id == 0;
        let contact = match archive.contacts.get(with) {
            Some(contact) => *contact,
            None => self.make_contact(db, number, with)?,
        };
        if is_new {
            // So that its messages are known to be its when they are found in the log.
            let whole = Lane::make(db, number, "")?;
            self.change(db, number)?.whole = whole;
        }
        let seq = self.last_seq.unwrap_or(0) + 1;
        db.prepare_cached("INSERT INTO archive_log VALUES (?1, ?2, ?3, ?4, ?5)")?.execute((
            seq,
            number.get(),
            id.0 as i64,
            contact,
            stanza,
        ))?;
        self.last_seq = Some(seq);
        self.high = self.high.max(Some(id));
        let archive = self.change(db, number)?;
        archive.first_id.get_or_insert(id);
        archive.tail.push(Unfiled { entry: Entry { id, seq }, contact: contact as u32 });
        let unfiled = archive.tail.len();
        let over = archive.len().saturating_sub(limits.archive_rows_max);
        let trim = over > 0 || archive.first_id.is_some_and(|first| first < floor);
        if unfiled == 1 {
            self.unfiled.insert(seq, number.get());
        }
        if unfiled >= PACK_MAX {
            self.file(db, number)?;
        }
        if trim {
            self.trim(db, number, floor, over, ARCHIVE_TRIM_ROWS)?;
        }
        Ok(Answer::Done)
    }

    /// Enters what is not filed into the lanes of the archive and of its contacts.
    fn file(&mut self, db: &Connection, number: AccountNumber) -> Result<(), Stop> {
        if self.find(db, number)?.tail.is_empty() {
            return Ok(());
        }
        let archive = self.change(db, number)?;
        let mut tail = std::mem::take(&mut archive.tail);
        let mut whole = archive.whole;
        let mut entries: Vec<Entry> = tail.iter().map(|unfiled| unfiled.entry).collect();
        self.unfiled.remove(&entries[0].seq);
        whole.push(db, &entries)?;
        self.set_whole(number, whole);
        // Stable, so those of one contact keep their order.
        tail.sort_by_key(|unfiled| unfiled.contact);
        for of_one in tail.chunk_by(|one, other| one.contact == other.contact) {
            let mut lane = self.contact(db, i64::from(of_one[0].contact))?;
            entries.clear();
            entries.extend(of_one.iter().map(|unfiled| unfiled.entry));
            lane.push(db, &entries)?;
            self.set_contact(lane);
        }
        Ok(())
    }

    fn ends(&mut self, db: &Connection, floor: ArchiveId, number: AccountNumber) -> Result<Answer, Stop> {
        let mut whole = self.whole(db, number)?;
        let (first, end) = (whole.lower_bound(db, floor)?, whole.end());
        if first >= end {
            return Ok(Answer::ArchiveEnds(None));
        }
        Ok(Answer::ArchiveEnds(Some((whole.at(db, first)?.id, whole.at(db, end - 1)?.id))))
    }

    /// Writes what changed in this group, before its COMMIT.
    pub(super) fn flush(&mut self, db: &Connection) -> rusqlite::Result<()> {
        while let Some((&first, &number)) = self.unfiled.first_key_value() {
            if first > self.last_seq.unwrap_or(0) - WINDOW {
                break;
            }
            let filed = AccountNumber::new(number).map_or(Ok(()), |number| self.file(db, number));
            match filed {
                Ok(()) => {}
                Err(Stop::Sqlite(error)) => return Err(error),
                // Filing adds to lanes that are there, and asks for no room in any.
                Err(Stop::Refused(_)) => return Err(rusqlite::Error::QueryReturnedNoRows),
            }
            self.unfiled.remove(&first);
        }
        for number in self.dirty_archives.drain(..) {
            // Not there: the account was deleted later in the same group.
            let Some(archive) = self.known.get_mut(&number) else { continue };
            archive.whole.dirty = false;
            archive.whole.write(db)?;
        }
        for contact in self.dirty_contacts.drain(..) {
            let Some(lane) = self.contacts.get_mut(&contact) else { continue };
            lane.dirty = false;
            lane.write(db)?;
        }
        if let Some(high) = self.high.take() {
            db.prepare_cached("UPDATE counters SET archive_high = ?1 WHERE archive_high < ?1")?
                .execute([high.0 as i64])?;
        }
        if self.known.len() > KNOWN_MAX || self.contacts.len() > KNOWN_MAX {
            self.known.retain(|_, archive| !archive.tail.is_empty());
            self.contacts.clear();
        }
        Ok(())
    }

    /// After the COMMIT: this is what the next group may have to go back to.
    pub(super) fn committed(&mut self) {
        self.changed.clear();
        self.committed_seq = self.last_seq;
        self.group += 1;
    }

    /// After a rollback: what is here is as before the group.
    pub(super) fn undo(&mut self) {
        if self.committed_seq.is_none() || self.changed.len() >= UNDO_MAX {
            return self.forget();
        }
        // The oldest state of each last.
        for (number, before) in std::mem::take(&mut self.changed).into_iter().rev() {
            self.drop_archive(number);
            if let Some(first) = before.tail.first() {
                self.unfiled.insert(first.entry.seq, number);
            }
            self.known.insert(number, before);
        }
        self.last_seq = self.committed_seq;
        self.contacts.clear();
        self.dirty_archives.clear();
        self.dirty_contacts.clear();
        self.high = None;
        self.group += 1;
    }

    /// Everything is read anew.
    fn forget(&mut self) {
        *self = Self { swept: self.swept, group: self.group + 1, ..Self::default() };
    }

    /// What is not filed, from the end of the log.
    fn read_log(&mut self, db: &Connection) -> Result<(), Stop> {
        let last: i64 = db
            .prepare_cached("SELECT coalesce(max(seq), 0) FROM archive_log")?
            .query_row([], |row| row.get(0))?;
        let mut lanes: HashMap<u64, Option<Lane>> = HashMap::new();
        let mut rows = db.prepare_cached(
            "SELECT seq, number, mark, contact FROM archive_log WHERE seq > ?1 ORDER BY seq",
        )?;
        let mut rows = rows.query([last - WINDOW])?;
        while let Some(row) = rows.next()? {
            let Some(number) = AccountNumber::new(row.get(1)?) else { continue };
            let lane = match lanes.entry(number.get()) {
                Place::Occupied(known) => *known.get(),
                Place::Vacant(vacant) => *vacant.insert(Lane::find(db, number, "")?),
            };
            let entry = Entry { id: ArchiveId(row.get::<_, i64>(2)? as u64), seq: row.get(0)? };
            // Not there: the account was deleted, and the row goes with a sweep.
            let Some(whole) = lane.filter(|lane| entry.id > lane.last_id) else { continue };
            let archive = self.known.entry(number.get()).or_insert_with(|| Archive::new(whole));
            if archive.tail.is_empty() {
                archive.first_id = Some(whole.front(db)?.unwrap_or(entry).id);
                self.unfiled.insert(entry.seq, number.get());
            }
            archive.tail.push(Unfiled { entry, contact: row.get(3)? });
        }
        self.last_seq = Some(last);
        Ok(())
    }

    fn find(&mut self, db: &Connection, number: AccountNumber) -> Result<&mut Archive, Stop> {
        if self.last_seq.is_none() {
            self.read_log(db)?;
        }
        match self.known.entry(number.get()) {
            Place::Occupied(known) => Ok(known.into_mut()),
            Place::Vacant(vacant) => {
                let mut archive = Archive::new(match Lane::find(db, number, "")? {
                    Some(whole) => whole,
                    None => {
                        accounts::exists(db, number)?;
                        Lane::NEW
                    }
                });
                archive.read_first(db)?;
                Ok(vacant.insert(archive))
            }
        }
    }

    /// The same, to be changed.
    fn change(&mut self, db: &Connection, number: AccountNumber) -> Result<&mut Archive, Stop> {
        let group = self.group;
        if self.find(db, number)?.changed_in != group {
            let archive = self.find(db, number)?;
            archive.changed_in = group;
            let before = archive.snapshot();
            if self.changed.len() < UNDO_MAX {
                self.changed.push((number.get(), before));
            }
        }
        self.find(db, number)
    }

    /// The whole archive, to be read.
    pub(super) fn whole(&mut self, db: &Connection, number: AccountNumber) -> Result<View, Stop> {
        let archive = self.find(db, number)?;
        Ok(View::new(archive.whole, archive.tail.iter().map(|unfiled| unfiled.entry).collect()))
    }

    /// What it holds of one contact, to be read.
    pub(super) fn with(
        &mut self,
        db: &Connection,
        number: AccountNumber,
        with: &str,
    ) -> Result<Option<View>, Stop> {
        let Some(lane) = self.find_contact(db, number, with)? else { return Ok(None) };
        let of_it = |unfiled: &&Unfiled| i64::from(unfiled.contact) == lane.id;
        let tail = self.find(db, number)?.tail.iter().filter(of_it);
        Ok(Some(View::new(lane, tail.map(|unfiled| unfiled.entry).collect())))
    }

    fn find_contact(
        &mut self,
        db: &Connection,
        number: AccountNumber,
        with: &str,
    ) -> Result<Option<Lane>, Stop> {
        let Some(lane) = Lane::find(db, number, with)? else { return Ok(None) };
        self.find(db, number)?.contacts.insert(with.into(), lane.id);
        // What memory has may be newer, in the midst of a group.
        Ok(Some(*self.contacts.entry(lane.id).or_insert(lane)))
    }

    /// The lane of a contact that was written to before, or never.
    fn make_contact(&mut self, db: &Connection, number: AccountNumber, with: &str) -> Result<i64, Stop> {
        if let Some(lane) = self.find_contact(db, number, with)? {
            return Ok(lane.id);
        }
        let lane = Lane::make(db, number, with)?;
        self.contacts.insert(lane.id, lane);
        self.change(db, number)?.contacts.insert(with.into(), lane.id);
        Ok(lane.id)
    }

    fn contact(&mut self, db: &Connection, id: i64) -> Result<Lane, Stop> {
        match self.contacts.entry(id) {
            Place::Occupied(known) => Ok(*known.get()),
            Place::Vacant(vacant) => Ok(*vacant.insert(Lane::read(db, id)?)),
        }
    }

    fn set_whole(&mut self, number: AccountNumber, whole: Lane) {
        let Some(archive) = self.known.get_mut(&number.get()) else { return };
        if !archive.whole.dirty {
            self.dirty_archives.push(number.get());
        }
        archive.whole = Lane { dirty: true, ..whole };
    }

    fn set_contact(&mut self, lane: Lane) {
        if !lane.dirty {
            self.dirty_contacts.push(lane.id);
        }
        self.contacts.insert(lane.id, Lane { dirty: true, ..lane });
    }

    fn drop_archive(&mut self, number: u64) {
        if let Some(first) = self.known.remove(&number).and_then(|archive| archive.tail.first().copied()) {
            self.unfiled.remove(&first.entry.seq);
        }
    }
}

/// The highest id that any archive was given: what is drawn after a restart must be above it.
pub(super) fn high(db: &Connection) -> rusqlite::Result<ArchiveId> {
    let high: i64 = db.query_row("SELECT archive_high FROM counters", [], |row| row.get(0))?;
    Ok(ArchiveId(high as u64))
}

#[cfg(test)]
mod tests;
