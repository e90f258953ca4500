//! The data folder: made for its owner's eyes only, and held by one exchange at a time.
//!
//! Owns: the folder's path, its lock file. Invariants: while a [`Folder`] lives, no other process has one of the same
//! path; the lock goes with the process, however that ends, so there is no stale lock.
//! Not here: what lies in it (`sqlite`, and the server's certificate and admin socket).

use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The lock file's name inside the folder. It holds the process id of whoever holds the lock.
const LOCK_FILE: &str = "lock";

/// A process id and a newline, with room to spare; more than this is not read from a lock file.
const LOCK_TEXT_MAX: u64 = 32;

/// A data folder that is ours until this is dropped.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    _lock: File,
}

/// Why a data folder cannot be had.
#[derive(Debug)]
pub enum FolderError {
    /// Another process has it.
    Held {
        /// The folder.
        path: PathBuf,
        /// Who, where the lock file tells.
        pid: Option<u32>,
    },
    /// Others can look into it and it holds other things, so it is somebody's, but not ours to close.
    Shared {
        /// The folder.
        path: PathBuf,
    },
    /// The world's fault.
    Io {
        /// What could not be made, opened or locked.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

impl Folder {
    /// Makes the folder if need be, with mode 0700, and takes its lock.
    ///
    /// A folder that was there and that others could look into is closed to them, but only if it is empty or was a data
    /// folder before: `--data /tmp` must not take `/tmp` away from everyone.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, FolderError> {
        let path = path.into();
        let lock_path = path.join(LOCK_FILE);
        make_private(&path, &lock_path)?;
        let io = |error| FolderError::Io { path: lock_path.clone(), error };
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&lock_path)
            .map_err(io)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(FolderError::Held { path, pid: holder(&mut lock) }),
            Err(TryLockError::Error(error)) => return Err(io(error)),
        }
        write_holder(&mut lock).map_err(io)?;
        Ok(Self { path, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn make_private(path: &Path, lock_path: &Path) -> Result<(), FolderError> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    let io = |error| FolderError::Io { path: path.to_owned(), error };
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io)?;
    let mut permissions = std::fs::metadata(path).map_err(io)?.permissions();
    if permissions.mode() & 0o077 == 0 {
        return Ok(());
    }
    if !lock_path.exists() && std::fs::read_dir(path).map_err(io)?.next().is_some() {
        return Err(FolderError::Shared { path: path.to_owned() });
    }
    permissions.set_mode(permissions.mode() & !0o077);
    std::fs::set_permissions(path, permissions).map_err(io)
}

fn write_holder(lock: &mut File) -> io::Result<()> {
    lock.set_len(0)?;
    lock.seek(SeekFrom::Start(0))?;
    writeln!(lock, "{}", std::process::id())
}

fn holder(lock: &mut File) -> Option<u32> {
    let mut text = String::new();
    lock.take(LOCK_TEXT_MAX).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

impl fmt::Display for FolderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held { path, pid: Some(pid) } => {
                write!(
                    f,
                    "the data folder {} is in use by process {pid}: stop that, or choose another folder",
                    path.display()
                )
            }
            Self::Held { path, pid: None } => {
                write!(f, "the data folder {} is in use by another process", path.display())
            }
            Self::Shared { path } => write!(
                f,
                "{} is open to others and holds other files: choose an empty folder, or close it with chmod 700",
                path.display()
            ),
            Self::Io { path, error } => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for FolderError {}

#[cfg(test)]
mod tests;
