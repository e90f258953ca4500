//! Documents, in SQLite: one table, by account, space and name.
//!
//! Not here: the account (`accounts`).

use rusqlite::{Connection, OptionalExtension};
use xmpp::address::AccountNumber;

use super::Stop;
use crate::{Answer, DocumentOp, StoreError};

pub(super) fn apply(db: &Connection, op: &DocumentOp) -> Result<Answer, Stop> {
    match op {
        DocumentOp::Load { number, space, name } => {
            let found = db
                .prepare_cached("SELECT value FROM documents WHERE number = ?1 AND space = ?2 AND name = ?3")?
                .query_row((number.get(), *space as u8, name), |row| row.get(0))
                .optional()?;
            Ok(Answer::Document(found))
        }
        DocumentOp::Names { number, space } => {
            let mut query = db.prepare_cached(
                "SELECT name FROM documents WHERE number = ?1 AND space = ?2 ORDER BY name",
            )?;
            let names = query.query_map((number.get(), *space as u8), |row| row.get(0))?;
            Ok(Answer::DocumentNames(names.collect::<Result<_, _>>()?))
        }
        DocumentOp::Put { number, space, name, value, quota } => {
            let known = db
                .prepare_cached("SELECT 1 FROM accounts WHERE number = ?1 AND state < 2")?
                .exists([number.get()])?;
            if !known {
                return Err(StoreError::NoSuchAccount.into());
            }
            let (documents, bytes): (u64, u64) = db
                .prepare_cached(
                    "SELECT count(*), coalesce(sum(length(value)), 0) FROM documents
                     WHERE number = ?1 AND space = ?2 AND name <> ?3",
                )?
                .query_row((number.get(), *space as u8, name), |row| Ok((row.get(0)?, row.get(1)?)))?;
            if documents >= quota.documents_max || bytes + value.len() as u64 > quota.bytes_max {
                return Err(StoreError::QuotaExceeded.into());
            }
            db.prepare_cached("INSERT OR REPLACE INTO documents VALUES (?1, ?2, ?3, ?4)")?.execute((
                number.get(),
                *space as u8,
                name,
                value,
            ))?;
            Ok(Answer::Done)
        }
        DocumentOp::Remove { number, space, name } => {
            db.prepare_cached("DELETE FROM documents WHERE number = ?1 AND space = ?2 AND name = ?3")?
                .execute((number.get(), *space as u8, name))?;
            Ok(Answer::Done)
        }
    }
}

/// Everything of an account.
pub(super) fn delete(db: &Connection, number: AccountNumber) -> Result<(), Stop> {
    db.prepare_cached("DELETE FROM documents WHERE number = ?1")?.execute([number.get()])?;
    Ok(())
}
