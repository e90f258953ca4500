//! SQLite, the back end of every exchange that runs on one machine.
//!
//! Spec: SQLite's own promises: with `journal_mode=WAL` and `synchronous=FULL` a transaction whose COMMIT returned
//! survives a power cut.
//! Owns: the database, its transactions, what a failure means.
//! Invariants: one writer (the folder's lock); a batch is one transaction, and no reply leaves before its COMMIT; when
//! one fails, its requests are run again one by one, so that each is judged for itself; after a failed `fsync` nothing
//! is promised any more.
//! Not here: the tables (`schema`), single operations (`accounts`, `rosters`, `mailboxes`, `archives`, `documents`, `nodes`,
//! `tokens`, `invites`, `sessions`), what remains possible on a full disk (`reserve`), copies (`backup`).

mod accounts;
mod archive_pages;
mod archives;
mod backup;
mod documents;
mod invites;
mod mailboxes;
mod migrate;
mod nodes;
mod reserve;
mod rosters;
mod schema;
mod sessions;
mod together;
mod tokens;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, ffi};
use xmpp::time::Wallclock;

use crate::handled::Added;
use crate::{Answer, Backend, Folder, Limits, Op, Reply, Request, SessionOp, StoreError};
use archives::Archives;
pub use backup::{Backup, BackupError, Stopper, unpack};
use mailboxes::Mailboxes;
use migrate::Unusable;
use reserve::Reserve;
use sessions::Sessions;

/// The database's name inside the folder.
pub const FILE: &str = "switchboard.db";

/// Prepared statements kept: more than there are in this module.
const STATEMENTS: usize = 160;

/// Pages of 4 KiB in the log before they are moved to the database, inside the commit that reaches it. A page of a busy
/// queue is then written to its place once in many groups; a restart after a kill reads at most this much back.
const WAL_PAGES: u32 = 2_048;

/// What a machine may want to set.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// What an account may hold.
    pub limits: Limits,
    /// Page cache in KiB, all of it process memory once it was used. Default 16 MiB.
    pub cache_kib: u32,
    /// The database may not grow beyond this; at the bound requests get [`StoreError::Full`]. Default: the disk.
    pub bytes_max: Option<u64>,
    /// Room on the disk that is kept for deleting when the disk is full. Default 16 MiB.
    pub reserve_bytes: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            cache_kib: 16 * 1024,
            bytes_max: None,
            reserve_bytes: reserve::BYTES,
        }
    }
}

/// A store in a data folder.
#[derive(Debug)]
pub struct Sqlite {
    connection: Connection,
    limits: Limits,
    mailboxes: Mailboxes,
    archives: Archives,
    sessions: Sessions,
    reserve: Reserve,
    /// Why nothing is promised any more.
    broken: Option<Arc<str>>,
    /// Holds the lock for as long as the database is open.
    _folder: Option<Arc<Folder>>,
}

/// Why a data folder's database cannot be opened.
#[derive(Debug)]
pub enum OpenError {
    /// It belongs to another domain.
    OtherDomain {
        /// The database.
        path: PathBuf,
        /// Its domain.
        remembered: String,
        /// The one that was asked for.
        asked: String,
    },
    /// A later version of this program wrote it.
    Newer {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The last that this program knows.
        known: u32,
    },
    /// It is another program's database.
    Foreign {
        /// The database.
        path: PathBuf,
    },
    /// An earlier version of this program wrote it, and it is only to be looked at.
    Older {
        /// The database.
        path: PathBuf,
    },
    /// SQLite could not open it.
    Sqlite {
        /// The database.
        path: PathBuf,
        /// In SQLite's words.
        error: rusqlite::Error,
    },
}

impl Sqlite {
    /// Opens the database of a folder, making or migrating it if need be.
    ///
    /// The first domain that is given is remembered; another is refused ever after. `None` asks for none, as the
    /// command line does when it makes accounts before the first `serve`.
    pub fn open(
        folder: Arc<Folder>,
        domain: Option<&str>,
        now: Wallclock,
        config: Config,
    ) -> Result<Self, OpenError> {
        let path = folder.path().join(FILE);
        let connection =
            Connection::open(&path).map_err(|error| OpenError::Sqlite { path: path.clone(), error })?;
        let reserve = folder.path().join(reserve::FILE);
        let mut store = Self::prepare(connection, now, config, &path, Some(reserve))?;
        if let Some(domain) = domain {
            store.check_domain(domain, &path)?;
        }
        store._folder = Some(folder);
        Ok(store)
    }

    /// A database that lives as long as its process: for tests that need SQL but no disk.
    pub fn in_memory(now: Wallclock, config: Config) -> Result<Self, OpenError> {
        let path = Path::new(":memory:");
        let connection =
            Connection::open_in_memory().map_err(|error| OpenError::Sqlite { path: path.into(), error })?;
        Self::prepare(connection, now, config, path, None)
    }

    /// The domain that the folder remembers.
    pub fn domain(&self) -> Result<Option<String>, StoreError> {
        self.read_domain().map_err(|error| refusal(&error))
    }

    /// Remembers a domain for a folder that has none yet.
    ///
    /// # Errors
    /// It has another.
    pub fn remember_domain(&self, domain: &str) -> Result<(), OpenError> {
        self.check_domain(domain, Path::new(FILE))
    }

    /// The highest id in any archive; a router that draws ids begins above it.
    pub fn archive_high(&self) -> Result<crate::ArchiveId, StoreError> {
        archives::high(&self.connection).map_err(|error| refusal(&error))
    }

    fn prepare(
        connection: Connection,
        now: Wallclock,
        config: Config,
        path: &Path,
        reserve: Option<PathBuf>,
    ) -> Result<Self, OpenError> {
        let mut connection = connection;
        let unusable = |why| match why {
            Unusable::Newer { found, known } => OpenError::Newer { path: path.into(), found, known },
            Unusable::Foreign => OpenError::Foreign { path: path.into() },
            Unusable::Sqlite(error) => OpenError::Sqlite { path: path.into(), error },
        };
        // Nothing is set, and so nothing written, before we know that the file is ours to write.
        migrate::check(&connection).map_err(unusable)?;
        set_up(&connection, config).map_err(|error| unusable(Unusable::Sqlite(error)))?;
        migrate::migrate(&mut connection, now).map_err(unusable)?;
        let sqlite = |error| unusable(Unusable::Sqlite(error));
        let page: u64 = connection.query_row("PRAGMA page_size", [], |row| row.get(0)).map_err(sqlite)?;
        let pages_max = config.bytes_max.map(|bytes| (bytes / page).max(1));
        let reserve = Reserve::open(&connection, reserve, config.reserve_bytes, pages_max).map_err(sqlite)?;
        Ok(Self {
            connection,
            limits: config.limits,
            mailboxes: Mailboxes::default(),
            archives: Archives::default(),
            sessions: Sessions::default(),
            reserve,
            broken: None,
            _folder: None,
        })
    }

    fn read_domain(&self) -> rusqlite::Result<Option<String>> {
        self.connection
            .query_row("SELECT value FROM facts WHERE name = 'domain'", [], |row| row.get(0))
            .optional()
    }

    fn check_domain(&self, asked: &str, path: &Path) -> Result<(), OpenError> {
        let sqlite = |error| OpenError::Sqlite { path: path.into(), error };
        match self.read_domain().map_err(sqlite)? {
            Some(remembered) if remembered == asked => Ok(()),
            Some(remembered) => {
                Err(OpenError::OtherDomain { path: path.into(), remembered, asked: asked.to_owned() })
            }
            None => {
                let insert = "INSERT INTO facts VALUES ('domain', ?1)";
                self.connection.execute(insert, [asked]).map_err(sqlite)?;
                Ok(())
            }
        }
    }

    /// One transaction for all of `requests`. An error means that it was rolled back and none has a reply.
    fn group(
        &mut self,
        now: Wallclock,
        requests: &[Request],
        replies: &mut Vec<Reply>,
    ) -> rusqlite::Result<()> {
        let before = replies.len();
        let done = self.transaction(now, requests, replies);
        if let Err(error) = &done {
            if is_lost_sync(error) {
                self.broken = Some(error.to_string().into());
            }
            replies.truncate(before);
            self.mailboxes.forget();
            self.archives.undo();
            self.sessions.forget();
            // Some errors have rolled it back already; then this one says so, which is no news.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        done
    }

    fn transaction(
        &mut self,
        now: Wallclock,
        requests: &[Request],
        replies: &mut Vec<Reply>,
    ) -> rusqlite::Result<()> {
        self.connection.prepare_cached("BEGIN")?.execute([])?;
        for request in requests {
            let answer = match self.apply(now, &request.op) {
                Ok(answer) => Ok(answer),
                Err(Stop::Refused(why)) => Err(why),
                Err(Stop::Sqlite(error)) => return Err(error),
            };
            replies.push(Reply { token: request.token, answer });
        }
        self.mailboxes.flush(&self.connection)?;
        self.archives.flush(&self.connection)?;
        self.sessions.flush(&self.connection)?;
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        self.archives.committed();
        self.sessions.committed();
        Ok(())
    }

    fn apply(&mut self, now: Wallclock, op: &Op) -> Result<Answer, Stop> {
        let db = &self.connection;
        match op {
            Op::CreateAccount { number, name, credentials } => {
                accounts::create(db, now, *number, name.as_deref(), credentials)
            }
            Op::LoadAccount { number } => accounts::load(db, *number),
            Op::ListAccounts { after, limit } => accounts::list(db, *after, *limit),
            Op::LoadCredentials { number } => accounts::load_credentials(db, *number),
            Op::SetCredentials { number, credentials } => {
                tokens::revoke(db, *number)?;
                accounts::set_credentials(db, *number, credentials)
            }
            Op::SetEnabled { number, enabled } => {
                if !enabled {
                    tokens::revoke(db, *number)?;
                }
                accounts::set_enabled(db, *number, *enabled)
            }
            Op::CreateInvite { mark, hold, expires, inviter } => {
                invites::create(db, now, mark, *hold, *expires, *inviter)
            }
            Op::ShowInvite { mark } => invites::show(db, now, mark),
            Op::ListInvites => invites::list(db, now),
            Op::RevokeInvite { number } => invites::revoke(db, now, *number),
            Op::AcceptInvite { mark, number, credentials } => {
                invites::accept(db, now, mark, *number, credentials)
            }
            Op::SetAdmin { number, admin } => accounts::set_admin(db, *number, *admin),
            Op::LoadTokens { number, agent } => tokens::load(db, *number, agent),
            Op::ChangeTokens(change) => tokens::change(db, now, change),
            Op::RevokeTokens { number } => {
                accounts::exists(db, *number)?;
                tokens::revoke(db, *number)?;
                Ok(Answer::Done)
            }
            Op::SetName { number, name } => accounts::set_name(db, *number, name.as_deref()),
            Op::DeleteAccount { number } => {
                // What is refused takes nothing with it.
                accounts::exists(db, *number)?;
                self.archives.remove(db, *number)?;
                documents::delete(db, *number)?;
                nodes::delete(db, *number)?;
                self.mailboxes.remove(db, *number)?;
                rosters::delete(db, *number)?;
                tokens::revoke(db, *number)?;
                self.sessions.remove(db, *number)?;
                accounts::delete(db, *number)
            }
            Op::LoadRoster { number } => rosters::load(db, *number),
            Op::PutRosterItem { number, item } => {
                rosters::put(db, *number, item, self.limits.roster_items_max)
            }
            Op::RemoveRosterItem { number, contact } => rosters::remove(db, *number, contact),
            Op::PushOffline { number, stamp, stanza } => {
                self.mailboxes.push(db, &self.limits, *number, *stamp, stanza)
            }
            Op::LoadOffline { number, after, limit } => self.mailboxes.page(db, *number, *after, *limit),
            Op::DeleteOffline { number, first, last } => {
                self.mailboxes.delete_rows(db, *number, *first, *last)
            }
            Op::CountOffline { number } => self.mailboxes.count(db, *number),
            Op::Archive(op) => self.archives.apply(db, now, &self.limits, op),
            Op::Document(op) => documents::apply(db, op),
            Op::Pep(op) => nodes::apply(db, op),
            Op::Session(op) => {
                if let SessionOp::Begin { .. } = op {
                    self.take_back_uncovered()?;
                }
                self.sessions.apply(&self.connection, now, op)
            }
            Op::OnBehalf(asked) => {
                let (origin, op) = &**asked;
                let answer = self.apply(now, op)?;
                self.sessions.note(&self.connection, origin, Added::by(op, &answer))?;
                Ok(answer)
            }
        }
    }

    /// What no count covers goes, but that of stanzas which have been had.
    fn take_back_uncovered(&mut self) -> Result<(), Stop> {
        for (stanza, uncovered) in self.sessions.take_uncovered(&self.connection)? {
            let (db, mailboxes) = (&self.connection, &mut self.mailboxes);
            if uncovered.had(|number, id| mailboxes.has(db, number, id))?.is_none() {
                self.sessions.unmark(db, stanza)?;
                uncovered.added.into_iter().try_for_each(|added| self.take_back(added))?;
            }
        }
        Ok(self.sessions.keep_marks(&self.connection)?)
    }

    /// As if it had never been added.
    fn take_back(&mut self, added: Added) -> Result<(), Stop> {
        let db = &self.connection;
        let done = match added {
            Added::Offline(number, id) => self.mailboxes.delete_rows(db, number, id, id).map(drop),
            Added::Archived(number, id) => self.archives.take_back(db, number, id),
        };
        match done {
            // Whose it was is gone.
            Err(Stop::Refused(_)) => Ok(()),
            done => done,
        }
    }
}

impl Backend for Sqlite {
    fn run(&mut self, now: Wallclock, batch: &mut Vec<Request>, replies: &mut Vec<Reply>) {
        if batch.is_empty() {
            return;
        }
        if self.broken.is_none() {
            // Should it fail, so will the batch, and say why.
            let _ = self.reserve.restore(&self.connection);
            match self.group(now, batch, replies) {
                Ok(()) => return batch.clear(),
                Err(error) if refusal(&error) == StoreError::Full => {
                    let _ = self.reserve.spend(&self.connection);
                }
                Err(_) => {}
            }
        }
        // Something in the group failed and took the rest with it. One by one, what can be done is done.
        for request in batch.drain(..) {
            let outcome = match &self.broken {
                Some(why) => Err(StoreError::Failed(why.clone())),
                None => {
                    self.group(now, std::slice::from_ref(&request), replies).map_err(|error| refusal(&error))
                }
            };
            if let Err(why) = outcome {
                replies.push(Reply { token: request.token, answer: Err(why) });
            }
        }
    }
}

/// Why an operation ends early.
enum Stop {
    /// It is refused; nothing was written, and the group goes on.
    Refused(StoreError),
    /// SQLite failed; the group is rolled back.
    Sqlite(rusqlite::Error),
}

impl From<StoreError> for Stop {
    fn from(why: StoreError) -> Self {
        Self::Refused(why)
    }
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

fn set_up(connection: &Connection, config: Config) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", WAL_PAGES)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // Negative: KiB rather than pages.
    connection.pragma_update(None, "cache_size", -i64::from(config.cache_kib))?;
    Ok(())
}

/// What a failure of SQLite is called outside.
fn refusal(error: &rusqlite::Error) -> StoreError {
    match error.sqlite_error() {
        Some(e) if e.code == ffi::ErrorCode::DiskFull => StoreError::Full,
        // Growing the log's index fails so when the disk is full.
        Some(e) if e.extended_code == ffi::SQLITE_IOERR_SHMSIZE => StoreError::Full,
        _ => StoreError::Failed(error.to_string().into()),
    }
}

/// Whether the kernel dropped what it was asked to make durable. A later `fsync` may then succeed without it, and the
/// log has a hole that only a crash would show, so a database in this state is not to be believed.
fn is_lost_sync(error: &rusqlite::Error) -> bool {
    let lost = [ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_IOERR_DIR_FSYNC];
    error.sqlite_error().is_some_and(|e| lost.contains(&e.extended_code))
}

/// Wall time as SQLite keeps it.
fn millis(at: Wallclock) -> i64 {
    i64::try_from(at.as_millis()).unwrap_or(i64::MAX)
}

/// And back. Negative only if someone else wrote it.
fn wallclock(millis: i64) -> Wallclock {
    Wallclock::from_millis(u64::try_from(millis).unwrap_or(0))
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherDomain { path, remembered, asked } => write!(
                f,
                "{} belongs to the domain {remembered}, not {asked}: serve that domain, or choose another data folder",
                path.display()
            ),
            Self::Newer { path, found, known } => write!(
                f,
                "{} was written by a newer switchboard (format {found}, this one knows {known}): use that one",
                path.display()
            ),
            Self::Older { path } => {
                write!(f, "an older switchboard serves {}: start it again with this one", path.display())
            }
            Self::Foreign { path } => {
                write!(f, "{} is another program's database: choose another data folder", path.display())
            }
            Self::Sqlite { path, error } => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for OpenError {}

#[cfg(test)]
pub(crate) mod tests;
