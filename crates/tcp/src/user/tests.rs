//! The user's calls: how much they take, what they raise.

use super::*;
use crate::testing::*;
use crate::{Settings, TcpConfig};

#[test]
fn a_full_queue_says_so_and_tells_when_a_third_is_free() {
    let mut script = Script::established();
    script.set(|settings| settings.send_buffer = Some(9000));
    assert_eq!(script.send(&[1; 9000], SendFlags::default()), Ok(9000));
    assert_eq!(script.send(b"x", SendFlags::default()), Err(SendError::WouldBlock));
    script.drain();
    script.events();
    script.arrives(ack(1, 2001));
    assert!(!script.events().contains(Events::WRITABLE), "two of nine");
    script.arrives(ack(1, 3001));
    assert!(script.events().contains(Events::WRITABLE), "three of nine");
    assert_eq!(script.with(|conn, ctx| conn.writable(ctx)), 3000);
    script.arrives(ack(1, 5001));
    assert!(!script.events().contains(Events::WRITABLE), "edge-triggered");
}

/// As Linux: bursts are filled, and one begins below the limit only.
#[test]
fn a_queue_passes_its_limit_by_less_than_a_burst() {
    for (limit, taken) in
        [(9_000, 9_000), (29_999, 39_999), (30_000, 40_000), (40_000, 40_000), (40_001, 70_000)]
    {
        let mut script = Script::established();
        script.set(|settings| settings.send_buffer = Some(limit));
        // The peer's window of 60,000 makes bursts of 30,000; ten segments can leave at once, so the first is filled up again.
        assert_eq!(script.send(&[1; 80_000], SendFlags::default()), Ok(taken), "{limit}");
        assert_eq!(script.send(b"x", SendFlags::default()), Err(SendError::WouldBlock));
    }
}

/// TCP_NOTSENT_LOWAT.
#[test]
fn the_unsent_part_can_be_kept_short() {
    let mut script = Script::established();
    script.set(|settings| settings.not_sent_low_water = 2000);
    // Ten segments can leave; beside them the burst of 30,000 that has begun is filled, and none begins.
    assert_eq!(script.send(&[0; 80_000], SendFlags::default()), Ok(40_000));
    script.drain();
    assert_eq!(script.send(b"x", SendFlags::default()), Err(SendError::WouldBlock));
    script.events();
    script.arrives(ack(1, 10_001)); // slow start: twenty leave, ten stay
    script.drain();
    assert!(!script.events().contains(Events::WRITABLE));
    script.arrives(ack(1, 20_001));
    script.drain();
    script.arrives(ack(1, 21_001));
    assert!(script.events().contains(Events::WRITABLE));
}

/// SO_RCVLOWAT, TCP_INQ.
#[test]
fn a_low_water_mark_holds_back_the_event() {
    let mut script = Script::established();
    script.set(|settings| settings.receive_low_water = 100);
    script.arrives(ack(1, 1).octets(99));
    assert!(!script.events().contains(Events::READABLE));
    script.arrives(ack(100, 1).octets(1));
    assert!(script.events().contains(Events::READABLE));
    assert_eq!(script.conn.readable(), 100);
}

#[test]
fn peeking_leaves_and_consuming_takes() {
    let mut script = Script::established();
    script.arrives(ack(1, 1).text(b"hello"));
    let peeked: Vec<u8> = script.conn.peek().flatten().copied().collect();
    assert_eq!(peeked, b"hello");
    script.with(|conn, ctx| conn.consume(ctx, 2));
    assert_eq!(script.recv(10), Ok(b"llo".to_vec()));
    assert!(script.conn.peek().next().is_none());
}

#[test]
fn shutting_the_reading_side_ends_what_is_read_after_what_is_here() {
    let mut script = Script::established();
    script.arrives(ack(1, 1).text(b"here"));
    script.with(|conn, ctx| conn.shutdown_read(ctx));
    assert_eq!(script.recv(10), Ok(b"here".to_vec()));
    assert_eq!(script.recv(10), Ok(vec![]));
    script.write(3);
    script.sends(&["P. 1:4(3) ack 5"]);
}

/// RFC 9293 3.9.1.2: the receive window follows what the program reads (MUST-39), and grows with it.
#[test]
fn auto_tuning_grows_the_buffer_of_a_fast_reader_only() {
    let bulk = |reads: bool, fixed: Option<u32>| {
        let mut pair = Pair::new(TcpConfig::default(), TcpConfig::default(), ms(20));
        pair.b.config.defaults =
            std::sync::Arc::new(Settings { receive_buffer: fixed, ..Settings::default() });
        let mut pair = pair.open();
        for _ in 0..2000 {
            pair.write(Side::A, &[0; 60_000]);
            pair.run_for(ms(1));
            if reads {
                pair.read_all(Side::B);
            }
        }
        let config = pair.b.config.clone();
        pair.conn(Side::B).info(&config).rcv_buffer
    };
    assert_eq!(bulk(false, None), 65_535);
    assert!(bulk(true, None) > 1 << 20);
    assert_eq!(bulk(true, Some(100_000)), 100_000);
}

#[test]
fn errors_have_std_s_names() {
    use std::io::ErrorKind::*;
    let recv = |end| ErrorKind::from(RecvError::Ended(end));
    assert_eq!(recv(End::Refused), ConnectionRefused);
    assert_eq!(recv(End::ResetByPeer), ConnectionReset);
    assert_eq!(recv(End::TimedOut), TimedOut);
    assert_eq!(recv(End::KeepAliveTimedOut), TimedOut);
    assert_eq!(recv(End::Unreachable(Unreachable::Host)), HostUnreachable);
    assert_eq!(recv(End::Unreachable(Unreachable::Network)), NetworkUnreachable);
    assert_eq!(recv(End::Unreachable(Unreachable::Port)), ConnectionRefused);
    assert_eq!(ErrorKind::from(SendError::Shut), BrokenPipe);
    assert_eq!(ErrorKind::from(SendError::WouldBlock), WouldBlock);
}
