//! What every back end must do with nodes and items.

use super::*;
use crate::PepOp;
use crate::pep::Item;

every_back_end! {
    items_come_back_oldest_first_and_an_id_names_one
    a_node_holds_so_many_items_and_an_account_so_many_nodes_and_bytes
    what_is_retracted_purged_or_deleted_is_gone
    a_deleted_account_has_no_nodes
}

fn run(store: &mut dyn Backend, op: PepOp) -> Result<Answer, StoreError> {
    store.run_one(NOW, Op::Pep(op))
}

fn put(store: &mut dyn Backend, node: &str, items_max: u32) -> Result<Answer, StoreError> {
    let number = number(10_001);
    run(store, PepOp::PutNode { number, node: node.into(), config: b"c".to_vec(), items_max, nodes_max: 2 })
}

fn publish(store: &mut dyn Backend, node: &str, id: &str, payload: &str) -> Result<Answer, StoreError> {
    let (number, payload) = (number(10_001), payload.into());
    let (node, id) = (node.into(), id.into());
    run(store, PepOp::Publish { number, node, id, payload, items_max: 3, bytes_max: 10 })
}

fn items(store: &mut dyn Backend, node: &str, ids: &[&str], limit: u32) -> Vec<(String, String)> {
    let ids = ids.iter().map(|id| (*id).into()).collect();
    match run(store, PepOp::Items { number: number(10_001), node: node.into(), ids, limit }).unwrap() {
        Answer::Items(items) => items
            .into_iter()
            .map(|Item { id, payload }| (id.into(), String::from_utf8(payload).unwrap()))
            .collect(),
        other => panic!("items? {other:?}"),
    }
}

fn ids(store: &mut dyn Backend, node: &str) -> Vec<String> {
    items(store, node, &[], 100).into_iter().map(|(id, _)| id).collect()
}

fn items_come_back_oldest_first_and_an_id_names_one(store: &mut dyn Backend) {
    create(store, None).unwrap();
    assert_eq!(publish(store, "n", "a", "1"), Err(StoreError::NoSuchItem));
    put(store, "n", 3).unwrap();
    for (id, payload) in [("a", "1"), ("b", "2"), ("a", "3")] {
        assert_eq!(publish(store, "n", id, payload), Ok(Answer::Done));
    }
    assert_eq!(items(store, "n", &[], 9), [("b".into(), "2".into()), ("a".into(), "3".into())]);
    assert_eq!(items(store, "n", &["b", "x"], 9), [("b".into(), "2".into())]);
    assert_eq!(items(store, "n", &[], 1), [("a".into(), "3".into())]);
    assert!(items(store, "other", &[], 1).is_empty());
}

fn a_node_holds_so_many_items_and_an_account_so_many_nodes_and_bytes(store: &mut dyn Backend) {
    create(store, None).unwrap();
    put(store, "n", 3).unwrap();
    for id in ["a", "b", "c", "d"] {
        publish(store, "n", id, "12").unwrap();
    }
    assert_eq!(ids(store, "n"), ["b", "c", "d"]);
    put(store, "n", 2).unwrap();
    assert_eq!(ids(store, "n"), ["c", "d"]);
    put(store, "m", 2).unwrap();
    assert_eq!(put(store, "o", 2), Err(StoreError::QuotaExceeded));
    put(store, "m", 1).unwrap();
    assert_eq!(publish(store, "m", "a", "1234567"), Err(StoreError::QuotaExceeded));
    publish(store, "m", "a", "123456").unwrap();
    publish(store, "m", "a", "654321").unwrap();
}

fn what_is_retracted_purged_or_deleted_is_gone(store: &mut dyn Backend) {
    create(store, None).unwrap();
    put(store, "n", 3).unwrap();
    publish(store, "n", "a", "1").unwrap();
    publish(store, "n", "b", "2").unwrap();
    let (number, node) = (number(10_001), Box::<str>::from("n"));
    let retract = PepOp::Retract { number, node: node.clone(), id: "a".into() };
    assert_eq!(run(store, retract.clone()), Ok(Answer::Done));
    assert_eq!(run(store, retract), Err(StoreError::NoSuchItem));
    assert_eq!(ids(store, "n"), ["b"]);
    run(store, PepOp::Purge { number, node: node.clone() }).unwrap();
    assert!(ids(store, "n").is_empty());
    assert_eq!(run(store, PepOp::Nodes { number }), Ok(Answer::Nodes(vec![(node.clone(), b"c".to_vec())])));
    run(store, PepOp::DeleteNode { number, node }).unwrap();
    assert_eq!(run(store, PepOp::Nodes { number }), Ok(Answer::Nodes(vec![])));
}

fn a_deleted_account_has_no_nodes(store: &mut dyn Backend) {
    create(store, None).unwrap();
    put(store, "n", 3).unwrap();
    publish(store, "n", "a", "1").unwrap();
    store.run_one(NOW, Op::DeleteAccount { number: number(10_001) }).unwrap();
    assert_eq!(run(store, PepOp::Nodes { number: number(10_001) }), Ok(Answer::Nodes(vec![])));
    assert!(ids(store, "n").is_empty());
    assert_eq!(put(store, "n", 3), Err(StoreError::NoSuchAccount));
}
