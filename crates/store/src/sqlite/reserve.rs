//! Room that is kept for the day on which the disk is full.
//!
//! Owns: the file `reserve`, and the bound on the database's size while that file is spent.
//! Invariants: while the reserve is held, the log and one checkpoint fit into it; while it is spent, the database does
//! not grow, so that what the reserve gave is the log's alone, and deleting, which needs the log too, goes on.
//! Not here: telling that the disk is full (`refusal`).
//!
//! Without it a full disk would be a trap: to delete a message is to write to the log, so messages that had arrived could
//! not be forgotten and would arrive again.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

use rusqlite::Connection;

use super::WAL_PAGES;

/// The file's name inside the folder.
pub(super) const FILE: &str = "reserve";

/// Twice the log at its longest, 4 KiB a page: once for what a checkpoint copies, once for what comes after.
pub(super) const BYTES: u64 = 2 * 4096 * WAL_PAGES as u64;

/// After so many batches it is tried whether the disk has room for the reserve again.
const TRY_EVERY: u32 = 64;

/// SQLite's own bound, that is none.
const PAGES_MAX: u64 = 0xffff_fffe;

#[derive(Debug)]
pub(super) struct Reserve {
    /// Where, unless the database lives in memory.
    path: Option<PathBuf>,
    bytes: u64,
    /// The database's pages at most while the reserve is held.
    pages_max: u64,
    spent: bool,
    batches: u32,
}

impl Reserve {
    /// Makes the file if there is room for it; otherwise the database starts as on a full disk.
    pub(super) fn open(
        db: &Connection,
        path: Option<PathBuf>,
        bytes: u64,
        pages_max: Option<u64>,
    ) -> rusqlite::Result<Self> {
        let pages_max = pages_max.unwrap_or(PAGES_MAX);
        let mut reserve = Self { path, bytes, pages_max, spent: false, batches: 0 };
        set_pages_max(db, pages_max)?;
        if reserve.make().is_err() {
            reserve.spend(db)?;
        }
        Ok(reserve)
    }

    /// None, for a database that is only looked at.
    pub(super) fn none() -> Self {
        Self { path: None, bytes: 0, pages_max: PAGES_MAX, spent: false, batches: 0 }
    }

    /// The disk is full: gives the reserve away.
    pub(super) fn spend(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let Some(path) = self.path.as_ref().filter(|_| !self.spent) else { return Ok(()) };
        self.spent = true;
        self.batches = 0;
        // It may be gone already; what counts is that it takes no room.
        let _ = fs::remove_file(path);
        // What the log holds moves to its place, and the log begins anew. Where even that fails, the log has got room.
        let _ = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        let pages: u64 = db.query_row("PRAGMA page_count", [], |row| row.get(0))?;
        set_pages_max(db, pages.min(self.pages_max))
    }

    /// Before each batch: the disk may have room again.
    pub(super) fn restore(&mut self, db: &Connection) -> rusqlite::Result<()> {
        if !self.spent {
            return Ok(());
        }
        self.batches += 1;
        if self.batches.is_multiple_of(TRY_EVERY) && self.make().is_ok() {
            self.spent = false;
            set_pages_max(db, self.pages_max)?;
        }
        Ok(())
    }

    fn make(&self) -> io::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        if fs::metadata(path).is_ok_and(|file| file.len() >= self.bytes) {
            return Ok(());
        }
        let made = File::create(path).and_then(|file| fill(file, self.bytes));
        if made.is_err() {
            let _ = fs::remove_file(path);
        }
        made
    }
}

/// Written rather than only sized: a hole would reserve nothing.
fn fill(mut file: File, bytes: u64) -> io::Result<()> {
    let zeros = [0; 64 * 1024];
    let mut left = bytes;
    while left > 0 {
        let piece = left.min(zeros.len() as u64);
        file.write_all(&zeros[..piece as usize])?;
        left -= piece;
    }
    // So that a file system that allocates late says now whether it can.
    file.sync_all()
}

fn set_pages_max(db: &Connection, pages: u64) -> rusqlite::Result<()> {
    db.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(path: &std::path::Path) -> Option<u64> {
        fs::metadata(path).ok().map(|file| file.len())
    }

    #[test]
    fn what_is_spent_comes_back_when_there_is_room() {
        let outside = tempfile::tempdir().unwrap();
        let path = outside.path().join(FILE);
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch("CREATE TABLE t (x)").unwrap();
        let mut reserve = Reserve::open(&db, Some(path.clone()), 100_000, None).unwrap();
        assert_eq!(size(&path), Some(100_000));

        reserve.spend(&db).unwrap();
        assert_eq!(size(&path), None);
        let insert = |db: &Connection| db.execute("INSERT INTO t VALUES (zeroblob(9000))", []);
        assert!(insert(&db).is_err(), "the database grew on a full disk");

        for _ in 0..TRY_EVERY {
            assert_eq!(size(&path), None);
            reserve.restore(&db).unwrap();
        }
        assert_eq!(size(&path), Some(100_000));
        insert(&db).unwrap();
    }

    #[test]
    fn without_room_for_a_reserve_nothing_grows() {
        let outside = tempfile::tempdir().unwrap();
        let path = outside.path().join("no such folder").join(FILE);
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch("CREATE TABLE t (x)").unwrap();
        Reserve::open(&db, Some(path), 100_000, None).unwrap();
        assert!(db.execute("INSERT INTO t VALUES (zeroblob(9000))", []).is_err());
    }
}
