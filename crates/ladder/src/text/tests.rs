#[path = "../../../../tests/ladders/golden.rs"]
mod golden;

use super::*;
use crate::analysis::Vantage;
use crate::item::{Event, Item, Packet, Passage, Side, Step};
use crate::mark::Mark;
use crate::state::State;
use crate::{Format, Ladder, LadderOptions};
use wire::tcp::{Flags, Header, TcpOptions};

const ISS: [u32; 2] = [4_294_967_290, 7_000];

/// A segment with numbers relative to the ISNs; acknowledgment zero: none.
fn segment(from: Side, flags: Flags, seq: u32, ack: u32, len: u32) -> Packet {
    let base = ISS[from.index()];
    let peer = ISS[from.other().index()];
    let flags = if ack > 0 { flags | Flags::ACK } else { flags };
    let options = if flags.syn() {
        TcpOptions { mss: Some(1460), sack_permitted: true, window_scale: Some(7), ..TcpOptions::NONE }
    } else {
        TcpOptions::NONE
    };
    let header = Header {
        seq: base.wrapping_add(seq),
        ack: if ack > 0 { peer.wrapping_add(ack) } else { 0 },
        flags,
        window: 502,
        options,
        ..Header::default()
    };
    Packet::Segment { header, len }
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn step(from: Side, at: u64, passage: Passage, packet: Packet) -> Item {
    Item::Step(Step { passage, ..Step::seen(from, ms(at), packet) })
}

fn arrives(from: Side, at: u64, packet: Packet) -> Item {
    step(from, at, Passage::Arrived(ms(at + 10)), packet)
}

fn hosts() -> Hosts {
    Hosts {
        names: ["client 10.0.0.1:40000".into(), "server 10.0.0.2:80".into()],
        states: [Some(State::Closed), Some(State::Listen)],
        time_wait: Some(Duration::from_secs(60)),
    }
}

fn draw(items: Vec<Item>, vantage: Vantage, text: TextOptions) -> String {
    draw_as(Format::Text, items, vantage, text)
}

fn draw_as(format: Format, items: Vec<Item>, vantage: Vantage, text: TextOptions) -> String {
    let options = LadderOptions { vantage, text };
    let mut ladder = Ladder::new(Vec::new(), format, hosts(), options).expect("a Vec takes all");
    for item in items {
        ladder.push(item).expect("a Vec takes all");
    }
    String::from_utf8(ladder.finish().expect("a Vec takes all")).expect("text")
}

/// A conversation with a loss, a burst, crossing FINs and the wait.
fn conversation() -> Vec<Item> {
    use Side::{Left, Right};
    let none = Flags::NONE;
    vec![
        Item::Event(Event { at: ms(0), side: Left, what: "connect()".into(), state: None, note: None }),
        step(Left, 0, Passage::Lost("lost".into()), segment(Left, Flags::SYN, 0, 0, 0)),
        Item::Note { at: ms(0), text: "SYN is a flag; the number is the initial sequence number. Nobody answers a SYN that is lost, so it is sent again.".into() },
        arrives(Left, 1000, segment(Left, Flags::SYN, 0, 0, 0)),
        arrives(Right, 1010, segment(Right, Flags::SYN, 0, 1, 0)),
        arrives(Left, 1020, segment(Left, none, 1, 1, 0)),
        arrives(Left, 1020, segment(Left, none, 1, 1, 1460)),
        arrives(Left, 1021, segment(Left, none, 1461, 1, 1460)),
        arrives(Left, 1022, segment(Left, Flags::PSH, 2921, 1, 1460)),
        arrives(Right, 1031, segment(Right, none, 1, 2921, 0)),
        arrives(Right, 1032, segment(Right, none, 1, 4381, 0)),
        arrives(Left, 1100, segment(Left, Flags::FIN, 4381, 1, 0)),
        arrives(Right, 1104, segment(Right, Flags::FIN, 1, 4381, 0)),
        arrives(Right, 1110, segment(Right, none, 2, 4382, 0)),
        arrives(Left, 1114, segment(Left, none, 4382, 2, 0)),
        Item::Event(Event { at: ms(61120), side: Left, what: "2*MSL are over".into(), state: Some(State::Closed), note: None }),
        Item::Event(Event { at: ms(61124), side: Right, what: "2*MSL are over".into(), state: Some(State::Closed), note: None }),
    ]
}

fn seen_once() -> Vec<Item> {
    let seen = conversation().into_iter().filter_map(|item| match item {
        Item::Step(step) => Some(Item::Step(Step { passage: Passage::SeenOnce, ..step })),
        _ => None,
    });
    seen.collect()
}

#[test]
fn a_conversation_as_both_ends_see_it() {
    golden::check("drawn/both-ends.txt", &draw(conversation(), Vantage::BothEnds, TextOptions::default()));
}

#[test]
fn the_same_narrow_and_in_ascii() {
    let options = TextOptions { ascii: true, width: 80, ..TextOptions::default() };
    let drawn = draw(conversation(), Vantage::BothEnds, options);
    assert!(drawn.is_ascii(), "{drawn}");
    golden::check("drawn/ascii.txt", &drawn);
}

#[test]
fn the_same_as_a_capture_shows_it() {
    golden::check("drawn/capture.txt", &draw(seen_once(), Vantage::Capture, TextOptions::default()));
}

#[test]
fn no_line_is_wider_than_asked_for_and_every_arrow_has_its_head() {
    for columns in WIDTH_MIN..=WIDTH_MAX {
        for absolute in [false, true] {
            let label = LabelOptions { absolute, hide_lengths: false };
            let options = TextOptions { width: columns, label, ..TextOptions::default() };
            for (items, vantage) in [(conversation(), Vantage::BothEnds), (seen_once(), Vantage::Capture)] {
                let packets = items.iter().filter(|item| matches!(item, Item::Step(_))).count();
                let drawn = draw(items, vantage, options);
                let widest = drawn.lines().map(width).max();
                assert!(widest <= Some(columns), "{columns}: {drawn}");
                let heads = drawn.matches(['►', '◄']).count();
                let lost = drawn.matches('╳').count();
                assert_eq!(heads + lost, packets, "{columns}:\n{drawn}");
            }
        }
    }
}

#[test]
fn colour_changes_nothing_but_colour() {
    let coloured =
        draw(conversation(), Vantage::BothEnds, TextOptions { colour: true, ..TextOptions::default() });
    assert!(coloured.contains("\x1b["));
    let mut plain = String::new();
    let mut rest = coloured.as_str();
    while let Some(at) = rest.find("\x1b[") {
        plain.push_str(&rest[..at]);
        let end = rest[at..].find('m').expect("an escape sequence ends");
        rest = &rest[at + end + 1..];
    }
    plain.push_str(rest);
    assert_eq!(plain, draw(conversation(), Vantage::BothEnds, TextOptions::default()));
}

#[test]
fn what_others_wrote_commands_no_terminal() {
    let says = Some("\x1b[31mred\u{7}\u{202e}".to_owned());
    let datagram = Item::Step(Step::seen(Side::Left, ms(0), Packet::Datagram { len: 9, says }));
    let drawn = draw(vec![datagram], Vantage::Capture, TextOptions::default());
    assert!(drawn.chars().all(|c| c == '\n' || !c.is_control()), "{drawn:?}");
    assert!(!drawn.contains('\u{202e}'));
    assert!(drawn.contains("UDP len 9 \"[31mred\""), "{drawn}");
}

#[test]
fn spans_have_three_digits() {
    let cases = [
        (15, "15 us"),
        (1_500, "1.5 ms"),
        (250_000, "250 ms"),
        (59_960_000, "60.0 s"),
        (7_200_000_000, "2.0 h"),
    ];
    for (micros, words) in cases {
        assert_eq!(span_words(Duration::from_micros(micros)), words);
    }
}

#[test]
fn the_same_in_the_other_formats() {
    for (name, format) in Format::ALL {
        if format != Format::Text {
            let drawn = draw_as(format, conversation(), Vantage::BothEnds, TextOptions::default());
            golden::check(&format!("drawn/both-ends.{name}"), &drawn);
        }
    }
}

/// Rounded times as `format!` writes them.
#[test]
fn a_time_is_to_the_right_of_its_column() {
    let times = [
        0,
        1,
        499_999_999,
        500_000_000,
        999_499_999,
        999_500_000,
        999_999_999_999,
        1_234_567_890_123_456_789,
    ];
    for decimals in [0, 1, 3, 6, 9, 12] {
        for nanos in times {
            let options = TextOptions { decimals, ..TextOptions::default() };
            let ladder = TextLadder::new(Vec::new(), hosts(), options);
            let mut line = Line::new(60);
            ladder.put_clock(&mut line, Duration::from_nanos(nanos));
            let mut out = Vec::new();
            line.render(false, &mut out);
            let shown = decimals.min(9);
            let unit = 10_u128.pow(9 - shown as u32);
            let (units, whole) = ((u128::from(nanos) + unit / 2) / unit, 10_u128.pow(shown as u32));
            let fraction = format!(".{:0>shown$}", units % whole);
            let words = format!("{}{}", units / whole, if shown > 0 { &fraction } else { "" });
            assert_eq!(String::from_utf8(out).expect("text"), format!("{words:>0$}\n", 5 + decimals));
        }
    }
}

#[test]
fn a_router_speaks_for_itself() {
    let says = Packet::Other("from a router: ICMP too big, mtu 1000".to_owned());
    let step = Step { forged: Some(Mark::FromRouter), ..Step::seen(Side::Right, ms(0), says) };
    let json = draw_as(Format::Json, vec![Item::Step(step)], Vantage::BothEnds, TextOptions::default());
    assert!(json.contains("\"marks\":[\"from-router\"]"), "{json}");
}
