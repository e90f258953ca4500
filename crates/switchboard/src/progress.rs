//! How far something long has come: a line on standard error that is drawn again on a terminal, and now and then a line
//! where lines stay.
//!
//! Invariants: what is done soon says nothing; standard output says nothing.
//! Not here: what is told.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// What is done sooner needs no telling.
const QUIET: Duration = Duration::from_secs(2);

/// Between two lines where lines stay, as in a log.
const BETWEEN_LINES: Duration = Duration::from_secs(30);

/// Between two of them on a terminal.
const BETWEEN_DRAWINGS: Duration = Duration::from_millis(500);

/// What was told, and when it is due again.
pub(crate) struct Progress {
    terminal: bool,
    next: Instant,
    told: bool,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal(), next: Instant::now() + QUIET, told: false }
    }

    /// Tells it if it is time.
    pub(crate) fn tell(&mut self, line: impl FnOnce() -> String) {
        if Instant::now() < self.next {
            return;
        }
        let (line, mut err) = (line(), std::io::stderr().lock());
        // Whoever cannot be told still wants it done.
        let _ = if self.terminal { write!(err, "\r{line}\x1b[K") } else { writeln!(err, "{line}") };
        self.told = true;
        self.next = Instant::now() + if self.terminal { BETWEEN_DRAWINGS } else { BETWEEN_LINES };
    }

    /// It is done: a terminal's line is wiped.
    pub(crate) fn clear(&mut self) {
        if self.told && self.terminal {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
