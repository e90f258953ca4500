//! What is filed and what is not: nobody can tell by what the archive answers.

use super::*;
use crate::contract::{LIMITS, NOW, contact, create, number};
use crate::session::WHOLE;
use crate::sqlite::Config;
use crate::sqlite::tests::Place;
use crate::{ArchivePaging, ArchiveQuery, Backend, Folder, Memory, Op, Origin, Request, SessionOp, Sqlite};

/// More than two tails, so that there is always something in the tables, in a tail, and beyond the bound.
const ROWS_MAX: u64 = 2 * TAIL_MAX as u64 + 10;

fn limits() -> Limits {
    Limits { archive_rows_max: ROWS_MAX, archive_keep: None, ..LIMITS }
}

fn open(place: &Place) -> Sqlite {
    let folder = std::sync::Arc::new(Folder::open(place.path()).unwrap());
    let config = Config { limits: limits(), reserve_bytes: 4096, ..Config::default() };
    Sqlite::open(folder, None, NOW, config).unwrap()
}

fn id(nth: u64) -> ArchiveId {
    ArchiveId(ArchiveId::first_at(NOW).0 + nth)
}

/// With a@x, b@x and c@x, in no even turns.
fn with(nth: u64) -> &'static str {
    match nth * nth % 7 {
        0 | 4 => "a@x",
        1 => "b@x",
        _ => "c@x",
    }
}

fn append(nth: u64) -> Op {
    let (number, stanza) = (number(10_001), format!("<message id='{nth}'/>").into_bytes());
    Op::Archive(ArchiveOp::Append { number, id: id(nth), with: with(nth).into(), stanza })
}

fn page(query: ArchiveQuery) -> Op {
    Op::Archive(ArchiveOp::Page { number: number(10_001), query: Box::new(query) })
}

/// Everything that says something else of a message that is missing, or in the wrong place.
fn questions(last: u64) -> Vec<Op> {
    let mut all = vec![Op::Archive(ArchiveOp::Ends { number: number(10_001) })];
    for who in [None, Some("a@x"), Some("b@x"), Some("c@x"), Some("nobody@x")] {
        let near = |back: u64| id(last.saturating_sub(back).max(1));
        let tail = TAIL_MAX as u64;
        for paging in [
            ArchivePaging::First,
            ArchivePaging::Last,
            ArchivePaging::Index(3),
            ArchivePaging::Before(near(1)),
            ArchivePaging::Before(near(tail)),
            ArchivePaging::After(near(3)),
            ArchivePaging::After(near(tail + 5)),
        ] {
            for limit in [4, 200] {
                let with = who.map(contact);
                all.push(page(ArchiveQuery { with, page: paging, ..ArchiveQuery::all(limit) }));
            }
        }
    }
    all
}

fn same(sqlite: &mut Sqlite, memory: &mut Memory, op: &Op) {
    let answer = sqlite.run_one(NOW, op.clone());
    assert_eq!(answer, memory.run_one(NOW, op.clone()), "{op:?}");
}

#[test]
fn nobody_can_tell_what_is_filed() {
    let place = Place::new();
    let (mut sqlite, mut memory) = (open(&place), Memory::new(limits()));
    create(&mut sqlite, None).unwrap();
    create(&mut memory, None).unwrap();
    for nth in 1..=2 * ROWS_MAX {
        same(&mut sqlite, &mut memory, &append(nth));
        // Around each filing, and when the oldest begin to go; every other time what is in memory is as after a start.
        let tail = TAIL_MAX as u64;
        if (nth + 2) % tail < 4 || nth.abs_diff(ROWS_MAX) < 2 || nth % 17 == 0 {
            if nth % 2 == 0 {
                drop(sqlite);
                sqlite = open(&place);
                assert_eq!(sqlite.archive_high(), Ok(id(nth)));
            }
            for question in questions(nth) {
                same(&mut sqlite, &mut memory, &question);
            }
        }
    }
}

/// A row for the message and one for the highest id: what a group writes must not grow with the numbers that speak in it.
#[test]
fn a_message_costs_its_row_and_a_filing_now_and_then() {
    let place = Place::new();
    let mut store = open(&place);
    create(&mut store, None).unwrap();
    let rows = |store: &Sqlite| -> u64 {
        store.connection.query_row("SELECT total_changes()", [], |row| row.get(0)).unwrap()
    };
    // The account's own row and its contacts' are there from now on.
    (1..=5).for_each(|nth| drop(store.run_one(NOW, append(nth)).unwrap()));
    let before = rows(&store);
    store.run_one(NOW, append(6)).unwrap();
    assert_eq!(rows(&store) - before, 2);
    let before = rows(&store);
    let mut batch: Vec<_> =
        (7..=5 + TAIL_MAX as u64).map(|nth| Request { token: nth, op: append(nth) }).collect();
    let appended = batch.len() as u64;
    store.run(NOW, &mut batch, &mut Vec::new());
    // A place in a lane for each of the tail, then the archive's end, three contacts' and the highest id.
    assert_eq!(rows(&store) - before, appended + TAIL_MAX as u64 + 1 + 3 + 1);
}

#[test]
fn what_is_taken_back_leaves_no_gap_in_lanes_and_tail() {
    let place = Place::new();
    let (mut sqlite, mut memory) = (open(&place), Memory::new(limits()));
    create(&mut sqlite, None).unwrap();
    create(&mut memory, None).unwrap();
    let last = TAIL_MAX as u64 + 10;
    for nth in 1..=last {
        // One that was filed before the crash, and two that were not: each is ahead of its session's count.
        let behind = [TAIL_MAX as u64 - 4, last - 5, last].contains(&nth);
        let op = match behind {
            true => {
                let origin = Origin { key: nth, number: number(10_002), h: 2, floor: 0, share: WHOLE };
                Op::OnBehalf(Box::new((origin, append(nth))))
            }
            false => append(nth),
        };
        same(&mut sqlite, &mut memory, &op);
    }
    drop(sqlite);
    sqlite = open(&place);
    let until = NOW + std::time::Duration::from_secs(60);
    same(&mut sqlite, &mut memory, &Op::Session(SessionOp::Begin { until }));
    for again in [false, true] {
        if again {
            drop(sqlite);
            sqlite = open(&place);
            assert_eq!(sqlite.archive_high(), Ok(id(last)), "what was once drawn is not drawn again");
        }
        for question in questions(last - 1) {
            same(&mut sqlite, &mut memory, &question);
        }
    }
    for nth in last + 1..last + TAIL_MAX as u64 {
        same(&mut sqlite, &mut memory, &append(nth));
    }
    for question in questions(last + 5) {
        same(&mut sqlite, &mut memory, &question);
    }
}

#[test]
fn an_archive_of_the_version_before_is_read_and_goes_on() {
    let place = Place::new();
    let (mut sqlite, mut memory) = (open(&place), Memory::new(limits()));
    create(&mut sqlite, None).unwrap();
    create(&mut memory, None).unwrap();
    let last = TAIL_MAX as u64 + 7;
    for nth in 1..=last {
        same(&mut sqlite, &mut memory, &append(nth));
    }
    // What that version wrote: everything is filed with the group that appends it.
    sqlite.archives.file(&sqlite.connection, number(10_001)).ok().unwrap();
    sqlite.archives.flush(&sqlite.connection).unwrap();
    sqlite
        .connection
        .execute_batch(
            "ALTER TABLE counters DROP COLUMN archive_high; DELETE FROM migrations WHERE version = 8;",
        )
        .unwrap();
    drop(sqlite);
    let mut sqlite = open(&place);
    assert_eq!(sqlite.archive_high(), Ok(id(last)));
    for nth in last..last + TAIL_MAX as u64 {
        same(&mut sqlite, &mut memory, &append(nth));
    }
    for question in questions(last) {
        same(&mut sqlite, &mut memory, &question);
    }
}
