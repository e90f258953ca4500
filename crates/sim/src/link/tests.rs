//! Each condition alone, then all of them by property.

use super::*;
use crate::rng::MILLION;
use crate::rng::Rng;
use proptest::prelude::*;

const MS: Duration = Duration::from_millis(1);

fn at(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

/// Everything that arrives, with its time in milliseconds.
fn arrivals(link: &mut Link) -> Vec<(u64, End, Vec<u8>)> {
    let mut all = Vec::new();
    while let Some(when) = link.next_deadline() {
        while let Some((to, frame)) = link.poll(when) {
            all.push((when.as_millis(), to, frame));
        }
    }
    all
}

fn with(conditions: Conditions) -> Link {
    let mut link = Link::new(LinkConfig::default(), 1);
    End::BOTH.into_iter().for_each(|end| link.set_conditions(end, conditions));
    link
}

#[test]
fn frames_take_their_delay() {
    let mut link = with(Conditions { delay: 5 * MS, ..Conditions::default() });
    link.send(at(10), End::A, vec![1]);
    link.send(at(11), End::B, vec![2]);
    assert_eq!(link.poll(at(14)), None);
    assert_eq!(arrivals(&mut link), [(15, End::B, vec![1]), (16, End::A, vec![2])]);
}

#[test]
fn a_rate_spaces_frames_and_half_duplex_shares_it() {
    // 1000 octets at 8 Mbit/s are 1 ms.
    for (duplex, expected) in [(Duplex::Full, [1, 1, 2]), (Duplex::Half, [1, 2, 3])] {
        let mut link = Link::new(LinkConfig { duplex, rate: 8_000_000, ..LinkConfig::default() }, 1);
        link.send(at(0), End::A, vec![0; 1000]);
        link.send(at(0), End::B, vec![0; 1000]);
        link.send(at(0), End::A, vec![0; 1000]);
        let times: Vec<u64> = arrivals(&mut link).into_iter().map(|(when, ..)| when).collect();
        assert_eq!(times, expected, "{duplex:?}");
    }
}

#[test]
fn a_simplex_wire_carries_one_way() {
    let mut link = Link::new(LinkConfig { duplex: Duplex::Simplex, ..LinkConfig::default() }, 1);
    assert_eq!(link.send(at(0), End::A, vec![1]).lost, None);
    assert_eq!(link.send(at(0), End::B, vec![2]).lost, Some(Loss::Cut));
    assert_eq!(arrivals(&mut link).len(), 1);
}

#[test]
fn a_full_queue_drops_the_last_and_empties_with_time() {
    let mut link = Link::new(LinkConfig { rate: 8_000_000, queue_max: 2, ..LinkConfig::default() }, 1);
    let mut send = |ms| link.send(at(ms), End::A, vec![0; 1000]).lost;
    assert_eq!([send(0), send(0), send(0)], [None, None, Some(Loss::Queue)]);
    assert_eq!([send(1), send(1)], [None, Some(Loss::Queue)], "one has left");
}

#[test]
fn a_held_frame_is_overtaken() {
    let mut link = with(Conditions::default());
    link.set_conditions(
        End::A,
        Conditions { reorder: MILLION, reorder_by: 100 * MS, ..Conditions::default() },
    );
    assert!(link.send(at(0), End::A, vec![1]).held);
    link.set_conditions(End::A, Conditions::default());
    link.send(at(0), End::A, vec![2]);
    let order: Vec<u8> = arrivals(&mut link).into_iter().map(|(_, _, frame)| frame[0]).collect();
    assert_eq!(order, [2, 1]);
}

#[test]
fn a_gate_decides_first_and_a_cut_cable_carries_nothing() {
    let mut link = with(Conditions::default());
    link.set_gate(Some(Box::new(|_, _, frame| frame[0] != 7)));
    assert_eq!(link.send(at(0), End::A, vec![7]).lost, Some(Loss::Gate));
    assert_eq!(link.send(at(0), End::A, vec![8]).lost, None);
    link.set_conditions(End::A, Conditions { cut: true, ..Conditions::default() });
    assert_eq!(link.send(at(0), End::A, vec![8]).lost, Some(Loss::Cut));
}

proptest! {
    /// Damage changes something, touches fewer than 16 bits in a row, and so never passes an Internet checksum.
    #[test]
    fn damage_is_what_a_checksum_catches(frame in proptest::collection::vec(any::<u8>(), 1..200), seed: u64) {
        let mut damaged = frame.clone();
        damage(&mut damaged, &mut Rng::new(seed));
        let flipped: Vec<usize> =
            (0..frame.len() * 8).filter(|bit| (frame[bit / 8] ^ damaged[bit / 8]) & (0x80 >> (bit % 8)) != 0).collect();
        prop_assert!(!flipped.is_empty());
        prop_assert!(flipped[flipped.len() - 1] - flipped[0] < 15);
        let sum = |bytes: &[u8]| wire::checksum::Sum::of(bytes).partial();
        prop_assert_ne!(sum(&frame), sum(&damaged));
    }

    /// Without reordering, what arrives arrives in order, and as often as its fate said.
    #[test]
    fn order_and_number_are_as_told(seed: u64, sends in proptest::collection::vec((0u64..50, any::<bool>()), 1..60)) {
        let mut link = Link::new(LinkConfig { rate: 1_000_000, queue_max: 8, ..LinkConfig::default() }, seed);
        let conditions = Conditions { loss: 200_000, jitter: 20 * MS, delay: 3 * MS, ..Conditions::default() };
        End::BOTH.into_iter().for_each(|end| link.set_conditions(end, conditions));
        let (mut now, mut expected) = (0, [Vec::new(), Vec::new()]);
        for (number, (gap, from_a)) in sends.into_iter().enumerate() {
            now += gap;
            let from = if from_a { End::A } else { End::B };
            if link.send(at(now), from, vec![number as u8; 40]).lost.is_none() {
                expected[from.other().index()].push(number as u8);
            }
        }
        let mut got = [Vec::new(), Vec::new()];
        arrivals(&mut link).into_iter().for_each(|(_, to, frame)| got[to.index()].push(frame[0]));
        prop_assert_eq!(got, expected);
    }
}
