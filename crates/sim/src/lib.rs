//! The world in a box: virtual clock, seeded links, hosts, oracles.
//!
//! A [`World`](world::World) is two [`Stack`](stack::Stack)s, a [`Link`](link::Link) between them and a clock that jumps from event
//! to event, so that an hour of TCP takes milliseconds and happens the same way every time. A [`life`] is what one
//! seed makes of it: hosts and a link with drawn parameters, conversations with drawn endings, faults that stop at some time,
//! and oracles that watch.
//!
//! Reading order: `clock`, `rng`, `link`, `fault` (how the link changes), `world` (one event after another); `host` (programs that
//! talk), `oracle` (what must hold), `life` (all of it from one seed); `trace` and `digest` (how it is seen and compared).
//!
//! ```text
//! cargo test -p switchboard-sim                                        # seeds 0..200, the same everywhere
//! SWITCHBOARD_SEEDS=1000 SWITCHBOARD_SEED_START=$(date +%s) cargo test -p switchboard-sim --test seeds    # fresh ones
//! cargo run -p switchboard-sim --example life -- --seed N              # one life again, a line a frame
//! ```
//!
//! Owns: time and chance; nobody else in the workspace may.
//! Invariants: a seed and a commit give one life, octet for octet: no map of random order, no clock, no thread.
//! Not here: real devices and real time (a [`Link`](link::Link) can be driven in real time, since it is told the time like
//! everybody else), scenarios worth drawing (`lab`).
#![forbid(unsafe_code)]

pub mod clock;
pub mod datagrams;
pub mod digest;
pub mod fault;
pub mod goodput;
pub mod host;
pub mod life;
pub mod link;
pub mod oracle;
pub mod rng;
pub mod trace;
pub mod world;
