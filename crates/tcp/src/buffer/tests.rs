use super::{ReceiveQueue, SendQueue};
use crate::budget::{BLOCK_SIZE, Budget, Purpose};
use proptest::prelude::*;
use std::collections::VecDeque;

fn pattern(from: usize, len: usize) -> Vec<u8> {
    (from..from + len).map(|i| (i % 251) as u8).collect()
}

fn gather(slices: super::Slices<'_>) -> Vec<u8> {
    slices.flatten().copied().collect()
}

#[test]
fn a_range_may_span_many_blocks() {
    let mut budget = Budget::new(1 << 20);
    let mut queue = SendQueue::new();
    let data = pattern(0, 3 * BLOCK_SIZE);
    assert_eq!(queue.write(&mut budget, &data, usize::MAX), data.len());
    assert_eq!(gather(queue.slices(100, 2 * BLOCK_SIZE)), data[100..100 + 2 * BLOCK_SIZE]);
    assert_eq!(queue.slices(100, 2 * BLOCK_SIZE).count(), 3);
    queue.acknowledge(&mut budget, BLOCK_SIZE + 1);
    assert_eq!(queue.held(), 2 * BLOCK_SIZE);
    assert_eq!(gather(queue.slices(0, 10)), data[BLOCK_SIZE + 1..BLOCK_SIZE + 11]);
}

#[test]
fn an_empty_queue_holds_no_block() {
    let mut budget = Budget::new(1 << 20);
    let mut queue = SendQueue::new();
    queue.write(&mut budget, &pattern(0, 10), usize::MAX);
    queue.acknowledge(&mut budget, 10);
    let mut early = ReceiveQueue::default();
    early.place(&mut budget, Purpose::InOrder, 0, &[1, 2, 3]);
    early.commit(3);
    assert_eq!(early.read(&mut budget, &mut [0; 8]), 3);
    assert_eq!((queue.held(), early.held(), budget.used()), (0, 0, 0));
}

#[test]
fn an_octet_far_ahead_costs_one_block_and_is_forgotten_under_pressure() {
    let mut budget = Budget::new(1 << 20);
    let mut queue = ReceiveQueue::default();
    assert_eq!(queue.place(&mut budget, Purpose::Hole, 60_000, &[9]), 1);
    assert_eq!((queue.held(), queue.span(), queue.readable()), (BLOCK_SIZE, 60_001, 0));
    queue.forget_early(&mut budget);
    assert_eq!((queue.held(), queue.span(), budget.used()), (0, 0, 0));
}

#[test]
fn limit_and_budget_both_bound_a_write() {
    let mut budget = Budget::new(4 * BLOCK_SIZE);
    let mut queue = SendQueue::new();
    assert_eq!(queue.write(&mut budget, &pattern(0, 100), 60), 60);
    assert_eq!(queue.write(&mut budget, &pattern(60, 100), 60), 0);
    // Three of four blocks may hold data to send.
    assert_eq!(queue.write(&mut budget, &pattern(60, 9 * BLOCK_SIZE), usize::MAX), 3 * BLOCK_SIZE - 60);
    queue.clear(&mut budget);
    assert_eq!(budget.used(), 0);
}

proptest! {
    #[test]
    fn the_send_queue_is_a_queue(steps in prop::collection::vec((any::<bool>(), 0usize..5000), 1..60)) {
        let mut budget = Budget::new(64 * BLOCK_SIZE);
        let mut queue = SendQueue::new();
        let mut model = VecDeque::new();
        let mut written = 0;
        for (write, len) in steps {
            if write {
                let done = queue.write(&mut budget, &pattern(written, len), 40_000);
                model.extend(pattern(written, done));
                written += done;
            } else {
                let len = len.min(model.len());
                queue.acknowledge(&mut budget, len);
                model.drain(..len);
            }
            prop_assert_eq!(queue.len(), model.len());
            prop_assert_eq!(budget.used(), queue.held());
            prop_assert!(queue.held() <= model.len().div_ceil(BLOCK_SIZE) * BLOCK_SIZE + BLOCK_SIZE);
            prop_assert_eq!(gather(queue.slices(0, queue.len())), Vec::from(model.clone()));
        }
    }
}
