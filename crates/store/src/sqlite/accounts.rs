//! Accounts in SQLite.
//!
//! Owns: the tables `accounts` and `counters`. Invariants: a number that was ever used has a row.
//! Not here: the account's roster and messages (`rosters`, `mailboxes`).

use rusqlite::{Connection, OptionalExtension, Row, named_params};
use xmpp::address::AccountNumber;
use xmpp::time::Wallclock;

use super::schema::SLOT_MAX;
use super::{Stop, invites, millis, wallclock};
use crate::limits::ACCOUNTS_PAGE_MAX;
use crate::{Account, AccountState, Answer, Credentials, ScramKeys, StoreError};

const ENABLED: i64 = 0;
const DISABLED: i64 = 1;
const DELETED: i64 = 2;

pub(super) fn create(
    db: &Connection,
    now: Wallclock,
    number: Option<AccountNumber>,
    name: Option<&str>,
    credentials: &Credentials,
) -> Result<Answer, Stop> {
    let number = match number {
        Some(number) if !is_free(db, now, number.get())? => return Err(StoreError::NumberTaken.into()),
        Some(number) => number,
        None => first_number(db, now)?,
    };
    let slot: i64 = db.prepare_cached("SELECT next_slot FROM counters")?.query_row([], |row| row.get(0))?;
    if slot > SLOT_MAX {
        return Err(StoreError::QuotaExceeded.into());
    }
    db.prepare_cached("UPDATE counters SET next_slot = ?1")?.execute([slot + 1])?;
    db.prepare_cached("INSERT INTO accounts (number, state, created, name) VALUES (?1, ?2, ?3, ?4)")?
        .execute((number.get(), ENABLED, millis(now), name))?;
    db.prepare_cached("INSERT INTO rosters VALUES (?1, 0, 0)")?.execute([number.get()])?;
    db.prepare_cached("INSERT INTO mailboxes VALUES (?1, ?2, 0, 0, 0)")?.execute((number.get(), slot))?;
    set_credentials(db, number, credentials)?;
    Ok(Answer::Created(number))
}

pub(super) fn load(db: &Connection, number: AccountNumber) -> Result<Answer, Stop> {
    let account = db
        .prepare_cached(
            "SELECT number, state, created, name, admin FROM accounts WHERE number = ?1 AND state < 2",
        )?
        .query_row([number.get()], account)
        .optional()?
        .flatten();
    Ok(Answer::Account(account.map(Box::new)))
}

pub(super) fn list(db: &Connection, after: Option<AccountNumber>, limit: u32) -> Result<Answer, Stop> {
    let limit = limit.min(ACCOUNTS_PAGE_MAX) as usize;
    let mut query = db.prepare_cached(
        "SELECT number, state, created, name, admin FROM accounts WHERE number > ?1 AND state < 2 ORDER BY number LIMIT ?2",
    )?;
    let mut rows = query.query((after.map_or(0, AccountNumber::get), limit + 1))?;
    let mut accounts = Vec::new();
    while let Some(row) = rows.next()? {
        if accounts.len() == limit {
            return Ok(Answer::Accounts { accounts, more: true });
        }
        accounts.extend(account(row)?);
    }
    Ok(Answer::Accounts { accounts, more: false })
}

pub(super) fn load_credentials(db: &Connection, number: AccountNumber) -> Result<Answer, Stop> {
    Ok(Answer::Credentials(credentials(db, number)?))
}

/// The keys of an account that is there, and whether it may log in.
///
/// It reads the row of this number or else of the nearest below, which is thrown away: whoever guesses numbers sees neither
/// in the answer's time nor in what it leaves in the caches whether there is such a number.
pub(super) fn credentials(
    db: &Connection,
    number: AccountNumber,
) -> rusqlite::Result<Option<(AccountState, Box<Credentials>)>> {
    let nearest = db
        .prepare_cached(
            "SELECT state, sha1_salt, sha1_iterations, sha1_stored_key, sha1_server_key,
                sha256_salt, sha256_iterations, sha256_stored_key, sha256_server_key, number
             FROM accounts WHERE number <= ?1 ORDER BY number DESC LIMIT 1",
        )?
        .query_row([number.get()], |row| {
            let credentials = Credentials { sha1: keys(row, 1)?, sha256: keys(row, 5)? };
            Ok((row.get::<_, u64>(9)?, row.get::<_, i64>(0)?, Box::new(credentials)))
        })
        .optional()?;
    let found = nearest.filter(|(found, state, _)| *found == number.get() && *state != DELETED);
    Ok(found.map(|(_, found, credentials)| (state(found), credentials)))
}

pub(super) fn set_credentials(
    db: &Connection,
    number: AccountNumber,
    credentials: &Credentials,
) -> Result<Answer, Stop> {
    let Credentials { sha1, sha256 } = credentials;
    let changed = db
        .prepare_cached(
            "UPDATE accounts SET
                sha1_salt = :sha1_salt, sha1_iterations = :sha1_iterations,
                sha1_stored_key = :sha1_stored_key, sha1_server_key = :sha1_server_key,
                sha256_salt = :sha256_salt, sha256_iterations = :sha256_iterations,
                sha256_stored_key = :sha256_stored_key, sha256_server_key = :sha256_server_key
             WHERE number = :number AND state < 2",
        )?
        .execute(named_params! {
            ":number": number.get(),
            ":sha1_salt": sha1.as_ref().map(|k| k.salt.as_slice()),
            ":sha1_iterations": sha1.as_ref().map(|k| k.iterations),
            ":sha1_stored_key": sha1.as_ref().map(|k| k.stored_key.as_slice()),
            ":sha1_server_key": sha1.as_ref().map(|k| k.server_key.as_slice()),
            ":sha256_salt": sha256.as_ref().map(|k| k.salt.as_slice()),
            ":sha256_iterations": sha256.as_ref().map(|k| k.iterations),
            ":sha256_stored_key": sha256.as_ref().map(|k| k.stored_key.as_slice()),
            ":sha256_server_key": sha256.as_ref().map(|k| k.server_key.as_slice()),
        })?;
    done_if(changed)
}

pub(super) fn set_enabled(db: &Connection, number: AccountNumber, enabled: bool) -> Result<Answer, Stop> {
    let state = if enabled { ENABLED } else { DISABLED };
    done_if(
        db.prepare_cached("UPDATE accounts SET state = ?2 WHERE number = ?1 AND state < 2")?
            .execute((number.get(), state))?,
    )
}

pub(super) fn set_name(db: &Connection, number: AccountNumber, name: Option<&str>) -> Result<Answer, Stop> {
    done_if(
        db.prepare_cached("UPDATE accounts SET name = ?2 WHERE number = ?1 AND state < 2")?
            .execute((number.get(), name))?,
    )
}

pub(super) fn set_admin(db: &Connection, number: AccountNumber, admin: bool) -> Result<Answer, Stop> {
    done_if(
        db.prepare_cached("UPDATE accounts SET admin = ?2 WHERE number = ?1 AND state < 2")?
            .execute((number.get(), admin))?,
    )
}

/// Refuses an account that is not there.
pub(super) fn exists(db: &Connection, number: AccountNumber) -> Result<(), Stop> {
    let there = db
        .prepare_cached("SELECT 1 FROM accounts WHERE number = ?1 AND state < 2")?
        .exists([number.get()])?;
    if there { Ok(()) } else { Err(StoreError::NoSuchAccount.into()) }
}

/// Wipes the row; that it is there keeps the number taken.
pub(super) fn delete(db: &Connection, number: AccountNumber) -> Result<Answer, Stop> {
    set_credentials(db, number, &Credentials::default())?;
    done_if(
        db.prepare_cached(
            "UPDATE accounts SET state = ?2, name = NULL, admin = 0 WHERE number = ?1 AND state < 2",
        )?
        .execute((number.get(), DELETED))?,
    )
}

/// The first number that is free. What is only held by an invite may become free again, and is looked at each time.
pub(super) fn first_number(db: &Connection, now: Wallclock) -> Result<AccountNumber, Stop> {
    let before: u64 =
        db.prepare_cached("SELECT first_free FROM counters")?.query_row([], |row| row.get(0))?;
    let mut first_free = before;
    while is_used(db, first_free)? {
        first_free += 1;
    }
    if first_free != before {
        db.prepare_cached("UPDATE counters SET first_free = ?1")?.execute([first_free])?;
    }
    let mut number = first_free;
    while !is_free(db, now, number)? {
        number += 1;
    }
    Ok(AccountNumber::new(number).ok_or(StoreError::NumberTaken)?)
}

/// Whether nobody has or had it, and no invite holds it.
pub(super) fn is_free(db: &Connection, now: Wallclock, number: u64) -> rusqlite::Result<bool> {
    Ok(!is_used(db, number)? && !invites::is_held(db, now, number)?)
}

fn is_used(db: &Connection, number: u64) -> rusqlite::Result<bool> {
    db.prepare_cached("SELECT 1 FROM accounts WHERE number = ?1")?.exists([number])
}

fn done_if(changed: usize) -> Result<Answer, Stop> {
    if changed == 1 { Ok(Answer::Done) } else { Err(StoreError::NoSuchAccount.into()) }
}

fn state(column: i64) -> AccountState {
    if column == ENABLED { AccountState::Enabled } else { AccountState::Disabled }
}

fn account(row: &Row<'_>) -> rusqlite::Result<Option<Account>> {
    // A number that is none can only have been written by someone else; there is no account to speak of.
    let Some(number) = AccountNumber::new(row.get(0)?) else { return Ok(None) };
    Ok(Some(Account {
        number,
        state: state(row.get(1)?),
        created: wallclock(row.get(2)?),
        name: row.get(3)?,
        admin: row.get(4)?,
    }))
}

fn keys<const N: usize>(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<ScramKeys<N>>> {
    let Some(salt) = row.get(first)? else { return Ok(None) };
    Ok(Some(ScramKeys {
        salt,
        iterations: row.get(first + 1)?,
        stored_key: row.get(first + 2)?,
        server_key: row.get(first + 3)?,
    }))
}
