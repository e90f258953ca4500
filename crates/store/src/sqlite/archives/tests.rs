//! What is filed and what is not: nobody can tell by what the archive answers.

use rusqlite::StatementStatus;

use super::lane::READ_PACK;
use super::*;
use crate::contract::{LIMITS, NOW, contact, create, number};
use crate::session::WHOLE;
use crate::sqlite::archive_pages::READ_ROW;
use crate::sqlite::tests::Place;
use crate::sqlite::{Config, migrate, schema};
use crate::{ArchivePaging, ArchiveQuery, Backend, Folder, Memory, Op, Origin, Request, SessionOp, Sqlite};

/// More than two tails, so that there is always something in the tables, in a tail, and beyond the bound.
const ROWS_MAX: u64 = 2 * PACK_MAX as u64 + 10;

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
        let tail = PACK_MAX as u64;
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
        let tail = PACK_MAX as u64;
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
        (7..=PACK_MAX as u64).map(|nth| Request { token: nth, op: append(nth) }).collect();
    let appended = batch.len() as u64;
    store.run(NOW, &mut batch, &mut Vec::new());
    // The whole archive's lane and three contacts', each with a pack and its end; and the highest id.
    assert_eq!(rows(&store) - before, appended + 4 * 2 + 1);
}

/// What a page costs by what SQLite counted: its own rows, and packs by halving; each found by its key.
#[test]
fn a_page_costs_some_halvings_and_its_rows_however_long_the_archive_is() {
    const PAGE: u64 = 50;
    let place = Place::new();
    let folder = std::sync::Arc::new(Folder::open(place.path()).unwrap());
    let config = Config { limits: Limits { archive_rows_max: 100_000, ..limits() }, ..Config::default() };
    let mut store = Sqlite::open(folder, None, NOW, config).unwrap();
    create(&mut store, None).unwrap();
    let mut written = 0;
    for rows in [500, 3_000, 20_000_u64] {
        while written < rows {
            let most = rows.min(written + 1_000);
            let mut batch: Vec<_> =
                (written + 1..=most).map(|nth| Request { token: nth, op: append(nth) }).collect();
            let mut replies = Vec::new();
            store.run(NOW, &mut batch, &mut replies);
            assert!(replies.iter().all(|reply| reply.answer.is_ok()));
            written = most;
        }
        let all = ArchiveQuery::all(PAGE as u32);
        let paged = |page| ArchiveQuery { page, ..all.clone() };
        let with = |query| ArchiveQuery { with: Some(contact("a@x")), ..query };
        let middle = id(rows / 2);
        let questions = [
            paged(ArchivePaging::First),
            paged(ArchivePaging::Last),
            paged(ArchivePaging::After(middle)),
            paged(ArchivePaging::Before(middle)),
            paged(ArchivePaging::Index(rows / 3)),
            ArchiveQuery { start: Some(middle.received()), ..all.clone() },
            with(all.clone()),
            with(ArchiveQuery { before: Some(middle), ..paged(ArchivePaging::Last) }),
        ];
        for query in questions {
            let counted = |store: &Sqlite, sql, status| {
                u64::try_from(store.connection.prepare_cached(sql).unwrap().get_status(status)).unwrap()
            };
            let both = |store: &Sqlite, sql| {
                [StatementStatus::Run, StatementStatus::VmStep].map(|status| counted(store, sql, status))
            };
            let before = [READ_ROW, READ_PACK].map(|sql| both(&store, sql));
            let Ok(Answer::Archive(answer)) = store.run_one(NOW, page(query.clone())) else {
                panic!("{query:?}");
            };
            let after = [READ_ROW, READ_PACK].map(|sql| both(&store, sql));
            let [[row_runs, row_steps], [pack_runs, pack_steps]] =
                [0, 1].map(|sql| [0, 1].map(|what| after[sql][what] - before[sql][what]));
            assert_eq!(row_runs, answer.rows.len() as u64, "{query:?}");
            assert_eq!(row_runs, PAGE, "{query:?}");
            // An id is looked for at most four times: where the page begins and ends, and whether what it is after is there.
            let halvings = u64::from((rows / PACK_MAX as u64 + 1).ilog2()) + 2;
            assert!(pack_runs <= 4 * halvings + 2, "{pack_runs} packs of {rows} rows: {query:?}");
            assert!(row_steps <= 12 * row_runs, "{row_steps} steps for {row_runs} rows: {query:?}");
            assert!(pack_steps <= 30 * pack_runs, "{pack_steps} steps for {pack_runs} packs: {query:?}");
        }
    }
}

#[test]
fn what_is_taken_back_leaves_no_gap_in_lanes_and_tail() {
    let place = Place::new();
    let (mut sqlite, mut memory) = (open(&place), Memory::new(limits()));
    create(&mut sqlite, None).unwrap();
    create(&mut memory, None).unwrap();
    let last = PACK_MAX as u64 + 10;
    for nth in 1..=last {
        // One that was filed before the crash, and two that were not: each is ahead of its session's count.
        let behind = [PACK_MAX as u64 - 4, last - 5, last].contains(&nth);
        let op = match behind {
            true => {
                let origin =
                    Origin { key: nth, number: number(10_002), h: 2, floor: 0, share: WHOLE, mark: 0 };
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
    for nth in last + 1..last + PACK_MAX as u64 {
        same(&mut sqlite, &mut memory, &append(nth));
    }
    for question in questions(last + 5) {
        same(&mut sqlite, &mut memory, &question);
    }
}

/// What a group did that fails is gone from memory too, whatever it was.
#[test]
fn a_group_that_fails_has_filed_nothing() {
    let place = Place::new();
    let (mut sqlite, mut memory) = (open(&place), Memory::new(limits()));
    for store in [&mut sqlite as &mut dyn Backend, &mut memory] {
        create(store, None).unwrap();
        create(store, None).unwrap();
    }
    let other = |nth| match append(nth) {
        Op::Archive(ArchiveOp::Append { id, with, stanza, .. }) => {
            Op::Archive(ArchiveOp::Append { number: number(10_002), id, with, stanza })
        }
        op => op,
    };
    let last = PACK_MAX as u64 - 5;
    for nth in 1..=last {
        same(&mut sqlite, &mut memory, &append(nth));
    }
    // Enough to be filed, an archive that was not there, and one that goes; all of it in vain.
    let failed = sqlite.together(NOW, |ask| {
        for nth in last + 1..last + 20 {
            ask(append(nth))?;
            ask(other(nth))?;
        }
        ask(page(ArchiveQuery { with: Some(contact("b@x")), ..ArchiveQuery::all(4) }))?;
        ask(Op::DeleteAccount { number: number(10_001) })?;
        Err::<(), _>(StoreError::NoSuchItem)
    });
    assert_eq!(failed, Err(StoreError::NoSuchItem));
    assert!(sqlite.archives.known.contains_key(&10_001), "nothing is read anew");
    for nth in last + 1..last + 2 * PACK_MAX as u64 {
        same(&mut sqlite, &mut memory, &append(nth));
        same(&mut sqlite, &mut memory, &other(nth));
        if nth == last + 1 || nth % 100 == 0 {
            questions(nth).iter().for_each(|question| same(&mut sqlite, &mut memory, question));
        }
    }
    drop(sqlite);
    let mut sqlite = open(&place);
    questions(last).iter().for_each(|question| same(&mut sqlite, &mut memory, question));
}

/// However long somebody is silent, what is not filed is found in the last rows.
#[test]
fn what_lies_far_back_in_the_log_is_filed() {
    let (mut sqlite, mut memory) = (
        Sqlite::in_memory(NOW, Config { limits: limits(), ..Config::default() }).unwrap(),
        Memory::new(limits()),
    );
    for store in [&mut sqlite as &mut dyn Backend, &mut memory] {
        create(store, None).unwrap();
        create(store, None).unwrap();
    }
    (1..=3).for_each(|nth| same(&mut sqlite, &mut memory, &append(nth)));
    let others =
        |nth| ArchiveOp::Append { number: number(10_002), id: id(nth), with: "a@x".into(), stanza: vec![] };
    let mut batch = Vec::new();
    // The first of the three is the oldest that a start would find.
    for nth in 1..=WINDOW as u64 - 3 {
        batch.push(Request { token: nth, op: Op::Archive(others(nth)) });
    }
    sqlite.run(NOW, &mut batch, &mut Vec::new());
    let unfiled = |sqlite: &Sqlite| sqlite.archives.known[&10_001].tail.len();
    assert_eq!(unfiled(&sqlite), 3);
    sqlite.run_one(NOW, Op::Archive(others(WINDOW as u64))).unwrap();
    assert_eq!(unfiled(&sqlite), 0);
    // As after a start.
    sqlite.archives = Archives::default();
    for nth in 4..9 {
        same(&mut sqlite, &mut memory, &append(nth));
        questions(nth).iter().for_each(|question| same(&mut sqlite, &mut memory, question));
    }
}

/// What version 8 of the tables held, written as that version wrote it: 300 messages with three contacts, of which the last 20
/// were not filed, and the first ten had left.
#[test]
fn an_archive_of_the_version_before_is_read_and_goes_on() {
    const LAST: u64 = 300;
    let limits = Limits { archive_rows_max: 1000, ..limits() };
    let place = Place::new();
    let mut memory = Memory::new(limits);
    create(&mut memory, None).unwrap();
    let mut db = Connection::open(place.path().join(crate::sqlite::FILE)).unwrap();
    migrate::migrate_with(&mut db, NOW, &schema::MIGRATIONS[..8]).ok().unwrap();
    db.execute_batch(
        "INSERT INTO accounts (number, state, created) VALUES (10001, 0, 0);
         INSERT INTO rosters VALUES (10001, 0, 0);
         INSERT INTO mailboxes VALUES (10001, 5, 0, 0, 0);
         INSERT INTO archive_contacts VALUES (3, 10001, 'a@x', 1, 0), (4, 10001, 'b@x', 1, 0), (9, 10001, 'c@x', 1, 0);",
    )
    .unwrap();
    for nth in 11..=LAST {
        let contact = match with(nth) {
            "a@x" => 3,
            "b@x" => 4,
            _ => 9,
        };
        let stanza = format!("<message id='{nth}'/>").into_bytes();
        db.execute(
            "INSERT INTO archive VALUES (?1, ?2, ?3, ?4)",
            (5_i64 << 35 | nth as i64, id(nth).0, contact, stanza),
        )
        .unwrap();
        if nth <= LAST - 20 {
            db.execute("UPDATE archive_contacts SET last = last + 1 WHERE id = ?1", [contact]).unwrap();
            db.execute(
                "INSERT INTO archive_with SELECT id << 35 | last, ?2 FROM archive_contacts WHERE id = ?1",
                (contact, nth),
            )
            .unwrap();
        }
    }
    db.execute(
        "INSERT INTO archives VALUES (10001, 5, 11, ?1, ?2, ?3)",
        (LAST - 20, id(11).0, id(LAST - 20).0),
    )
    .unwrap();
    db.execute("UPDATE counters SET archive_high = ?1, first_free = 10002, next_slot = 6", [id(LAST).0])
        .unwrap();
    // And of an account that is gone.
    db.execute("INSERT INTO archive VALUES (?1, 7, 77, x'00')", [4_i64 << 35 | 1]).unwrap();
    db.execute("INSERT INTO archive_gone VALUES (0, ?1, ?2)", (4_i64 << 35, (4_i64 << 35) + 9)).unwrap();
    drop(db);
    (11..=LAST).for_each(|nth| drop(memory.run_one(NOW, append(nth)).unwrap()));

    let folder = std::sync::Arc::new(Folder::open(place.path()).unwrap());
    let config = Config { limits, reserve_bytes: 4096, ..Config::default() };
    let mut sqlite = Sqlite::open(folder, None, NOW, config).unwrap();
    assert_eq!(sqlite.archive_high(), Ok(id(LAST)));
    for nth in LAST..=LAST + 5 {
        same(&mut sqlite, &mut memory, &append(nth));
        questions(nth).iter().for_each(|question| same(&mut sqlite, &mut memory, question));
    }
    let rows: u64 =
        sqlite.connection.query_row("SELECT count(*) FROM archive_log", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, LAST - 10 + 5, "of whoever is gone nothing came along");
}
