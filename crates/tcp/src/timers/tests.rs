//! Time: retransmission and giving up, keep-alive, the user timeout, path MTU and black holes.

use core::time::Duration;

use wire::tcp::Flags;

use crate::testing::*;
use crate::{End, Events, KeepAliveSettings, Settings, State, TcpConfig, Unreachable};

/// RFC 6298 5.5 to 5.7; RFC 9293 3.8.3: R1 is told, R2 ends it.
#[test]
fn silence_is_met_with_doubling_and_ends_at_r2() {
    let mut script = Script::established();
    script.write(10);
    script.sends(&["P. 1:11(10) ack 1"]);
    let mut waits = Vec::new();
    while script.conn.end().is_none() {
        waits.push(script.pass_to_deadline().as_millis());
        let trouble = script.events().contains(Events::TROUBLE);
        assert_eq!(trouble, waits.len() == 3, "R1 is 3 (SHLD-10)");
        if script.conn.end().is_none() {
            script.sends(&["P. 1:11(10) ack 1"]);
        }
    }
    assert_eq!(waits[..5], [200, 400, 800, 1600, 3200]);
    assert_eq!(waits.len(), 16, "15 retransmissions");
    assert!(waits.iter().sum::<u128>() > 100_000, "SHLD-11: at least 100 s");
    assert_eq!(script.conn.end(), Some(End::TimedOut));
    script.silent();
}

#[test]
fn what_icmp_said_names_the_timeout() {
    let mut script = Script::established();
    script.write(10);
    script.drain();
    script.with(|conn, ctx| conn.handle_unreachable(ctx, Unreachable::Network, Some(ISS + 1)));
    while script.conn.end().is_none() {
        script.pass_to_deadline();
        script.drain();
    }
    assert_eq!(script.conn.end(), Some(End::Unreachable(Unreachable::Network)));
}

/// RFC 5482 and RFC 9293 3.9.1.2 (MAY): the user's time, neither shorter nor longer.
#[test]
fn the_user_timeout_ends_what_stays_unacknowledged() {
    for limit in [Duration::from_secs(5), Duration::from_secs(1800)] {
        let mut script = Script::established();
        script.set(|settings| settings.user_timeout = Some(limit));
        script.write(10);
        let start = script.now;
        while script.conn.end().is_none() {
            script.drain();
            script.pass_to_deadline();
        }
        assert_eq!(script.conn.end(), Some(End::UserTimedOut));
        assert!(
            script.now - start >= limit && script.now - start < limit + ms(10),
            "{:?}",
            script.now - start
        );
    }
}

#[test]
fn the_user_timeout_ends_a_window_that_stays_shut() {
    let mut script = Script::established();
    script.set(|settings| settings.user_timeout = Some(Duration::from_secs(5)));
    script.arrives(ack(1, 1).wnd(0));
    script.write(10);
    script.silent();
    while script.conn.end().is_none() {
        script.pass_to_deadline();
        script.drain();
        script.arrives(ack(1, 1).wnd(0));
    }
    assert_eq!(script.conn.end(), Some(End::UserTimedOut));
}

fn keeps_alive() -> Script {
    let mut script = Script::established();
    script.set(|settings| {
        settings.keepalive = true;
        settings.keepalive_timing =
            KeepAliveSettings { idle: Duration::from_secs(10), interval: Duration::from_secs(3), probes: 2 };
    });
    script
}

/// RFC 9293 3.8.4, MUST-24, MUST-26: SEQ = SND.NXT-1, no text (SHLD-12); MUST-29: one lost probe is not the end.
#[test]
fn keep_alive_asks_and_an_answer_satisfies() {
    let mut script = keeps_alive();
    let waited = script.pass_to_deadline();
    assert!(waited > ms(9_990) && waited <= ms(10_000), "MUST-27, the interval set: {waited:?}");
    script.sends(&[". 0:0(0) ack 1"]);
    script.arrives(ack(1, 1));
    let waited = script.pass_to_deadline();
    assert!(waited >= Duration::from_secs(9), "{waited:?}");
    script.sends(&[". 0:0(0) ack 1"]);
    script.pass_to_deadline();
    script.sends(&[". 0:0(0) ack 1"]);
    assert_eq!(script.state(), State::Established);
    script.pass_to_deadline();
    script.sends(&["R. 1:1(0) ack 1"]);
    assert_eq!(script.conn.end(), Some(End::KeepAliveTimedOut));
}

/// RFC 9293 3.8.4, MUST-25: off unless asked for; MUST-28: two hours at least by default.
#[test]
fn keep_alive_is_off_and_two_hours_by_default() {
    let mut script = Script::established();
    assert_eq!(script.deadline(), None, "an idle connection has no timer");
    script.set(|settings| settings.keepalive = true);
    let wait = script.deadline().expect("it is on") - script.now;
    assert!(wait > Duration::from_secs(7199) && wait <= Duration::from_secs(7200), "{wait:?}");
}

/// RFC 9293 MUST-26: nothing is asked while data is in flight, however long that lasts.
#[test]
fn keep_alive_is_silent_while_data_is_out() {
    let mut script = keeps_alive();
    script.write(10);
    script.drain();
    while script.now < crate::Instant::from_secs(60) {
        script.pass_to_deadline();
        script.sends(&["P. 1:11(10) ack 1"]);
    }
}

#[test]
fn a_keep_alive_is_answered() {
    let mut script = Script::established();
    script.arrives(ack(0, 1));
    script.sends(&[". ack 1"]);
    script.pass(ms(600));
    // The older form, with one octet of garbage.
    script.arrives(ack(0, 1).octets(1));
    script.sends(&[". ack 1"]);
}

/// RFC 9293 3.7.2, MUST-14; RFC 1191 6.5: "too big" is met with smaller pieces at once, and costs no window.
#[test]
fn too_big_is_sent_again_in_smaller_pieces() {
    let mut script = Script::established();
    script.write(3000);
    assert_eq!(script.drain().len(), 3);
    let before = script.conn.info(&script.config).cwnd;
    assert!(script.with(|conn, ctx| conn.handle_path(ctx, 600, Some(ISS + 1))));
    script.sends(&[
        ". 1:601(600) ack 1",
        ". 601:1201(600) ack 1",
        ". 1201:1801(600) ack 1",
        ". 1801:2401(600) ack 1",
        "P. 2401:3001(600) ack 1",
    ]);
    assert_eq!(script.conn.info(&script.config).cwnd, before);
    script.arrives(ack(1, 3001));
    assert_eq!(script.conn.queued(), 0);
}

/// RFC 5927 7: a message that quotes nothing in flight is forged; one that asks for more than we send is nothing.
#[test]
fn forged_too_big_messages_are_ignored() {
    let mut script = Script::established();
    assert!(!script.with(|conn, ctx| conn.handle_path(ctx, 100, Some(ISS + 1))), "nothing in flight");
    script.write(1000);
    script.drain();
    assert!(!script.with(|conn, ctx| conn.handle_path(ctx, 100, Some(ISS + 1001))));
    script.with(|conn, ctx| conn.handle_path(ctx, 9000, Some(ISS + 1)));
    script.silent();
    assert_eq!(script.conn.info(&script.config).snd_mss, 1000);
    // And none makes segments smaller than `mss_min`.
    script.with(|conn, ctx| conn.handle_path(ctx, 1, Some(ISS + 1)));
    assert_eq!(script.conn.info(&script.config).snd_mss, 48);
}

/// RFC 4821 7.7: large segments vanish without a word; after three timeouts smaller ones are tried.
#[test]
fn a_black_hole_is_found_without_icmp() {
    let config = TcpConfig { timestamps: false, ..TcpConfig::default() };
    let mut pair = Pair::new(config.clone(), config, ms(10));
    pair.a.config.mtu_probe_interval = Duration::from_secs(30);
    let mut pair = pair.open();
    pair.loses = Box::new(|_, _, seg| seg.text_len > 970);
    pair.write(Side::A, &[1; 20_000]);
    pair.run_for(Duration::from_secs(10));
    assert_eq!(pair.read_all(Side::B).len(), 20_000);
    let config = pair.a.config.clone();
    assert_eq!(pair.conn(Side::A).info(&config).snd_mss, 966);
    // RFC 4821 7.4: the hole goes away, and a larger size is tried and kept.
    pair.loses = Box::new(|_, _, _| false);
    pair.run_for(Duration::from_secs(31));
    pair.write(Side::A, &[2; 20_000]);
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.conn(Side::A).info(&config).snd_mss, 1000);
    assert_eq!(pair.read_all(Side::B).len(), 20_000);
}

/// Karn by way of timestamps (RFC 7323 4.1): a resent segment's echo still measures.
#[test]
fn timestamps_measure_what_was_sent_twice() {
    let config = TcpConfig { sack: false, ..TcpConfig::default() };
    let syn_ack = syn_ack().mss(MSS).ts(500, 1000);
    let mut script = Script::opened(config, Settings::default(), syn_ack);
    script.write(10);
    script.drain();
    script.pass_to_deadline();
    script.drain();
    let stamp = script.last.and_then(|seg| seg.options.timestamps).expect("it carries one");
    script.pass(ms(50));
    script.arrives(ack(1, 11).ts(800, stamp.tsval));
    let srtt = script.conn.info(&script.config).srtt.expect("measured");
    assert!(srtt >= ms(5) && srtt <= ms(50), "{srtt:?}");
    let _ = Flags::NONE;
}

/// A probe that is lost proves nothing, also when its text arrives in smaller pieces.
#[test]
fn a_lost_probe_does_not_raise_the_size() {
    let config = TcpConfig { timestamps: false, ..TcpConfig::default() };
    let mut pair = Pair::new(config.clone(), config, ms(10));
    pair.a.config.mtu_probe_interval = Duration::from_secs(30);
    let mut pair = pair.open();
    pair.loses = Box::new(|_, _, seg| seg.text_len > 970);
    pair.write(Side::A, &[1; 20_000]);
    pair.run_for(Duration::from_secs(40));
    pair.write(Side::A, &[1; 20_000]);
    pair.run_for(Duration::from_secs(10));
    assert_eq!(pair.read_all(Side::B).len(), 40_000);
    let config = pair.a.config.clone();
    assert_eq!(pair.conn(Side::A).info(&config).snd_mss, 966);
}

/// RFC 4821 7.6.2: nor does it reduce the window, which the fast retransmission of anything else would.
#[test]
fn a_lost_probe_does_not_reduce_the_window() {
    let window_after = |hole: bool| {
        let config = TcpConfig { timestamps: false, ..TcpConfig::default() };
        let mut pair = Pair::new(config.clone(), config, ms(10)).open();
        // A path that was narrow: 600 s later a larger size is tried.
        pair.write(Side::A, &[1; 1000]);
        let una = pair.conn(Side::A).text_start();
        pair.with(Side::A, |conn, ctx| conn.handle_path(ctx, 700, Some(una)));
        pair.run_for(Duration::from_secs(700));
        pair.loses = Box::new(move |_, side, seg| side == Side::A && hole && seg.text_len > 700);
        pair.ladder.clear();
        pair.write(Side::A, &[2; 20_000]);
        pair.run_for(Duration::from_secs(2));
        assert_eq!(pair.read_all(Side::B).len(), 21_000);
        let lost = pair.ladder.iter().filter(|line| line.ends_with('x')).count();
        assert_eq!(lost, usize::from(hole), "one probe");
        let config = pair.a.config.clone();
        let info = pair.conn(Side::A).info(&config);
        (info.cwnd, info.ssthresh, info.snd_mss)
    };
    let (cwnd, ssthresh, mss) = window_after(true);
    assert_eq!((ssthresh, mss), (window_after(false).1, 700));
    assert!(cwnd >= 10 * 700, "{cwnd}");
}
