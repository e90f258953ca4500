use super::*;

#[test]
fn every_carrier_has_a_place_of_its_own() {
    for (place, carrier) in CARRIERS.into_iter().enumerate() {
        assert_eq!(LoopCounts::carrier(carrier), place);
    }
}

#[test]
fn each_way_to_end_is_counted_once() {
    let mut counts = LoopCounts::default();
    for reason in [
        EndReason::Client,
        EndReason::Error(StreamErrorKind::PolicyViolation),
        EndReason::Error(StreamErrorKind::Conflict),
        EndReason::Error(StreamErrorKind::PolicyViolation),
        EndReason::ConnectionLost,
        EndReason::Exchange,
    ] {
        counts.end(reason);
    }
    let mut sum = counts.clone();
    sum.add(&counts);
    assert_eq!((sum.ended_by_client, sum.ended_by_loss, sum.ended_by_exchange), (2, 2, 2));
    let errors = [(StreamErrorKind::PolicyViolation, 4), (StreamErrorKind::Conflict, 2)];
    assert_eq!(sum.ended_by_error, errors);
}
