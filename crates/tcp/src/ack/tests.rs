use super::*;
use crate::testing::{ack as peer_ack, peer};
use wire::tcp::Flags;

/// RFC 5961 5.2: SND.UNA = 1000, SND.NXT = 1500, MAX.SND.WND = 300.
#[test]
fn where_an_acknowledgment_stands() {
    use AckPlace::*;
    for base in [0, u32::MAX - 1200] {
        let at = |seq: u32| SeqNum(base.wrapping_add(seq));
        for (ack, expected) in [
            (1000, Same),
            (1001, New(1)),
            (1500, New(500)),
            (1501, Unsent),
            (999, Old),
            (700, Old),
            (699, TooOld),
            (1500 + (1 << 30), Unsent),
        ] {
            assert_eq!(place(at(ack), at(1000), at(1500), 300), expected, "{ack}");
        }
    }
}

/// RFC 5681 section 2, each condition alone.
#[test]
fn what_a_duplicate_is() {
    let pure = peer_ack(1, 1);
    assert!(is_duplicate(&pure.arriving(), AckPlace::Same, true, false));
    assert!(!is_duplicate(&pure.arriving(), AckPlace::Same, false, false), "(a) nothing outstanding");
    assert!(!is_duplicate(&peer_ack(1, 1).octets(1).arriving(), AckPlace::Same, true, false), "(b) text");
    for flag in [Flags::SYN, Flags::FIN] {
        let seg = peer(Flags::ACK | flag, 1, 1);
        assert!(!is_duplicate(&seg.arriving(), AckPlace::Same, true, false), "(c) {flag}");
    }
    assert!(!is_duplicate(&pure.arriving(), AckPlace::New(1), true, false), "(d) something new");
    assert!(!is_duplicate(&pure.arriving(), AckPlace::Same, true, true), "(e) the window moved");
}
