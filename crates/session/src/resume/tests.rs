//! Ids, the record of the count, and parking.

use proptest::prelude::*;

use super::*;

fn parked(counts: &Counts) -> Parked {
    Parked::restore(ResumeId::from_bits(7), Duration::from_secs(300), counts, [])
}

#[test]
fn an_id_is_read_as_it_was_written_and_nothing_else_is() {
    for bits in [0, 1, u64::MAX >> 1] {
        let id = ResumeId::from_bits(bits);
        assert_eq!(ResumeId::parse(&id.to_string()), Some(id));
    }
    for text in [
        "",
        "7",
        "ffffffffffffffff",
        "00000000000000 7",
        "000000000000000G",
        "00000000000000007",
        "+000000000000007",
    ] {
        assert_eq!(ResumeId::parse(text), None, "{text}");
    }
}

#[test]
fn what_is_recorded_in_a_row_needs_no_count() {
    let mut resumable = Resumable::new(ResumeId::from_bits(1), Duration::ZERO, u32::MAX);
    resumable.on_recorded(0);
    resumable.on_recorded(1);
    assert_eq!((resumable.recorded(), resumable.count(1)), (1, None));
    // The second was not recorded by itself, so the third does not say that all before it was.
    resumable.on_recorded(3);
    assert_eq!(resumable.recorded(), 1);
    assert_eq!(resumable.count(3), Some(3));
    assert_eq!(resumable.count(3), None, "it is on its way");
    assert_eq!(resumable.count(4), Some(4));
    resumable.on_counted(3);
    assert_eq!(resumable.count(4), None, "so is this");
    resumable.on_counted(4);
    assert_eq!((resumable.recorded(), resumable.count(4)), (4, None));
}

#[test]
fn what_is_too_much_is_given_back_with_the_rest() {
    let mut parked = parked(&Counts::default());
    assert_eq!(parked.handle_delivery(b"<a/>", Some(Tag(1)), 2, 100), Ok(()));
    assert_eq!(parked.handle_delivery(b"<b/>", None, 2, 7), Err(TooMuch));
    assert_eq!((parked.stanzas(), parked.octets()), (2, 8));
    let unacked: Vec<_> = parked.into_unacked().collect();
    assert_eq!(unacked, [(b"<a/>".to_vec(), Some(Tag(1))), (b"<b/>".to_vec(), None)]);
}

proptest! {
    /// However far it was processed when its connection was lost, a session that is put together again counts on as
    /// the one that was parked would have.
    #[test]
    fn counts_survive_being_carried(
        start in any::<u32>(),
        order in Just((1_u32..=20).collect::<Vec<_>>()).prop_shuffle(),
        cut in 0_usize..20,
    ) {
        let at = |seq: u32| start.wrapping_add(seq);
        let counts = Counts { received: at(20), processed: start, base: start, recorded: start, ..Counts::default() };
        let mut stays = parked(&counts);
        for &seq in &order[..cut] {
            stays.handle_processed(at(seq), false);
        }
        let mut carried = parked(&stays.counts());
        for &seq in &order[cut..] {
            stays.handle_processed(at(seq), true);
            carried.handle_processed(at(seq), true);
        }
        prop_assert_eq!(stays.counts(), carried.counts());
        prop_assert_eq!(carried.counts().processed, at(20));
        prop_assert!(carried.counts().ahead.is_empty());
    }
}
