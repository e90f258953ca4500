use super::{Chrono, Times};
use crate::host::Host;
use crate::testing::*;
use stack::Instant;
use std::time::Duration;
use tcp::{State, TcpInfo};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn at_rest() -> TcpInfo {
    let mut host = Host::new(flags());
    let (fd, _) = connected(&mut host);
    let handle = host.descriptors.tcp(fd).expect("a socket");
    let info = host.info(handle).expect("a connection");
    TcpInfo { snd_mss: 1_000, cwnd: 10_000, snd_wnd: 20_000, ..info }
}

/// What a connection that stands so for ten milliseconds, and then has nothing to do, has spent on what.
fn spent(info: &TcpInfo, wants_room: bool) -> Times {
    let begin = Instant::from_secs(1);
    let mut chrono = Chrono::new(begin);
    chrono.look(begin + ms(3), Some(&at_rest()));
    chrono.wants_room = wants_room;
    chrono.look(begin + ms(5), Some(info));
    let times = chrono.at(begin + ms(15));
    chrono.look(begin + ms(15), Some(&at_rest()));
    assert_eq!(
        chrono.at(begin + ms(90)),
        times,
        "what is told meanwhile is what is kept, and rest counts for nothing"
    );
    times
}

#[test]
fn a_time_is_busy_and_at_most_one_thing_limits() {
    let rest = at_rest();
    let busy = Times { busy: ms(10), ..Times::default() };
    let window = Times { window_limited: ms(10), ..busy };
    let buffer = Times { buffer_limited: ms(10), ..busy };
    let table = [
        ("nothing to send", rest, false, Times::default()),
        ("nothing to send, and told to wait", rest, true, Times::default()),
        ("in flight", TcpInfo { unacked: 4_000, ..rest }, false, busy),
        ("a SYN", TcpInfo { state: State::SynSent, unacked: 1, ..rest }, false, Times::default()),
        ("held by cwnd", TcpInfo { unacked: 10_000, not_sent: 500, ..rest }, true, busy),
        (
            "held by both windows",
            TcpInfo { unacked: 10_000, not_sent: 500, snd_wnd: 10_000, ..rest },
            true,
            busy,
        ),
        ("held by Nagle", TcpInfo { unacked: 500, not_sent: 500, ..rest }, false, busy),
        ("no window", TcpInfo { not_sent: 1_000, snd_wnd: 0, ..rest }, false, window),
        ("a window for less than a segment", TcpInfo { not_sent: 1_000, snd_wnd: 10, ..rest }, false, window),
        ("a window for this", TcpInfo { not_sent: 10, snd_wnd: 10, ..rest }, false, busy),
        ("full", TcpInfo { unacked: 4_000, not_sent: 1_500, snd_wnd: 4_999, ..rest }, false, window),
        ("all is out, and more is wanted", TcpInfo { unacked: 4_000, ..rest }, true, buffer),
        (
            "what was lost and went out again is in the network once",
            TcpInfo { unacked: 12_000, lost: 3_000, resent: 1_000, not_sent: 9_000, snd_wnd: 12_000, ..rest },
            false,
            busy,
        ),
    ];
    for (what, info, wants_room, want) in table {
        assert_eq!(spent(&info, wants_room), want, "{what}");
    }
}

/// By the calls of a program: the window is shut, opens, and the text is acknowledged.
#[test]
fn a_host_counts_from_the_write_to_the_acknowledgment() {
    use wire::tcp::Flags;
    let mut host = Host::new(flags());
    let (fd, iss) = connected(&mut host);
    let window = |host: &mut Host, ack: u32, window: u16| {
        host.inject(&segment_with(window, PEER_PORT, PORT, Flags::ACK, PEER_ISS + 1, ack, b""));
    };
    window(&mut host, iss + 1, 0);
    host.now += ms(7);
    assert_eq!(host.times(fd), Times::default(), "nothing waits");
    assert_eq!(host.send(fd, &[1; 100], 0), Ok(100));
    host.now += ms(40);
    let window_limited = ms(40);
    assert_eq!(host.times(fd), Times { busy: ms(40), window_limited, ..Times::default() });
    window(&mut host, iss + 1, 1_000);
    host.now += ms(20);
    window(&mut host, iss + 101, 1_000);
    host.now += ms(500);
    assert_eq!(host.times(fd), Times { busy: ms(60), window_limited, ..Times::default() });
}
