//! Measures how many messages for who is away SQLite commits a second, as their queues grow.
//!
//! `cargo run --release -p switchboard-store --example offline_rows [-- FOLDER [ROWS [RECIPIENTS [GROUP]]]]`
//! prints one line for each tenth of the rows, then what a page and the deletion of the whole cost.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use switchboard_store::sqlite::Config;
use switchboard_store::{Answer, Backend, Credentials, Folder, Limits, OfflineId, Op, Request, Sqlite};
use xmpp::address::AccountNumber;
use xmpp::time::Wallclock;

const NOW: Wallclock = Wallclock::from_millis(1_764_000_000_000);
/// As a relayed message with a 200-byte body is: addresses, id, body, delay.
const STANZA_BYTES: usize = 350;

fn main() {
    let mut args = std::env::args().skip(1);
    let kept = args.next();
    let mut count = |default: u64| args.next().map_or(default, |text| text.parse().expect("a count"));
    let (rows, recipients, group) = (count(1_000_000), count(100), count(512));
    let path =
        kept.map_or_else(|| std::env::temp_dir().join(format!("rows-{}", std::process::id())), PathBuf::from);

    let limits = Limits { offline_rows_max: u64::MAX, offline_bytes_max: u64::MAX, ..Limits::default() };
    let folder = Arc::new(Folder::open(&path).expect("a folder"));
    let mut store =
        Sqlite::open(folder, None, NOW, Config { limits, ..Config::default() }).expect("an empty folder");
    let mut replies = Vec::new();
    let mut create: Vec<_> = (0..recipients)
        .map(|token| Request {
            token,
            op: Op::CreateAccount { number: None, name: None, credentials: Box::new(Credentials::default()) },
        })
        .collect();
    store.run(NOW, &mut create, &mut replies);
    replies.clear();

    let number = |n: u64| AccountNumber::new(10_001 + n % recipients).expect("a number");
    let (mut batch, mut slowest) = (Vec::new(), Duration::ZERO);
    let mut pushed = 0;
    for tenth in 1..=10 {
        let (started, before) = (Instant::now(), pushed);
        let mut storing = Duration::ZERO;
        while pushed < rows * tenth / 10 {
            for _ in 0..group {
                let stanza = vec![b'x'; STANZA_BYTES];
                let op = Op::PushOffline { number: number(pushed), stamp: NOW, stanza };
                batch.push(Request { token: pushed, op });
                pushed += 1;
            }
            let at = Instant::now();
            store.run(NOW, &mut batch, &mut replies);
            storing += at.elapsed();
            slowest = slowest.max(at.elapsed());
            assert!(replies.drain(..).all(|reply| reply.answer.is_ok()));
        }
        let per_sec = (pushed - before) as f64 / started.elapsed().as_secs_f64();
        println!(
            "rows {pushed:>9}  {per_sec:>9.0} rows/s  {:.2} us/row in the store  slowest group {slowest:?}",
            storing.as_secs_f64() * 1e6 / (pushed - before) as f64
        );
        slowest = Duration::ZERO;
    }

    let at = Instant::now();
    let (mut after, mut read) = (OfflineId(0), 0);
    loop {
        let op = Op::LoadOffline { number: number(0), after, limit: 1000 };
        let Ok(Answer::Offline(page)) = store.run_one(NOW, op) else { panic!("no page") };
        read += page.rows.len();
        after = page.rows.last().map_or(after, |row| row.id);
        if !page.more {
            break;
        }
    }
    println!("one queue of {read} read in {:?}", at.elapsed());
    let at = Instant::now();
    let op = Op::DeleteOffline { number: number(0), first: OfflineId(0), last: after };
    store.run_one(NOW, op).expect("deleted");
    println!("and deleted in {:?}", at.elapsed());
    drop(store);
    std::fs::remove_dir_all(&path).expect("our folder");
}
