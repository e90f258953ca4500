use super::*;

#[test]
fn every_reason_has_its_own_number_in_order() {
    for (place, reason) in DropReason::ALL.into_iter().enumerate() {
        assert_eq!(reason as usize, place);
    }
}

#[test]
fn a_drop_is_counted_under_its_reason_only() {
    let mut counters = Counters::default();
    counters.drop_packet(DropReason::TooBig);
    counters.drop_packet(DropReason::TooBig);
    assert_eq!(counters.drops().collect::<Vec<_>>(), [(DropReason::TooBig, 2)]);
    assert_eq!(counters.dropped(DropReason::Malformed), 0);
}
