//! Nodes and items, in SQLite.
//!
//! Not here: the account (`accounts`).

use rusqlite::{Connection, params_from_iter};
use xmpp::address::AccountNumber;

use super::Stop;
use crate::pep::Item;
use crate::{Answer, PepOp, StoreError};

pub(super) fn apply(db: &Connection, op: &PepOp) -> Result<Answer, Stop> {
    match op {
        PepOp::Nodes { number } => {
            let mut query =
                db.prepare_cached("SELECT node, config FROM nodes WHERE number = ?1 ORDER BY node")?;
            let nodes = query.query_map([number.get()], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(Answer::Nodes(nodes.collect::<Result<_, _>>()?))
        }
        PepOp::PutNode { number, node, config, items_max, nodes_max } => {
            must_be(db, *number)?;
            let others: u32 = db
                .prepare_cached("SELECT count(*) FROM nodes WHERE number = ?1 AND node <> ?2")?
                .query_row((number.get(), node), |row| row.get(0))?;
            if !has(db, *number, node)? && others >= *nodes_max {
                return Err(StoreError::QuotaExceeded.into());
            }
            db.prepare_cached("INSERT OR REPLACE INTO nodes VALUES (?1, ?2, ?3)")?.execute((
                number.get(),
                node,
                config,
            ))?;
            trim(db, *number, node, *items_max)?;
            Ok(Answer::Done)
        }
        PepOp::DeleteNode { number, node } => {
            must_be(db, *number)?;
            db.prepare_cached("DELETE FROM items WHERE number = ?1 AND node = ?2")?
                .execute((number.get(), node))?;
            db.prepare_cached("DELETE FROM nodes WHERE number = ?1 AND node = ?2")?
                .execute((number.get(), node))?;
            Ok(Answer::Done)
        }
        PepOp::Publish { number, node, id, payload, items_max, bytes_max } => {
            must_be(db, *number)?;
            if !has(db, *number, node)? {
                return Err(StoreError::NoSuchItem.into());
            }
            let bytes: u64 = db
                .prepare_cached(
                    "SELECT coalesce(sum(length(payload)), 0) FROM items
                     WHERE number = ?1 AND NOT (node = ?2 AND id = ?3)",
                )?
                .query_row((number.get(), node, id), |row| row.get(0))?;
            if bytes + payload.len() as u64 > *bytes_max {
                return Err(StoreError::QuotaExceeded.into());
            }
            db.prepare_cached("DELETE FROM items WHERE number = ?1 AND node = ?2 AND id = ?3")?.execute((
                number.get(),
                node,
                id,
            ))?;
            db.prepare_cached("INSERT INTO items (number, node, id, payload) VALUES (?1, ?2, ?3, ?4)")?
                .execute((number.get(), node, id, payload))?;
            trim(db, *number, node, *items_max)?;
            Ok(Answer::Done)
        }
        PepOp::Retract { number, node, id } => {
            must_be(db, *number)?;
            let gone = db
                .prepare_cached("DELETE FROM items WHERE number = ?1 AND node = ?2 AND id = ?3")?
                .execute((number.get(), node, id))?;
            if gone == 0 { Err(StoreError::NoSuchItem.into()) } else { Ok(Answer::Done) }
        }
        PepOp::Purge { number, node } => {
            must_be(db, *number)?;
            db.prepare_cached("DELETE FROM items WHERE number = ?1 AND node = ?2")?
                .execute((number.get(), node))?;
            Ok(Answer::Done)
        }
        PepOp::Items { number, node, ids, limit } => {
            // As many as were asked for, so this statement is not one of those that are kept.
            let places = vec!["?"; ids.len()].join(",");
            let among = if ids.is_empty() { String::new() } else { format!("AND id IN ({places})") };
            let mut query = db.prepare_cached(&format!(
                "SELECT id, payload FROM items WHERE number = {} AND node = ? {among} ORDER BY seq DESC LIMIT {limit}",
                number.get()
            ))?;
            let values = std::iter::once(&**node).chain(ids.iter().map(|id| &**id));
            let found = query.query_map(params_from_iter(values), |row| {
                Ok(Item { id: row.get(0)?, payload: row.get(1)? })
            })?;
            let mut items: Vec<Item> = found.collect::<Result<_, _>>()?;
            items.reverse();
            Ok(Answer::Items(items))
        }
    }
}

fn must_be(db: &Connection, number: AccountNumber) -> Result<(), Stop> {
    let known = db
        .prepare_cached("SELECT 1 FROM accounts WHERE number = ?1 AND state < 2")?
        .exists([number.get()])?;
    if known { Ok(()) } else { Err(StoreError::NoSuchAccount.into()) }
}

fn has(db: &Connection, number: AccountNumber, node: &str) -> Result<bool, Stop> {
    let mut query = db.prepare_cached("SELECT 1 FROM nodes WHERE number = ?1 AND node = ?2")?;
    Ok(query.exists((number.get(), node))?)
}

fn trim(db: &Connection, number: AccountNumber, node: &str, items_max: u32) -> Result<(), Stop> {
    db.prepare_cached(
        "DELETE FROM items WHERE seq IN (SELECT seq FROM items WHERE number = ?1 AND node = ?2
         ORDER BY seq DESC LIMIT -1 OFFSET ?3)",
    )?
    .execute((number.get(), node, items_max))?;
    Ok(())
}

/// Everything of an account.
pub(super) fn delete(db: &Connection, number: AccountNumber) -> Result<(), Stop> {
    db.prepare_cached("DELETE FROM items WHERE number = ?1")?.execute([number.get()])?;
    db.prepare_cached("DELETE FROM nodes WHERE number = ?1")?.execute([number.get()])?;
    Ok(())
}
