//! Simulate: lives of two stacks on a bad link, and whole chats, over seeds that nobody has seen, and what is too long for a plain
//! test run: a million connections, a hundred thousand XMPP sessions, one who does not read beside a thousand who talk.
//! Invariants: the first seed is printed before anything runs, so that a failure can be had again.

use std::time::SystemTime;

use crate::shell;
use crate::tally::Tally;

/// Lives that are lived, and those that `stack` has of its own.
const SEEDS: u32 = 1000;
const LIVES: u32 = 2000;
/// Whole chats, and the clients that each has at most.
const CHATS: u32 = 24;
const CLIENTS: u32 = 200;
/// Idle connections, XMPP sessions, and pairs who talk while one does not read.
const CONNECTIONS: u32 = 1 << 20;
const SESSIONS: u32 = 100_000;
const PAIRS: u32 = 500;

pub(crate) fn run(from: Option<u64>) -> Result<Tally, String> {
    let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let start = from.unwrap_or(clock * 1000);
    println!("seeds {start} to {}; again: cargo xtask simulate --from {start}", start + u64::from(SEEDS) - 1);
    let mut tally = Tally::default();
    let mut tests = shell::cargo(
        "test",
        &[
            "--no-fail-fast",
            "--test",
            "seeds",
            "--test",
            "million",
            "--test",
            "sessions",
            "--test",
            "pressure",
        ],
    );
    tests
        .env("LIVES", LIVES.to_string())
        .env("SWITCHBOARD_CONNECTIONS", CONNECTIONS.to_string())
        .env("SWITCHBOARD_SESSIONS", SESSIONS.to_string())
        .env("SWITCHBOARD_PAIRS", PAIRS.to_string())
        .env("SWITCHBOARD_SEEDS", SEEDS.to_string())
        .env("SWITCHBOARD_CHATS", CHATS.to_string())
        .env("SWITCHBOARD_CLIENTS", CLIENTS.to_string())
        .env("SWITCHBOARD_SEED_START", start.to_string());
    tally.test_command("lives, whole chats, a million connections, a hundred thousand sessions", &mut tests);
    Ok(tally)
}
