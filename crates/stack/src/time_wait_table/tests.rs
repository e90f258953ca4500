use super::{CHUNK, Entry, Ring};
use crate::flow::{FlowKey, FlowKeyV4};
use std::collections::BTreeMap;

/// DESIGN 6: at most 48 bytes over IPv4 and 72 over IPv6, timer (the queue itself) and index (under 11, `demux` tests)
/// included.
#[test]
fn an_entry_is_small() {
    assert!(size_of::<Option<Entry<FlowKeyV4>>>() + 11 <= 48, "{}", size_of::<Option<Entry<FlowKeyV4>>>());
    assert!(size_of::<Option<Entry<FlowKey>>>() + 11 <= 72, "{}", size_of::<Option<Entry<FlowKey>>>());
}

#[test]
fn places_stay_while_others_come_and_go() {
    let mut ring = Ring::new();
    let mut model = BTreeMap::new();
    let mut draw = 1u32;
    for step in 0..40_000u32 {
        draw = draw.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if draw >> 31 == 0 || model.len() < 10 {
            assert!(model.insert(step, ring.push(step)).is_none());
        } else {
            // Now the oldest, now anyone.
            let nth = if draw & 1 == 0 { 0 } else { (draw >> 8) as usize % model.len() };
            let (step, place) =
                model.iter().nth(nth).map(|(step, place)| (*step, *place)).expect("ten are there");
            model.remove(&step);
            assert_eq!(ring.remove(place), Some(step));
            assert_eq!(ring.remove(place), None);
        }
        assert_eq!(ring.len, model.len());
        let oldest = model.first_key_value().map(|(step, place)| (*place, *step));
        assert_eq!(ring.front().map(|(place, step)| (place, *step)), oldest);
    }
    assert!(model.iter().all(|(step, place)| ring.peek(*place) == Some(step)));
    while let Some((place, _)) = ring.front() {
        ring.remove(place);
    }
    assert!(ring.chunks.len() <= 1, "what is empty goes back, {} chunks of {CHUNK}", ring.chunks.len());
}
