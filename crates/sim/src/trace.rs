//! What passed on the link, a line a frame.
//! Owns: frames as they were sent, up to a bound: the latest are kept, the rest is counted.
//! Invariants: off, it costs nothing. Not here: diagrams (`ladder`), the formats of packets (`wire::pretty`).

use crate::clock::Clock;
use crate::link::{End, Fate, Loss};
use std::collections::VecDeque;
use std::fmt;
use tcp::Instant;
use wire::meta::Medium;

/// One frame on the link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// When it was sent.
    pub at: Instant,
    /// By whom.
    pub from: End,
    /// What the link did to it.
    pub fate: Fate,
    /// What it was when it was sent, before any damage.
    pub frame: Vec<u8>,
}

/// The frames of a life.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    frames: VecDeque<Passed>,
    frames_max: usize,
    forgotten: u64,
}

impl Trace {
    /// Keeps the latest `frames_max` frames; 0: none.
    pub fn new(frames_max: usize) -> Trace {
        Trace { frames_max, ..Trace::default() }
    }

    /// Whether frames are kept.
    pub fn is_on(&self) -> bool {
        self.frames_max > 0
    }

    /// Notes a frame.
    pub fn record(&mut self, passed: impl FnOnce() -> Passed) {
        if self.frames_max == 0 {
            return;
        }
        if self.frames.len() == self.frames_max {
            self.frames.pop_front();
            self.forgotten += 1;
        }
        self.frames.push_back(passed());
    }

    /// The frames kept, oldest first.
    pub fn frames(&self) -> impl Iterator<Item = &Passed> {
        self.frames.iter()
    }

    /// Frames that were sent before those kept.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.at.since(Clock::START);
        let arrow = match self.from {
            End::A => "A->B",
            End::B => "A<-B",
        };
        write!(f, "{:12.6} {arrow} {}", time.as_secs_f64(), wire::pretty::line(Medium::Ip, &self.frame))?;
        match self.fate.lost {
            Some(Loss::Chance) => f.write_str("  [lost]")?,
            Some(Loss::Queue) => f.write_str("  [queue full]")?,
            Some(Loss::Cut) => f.write_str("  [cable cut]")?,
            Some(Loss::Gate) => f.write_str("  [dropped by the test]")?,
            None => {}
        }
        for (happened, word) in [
            (self.fate.corrupted, "damaged"),
            (self.fate.duplicated, "doubled"),
            (self.fate.held, "held back"),
        ] {
            if happened {
                write!(f, "  [{word}]")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.forgotten > 0 {
            writeln!(f, "({} frames before)", self.forgotten)?;
        }
        self.frames.iter().try_for_each(|passed| writeln!(f, "{passed}"))
    }
}
