use super::*;
use crate::testing::*;

const OFFSET: u32 = 9000;

fn wait(timestamps: Option<u32>) -> TimeWait {
    TimeWait::new(Instant::from_secs(1), &plain(), (ISS + 2, IRS + 2), timestamps, (1000, 0))
}

fn shown(wait: &mut TimeWait, config: &TcpConfig, seg: &Peer) -> String {
    match wait.handle_segment(Instant::from_secs(5), config, OFFSET, &seg.arriving()) {
        TimeWaitDisposition::Ignore => "ignore".to_owned(),
        TimeWaitDisposition::Answer(seg) => line(&seg, ISS, IRS),
        TimeWaitDisposition::Reopen { iss_floor } => format!("reopen {}", iss_floor.distance(ISS)),
    }
}

/// RFC 9293 3.10.7.4 in TIME-WAIT; RFC 1337; RFC 6191 without timestamps: a SYN beyond RCV.NXT.
#[test]
fn every_segment_without_timestamps() {
    let last = ". 2:2(0) ack 2";
    for (name, seg, expected) in [
        ("the FIN again", ack(1, 2).with(Flags::FIN), last),
        ("text and FIN again", ack(-9, 2).octets(10).with(Flags::FIN), last),
        ("old text", ack(-9, 2).octets(5), last),
        ("the last ACK", ack(2, 2), "ignore"),
        ("a keep-alive", ack(1, 2), last),
        ("new text", ack(2, 2).octets(5), last),
        ("text from afar", ack(90_000, 2).octets(5), last),
        ("RST in its place", peer(Flags::RST, 2, 0), "ignore"),
        ("RST elsewhere", peer(Flags::RST, 90, 0), "ignore"),
        ("a newer SYN", peer(Flags::SYN, 3, 0), "reopen 2"),
        ("a SYN at RCV.NXT", peer(Flags::SYN, 2, 0), last),
        ("an older SYN", peer(Flags::SYN, 0, 0), last),
        ("SYN,ACK", peer(Flags::SYN | Flags::ACK, 3, 2), last),
    ] {
        assert_eq!(shown(&mut wait(None), &plain(), &seg), expected, "{name}");
    }
}

/// RFC 6191: with timestamps the newer stamp decides; PAWS still guards against the rest.
#[test]
fn every_segment_with_timestamps() {
    let last = ". 2:2(0) ack 2";
    for (name, seg, expected) in [
        ("a SYN with a newer stamp, older number", peer(Flags::SYN, -500, 0).ts(101, 0), "reopen 2"),
        ("a SYN with the same stamp, newer number", peer(Flags::SYN, 9, 0).ts(100, 0), "reopen 2"),
        ("a SYN with the same stamp, older number", peer(Flags::SYN, -9, 0).ts(100, 0), last),
        ("a SYN with an older stamp, newer number", peer(Flags::SYN, 900, 0).ts(99, 0), last),
        ("a SYN without stamp, newer number", peer(Flags::SYN, 900, 0), "reopen 2"),
        ("an old duplicate inside the window", ack(3, 2).octets(5).ts(50, 0), last),
        ("the FIN again", ack(1, 2).with(Flags::FIN).ts(100, 0), last),
    ] {
        assert_eq!(shown(&mut wait(Some(100)), &plain(), &seg), expected, "{name}");
    }
    let mut wait = wait(Some(100));
    let fin = ack(1, 2).with(Flags::FIN).ts(100, 0);
    match wait.handle_segment(Instant::from_millis(5000), &plain(), OFFSET, &fin.arriving()) {
        TimeWaitDisposition::Answer(seg) => {
            assert_eq!(seg.options.timestamps, Some(Timestamps { tsval: 14_000, tsecr: 100 }));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_a_repeated_fin_restarts_the_wait() {
    let mut wait = wait(None);
    let now = Instant::from_secs(5);
    let first = wait.deadline(now);
    assert!(first >= Instant::from_secs(61) && first <= Instant::from_millis(61_001));
    for seg in [peer(Flags::RST, 2, 0), ack(2, 2), ack(-9, 2).octets(5), ack(1, 2)] {
        let _ = wait.handle_segment(now, &plain(), OFFSET, &seg.arriving());
        assert_eq!(wait.deadline(now), first);
    }
    let _ = wait.handle_segment(now, &plain(), OFFSET, &ack(1, 2).with(Flags::FIN).arriving());
    assert!(wait.deadline(now) >= Instant::from_secs(65));
}

/// Linux's tcp_tw_reuse: with timestamps, after a rest.
#[test]
fn our_own_syn_may_end_the_wait() {
    let rest = Duration::from_secs(1);
    let at = |timestamps, millis: u64| {
        wait(timestamps).reopens_for_us(Instant::from_millis(1_000 + millis), &plain(), rest)
    };
    assert_eq!(at(Some(100), 999), None);
    assert_eq!(at(Some(100), 1_000), Some(ISS + 2));
    assert_eq!(at(Some(100), 59_000), Some(ISS + 2));
    assert_eq!(at(None, 1_000), None, "without timestamps nothing tells old segments from new ones");
    let none = wait(Some(1)).reopens_for_us(Instant::from_millis(1_000), &plain(), Duration::ZERO);
    assert_eq!(none, Some(ISS + 2));
}
