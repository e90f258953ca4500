use proptest::prelude::*;
use wire::tcp::Flags;

use super::*;
use crate::testing::{Peer, ack};

const NXT: i64 = 1;

fn judged(peer: &Peer, wnd: u32) -> Acceptability {
    let seg = peer.arriving();
    judge(&seg, crate::testing::IRS + 1, wnd)
}

/// RFC 9293 table 6, row by row, each at its edges.
#[test]
fn the_four_cases() {
    use Acceptability::*;
    let rows = [
        // SEG.LEN = 0, RCV.WND = 0: SEG.SEQ = RCV.NXT
        (ack(NXT, 1), 0, Acceptable),
        (ack(NXT + 1, 1), 0, Beyond),
        (ack(NXT - 1, 1), 0, Old),
        // SEG.LEN = 0, RCV.WND > 0: RCV.NXT =< SEG.SEQ < RCV.NXT+RCV.WND
        (ack(NXT, 1), 10, Acceptable),
        (ack(NXT + 9, 1), 10, Acceptable),
        (ack(NXT + 10, 1), 10, Acceptable), // the edge itself: a full window's sender answers
        (ack(NXT + 11, 1), 10, Beyond),
        (ack(NXT - 1, 1), 10, Old),
        // SEG.LEN > 0, RCV.WND = 0: not acceptable, but its ACK is looked at where the window would open
        (ack(NXT, 1).octets(1), 0, ZeroWindow),
        (ack(NXT - 1, 1).octets(1), 0, Old),
        (ack(NXT + 1, 1).octets(1), 0, Beyond),
        (ack(NXT, 1).with(Flags::FIN), 0, ZeroWindow),
        // SEG.LEN > 0, RCV.WND > 0: one end inside
        (ack(NXT, 1).octets(10), 10, Acceptable),
        (ack(NXT + 9, 1).octets(10), 10, Acceptable),
        (ack(NXT + 10, 1).octets(1), 10, Beyond),
        (ack(NXT - 5, 1).octets(5), 10, Old),
        (ack(NXT - 5, 1).octets(6), 10, Acceptable),
        (ack(NXT - 5, 1).octets(5).with(Flags::FIN), 10, Acceptable),
        (ack(NXT - 5, 1).octets(50), 10, Acceptable), // covers the window
    ];
    for (peer, wnd, expected) in rows {
        assert_eq!(judged(&peer, wnd), expected, "{} +{} in {wnd}", peer.seq, peer.text.len());
    }
}

#[test]
fn trimming_keeps_what_lies_inside() {
    let nxt = crate::testing::IRS + 1;
    // seq, octets, FIN; window; where the kept text begins, its range in the segment, FIN kept
    let rows = [
        (1, 10, false, 100, 1, 0..10, false),
        (1, 10, true, 100, 1, 0..10, true),
        (1, 10, true, 11, 1, 0..10, true),
        (1, 10, true, 10, 1, 0..10, false), // the FIN lies beyond
        (1, 10, true, 5, 1, 0..5, false),
        (-4, 10, false, 100, 1, 5..10, false),
        (-4, 10, true, 100, 1, 5..10, true),
        (-4, 5, true, 100, 1, 5..5, true), // nothing but FIN is new
        (50, 100, false, 60, 50, 0..11, false),
        (1, 10, false, 0, 1, 0..0, false),
        (50, 10, true, 20, 50, 0..0, false), // all of it beyond (a FIN already stands at the edge)
    ];
    for (seq, octets, fin, wnd, at, range, fin_kept) in rows {
        let mut peer = ack(seq, 1).octets(octets);
        if fin {
            peer = peer.with(Flags::FIN);
        }
        let trimmed = trim(&peer.arriving(), nxt, wnd);
        assert_eq!(trimmed.text, range, "{seq} {octets} {wnd}");
        assert_eq!(trimmed.fin, fin_kept, "{seq} {octets} {wnd}");
        assert_eq!(trimmed.seq, crate::testing::IRS + at, "{seq} {octets} {wnd}");
        assert_eq!(trimmed.repeated.is_some(), seq < 1);
    }
}

proptest! {
    /// Octet by octet: an acceptable segment keeps exactly those of its octets that lie in the window.
    #[test]
    fn an_octet_is_kept_if_and_only_if_it_is_in_the_window(
        nxt: u32, ahead in -40i32..80, len in 0usize..60, fin: bool, wnd in 0u32..50,
    ) {
        let text = vec![0u8; len];
        let nxt = SeqNum(nxt);
        let seq = SeqNum(nxt.raw().wrapping_add_signed(ahead));
        let flags = if fin { Flags::ACK | Flags::FIN } else { Flags::ACK };
        let seg = Segment { seq, flags, text: &text, ..ack(0, 0).arriving() };
        let inside = |seq: SeqNum| seq.within(nxt, wnd);
        let any = (0..seg.len()).any(|i| inside(seq + i));
        match judge(&seg, nxt, wnd) {
            Acceptability::Acceptable if !seg.is_empty() => {
                prop_assert!(any);
                let trimmed = trim(&seg, nxt, wnd);
                for i in 0..len {
                    prop_assert_eq!(trimmed.text.contains(&i), inside(seq + i as u32), "octet {}", i);
                }
                prop_assert_eq!(trimmed.fin, fin && inside(seq + len as u32));
                if !trimmed.text.is_empty() {
                    prop_assert_eq!(trimmed.seq, seq + trimmed.text.start as u32);
                }
            }
            Acceptability::Acceptable => prop_assert!(inside(seq) || seq == nxt + wnd),
            _ => prop_assert!(!any),
        }
    }
}
