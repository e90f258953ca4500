//! Records of sessions that may be resumed.

use super::*;
use crate::session::WHOLE;
use crate::{
    ArchiveId, ArchiveOp, ArchivePaging, ArchiveQuery, Counts, Left, Origin, SavedSession, SessionOp,
};

every_back_end! {
    a_stanza_and_its_count_are_one_commit
    a_count_never_goes_back
    what_was_saved_is_taken_once
    what_was_left_behind_is_known_for_a_while
    a_deleted_account_has_no_sessions
    a_deletion_that_is_refused_deletes_nothing
    after_a_crash_nothing_is_left_that_no_count_covers
    what_has_been_had_stays_and_is_known_by_its_mark
    what_is_taken_back_leaves_no_gap
    what_a_session_that_is_over_added_stays
    what_a_saved_session_added_stays
}

const KEY: u64 = 0x7fff_0000_0000_0001;

fn ask(store: &mut dyn Backend, op: SessionOp) -> Answer {
    store.run_one(NOW, Op::Session(op)).unwrap()
}

fn handled(store: &mut dyn Backend, of: u64) -> Option<u32> {
    match ask(store, SessionOp::Handled { key: KEY, number: number(of) }) {
        Answer::Handled(left) => left.map(|left| left.h),
        other => panic!("handled? {other:?}"),
    }
}

/// Stanza `h` of session `KEY`, which is the first number's, asks for a message to be kept for another.
fn push(store: &mut dyn Backend, to: u64, h: u32, share: u16) -> Result<Answer, StoreError> {
    push_marked(store, to, h, share, 0)
}

fn push_marked(
    store: &mut dyn Backend,
    to: u64,
    h: u32,
    share: u16,
    mark: u64,
) -> Result<Answer, StoreError> {
    let origin = Origin { key: KEY, number: number(1), h, floor: 0, share, mark };
    let op = Op::PushOffline { number: number(to), stamp: NOW, stanza: b"m".to_vec() };
    store.run_one(NOW, Op::OnBehalf(Box::new((origin, op))))
}

fn a_stanza_and_its_count_are_one_commit(store: &mut dyn Backend) {
    create(store, Some(1)).unwrap();
    create(store, Some(2)).unwrap();
    assert_eq!(handled(store, 1), None);
    assert!(push(store, 2, 1, WHOLE).is_ok());
    assert_eq!(handled(store, 1), Some(1));
    assert_eq!(handled(store, 2), None, "another number's");
    assert_eq!(push(store, 3, 2, WHOLE), Err(StoreError::NoSuchAccount));
    assert_eq!(handled(store, 1), Some(1), "what was refused does not count");
    assert!(push(store, 2, 2, WHOLE / 2).is_ok());
    assert_eq!(handled(store, 1), Some(1), "half of it");
    assert!(push(store, 2, 3, WHOLE).is_ok());
    assert!(push(store, 2, 2, WHOLE / 2).is_ok());
    assert_eq!(handled(store, 1), Some(3));
}

fn a_count_never_goes_back(store: &mut dyn Backend) {
    create(store, Some(1)).unwrap();
    for (h, then) in [(4, 4), (3, 4), (7, 7)] {
        ask(store, SessionOp::Count { key: KEY, number: number(1), h });
        assert_eq!(handled(store, 1), Some(then));
    }
    assert!(push(store, 1, 8, WHOLE).is_ok());
    assert_eq!(handled(store, 1), Some(8));
    ask(store, SessionOp::Forget { key: KEY });
    assert_eq!(handled(store, 1), None);
}

fn saved() -> SavedSession {
    SavedSession {
        key: KEY,
        number: number(1),
        resource: "a \"phone\"".into(),
        until: Wallclock::from_millis(NOW.as_millis() + 1_000),
        max_secs: 300,
        counts: Counts { received: 9, processed: 9, ahead: Vec::new(), recorded: 9, base: 2, confirmed: 4 },
        unacked: vec![
            ("<message><body>gr\u{fc}\u{df}e</body></message>".into(), Some(u64::MAX)),
            (b"<iq/>".to_vec(), None),
        ],
        interested: true,
        priority: -3,
        presence: Some(b"/>"[..].into()),
        says_photo: true,
        directed: vec!["2@x".into()],
        wishes: b"<enable/>".to_vec(),
        about: "tcp".into(),
    }
}

fn what_was_saved_is_taken_once(store: &mut dyn Backend) {
    create(store, Some(1)).unwrap();
    ask(store, SessionOp::Count { key: KEY, number: number(1), h: 5 });
    ask(store, SessionOp::Save(Box::new(saved())));
    let other = SavedSession { key: 5, presence: None, ..saved() };
    ask(store, SessionOp::Save(Box::new(other.clone())));
    assert_eq!(handled(store, 1), Some(7));
    ask(store, SessionOp::Begin { until: Wallclock::from_millis(NOW.as_millis() + 1) });
    assert_eq!(ask(store, SessionOp::Take { limit: 1 }), Answer::Sessions(vec![other]));
    assert_eq!(ask(store, SessionOp::Take { limit: 9 }), Answer::Sessions(vec![saved()]));
    assert_eq!(ask(store, SessionOp::Take { limit: 9 }), Answer::Sessions(Vec::new()));
    // It lives, and counts on.
    assert!(push(store, 1, 8, WHOLE).is_ok());
    assert_eq!(handled(store, 1), Some(8));
}

fn what_was_left_behind_is_known_for_a_while(store: &mut dyn Backend) {
    create(store, Some(1)).unwrap();
    ask(store, SessionOp::Count { key: KEY, number: number(1), h: 5 });
    let later = |secs: u64| Wallclock::from_millis(NOW.as_millis() + secs * 1_000);
    let mut begin = |now, until| {
        store.run_one(now, Op::Session(SessionOp::Begin { until })).unwrap();
        handled(store, 1)
    };
    assert_eq!(begin(later(0), later(10)), Some(5));
    assert_eq!(begin(later(5), later(15)), Some(5), "and no longer for being left behind twice");
    assert_eq!(begin(later(10), later(20)), None);
}

fn a_deleted_account_has_no_sessions(store: &mut dyn Backend) {
    create(store, Some(1)).unwrap();
    assert!(push(store, 1, 1, WHOLE).is_ok());
    store.run_one(NOW, Op::DeleteAccount { number: number(1) }).unwrap();
    assert_eq!(handled(store, 1), None);
}

fn a_deletion_that_is_refused_deletes_nothing(store: &mut dyn Backend) {
    create(store, Some(2)).unwrap();
    // Of a number that nobody has, or has any more.
    push(store, 2, 1, WHOLE).unwrap();
    assert_eq!(store.run_one(NOW, Op::DeleteAccount { number: number(1) }), Err(StoreError::NoSuchAccount));
    assert_eq!(handled(store, 1), Some(1));
}

const LATER: Wallclock = Wallclock::from_millis(NOW.as_millis() + 60_000);

/// An exchange starts; whether the last one died, only the store knows.
fn begin(store: &mut dyn Backend) {
    ask(store, SessionOp::Begin { until: LATER });
}

/// A share of stanza `h` asks for a message to be kept in an archive; its text is its id's.
fn archive(store: &mut dyn Backend, of: u64, id: u64, with: &str, h: u32, share: u16) {
    let origin = Origin { key: KEY, number: number(1), h, floor: 0, share, mark: 1000 + u64::from(h) };
    let (id, stanza) = (archive_id(id), format!("m{id}").into_bytes());
    let op = Op::Archive(ArchiveOp::Append { number: number(of), id, with: with.into(), stanza });
    assert_eq!(store.run_one(NOW, Op::OnBehalf(Box::new((origin, op)))), Ok(Answer::Done));
}

fn archive_id(id: u64) -> ArchiveId {
    ArchiveId(ArchiveId::first_at(NOW).0 + id)
}

/// What is in an archive, with somebody or with anybody.
fn archived(store: &mut dyn Backend, of: u64, with: Option<&str>) -> Vec<String> {
    let query = ArchiveQuery {
        with: with.map(contact),
        full: None,
        start: None,
        end: None,
        after: None,
        before: None,
        page: ArchivePaging::First,
        limit: 50,
    };
    let op = Op::Archive(ArchiveOp::Page { number: number(of), query: Box::new(query) });
    match store.run_one(NOW, op).unwrap() {
        Answer::Archive(page) => {
            assert_eq!(page.count, Some(page.rows.len() as u64));
            page.rows.into_iter().map(|row| String::from_utf8(row.stanza).unwrap()).collect()
        }
        other => panic!("a page? {other:?}"),
    }
}

fn after_a_crash_nothing_is_left_that_no_count_covers(store: &mut dyn Backend) {
    for of in 1..=3 {
        create(store, Some(of)).unwrap();
    }
    // The second stanza is in all its places, and the first is not; the third is in one of two.
    push(store, 2, 2, WHOLE / 2).unwrap();
    archive(store, 1, 20, "2@x", 2, WHOLE / 2);
    archive(store, 1, 30, "3@x", 3, WHOLE / 2);
    assert_eq!((handled(store, 1), count(store, 2)), (Some(0), (1, 1)));
    begin(store);
    assert_eq!((handled(store, 1), count(store, 2)), (Some(0), (0, 0)));
    assert_eq!(archived(store, 1, None), [""; 0]);
    // Its client sends them again, in another session; in this one they would count from the first on.
    archive(store, 1, 31, "3@x", 3, WHOLE / 2);
    push(store, 2, 2, WHOLE).unwrap();
    push(store, 2, 1, WHOLE).unwrap();
    assert_eq!(handled(store, 1), Some(2), "what was taken back counts no more");
    begin(store);
    assert_eq!((count(store, 2), archived(store, 1, None).len()), ((2, 2), 0), "what is covered stays");
    begin(store);
    assert_eq!(count(store, 2), (2, 2));
}

/// The marks that are known of session `KEY`.
fn had(store: &mut dyn Backend) -> Vec<u64> {
    match ask(store, SessionOp::Handled { key: KEY, number: number(1) }) {
        Answer::Handled(left) => left.map(|left| left.had).unwrap_or_default(),
        other => panic!("handled? {other:?}"),
    }
}

fn what_has_been_had_stays_and_is_known_by_its_mark(store: &mut dyn Backend) {
    for of in 1..=2 {
        create(store, Some(of)).unwrap();
    }
    // All of these are ahead of the count. 2 is in all its places and has been fetched; so is 3, but by no mark; 4 waits still; half of 5
    // is done; 6 was in nobody's queue.
    let fetched = |store: &mut dyn Backend, h, share, mark| {
        let Ok(Answer::Pushed(id)) = push_marked(store, 2, h, share, mark) else { panic!("refused") };
        let op = Op::DeleteOffline { number: number(2), first: id, last: id };
        store.run_one(NOW, op).unwrap();
    };
    fetched(store, 2, WHOLE / 2, 1002);
    archive(store, 2, 20, "1@x", 2, WHOLE / 2);
    fetched(store, 3, WHOLE, 0);
    push_marked(store, 2, 4, WHOLE / 2, 1004).unwrap();
    archive(store, 2, 40, "1@x", 4, WHOLE / 2);
    fetched(store, 5, WHOLE / 4, 1005);
    archive(store, 2, 50, "1@x", 5, WHOLE / 4);
    archive(store, 1, 60, "2@x", 6, WHOLE);
    assert_eq!(had(store), [0; 0], "its exchange lives");
    begin(store);
    assert_eq!((handled(store, 1), had(store)), (Some(0), vec![1002]));
    assert_eq!((count(store, 2), archived(store, 2, None)), ((0, 0), vec!["m20".to_owned()]));
    assert_eq!(archived(store, 1, None), [""; 0]);
    // It comes again, in another session, ahead of that one's count too.
    let other = 77;
    let again = |key, h, first| {
        let origin = Origin { key, number: number(1), h, floor: 0, share: WHOLE, mark: 1002 };
        Op::OnBehalf(Box::new((origin, Op::Session(SessionOp::CameAgain { key: first, mark: 1002 }))))
    };
    store.run_one(NOW, again(other, 2, KEY)).unwrap();
    assert_eq!(had(store), [0; 0]);
    begin(store);
    let of_other = Op::Session(SessionOp::Handled { key: other, number: number(1) });
    let left = Left { h: 0, had: vec![1002] };
    assert_eq!(store.run_one(NOW, of_other.clone()), Ok(Answer::Handled(Some(left))));
    // And once more, counted at last.
    store.run_one(NOW, again(78, 1, other)).unwrap();
    begin(store);
    let left = Left { h: 0, had: Vec::new() };
    assert_eq!(store.run_one(NOW, of_other), Ok(Answer::Handled(Some(left))));
    assert_eq!(archived(store, 2, None), ["m20"]);
    // With its session, what is known of it goes.
    fetched(store, 2, WHOLE, 1002);
    begin(store);
    assert_eq!(had(store), [1002]);
    ask(store, SessionOp::Forget { key: KEY });
    assert_eq!(had(store), [0; 0]);
}

fn what_is_taken_back_leaves_no_gap(store: &mut dyn Backend) {
    create(store, Some(1)).unwrap();
    // Of nine messages with three people, the third, the fourth and the last are not covered.
    let people = ["a@x", "b@x", "b@x", "c@x", "a@x", "b@x", "c@x", "b@x", "a@x"];
    for (id, with) in (1..).zip(people) {
        match id {
            3 | 4 | 9 => archive(store, 1, id, with, 100 + id as u32, WHOLE),
            _ => {
                let (id, stanza) = (archive_id(id), format!("m{id}").into_bytes());
                let op = ArchiveOp::Append { number: number(1), id, with: with.into(), stanza };
                store.run_one(NOW, Op::Archive(op)).unwrap();
            }
        }
    }
    begin(store);
    assert_eq!(archived(store, 1, None), ["m1", "m2", "m5", "m6", "m7", "m8"]);
    assert_eq!(archived(store, 1, Some("a@x")), ["m1", "m5"]);
    assert_eq!(archived(store, 1, Some("b@x")), ["m2", "m6", "m8"]);
    assert_eq!(archived(store, 1, Some("c@x")), ["m7"]);
    let ends = store.run_one(NOW, Op::Archive(ArchiveOp::Ends { number: number(1) }));
    assert_eq!(ends, Ok(Answer::ArchiveEnds(Some((archive_id(1), archive_id(8))))));
    archive(store, 1, 10, "c@x", 1, WHOLE);
    assert_eq!(archived(store, 1, Some("c@x")), ["m7", "m10"]);
}

fn what_a_session_that_is_over_added_stays(store: &mut dyn Backend) {
    create(store, Some(1)).unwrap();
    create(store, Some(2)).unwrap();
    push(store, 2, 2, WHOLE).unwrap();
    ask(store, SessionOp::Forget { key: KEY });
    // This was on its way between two loops when its client said good-bye.
    push(store, 2, 1, WHOLE / 2).unwrap();
    assert_eq!(handled(store, 1), None);
    ask(store, SessionOp::Count { key: KEY, number: number(1), h: 3 });
    assert_eq!(handled(store, 1), None, "nor does that begin it anew");
    begin(store);
    assert_eq!(count(store, 2), (2, 2));
}

fn what_a_saved_session_added_stays(store: &mut dyn Backend) {
    create(store, Some(1)).unwrap();
    push(store, 1, 9, WHOLE).unwrap();
    ask(
        store,
        SessionOp::Save(Box::new(SavedSession {
            counts: Counts { processed: 9, ..saved().counts },
            ..saved()
        })),
    );
    begin(store);
    assert_eq!(count(store, 1), (1, 1));
}
