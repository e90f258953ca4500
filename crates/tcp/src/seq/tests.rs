use super::{SackBlocks, SeqNum, SeqRange};
use proptest::prelude::*;

const HALF: u32 = 1 << 31;

#[test]
fn order_holds_across_the_wrap() {
    let last = SeqNum(u32::MAX);
    let first = SeqNum(0);
    assert!(last.before(first));
    assert!(first.after(last));
    assert_eq!(last + 1, first);
    assert_eq!(first - 1, last);
    assert_eq!(first - last, 1);
    assert_eq!(last.later(first), first);
    assert_eq!(last.earlier(first), last);
}

#[test]
fn within_covers_its_first_and_not_its_end() {
    let start = SeqNum(u32::MAX - 1);
    assert!(start.within(start, 4));
    assert!((start + 3).within(start, 4));
    assert!(!(start + 4).within(start, 4));
    assert!(!(start - 1).within(start, 4));
    assert!(!start.within(start, 0));
    assert!(!start.between(start, start));
}

#[test]
fn at_most_four_blocks_are_kept_in_their_order() {
    let mut blocks = SackBlocks::new();
    let range = |i: u32| SeqRange::new(SeqNum(i), SeqNum(i + 1));
    assert!((0..4).all(|i| blocks.push(range(i))));
    assert!(!blocks.push(range(4)));
    assert_eq!(blocks.as_slice(), [range(0), range(1), range(2), range(3)]);
}

proptest! {
    #[test]
    fn ranges_agree_with_counting_octets(base: u32, a in 0u32..50, la in 0u32..20, b in 0u32..50, lb in 1u32..20) {
        let range = |at: u32, len: u32| SeqRange::new(SeqNum(base) + at, SeqNum(base) + at + len);
        let (x, y) = (range(a, la), range(b, lb));
        let inside = |at: u32| at >= a && at < a + la;
        prop_assert_eq!(x.len(), la);
        prop_assert_eq!(x.overlaps(y), (b..b + lb).any(inside));
        prop_assert_eq!(x.covers(y), (b..b + lb).all(inside));
        prop_assert_eq!(x.contains(SeqNum(base) + b), inside(b));
        prop_assert_eq!(x.is_empty(), la == 0);
    }

    #[test]
    fn adding_moves_forward(raw: u32, len in 1..HALF) {
        let (a, b) = (SeqNum(raw), SeqNum(raw) + len);
        prop_assert!(a.before(b) && b.after(a) && !b.before(a) && !a.after(b));
        prop_assert!(a.at_or_before(b) && b.at_or_after(a) && a.at_or_before(a) && a.at_or_after(a));
        prop_assert_eq!(b - a, len);
        prop_assert_eq!(b.distance(a), len as i32);
        prop_assert_eq!(a.distance(b), -(len as i32));
        prop_assert_eq!(b - len, a);
        prop_assert_eq!(a.later(b), b);
        prop_assert_eq!(b.earlier(a), a);
    }

    #[test]
    fn exactly_one_of_before_equal_after(a: u32, b: u32) {
        // Points exactly opposite have no order that means anything.
        prop_assume!(a.wrapping_sub(b) != HALF);
        let (x, y) = (SeqNum(a), SeqNum(b));
        prop_assert_eq!(usize::from(x.before(y)) + usize::from(x == y) + usize::from(x.after(y)), 1);
    }

    #[test]
    fn comparison_does_not_depend_on_where_the_circle_is_cut(a: u32, len in 0..HALF, shift: u32) {
        let (x, y) = (SeqNum(a), SeqNum(a) + len);
        prop_assert_eq!(x.before(y), (x + shift).before(y + shift));
        prop_assert_eq!(x.between(y, y + 7), (x + shift).between(y + shift, y + shift + 7));
    }

    #[test]
    fn within_agrees_with_counting_octets(start: u32, len: u32, offset: u32) {
        let point = SeqNum(start) + offset;
        prop_assert_eq!(point.within(SeqNum(start), len), offset < len);
        prop_assert_eq!(point.between(SeqNum(start), SeqNum(start) + len), offset < len);
    }
}
