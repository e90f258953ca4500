use super::{BLOCK_SIZE, Budget, Purpose};

#[test]
fn the_last_quarter_is_for_in_order_data() {
    let mut budget = Budget::new(8 * BLOCK_SIZE);
    let mut out = Vec::new();
    while let Some(block) = budget.take(Purpose::Send) {
        out.push(block);
    }
    assert_eq!(out.len(), 6);
    assert!(budget.under_pressure());
    assert!(budget.take(Purpose::Hole).is_none());
    out.extend(budget.take(Purpose::InOrder));
    out.extend(budget.take(Purpose::InOrder));
    assert_eq!(out.len(), 8);
    assert!(budget.take(Purpose::InOrder).is_none());
    assert_eq!((budget.used(), budget.refused()), (8 * BLOCK_SIZE, 3));
    out.drain(..).for_each(|block| budget.give(block));
    assert_eq!(budget.used(), 0);
    assert!(!budget.under_pressure());
}

#[test]
fn a_block_given_back_is_the_next_one_out() {
    let mut budget = Budget::new(1 << 20);
    let mut block = budget.take(Purpose::Send).expect("there is room");
    block[0] = 7;
    budget.give(block);
    assert_eq!(budget.take(Purpose::Send).expect("there is room")[0], 7);
}
