use client::message::Message;
use tcp::Instant;

use super::*;

const fn id(number: u32) -> MessageId {
    MessageId { from: 1, to: 2, number }
}

fn happened(client: usize, session: u32, what: Experience) -> Happened {
    Happened { at: Instant::ZERO, client, session, what }
}

fn wrote(number: u32) -> Happened {
    happened(1, 1, Experience::Wrote { id: id(number).to_string() })
}

fn acknowledged(number: u32) -> Happened {
    happened(1, 1, Experience::Acknowledged { id: id(number).to_string() })
}

fn arrived(number: u32, session: u32) -> Happened {
    let message = Message {
        from: "10001@localhost/a".into(),
        to: None,
        id: Some(id(number).to_string()),
        body: id(number).body(),
        delayed: None,
        stanza_id: None,
    };
    happened(2, session, Experience::Arrived(message))
}

fn oracle(all: &[Happened]) -> Result<Oracle, Violation> {
    let mut oracle = Oracle::default();
    all.iter().try_for_each(|one| oracle.hear(one))?;
    Ok(oracle)
}

#[test]
fn what_is_acknowledged_is_awaited_until_it_comes() {
    let lost = oracle(&[wrote(1), acknowledged(1)]).expect("nothing wrong yet");
    assert_eq!(lost.finish(), Err(Violation::Lost(vec![id(1)])));
    assert!(!lost.is_content());
    for order in [[wrote(1), acknowledged(1), arrived(1, 1)], [wrote(1), arrived(1, 1), acknowledged(1)]] {
        assert_eq!(oracle(&order).expect("in order").finish(), Ok(()));
    }
    let unknown = oracle(&[wrote(1)]).expect("nothing wrong");
    assert_eq!(unknown.finish(), Ok(()), "what nobody acknowledged may be lost");
    let bounced = happened(1, 1, Experience::Bounced { id: id(1).to_string(), why: "full".into() });
    assert_eq!(oracle(&[wrote(1), acknowledged(1), bounced]).expect("told").finish(), Ok(()));
}

#[test]
fn a_repeat_needs_a_session_of_its_own() {
    let twice = oracle(&[wrote(1), arrived(1, 1), arrived(1, 1)]);
    assert_eq!(twice.err(), Some(Violation::Twice { id: id(1), session: 1 }));
    let again = oracle(&[wrote(1), arrived(1, 1), arrived(1, 2)]).expect("a repeat");
    assert_eq!(again.counts(), [1, 0, 1, 1, 0]);
}

#[test]
fn a_later_one_must_not_overtake() {
    let overtaken = oracle(&[wrote(1), wrote(2), arrived(2, 1), arrived(1, 1)]);
    assert_eq!(overtaken.err(), Some(Violation::Disorder { id: id(1), after: 2 }));
    assert!(oracle(&[wrote(1), wrote(2), arrived(2, 1)]).is_ok(), "a lost one leaves a gap");
    let repeat = [wrote(1), wrote(2), arrived(1, 1), arrived(2, 1), arrived(1, 2), arrived(2, 2)];
    assert!(oracle(&repeat).is_ok(), "repeats follow in their order");
}

#[test]
fn what_nobody_wrote_is_found() {
    assert!(matches!(oracle(&[arrived(1, 1)]), Err(Violation::Foreign { .. })));
    let mut changed = arrived(1, 1);
    let Experience::Arrived(message) = &mut changed.what else { unreachable!("made so") };
    message.body.push('!');
    assert!(matches!(oracle(&[wrote(1), changed]), Err(Violation::Foreign { .. })));
    let mut astray = arrived(1, 1);
    astray.client = 3;
    assert!(matches!(oracle(&[wrote(1), astray]), Err(Violation::Foreign { .. })));
}
