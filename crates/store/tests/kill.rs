//! A process that writes is killed; whatever it had said to be written is there afterwards.
//!
//! Invariants: acknowledged rows are a prefix of what is found; what is found has no hole and nothing twice.
//! Not here: power cuts, which a test cannot make; `synchronous=FULL` and SQLite's own tests stand for them.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use switchboard_store::{Answer, Backend, Credentials, Folder, OfflineId, Op, Request, Sqlite};
use xmpp::address::AccountNumber;
use xmpp::time::Wallclock;

const NOW: Wallclock = Wallclock::from_millis(1_764_000_000_000);
const FOLDER: &str = "SWITCHBOARD_TEST_KILL_FOLDER";

/// The process ends of itself after so many groups, should nobody kill it.
const GROUPS_MAX: u64 = 100_000;

fn number() -> AccountNumber {
    AccountNumber::FIRST
}

fn open(path: &Path) -> Sqlite {
    Sqlite::open(
        Arc::new(Folder::open(path).expect("a fresh folder")),
        None,
        NOW,
        switchboard_store::sqlite::Config::default(),
    )
    .expect("a fresh folder")
}

fn push(n: u64) -> Op {
    Op::PushOffline { number: number(), stamp: NOW, stanza: format!("message {n}").into_bytes() }
}

/// Not a test: what the killed process does. Groups of growing and shrinking size; after each, the last id on a line.
#[test]
#[ignore = "the other test runs it in a process of its own"]
fn writer() {
    let Some(path) = std::env::var_os(FOLDER) else { return };
    let mut store = open(Path::new(&path));
    let (mut batch, mut replies) = (Vec::new(), Vec::new());
    let mut n = next(&mut store);
    for group in 0..GROUPS_MAX {
        for _ in 0..=group % 7 {
            batch.push(Request { token: 0, op: push(n) });
            n += 1;
        }
        store.run(NOW, &mut batch, &mut replies);
        let Some(Ok(Answer::Pushed(last))) = replies.drain(..).next_back().map(|reply| reply.answer) else {
            panic!("not pushed")
        };
        let mut out = std::io::stdout().lock();
        writeln!(out, "acknowledged {}", last.0).unwrap();
        out.flush().unwrap();
    }
}

fn next(store: &mut Sqlite) -> u64 {
    found(store).last().copied().unwrap_or(0) + 1
}

/// The ids in the queue; each row must hold what its id says.
fn found(store: &mut Sqlite) -> Vec<u64> {
    let mut ids = Vec::new();
    loop {
        let after = OfflineId(ids.last().copied().unwrap_or(0));
        let op = Op::LoadOffline { number: number(), after, limit: 1000 };
        let Ok(Answer::Offline(page)) = store.run_one(NOW, op) else { panic!("no page") };
        for row in page.rows {
            assert_eq!(row.stanza, format!("message {}", row.id.0).into_bytes());
            ids.push(row.id.0);
        }
        if !page.more {
            return ids;
        }
    }
}

#[test]
fn what_was_acknowledged_outlives_the_process() {
    let outside = tempfile::tempdir().unwrap();
    let credentials = Box::new(Credentials::default());
    open(outside.path())
        .run_one(NOW, Op::CreateAccount { number: Some(number()), name: None, credentials })
        .unwrap();
    for acknowledgements in [1, 7, 50, 200, 400] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writer", "--ignored", "--nocapture"])
            .env(FOLDER, outside.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut acknowledged = 0;
        let mut read = |lines: &mut dyn Iterator<Item = std::io::Result<String>>, most: usize| {
            let said = lines.map_while(Result::ok).filter_map(|line| {
                line.rsplit_once("acknowledged ").and_then(|(_, id)| id.parse::<u64>().ok())
            });
            if let Some(last) = said.take(most).last() {
                acknowledged = last;
            }
        };
        read(&mut lines, acknowledgements);
        child.kill().unwrap();
        child.wait().unwrap();
        // What it had said before it died and we had not read yet counts too.
        read(&mut lines, usize::MAX);
        let ids = found(&mut open(outside.path()));
        assert!(acknowledged >= acknowledgements as u64);
        assert!(ids.len() as u64 >= acknowledged, "{} of {acknowledged} left", ids.len());
        assert!(ids.iter().copied().eq(1..=ids.len() as u64), "a hole or a repeat");
    }
}
