//! Archive: pages of 50 out of one long archive, as clients ask for them (XEP-0313), straight from the store; and the
//! same rows written, in groups of the size that a busy exchange commits.
//! Units: microseconds a page, median and 99th of 100; rows a second; octets of the database a row.
//! Not here: the way of a page through the exchange (`chat` measures messages with the archive on).

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use store::{
    Answer, ArchiveId, ArchiveOp, ArchivePaging, ArchiveQuery, Backend, Credentials, Folder, Limits, Op,
    Request, Sqlite,
};
use xmpp::address::{AccountNumber, BareJid};
use xmpp::time::Wallclock;

use crate::report::{Report, Side};
use crate::sut;

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

pub(crate) fn run(rows: u64, report: &mut Report) -> io::Result<()> {
    let place = sut::Folder::new("archive")?;
    let folder = Arc::new(Folder::open(place.0.join("data")).map_err(io::Error::other)?);
    let limits = Limits { archive_rows_max: rows, archive_keep: None, ..Limits::default() };
    let config = store::sqlite::Config { limits, ..store::sqlite::Config::default() };
    let now = Wallclock::from_millis(BEGAN + rows * 1000);
    let mut store = Sqlite::open(folder, Some("localhost"), now, config).map_err(io::Error::other)?;
    let number = AccountNumber::FIRST;
    let credentials = Box::new(Credentials::default());
    let create = Op::CreateAccount { number: Some(number), name: None, credentials };
    store.run_one(now, create).map_err(io::Error::other)?;
    fill(&mut store, now, number, rows, report)?;
    let bytes = std::fs::metadata(place.0.join("data").join(store::sqlite::FILE))?.len();
    report.figure("archive-row-bytes", Side::Ours, bytes as f64 / rows as f64, "B", rows);
    for (name, ask) in WAYS {
        let mut took = Vec::with_capacity(PAGES as usize);
        for page in 0..PAGES {
            // Far apart, so that no page is warmed by the one before.
            let at = page.wrapping_mul(0x9e37_79b9_7f4a_7c15) % rows;
            let mut query = ArchiveQuery::all(PAGE);
            ask(at, &mut query);
            let op = Op::Archive(ArchiveOp::Page { number, query: Box::new(query) });
            let start = Instant::now();
            let answer = store.run_one(now, op).map_err(io::Error::other)?;
            took.push(start.elapsed());
            if !matches!(answer, Answer::Archive(_)) {
                return Err(io::Error::other("a page was answered by something else"));
            }
        }
        took.sort_unstable();
        for (share, at) in [("p50", PAGES / 2), ("p99", PAGES - 1)] {
            let micros = took.get(at as usize).map_or(0.0, Duration::as_secs_f64) * 1e6;
            report.figure(&format!("{name}-{share}"), Side::Ours, micros, "us", PAGES);
        }
    }
    Ok(())
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
