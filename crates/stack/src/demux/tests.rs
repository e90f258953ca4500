use super::{Bucket, Demux};
use crate::random::Secret;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};

fn hash(value: u64) -> u64 {
    let mut hasher = Secret::from_seed(7).key("test").build_hasher();
    hasher.write_u64(value);
    hasher.finish()
}

/// Records are numbers; a place is an index into them.
struct World {
    table: Demux,
    records: Vec<u64>,
}

impl World {
    fn find(&self, value: u64) -> Option<u32> {
        self.table.find(hash(value), |place| self.records[place as usize] == value)
    }

    fn insert(&mut self, value: u64) -> u32 {
        let place = self.records.len() as u32;
        self.records.push(value);
        let records = &self.records;
        self.table.insert(hash(value), place, |place| hash(records[place as usize]));
        place
    }

    fn remove(&mut self, value: u64) -> bool {
        let Some(place) = self.find(value) else { return false };
        let records = &self.records;
        self.table.remove(hash(value), place, |place| hash(records[place as usize]))
    }
}

#[test]
fn a_bucket_is_a_cache_line() {
    assert_eq!(size_of::<Bucket>(), 64);
}

#[test]
fn it_agrees_with_a_map_while_it_grows_and_shrinks() {
    let mut world = World { table: Demux::new(), records: Vec::new() };
    let mut model = HashMap::new();
    let mut draw = 1u64;
    for step in 0..60_000u64 {
        draw = hash(draw);
        let value = draw % 20_000;
        // Fill, then empty.
        let add = draw >> 60 < if step < 30_000 { 11 } else { 4 };
        if add {
            if let std::collections::hash_map::Entry::Vacant(entry) = model.entry(value) {
                entry.insert(world.insert(value));
            }
        } else {
            assert_eq!(world.remove(value), model.remove(&value).is_some());
        }
        assert_eq!(world.find(value), model.get(&value).copied());
        assert_eq!(world.table.len(), model.len());
    }
    for (value, place) in &model {
        assert_eq!(world.find(*value), Some(*place));
    }
    let values: Vec<u64> = model.keys().copied().collect();
    assert!(values.into_iter().all(|value| world.remove(value)));
    assert_eq!((world.table.len(), world.table.buckets()), (0, 1));
}

#[test]
fn a_record_that_moves_keeps_its_slot() {
    let mut world = World { table: Demux::new(), records: Vec::new() };
    let place = world.insert(5);
    world.records.push(5);
    assert!(world.table.change(hash(5), place, 1));
    world.records[0] = 99;
    assert_eq!(world.find(5), Some(1));
    assert!(!world.table.change(hash(5), place, 2));
}

/// Ten bytes a place, overflow and all; fewer than one bucket in eight overflows, even before it is split.
#[test]
fn a_place_costs_about_ten_bytes() {
    let mut world = World { table: Demux::new(), records: Vec::new() };
    for value in 0..200_000 {
        world.insert(value);
        if value > 20_000 && value % 10_000 == 0 {
            let each = world.table.bytes() as f64 / world.table.len() as f64;
            assert!(each < 11.0, "{each} bytes each at {value}");
        }
    }
    assert!(world.table.overflow.len() * 8 < world.table.buckets());
}

/// No single insertion moves more than a bucket and its chain.
#[test]
fn no_insertion_re_hashes_the_table() {
    let mut table = Demux::new();
    let mut most = 0;
    for value in 0..100_000u32 {
        let mut moved = 0;
        table.insert(hash(u64::from(value)), value, |place| {
            moved += 1;
            hash(u64::from(place))
        });
        most = most.max(moved);
    }
    assert!(most <= 40, "{most} places moved at once");
}
