use super::*;
use crate::testing::{IRS, ISS, ack, line, peer};

/// RFC 9293 3.5.2, group 1, and 3.10.7.1.
#[test]
fn what_nobody_expects_is_answered_by_a_reset_that_its_sender_believes() {
    let answer = |peer: crate::testing::Peer| make_reset(&peer.arriving()).map(|seg| line(&seg, ISS, IRS));
    assert_eq!(answer(ack(5, 9).octets(3)).as_deref(), Some("R 9:9(0)"));
    // Without ACK: SEQ=0, ACK=SEG.SEQ+SEG.LEN, where SYN and FIN count.
    let reset = make_reset(&peer(Flags::SYN | Flags::FIN, 5, 0).octets(3).arriving()).expect("an answer");
    assert_eq!((reset.seq, reset.ack, reset.flags), (SeqNum(0), IRS + 10, Flags::RST | Flags::ACK));
    assert_eq!(answer(peer(Flags::RST, 5, 0)), None);
    assert_eq!(answer(peer(Flags::RST | Flags::ACK, 5, 1)), None);
}

/// RFC 5961 3.2: window 1000..1100.
#[test]
fn a_reset_is_believed_only_in_its_place() {
    for (seq, expected) in [
        (999, RstVerdict::Ignore),
        (1000, RstVerdict::Believe),
        (1001, RstVerdict::Challenge),
        (1099, RstVerdict::Challenge),
        (1100, RstVerdict::Ignore),
    ] {
        assert_eq!(judge_rst(SeqNum(seq), SeqNum(1000), 100), expected, "{seq}");
    }
    assert_eq!(judge_rst(SeqNum(7), SeqNum(7), 0), RstVerdict::Believe, "also while the window is shut");
}

#[test]
fn one_challenge_in_half_a_second() {
    let start = Instant::from_secs(1);
    let interval = Duration::from_millis(500);
    let mut limit = ChallengeLimit::new(start);
    assert!(limit.allows(start, interval));
    assert!(!limit.allows(start + Duration::from_millis(499), interval));
    assert!(limit.allows(start + interval, interval));
    // After any silence the next one is allowed: also one that a signed difference would take for the future.
    for days in [1, 25, 40, 60] {
        let mut limit = ChallengeLimit::new(start);
        assert!(limit.allows(start, interval));
        assert!(limit.allows(start + Duration::from_secs(days * 86_400), interval), "{days} days");
    }
}
