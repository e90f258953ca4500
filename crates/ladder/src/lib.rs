//! Ladders: conversations of TCP and UDP as sequence diagrams, time downwards.
//!
//! ```text
//!   a capture      -> capture -> dissect -> flow ---.
//!   a stack's events, a simulation ----------------- Item -> moment::Narrator -> Moment -> text | svg | mermaid | json
//!                                                            (analysis, infer)
//! ```
//!
//! A caller tells a [`Narrator`](moment::Narrator) what was seen, as [`Item`](item::Item)s: packets, what programs did, explanations.
//! It infers what was not said (states), finds what is unusual (marks), puts all in the order of time, and hands out
//! [`Moment`](moment::Moment)s, which a [`Ladder`] draws. Who knows the true states, and which segments were lost, says so in
//! the item.
//!
//! ```
//! use std::time::Duration;
//! use switchboard_ladder::{Format, Ladder, LadderOptions, item::{Hosts, Item, Packet, Side, Step}, moment::Narrator};
//! use wire::tcp::{Flags, Header};
//!
//! let hosts = Hosts { names: ["client".into(), "server".into()], states: [None; 2], time_wait: None };
//! let syn = Packet::Segment { header: Header { seq: 1000, flags: Flags::SYN, window: 64240, ..Header::default() }, len: 0 };
//! let mut ladder = Ladder::new(Vec::new(), Format::Text, hosts, LadderOptions::default())?;
//! ladder.push(Item::Step(Step::seen(Side::Left, Duration::ZERO, syn)))?;
//! let text = String::from_utf8(ladder.finish()?)?;
//! assert!(text.contains("SYN seq 0 win 64240"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Reading order: `item` (what comes in), `moment` (what happens), `analysis` and `infer` (what is found out), `label`, `layout`,
//! `text`; then `capture`, `dissect`, `flow` for files, `tap` for one end that is watched.
//! Spec: RFC 9293 for the words. Owns: diagrams; no clock, no device.
//! Not here: the system calls of a live capture (`device`), scenarios (`lab`), the command line (`switchboard`).
#![forbid(unsafe_code)]

pub mod analysis;
pub mod canvas;
pub mod capture;
pub mod course;
pub mod dissect;
pub mod filter;
pub mod flow;
pub mod infer;
pub mod item;
pub mod json;
pub mod label;
pub mod layout;
pub mod mark;
pub mod mermaid;
pub mod moment;
pub mod phrase;
pub mod state;
pub mod svg;
pub mod tap;
pub mod text;

mod ladder;

pub use ladder::{Format, Ladder, LadderOptions};
