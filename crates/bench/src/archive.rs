//! Archive: pages of 50 out of one long archive, as clients ask for them (XEP-0313), straight from the store; and the
//! same rows written, in groups of the size that a busy exchange commits.
//! Units: microseconds a page by the clock, at the middle, at the ninetieth and the slowest of 100; the most that one of them had of a
//! core, and the most octets that one had read from the disk; rows a second; octets of the database a row.
//! Invariants: a folder that was filled is not filled again, so that one filling serves many measurements.
//! Not here: the way of a page through the exchange (`chat` measures messages with the archive on).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use store::{
    Answer, ArchiveId, ArchiveOp, ArchivePaging, ArchiveQuery, Backend, Credentials, Folder, Limits, Op,
    Request, Sqlite, StoreError,
};
use xmpp::address::{AccountNumber, BareJid};
use xmpp::time::Wallclock;

use crate::report::{Report, Side};
use crate::{process, sut};

/// Rows that one commit writes.
const GROUP: u64 = 256;
/// Different people at the other end, written to in turn.
const CONTACTS: u64 = 200;
const BODY_LEN: usize = 200;
/// Messages in a page.
const PAGE: u32 = 50;
/// Pages asked for in each way.
const PAGES: u64 = 100;
/// The archive begins here; a row each second.
const BEGAN: u64 = 1_700_000_000_000;

/// A page in one of the ways in which clients ask, given a place that differs from call to call.
type Ask = fn(u64, &mut ArchiveQuery);

/// Each: its name, and the question.
const WAYS: &[(&str, Ask)] = &[
    ("archive-page-latest-us", |_, query| query.page = ArchivePaging::Last),
    ("archive-page-after-us", |place, query| query.page = ArchivePaging::After(id_of(place))),
    ("archive-page-before-us", |place, query| query.page = ArchivePaging::Before(id_of(place))),
    ("archive-page-since-us", |place, query| query.start = Some(id_of(place).received())),
    ("archive-page-with-us", |place, query| {
        query.with = BareJid::parse(&contact(place)).ok();
        query.end = Some(id_of(place).received());
        query.page = ArchivePaging::Last;
    }),
];

fn id_of(row: u64) -> ArchiveId {
    ArchiveId::first_at(Wallclock::from_millis(BEGAN + row * 1000))
}

fn contact(row: u64) -> String {
    format!("{}@localhost", 20_000 + row % CONTACTS)
}

/// What a page cost.
struct Cost {
    took: Duration,
    /// Of it on a core; the rest is waiting, for the disk or for a core.
    cpu: Duration,
    /// Octets that the disk was asked for.
    read: u64,
}

/// Measures an archive of so many rows, in a folder that is left there if one is named, and else in one that goes.
pub(crate) fn run(rows: u64, folder: Option<&Path>, report: &mut Report) -> io::Result<()> {
    let mut passing = None;
    let data: PathBuf = match folder {
        Some(folder) => folder.to_owned(),
        None => passing.insert(sut::Folder::new("archive")?).0.join("data"),
    };
    let folder = Arc::new(Folder::open(&data).map_err(io::Error::other)?);
    let limits = Limits { archive_rows_max: rows, archive_keep: None, ..Limits::default() };
    let config = store::sqlite::Config { limits, ..store::sqlite::Config::default() };
    let now = Wallclock::from_millis(BEGAN + rows * 1000);
    let start = Instant::now();
    let mut store = Sqlite::open(folder, Some("localhost"), now, config).map_err(io::Error::other)?;
    report.figure("archive-open-ms", Side::Ours, start.elapsed().as_secs_f64() * 1e3, "ms", 1);
    let number = AccountNumber::FIRST;
    if !is_filled(&mut store, now, number, rows)? {
        let credentials = Box::new(Credentials::default());
        let create = Op::CreateAccount { number: Some(number), name: None, credentials };
        store.run_one(now, create).map_err(io::Error::other)?;
        fill(&mut store, now, number, rows, report)?;
    }
    let bytes = std::fs::metadata(data.join(store::sqlite::FILE))?.len();
    report.figure("archive-row-bytes", Side::Ours, bytes as f64 / rows as f64, "B", rows);
    for (name, ask) in WAYS {
        let mut costs = Vec::with_capacity(PAGES as usize);
        for page in 0..PAGES {
            // Far apart, so that no page is warmed by the one before; and never the oldest, before which there is none.
            let at = 1 + page.wrapping_mul(0x9e37_79b9_7f4a_7c15) % (rows - 1);
            let mut query = ArchiveQuery::all(PAGE);
            ask(at, &mut query);
            costs.push(measure(
                &mut store,
                now,
                Op::Archive(ArchiveOp::Page { number, query: Box::new(query) }),
            )?);
        }
        let mut say = |what: &str, value: f64, unit| {
            report.figure(&format!("{name}-{what}"), Side::Ours, value, unit, PAGES);
        };
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        say("most-cpu", costs.iter().map(|cost| micros(cost.cpu)).fold(0.0, f64::max), "us");
        costs.sort_unstable_by_key(|cost| cost.took);
        for (share, at) in [("p50", PAGES / 2), ("p90", PAGES * 9 / 10), ("slowest", PAGES - 1)] {
            say(share, costs.get(at as usize).map_or(0.0, |cost| micros(cost.took)), "us");
        }
        say("most-read", costs.iter().map(|cost| cost.read).max().unwrap_or(0) as f64, "B");
    }
    Ok(())
}

/// Whether the archive holds all of its rows; none is no error, anything between is.
fn is_filled(store: &mut Sqlite, now: Wallclock, number: AccountNumber, rows: u64) -> io::Result<bool> {
    let query = Box::new(ArchiveQuery::all(0));
    match store.run_one(now, Op::Archive(ArchiveOp::Page { number, query })) {
        Ok(Answer::Archive(page)) if page.count == Some(rows) => Ok(true),
        Err(StoreError::NoSuchAccount) => Ok(false),
        _ => Err(io::Error::other("the folder holds something else than an archive of that length")),
    }
}

fn measure(store: &mut Sqlite, now: Wallclock, op: Op) -> io::Result<Cost> {
    let cpu = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).map_err(io::Error::other);
    let (read, on_core, start) = (process::disk_read_bytes()?, cpu()?, Instant::now());
    let answer = store.run_one(now, op).map_err(io::Error::other)?;
    let (took, cpu) = (start.elapsed(), cpu()?.saturating_sub(on_core));
    match answer {
        Answer::Archive(page) if !page.rows.is_empty() => {}
        _ => return Err(io::Error::other("a page was answered by something else, or by nothing")),
    }
    Ok(Cost { took, cpu, read: process::disk_read_bytes()? - read })
}

fn fill(
    store: &mut Sqlite,
    now: Wallclock,
    number: AccountNumber,
    rows: u64,
    report: &mut Report,
) -> io::Result<()> {
    let body = "x".repeat(BODY_LEN);
    let (mut batch, mut replies) = (Vec::new(), Vec::new());
    let start = Instant::now();
    for row in 0..rows {
        let with = contact(row);
        let stanza = format!(
            "<message from='{with}/r' to='10001@localhost' type='chat' id='{row}'><body>{body}</body></message>"
        );
        let op = ArchiveOp::Append { number, id: id_of(row), with: with.into(), stanza: stanza.into() };
        batch.push(Request { token: row, op: Op::Archive(op) });
        if batch.len() as u64 == GROUP || row + 1 == rows {
            store.run(now, &mut batch, &mut replies);
            for reply in replies.drain(..) {
                reply.answer.map_err(io::Error::other)?;
            }
        }
    }
    let rate = rows as f64 / start.elapsed().as_secs_f64();
    report.figure("archive-rows-written", Side::Ours, rate, "1/s", rows);
    Ok(())
}
