//! Simulate: lives of two stacks on a bad link, and whole chats, over seeds that nobody has seen, and what only release builds
//! have the speed for: a million connections, a hundred thousand XMPP sessions.
//! Invariants: the first seed is printed before anything runs, so that a failure can be had again.

use std::time::SystemTime;

use crate::shell;
use crate::tally::Tally;

/// Lives that are lived.
const SEEDS: u32 = 1000;
/// Whole chats, and the clients that each has at most.
const CHATS: u32 = 24;
const CLIENTS: u32 = 200;

pub(crate) fn run(from: Option<u64>) -> Result<Tally, String> {
    let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let start = from.unwrap_or(clock * 1000);
    println!("seeds {start} to {}; again: cargo xtask simulate --from {start}", start + u64::from(SEEDS) - 1);
    let mut tally = Tally::default();
    let mut lives = shell::command(&["cargo", "test", "--release", "-p", "switchboard-sim"]);
    lives.env("SWITCHBOARD_SEEDS", SEEDS.to_string()).env("SWITCHBOARD_SEED_START", start.to_string());
    tally.test_command("lives", &mut lives);
    let mut chats =
        shell::command(&["cargo", "test", "--release", "-p", "switchboard-world", "--test", "seeds"]);
    chats
        .env("SWITCHBOARD_SEEDS", CHATS.to_string())
        .env("SWITCHBOARD_SEED_START", start.to_string())
        .env("SWITCHBOARD_CLIENTS", CLIENTS.to_string());
    tally.test_command("whole chats", &mut chats);
    tally.tests(
        "a million connections",
        &["cargo", "test", "--release", "-p", "switchboard-stack", "--test", "million"],
    );
    tally.tests(
        "a hundred thousand sessions",
        &["cargo", "test", "--release", "-p", "switchboard-world", "--test", "sessions"],
    );
    Ok(tally)
}
