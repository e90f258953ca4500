//! What the archive of every back end must do.

use super::*;
use crate::{ArchiveId, ArchiveOp, ArchivePage, ArchivePaging, ArchiveQuery};

every_back_end! {
    messages_come_back_in_order_and_only_once
    pages_go_on_from_each_other_without_a_gap
    pages_go_backward_too
    a_page_begins_where_it_is_told_by_number
    a_contact_has_a_lane_of_its_own
    time_bounds_include_their_ends
    an_id_that_is_not_there_is_no_such_item
    full_addresses_match_exactly
    the_oldest_go_when_there_are_too_many
    what_is_too_old_is_seen_by_nobody_and_swept_step_by_step
    ends_are_the_first_and_the_last
    a_deleted_account_leaves_nothing_to_the_next
}

fn at(seconds: u64) -> ArchiveId {
    ArchiveId::first_at(NOW + Duration::from_secs(seconds))
}

pub(super) fn append(store: &mut dyn Backend, of: u64, id: ArchiveId, with: &str) -> Result<(), StoreError> {
    let stanza = format!("<message to='{with}/r{}' id='{id}'/>", id.0 % 3).into_bytes();
    let with = with.into();
    let op = ArchiveOp::Append { number: number(of), id, with, stanza };
    store
        .run_one(NOW + Duration::from_secs(100), Op::Archive(op))
        .map(|answer| assert_eq!(answer, Answer::Done))
}

fn query(store: &mut dyn Backend, of: u64, query: ArchiveQuery) -> Result<ArchivePage, StoreError> {
    let op = ArchiveOp::Page { number: number(of), query: Box::new(query) };
    match store.run_one(NOW + Duration::from_secs(100), Op::Archive(op))? {
        Answer::Archive(page) => Ok(page),
        other => panic!("a page? {other:?}"),
    }
}

fn ids(page: &ArchivePage) -> Vec<ArchiveId> {
    page.rows.iter().map(|row| row.id).collect()
}

/// An account with messages at seconds 1 to `count`: the odd ones with a@x, the even ones with b@x.
fn filled(store: &mut dyn Backend, count: u64) {
    create(store, None).unwrap();
    for second in 1..=count {
        append(store, 10_001, at(second), ["b@x", "a@x"][second as usize % 2]).unwrap();
    }
}

fn messages_come_back_in_order_and_only_once(store: &mut dyn Backend) {
    filled(store, 3);
    append(store, 10_001, at(2), "a@x").unwrap();
    append(store, 10_001, at(3), "a@x").unwrap();
    let page = query(store, 10_001, ArchiveQuery::all(10)).unwrap();
    assert_eq!(ids(&page), [at(1), at(2), at(3)]);
    assert_eq!((page.complete, page.index, page.count), (true, Some(0), Some(3)));
    assert_eq!(
        page.rows[0].stanza,
        format!("<message to='a@x/r{}' id='{}'/>", at(1).0 % 3, at(1)).as_bytes()
    );
    assert_eq!(append(store, 10_002, at(1), "a@x"), Err(StoreError::NoSuchAccount));
}

fn pages_go_on_from_each_other_without_a_gap(store: &mut dyn Backend) {
    filled(store, 7);
    let mut seen = Vec::new();
    let mut page = ArchivePaging::First;
    loop {
        let got = query(store, 10_001, ArchiveQuery { page, ..ArchiveQuery::all(3) }).unwrap();
        assert_eq!((got.index, got.count), (Some(seen.len() as u64), Some(7)));
        seen.extend(ids(&got));
        if got.complete {
            break;
        }
        page = ArchivePaging::After(*seen.last().unwrap());
    }
    assert_eq!(seen, (1..=7).map(at).collect::<Vec<_>>());
    // Behind the last there is nothing, and that is no error.
    let page = ArchivePaging::After(at(7));
    let got = query(store, 10_001, ArchiveQuery { page, ..ArchiveQuery::all(3) }).unwrap();
    assert_eq!((ids(&got), got.complete, got.index, got.count), (vec![], true, None, Some(7)));
}

fn pages_go_backward_too(store: &mut dyn Backend) {
    filled(store, 5);
    let page = ArchivePaging::Last;
    let got = query(store, 10_001, ArchiveQuery { page, ..ArchiveQuery::all(2) }).unwrap();
    assert_eq!((ids(&got), got.complete, got.index), (vec![at(4), at(5)], false, Some(3)));
    let page = ArchivePaging::Before(at(4));
    let got = query(store, 10_001, ArchiveQuery { page, ..ArchiveQuery::all(2) }).unwrap();
    assert_eq!((ids(&got), got.complete, got.index), (vec![at(2), at(3)], false, Some(1)));
    let page = ArchivePaging::Before(at(2));
    let got = query(store, 10_001, ArchiveQuery { page, ..ArchiveQuery::all(2) }).unwrap();
    assert_eq!((ids(&got), got.complete, got.index), (vec![at(1)], true, Some(0)));
}

fn a_page_begins_where_it_is_told_by_number(store: &mut dyn Backend) {
    filled(store, 7);
    let with = Some(contact("a@x"));
    for (index, wanted) in [(1, vec![at(3), at(5)]), (3, vec![at(7)]), (4, vec![]), (u64::MAX, vec![])] {
        let page = ArchivePaging::Index(index);
        let got = query(store, 10_001, ArchiveQuery { page, with: with.clone(), ..ArchiveQuery::all(2) });
        let got = got.unwrap();
        assert_eq!((ids(&got), got.count), (wanted, Some(4)));
        assert!(got.index.is_none_or(|found| found == index));
    }
    let none = query(store, 10_001, ArchiveQuery::all(0)).unwrap();
    assert_eq!((none.rows.len(), none.count, none.complete), (0, Some(7), false));
}

fn a_contact_has_a_lane_of_its_own(store: &mut dyn Backend) {
    filled(store, 6);
    let with = |with| ArchiveQuery { with: Some(contact(with)), ..ArchiveQuery::all(10) };
    assert_eq!(ids(&query(store, 10_001, with("a@x")).unwrap()), [at(1), at(3), at(5)]);
    // An id that pages begin behind may be another contact's.
    let behind = ArchiveQuery { page: ArchivePaging::After(at(2)), ..with("a@x") };
    let got = query(store, 10_001, behind).unwrap();
    assert_eq!((ids(&got), got.index, got.count), (vec![at(3), at(5)], Some(1), Some(3)));
    let nobody = query(store, 10_001, with("c@x")).unwrap();
    assert_eq!((nobody.rows.len(), nobody.complete, nobody.count), (0, true, Some(0)));
}

fn time_bounds_include_their_ends(store: &mut dyn Backend) {
    filled(store, 6);
    let time = |seconds| Some(at(seconds).received());
    let got = query(store, 10_001, ArchiveQuery { start: time(2), end: time(4), ..ArchiveQuery::all(10) });
    let got = got.unwrap();
    assert_eq!((ids(&got), got.count), (vec![at(2), at(3), at(4)], Some(3)));
    let between = ArchiveQuery { after: Some(at(2)), before: Some(at(5)), ..ArchiveQuery::all(10) };
    assert_eq!(ids(&query(store, 10_001, between).unwrap()), [at(3), at(4)]);
    let nothing = ArchiveQuery { start: time(4), end: time(2), ..ArchiveQuery::all(10) };
    assert_eq!(query(store, 10_001, nothing).unwrap().count, Some(0));
}

fn an_id_that_is_not_there_is_no_such_item(store: &mut dyn Backend) {
    filled(store, 3);
    let all = || ArchiveQuery::all(10);
    let wrong = ArchiveId(at(2).0 + 1);
    for query_ in [
        ArchiveQuery { after: Some(wrong), ..all() },
        ArchiveQuery { before: Some(at(9)), ..all() },
        ArchiveQuery { page: ArchivePaging::After(wrong), ..all() },
        ArchiveQuery { page: ArchivePaging::Before(ArchiveId(0)), ..all() },
    ] {
        assert_eq!(query(store, 10_001, query_), Err(StoreError::NoSuchItem));
    }
    let pick = |ids| Op::Archive(ArchiveOp::Pick { number: number(10_001), ids });
    assert_eq!(store.run_one(NOW, pick(vec![at(1), wrong])), Err(StoreError::NoSuchItem));
    match store.run_one(NOW, pick(vec![at(3), at(1), at(3)])).unwrap() {
        Answer::Archive(page) => assert_eq!((ids(&page), page.complete), (vec![at(1), at(3)], true)),
        other => panic!("a page? {other:?}"),
    }
}

fn full_addresses_match_exactly(store: &mut dyn Backend) {
    filled(store, 9);
    let full: Box<str> = format!("a@x/r{}", at(5).0 % 3).into();
    let wanted: Vec<_> = (1..=9).step_by(2).map(at).filter(|id| id.0 % 3 == at(5).0 % 3).collect();
    let query_ = ArchiveQuery { with: Some(contact("a@x")), full: Some(full), ..ArchiveQuery::all(10) };
    let got = query(store, 10_001, query_).unwrap();
    assert_eq!((ids(&got), got.complete, got.count), (wanted, true, None));
}

fn the_oldest_go_when_there_are_too_many(store: &mut dyn Backend) {
    filled(store, 15);
    let page = query(store, 10_001, ArchiveQuery::all(20)).unwrap();
    assert_eq!(ids(&page), (4..=15).map(at).collect::<Vec<_>>());
    let with = ArchiveQuery { with: Some(contact("a@x")), ..ArchiveQuery::all(10) };
    let page = query(store, 10_001, with).unwrap();
    assert_eq!((ids(&page)[0], page.count, page.index), (at(5), Some(6), Some(0)));
}

fn what_is_too_old_is_seen_by_nobody_and_swept_step_by_step(store: &mut dyn Backend) {
    filled(store, 6);
    create(store, None).unwrap();
    append(store, 10_002, at(1), "a@x").unwrap();
    let later = NOW + Duration::from_secs(3600 + 4);
    let op = ArchiveOp::Page { number: number(10_001), query: Box::new(ArchiveQuery::all(10)) };
    let page = store.run_one(later, Op::Archive(op.clone())).unwrap();
    let Answer::Archive(page) = page else { panic!("a page? {page:?}") };
    assert_eq!((ids(&page), page.count), (vec![at(4), at(5), at(6)], Some(3)));
    let mut sweep = |rows_max| store.run_one(later, Op::Archive(ArchiveOp::Sweep { rows_max })).unwrap();
    assert_eq!(sweep(2), Answer::Swept { done: false });
    assert_eq!(sweep(1), Answer::Swept { done: false });
    assert_eq!(sweep(9), Answer::Swept { done: true });
    // Nothing of what was hidden is left to be seen by an earlier clock.
    let page = store.run_one(NOW, Op::Archive(op)).unwrap();
    assert!(matches!(page, Answer::Archive(page) if ids(&page) == [at(4), at(5), at(6)]));
    let page = query(store, 10_002, ArchiveQuery::all(10)).unwrap();
    assert_eq!(page.count, Some(0));
    // And the ids go on from where they were.
    append(store, 10_002, at(1), "a@x").unwrap();
    assert_eq!(query(store, 10_002, ArchiveQuery::all(10)).unwrap().count, Some(0));
    append(store, 10_002, at(2), "a@x").unwrap();
    assert_eq!(query(store, 10_002, ArchiveQuery::all(10)).unwrap().count, Some(1));
}

fn ends_are_the_first_and_the_last(store: &mut dyn Backend) {
    create(store, None).unwrap();
    let ends = |store: &mut dyn Backend| {
        store.run_one(NOW, Op::Archive(ArchiveOp::Ends { number: number(10_001) })).unwrap()
    };
    assert_eq!(ends(store), Answer::ArchiveEnds(None));
    append(store, 10_001, at(1), "a@x").unwrap();
    assert_eq!(ends(store), Answer::ArchiveEnds(Some((at(1), at(1)))));
    append(store, 10_001, at(2), "a@x").unwrap();
    assert_eq!(ends(store), Answer::ArchiveEnds(Some((at(1), at(2)))));
}

fn a_deleted_account_leaves_nothing_to_the_next(store: &mut dyn Backend) {
    filled(store, 6);
    store.run_one(NOW, Op::DeleteAccount { number: number(10_001) }).unwrap();
    assert_eq!(query(store, 10_001, ArchiveQuery::all(1)), Err(StoreError::NoSuchAccount));
    filled(store, 0);
    append(store, 10_002, at(1), "a@x").unwrap();
    let mut turns = 0;
    while store.run_one(NOW, Op::Archive(ArchiveOp::Sweep { rows_max: 4 }))
        == Ok(Answer::Swept { done: false })
    {
        turns += 1;
        assert!(turns < 20, "it never ends");
    }
    let with = ArchiveQuery { with: Some(contact("a@x")), ..ArchiveQuery::all(10) };
    assert_eq!(ids(&query(store, 10_002, with).unwrap()), [at(1)]);
}
