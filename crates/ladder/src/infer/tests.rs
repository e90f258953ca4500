use super::*;
use crate::item::Side::{Left, Right};
use wire::tcp::Flags;

/// Plays segments, `(from, flags, seq, ack, len)`, each arriving at once; says both states after each.
fn play(segments: &[(Side, Flags, u32, u32, u32)]) -> Vec<[State; 2]> {
    let mut inference = Inference::default();
    let step = |&(from, flags, seq, ack, len): &(Side, Flags, u32, u32, u32)| {
        let header = Header { seq, ack, flags, ..Header::default() };
        inference.on_sent(from, &header, len);
        inference.on_arrived(from, &header, len);
        Side::BOTH.map(|side| inference.state(side))
    };
    segments.iter().map(step).collect()
}

const SYN: Flags = Flags::SYN;
const ACK: Flags = Flags::ACK;
const RST: Flags = Flags::RST;

fn fin() -> Flags {
    Flags::FIN | ACK
}

fn opened() -> Vec<(Side, Flags, u32, u32, u32)> {
    vec![(Left, SYN, 100, 0, 0), (Right, SYN | ACK, 300, 101, 0), (Left, ACK, 101, 301, 0)]
}

#[test]
fn figure_6_three_way() {
    use State::*;
    assert_eq!(play(&opened()), [[SynSent, SynReceived], [Established, SynReceived], [Established; 2]]);
}

#[test]
fn figure_7_simultaneous_open() {
    use State::*;
    let states = play(&[
        (Left, SYN, 100, 0, 0),
        // Taken to arrive at once, the first SYN meets a listener; the second shows that there was none.
        (Right, SYN, 300, 0, 0),
        (Left, SYN | ACK, 100, 301, 0),
        (Right, SYN | ACK, 300, 101, 0),
    ]);
    assert_eq!(states.last(), Some(&[Established, Established]));
}

#[test]
fn figure_12_four_segments() {
    use State::*;
    let mut talk = opened();
    talk.extend([
        (Left, fin(), 101, 301, 0),
        (Right, ACK, 301, 102, 0),
        (Right, fin(), 301, 102, 0),
        (Left, ACK, 102, 302, 0),
    ]);
    let after = [[FinWait1, CloseWait], [FinWait2, CloseWait], [TimeWait, LastAck], [TimeWait, Closed]];
    assert_eq!(play(&talk)[3..], after);
}

#[test]
fn three_segments() {
    use State::*;
    let mut talk = opened();
    talk.extend([(Left, fin(), 101, 301, 0), (Right, fin(), 301, 102, 0), (Left, ACK, 102, 302, 0)]);
    assert_eq!(play(&talk)[3..], [[FinWait1, CloseWait], [TimeWait, LastAck], [TimeWait, Closed]]);
}

#[test]
fn a_fin_beyond_missing_data_counts_when_it_is_acknowledged() {
    use State::*;
    let mut talk = opened();
    talk.extend([
        (Left, fin(), 111, 301, 0), // ten octets before it are missing
        (Right, ACK, 301, 101, 0),
        (Left, ACK, 101, 301, 10),
        (Right, ACK, 301, 112, 0),
    ]);
    let after =
        [[FinWait1, Established], [FinWait1, Established], [FinWait1, Established], [FinWait2, CloseWait]];
    assert_eq!(play(&talk)[3..], after);
}

#[test]
fn only_a_reset_that_is_in_order_is_believed() {
    use State::*;
    let mut talk = opened();
    talk.push((Left, RST, 150, 0, 0));
    assert_eq!(play(&talk).last(), Some(&[Closed, Established]));
    talk.push((Left, RST, 101, 0, 0));
    assert_eq!(play(&talk).last(), Some(&[Closed, Closed]));
}

#[test]
fn a_refusal() {
    use State::*;
    assert_eq!(play(&[(Left, SYN, 100, 0, 0), (Right, RST | ACK, 0, 101, 0)])[1], [Closed, Closed]);
}

#[test]
fn in_mid_stream_both_are_established() {
    assert_eq!(play(&[(Left, ACK, 5, 9, 100)]), [[State::Established; 2]]);
}
