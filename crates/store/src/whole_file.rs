//! A file that appears whole or not at all, for its owner's eyes, and takes nobody's place.
//!
//! Owns: the part that grows beside it. Invariants: a part that was not settled is removed.
//! Not here: what is written.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A file that is being written.
#[derive(Debug)]
pub struct WholeFile {
    part: PathBuf,
    to: PathBuf,
    settled: bool,
}

impl WholeFile {
    /// Makes the part, empty, with mode 0600.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] when there is something at the place already; whatever keeps a file from being
    /// made there.
    pub fn create(to: &Path) -> io::Result<(Self, File)> {
        if to.symlink_metadata().is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let name = to.file_name().ok_or_else(|| io::Error::other("this is no file's name"))?;
        // Beside it, so that it can be renamed; ours alone, so that two at a time do not meet.
        let mut part = std::ffi::OsString::from(".");
        part.push(name);
        part.push(format!(".part-{}", std::process::id()));
        let part = to.with_file_name(part);
        // Left behind by a process of the same id that was killed.
        let _ = fs::remove_file(&part);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
        Ok((Self { part, to: to.to_owned(), settled: false }, file))
    }

    /// Where it grows until it is whole.
    #[must_use]
    pub fn part(&self) -> &Path {
        &self.part
    }

    /// Waits for the disk, and gives it its name.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] when somebody took the name meanwhile; whatever the disk says.
    pub fn settle(mut self) -> io::Result<()> {
        File::open(&self.part)?.sync_all()?;
        match fs::hard_link(&self.part, &self.to) {
            Ok(()) => fs::remove_file(&self.part)?,
            // A file system without links.
            Err(error)
                if error.kind() != io::ErrorKind::AlreadyExists && self.to.symlink_metadata().is_err() =>
            {
                fs::rename(&self.part, &self.to)?;
            }
            Err(_) => return Err(io::ErrorKind::AlreadyExists.into()),
        }
        self.settled = true;
        let folder = self.to.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl Drop for WholeFile {
    fn drop(&mut self) {
        if !self.settled {
            let _ = fs::remove_file(&self.part);
        }
    }
}
