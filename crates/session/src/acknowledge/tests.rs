//! XEP-0198's arithmetic, in any order and across the wrap.

use proptest::prelude::*;

use super::*;

/// An inbound count that starts just below the wrap.
fn near_wrap(below: u32) -> Inbound {
    let start = 0_u32.wrapping_sub(below);
    Inbound { received: start, processed: start, ahead: None }
}

#[test]
fn h_covers_what_is_processed_without_gaps() {
    let mut inbound = Inbound::default();
    let acknowledge = Acknowledge::new(0);
    let seqs: Vec<u32> = (0..4).map(|_| inbound.receive()).collect();
    assert_eq!(seqs, [1, 2, 3, 4]);
    inbound.process(2);
    assert_eq!(acknowledge.h(&inbound), 0, "the first is still on its way to the disk");
    inbound.process(1);
    assert_eq!(acknowledge.h(&inbound), 2);
    inbound.process(4);
    inbound.process(3);
    assert_eq!(acknowledge.h(&inbound), 4);
    assert!(inbound.ahead.is_none(), "nothing is held for a client that is up to date");
}

#[test]
fn an_answer_waits_for_what_was_sent_before_the_question() {
    let mut inbound = near_wrap(1);
    let mut acknowledge = Acknowledge::new(inbound.received());
    let (one, two) = (inbound.receive(), inbound.receive());
    acknowledge.on_request(&inbound);
    assert_eq!(acknowledge.take_answer(&inbound), None);
    inbound.process(one);
    assert_eq!(acknowledge.take_answer(&inbound), None);
    let three = inbound.receive();
    inbound.process(two);
    assert_eq!(acknowledge.take_answer(&inbound), Some(2), "the third came after the question");
    assert_eq!(acknowledge.take_answer(&inbound), None, "one answer");
    inbound.process(three);
}

#[test]
fn the_client_is_asked_once_until_it_answers() {
    let mut acknowledge = Acknowledge::new(0);
    assert!(acknowledge.on_sent(Now::default(), b"<a/>", Some(Tag(1))));
    assert!(!acknowledge.on_sent(Now::default(), b"<b/>", None));
    assert_eq!(acknowledge.on_answer(1), Ok(1));
    assert_eq!(acknowledge.pop_confirmed(), Some(Tag(1)));
    assert!(acknowledge.wants_to_ask(Instant::ZERO), "the second waits");
    assert!(!acknowledge.wants_to_ask(Instant::ZERO));
    assert_eq!(acknowledge.on_answer(3), Err(TooHigh { h: 3, sent: 2 }));
    assert_eq!(acknowledge.into_unacked().collect::<Vec<_>>(), [(b"<b/>".to_vec(), None)]);
}

proptest! {
    #[test]
    fn processed_in_any_order_h_is_the_longest_prefix(
        order in Just((1_u32..40).collect::<Vec<_>>()).prop_shuffle(), below in 0_u32..60,
    ) {
        let mut inbound = near_wrap(below);
        let base = inbound.received();
        let acknowledge = Acknowledge::new(base);
        for _ in &order {
            inbound.receive();
        }
        let mut done = std::collections::BTreeSet::new();
        for seq in order {
            inbound.process(base.wrapping_add(seq));
            done.insert(seq);
            let prefix = (1..).take_while(|seq| done.contains(seq)).count() as u32;
            prop_assert_eq!(acknowledge.h(&inbound), prefix);
        }
        prop_assert_eq!(inbound.in_flight(), 0);
        prop_assert!(inbound.ahead.is_none());
    }
}
