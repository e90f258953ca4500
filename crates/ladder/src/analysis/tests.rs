use super::*;
use crate::item::Side::{Left, Right};
use proptest::prelude::*;
use wire::tcp::{Flags, SackBlock, TcpOptions};

const ACK: Flags = Flags::ACK;

/// A segment: when in ms, from, flags, seq, ack, len, window.
type Seg = (u64, Side, Flags, u32, u32, u32, u16);

fn header(seg: &Seg) -> Header {
    Header { seq: seg.3, ack: seg.4, flags: seg.2, window: seg.6, ..Header::default() }
}

/// The marks of each segment.
fn marks(vantage: Vantage, segments: &[Seg]) -> Vec<Vec<Mark>> {
    let mut analysis = Analysis::new(vantage);
    let find = |seg: &Seg| {
        let found = analysis.on_segment(seg.1, Duration::from_millis(seg.0), &header(seg), seg.5);
        found.marks.iter().collect()
    };
    segments.iter().map(find).collect()
}

/// The last segment's.
fn last(segments: &[Seg]) -> Vec<Mark> {
    marks(Vantage::Capture, segments).pop().unwrap_or_default()
}

/// An open connection whose round trip is 10 ms: what follows begins with 101 and 301.
fn open() -> Vec<Seg> {
    vec![
        (0, Left, Flags::SYN, 100, 0, 0, 500),
        (10, Right, Flags::SYN | ACK, 300, 101, 0, 500),
        (10, Left, ACK, 101, 301, 0, 500),
    ]
}

fn after_open(rest: &[Seg]) -> Vec<Mark> {
    last(&[&open()[..], rest].concat())
}

#[test]
fn nothing_is_unusual_about_an_ordinary_conversation() {
    let talk = [
        &open()[..],
        &[
            (20, Left, ACK, 101, 301, 100, 500),
            (30, Right, ACK, 301, 201, 0, 500),
            (40, Right, ACK, 301, 201, 50, 500),
            (50, Left, ACK, 201, 351, 0, 500),
            (60, Left, Flags::FIN | ACK, 201, 351, 0, 500),
            (70, Right, Flags::FIN | ACK, 351, 202, 0, 500),
            (80, Left, ACK, 202, 352, 0, 500),
        ],
    ]
    .concat();
    assert_eq!(marks(Vantage::Capture, &talk), vec![Vec::new(); talk.len()]);
}

#[test]
fn what_is_sent_again_and_why() {
    let data = (20, Left, ACK, 101, 301, 100, 500);
    let again = |at| (at, Left, ACK, 101, 301, 100, 500);
    assert_eq!(after_open(&[data, again(300)]), [Mark::Retransmission]);
    let acked = (30, Right, ACK, 301, 201, 0, 500);
    assert_eq!(after_open(&[data, acked, again(300)]), [Mark::SpuriousRetransmission]);
    let says_again = |at| (at, Right, ACK, 301, 101, 0, 500);
    let lost_among =
        [data, (21, Left, ACK, 201, 301, 100, 500), says_again(30), says_again(31), says_again(32)];
    let mut soon = lost_among.to_vec();
    soon.push(again(33));
    assert_eq!(after_open(&soon), [Mark::FastRetransmission]);
    let mut late = lost_among.to_vec();
    late.push(again(333));
    assert_eq!(after_open(&late), [Mark::Retransmission]);
    assert_eq!(last(&[open()[0], (1000, Left, Flags::SYN, 100, 0, 0, 500)]), [Mark::Retransmission]);
}

#[test]
fn a_segment_that_was_missing_and_comes_soon_was_overtaken() {
    let gap = (20, Left, ACK, 201, 301, 100, 500);
    let late = |at| (at, Left, ACK, 101, 301, 100, 500);
    assert_eq!(after_open(&[gap]), [Mark::Gap]);
    assert_eq!(after_open(&[gap, late(22)]), [Mark::OutOfOrder]);
    assert_eq!(after_open(&[gap, late(50)]), [Mark::Retransmission], "later than a round trip");
    // It had been there before, so it was not missing.
    let first = (19, Left, ACK, 101, 301, 100, 500);
    assert_eq!(after_open(&[first, gap, late(22)]), [Mark::Retransmission]);
    // Who watches both ends knows what was sent in which order.
    let both = marks(Vantage::BothEnds, &[&open()[..], &[gap, late(22)]].concat());
    assert_eq!(both.last(), Some(&vec![Mark::Retransmission]));
}

#[test]
fn duplicate_acks_are_counted() {
    // The SYN+ACK had said 101 before.
    let dup = (30, Right, ACK, 301, 101, 0, 500);
    let gap = (20, Left, ACK, 201, 301, 100, 500);
    assert_eq!(after_open(&[gap, dup]), [Mark::DuplicateAck(1)]);
    assert_eq!(after_open(&[gap, dup, dup]), [Mark::DuplicateAck(2)]);
    let wider = (31, Right, ACK, 301, 101, 0, 900);
    assert_eq!(after_open(&[dup, wider]), [Mark::WindowUpdate]);
}

#[test]
fn windows_and_probes() {
    let full = (20, Left, ACK, 101, 301, 500, 500);
    assert_eq!(after_open(&[full]), [Mark::WindowFull]);
    let zero = (30, Right, ACK, 301, 601, 0, 0);
    assert_eq!(after_open(&[full, zero]), [Mark::ZeroWindow]);
    for probe in [(300, Left, ACK, 601, 301, 1, 500), (300, Left, ACK, 600, 301, 0, 500)] {
        assert_eq!(after_open(&[full, zero, probe]), [Mark::ZeroWindowProbe], "{probe:?}");
        assert_eq!(
            after_open(&[full, zero, probe, (310, Right, ACK, 301, 601, 0, 0)]),
            [Mark::ZeroWindowProbeAck]
        );
        assert_eq!(
            after_open(&[full, zero, probe, (310, Right, ACK, 301, 601, 0, 900)]),
            [Mark::WindowUpdate]
        );
    }
}

#[test]
fn keep_alives_and_their_answers() {
    let data = (20, Left, ACK, 101, 301, 10, 500);
    let acked = (30, Right, ACK, 301, 111, 0, 500);
    let probe = (7200, Left, ACK, 110, 301, 0, 500);
    assert_eq!(after_open(&[data, acked, probe]), [Mark::KeepAlive]);
    assert_eq!(after_open(&[data, acked, probe, (7210, Right, ACK, 301, 111, 0, 500)]), [Mark::KeepAliveAck]);
}

#[test]
fn challenges() {
    let talk = |forged: Seg| {
        let data = [(20, Left, ACK, 101, 301, 10, 500), (30, Right, ACK, 301, 111, 0, 500)];
        after_open(&[data[0], data[1], forged, (50, Left, ACK, 111, 301, 0, 500)])
    };
    assert_eq!(talk((40, Right, Flags::SYN, 9999, 0, 0, 500)), [Mark::ChallengeAck]);
    assert_eq!(talk((40, Right, Flags::RST, 350, 0, 0, 500)), [Mark::ChallengeAck], "in the window");
    // Far outside it is not even answered; the ACK is one of its own.
    assert!(!talk((40, Right, Flags::RST, 99_999, 0, 0, 500)).contains(&Mark::ChallengeAck));
}

#[test]
fn a_syn_ack_answers_a_syn_that_crossed_it() {
    let crossed = [
        (0, Left, Flags::SYN, 100, 0, 0, 500),
        (0, Right, Flags::SYN, 300, 0, 0, 500),
        (10, Left, Flags::SYN | ACK, 100, 301, 0, 500),
        (10, Right, Flags::SYN | ACK, 300, 101, 0, 500),
    ];
    assert_eq!(marks(Vantage::Capture, &crossed), vec![Vec::new(); 4]);
    assert_eq!(marks(Vantage::BothEnds, &crossed), vec![Vec::new(); 4]);
}

#[test]
fn numbers_count_from_the_isn_and_windows_are_scaled() {
    let mut analysis = Analysis::new(Vantage::Capture);
    let syn = |shift| TcpOptions { window_scale: Some(shift), ..TcpOptions::NONE };
    let mut see = |from, flags, seq: u32, ack, options, window| {
        let header = Header { seq, ack, flags, window, options, ..Header::default() };
        let found = analysis.on_segment(from, Duration::ZERO, &header, 0);
        (found.seq, found.ack, found.window, found.window_is_raw)
    };
    assert_eq!(
        see(Left, Flags::SYN, u32::MAX, 0, syn(7), 1000),
        (0, 0, 1000, false),
        "a SYN's is never scaled"
    );
    assert_eq!(see(Right, Flags::SYN | ACK, 300, 0, syn(2), 1000), (0, 1, 1000, false));
    assert_eq!(see(Left, ACK, 0, 301, TcpOptions::NONE, 500), (1, 1, 64_000, false));
    assert_eq!(see(Right, ACK, 301, 0, TcpOptions::NONE, 500), (1, 1, 2000, false));
}

#[test]
fn in_mid_stream_the_first_octet_seen_is_octet_one() {
    let mut analysis = Analysis::new(Vantage::Capture);
    let mut options = TcpOptions::NONE;
    options.sack.push(SackBlock { left: 900, right: 950 });
    let header = Header { seq: 5000, ack: 800, flags: ACK, window: 77, options, ..Header::default() };
    let found = analysis.on_segment(Left, Duration::ZERO, &header, 10);
    assert_eq!((found.seq, found.ack, found.window, found.window_is_raw), (1, 1, 77, true));
    assert_eq!(found.peer_base, SeqNum(799));
}

#[test]
fn a_new_incarnation_counts_from_its_own_isn() {
    let mut talk = open();
    talk.push((20, Left, Flags::FIN | ACK, 101, 301, 0, 500));
    talk.push((30, Right, Flags::FIN | ACK, 301, 102, 0, 500));
    talk.push((40, Left, ACK, 102, 302, 0, 500));
    talk.push((9000, Left, Flags::SYN, 7_000_000, 0, 0, 500));
    let mut analysis = Analysis::new(Vantage::Capture);
    let mut found = None;
    for seg in &talk {
        found = Some(analysis.on_segment(seg.1, Duration::from_millis(seg.0), &header(seg), seg.5));
    }
    let found = found.expect("there are segments");
    assert_eq!((found.seq, found.marks), (0, Marks::NONE));
}

/// A segment near the beginning of two small streams, so that numbers meet often; the windows are small too.
fn any_segment() -> impl Strategy<Value = (u64, bool, usize, u32, u32, u32, u16)> {
    (0..30_u64, any::<bool>(), 0..12_usize, 0..12_u32, 0..12_u32, 0..4_u32, 0..3_u16)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// The short way knows when it may be taken: whatever passes, it leads where the long one does.
    #[test]
    fn the_short_way_leads_where_the_long_one_does(
        segments in prop::collection::vec(any_segment(), 1..60),
        opened in any::<bool>(),
    ) {
        let (mut long, mut short) = (Analysis::new(Vantage::Capture), Analysis::new(Vantage::Capture));
        let mut taken = 0;
        let mut at = 0;
        let begin = if opened { open() } else { Vec::new() };
        let rest = segments.into_iter().map(|(wait, left, flags, seq, ack, len, window)| {
            // Mostly what talk is made of.
            let flags = [Flags::SYN, Flags::SYN | ACK, Flags::FIN | ACK, Flags::RST, ACK | Flags::PSH]
                .get(flags).copied().unwrap_or(ACK);
            let (side, seq, ack) = if left { (Left, 100 + seq, 300 + ack) } else { (Right, 300 + seq, 100 + ack) };
            (wait, side, flags, seq, ack, len, window)
        });
        for seg in begin.into_iter().chain(rest) {
            at += seg.0;
            let (time, header) = (Duration::from_millis(at), header(&seg));
            let found = long.on_segment(seg.1, time, &header, seg.5);
            let plain = Plain { seq: seg.3, ack: seg.4, flags: seg.2, window: seg.6, len: seg.5 };
            if short.on_next(seg.1, time, &plain) {
                prop_assert!(!found.marks.is_repeat(), "{seg:?} is {:?}", found.marks);
                taken += 1;
            } else {
                short.on_segment(seg.1, time, &header, seg.5);
            }
            prop_assert_eq!(long, short, "after {:?}, {} taken", seg, taken);
        }
    }
}

#[test]
fn an_ordinary_conversation_goes_the_short_way() {
    let mut analysis = Analysis::new(Vantage::Capture);
    for seg in open() {
        analysis.on_segment(seg.1, Duration::from_millis(seg.0), &header(&seg), seg.5);
    }
    let talk = [(Left, 101, 301, 100), (Right, 301, 201, 0), (Right, 301, 201, 50), (Left, 201, 351, 0)];
    for (from, seq, ack, len) in talk {
        let plain = Plain { seq, ack, flags: ACK, window: 500, len };
        assert!(analysis.on_next(from, Duration::from_millis(20), &plain), "{plain:?}");
    }
}

/// A server that gave up a handshake answers the next SYN as a new one: nothing is missing before its new number.
#[test]
fn an_answer_that_was_forgotten_is_given_anew_from_another_number() {
    let asked = (0, Left, Flags::SYN, 100, 0, 0, 500);
    let answered = |at, seq| (at, Right, Flags::SYN | ACK, seq, 101, 0, 500);
    let again = (63_000, Left, Flags::SYN, 100, 0, 0, 500);
    let talk = [asked, answered(10, 300), again, answered(63_010, 9000)];
    assert_eq!(last(&talk), [], "not a gap");
    let mut analysis = Analysis::new(Vantage::Capture);
    let found = talk.map(|seg| analysis.on_segment(seg.1, Duration::ZERO, &header(&seg), seg.5));
    assert_eq!(found[3].seq, 0, "it counts from the new number");
}
