use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::*;
use crate::contract::{NOW, create, page, push};
use crate::sqlite::Config;
use crate::{Backend, Sqlite};

fn open(path: &Path) -> Sqlite {
    let folder = Arc::new(Folder::open(path).unwrap());
    Sqlite::open(folder, Some("localhost"), NOW, Config::default()).unwrap()
}

fn backup(folder: &Path, to: &Path) -> Result<(), BackupError> {
    Backup::new(folder, to)?.run()
}

/// A folder in which a copy lies under the database's name.
fn folder_of(copy: &Path, folder: &Path) {
    fs::create_dir(folder).unwrap();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
    fs::copy(copy, folder.join(FILE)).unwrap();
}

fn names(folder: &Path) -> Vec<String> {
    let entries =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = entries.collect();
    names.sort();
    names
}

/// What had been acknowledged when a copy began is in it, whole and in order, and nothing of what came half.
#[test]
fn a_copy_made_while_messages_pour_in_is_a_folder_of_that_moment() {
    let outside = tempfile::tempdir().unwrap();
    let (live, stop, acknowledged) = (outside.path().join("live"), AtomicBool::new(false), AtomicU64::new(0));
    let mut store = open(&live);
    create(&mut store, None).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let text = "x".repeat(5_000);
            while !stop.load(Ordering::Acquire) {
                acknowledged.store(push(&mut store, 10_001, &text).unwrap(), Ordering::Release);
            }
        });
        for copy in 0..3 {
            while acknowledged.load(Ordering::Acquire) < 20 * (copy + 1) {
                std::thread::yield_now();
            }
            let (file, folder) =
                (outside.path().join(format!("copy-{copy}")), outside.path().join(format!("folder-{copy}")));
            let before = acknowledged.load(Ordering::Acquire);
            backup(&live, &file).unwrap();
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
            folder_of(&file, &folder);
            let mut restored = open(&folder);
            let op = crate::Op::CountOffline { number: crate::contract::number(10_001) };
            let crate::Answer::OfflineCount { rows, .. } = restored.run_one(NOW, op).unwrap() else {
                panic!("a count is answered by a count")
            };
            assert!(rows >= before, "{rows} of {before}");
            let mut read = 0;
            while read < rows {
                let page = page(&mut restored, 10_001, read, 1_000).rows;
                assert!(!page.is_empty());
                for row in page {
                    read += 1;
                    assert_eq!((row.id.0, row.stanza.len()), (read, 5_000));
                }
            }
            // It goes on from there.
            assert_eq!(push(&mut restored, 10_001, "later"), Ok(rows + 1));
            let wrong: String =
                restored.connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
            assert_eq!(wrong, "ok");
        }
        stop.store(true, Ordering::Release);
    });
}

#[test]
fn a_copy_brings_the_folders_other_files_and_overrules_none() {
    let outside = tempfile::tempdir().unwrap();
    let (live, copy, folder) =
        (outside.path().join("live"), outside.path().join("copy"), outside.path().join("folder"));
    drop(open(&live));
    fs::write(live.join("salt-secret"), [7; 32]).unwrap();
    fs::write(live.join("key.pem"), "secret").unwrap();
    fs::write(live.join("iterations"), "10000\n").unwrap();
    backup(&live, &copy).unwrap();
    folder_of(&copy, &folder);
    fs::write(folder.join("iterations"), "its own").unwrap();
    {
        let locked = Folder::open(&folder).unwrap();
        unpack(&locked).unwrap();
        assert_eq!(fs::read(folder.join("salt-secret")).unwrap(), [7; 32]);
        assert_eq!(fs::read(folder.join("key.pem")).unwrap(), b"secret");
        assert_eq!(fs::metadata(folder.join("key.pem")).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read(folder.join("iterations")).unwrap(), b"its own");
        // A second time there is nothing to bring, so what was taken away since stays away.
        fs::remove_file(folder.join("key.pem")).unwrap();
        unpack(&locked).unwrap();
        assert!(!folder.join("key.pem").exists());
    }
    // The store opens with what it knows, and a folder that is no copy is left alone.
    drop(open(&folder));
    let before = names(&live);
    unpack(&Folder::open(&live).unwrap()).unwrap();
    assert_eq!(names(&live), before);
}

#[test]
fn a_copy_replaces_nothing_and_leaves_nothing_half() {
    let outside = tempfile::tempdir().unwrap();
    let (live, copies) = (outside.path().join("live"), outside.path().join("copies"));
    fs::create_dir(&copies).unwrap();
    let copy = copies.join("copy");
    assert!(matches!(backup(&live, &copy), Err(BackupError::Nothing(_))));
    drop(open(&live));
    fs::write(&copy, "somebody's").unwrap();
    assert!(matches!(backup(&live, &copy), Err(BackupError::InTheWay(_))));
    fs::remove_file(&copy).unwrap();
    // Somebody takes the name while the copy is made.
    let begun = Backup::new(&live, &copy).unwrap();
    fs::write(&copy, "somebody's").unwrap();
    assert!(matches!(begun.run(), Err(BackupError::InTheWay(_))));
    assert_eq!(fs::read(&copy).unwrap(), b"somebody's");
    assert_eq!(names(&copies), ["copy"]);
    assert!(matches!(backup(&live, &copies.join("no folder/copy")), Err(BackupError::Io(..))));

    let foreign = outside.path().join("foreign");
    fs::create_dir(&foreign).unwrap();
    Connection::open(foreign.join(FILE)).unwrap().execute_batch("CREATE TABLE recipes (x)").unwrap();
    assert!(matches!(backup(&foreign, &copies.join("other")), Err(BackupError::NotOurs(_))));
    assert_eq!(names(&copies), ["copy"]);
}

/// Called off in the middle, it leaves nothing behind.
#[test]
fn a_copy_can_be_called_off() {
    let outside = tempfile::tempdir().unwrap();
    let (live, copies) = (outside.path().join("live"), outside.path().join("copies"));
    fs::create_dir(&copies).unwrap();
    let mut store = open(&live);
    create(&mut store, None).unwrap();
    // Long enough to be met in the middle: tens of thousands of steps of SQLite's machine.
    let insert = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)
                  INSERT INTO facts SELECT 'fact ' || i, hex(randomblob(100)) FROM n";
    store.connection.execute(insert, []).unwrap();
    let backup = Backup::new(&live, &copies.join("copy")).unwrap();
    let (stopper, part, done) = (backup.stopper(), backup.part().to_owned(), AtomicBool::new(false));
    let ended = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                if part.exists() {
                    stopper.stop();
                }
                std::thread::yield_now();
            }
        });
        let ended = backup.run();
        done.store(true, Ordering::Release);
        ended
    });
    assert!(matches!(ended, Err(BackupError::Stopped)), "{ended:?}");
    assert_eq!(names(&copies), Vec::<String>::new());
}
