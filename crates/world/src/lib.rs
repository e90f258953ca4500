//! Whole chats in a box: the exchange with its loops, its store and our stack; its clients, each a host with a stack of its
//! own; the links between them; the disk. One clock, which jumps from event to event; one seed.
//!
//! [`World`](world::World) is the box: make it, add [`Site`](world::Site)s (a client's host and its link, perhaps behind a
//! [`nat`]), add [`Client`](client::Client)s over TCP, TLS or QUIC, and let it live. A [`life`] is what one seed makes of it: a few
//! hundred clients that write to each other while links fail, the disk fills up and the exchange is killed and started again;
//! then peace; and the [`oracle`]'s judgement: every message that was acknowledged arrives, once, in its sender's order.
//!
//! ```text
//! cargo test -p switchboard-world                                      # two clients and the exchange, over each carrier
//! cargo run --release -p switchboard-world --example chat -- --seed N  # one life again, a line an event
//! ```
//!
//! Reading order: `disk`, `nat`, `tls` and `quic` (a client's end of each), `carrier`, `client`, `site`, `world`, `oracle`, `life`; `crowd` stands apart: a hundred
//! thousand sessions, and what they cost.
//! Spec: DESIGN sections 4, 5 and 9. Owns: the meeting of client and exchange, which know nothing of each other elsewhere.
//! Invariants: over clear TCP a seed and a commit give one life, octet for octet. TLS and QUIC draw randomness of their own, so
//! for them only the outcome is promised.
//! Not here: links, clocks, chance (`sim`), scenarios with explanations (`lab`).
#![forbid(unsafe_code)]

mod agenda;
mod carrier;
pub mod client;
pub mod crowd;
pub mod disk;
pub mod life;
pub mod nat;
pub mod oracle;
pub mod quic;
pub mod site;
mod tls;
pub mod world;
