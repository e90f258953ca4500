//! What may leave, through a connection.

use super::*;
use crate::records::RECORDS_MAX;
use crate::testing::*;
use crate::{End, SendError, SendFlags, Settings, State, TcpConfig};

/// RFC 9293 3.7.4, MUST-17: Nagle by default, and off on demand.
#[test]
fn nagle_lets_one_small_segment_fly() {
    let mut script = Script::established();
    script.write(10);
    script.sends(&["P. 1:11(10) ack 1"]);
    script.write(10);
    script.write(10);
    script.silent();
    script.arrives(ack(1, 11));
    script.sends(&["P. 11:31(20) ack 1"]);
    script.set(|settings| settings.nodelay = true);
    script.write(5);
    script.sends(&["P. 31:36(5) ack 1"]);
}

#[test]
fn cork_holds_until_it_is_pulled_or_an_rto_has_passed() {
    let mut script = Script::established();
    script.set(|settings| settings.cork = true);
    script.write(1500);
    script.sends(&[". 1:1001(1000) ack 1"]);
    script.set(|settings| settings.cork = false);
    script.sends(&["P. 1001:1501(500) ack 1"]);
    script.arrives(ack(1, 1501));
    script.set(|settings| settings.cork = true);
    script.write(10);
    script.silent();
    let waited = script.pass_to_deadline();
    assert!(waited >= ms(200) && waited <= ms(210), "{waited:?}");
    script.sends(&["P. 1501:1511(10) ack 1"]);
}

#[test]
fn msg_more_holds_the_tail_for_the_next_send() {
    let mut script = Script::established();
    let more = SendFlags { more: true, ..SendFlags::default() };
    assert_eq!(script.send(&[1; 1200], more), Ok(1200));
    script.sends(&[". 1:1001(1000) ack 1"]);
    script.write(100);
    script.sends(&["P. 1001:1301(300) ack 1"]);
}

/// As Linux: the flag speaks for its call. The next ACK lets go of the tail, not pushed, since the program has not said that it ends.
#[test]
fn msg_more_holds_no_longer_than_to_the_next_ack() {
    let mut script = Script::established();
    script.set(|settings| settings.nodelay = true);
    let more = SendFlags { more: true, ..SendFlags::default() };
    assert_eq!(script.send(&[1; 1200], more), Ok(1200));
    script.sends(&[". 1:1001(1000) ack 1"]);
    script.arrives(ack(1, 1001));
    script.sends(&[". 1001:1201(200) ack 1"]);
    assert_eq!(script.send(&[1; 50], more), Ok(50));
    script.silent();
    script.arrives(ack(1, 1201));
    script.sends(&[". 1201:1251(50) ack 1"]);
}

/// As Linux: what waits, for whatever reason, goes when the program says TCP_NODELAY, even while TCP_CORK is set.
#[test]
fn nodelay_lets_go_of_what_is_held() {
    let mut script = Script::established();
    script.set(|settings| settings.cork = true);
    script.write(10);
    script.silent();
    script.set(|settings| settings.nodelay = true);
    script.silent();
    script.with(|conn, ctx| conn.flush(ctx));
    script.sends(&["P. 1:11(10) ack 1"]);
    script.write(10);
    script.silent();
}

#[test]
fn a_segment_never_spans_the_end_of_a_record() {
    let mut script = Script::established();
    script.set(|settings| settings.nodelay = true);
    let eor = SendFlags { end_of_record: true, ..SendFlags::default() };
    script.arrives(ack(1, 1).wnd(0));
    for len in [300, 400] {
        assert_eq!(script.send(&vec![0; len], eor), Ok(len));
    }
    script.write(1500);
    script.silent();
    script.arrives(ack(1, 1).wnd(60_000).with(Flags::NONE));
    // The end of a record is pushed (RFC 9293 3.9.1.2: what PUSH is for).
    script.sends(&[
        "P. 1:301(300) ack 1",
        "P. 301:701(400) ack 1",
        ". 701:1701(1000) ack 1",
        "P. 1701:2201(500) ack 1",
    ]);
}

/// Nor when it goes out again, when segments that are lost are joined.
#[test]
fn what_is_sent_again_keeps_the_ends_of_records() {
    let mut script = Script::established();
    script.set(|settings| settings.nodelay = true);
    let eor = SendFlags { end_of_record: true, ..SendFlags::default() };
    for len in [300, 400] {
        assert_eq!(script.send(&vec![0; len], eor), Ok(len));
    }
    script.sends(&["P. 1:301(300) ack 1", "P. 301:701(400) ack 1"]);
    for (len, sent) in [(200, "P. 701:901(200) ack 1"), (100, "P. 901:1001(100) ack 1")] {
        script.write(len);
        script.sends(&[sent]);
    }
    // The tail is probed for, then the timer expires: all of it counts as lost.
    script.pass_to_deadline();
    script.drain();
    script.pass_to_deadline();
    script.sends(&["P. 1:301(300) ack 1", "P. 301:701(400) ack 1", "P. 701:1001(300) ack 1"]);
}

/// Nagle's algorithm hopes for company; what a record ends with gets none (as Linux).
#[test]
fn nagle_does_not_hold_whole_records() {
    let mut script = Script::established();
    let eor = SendFlags { end_of_record: true, ..SendFlags::default() };
    for _ in 0..3 {
        assert_eq!(script.send(&[0; 40], eor), Ok(40));
    }
    script.write(40);
    script.sends(&["P. 1:41(40) ack 1", "P. 41:81(40) ack 1", "P. 81:121(40) ack 1"]);
}

/// RFC 5681 4.1, also where the silence is the peer's doing: its window was shut.
#[test]
fn a_window_that_was_shut_for_long_starts_over() {
    for (restarts, leave) in [(true, 10), (false, 40)] {
        let mut config = plain();
        config.slow_start_after_idle = restarts;
        let mut script = Script::opened(config, Settings::default(), syn_ack().mss(MSS));
        script.write(10_000);
        script.drain();
        script.arrives(ack(1, 10_001));
        script.write(20_000);
        script.drain();
        script.arrives(ack(1, 30_001).wnd(0));
        script.write(60_000);
        script.silent();
        for _ in 0..3 {
            script.pass_to_deadline();
            script.drain();
        }
        script.arrives(ack(1, 30_001));
        assert_eq!(script.drain().len(), leave, "{restarts}");
    }
}

#[test]
fn ends_of_records_are_bounded() {
    let mut script = Script::established();
    script.arrives(ack(1, 1).wnd(0));
    let eor = SendFlags { end_of_record: true, ..SendFlags::default() };
    for _ in 0..RECORDS_MAX {
        assert_eq!(script.send(b"r", eor), Ok(1));
    }
    assert_eq!(script.send(b"r", eor), Err(SendError::WouldBlock));
    assert_eq!(script.send(b"r", SendFlags::default()), Ok(1));
}

#[test]
fn super_segments_are_as_large_as_the_context_allows() {
    let mut script = Script::established();
    script.tso_max = 64_000;
    script.write(25_500);
    // The initial window of ten in two halves, so that one can be acknowledged while the other leaves.
    script.sends(&["P. 1:5001(5000) ack 1", "P. 5001:10001(5000) ack 1"]);
    assert_eq!(script.last.map(|seg| seg.segment_size), Some(1000));
    script.arrives(ack(1, 10_001));
    script.sends(&["P. 10001:20001(10000) ack 1", "P. 20001:25501(5500) ack 1"]);
}

/// Linux's `tcp_tso_autosize`: a burst is what leaves within a millisecond, two segments at least.
#[test]
fn super_segments_of_a_slow_path_are_short() {
    let mut script = Script::connecting(plain(), Settings::default());
    script.drain();
    script.pass(ms(100));
    script.arrives(syn_ack().mss(MSS));
    script.drain();
    script.tso_max = 64_000;
    script.write(5_000);
    // Ten segments in 100 ms, twice that while the window doubles: 195 octets in a millisecond.
    script.sends(&["P. 1:2001(2000) ack 1", "P. 2001:4001(2000) ack 1", "P. 4001:5001(1000) ack 1"]);
    script.write(3_000);
    script.sends(&["P. 5001:7001(2000) ack 1", "P. 7001:8001(1000) ack 1"]);
}

/// As Linux: what left as one and is lost as one goes again as one, as far as the window lets it; and no further than what is lost.
#[test]
fn what_the_device_cuts_goes_again_in_bursts() {
    let config = TcpConfig { sack: true, ..plain() };
    let mut script = Script::opened(config, Settings::default(), syn_ack().mss(MSS).sack_ok());
    script.tso_max = 64_000;
    script.write(10_000);
    script.sends(&["P. 1:5001(5000) ack 1", "P. 5001:10001(5000) ack 1"]);
    // Two of the first five, and the third of the second five, are lost.
    script.arrives(ack(1, 1001).sack(3001, 7001).sack(8001, 10_001));
    script.sends(&["P. 1001:3001(2000) ack 1", ". 7001:8001(1000) ack 1"]);
    // Three segments, in two.
    assert_eq!(script.conn.info(&script.config).total_retransmits, 3);
    script.arrives(ack(1, 10_001));
    assert_eq!(script.conn.info(&script.config).unacked, 0);
}

/// As Linux: a slow start that is limited by the program grows to twice what was in use, no further.
#[test]
fn a_window_in_use_by_nine_tenths_may_double() {
    for (sent, window) in [(5_000, 10_000), (6_000, 12_000), (9_000, 18_000), (10_000, 20_000)] {
        let mut script = Script::established();
        script.write(sent);
        script.drain();
        for acked in 1..=sent as i64 / 1000 {
            script.arrives(ack(1, 1 + acked * 1000));
        }
        assert_eq!(script.conn.info(&script.config).cwnd, window, "{sent}");
    }
}

/// RFC 9293 3.8.2, MUST-19 (RFC 5681): the initial window, then slow start.
#[test]
fn the_congestion_window_rules() {
    let mut script = Script::established();
    script.write(40_000);
    assert_eq!(script.drain().len(), 10);
    script.arrives(ack(1, 1001));
    script.sends(&[". 10001:11001(1000) ack 1", ". 11001:12001(1000) ack 1"]);
}

/// RFC 9293 3.8.6.1, MUST-35, MUST-36, SHLD-29, SHLD-30; MUST-37: as long as the peer answers, for ever.
#[test]
fn a_zero_window_is_probed_at_growing_intervals() {
    let mut script = Script::established();
    script.arrives(ack(1, 1).wnd(0));
    script.write(100);
    script.silent();
    let mut waits = Vec::new();
    for _ in 0..40 {
        waits.push(script.pass_to_deadline().as_millis());
        script.sends(&[". 0:0(0) ack 1"]);
        script.arrives(ack(1, 1).wnd(0));
    }
    assert_eq!(waits[..4], [200, 400, 800, 1600]);
    assert_eq!(waits[39], 120_000);
    assert_eq!(script.state(), State::Established);
    script.arrives(ack(1, 1).wnd(5000));
    script.sends(&["P. 1:101(100) ack 1"]);
}

#[test]
fn a_zero_window_whose_owner_is_gone_ends_after_r2() {
    let mut script = Script::established();
    script.arrives(ack(1, 1).wnd(0));
    script.write(100);
    script.silent();
    let mut probes = 0;
    while script.conn.end().is_none() {
        script.pass_to_deadline();
        probes += script.drain().len();
    }
    assert_eq!((probes, script.conn.end()), (15, Some(End::TimedOut)));
}

#[test]
fn without_persist_a_zero_window_is_for_ever() {
    let mut config = plain();
    config.test.persist = false;
    let mut script = Script::opened(config, Settings::default(), syn_ack().mss(MSS));
    script.arrives(ack(1, 1).wnd(0));
    script.write(100);
    script.silent();
    assert_eq!(script.deadline(), None);
}

#[test]
fn a_fin_waits_for_a_window_too() {
    let mut script = Script::established();
    script.arrives(ack(1, 1).wnd(0));
    script.close();
    script.silent();
    script.pass_to_deadline();
    script.sends(&[". 0:0(0) ack 1"]);
    script.arrives(ack(1, 1).wnd(1));
    script.sends(&["F. 1:2(0) ack 1"]);
}

/// MUST-34: data in flight, the window taken back to zero: the first segment is repeated, nothing else.
#[test]
fn a_window_that_is_taken_back_holds_retransmissions_too() {
    let mut script = Script::established();
    script.write(3000);
    assert_eq!(script.drain().len(), 3);
    script.arrives(ack(1, 1).wnd(0));
    script.silent();
    script.pass_to_deadline();
    script.sends(&[". 1:1001(1000) ack 1"]);
    script.arrives(ack(1, 1001).wnd(0));
    script.pass_to_deadline();
    script.sends(&[". 1001:2001(1000) ack 1"]);
    script.arrives(ack(1, 3001).wnd(9000));
    assert_eq!(script.conn.queued(), 0);

    // Also where the congestion window would let all of it out again at once.
    let mut script = Script::established();
    script.write(3000);
    assert_eq!(script.drain().len(), 3);
    script.arrives(ack(1, 1).wnd(500));
    assert!(script.with(|conn, ctx| conn.handle_path(ctx, 600, Some(ISS + 1))));
    script.sends(&[". 1:601(600) ack 1"]);
    script.arrives(ack(1, 601).wnd(1200));
    script.sends(&[". 601:1201(600) ack 1", ". 1201:1801(600) ack 1"]);
}

/// RFC 9293 3.8.5; MUST-62 (RFC 6093): the pointer is the octet after the urgent data.
#[test]
fn urgent_data_is_pointed_at_until_it_is_sent() {
    let mut script = Script::established();
    script.arrives(ack(1, 1).wnd(0));
    script.write(1500);
    assert_eq!(script.send(b"!", SendFlags { urgent: true, ..SendFlags::default() }), Ok(1));
    script.write(1000);
    script.arrives(ack(1, 1).wnd(60_000));
    script.sends(&[
        ".U 1:1001(1000) ack 1 urg 1501",
        ".U 1001:2001(1000) ack 1 urg 501",
        "P. 2001:2502(501) ack 1",
    ]);
}

/// RFC 3168 6.1.2: ECE halves the window once a round trip, and CWR says so on new data; 6.1.5: what is resent is not ECT.
#[test]
fn ecn_echo_reduces_the_window_once() {
    let config = TcpConfig { ecn: EcnPolicy::Request, ..plain() };
    let mut script = Script::opened(config, Settings::default(), syn_ack().mss(MSS).with(Flags::ECE));
    script.write(30_000);
    assert_eq!(script.drain().len(), 10);
    assert!(script.last.is_some_and(|seg| seg.ect));
    script.arrives(ack(1, 5001).with(Flags::ECE));
    let reduced = script.conn.info(&script.config).cwnd;
    assert!(reduced < 10_000, "{reduced}");
    script.arrives(ack(1, 6001).with(Flags::ECE));
    assert!(script.conn.info(&script.config).cwnd >= reduced, "once a window");
    let lines = script.drain();
    assert!(lines[0].contains('W'), "{lines:?}");
    assert!(lines[1..].iter().all(|line| !line.contains('W')), "{lines:?}");
}

#[test]
fn a_mark_is_echoed_until_the_peer_has_reduced() {
    let config = TcpConfig { ecn: EcnPolicy::Request, ..plain() };
    let mut script = Script::opened(config, Settings::default(), syn_ack().mss(MSS).with(Flags::ECE));
    script.arrives(ack(1, 1).octets(1000).ce());
    script.sends(&[".E ack 1001"]);
    script.arrives(ack(1001, 1).octets(1000));
    script.arrives(ack(2001, 1).octets(1000));
    script.sends(&[".E ack 3001"]);
    script.arrives(ack(3001, 1).octets(1000).with(Flags::CWR));
    script.arrives(ack(4001, 1).octets(1000));
    script.sends(&[". ack 5001"]);
}

/// MUST-37 also with data in flight: the window was taken back, and the peer says so again and again.
#[test]
fn a_peer_that_answers_from_a_window_taken_back_is_never_given_up() {
    let mut script = Script::established();
    script.write(3000);
    script.drain();
    for _ in 0..40 {
        script.arrives(ack(1, 1).wnd(0));
        script.pass_to_deadline();
        script.sends(&[". 1:1001(1000) ack 1"]);
    }
    assert_eq!(script.state(), State::Established);
}

/// RFC 2018 3: an ACK that rides on what is sent again tells of holes like any other.
#[test]
fn retransmissions_carry_sack_too() {
    let config = TcpConfig { timestamps: false, quick_acks: 0, ..TcpConfig::default() };
    let mut script = Script::opened(config, Settings::default(), syn_ack().mss(MSS).sack_ok());
    script.write(2000);
    script.drain();
    script.arrives(ack(1001, 1).octets(100));
    script.drain();
    script.pass_to_deadline();
    script.sends(&["P. 1013:2001(988) ack 1 sack 1001:1101"]);
    script.pass_to_deadline();
    script.sends(&[". 1:989(988) ack 1 sack 1001:1101"]);
}
