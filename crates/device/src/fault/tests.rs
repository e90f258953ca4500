//! Each fault by itself, and all of them by a seed.

use super::*;
use crate::memory;
use proptest::prelude::*;

fn carry(faults: Faults, seed: u64, frames: usize) -> (Vec<Vec<u8>>, u64) {
    let mut direction = Direction::new(faults, seed);
    for index in 0..frames {
        direction.take(Nanos(index as u64), &(index as u32).to_be_bytes().repeat(8));
    }
    let mut arrived = Vec::new();
    while let Some(frame) = direction.due(Nanos(u64::MAX)) {
        arrived.push(frame);
    }
    (arrived, direction.dropped)
}

fn index_of(frame: &[u8]) -> u32 {
    u32::from_be_bytes(frame[..4].try_into().unwrap())
}

#[test]
fn a_perfect_link_carries_everything_in_order() {
    let (arrived, dropped) = carry(Faults { frames_max: 5000, ..Faults::default() }, 1, 5000);
    assert_eq!(dropped, 0);
    assert!(arrived.iter().map(|frame| index_of(frame)).eq(0..5000));
}

#[test]
fn each_share_is_about_what_was_asked() {
    let many = Faults { frames_max: 100_000, ..Faults::default() };
    let (lost, _) = carry(Faults { lose: 100_000, ..many }, 2, 20_000);
    assert!((17_400..18_600).contains(&lost.len()), "{} of 20,000 arrived at 10 % loss", lost.len());
    let (doubled, _) = carry(Faults { duplicate: 100_000, ..many }, 3, 20_000);
    assert!((21_400..22_600).contains(&doubled.len()), "{}", doubled.len());
    let (mixed, _) =
        carry(Faults { reorder: 100_000, reorder_by: Duration::from_nanos(5), ..many }, 4, 20_000);
    let late = mixed.windows(2).filter(|pair| index_of(&pair[1]) < index_of(&pair[0])).count();
    assert!((1_000..2_600).contains(&late), "{late} overtaken");
    let mut all: Vec<u32> = mixed.iter().map(|frame| index_of(frame)).collect();
    all.sort_unstable();
    assert!(all.into_iter().eq(0..20_000));
}

#[test]
fn a_rate_spaces_frames_and_a_full_queue_drops() {
    // 32 octets at 32,000 a second: one frame a millisecond.
    let mut direction = Direction::new(Faults { rate: 32_000, frames_max: 3, ..Faults::default() }, 0);
    for _ in 0..4 {
        direction.take(Nanos(0), &[0; 32]);
    }
    assert_eq!(direction.dropped, 1);
    assert_eq!(direction.next(), Some(Nanos(1_000_000)));
    assert!(direction.due(Nanos(999_999)).is_none());
    assert!(direction.due(Nanos(1_000_000)).is_some());
    assert_eq!(direction.next(), Some(Nanos(2_000_000)));
}

#[test]
fn the_device_around_a_device_hides_offloads_and_keeps_time() {
    let (a, mut b) =
        memory::pair(Capabilities { tso_max: 65_535, tx_checksum: true, ..Capabilities::default() });
    let slow = Faults { delay: Duration::from_millis(5), ..Faults::default() };
    let mut a = Fault::new(a, 7, slow, slow);
    assert_eq!(a.capabilities(), Capabilities::default());
    let sink = a.transmit(Nanos(0), 0);
    sink.reserve(3).unwrap().copy_from_slice(b"out");
    sink.commit(3, TxMeta::default());
    a.flush(Nanos(0), 0).unwrap();
    assert!(b.receive(Nanos(0), 0, 9).unwrap().is_empty());
    assert_eq!(a.next_deadline(), Some(Nanos(5_000_000)));
    a.flush(Nanos(5_000_000), 0).unwrap();
    assert_eq!(b.receive(Nanos(5_000_000), 0, 9).unwrap().frame(0).bytes, b"out");

    let sink = b.transmit(Nanos(0), 0);
    sink.reserve(2).unwrap().copy_from_slice(b"in");
    sink.commit(2, TxMeta::default());
    b.flush(Nanos(0), 0).unwrap();
    assert!(a.receive(Nanos(6_000_000), 0, 9).unwrap().is_empty());
    assert_eq!(a.receive(Nanos(11_000_000), 0, 9).unwrap().frame(0).bytes, b"in");
}

proptest! {
    #[test]
    fn the_same_seed_gives_the_same_faults(
        seed: u64, lose in 0_u32..500_000, corrupt in 0_u32..500_000, reorder in 0_u32..500_000,
    ) {
        let faults = Faults { lose, corrupt, reorder, duplicate: 50_000, ..Faults::default() };
        prop_assert_eq!(carry(faults, seed, 300), carry(faults, seed, 300));
    }

    #[test]
    fn damage_is_one_bit_or_a_burst_under_sixteen_and_never_nothing(
        frame in prop::collection::vec(any::<u8>(), 1..64), draw: u64,
    ) {
        let mut damaged = frame.clone();
        damage_frame(&mut damaged, draw);
        let flipped: Vec<usize> = (0..frame.len() * 8)
            .filter(|bit| (frame[bit / 8] ^ damaged[bit / 8]) & 0x80 >> (bit % 8) != 0)
            .collect();
        prop_assert!(!flipped.is_empty());
        prop_assert!(flipped[flipped.len() - 1] - flipped[0] < 15);
    }
}
