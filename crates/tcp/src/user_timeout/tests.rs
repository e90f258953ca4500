use core::time::Duration;

use wire::tcp::{Flags, UserTimeout};

use super::*;
use crate::testing::*;
use crate::{End, State};

const HOUR: Duration = Duration::from_secs(3600);

fn secs(value: u16) -> UserTimeout {
    UserTimeout { minutes: false, value }
}

fn with_timeout(limit: Duration) -> Settings {
    Settings { user_timeout: Some(limit), ..Settings::default() }
}

/// The option of the last segment that left.
fn told(script: &Script) -> Option<UserTimeout> {
    script.last.expect("something has left").options.user_timeout
}

fn telling(mut peer: Peer, timeout: UserTimeout) -> Peer {
    peer.options.user_timeout = Some(timeout);
    peer
}

/// How long the connection lives once its peer has fallen silent over a segment.
fn lives(script: &mut Script) -> Duration {
    script.write(100);
    script.drain();
    let start = script.now;
    while script.state() != State::Closed {
        script.pass_to_deadline();
        script.drain();
    }
    script.now - start
}

#[test]
fn a_timeout_that_is_set_is_told_in_the_syn_and_once_after_it() {
    let mut script = Script::connecting(plain(), with_timeout(Duration::from_millis(299_001)));
    script.drain();
    assert_eq!(told(&script), Some(secs(300)), "rounded up");
    script.pass_to_deadline();
    script.drain();
    assert_eq!(told(&script), Some(secs(300)), "in every SYN");
    script.arrives(syn_ack().mss(MSS));
    script.drain();
    assert_eq!(told(&script), Some(secs(300)), "a listener under a flood has forgotten the SYN");
    script.write(10);
    script.drain();
    assert_eq!(told(&script), None);
}

#[test]
fn nothing_is_told_if_nothing_is_set_or_the_option_is_off() {
    let off = Settings { user_timeout_option: false, ..with_timeout(HOUR) };
    for settings in [Settings::default(), off] {
        let mut script = Script::connecting(plain(), settings);
        script.drain();
        assert_eq!(told(&script), None);
        script.arrives(syn_ack());
        script.drain();
        assert_eq!(told(&script), None);
    }
}

/// A change is told with the next segment, and again if that was lost.
#[test]
fn a_change_is_told_once_and_again_after_a_timeout() {
    let mut script = Script::established();
    let twenty_hours = Some(UserTimeout { minutes: true, value: 1200 });
    script.set(|settings| settings.user_timeout = Some(20 * HOUR));
    script.write(1);
    script.drain();
    assert_eq!(told(&script), twenty_hours);
    script.pass_to_deadline();
    script.drain();
    assert_eq!(told(&script), twenty_hours, "lost, perhaps");
    script.arrives(ack(1, 2));
    script.set(|settings| settings.nodelay = true);
    script.write(1);
    script.drain();
    assert_eq!(told(&script), None, "no change of this kind");
}

/// The four octets are the text's loss: no segment grows beyond the path.
#[test]
fn the_option_takes_its_room_from_the_text() {
    let mut script = Script::established();
    script.set(|settings| settings.user_timeout = Some(HOUR));
    script.write(3000);
    script.sends(&[
        ". 1:997(996) ack 1",
        ". 997:1997(1000) ack 1",
        ". 1997:2997(1000) ack 1",
        "P. 2997:3001(4) ack 1",
    ]);
}

#[test]
fn a_listener_tells_its_sockets_timeout_and_hears_the_openers() {
    let mut pair = Pair::plain();
    pair.b.config.defaults = std::sync::Arc::new(with_timeout(Duration::from_secs(200)));
    pair.connect(Side::A, with_timeout(HOUR));
    pair.run_for(ms(1000));
    let (a, b) = (pair.a.config.clone(), pair.b.config.clone());
    assert_eq!(pair.conn(Side::A).remote_uto.option(), Some(secs(200)));
    assert_eq!(pair.conn(Side::B).remote_uto.option(), Some(secs(3600)));
    // CHANGEABLE is false on both sides.
    assert_eq!(pair.conn(Side::A).info(&a).user_timeout, Some(HOUR));
    assert_eq!(pair.conn(Side::B).info(&b).user_timeout, Some(Duration::from_secs(200)));
}

/// RFC 5482 3.1, with our defaults: ADV_UTO 300 s, L_LIMIT 100 s, U_LIMIT 924 s.
#[test]
fn a_peers_wish_is_taken_between_the_limits() {
    let config = TcpConfig::default();
    let table = [(1, 300), (299, 300), (301, 301), (924, 924), (925, 924), (0x7fff, 924)];
    for (wish, granted) in table {
        assert_eq!(adopt(secs(wish), &config), Duration::from_secs(granted), "{wish}");
    }
    let hasty = TcpConfig { user_timeout_default: Duration::ZERO, ..TcpConfig::default() };
    assert_eq!(adopt(secs(1), &hasty), Duration::from_secs(100), "L_LIMIT");
    let contrary = TcpConfig { user_timeout_max: Duration::from_secs(50), ..TcpConfig::default() };
    assert_eq!(adopt(secs(500), &contrary), Duration::from_secs(50), "U_LIMIT has the last word");
}

#[test]
fn a_peers_wish_decides_when_we_give_up() {
    let mut script = Script::established();
    script.arrives(telling(ack(1, 1), secs(400)));
    assert_eq!(lives(&mut script), Duration::from_secs(400));
    assert_eq!(script.conn.end(), Some(End::UserTimedOut));

    let mut script = Script::connecting(plain(), Settings::default());
    script.drain();
    script.arrives(telling(syn_ack().mss(MSS), secs(500)));
    script.drain();
    assert_eq!(lives(&mut script), Duration::from_secs(500), "told in the SYN");
}

#[test]
fn the_last_wish_counts_and_a_reserved_zero_is_none() {
    let mut script = Script::established();
    script.arrives(telling(ack(1, 1), secs(700)));
    script.arrives(telling(ack(1, 1), secs(400)));
    script.arrives(telling(ack(1, 1), secs(0)));
    script.arrives(telling(ack(1, 1), UserTimeout { minutes: true, value: 0 }));
    assert_eq!(lives(&mut script), Duration::from_secs(400));
}

#[test]
fn a_wish_in_a_segment_nobody_believes_is_none() {
    let mut script = Script::established();
    script.arrives(telling(ack(100_000, 1), secs(400))); // beyond the window
    script.arrives(telling(ack(1, 5000), secs(400))); // acknowledges what was never sent
    script.arrives(telling(peer(Flags::SYN, 1, 0), secs(400)));
    assert_eq!(script.conn.info(&plain()).user_timeout, None);
}

/// CHANGEABLE, and ENABLED.
#[test]
fn what_the_program_set_or_switched_off_no_peer_changes() {
    let mut script = Script::established();
    script.set(|settings| settings.user_timeout = Some(Duration::from_secs(30)));
    script.arrives(telling(ack(1, 1), secs(400)));
    assert_eq!(lives(&mut script), Duration::from_secs(30));

    let mut script = Script::established();
    script.set(|settings| settings.user_timeout_option = false);
    script.arrives(telling(ack(1, 1), secs(400)));
    assert!(lives(&mut script) > Duration::from_secs(500), "R2");
    assert_eq!(script.conn.end(), Some(End::TimedOut));
}

/// RFC 9293 MUST-37 stands above a peer's wish: a shut window that is answered for is no silence.
#[test]
fn a_peers_wish_ends_no_connection_whose_window_is_shut() {
    let mut script = Script::established();
    script.arrives(telling(ack(1, 1).wnd(0), secs(300)));
    script.write(100);
    script.drain();
    let start = script.now;
    while script.now - start < HOUR {
        script.pass_to_deadline();
        if !script.drain().is_empty() {
            script.arrives(ack(1, 1).wnd(0));
        }
        assert_eq!(script.state(), State::Established);
    }
}

/// Nobody waits for an orphan's sake.
#[test]
fn an_orphan_does_not_wait_for_its_peers_wish() {
    let end_of = |wish: Option<UserTimeout>| {
        let mut script = Script::established();
        if let Some(wish) = wish {
            script.arrives(telling(ack(1, 1), wish));
        }
        script.close();
        script.drain();
        let start = script.now;
        while script.state() != State::Closed {
            script.pass_to_deadline();
            script.drain();
        }
        script.now - start
    };
    assert_eq!(end_of(Some(secs(900))), end_of(None));
}
