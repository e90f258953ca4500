use super::{MAX_RANGES, Reassembly, Stored};
use crate::budget::{BLOCK_SIZE, Budget};
use crate::buffer::ReceiveQueue;
use crate::seq::{SeqNum, SeqRange};
use proptest::prelude::*;

/// One receiver, fed segments by their offset from the first octet of the stream.
struct Receiver {
    base: SeqNum,
    nxt: u32,
    budget: Budget,
    queue: ReceiveQueue,
    room: Reassembly,
}

impl Receiver {
    fn new(base: u32) -> Self {
        Self::with_budget(base, 1 << 22)
    }

    fn with_budget(base: u32, bytes: usize) -> Self {
        Receiver {
            base: SeqNum(base),
            nxt: 0,
            budget: Budget::new(bytes),
            queue: ReceiveQueue::default(),
            room: Reassembly::default(),
        }
    }

    /// Hands over octets `from..`, cut at RCV.NXT as the window test would.
    fn feed(&mut self, from: u32, data: &[u8]) -> Stored {
        let cut = self.nxt.saturating_sub(from).min(data.len() as u32);
        let data = &data[cut as usize..];
        if data.is_empty() {
            return Stored::default();
        }
        let rcv_nxt = self.base + self.nxt;
        let stored =
            self.room.store(&mut self.queue, &mut self.budget, rcv_nxt, self.base + from + cut, data);
        self.nxt += stored.advanced;
        stored
    }

    fn feed_len(&mut self, from: u32, len: u32) -> Stored {
        let data: Vec<u8> = (from..from + len).map(|i| (i % 251) as u8).collect();
        self.feed(from, &data)
    }

    fn blocks(&mut self) -> Vec<(u32, u32)> {
        let blocks = self.room.sack_blocks(4);
        blocks.as_slice().iter().map(|r| (r.start - self.base, r.end - self.base)).collect()
    }

    fn read_all(&mut self) -> Vec<u8> {
        let mut out = vec![0; self.queue.readable()];
        self.queue.read(&mut self.budget, &mut out);
        out
    }
}

#[test]
fn in_order_text_is_readable_at_once() {
    let mut r = Receiver::new(u32::MAX - 1);
    assert_eq!(r.feed(0, b"ring"), Stored { advanced: 4, ..Stored::default() });
    assert_eq!(r.read_all(), b"ring");
    assert_eq!(r.budget.used(), 0);
}

#[test]
fn a_hole_filled_releases_what_waited_behind_it() {
    let mut r = Receiver::new(5);
    assert_eq!(r.feed(3, b"def"), Stored { out_of_order: true, ..Stored::default() });
    assert_eq!(r.blocks(), [(3, 6)]);
    assert_eq!(r.feed(0, b"abc"), Stored { advanced: 6, filled_hole: true, ..Stored::default() });
    assert_eq!(r.read_all(), b"abcdef");
    assert!(r.room.is_empty() && r.blocks().is_empty());
}

/// The examples of RFC 2018 section 8, with segments of 500 octets.
#[test]
fn sack_reports_the_latest_range_first() {
    let mut r = Receiver::new(1);
    for from in [1000, 2000, 3000, 4000, 5000] {
        r.feed_len(from, 500);
    }
    assert_eq!(r.blocks(), [(5000, 5500), (4000, 4500), (3000, 3500), (2000, 2500)]);
    r.feed_len(1500, 500);
    assert_eq!(r.blocks(), [(1000, 2500), (5000, 5500), (4000, 4500), (3000, 3500)]);
    let three = r.room.sack_blocks(3);
    assert_eq!(three.as_slice().len(), 3);
}

/// RFC 2883 section 4.
#[test]
fn a_duplicate_is_reported_first_and_once() {
    let mut r = Receiver::new(1);
    r.feed_len(0, 500);
    r.feed_len(1000, 500);
    r.feed_len(1500, 500);
    let again = r.feed_len(1000, 500);
    assert!(again.duplicate);
    assert_eq!(r.blocks(), [(1000, 1500), (1000, 2000)]);
    assert_eq!(r.blocks(), [(1000, 2000)]);
    // Below RCV.NXT the window test finds it and says so.
    r.room.note_duplicate(SeqRange::new(r.base, r.base + 500));
    assert_eq!(r.blocks(), [(0, 500), (1000, 2000)]);
}

#[test]
fn the_first_copy_of_an_octet_stays() {
    let mut r = Receiver::new(1);
    r.feed(2, b"CD");
    r.feed(0, b"abcdef");
    assert_eq!(r.read_all(), b"abCDef");
}

#[test]
fn ranges_are_bounded_and_old_ones_still_grow() {
    let mut r = Receiver::with_budget(1, 1 << 30);
    for i in 0..MAX_RANGES as u32 {
        assert!(!r.feed_len(10 + 20 * i, 5).refused);
    }
    let beyond = r.feed_len(10 + 20 * MAX_RANGES as u32, 5);
    assert_eq!(beyond, Stored { out_of_order: true, refused: true, ..Stored::default() });
    assert!(!r.feed_len(15, 5).refused);
    assert_eq!(r.room.bytes(), 5 * (MAX_RANGES as u32 + 1));
}

#[test]
fn in_order_text_wins_over_early_text_when_the_budget_is_empty() {
    let mut r = Receiver::with_budget(1, 4 * BLOCK_SIZE);
    let block = BLOCK_SIZE as u32;
    assert!(r.feed_len(3 * block, 5 * block).refused);
    assert!(r.budget.under_pressure());
    let stored = r.feed_len(0, 3 * block);
    assert_eq!(stored.advanced, 3 * block);
    assert!(!stored.refused);
    assert!(r.room.is_empty());
}

/// Octet by octet: who was first at each place.
#[derive(Default)]
struct Naive {
    octets: std::collections::BTreeMap<u32, u8>,
}

impl Naive {
    fn feed(&mut self, from: u32, data: &[u8]) {
        for (i, byte) in data.iter().enumerate() {
            self.octets.entry(from + i as u32).or_insert(*byte);
        }
    }

    fn in_order(&self) -> Vec<u8> {
        (0..).map_while(|i| self.octets.get(&i).copied()).collect()
    }
}

proptest! {
    #[test]
    fn the_stream_is_what_arrived_first(
        base: u32,
        segments in prop::collection::vec((0u32..6000, 1u32..1500, any::<u8>()), 1..60),
    ) {
        let mut r = Receiver::new(base);
        let mut naive = Naive::default();
        for (from, len, salt) in segments {
            let data: Vec<u8> = (0..len).map(|i| salt.wrapping_add(i as u8)).collect();
            let before = r.nxt;
            let stored = r.feed(from, &data);
            naive.feed(from, &data);
            prop_assert!(!stored.refused);
            let stream = naive.in_order();
            prop_assert_eq!(r.nxt as usize, stream.len());
            prop_assert_eq!(r.nxt - before, stored.advanced);
            let held: Vec<u8> = r.queue.peek().flatten().copied().collect();
            prop_assert_eq!(held, stream);
            prop_assert_eq!(r.room.bytes() as usize + r.nxt as usize, naive.octets.len());
            // Ranges ascend, with a gap before each.
            let mut edge = r.base + r.nxt;
            for range in &r.room.ranges {
                prop_assert!(edge.before(range.start) && !range.is_empty());
                edge = range.end;
            }
            // Every block but a leading D-SACK is one of the ranges; the first names the arrival.
            let blocks = r.blocks();
            let ranges: Vec<_> =
                r.room.ranges.iter().map(|x| (x.start - r.base, x.end - r.base)).collect();
            let plain = usize::from(blocks.first().is_some_and(|b| !ranges.contains(b)));
            prop_assert!(blocks[plain..].iter().all(|b| ranges.contains(b)));
            if stored.out_of_order && !stored.duplicate {
                let first = r.blocks()[0];
                prop_assert!(first.0 <= from.max(before) && from.max(before) < first.1);
            }
        }
    }
}
