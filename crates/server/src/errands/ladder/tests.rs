use tcp::{Instant, State};
use xmpp::stanza::Stanza;

use super::*;
use crate::network::trace::Traced;

/// The `number`th segment of a client at 10.0.0.2:1000 that says 100 octets each time.
fn said(number: u64) -> TracedFrame {
    let mut octets = vec![0x45, 0, 0, 140, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 2, 10, 0, 0, 1];
    octets.extend(1000_u16.to_be_bytes());
    octets.extend(5222_u16.to_be_bytes());
    octets.extend((number as u32 * 100 + 1).to_be_bytes());
    octets.extend([0, 0, 0, 9, 0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0]);
    octets.resize(140, b's');
    let at = Instant::from_nanos(5_000_000_000 + number * 1_000_000);
    TracedFrame { number, at, sent: false, state: Some(State::Established), len: 140, octets }
}

fn traced(count: u64) -> Answer {
    Answer::Watched(Traced { frames: (0..count).map(said).collect(), next: count, lost: 0 })
}

/// What an answer says: its attributes shown and cursor, and its picture.
fn answer(after: u64, shown: &Answer) -> (Option<String>, Option<String>, String) {
    let mut out = Vec::new();
    write(4711, after, shown, &mut out).unwrap();
    assert!(out.len() <= ANSWER_MAX);
    let stanza = format!("<iq xmlns='jabber:client'>{}</iq>", String::from_utf8(out).unwrap());
    let iq = Stanza::parse(stanza.as_bytes()).unwrap();
    let trace = iq.child("trace", ns::LINES).unwrap();
    assert_eq!(trace.attr("line").as_deref(), Some("4711"));
    let attr = |name| trace.attr(name).map(|value| value.into_owned());
    (attr("shown"), attr("cursor"), trace.text().into_owned())
}

#[test]
fn the_latest_packets_are_drawn_and_those_before_count() {
    let (shown, cursor, svg) = answer(0, &traced(100));
    assert_eq!((shown.as_deref(), cursor.as_deref()), (Some("true"), Some("100")));
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{svg}");
    assert_eq!(svg.matches("PSH").count(), STEPS_MAX);
    assert!(svg.contains(">4001<") && !svg.contains(">3901<"), "numbers count from the first\n{svg}");
    assert!(svg.contains(">0.040000<"), "so do times\n{svg}");
    assert!(svg.contains("exchange 10.0.0.1:5222") && svg.contains("ESTABLISHED"), "{svg}");
    assert!(!svg.contains("sss"), "what was said is not shown");
}

#[test]
fn who_has_seen_it_all_gets_no_picture_and_who_has_not_does() {
    assert_eq!(answer(100, &traced(100)), (Some("true".into()), Some("100".into()), String::new()));
    assert!(!answer(99, &traced(100)).2.is_empty());
    assert_eq!(answer(0, &traced(0)).2, "", "nothing has passed yet");
}

#[test]
fn what_cannot_be_shown_is_said() {
    assert_eq!(answer(0, &Answer::Hidden), (Some("false".into()), None, String::new()));
    let full = write(1, 0, &Answer::Full, &mut Vec::new());
    assert_eq!(full, Err(StanzaCondition::ResourceConstraint));
}

/// The dearest steps: each of another state, with every mark, option and number at its longest.
#[test]
fn a_full_picture_fits_a_stanza() {
    let mut frames: Vec<TracedFrame> = (0..STEPS_MAX as u64).map(said).collect();
    for (at, frame) in frames.iter_mut().enumerate() {
        // Three SACK blocks and a timestamp: 40 octets of options.
        frame.octets[32] = 0xf0;
        let mut options = vec![1, 1, 5, 26];
        options.extend((0..24_u8).map(|octet| octet.wrapping_mul(9).wrapping_add(at as u8)));
        options.extend([1, 1, 8, 10, 255, 255, 255, 255, 255, 255, 255, 255]);
        frame.octets.splice(40..80, options);
        frame.octets[24..28].copy_from_slice(&(u32::MAX / 3 * (at as u32 % 3)).to_be_bytes());
        frame.state = Some(if at % 2 == 0 { State::FinWait1 } else { State::FinWait2 });
    }
    let traced = Traced { frames, next: STEPS_MAX as u64, lost: 0 };
    let (_, _, svg) = answer(0, &Answer::Watched(traced));
    assert_eq!(svg.matches("PSH").count(), STEPS_MAX, "none had to be left out");
}
