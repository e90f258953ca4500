use proptest::prelude::*;

use super::*;

/// RFC 9293 3.10.7.4: WL1 < SEQ, or WL1 = SEQ and WL2 =< ACK.
#[test]
fn only_a_newer_segment_tells_the_window() {
    let fresh = || SendWindow::new(500, SeqNum(100), SeqNum(50));
    for (seq, ack, taken) in
        [(101, 40, true), (100, 50, true), (100, 51, true), (100, 49, false), (99, 60, false)]
    {
        let mut window = fresh();
        assert_eq!(window.on_ack(SeqNum(seq), SeqNum(ack), 700), taken, "{seq} {ack}");
        assert_eq!(window.wnd(), if taken { 700 } else { 500 });
    }
    let mut window = fresh();
    assert!(!window.on_ack(SeqNum(101), SeqNum(51), 500), "taken, but nothing changed");
    window.on_ack(SeqNum(102), SeqNum(52), 9000);
    window.on_ack(SeqNum(103), SeqNum(53), 10);
    assert_eq!((window.wnd(), window.max()), (10, 9000));
}

/// MUST-34: a window that was taken back makes the usable one zero, not huge.
#[test]
fn a_shrunken_window_is_robust() {
    let window = SendWindow::new(100, SeqNum(0), SeqNum(0));
    assert_eq!(window.usable(SeqNum(0), SeqNum(60)), 40);
    assert_eq!(window.usable(SeqNum(0), SeqNum(160)), 0);
}

fn open(buffer: u32) -> ReceiveWindow {
    let mut window = ReceiveWindow::new(buffer);
    window.start(SeqNum(0), buffer, Instant::ZERO);
    window
}

/// RFC 9293 3.8.6.2.2, MUST-39: the edge moves by min(buffer/2, MSS) or not at all.
#[test]
fn the_window_opens_in_worthwhile_steps() {
    let mut window = open(10_000);
    let nxt = SeqNum(10_000);
    assert_eq!(window.advertise(nxt, 10_000, 1000, 0, u32::MAX), 0, "full");
    assert_eq!(window.advertise(nxt, 9_001, 1000, 0, u32::MAX), 0, "999 octets are not worth it");
    assert_eq!(window.advertise(nxt, 9_000, 1000, 0, u32::MAX), 1000);
    // A small buffer: half of it.
    let mut small = open(600);
    assert_eq!(small.advertise(SeqNum(600), 301, 1000, 0, u32::MAX), 0);
    assert_eq!(small.advertise(SeqNum(600), 300, 1000, 0, u32::MAX), 300);
}

#[test]
fn a_window_update_is_sent_when_it_doubles_what_the_peer_may_send() {
    let window = open(10_000);
    let (nxt, mss) = (SeqNum(8_000), 1000); // 2000 promised
    assert!(!window.deserves_update(nxt, 8_000, mss, 0));
    assert!(!window.deserves_update(nxt, 6_001, mss, 0));
    assert!(window.deserves_update(nxt, 6_000, mss, 0));
    assert!(window.deserves_update(SeqNum(10_000), 9_000, mss, 0), "from zero, one segment");
    assert!(!window.deserves_update(SeqNum(10_000), 9_001, mss, 0));
}

#[test]
fn tuning_gives_twice_what_a_round_trip_delivered() {
    let mut window = open(65_535);
    let rtt = Duration::from_millis(10);
    window.on_read(Instant::from_millis(9), SeqNum(60_000), rtt, 1000, 6 << 20);
    assert_eq!(window.buffer(), 65_535, "a round trip is not over");
    window.on_read(Instant::from_millis(10), SeqNum(60_000), rtt, 1000, 6 << 20);
    assert_eq!(window.buffer(), 136_000);
    window.on_read(Instant::from_millis(20), SeqNum(100_000), rtt, 1000, 6 << 20);
    assert_eq!(window.buffer(), 136_000, "40000 in a round trip need no more");
    window.on_read(Instant::from_millis(30), SeqNum(100_100_000), rtt, 1000, 6 << 20);
    assert_eq!(window.buffer(), 6 << 20, "bounded");
}

proptest! {
    /// SHLD-14 whatever is read, received, capped and scaled: the edge never moves left, and what the field says is what is
    /// promised.
    #[test]
    fn the_edge_never_moves_left(
        scale in 0u8..15,
        steps in prop::collection::vec((0u32..5000, 0u32..5000, prop::bool::weighted(0.1)), 1..100),
    ) {
        let mut window = ReceiveWindow::new(200_000);
        let (mut nxt, mut read) = (SeqNum(u32::MAX - 50_000), 0u32);
        let start = nxt;
        window.start(nxt, 65_535, Instant::ZERO);
        let mut edge = nxt + 65_535;
        for (arrives, reads, pressed) in steps {
            nxt += arrives.min(window.wnd(nxt));
            read += reads.min(nxt.since(start) - read);
            let unread = nxt.since(start) - read;
            let cap = if pressed { 2000 } else { u32::MAX };
            let field = window.advertise(nxt, unread, 1000, scale, cap);
            let new_edge = nxt + window.wnd(nxt);
            prop_assert!(new_edge.at_or_after(edge));
            prop_assert_eq!(new_edge, nxt + (u32::from(field) << scale));
            prop_assert!(window.wnd(nxt) <= 200_000 + (1 << scale));
            edge = new_edge;
        }
    }
}

/// Room that the field cannot tell of is none: without scaling a buffer beyond 64 KiB makes no update that says nothing new.
#[test]
fn a_window_update_counts_only_room_that_the_field_can_tell() {
    let mut window = ReceiveWindow::new(1 << 20);
    window.start(SeqNum(0), 65_535, Instant::ZERO);
    let mss = 1_000;
    assert!(!window.deserves_update(SeqNum(0), 0, mss, 0), "all that can be told is promised");
    assert!(!window.deserves_update(SeqNum(30_000), 0, mss, 0), "less than twice");
    assert!(window.deserves_update(SeqNum(40_000), 0, mss, 0));
    assert!(window.deserves_update(SeqNum(0), 0, mss, 4), "scaled it can");
}
