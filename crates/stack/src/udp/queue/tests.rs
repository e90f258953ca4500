use super::*;
use proptest::prelude::*;

#[test]
fn bounds_refuse_whole_datagrams() {
    let mut budget = Budget::new(1 << 20);
    let mut queue = DatagramQueue::new(100, 3);
    let mut push =
        |queue: &mut DatagramQueue<u8>, len| queue.push(&mut budget, Purpose::Hole, 0, &vec![7; len]);
    assert_eq!(push(&mut queue, 60), Ok(()));
    assert_eq!(push(&mut queue, 41), Err(Full::Queue));
    assert_eq!(push(&mut queue, 40), Ok(()));
    assert_eq!(push(&mut queue, 0), Ok(()));
    assert_eq!(push(&mut queue, 0), Err(Full::Queue), "empty datagrams are bounded too");
    let mut large = DatagramQueue::new(100, 3);
    assert_eq!(push(&mut large, 5_000), Ok(()), "one always fits, or it could never be read");
}

#[test]
fn a_spent_budget_leaves_everything_as_it_was() {
    let mut budget = Budget::new(4 * BLOCK_SIZE);
    let mut queue = DatagramQueue::new(1 << 20, 100);
    assert_eq!(queue.push(&mut budget, Purpose::Hole, 1, &[1; 3_000]), Ok(()));
    let used = budget.used();
    assert_eq!(queue.push(&mut budget, Purpose::Hole, 2, &[2; 9_000]), Err(Full::Budget));
    assert_eq!((budget.used(), queue.bytes()), (used, 3_000));
    assert_eq!(queue.pop(&mut budget), Some(1));
    assert_eq!((budget.used(), queue.pop(&mut budget)), (0, None));
}

proptest! {
    /// Against a plain queue of vectors.
    #[test]
    fn what_goes_in_comes_out(steps in proptest::collection::vec(prop_oneof![
        (0usize..5_000).prop_map(Some),
        Just(None),
    ], 0..200)) {
        let mut budget = Budget::new(1 << 20);
        let mut queue = DatagramQueue::new(40_000, 50);
        let mut model: VecDeque<Vec<u8>> = VecDeque::new();
        for (i, step) in steps.into_iter().enumerate() {
            if let Some(len) = step {
                let data: Vec<u8> = (0..len).map(|j| (i * 31 + j) as u8).collect();
                if queue.push(&mut budget, Purpose::Hole, i, &data).is_ok() {
                    model.push_back(data);
                }
            } else if let Some(expected) = model.pop_front() {
                let len = queue.front().unwrap().1;
                let mut out = vec![0; len];
                queue.copy_front(0, &mut out);
                prop_assert_eq!(&out, &expected);
                if len > 2 {
                    let mut inner = vec![0; len - 2];
                    queue.copy_front(1, &mut inner);
                    prop_assert_eq!(&inner[..], &expected[1..len - 1]);
                }
                queue.pop(&mut budget);
            }
            let held: usize = model.iter().map(Vec::len).sum();
            prop_assert_eq!(queue.bytes(), held);
            prop_assert_eq!(budget.used(), queue.blocks.len() * BLOCK_SIZE);
            prop_assert!(queue.blocks.len() <= held / BLOCK_SIZE + 2);
        }
        queue.clear(&mut budget);
        prop_assert_eq!(budget.used(), 0);
    }
}
