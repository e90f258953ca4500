//! Pages of an archive, in SQLite: from what is asked to places, and from places to rows.
//!
//! Spec: XEP-0313 section 4 (what is asked), XEP-0059 (pages).
//! Invariants: a page costs some halvings and the rows that it holds, however long the archive is.
//! Not here: the tables (`archives`).

use rusqlite::{Connection, OptionalExtension};
use xmpp::address::AccountNumber;

use super::Stop;
use super::archives::{Archives, Lane, Theirs, id_at, lower_bound};
use crate::limits::{ARCHIVE_PAGE_BYTES_MAX, ARCHIVE_PAGE_ROWS_MAX, ARCHIVE_SCAN_ROWS_MAX};
use crate::memory::archive::is_with;
use crate::{Answer, ArchiveId, ArchivePage, ArchivePaging, ArchiveQuery, ArchiveRow, StoreError};

/// Places from `low` to before `high`.
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
        let lane = self.lane(db, number)?;
        let from = ArchiveId::first_at(query.start.unwrap_or_default()).max(floor);
        let first = lower_bound(db, lane, floor)?;
        let mut all = Span { low: lower_bound(db, lane, from)?, high: lane.last + 1 };
        if let Some(end) = query.end {
            all.high = all.high.min(lower_bound(db, lane, ArchiveId(ArchiveId::last_at(end).0 + 1))?);
        }
        let place = |id| exact(db, lane, first, id);
        if let Some(after) = query.after {
            all.low = all.low.max(place(after)? + 1);
        }
        if let Some(before) = query.before {
            all.high = all.high.min(place(before)?);
        }
        let mut part = all;
        let mut backward = false;
        match query.page {
            ArchivePaging::First | ArchivePaging::Index(_) => {}
            ArchivePaging::After(id) => part.low = part.low.max(place(id)? + 1),
            ArchivePaging::Before(id) => (part.high, backward) = (part.high.min(place(id)?), true),
            ArchivePaging::Last => backward = true,
        }
        // From places in the archive to steps in the contact's lane.
        let theirs = match &query.with {
            None => None,
            Some(with) => match self.contact_lane(db, number, with.as_str())? {
                Some(theirs) => Some(theirs),
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
        if let Some(theirs) = &theirs {
            for span in [&mut all, &mut part] {
                let high = if span.len() == 0 { span.low } else { span.high };
                *span = Span { low: theirs.step_of(db, span.low)?, high: theirs.step_of(db, high)? };
            }
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
            let row = read(db, lane, theirs.as_ref(), at)?;
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
        let lane = self.lane(db, number)?;
        let first = lower_bound(db, lane, floor)?;
        let mut ids: Vec<ArchiveId> = ids.iter().copied().take(ARCHIVE_PAGE_ROWS_MAX as usize).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut page = ArchivePage { complete: true, ..ArchivePage::default() };
        let mut bytes = 0;
        for id in ids {
            let place = exact(db, lane, first, id)?;
            page.complete &= bytes < ARCHIVE_PAGE_BYTES_MAX;
            if page.complete {
                let row = read(db, lane, None, place)?;
                bytes += row.stanza.len() as u64;
                page.rows.push(row);
            }
        }
        Ok(Answer::Archive(page))
    }
}

/// The place of the message with this id, which must be there and not before `first`.
fn exact(db: &Connection, lane: Lane, first: u64, id: ArchiveId) -> Result<u64, Stop> {
    let place = lower_bound(db, lane, id)?;
    if place < first || place > lane.last || id_at(db, lane, place)? != id {
        return Err(StoreError::NoSuchItem.into());
    }
    Ok(place)
}

/// The message at a place of the archive, or at a step of a contact's lane.
fn read(db: &Connection, lane: Lane, theirs: Option<&Theirs>, at: u64) -> Result<ArchiveRow, Stop> {
    let place = match theirs {
        None => at,
        Some(theirs) => theirs.place(db, at)?,
    };
    let row = db
        .prepare_cached("SELECT mark, stanza FROM archive WHERE id = ?1")?
        .query_row([lane.row(place)], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?)))
        .optional()?;
    let (id, stanza) = row.ok_or(StoreError::NoSuchItem)?;
    Ok(ArchiveRow { id: ArchiveId(id as u64), stanza })
}
