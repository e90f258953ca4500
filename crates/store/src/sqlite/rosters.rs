//! Rosters in SQLite.
//!
//! Owns: the tables `rosters` and `roster_items`. Invariants: `rosters.items` counts the account's rows in
//! `roster_items`; an account that is there has a row in `rosters`.
//! Not here: what an item's state means (`crate::roster`).

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, named_params};
use xmpp::address::{AccountNumber, BareJid};

use super::Stop;
use crate::{Answer, Roster, RosterItem, StoreError, Subscription};

pub(super) fn load(db: &Connection, number: AccountNumber) -> Result<Answer, Stop> {
    let (version, count) = head(db, number)?;
    let mut query = db.prepare_cached(
        "SELECT contact, listed, name, contact_groups, subscription, ask, approved, pending_in
         FROM roster_items WHERE number = ?1 ORDER BY contact",
    )?;
    let mut items = Vec::with_capacity(count as usize);
    let mut rows = query.query([number.get()])?;
    while let Some(row) = rows.next()? {
        items.push(item(row)?);
    }
    Ok(Answer::Roster(Roster { version, items }))
}

pub(super) fn put(
    db: &Connection,
    number: AccountNumber,
    item: &RosterItem,
    items_max: u64,
) -> Result<Answer, Stop> {
    let (version, count) = head(db, number)?;
    let listed_before = is_listed(db, number, &item.contact)?;
    if listed_before.is_none() && count >= items_max {
        return Err(StoreError::QuotaExceeded.into());
    }
    let groups = serde_json::to_string(&item.groups).expect("strings are always JSON");
    db.prepare_cached(
        "INSERT OR REPLACE INTO roster_items
            (number, contact, listed, name, contact_groups, subscription, ask, approved, pending_in)
         VALUES (:number, :contact, :listed, :name, :groups, :subscription, :ask, :approved, :pending_in)",
    )?
    .execute(named_params! {
        ":number": number.get(),
        ":contact": item.contact.as_str(),
        ":listed": item.listed,
        ":name": item.name,
        ":groups": groups,
        ":subscription": i64::from(item.subscription.is_to()) | i64::from(item.subscription.is_from()) << 1,
        ":ask": item.ask,
        ":approved": item.approved,
        ":pending_in": item.pending_in,
    })?;
    let version = version + u64::from(item.listed || listed_before == Some(true));
    let count = count + u64::from(listed_before.is_none());
    set_head(db, number, version, count)
}

pub(super) fn remove(db: &Connection, number: AccountNumber, contact: &BareJid) -> Result<Answer, Stop> {
    let (version, count) = head(db, number)?;
    let listed = is_listed(db, number, contact)?.ok_or(StoreError::NoSuchItem)?;
    db.prepare_cached("DELETE FROM roster_items WHERE number = ?1 AND contact = ?2")?
        .execute((number.get(), contact.as_str()))?;
    set_head(db, number, version + u64::from(listed), count - 1)
}

/// Everything of an account; none is no error.
pub(super) fn delete(db: &Connection, number: AccountNumber) -> Result<(), Stop> {
    db.prepare_cached("DELETE FROM roster_items WHERE number = ?1")?.execute([number.get()])?;
    db.prepare_cached("DELETE FROM rosters WHERE number = ?1")?.execute([number.get()])?;
    Ok(())
}

fn head(db: &Connection, number: AccountNumber) -> Result<(u64, u64), Stop> {
    let found = db
        .prepare_cached("SELECT version, items FROM rosters WHERE number = ?1")?
        .query_row([number.get()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    found.ok_or_else(|| StoreError::NoSuchAccount.into())
}

fn set_head(db: &Connection, number: AccountNumber, version: u64, items: u64) -> Result<Answer, Stop> {
    db.prepare_cached("UPDATE rosters SET version = ?2, items = ?3 WHERE number = ?1")?.execute((
        number.get(),
        version,
        items,
    ))?;
    Ok(Answer::RosterVersion(version))
}

fn is_listed(db: &Connection, number: AccountNumber, contact: &BareJid) -> rusqlite::Result<Option<bool>> {
    db.prepare_cached("SELECT listed FROM roster_items WHERE number = ?1 AND contact = ?2")?
        .query_row((number.get(), contact.as_str()), |row| row.get(0))
        .optional()
}

fn item(row: &Row<'_>) -> rusqlite::Result<RosterItem> {
    let text = |column, error: Box<dyn std::error::Error + Send + Sync>| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error)
    };
    let subscription: i64 = row.get(4)?;
    Ok(RosterItem {
        contact: BareJid::parse(row.get_ref(0)?.as_str()?).map_err(|e| text(0, e.into()))?,
        listed: row.get(1)?,
        name: row.get(2)?,
        groups: serde_json::from_str(row.get_ref(3)?.as_str()?).map_err(|e| text(3, e.into()))?,
        subscription: Subscription::of(subscription & 1 != 0, subscription & 2 != 0),
        ask: row.get(5)?,
        approved: row.get(6)?,
        pending_in: row.get(7)?,
    })
}
