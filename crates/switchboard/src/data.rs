//! A data folder as a command sees it: with an exchange that runs on it, and then all goes through its admin socket, or
//! without, and then the command opens the store itself, under the folder's lock.
//!
//! Owns: the choice, and the wait while neither is possible. Invariants: never two writers.
//! Not here: the admin protocol (`server::admin`), the lock (`store::folder`).

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use server::admin;
use store::{Folder, FolderError, Sqlite};
use xmpp::time::Wallclock;

use crate::failure::Failure;

/// An exchange that is starting or leaving holds the lock without answering yet or any more; so does another command.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Whoever has the folder.
pub(crate) enum Data {
    /// An exchange.
    Running(admin::Client),
    /// This command.
    Ours(Box<Sqlite>),
}

/// Finds out who has the folder, making it if that is wanted.
pub(crate) fn open(path: &Path, make: bool) -> Result<Data, Failure> {
    if !make && !path.is_dir() {
        return Err(Failure::failed(format!(
            "no data folder at {}: name one with --data, or make it with `switchboard serve`",
            path.display()
        )));
    }
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(client) = running(path)? {
            return Ok(Data::Running(client));
        }
        match Folder::open(path) {
            Ok(folder) => {
                store::sqlite::unpack(&folder).map_err(Failure::failed)?;
                let store = Sqlite::open(Arc::new(folder), None, now(), store::sqlite::Config::default())
                    .map_err(Failure::failed)?;
                return Ok(Data::Ours(Box::new(store)));
            }
            Err(FolderError::Held { .. }) if Instant::now() < until => thread::sleep(PAUSE),
            Err(error) => return Err(Failure::failed(error)),
        }
    }
}

/// The exchange that runs on a folder, if one does.
pub(crate) fn running(path: &Path) -> Result<Option<admin::Client>, Failure> {
    admin::Client::connect(path)
        .map_err(|error| Failure::failed(format!("the admin socket in {}: {error}", path.display())))
}

pub(crate) fn now() -> Wallclock {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Wallclock::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
