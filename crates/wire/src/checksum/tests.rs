//! Sums against a reference that adds one word at a time, as RFC 1071 section 4.1 describes it in words.

use super::{Sum, update};
use proptest::prelude::*;
use std::hint::black_box;
use std::time::Instant;

/// The definition, nothing clever: big-endian words, end-around carry after every addition.
fn reference(bytes: &[u8]) -> u16 {
    let mut sum = 0u32;
    for pair in bytes.chunks(2) {
        let word = u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
        sum += word;
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

#[test]
fn the_example_of_rfc_1071_section_3() {
    // 0001 f203 f4f5 f6f7 sums to ddf2 (with its two carries added back).
    let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
    assert_eq!(Sum::of(&bytes).partial(), 0xddf2);
    assert_eq!(Sum::of(&bytes).checksum(), !0xddf2);
}

#[test]
fn nothing_sums_to_zero_and_all_ones_to_minus_zero() {
    assert_eq!(Sum::ZERO.partial(), 0);
    assert_eq!(Sum::ZERO.checksum(), 0xffff);
    assert_eq!(Sum::of(&[0xff; 1 << 16]).partial(), 0xffff);
    assert!(Sum::of(&[0xff; 1 << 16]).is_valid());
}

#[test]
fn the_largest_frame_of_the_largest_words_does_not_overflow() {
    let bytes = vec![0xff; 1 << 20];
    assert_eq!(Sum::of(&bytes).partial(), reference(&bytes));
}

#[test]
fn lanes_are_folded_before_they_are_full() {
    // Beyond what lanes hold unfolded, with words whose halves differ, so that halves taken for each other would show.
    let bytes: Vec<u8> = [0xff, 0xff, 0xff, 0xfe].into_iter().cycle().take((5 << 20) + 77).collect();
    assert_eq!(Sum::of(&bytes).partial(), reference(&bytes));
}

#[test]
fn update_of_rfc_1624_section_4() {
    // "an example from a real-world": HC = DD2F, m = 5555, m' = 3285 gives HC' = 0000.
    assert_eq!(update(0xdd2f, 0x5555, 0x3285), 0x0000);
}

proptest! {
    #[test]
    fn equals_the_reference(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        prop_assert_eq!(Sum::of(&bytes).partial(), reference(&bytes));
    }

    #[test]
    fn a_header_sums_as_its_bytes_do(header in any::<[u8; 20]>(), options in proptest::collection::vec(any::<u8>(), 0..40)) {
        prop_assert_eq!(Sum::of_header(&header).partial(), reference(&header));
        let whole = [&header[..], &options].concat();
        prop_assert_eq!(Sum::of_header(&header).add_bytes(&options).partial(), reference(&whole));
    }

    #[test]
    fn parts_join(bytes in proptest::collection::vec(any::<u8>(), 0..600), cuts in proptest::collection::vec(0usize..600, 0..5)) {
        let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c % (bytes.len() + 1)).collect();
        cuts.sort_unstable();
        cuts.push(bytes.len());
        let (mut at, mut added, mut joined) = (0, Sum::ZERO, Sum::ZERO);
        for cut in cuts {
            added = added.add_bytes(&bytes[at..cut]);
            joined = joined.then(Sum::of(&bytes[at..cut]));
            at = cut;
        }
        prop_assert_eq!(added.partial(), reference(&bytes));
        prop_assert_eq!(joined.partial(), reference(&bytes));
    }

    #[test]
    fn words_are_their_big_endian_bytes(before in proptest::collection::vec(any::<u8>(), 0..9), w16: u16, w32: u32) {
        let mut bytes = before.clone();
        bytes.extend(w16.to_be_bytes());
        bytes.extend(w32.to_be_bytes());
        prop_assert_eq!(Sum::of(&before).add_u16(w16).add_u32(w32).partial(), reference(&bytes));
    }

    #[test]
    fn copying_copies_and_sums(bytes in proptest::collection::vec(any::<u8>(), 0..10_000)) {
        let mut to = vec![0; bytes.len()];
        let sum = Sum::ZERO.add_copying(&bytes, &mut to);
        prop_assert_eq!(sum.partial(), reference(&bytes));
        prop_assert_eq!(to, bytes);
    }

    #[test]
    fn bytes_with_their_checksum_are_valid_and_one_flipped_bit_is_not(
        mut bytes in proptest::collection::vec(any::<u8>(), 2..200), bit: usize
    ) {
        bytes[0] = 0;
        bytes[1] = 0;
        let checksum = Sum::of(&bytes).checksum();
        bytes[..2].copy_from_slice(&checksum.to_be_bytes());
        prop_assert!(Sum::of(&bytes).is_valid());
        let bit = bit % (bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(!Sum::of(&bytes).is_valid());
    }

    /// The updated checksum verifies wherever the recomputed one does (RFC 1624 section 3; the two may differ in the
    /// sign of zero only).
    #[test]
    fn update_verifies(mut bytes in proptest::collection::vec(any::<u8>(), 2..20), new: u16) {
        if bytes.len() % 2 == 1 { bytes.pop(); }
        let checksum = Sum::of(&bytes).checksum();
        let old = u16::from_be_bytes([bytes[0], bytes[1]]);
        bytes[..2].copy_from_slice(&new.to_be_bytes());
        let updated = update(checksum, old, new);
        prop_assert!(Sum::of(&bytes).add_u16(updated).is_valid() || bytes.iter().all(|b| *b == 0));
    }
}

/// Prints the speed; run it with
/// `cargo test --release -p switchboard-wire checksum::tests::speed -- --ignored --nocapture`.
#[test]
#[ignore = "measures, and means something in release only"]
fn speed() {
    for len in [20usize, 40, 1460, 9000, 65535] {
        let bytes: Vec<u8> = (0..len).map(|i| i as u8).collect();
        let mut to = vec![0; len];
        let rounds = (4usize << 30) / len.max(200);
        let start = Instant::now();
        for _ in 0..rounds {
            black_box(Sum::of(black_box(&bytes)).checksum());
        }
        let summing = start.elapsed().as_secs_f64();
        let start = Instant::now();
        for _ in 0..rounds {
            black_box(Sum::ZERO.add_copying(black_box(&bytes), black_box(&mut to)).checksum());
        }
        let copying = start.elapsed().as_secs_f64();
        let (n, total) = (rounds as f64, (rounds * len) as f64);
        println!(
            "{len:6} B: sum {:6.1} GB/s {:7.1} ns, copy and sum {:6.1} GB/s {:7.1} ns",
            total / summing / 1e9,
            summing / n * 1e9,
            total / copying / 1e9,
            copying / n * 1e9
        );
    }
}
