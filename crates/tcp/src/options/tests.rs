use super::*;
use crate::testing::{ISS, ack, peer};

fn agreed(now: Instant, tsval: u32) -> Agreed {
    let config = TcpConfig::default();
    let mut agreed = Agreed::offered(&config, &config.defaults, 5000);
    let syn = peer(Flags::SYN, 0, 0).mss(1460).scale(7).sack_ok().ts(tsval, 0);
    agreed.on_syn(&syn.arriving(), &config, now);
    agreed.on_ack_sent(crate::testing::IRS + 1);
    agreed
}

#[test]
fn the_scale_expresses_the_largest_buffer() {
    let mut config = TcpConfig::default();
    for (buffer, scale) in [(65_535, 0), (65_536, 1), (6 << 20, 7), (u32::MAX, 14)] {
        config.receive_buffer_max = buffer;
        assert_eq!(scale_for(&config, &config.defaults), scale, "{buffer}");
    }
    let settings = Settings { receive_buffer: Some(1 << 20), ..Settings::default() };
    assert_eq!(scale_for(&config, &settings), 5);
}

#[test]
fn a_peers_scale_above_14_is_14() {
    let config = TcpConfig::default();
    let mut agreed = Agreed::offered(&config, &config.defaults, 0);
    agreed.on_syn(&peer(Flags::SYN, 0, 0).scale(200).arriving(), &config, Instant::ZERO);
    assert_eq!(agreed.snd_scale(), 14);
}

/// RFC 7323 2.3: the window of a SYN is never scaled.
#[test]
fn windows_are_scaled_except_in_a_syn() {
    let agreed = agreed(Instant::ZERO, 1);
    assert_eq!(agreed.seg_wnd(&ack(1, 1).wnd(3).arriving()), 3 << 7);
    assert_eq!(agreed.seg_wnd(&ack(1, 1).wnd(0xffff).arriving()), 0xffff << 7, "MUST-1: no sign");
    assert_eq!(agreed.seg_wnd(&peer(Flags::SYN, 0, 0).wnd(3).arriving()), 3);
}

/// RFC 7323 5.2, 5.3: older is refused, equal and newer are not, on the circle; RST never.
#[test]
fn paws_refuses_older_stamps() {
    let now = Instant::from_secs(10);
    for base in [1000, u32::MAX - 3, 0] {
        let agreed = agreed(now, base);
        let refuses = |ahead: i32| {
            agreed.paws_refuses(&ack(1, 1).octets(1).ts(base.wrapping_add_signed(ahead), 0).arriving(), now)
        };
        assert!(refuses(-1) && refuses(i32::MIN + 1));
        assert!(!refuses(0) && !refuses(1) && !refuses(i32::MAX));
        let rst = peer(Flags::RST, 1, 0).ts(base.wrapping_sub(9), 0);
        assert!(!agreed.paws_refuses(&rst.arriving(), now));
        assert!(!agreed.paws_refuses(&ack(1, 1).arriving(), now), "without the option nothing is known");
    }
}

/// RFC 7323 5.5.
#[test]
fn after_24_days_any_stamp_is_good() {
    let agreed = agreed(Instant::from_secs(10), 1000);
    let old = ack(1, 1).ts(900, 0);
    let day = 24 * 3600;
    assert!(agreed.paws_refuses(&old.arriving(), Instant::from_secs(10 + 24 * day - 1)));
    for days in [24, 30, 60, 400] {
        assert!(!agreed.paws_refuses(&old.arriving(), Instant::from_secs(10 + days * day)), "{days}");
    }
}

/// RFC 7323 4.3: (1) not older, (2) SEG.SEQ =< Last.ACK.sent.
#[test]
fn ts_recent_follows_segments_that_reach_back_to_the_last_ack() {
    let now = Instant::from_secs(10);
    let mut agreed = agreed(now, 1000);
    agreed.on_acceptable(&ack(2, 1).ts(1005, 0).arriving(), now);
    assert_eq!(agreed.ts_recent(), 1000, "beyond the last ACK");
    agreed.on_acceptable(&ack(1, 1).ts(1007, 0).arriving(), now);
    assert_eq!(agreed.ts_recent(), 1007);
    agreed.on_acceptable(&ack(0, 1).ts(1003, 0).arriving(), now);
    assert_eq!(agreed.ts_recent(), 1007, "never back");
}

#[test]
fn our_clock_ticks_once_a_millisecond_from_its_offset() {
    let agreed = agreed(Instant::ZERO, 1);
    assert_eq!(agreed.stamp(Instant::from_millis(42)).map(|stamps| stamps.tsval), Some(5042));
    let echo = |tsecr| agreed.echoed_rtt(&ack(1, 1).ts(9, tsecr).arriving(), Instant::from_millis(100));
    assert_eq!(echo(5060), Some(Duration::from_millis(40)));
    assert_eq!(echo(5100), Some(Duration::from_millis(1)), "less than a tick counts as one");
    assert_eq!(echo(0), None);
    assert_eq!(echo(5101), None, "from the future");
}

/// RFC 9293 3.7.1, MUST-16: options are taken off the text.
#[test]
fn the_effective_mss_is_the_least_of_peer_path_and_socket_less_options() {
    let agreed = agreed(Instant::ZERO, 1);
    let settings = Settings::default();
    assert_eq!(agreed.smss(9000, &settings), 1448);
    assert_eq!(agreed.smss(1000, &settings), 988);
    assert_eq!(agreed.smss(9000, &Settings { max_segment: Some(500), ..settings }), 488);
    let _ = ISS;
}

#[test]
fn packing_keeps_the_agreement() {
    let agreed = agreed(Instant::from_secs(3), 77);
    let again = Agreed::unpack(agreed.pack(), Instant::from_secs(3));
    assert_eq!(again.pack(), agreed.pack());
    assert_eq!(again.stamp(Instant::from_secs(4)), agreed.stamp(Instant::from_secs(4)));
}
