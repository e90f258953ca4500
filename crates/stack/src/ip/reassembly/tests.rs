use super::*;
use crate::random::Secret;
use proptest::prelude::*;
use std::time::Duration;

const START: Instant = Instant::from_secs(1);

fn reassembly(config: ReassemblyConfig) -> Reassembly {
    Reassembly::new(config, Secret::from_seed(1).key("reassembly"))
}

fn key(src: u32, ident: u32) -> DatagramKey {
    DatagramKey {
        src: IpAddr::from(src.to_be_bytes()),
        dst: IpAddr::from([192, 0, 2, 1]),
        ident,
        protocol: 17,
    }
}

fn fragment(key: DatagramKey, offset: usize, more: bool, data: &[u8]) -> Fragment<'_> {
    Fragment {
        key,
        offset,
        more,
        data,
        protocol: Protocol::UDP,
        ecn: Ecn::NotEct,
        header_len: 20,
        packet: data,
    }
}

fn payload(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7) as u8).collect()
}

/// Feeds `(offset, len, more)` pieces of one payload and returns what the last of them led to.
fn feed(pieces: &[(usize, usize, bool)]) -> (Reassembly, Arrival) {
    let (mut room, whole) = (reassembly(ReassemblyConfig::default()), payload(70_000));
    let mut last = Arrival::Kept;
    for &(offset, len, more) in pieces {
        last = room.handle_fragment(START, &fragment(key(1, 1), offset, more, &whole[offset..offset + len]));
    }
    (room, last)
}

#[test]
fn pieces_in_any_order_come_together() {
    let orders: [&[(usize, usize, bool)]; 4] = [
        &[(0, 16, true), (16, 8, true), (24, 5, false)],
        &[(24, 5, false), (16, 8, true), (0, 16, true)],
        &[(16, 8, true), (0, 16, true), (24, 5, false)],
        &[(0, 16, true), (0, 16, true), (24, 5, false), (24, 5, false), (16, 8, true)],
    ];
    for pieces in orders {
        let (room, last) = feed(pieces);
        let Arrival::Complete(datagram) = last else { panic!("{pieces:?}: {last:?}") };
        assert_eq!(datagram.data, &payload(70_000)[..29]);
        assert_eq!(datagram.protocol, Protocol::UDP);
        assert_eq!((room.bytes(), room.len(), room.next_deadline()), (0, 0, None));
    }
}

#[test]
fn what_is_refused_and_takes_its_datagram_along() {
    type Row = (&'static [(usize, usize, bool)], Refusal, usize);
    let rows: &[Row] = &[
        // RFC 5722: any overlap, from either side, inside and around.
        (&[(0, 16, true), (8, 16, true)], Refusal::Overlap, 0),
        (&[(8, 16, true), (0, 16, true)], Refusal::Overlap, 0),
        (&[(0, 32, true), (8, 8, true)], Refusal::Overlap, 0),
        (&[(8, 8, true), (0, 32, true)], Refusal::Overlap, 0),
        (&[(0, 16, true), (0, 8, true)], Refusal::Overlap, 0),
        // Two ends, or data behind the end.
        (&[(16, 8, false), (24, 8, true)], Refusal::Overlap, 0),
        (&[(32, 8, true), (16, 8, false)], Refusal::Overlap, 0),
        (&[(16, 8, false), (24, 3, false)], Refusal::Overlap, 0),
        (&[(16, 8, false), (16, 8, true)], Refusal::Overlap, 0),
        // RFC 8200 4.5: length and size.
        (&[(0, 8, true), (8, 9, true)], Refusal::Length, 1),
        (&[(0, 8, true), (8, 0, true)], Refusal::Length, 1),
        (&[(0, 8, true), (65_528, 8, false)], Refusal::TooLong, 0),
    ];
    for (pieces, refusal, left) in rows {
        let (room, last) = feed(pieces);
        assert_eq!(last, Arrival::Refused(*refusal), "{pieces:?}");
        assert_eq!(room.len(), *left, "{pieces:?}");
    }
}

#[test]
fn a_copy_with_other_bytes_is_an_overlap() {
    let mut room = reassembly(ReassemblyConfig::default());
    room.handle_fragment(START, &fragment(key(1, 1), 0, true, &[1; 8]));
    let arrival = room.handle_fragment(START, &fragment(key(1, 1), 0, true, &[2; 8]));
    assert_eq!(arrival, Arrival::Refused(Refusal::Overlap));
    assert!(room.is_empty());
}

#[test]
fn marks_join_as_rfc_3168_says() {
    use Ecn::{Ce, Ect0, Ect1, NotEct};
    let rows = [
        (NotEct, NotEct, Some(NotEct)),
        (Ect0, Ce, Some(Ce)),
        (Ce, Ect1, Some(Ce)),
        (Ce, NotEct, None),
        (NotEct, Ce, None),
        (Ect0, Ect1, Some(Ect0)),
        (Ect0, NotEct, Some(NotEct)),
    ];
    for (a, b, expected) in rows {
        let mut room = reassembly(ReassemblyConfig::default());
        room.handle_fragment(START, &Fragment { ecn: a, ..fragment(key(1, 1), 0, true, &[0; 8]) });
        let last =
            room.handle_fragment(START, &Fragment { ecn: b, ..fragment(key(1, 1), 8, false, &[0; 8]) });
        match expected {
            Some(ecn) => assert!(matches!(last, Arrival::Complete(d) if d.ecn == ecn), "{a:?} {b:?}"),
            None => assert_eq!(last, Arrival::Refused(Refusal::Ecn), "{a:?} {b:?}"),
        }
    }
}

#[test]
fn the_time_runs_from_the_first_fragment_to_arrive() {
    let mut room = reassembly(ReassemblyConfig::default());
    room.handle_fragment(START, &fragment(key(1, 1), 8, true, &[0; 8]));
    room.handle_fragment(START + Duration::from_secs(20), &fragment(key(1, 1), 0, true, &[3; 8]));
    room.handle_fragment(START + Duration::from_secs(20), &fragment(key(1, 2), 8, true, &[0; 8]));
    let deadline = START + Duration::from_secs(30);
    assert_eq!(room.next_deadline(), Some(deadline));
    assert_eq!(room.poll_expired(deadline - Duration::from_nanos(1)), None);
    let expired = room.poll_expired(deadline).unwrap();
    assert_eq!(expired, Expired { key: key(1, 1), first_packet: Some(vec![3; 8]) });
    let second = room.poll_expired(deadline + Duration::from_secs(20)).unwrap();
    assert_eq!(second.first_packet, None, "its first fragment never came, so nobody is told");
    assert_eq!(room.bytes(), 0);
}

#[test]
fn a_flood_of_fragments_stays_inside_the_bound_and_one_source_inside_its_share() {
    let config = ReassemblyConfig { bytes_max: 100_000, ..ReassemblyConfig::default() };
    let mut room = reassembly(config.clone());
    let data = payload(1_480);
    for i in 0..20_000 {
        room.handle_fragment(START, &fragment(key(i % 500, i), 0, true, &data));
        assert!(room.bytes() <= config.bytes_max);
    }
    assert!(room.evicted() > 0);
    let mut room = reassembly(config.clone());
    for i in 0..1_000 {
        room.handle_fragment(START, &fragment(key(7, i), 8, true, &[0; 8]));
    }
    assert_eq!(room.len(), config.datagrams_per_source_max);
    let other = room.handle_fragment(START, &fragment(key(8, 1), 8, true, &[0; 8]));
    assert_eq!(other, Arrival::Kept);
}

#[test]
fn a_datagram_in_too_many_pieces_is_given_up() {
    let mut room = reassembly(ReassemblyConfig { fragments_max: 4, ..ReassemblyConfig::default() });
    for i in 0..4 {
        assert_eq!(
            room.handle_fragment(START, &fragment(key(1, 1), i * 8, true, &[0; 8])),
            Arrival::Kept,
            "{i}"
        );
    }
    let last = room.handle_fragment(START, &fragment(key(1, 1), 32, true, &[0; 8]));
    assert_eq!(last, Arrival::Refused(Refusal::Full));
    assert!(room.is_empty());
}

proptest! {
    /// Whatever arrives, the books balance: no datagram differs from what was cut, and the bound holds.
    #[test]
    fn any_shuffle_of_a_cut_datagram_comes_together_once(
        len in 1usize..3_000,
        piece in 1usize..40,
        order in proptest::collection::vec(any::<prop::sample::Index>(), 0..200),
    ) {
        let whole = payload(len);
        let cut: Vec<_> = (0..len).step_by(piece * 8).map(|at| (at, (at + piece * 8).min(len))).collect();
        prop_assume!(cut.len() <= 128);
        let mut room = reassembly(ReassemblyConfig::default());
        let mut left: Vec<_> = cut.clone();
        let mut seen = vec![false; cut.len()];
        let mut done = 0;
        let mut put = |room: &mut Reassembly, (at, end): (usize, usize)| {
            match room.handle_fragment(START, &fragment(key(1, 1), at, end < len, &whole[at..end])) {
                Arrival::Complete(datagram) => { assert_eq!(datagram.data, whole); done += 1; }
                Arrival::Kept => {}
                Arrival::Refused(refusal) => panic!("{refusal:?}"),
            }
        };
        // Some pieces first, in any order and with repetitions, as long as one is still missing.
        for index in order {
            let i = index.index(cut.len());
            if seen.iter().filter(|&&s| !s).count() == usize::from(!seen[i]) { break; }
            seen[i] = true;
            put(&mut room, cut[i]);
        }
        left.retain(|piece| !seen[cut.iter().position(|c| c == piece).unwrap()]);
        for piece in left {
            put(&mut room, piece);
        }
        prop_assert_eq!(done, 1);
        prop_assert_eq!(room.bytes(), 0);
    }

    #[test]
    fn arbitrary_fragments_keep_the_invariants(
        pieces in proptest::collection::vec((0u32..3, 0u32..3, 0usize..8_300, any::<bool>(), 0usize..64), 0..100),
    ) {
        let mut room = reassembly(ReassemblyConfig { bytes_max: 4_096, ..ReassemblyConfig::default() });
        let data = payload(64);
        for (src, ident, offset, more, len) in pieces {
            let _ = room.handle_fragment(START, &fragment(key(src, ident), offset * 8, more, &data[..len]));
            prop_assert!(room.bytes() <= 4_096);
            prop_assert_eq!(room.cost, room.datagrams.values().map(|d| d.cost).sum::<usize>());
            prop_assert_eq!(room.by_age.len(), room.datagrams.len());
            prop_assert_eq!(room.per_source.values().sum::<usize>(), room.datagrams.len());
            for unfinished in room.datagrams.values() {
                prop_assert!(unfinished.pieces.windows(2).all(|w| w[0].end() <= w[1].offset));
                prop_assert!(unfinished.pieces.iter().all(|p| p.end() <= 65_535));
            }
        }
    }
}
