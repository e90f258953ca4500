//! Pages of an archive, in SQLite: from what is asked to steps in a lane, and from steps to rows.
//!
//! Spec: XEP-0313 section 4 (what is asked), XEP-0059 (pages).
//! Invariants: a page costs some halvings and the rows that it holds, however long the archive is.
//! Not here: the tables (`archives`).

use rusqlite::{Connection, OptionalExtension};
use xmpp::address::AccountNumber;

use super::Stop;
use super::archives::Archives;
use super::archives::lane::{Entry, View};
use crate::limits::{ARCHIVE_PAGE_BYTES_MAX, ARCHIVE_PAGE_ROWS_MAX, ARCHIVE_SCAN_ROWS_MAX};
use crate::memory::archive::is_with;
use crate::{Answer, ArchiveId, ArchivePage, ArchivePaging, ArchiveQuery, ArchiveRow, StoreError};

/// A message of a page.
pub(super) const READ_ROW: &str = "SELECT stanza FROM archive_log WHERE seq = ?1";

/// Steps from `low` to before `high`.
#[derive(Clone, Copy)]
struct Span {
    low: u64,
    high: u64,
}

impl Span {
    fn len(self) -> u64 {
        self.high.saturating_sub(self.low)
    }
}

impl Archives {
    pub(super) fn page(
        &mut self,
        db: &Connection,
        floor: ArchiveId,
        number: AccountNumber,
        query: &ArchiveQuery,
    ) -> Result<Answer, Stop> {
        let mut whole = self.whole(db, number)?;
        // An id must be in the archive, and not have left it.
        let mut known = |id| exact(db, &mut whole, floor, id).map(|_| id);
        let after = query.after.map(&mut known).transpose()?;
        let before = query.before.map(&mut known).transpose()?;
        if let ArchivePaging::After(id) | ArchivePaging::Before(id) = query.page {
            known(id)?;
        }
        let mut view = match &query.with {
            None => whole,
            Some(with) => match self.with(db, number, with.as_str())? {
                Some(theirs) => theirs,
                None => {
                    let count = query.full.is_none().then_some(0);
                    return Ok(Answer::Archive(ArchivePage {
                        complete: true,
                        count,
                        ..ArchivePage::default()
                    }));
                }
            },
        };
        let mut step = |id: ArchiveId| view.lower_bound(db, id);
        let behind = |id: ArchiveId| ArchiveId(id.0 + 1);
        let from = ArchiveId::first_at(query.start.unwrap_or_default()).max(floor);
        let mut all = Span { low: step(from)?, high: step(ArchiveId(u64::MAX))? };
        if let Some(end) = query.end {
            all.high = step(behind(ArchiveId::last_at(end)))?;
        }
        if let Some(after) = after {
            all.low = all.low.max(step(behind(after))?);
        }
        if let Some(before) = before {
            all.high = all.high.min(step(before)?);
        }
        let mut part = all;
        let mut backward = false;
        match query.page {
            ArchivePaging::First | ArchivePaging::Index(_) => {}
            ArchivePaging::After(id) => part.low = part.low.max(step(behind(id))?),
            ArchivePaging::Before(id) => (part.high, backward) = (part.high.min(step(id)?), true),
            ArchivePaging::Last => backward = true,
        }
        if let ArchivePaging::Index(index) = query.page {
            part.low = part.low.saturating_add(index).min(part.high.max(part.low));
        }
        let limit = query.limit.min(ARCHIVE_PAGE_ROWS_MAX) as usize;
        let mut page = ArchivePage { count: Some(all.len()), ..ArchivePage::default() };
        let (mut bytes, mut looked, mut start) = (0, 0, None);
        while part.len() > 0
            && page.rows.len() < limit
            && bytes < ARCHIVE_PAGE_BYTES_MAX
            && looked < ARCHIVE_SCAN_ROWS_MAX
        {
            let at = if backward { part.high - 1 } else { part.low };
            if backward {
                part.high = at;
            } else {
                part.low = at + 1;
            }
            looked += 1;
            let row = read(db, view.at(db, at)?)?;
            if query.full.as_ref().is_none_or(|full| is_with(&row.stanza, full)) {
                bytes += row.stanza.len() as u64;
                start = if backward { Some(at) } else { start.or(Some(at)) };
                page.rows.push(row);
            }
        }
        page.complete = part.len() == 0;
        page.index = start.map(|start| start - all.low);
        if backward {
            page.rows.reverse();
        }
        if query.full.is_some() {
            (page.index, page.count) = (None, None);
            if page.rows.is_empty() && looked >= ARCHIVE_SCAN_ROWS_MAX {
                return Err(StoreError::QuotaExceeded.into());
            }
        }
        Ok(Answer::Archive(page))
    }

    pub(super) fn pick(
        &mut self,
        db: &Connection,
        floor: ArchiveId,
        number: AccountNumber,
        ids: &[ArchiveId],
    ) -> Result<Answer, Stop> {
        let mut whole = self.whole(db, number)?;
        let mut ids: Vec<ArchiveId> = ids.iter().copied().take(ARCHIVE_PAGE_ROWS_MAX as usize).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut page = ArchivePage { complete: true, ..ArchivePage::default() };
        let mut bytes = 0;
        for id in ids {
            let entry = exact(db, &mut whole, floor, id)?;
            page.complete &= bytes < ARCHIVE_PAGE_BYTES_MAX;
            if page.complete {
                let row = read(db, entry)?;
                bytes += row.stanza.len() as u64;
                page.rows.push(row);
            }
        }
        Ok(Answer::Archive(page))
    }
}

/// The message with this id, which must be there and not below `floor`.
fn exact(db: &Connection, whole: &mut View, floor: ArchiveId, id: ArchiveId) -> Result<Entry, Stop> {
    let step = whole.lower_bound(db, id)?;
    if step < whole.end() {
        let entry = whole.at(db, step)?;
        if entry.id == id && id >= floor {
            return Ok(entry);
        }
    }
    Err(StoreError::NoSuchItem.into())
}

fn read(db: &Connection, entry: Entry) -> Result<ArchiveRow, Stop> {
    let stanza = db
        .prepare_cached(READ_ROW)?
        .query_row([entry.seq], |row| row.get(0))
        .optional()?
        .ok_or(StoreError::NoSuchItem)?;
    Ok(ArchiveRow { id: entry.id, stanza })
}
