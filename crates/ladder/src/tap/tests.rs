use super::*;

/// A segment of 10.0.0.2:1000 to 10.0.0.1:5222, or back.
pub(crate) fn segment(sent: bool, seq: u32, ack: u32, flags: u8, len: usize) -> Vec<u8> {
    let mut frame = vec![0x45, 0];
    frame.extend((40 + len as u16).to_be_bytes());
    frame.extend([0, 0, 0, 0, 64, 6, 0, 0]);
    let (us, them) = (([10, 0, 0, 1], 5222_u16), ([10, 0, 0, 2], 1000_u16));
    let (from, to) = if sent { (us, them) } else { (them, us) };
    frame.extend(from.0);
    frame.extend(to.0);
    frame.extend(from.1.to_be_bytes());
    frame.extend(to.1.to_be_bytes());
    frame.extend(seq.to_be_bytes());
    frame.extend(ack.to_be_bytes());
    frame.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    frame.resize(frame.len() + len, b'.');
    frame
}

const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const SYN_ACK: u8 = 0x12;
const ACK: u8 = 0x10;
const PSH_ACK: u8 = 0x18;
const FIN_ACK: u8 = 0x11;

fn tapped(ms: u64, sent: bool, state: State, octets: &[u8]) -> Tapped<'_> {
    let (time, len) = (Duration::from_millis(ms), octets.len() as u32);
    Tapped { time, sent, state: Some(state), len, octets }
}

#[test]
fn this_end_s_states_are_those_told_and_numbers_count_from_what_was_not_drawn() {
    let mut tap = Tap::new(Vec::new(), Format::Text, LadderOptions::default(), "exchange", "client");
    let talk = segment(false, 700, 90, PSH_ACK, 100);
    tap.push_unseen(&tapped(1000, false, State::Established, &talk)).unwrap();
    let answer = segment(true, 90, 800, ACK, 0);
    tap.push_unseen(&tapped(1001, true, State::Established, &answer)).unwrap();
    let fin = segment(false, 800, 90, FIN_ACK, 0);
    tap.push(&tapped(1500, false, State::CloseWait, &fin)).unwrap();
    let text = String::from_utf8(tap.finish().unwrap().unwrap()).unwrap();
    assert!(text.contains("exchange 10.0.0.1:5222") && text.contains("client 10.0.0.2:1000"), "{text}");
    assert!(text.contains("FIN+ACK seq 101") && !text.contains("PSH"), "{text}");
    assert!(text.contains("CLOSE-WAIT") && text.contains("0.500"), "{text}");
    assert!(
        text.contains("FIN-WAIT-1") && !text.contains("CLOSED"),
        "the far end was open too: it talked\n{text}"
    );
}

/// The client's port is the lower one, so that whoever meets the conversation in its middle takes the exchange for the one that opened.
/// When the client comes again it shows that it was the other way round; the sides stay all the same, and so does the clock.
#[test]
fn a_second_connection_keeps_the_sides_and_the_clock_of_the_first() {
    let mut tap = Tap::new(Vec::new(), Format::Json, LadderOptions::default(), "exchange", "client");
    let passes: [(u64, bool, State, u32, u32, u8, usize); 6] = [
        (1000, false, State::Established, 700, 90, PSH_ACK, 10),
        (1100, true, State::Closed, 90, 0, RST, 0),
        (3000, false, State::SynReceived, 5000, 0, SYN, 0),
        (3000, true, State::SynReceived, 6000, 5001, SYN_ACK, 0),
        (3010, false, State::Established, 5001, 6001, ACK, 0),
        (3020, false, State::Established, 5001, 6001, PSH_ACK, 10),
    ];
    for (ms, sent, state, seq, ack, flags, len) in passes {
        let octets = segment(sent, seq, ack, flags, len);
        tap.push(&tapped(ms, sent, state, &octets)).unwrap();
    }
    let text = String::from_utf8(tap.finish().unwrap().unwrap()).unwrap();
    let shown: Vec<String> = text
        .lines()
        .filter_map(|line| {
            let at = line.split_once("\"time\":")?.1.split(',').next()?;
            let from = line.split_once("\"from\":\"")?.1.split('"').next()?;
            Some(format!("{from} {at}"))
        })
        .collect();
    assert!(text.contains(r#""left":"exchange 10.0.0.1:5222","right":"client 10.0.0.2:1000""#), "{text}");
    let expected = [
        "right 0.000000000",
        "left 0.100000000",
        "right 2.000000000",
        "left 2.000000000",
        "right 2.010000000",
        "right 2.020000000",
    ];
    assert_eq!(shown, expected, "{text}");
}

/// What is told is the state after a packet: before a SYN that it answers, this end was not in SYN-RECEIVED yet.
#[test]
fn the_state_before_a_syn_or_a_fin_is_not_the_one_after_it() {
    let first = |octets: &[u8], state| {
        let mut tap = Tap::new(Vec::new(), Format::Text, LadderOptions::default(), "exchange", "client");
        tap.push(&tapped(1000, false, state, octets)).unwrap();
        String::from_utf8(tap.finish().unwrap().unwrap()).unwrap()
    };
    let cases = [
        (SYN, "SYN", State::SynReceived, "SYN-RECEIVED", true),
        (FIN_ACK, "FIN+ACK", State::CloseWait, "CLOSE-WAIT", true),
        (ACK, "ACK", State::FinWait2, "FIN-WAIT-2", false),
    ];
    for (flags, arrow, state, name, changes) in cases {
        let drawn = first(&segment(false, 700, 90, flags, 0), state);
        let line = |what: &str| drawn.lines().position(|line| line.contains(what));
        let (drawn_at, told_at) = (line(arrow).expect("it is drawn"), line(name));
        // Told beside the packet's arrival at the earliest, or at the head of the picture.
        assert_eq!(told_at.is_some_and(|told| told < drawn_at), !changes, "{drawn}");
    }
    let drawn = first(&segment(false, 700, 90, RST, 0), State::Closed);
    let head = drawn.lines().take_while(|line| !line.contains("RST"));
    assert!(!head.collect::<String>().contains("CLOSED"), "{drawn}");
}

#[test]
fn where_nothing_passed_nothing_is_drawn() {
    let mut tap = Tap::new(Vec::new(), Format::Svg, LadderOptions::default(), "a", "b");
    tap.push(&tapped(0, true, State::Closed, b"no packet")).unwrap();
    assert_eq!(tap.finish().unwrap(), Some(Vec::new()));
}
