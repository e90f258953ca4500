//! What every back end must do with documents.

use super::*;
use crate::{DocumentOp, Quota, Space};

every_back_end! {
    a_document_comes_back_as_it_was_put
    a_space_holds_so_many_documents_and_bytes
    a_space_names_its_documents
    a_deleted_account_has_no_documents
}

fn put(store: &mut dyn Backend, of: u64, space: Space, name: &str, value: &str) -> Result<(), StoreError> {
    let quota = Quota { documents_max: 2, bytes_max: 10 };
    let op = DocumentOp::Put { number: number(of), space, name: name.into(), value: value.into(), quota };
    store.run_one(NOW, Op::Document(op)).map(|answer| assert_eq!(answer, Answer::Done))
}

fn load(store: &mut dyn Backend, of: u64, space: Space, name: &str) -> Option<String> {
    let op = DocumentOp::Load { number: number(of), space, name: name.into() };
    match store.run_one(NOW, Op::Document(op)).unwrap() {
        Answer::Document(found) => found.map(|value| String::from_utf8(value).unwrap()),
        other => panic!("a document? {other:?}"),
    }
}

fn a_document_comes_back_as_it_was_put(store: &mut dyn Backend) {
    create(store, None).unwrap();
    assert_eq!(load(store, 10_001, Space::Private, "a"), None);
    put(store, 10_001, Space::Private, "a", "one").unwrap();
    put(store, 10_001, Space::VCard, "a", "card").unwrap();
    assert_eq!(load(store, 10_001, Space::Private, "a").as_deref(), Some("one"));
    put(store, 10_001, Space::Private, "a", "two").unwrap();
    assert_eq!(load(store, 10_001, Space::Private, "a").as_deref(), Some("two"));
    assert_eq!(load(store, 10_001, Space::VCard, "a").as_deref(), Some("card"));
    let remove = DocumentOp::Remove { number: number(10_001), space: Space::Private, name: "a".into() };
    for _ in 0..2 {
        assert_eq!(store.run_one(NOW, Op::Document(remove.clone())), Ok(Answer::Done));
    }
    assert_eq!(load(store, 10_001, Space::Private, "a"), None);
    assert_eq!(put(store, 10_002, Space::Private, "a", "x"), Err(StoreError::NoSuchAccount));
}

fn a_space_holds_so_many_documents_and_bytes(store: &mut dyn Backend) {
    create(store, None).unwrap();
    put(store, 10_001, Space::Private, "a", "12345").unwrap();
    assert_eq!(put(store, 10_001, Space::Private, "b", "123456"), Err(StoreError::QuotaExceeded));
    put(store, 10_001, Space::Private, "b", "12345").unwrap();
    assert_eq!(put(store, 10_001, Space::Private, "c", ""), Err(StoreError::QuotaExceeded));
    // One that is there may change within the bound, and another space has its own.
    put(store, 10_001, Space::Private, "b", "1").unwrap();
    put(store, 10_001, Space::VCard, "a", "1234567890").unwrap();
    assert_eq!(load(store, 10_001, Space::Private, "b").as_deref(), Some("1"));
}

fn a_space_names_its_documents(store: &mut dyn Backend) {
    let names = |store: &mut dyn Backend, space| {
        let op = DocumentOp::Names { number: number(10_001), space };
        match store.run_one(NOW, Op::Document(op)).unwrap() {
            Answer::DocumentNames(names) => names.iter().map(ToString::to_string).collect::<Vec<_>>(),
            other => panic!("names? {other:?}"),
        }
    };
    assert_eq!(names(store, Space::Private), [""; 0]);
    create(store, None).unwrap();
    put(store, 10_001, Space::Private, "{b}a", "one").unwrap();
    put(store, 10_001, Space::Private, "{a}b", "two").unwrap();
    put(store, 10_001, Space::VCard, "", "card").unwrap();
    assert_eq!(names(store, Space::Private), ["{a}b", "{b}a"]);
    assert_eq!(names(store, Space::VCard), [""]);
}

fn a_deleted_account_has_no_documents(store: &mut dyn Backend) {
    create(store, None).unwrap();
    put(store, 10_001, Space::Private, "a", "one").unwrap();
    store.run_one(NOW, Op::DeleteAccount { number: number(10_001) }).unwrap();
    assert_eq!(load(store, 10_001, Space::Private, "a"), None);
}
