//! Brings a database to the version that this program knows, or refuses to touch it.
//!
//! Owns: the `migrations` table. Invariants: a file that is not ours, or newer than we are, is left byte for byte as it
//! was; each step is one transaction, so a crash leaves a whole version behind.
//! Not here: the steps (`schema`).

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use xmpp::time::Wallclock;

use super::schema::{APPLICATION_ID, MIGRATIONS, Migration};

/// Why a database cannot be used.
#[derive(Debug)]
pub(super) enum Unusable {
    /// A later program wrote it.
    Newer { found: u32, known: u32 },
    /// It is a database, but none of ours.
    Foreign,
    /// SQLite said no.
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Unusable {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Looks before anything is written.
pub(super) fn check(connection: &Connection) -> Result<u32, Unusable> {
    check_against(connection, MIGRATIONS)
}

/// Applies what is missing.
pub(super) fn migrate(connection: &mut Connection, now: Wallclock) -> Result<(), Unusable> {
    migrate_with(connection, now, MIGRATIONS)
}

fn check_against(connection: &Connection, migrations: &[Migration]) -> Result<u32, Unusable> {
    let known = migrations.len() as u32;
    let objects: u32 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if objects == 0 {
        return Ok(0);
    }
    let id: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    if id != APPLICATION_ID {
        return Err(Unusable::Foreign);
    }
    let found: Option<Option<u32>> =
        connection.query_row("SELECT max(version) FROM migrations", [], |row| row.get(0)).optional()?;
    let found = found.flatten().unwrap_or(0);
    if found > known { Err(Unusable::Newer { found, known }) } else { Ok(found) }
}

pub(super) fn migrate_with(
    connection: &mut Connection,
    now: Wallclock,
    migrations: &[Migration],
) -> Result<(), Unusable> {
    let found = check_against(connection, migrations)? as usize;
    for (index, migration) in migrations.iter().enumerate().skip(found) {
        let step = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if index == 0 {
            step.pragma_update(None, "application_id", APPLICATION_ID)?;
            step.execute_batch(
                "CREATE TABLE migrations (version INTEGER PRIMARY KEY, applied INTEGER NOT NULL);",
            )?;
        }
        step.execute_batch(migration.sql)?;
        if let Some(then) = migration.then {
            then(&step)?;
        }
        step.execute("INSERT INTO migrations VALUES (?1, ?2)", (index as u32 + 1, super::millis(now)))?;
        step.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
