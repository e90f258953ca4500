//! One account's archive in the reference back end: a map by id, and every question answered by looking at all of it.
//!
//! Owns: the rows. Not here: which account.

use std::collections::BTreeMap;

use xmpp::stanza::Stanza;
use xmpp::time::Wallclock;

use crate::archive::floor;
use crate::limits::{
    ARCHIVE_PAGE_BYTES_MAX, ARCHIVE_PAGE_ROWS_MAX, ARCHIVE_SCAN_ROWS_MAX, ARCHIVE_TRIM_ROWS,
};
use crate::{Answer, ArchiveId, ArchivePage, ArchivePaging, ArchiveQuery, ArchiveRow, Limits, StoreError};

#[derive(Debug, Default)]
pub(super) struct Archive {
    rows: BTreeMap<ArchiveId, (Box<str>, Vec<u8>)>,
    last: ArchiveId,
}

impl Archive {
    pub(super) fn append(
        &mut self,
        now: Wallclock,
        limits: &Limits,
        id: ArchiveId,
        with: Box<str>,
        stanza: Vec<u8>,
    ) {
        if id <= self.last {
            return;
        }
        self.last = id;
        self.rows.insert(id, (with, stanza));
        let floor = floor(now, limits.archive_keep);
        for _ in 0..ARCHIVE_TRIM_ROWS {
            let Some((&oldest, _)) = self.rows.first_key_value() else { return };
            if self.rows.len() as u64 <= limits.archive_rows_max && oldest >= floor {
                return;
            }
            self.rows.remove(&oldest);
        }
    }

    /// As if a message had never been appended.
    pub(super) fn take_back(&mut self, id: ArchiveId) {
        if self.rows.remove(&id).is_some()
            && let Some((&last, _)) = self.rows.last_key_value()
        {
            self.last = last;
        }
    }

    /// Whether it was ever used.
    pub(super) fn exists(&self) -> bool {
        self.last > ArchiveId(0)
    }

    /// Forgets what is below `floor`, `rows_max` rows at most; answers how many that were.
    pub(super) fn sweep(&mut self, floor: ArchiveId, rows_max: u64) -> u64 {
        let mut rows = 0;
        while rows < rows_max
            && let Some((&oldest, _)) = self.rows.first_key_value()
            && oldest < floor
        {
            self.rows.remove(&oldest);
            rows += 1;
        }
        rows
    }

    pub(super) fn ends(&self, floor: ArchiveId) -> Answer {
        let mut ids = self.rows.range(floor..).map(|(&id, _)| id);
        let first = ids.next();
        Answer::ArchiveEnds(first.map(|first| (first, ids.next_back().unwrap_or(first))))
    }

    pub(super) fn pick(&self, floor: ArchiveId, ids: &[ArchiveId]) -> Result<Answer, StoreError> {
        let mut ids: Vec<ArchiveId> = ids.iter().copied().take(ARCHIVE_PAGE_ROWS_MAX as usize).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut page = ArchivePage { complete: true, ..ArchivePage::default() };
        let mut bytes = 0;
        for id in ids {
            let (_, stanza) = self.rows.get(&id).filter(|_| id >= floor).ok_or(StoreError::NoSuchItem)?;
            page.complete &= bytes < ARCHIVE_PAGE_BYTES_MAX;
            if page.complete {
                bytes += stanza.len() as u64;
                page.rows.push(ArchiveRow { id, stanza: stanza.clone() });
            }
        }
        Ok(Answer::Archive(page))
    }

    pub(super) fn page(&self, floor: ArchiveId, query: &ArchiveQuery) -> Result<Answer, StoreError> {
        let known = |id: ArchiveId| self.rows.contains_key(&id) && id >= floor;
        let paged = match query.page {
            ArchivePaging::After(id) | ArchivePaging::Before(id) => Some(id),
            _ => None,
        };
        if ![query.after, query.before, paged].into_iter().flatten().all(known) {
            return Err(StoreError::NoSuchItem);
        }
        let asked: Vec<_> = self
            .rows
            .range(floor..)
            .filter(|(id, (with, _))| {
                query.with.as_ref().is_none_or(|wanted| wanted.as_str() == &**with)
                    && query.start.is_none_or(|start| **id >= ArchiveId::first_at(start))
                    && query.end.is_none_or(|end| **id <= ArchiveId::last_at(end))
                    && query.after.is_none_or(|after| **id > after)
                    && query.before.is_none_or(|before| **id < before)
            })
            .map(|(&id, (_, stanza))| (id, stanza))
            .collect();
        let (mut from, mut to) = (0, asked.len());
        let mut backward = false;
        match query.page {
            ArchivePaging::First => {}
            ArchivePaging::After(id) => from = asked.partition_point(|(other, _)| *other <= id),
            ArchivePaging::Index(index) => from = usize::try_from(index).map_or(to, |index| index.min(to)),
            ArchivePaging::Before(id) => {
                (to, backward) = (asked.partition_point(|(other, _)| *other < id), true);
            }
            ArchivePaging::Last => backward = true,
        }
        let mut page = ArchivePage { count: Some(asked.len() as u64), ..ArchivePage::default() };
        let limit = query.limit.min(ARCHIVE_PAGE_ROWS_MAX) as usize;
        let (mut bytes, mut looked, mut first) = (0, 0, None);
        while from < to
            && page.rows.len() < limit
            && bytes < ARCHIVE_PAGE_BYTES_MAX
            && looked < ARCHIVE_SCAN_ROWS_MAX
        {
            let at = if backward { to - 1 } else { from };
            (from, to) = if backward { (from, at) } else { (at + 1, to) };
            looked += 1;
            let (id, stanza) = asked[at];
            if query.full.as_ref().is_none_or(|full| is_with(stanza, full)) {
                bytes += stanza.len() as u64;
                first = if backward { Some(at) } else { first.or(Some(at)) };
                page.rows.push(ArchiveRow { id, stanza: stanza.clone() });
            }
        }
        page.complete = from >= to;
        page.index = first.map(|first| first as u64);
        if backward {
            page.rows.reverse();
        }
        if query.full.is_some() {
            (page.index, page.count) = (None, None);
            if page.rows.is_empty() && looked >= ARCHIVE_SCAN_ROWS_MAX {
                return Err(StoreError::QuotaExceeded);
            }
        }
        Ok(Answer::Archive(page))
    }
}

/// Whether a message is to or from exactly this address.
pub(crate) fn is_with(stanza: &[u8], full: &str) -> bool {
    Stanza::parse(stanza)
        .is_ok_and(|stanza| stanza.from().as_deref() == Some(full) || stanza.to().as_deref() == Some(full))
}
