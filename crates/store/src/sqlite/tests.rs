use super::*;
use crate::contract::{LIMITS, NOW, create, number, page, push};
use crate::session::WHOLE;
use crate::{ArchiveId, ArchiveOp, OfflineId, Origin};

/// A data folder for one test.
pub(crate) struct Place {
    outside: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let outside = tempfile::tempdir().unwrap();
        std::fs::set_permissions(outside.path(), std::os::unix::fs::PermissionsExt::from_mode(0o700))
            .unwrap();
        Self { outside }
    }

    pub(crate) fn path(&self) -> &Path {
        self.outside.path()
    }

    fn folder(&self) -> Arc<Folder> {
        Arc::new(Folder::open(self.outside.path()).unwrap())
    }

    fn database(&self) -> PathBuf {
        self.outside.path().join(FILE)
    }

    pub(crate) fn open(&self) -> Sqlite {
        self.open_for(None).unwrap()
    }

    fn open_for(&self, domain: Option<&str>) -> Result<Sqlite, OpenError> {
        Sqlite::open(
            self.folder(),
            domain,
            NOW,
            Config { limits: LIMITS, reserve_bytes: 4096, ..Config::default() },
        )
    }
}

fn batch(ops: impl IntoIterator<Item = Op>) -> Vec<Request> {
    (0..).zip(ops).map(|(token, op)| Request { token, op }).collect()
}

fn run(store: &mut Sqlite, ops: impl IntoIterator<Item = Op>) -> Vec<Result<Answer, StoreError>> {
    let mut replies = Vec::new();
    store.run(NOW, &mut batch(ops), &mut replies);
    replies.into_iter().map(|reply| reply.answer).collect()
}

fn push_op(to: u64, bytes: usize) -> Op {
    Op::PushOffline { number: number(to), stamp: NOW, stanza: vec![b'x'; bytes] }
}

/// What SQLite promises of a power cut, which no test can make, depends on these two (`synchronous` 2 is FULL).
#[test]
fn a_commit_is_synced() {
    let place = Place::new();
    let store = place.open();
    let pragma =
        |name| store.connection.pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0));
    assert_eq!(pragma("journal_mode"), Ok(rusqlite::types::Value::Text("wal".into())));
    assert_eq!(pragma("synchronous"), Ok(rusqlite::types::Value::Integer(2)));
}

#[test]
fn what_was_answered_is_there_after_reopening() {
    let place = Place::new();
    let mut store = place.open();
    create(&mut store, None).unwrap();
    push(&mut store, 10_001, "m").unwrap();
    drop(store);
    let mut store = place.open();
    assert_eq!(page(&mut store, 10_001, 0, 9).rows[0].stanza, b"m");
    assert_eq!(push(&mut store, 10_001, "n"), Ok(2));
    assert_eq!(create(&mut store, None), Ok(10_002));
}

#[test]
fn a_folder_remembers_its_first_domain() {
    let place = Place::new();
    assert_eq!(place.open().domain(), Ok(None));
    place.open_for(Some("example.org")).unwrap();
    let refused = place.open_for(Some("example.net")).unwrap_err();
    assert!(matches!(&refused, OpenError::OtherDomain { remembered, .. } if remembered == "example.org"));
    assert_eq!(place.open_for(Some("example.org")).unwrap().domain(), Ok(Some("example.org".to_owned())));
    assert_eq!(place.open().domain(), Ok(Some("example.org".to_owned())));
}

#[test]
fn an_open_store_holds_its_folder() {
    let place = Place::new();
    let store = place.open();
    assert!(Folder::open(place.outside.path()).is_err());
    drop(store);
    assert!(Folder::open(place.outside.path()).is_ok());
}

#[test]
fn a_newer_folder_is_refused_and_not_touched() {
    let place = Place::new();
    drop(place.open());
    let newer = Connection::open(place.database()).unwrap();
    newer.execute("INSERT INTO migrations VALUES (4711, 0)", []).unwrap();
    drop(newer);
    let before = std::fs::read(place.database()).unwrap();
    let refused = place.open_for(None).unwrap_err();
    assert!(matches!(refused, OpenError::Newer { found: 4711, .. }));
    assert!(refused.to_string().contains("newer"), "{refused}");
    assert!(std::fs::read(place.database()).unwrap() == before);
}

#[test]
fn another_programs_database_is_refused_and_not_touched() {
    let place = Place::new();
    let other = Connection::open(place.database()).unwrap();
    other.execute_batch("CREATE TABLE recipes (x)").unwrap();
    drop(other);
    let before = std::fs::read(place.database()).unwrap();
    assert!(matches!(place.open_for(None), Err(OpenError::Foreign { .. })));
    assert!(std::fs::read(place.database()).unwrap() == before);
}

#[test]
fn a_file_that_is_no_database_is_an_error_that_names_it() {
    let place = Place::new();
    std::fs::write(place.database(), vec![b'?'; 8192]).unwrap();
    let refused = place.open_for(None).unwrap_err();
    assert!(refused.to_string().contains(FILE), "{refused}");
}

#[test]
fn a_full_disk_refuses_what_is_new_and_keeps_what_is_old() {
    let config = Config { bytes_max: Some(200 * 1024), ..Config::default() };
    let mut store = Sqlite::in_memory(NOW, config).unwrap();
    create(&mut store, None).unwrap();
    let mut kept = 0;
    let full = loop {
        match run(&mut store, [push_op(10_001, 3000)]).remove(0) {
            Ok(_) => kept += 1,
            Err(why) => break why,
        }
        assert!(kept < 1000, "the disk never fills");
    };
    assert_eq!(full, StoreError::Full);
    assert!(kept > 10);

    // In one group each request is judged for itself, and the freed place is there for who comes behind.
    let all = Op::DeleteOffline { number: number(10_001), first: OfflineId(1), last: OfflineId(u64::MAX) };
    let counted = Op::CountOffline { number: number(10_001) };
    let answers =
        run(&mut store, [push_op(10_001, 9000), counted.clone(), all, push_op(10_001, 9000), counted]);
    assert_eq!(answers[0], Err(StoreError::Full));
    assert_eq!(answers[1], Ok(Answer::OfflineCount { rows: kept, bytes: 3000 * kept }));
    assert_eq!(answers[2], Ok(Answer::Done));
    assert_eq!(answers[3], Ok(Answer::Pushed(OfflineId(kept + 1))));
    assert_eq!(answers[4], Ok(Answer::OfflineCount { rows: 1, bytes: 9000 }));
}

#[test]
fn a_group_that_fails_leaves_no_trace() {
    let config = Config { bytes_max: Some(200 * 1024), ..Config::default() };
    let mut store = Sqlite::in_memory(NOW, config).unwrap();
    create(&mut store, None).unwrap();
    let answers = run(&mut store, [push_op(10_001, 10), push_op(10_001, 1 << 20), push_op(10_001, 10)]);
    assert_eq!(
        answers,
        [Ok(Answer::Pushed(OfflineId(1))), Err(StoreError::Full), Ok(Answer::Pushed(OfflineId(2)))]
    );
}

#[test]
fn after_a_failed_sync_nothing_is_promised() {
    let mut store = Sqlite::in_memory(NOW, Config::default()).unwrap();
    create(&mut store, None).unwrap();
    store.broken = Some("disk I/O error".into());
    let answers = run(&mut store, [push_op(10_001, 10), Op::CountOffline { number: number(10_001) }]);
    assert!(answers.iter().all(|answer| matches!(answer, Err(StoreError::Failed(_)))), "{answers:?}");
    assert_eq!(answers.len(), 2);
}

#[test]
fn only_a_failed_sync_is_a_lost_one() {
    let failure = |code| rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
    for (code, lost, called) in [
        (ffi::SQLITE_IOERR_FSYNC, true, None),
        (ffi::SQLITE_IOERR_DIR_FSYNC, true, None),
        (ffi::SQLITE_IOERR_WRITE, false, None),
        (ffi::SQLITE_FULL, false, Some(StoreError::Full)),
        (ffi::SQLITE_IOERR_SHMSIZE, false, Some(StoreError::Full)),
    ] {
        assert_eq!(is_lost_sync(&failure(code)), lost, "{code}");
        match called {
            Some(called) => assert_eq!(refusal(&failure(code)), called),
            None => assert!(matches!(refusal(&failure(code)), StoreError::Failed(_)), "{code}"),
        }
    }
}

#[test]
fn a_stanza_that_counts_at_once_costs_the_count_and_no_more() {
    let place = Place::new();
    let mut store = place.open();
    create(&mut store, None).unwrap();
    let rows = |store: &Sqlite| -> u64 {
        store.connection.query_row("SELECT total_changes()", [], |row| row.get(0)).unwrap()
    };
    // A message has a row in the archive of either side, and waits for whoever confirms it.
    let message = |nth: u64| {
        let append = |id| {
            let id = ArchiveId(ArchiveId::first_at(NOW).0 + id);
            Op::Archive(ArchiveOp::Append {
                number: number(10_001),
                id,
                with: "a@x".into(),
                stanza: b"m".to_vec(),
            })
        };
        [append(2 * nth), append(2 * nth + 1), push_op(10_001, 1)]
    };
    let on_behalf = |h: u32, ops: [Op; 3]| {
        let shares = [WHOLE / 2, WHOLE / 4, WHOLE / 4];
        shares.into_iter().zip(ops).map(move |(share, op)| {
            Op::OnBehalf(Box::new((
                Origin { key: 1, number: number(10_001), h, floor: 0, share, mark: 0 },
                op,
            )))
        })
    };
    // What there is one of for each account and each session is there from now on.
    run(&mut store, on_behalf(1, message(1)));
    let before = rows(&store);
    run(&mut store, message(2));
    let alone = rows(&store) - before;
    let before = rows(&store);
    run(&mut store, on_behalf(2, message(3)));
    assert_eq!(rows(&store) - before, alone + 1, "one row of `sessions`, and none of `uncovered`");
    let before = rows(&store);
    run(&mut store, on_behalf(4, message(4)));
    assert_eq!(rows(&store) - before, alone + 3, "ahead of the count, each of its rows is listed");
}
