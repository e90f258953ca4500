//! The lab: every rule of connecting and closing as an exact, repeatable scenario, played on our stack at both ends.
//!
//! A [`Scenario`] is a play for two hosts. It is played on a [`Stage`]: two stacks of `stack`, a link of `sim` between them, and
//! a clock that jumps from event to event, so that sixty seconds of TIME_WAIT take none. What passes becomes a ladder; explanations
//! stand beside the steps; at the end stands what was checked, on real outcomes, and whether it held.
//!
//! ```
//! use switchboard_lab::{Lang, catalogue, find};
//!
//! assert!(catalogue().count() > 30);
//! let play = find("handshake").expect("it is in the catalogue").play(1, Lang::En);
//! assert!(play.held());
//! ```
//!
//! Reading order: `words` (two languages), `stage` (how a scenario is played), `play` (what comes of it), `scenarios` (one file a family),
//! `notes` (a page of notes about sockets, claim by claim).
//! Spec: RFC 9293 and what each scenario names. Owns: the scenarios and their words.
//! Invariants: a seed and a commit give one play, octet for octet; every text exists in English and in Chinese.
//! Not here: drawing (`ladder`), the protocol (`tcp`, `stack`), the command line (`switchboard`).
#![forbid(unsafe_code)]

pub mod frame;
pub mod notes;
pub mod play;
pub mod scenarios;
pub mod stage;
pub mod words;

pub use play::{Act, Check, Play};
pub use scenarios::{catalogue, find};
pub use words::{Lang, Words};

use stage::Stage;

/// A scenario.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// What is typed to play it.
    pub name: &'static str,
    /// What it shows, in a line.
    pub title: Words,
    /// The play.
    script: fn(&mut Stage),
}

impl Scenario {
    /// Plays it: `seed` draws initial sequence numbers, ports and the link's chances.
    #[must_use]
    pub fn play(&self, seed: u64, lang: Lang) -> Play {
        let mut stage = Stage::new(seed, lang);
        (self.script)(&mut stage);
        stage.curtain()
    }
}

impl std::fmt::Debug for Scenario {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scenario").field("name", &self.name).finish_non_exhaustive()
    }
}
