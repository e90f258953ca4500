//! `switchboard backup`: a data folder in one file, also while an exchange runs on it.
//!
//! Owns: that it can be called off. Invariants: standard output says nothing.
//! Not here: the copying (`store::sqlite::backup`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use store::sqlite::{self, Stopper};

use crate::args::Backup;
use crate::failure::Failure;
use crate::progress::Progress;

/// Between two looks at whether it was called off.
const PAUSE: Duration = Duration::from_millis(50);

pub(crate) fn run(args: &Backup) -> Result<(), Failure> {
    // SQLite lets a reader look at one moment while the exchange goes on writing, so nobody has to be asked.
    let backup = sqlite::Backup::new(&args.data.data, &args.file).map_err(Failure::failed)?;
    let called_off = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&called_off))
            .map_err(|error| Failure::failed(format!("cannot wait for signals: {error}")))?;
    }
    let (part, bytes, stopper) = (backup.part().to_owned(), backup.bytes(), backup.stopper());
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let written = move || part.metadata().map_or(0, |part| part.len());
        let (done, called_off) = (&done, &called_off);
        let watcher = scope.spawn(move || watch(done, called_off, &stopper, written, bytes));
        let made = backup.run();
        done.store(true, Ordering::Release);
        watcher.thread().unpark();
        made.map_err(Failure::failed)
    })
}

fn watch(
    done: &AtomicBool,
    called_off: &AtomicBool,
    stopper: &Stopper,
    written: impl Fn() -> u64,
    bytes: u64,
) {
    let mut progress = Progress::new();
    while !done.load(Ordering::Acquire) {
        if called_off.load(Ordering::Relaxed) {
            stopper.stop();
        }
        progress.tell(|| self::progress(written(), bytes));
        thread::park_timeout(PAUSE);
    }
    progress.clear();
}

fn progress(written: u64, bytes: u64) -> String {
    // It may come out a little longer than was foretold.
    let percent = written.min(bytes).saturating_mul(100) / bytes.max(1);
    format!("{percent}%: {} of about {} MB copied", written / 1_000_000, bytes / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_never_says_more_than_all() {
        assert_eq!(progress(0, 0), "0%: 0 of about 0 MB copied");
        assert_eq!(progress(30_000_000, 120_000_000), "25%: 30 of about 120 MB copied");
        assert_eq!(progress(130_000_000, 120_000_000), "100%: 130 of about 120 MB copied");
    }
}
