use super::*;
use crate::item::Side::{Left, Right};

const SYN: Flags = Flags::SYN;
const ACK: Flags = Flags::ACK;
const RST: Flags = Flags::RST;

fn synack() -> Flags {
    SYN | ACK
}

fn fin() -> Flags {
    Flags::FIN | ACK
}

/// `(from, flags, seq, ack, len)`.
type Seg = (Side, Flags, u32, u32, u32);

const OPEN: [Seg; 3] =
    [(Left, SYN, 100, 0, 0), (Right, Flags::from_bits(0x12), 300, 101, 0), (Left, ACK, 101, 301, 0)];

fn course(segments: &[Seg]) -> (Opening, Ending) {
    let mut course = Course::default();
    segments
        .iter()
        .for_each(|(from, flags, seq, ack, len)| course.on_segment(*from, *seq, *ack, *flags, *len));
    (course.opening(), course.ending())
}

#[test]
fn how_it_opened_and_ended() {
    use Ending::*;
    let after_open = |rest: &[Seg]| [&OPEN[..], rest].concat();
    let table: [(&str, Vec<Seg>, Opening, Ending); 14] = [
        ("open", OPEN.to_vec(), Opening::ThreeWay, StillOpen),
        ("no answer", vec![OPEN[0], OPEN[0]], Opening::NoAnswer, NotOpened),
        ("refused", vec![OPEN[0], (Right, RST | ACK, 0, 101, 0)], Opening::Refused, NotOpened),
        ("unfinished", OPEN[..2].to_vec(), Opening::Unfinished, NotOpened),
        (
            "simultaneous",
            vec![
                OPEN[0],
                (Right, SYN, 300, 0, 0),
                (Left, synack(), 100, 301, 0),
                (Right, synack(), 300, 101, 0),
            ],
            Opening::Simultaneous,
            StillOpen,
        ),
        ("before", vec![(Left, ACK, 500, 700, 10)], Opening::Midstream, StillOpen),
        (
            "four",
            after_open(&[
                (Left, fin(), 101, 301, 0),
                (Right, ACK, 301, 102, 0),
                (Right, fin(), 301, 102, 0),
                (Left, ACK, 102, 302, 0),
            ]),
            Opening::ThreeWay,
            FourSegments,
        ),
        (
            "three",
            after_open(&[(Left, fin(), 101, 301, 0), (Right, fin(), 301, 102, 0), (Left, ACK, 102, 302, 0)]),
            Opening::ThreeWay,
            ThreeSegments,
        ),
        (
            "crossed",
            after_open(&[
                (Left, fin(), 101, 301, 0),
                (Right, fin(), 301, 101, 0),
                (Left, ACK, 102, 302, 0),
                (Right, ACK, 302, 102, 0),
            ]),
            Opening::ThreeWay,
            Simultaneous,
        ),
        (
            "half",
            after_open(&[(Right, fin(), 301, 101, 5), (Left, ACK, 101, 307, 0)]),
            Opening::ThreeWay,
            HalfClosed(Right),
        ),
        (
            "last missing",
            after_open(&[(Left, fin(), 101, 301, 0), (Right, fin(), 301, 102, 0)]),
            Opening::ThreeWay,
            LastAckMissing,
        ),
        ("reset", after_open(&[(Right, RST, 301, 0, 0)]), Opening::ThreeWay, Reset(Right)),
        ("reset half way", vec![OPEN[0], OPEN[1], (Left, RST, 101, 0, 0)], Opening::Unfinished, Reset(Left)),
        (
            "a RST long after the end changes nothing",
            after_open(&[
                (Left, fin(), 101, 301, 0),
                (Right, fin(), 301, 102, 0),
                (Left, ACK, 102, 302, 0),
                (Left, RST, 102, 0, 0),
            ]),
            Opening::ThreeWay,
            ThreeSegments,
        ),
    ];
    for (name, segments, opening, ending) in table {
        assert_eq!(course(&segments), (opening, ending), "{name}");
    }
}
