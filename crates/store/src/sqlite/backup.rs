//! A copy of a data folder in one file, made while an exchange writes to it, and what makes a folder of it again.
//!
//! Spec: SQLite's own promises: `VACUUM INTO` copies one moment of the database, and a reader of a WAL never holds up its
//! writer.
//! Owns: the table `backup_files`, which stands in copies only. Invariants: a copy holds all that was acknowledged before
//! it was begun, and nothing half; it is for its owner's eyes; it appears whole or not at all, and replaces nothing.
//! Not here: when copies are made; certificates that lie outside of the folder.
//!
//! A copy is a database like the folder's own, so a folder whose only file is a copy, called [`FILE`], is a data folder:
//! who opens it gets the other files out of the copy first ([`unpack`]).

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, InterruptHandle, OpenFlags, OptionalExtension};

use super::{FILE, migrate};
use crate::{Folder, WholeFile};

/// What a folder has beside its database that log-ins and the trust of clients lean on, as far as it is there.
const FILES: &[&str] = &["salt-secret", "iterations", "cert.pem", "key.pem", "switchboard.toml"];

/// The longest of them that is taken: all are written by hand or by us, and short.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Why there is no copy.
#[derive(Debug)]
pub enum BackupError {
    /// There is something at the place of the copy already.
    InTheWay(PathBuf),
    /// The folder has no database.
    Nothing(PathBuf),
    /// It has one, but it is another program's, or a later version's of this one.
    NotOurs(PathBuf),
    /// It was called off.
    Stopped,
    /// A file cannot be read or written.
    Io(PathBuf, io::Error),
    /// The database cannot be read, or the copy not be written.
    Sqlite(PathBuf, rusqlite::Error),
}

impl fmt::Display for BackupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InTheWay(path) => {
                write!(
                    f,
                    "{} is there already, and nothing is overwritten: name another file",
                    path.display()
                )
            }
            Self::Nothing(path) => write!(f, "there is no {} to copy: name a data folder", path.display()),
            Self::NotOurs(path) => {
                write!(f, "{} is not this program's, or a newer version wrote it", path.display())
            }
            Self::Stopped => f.write_str("called off, and no copy was left behind"),
            Self::Io(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Sqlite(path, error) => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for BackupError {}

/// A copy that is about to be made.
#[derive(Debug)]
pub struct Backup {
    source: Connection,
    database: PathBuf,
    folder: PathBuf,
    file: WholeFile,
    to: PathBuf,
    bytes: u64,
}

/// Calls a copy off, from another thread.
#[derive(Clone, Debug)]
pub struct Stopper(Arc<Interrupt>);

struct Interrupt(InterruptHandle);

impl fmt::Debug for Interrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Interrupt")
    }
}

impl Stopper {
    /// The copy ends with [`BackupError::Stopped`], unless it is finished.
    pub fn stop(&self) {
        self.0.0.interrupt();
    }
}

impl Backup {
    /// Looks whether a folder can be copied into a file that is not there yet. An exchange may run on the folder.
    ///
    /// # Errors
    /// When it cannot; nothing is left behind then.
    pub fn new(folder: &Path, to: &Path) -> Result<Self, BackupError> {
        if to.symlink_metadata().is_ok() {
            return Err(BackupError::InTheWay(to.to_owned()));
        }
        let database = folder.join(FILE);
        if !database.is_file() {
            return Err(BackupError::Nothing(database));
        }
        let sqlite = |error| BackupError::Sqlite(database.clone(), error);
        // Reading a log needs its index to be writable; nothing else is written.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let source = Connection::open_with_flags(&database, flags).map_err(sqlite)?;
        match migrate::check(&source) {
            Ok(version) if version > 0 => {}
            Ok(_) => return Err(BackupError::Nothing(database)),
            Err(migrate::Unusable::Sqlite(error)) => return Err(sqlite(error)),
            Err(_) => return Err(BackupError::NotOurs(database)),
        }
        let pragma = |name: &str| source.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, u64>(0));
        let pages = pragma("page_count").map_err(sqlite)?;
        let free = pragma("freelist_count").map_err(sqlite)?;
        let bytes = pages.saturating_sub(free) * pragma("page_size").map_err(sqlite)?;
        let taken = |error: io::Error| match error.kind() {
            io::ErrorKind::AlreadyExists => BackupError::InTheWay(to.to_owned()),
            _ => BackupError::Io(to.to_owned(), error),
        };
        // SQLite fills a file that is empty; made first, it is nobody else's to read even for a moment.
        let (file, _) = WholeFile::create(to).map_err(taken)?;
        let (folder, to) = (folder.to_owned(), to.to_owned());
        Ok(Self { source, database, folder, file, to, bytes })
    }

    /// About how long the copy will be, in octets.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Where it grows until it is whole.
    #[must_use]
    pub fn part(&self) -> &Path {
        self.file.part()
    }

    /// What calls it off.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper(Arc::new(Interrupt(self.source.get_interrupt_handle())))
    }

    /// Makes the copy. It takes as long as reading the database and writing it again.
    ///
    /// # Errors
    /// When it cannot be made; then there is none.
    pub fn run(self) -> Result<(), BackupError> {
        self.copy()?;
        let Self { file, to, .. } = self;
        file.settle().map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => BackupError::InTheWay(to),
            _ => BackupError::Io(to, error),
        })
    }

    fn copy(&self) -> Result<(), BackupError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |error| BackupError::Io(path, error)
        };
        let part = self.file.part();
        let name =
            part.to_str().ok_or_else(|| io(part)(io::Error::other("the copy's name must be UTF-8")))?;
        self.source.execute("VACUUM INTO ?1", [name]).map_err(|error| match error.sqlite_error() {
            Some(e) if e.code == rusqlite::ffi::ErrorCode::OperationInterrupted => BackupError::Stopped,
            _ => BackupError::Sqlite(self.database.clone(), error),
        })?;
        let written = |error| BackupError::Sqlite(part.to_owned(), error);
        let copy = Connection::open(part).map_err(written)?;
        let table = "CREATE TABLE backup_files (name TEXT PRIMARY KEY, content BLOB NOT NULL) WITHOUT ROWID";
        copy.execute_batch(table).map_err(written)?;
        for name in FILES {
            let path = self.folder.join(name);
            match fs::metadata(&path) {
                Ok(found) if found.len() > FILE_BYTES_MAX => {
                    return Err(io(&path)(io::Error::other("longer than such a file can be")));
                }
                _ => {}
            }
            match fs::read(&path) {
                Ok(content) => {
                    copy.execute("INSERT INTO backup_files VALUES (?1, ?2)", (name, content))
                        .map_err(written)?;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(io(&path)(error)),
            }
        }
        copy.close().map_err(|(_, error)| written(error))
    }
}

/// A folder whose database is a copy gets the copy's other files, where it has none of its own; any other folder stays as
/// it is.
///
/// # Errors
/// When the database cannot be read or a file not be written; the next call goes on.
pub fn unpack(folder: &Folder) -> Result<(), BackupError> {
    let path = folder.path().join(FILE);
    if !path.is_file() {
        return Ok(());
    }
    let sqlite = |error| BackupError::Sqlite(path.clone(), error);
    let database = Connection::open(&path).map_err(sqlite)?;
    // Another program's is left byte for byte as it is; whoever opens the store says so.
    if migrate::check(&database).is_err() {
        return Ok(());
    }
    let is_copy = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'backup_files'";
    if database.query_row(is_copy, [], |_| Ok(())).optional().map_err(sqlite)?.is_none() {
        return Ok(());
    }
    // Names are those we know: a copy that somebody changed must not write elsewhere.
    for name in FILES {
        let content = "SELECT content FROM backup_files WHERE name = ?1";
        let content: Option<Vec<u8>> =
            database.query_row(content, [name], |row| row.get(0)).optional().map_err(sqlite)?;
        let place = folder.path().join(name);
        if let Some(content) = content.filter(|_| place.symlink_metadata().is_err()) {
            write_whole(&place, &content).map_err(|error| BackupError::Io(place.clone(), error))?;
        }
    }
    // The files are there for good before their copies go.
    let place = folder.path();
    fs::File::open(place)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| BackupError::Io(place.into(), error))?;
    database.execute_batch("DROP TABLE backup_files").map_err(sqlite)
}

fn write_whole(place: &Path, content: &[u8]) -> io::Result<()> {
    let mut beside = place.as_os_str().to_owned();
    beside.push(".new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&beside, place)
}

#[cfg(test)]
mod tests;
