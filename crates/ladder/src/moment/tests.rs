use super::*;
use crate::mark::Mark;
use wire::tcp::{Flags, Header};

fn data(at: u64, arrives: u64, seq: u32) -> Item {
    let header = Header { seq, ack: 1, flags: Flags::ACK, window: 500, ..Header::default() };
    let packet = Packet::Segment { header, len: 100 };
    let passage = Passage::Arrived(Duration::from_millis(arrives));
    Item::Step(Step { passage, ..Step::seen(Side::Left, Duration::from_millis(at), packet) })
}

fn narrate(items: Vec<Item>) -> Vec<Moment> {
    let mut narrator = Narrator::new(Vantage::BothEnds, [None; 2]);
    let mut out = Vec::new();
    items.into_iter().for_each(|item| narrator.push(item, &mut out));
    narrator.finish(&mut out);
    out
}

/// What happens, in short.
fn words(moments: &[Moment]) -> Vec<String> {
    let word = |moment: &Moment| match moment {
        Moment::Sent(sent) => format!("sent {}", sent.id),
        Moment::Arrived(arrived) => {
            let late = if arrived.marks.has(Mark::OutOfOrder) { " late" } else { "" };
            format!("arrived {}{late}", arrived.id)
        }
        Moment::Event { what, .. } => what.clone(),
        Moment::Note(text) => text.clone(),
    };
    moments.iter().map(word).collect()
}

#[test]
fn moments_come_in_the_order_of_time_and_arrivals_first() {
    let note = Item::Note { at: Duration::from_millis(20), text: "note".to_owned() };
    let moments = narrate(vec![data(0, 20, 1), data(5, 30, 101), note, data(20, 25, 201)]);
    let expected = ["sent 0", "sent 1", "arrived 0", "note", "sent 2", "arrived 2", "arrived 1 late"];
    assert_eq!(words(&moments), expected);
}

#[test]
fn what_is_lost_never_arrives() {
    let mut items = vec![data(0, 20, 1)];
    if let Item::Step(step) = &mut items[0] {
        step.passage = Passage::Lost("lost".to_owned());
        step.note = Some("why".to_owned());
    }
    assert_eq!(words(&narrate(items)), ["sent 0", "why"]);
}

#[test]
fn a_stack_that_knows_its_state_is_believed() {
    let mut items = vec![data(0, 20, 1)];
    if let Item::Step(step) = &mut items[0] {
        step.sender = Some(State::CloseWait);
        step.receiver = Some(State::FinWait2);
    }
    let states: Vec<_> = narrate(items)
        .into_iter()
        .filter_map(|moment| match moment {
            Moment::Sent(sent) => sent.standing,
            Moment::Arrived(arrived) => arrived.standing,
            _ => None,
        })
        .map(|standing| standing.state)
        .collect();
    assert_eq!(states, [State::CloseWait, State::FinWait2]);
}

#[test]
fn what_is_under_way_is_bounded() {
    let mut narrator = Narrator::new(Vantage::BothEnds, [None; 2]);
    let mut out = Vec::new();
    for n in 0..UNDER_WAY_MAX as u64 + 10 {
        narrator.push(data(n, 10_000_000, 1), &mut out);
        assert!(narrator.under_way.len() <= UNDER_WAY_MAX);
    }
    let arrived = out.iter().filter(|moment| matches!(moment, Moment::Arrived(_))).count();
    assert_eq!(arrived, 10);
}
