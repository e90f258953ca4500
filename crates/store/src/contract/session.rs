//! Records of sessions that may be resumed.

use super::*;
use crate::session::WHOLE;
use crate::{Counts, Origin, SavedSession, SessionOp};

every_back_end! {
    a_stanza_and_its_count_are_one_commit
    a_count_never_goes_back
    what_was_saved_is_taken_once
    what_was_left_behind_is_known_for_a_while
    a_deleted_account_has_no_sessions
}

const KEY: u64 = 0x7fff_0000_0000_0001;

fn ask(store: &mut dyn Backend, op: SessionOp) -> Answer {
    store.run_one(NOW, Op::Session(op)).unwrap()
}

fn handled(store: &mut dyn Backend, of: u64) -> Option<u32> {
    match ask(store, SessionOp::Handled { key: KEY, number: number(of) }) {
        Answer::Handled(h) => h,
        other => panic!("handled? {other:?}"),
    }
}

/// Stanza `h` of session `KEY`, which is the first number's, asks for a message to be kept for another.
fn push(store: &mut dyn Backend, to: u64, h: u32, share: u16) -> Result<Answer, StoreError> {
    let origin = Origin { key: KEY, number: number(1), h, floor: 0, share };
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
