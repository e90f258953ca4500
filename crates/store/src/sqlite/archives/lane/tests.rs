//! Lanes against a plain list.

use std::collections::VecDeque;

use proptest::prelude::*;
use xmpp::time::Wallclock;

use super::*;
use crate::sqlite::migrate;

#[derive(Debug, Clone)]
enum Change {
    /// So many messages at the end.
    Push(usize),
    /// So many at the front.
    Pop(usize),
    /// The one that is so many from the end.
    Remove(usize),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (1..=PACK_MAX).prop_map(Change::Push),
        2 => (1..3 * PACK_MAX).prop_map(Change::Pop),
        2 => (0..2 * PACK_MAX).prop_map(Change::Remove),
    ]
}

fn db() -> Connection {
    let mut db = Connection::open_in_memory().unwrap();
    migrate::migrate(&mut db, Wallclock::from_millis(0)).ok().unwrap();
    db
}

/// Packs as they are, and that none overlaps the next or is too large.
fn check_packs(db: &Connection, lane: &Lane) {
    let mut query = db.prepare("SELECT id, entries FROM archive_packs ORDER BY id").unwrap();
    let packs = query.query_map([], |row| Ok((row.get(0)?, decode(row.get_ref(1)?.as_blob()?)))).unwrap();
    let packs: Vec<(i64, Vec<Entry>)> = packs.collect::<Result<_, _>>().unwrap();
    let mut free = lane.row(0);
    for (id, entries) in &packs {
        assert!(*id >= free && (1..=PACK_MAX).contains(&entries.len()), "{packs:?}");
        free = id + entries.len() as i64;
    }
    assert!(free == lane.row(lane.last + 1) || packs.is_empty() && lane.len() == 0, "{packs:?} {lane:?}");
    // What has left keeps no more than the pack that it shares with what has not.
    let needed = lane.len().div_ceil(PACK_MAX as u64 / 2) + 2;
    assert!(packs.len() as u64 <= needed, "{} packs for {}", packs.len(), lane.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_lane_is_a_list(changes in prop::collection::vec(change(), 1..24), unfiled in 0_u64..5) {
        let db = db();
        let mut lane = Lane::make(&db, AccountNumber::FIRST, "").ok().unwrap();
        let (mut model, mut drawn) = (VecDeque::new(), 0);
        for change in changes {
            match change {
                Change::Push(count) => {
                    let from = drawn + 1;
                    drawn += count as u64;
                    // Every third id is left out, so that there is something between two.
                    let entry = |nth| Entry { id: ArchiveId(nth * 3), seq: nth as i64 };
                    let entries: Vec<Entry> = (from..=drawn).map(entry).collect();
                    lane.push(&db, &entries).ok().unwrap();
                    model.extend(entries);
                }
                Change::Pop(count) => for _ in 0..count.min(model.len()) {
                    prop_assert_eq!(lane.pop(&db).ok(), model.pop_front());
                }
                Change::Remove(back) => if back < model.len() {
                    let at = model.len() - 1 - back;
                    lane.remove(&db, lane.first + at as u64).ok().unwrap();
                    model.remove(at);
                    if let Some(last) = model.back() {
                        prop_assert_eq!(lane.last_id, last.id);
                    }
                }
            }
            check_packs(&db, &lane);
        }
        prop_assert_eq!(lane.front(&db).ok().flatten(), model.front().copied());
        let more: Vec<Entry> =
            (drawn + 1..=drawn + unfiled).map(|nth| Entry { id: ArchiveId(nth * 3), seq: nth as i64 }).collect();
        model.extend(&more);
        let mut view = View::new(lane, more);
        prop_assert_eq!(view.end() - lane.first, model.len() as u64);
        for (at, entry) in model.iter().enumerate() {
            prop_assert_eq!(view.at(&db, lane.first + at as u64).ok(), Some(*entry));
        }
        for id in (0..(drawn + unfiled + 2) * 3).rev().map(ArchiveId) {
            let at = model.partition_point(|entry| entry.id < id) as u64;
            prop_assert_eq!(view.lower_bound(&db, id).ok(), Some(lane.first + at));
        }
    }
}
