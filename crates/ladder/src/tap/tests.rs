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

#[test]
fn where_nothing_passed_nothing_is_drawn() {
    let mut tap = Tap::new(Vec::new(), Format::Svg, LadderOptions::default(), "a", "b");
    tap.push(&tapped(0, true, State::Closed, b"no packet")).unwrap();
    assert_eq!(tap.finish().unwrap(), Some(Vec::new()));
}
