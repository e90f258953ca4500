//! The decision, as a table.

use super::{Decision, Outlook, decide};

const LOOK: Outlook = Outlook {
    unsent: 0,
    fin: false,
    window: 60_000,
    window_max: 60_000,
    room: 10_000,
    mss: 1000,
    burst: 1000,
    nodelay: false,
    hold: false,
    small_in_flight: false,
    override_: false,
};

#[test]
fn the_decision() {
    use Decision::*;
    let send = |len| Send { len, fin: false };
    let rows = [
        ("nothing", LOOK, Idle),
        ("a FIN alone", Outlook { fin: true, ..LOOK }, Send { len: 0, fin: true }),
        ("a FIN ignores cwnd", Outlook { fin: true, room: 0, ..LOOK }, Send { len: 0, fin: true }),
        ("a FIN heeds the window", Outlook { fin: true, window: 0, ..LOOK }, AwaitWindow),
        ("a small piece, nothing in flight", Outlook { unsent: 10, ..LOOK }, send(10)),
        ("Nagle", Outlook { unsent: 10, small_in_flight: true, ..LOOK }, AwaitCompany),
        ("no Nagle", Outlook { unsent: 10, small_in_flight: true, nodelay: true, ..LOOK }, send(10)),
        ("held", Outlook { unsent: 10, hold: true, ..LOOK }, AwaitCompany),
        ("held, even without Nagle", Outlook { unsent: 10, hold: true, nodelay: true, ..LOOK }, AwaitCompany),
        ("held too long", Outlook { unsent: 10, hold: true, override_: true, ..LOOK }, send(10)),
        ("a FIN pushes", Outlook { unsent: 10, hold: true, fin: true, ..LOOK }, Send { len: 10, fin: true }),
        (
            "a full one never waits",
            Outlook { unsent: 1000, hold: true, small_in_flight: true, ..LOOK },
            send(1000),
        ),
        ("the full part goes", Outlook { unsent: 2500, hold: true, burst: 64_000, ..LOOK }, send(2000)),
        ("a burst with its tail", Outlook { unsent: 2500, burst: 64_000, ..LOOK }, send(2500)),
        ("one segment at a time", Outlook { unsent: 2500, ..LOOK }, send(1000)),
        ("window shut", Outlook { unsent: 10, window: 0, ..LOOK }, AwaitWindow),
        ("a silly window", Outlook { unsent: 5000, window: 300, ..LOOK }, AwaitWindow),
        (
            "half of the largest window",
            Outlook { unsent: 5000, window: 300, window_max: 600, ..LOOK },
            send(300),
        ),
        ("silly, but long", Outlook { unsent: 5000, window: 300, override_: true, ..LOOK }, send(300)),
        ("everything fits a small window", Outlook { unsent: 300, window: 300, ..LOOK }, send(300)),
        (
            "window in whole segments",
            Outlook { unsent: 9000, window: 3500, burst: 64_000, ..LOOK },
            send(3000),
        ),
        ("cwnd full", Outlook { unsent: 5000, room: 0, ..LOOK }, AwaitCongestion),
        ("less than a segment of cwnd", Outlook { unsent: 5000, room: 900, ..LOOK }, AwaitCongestion),
        ("a small piece fits into cwnd", Outlook { unsent: 100, room: 900, ..LOOK }, send(100)),
        ("cwnd in whole segments", Outlook { unsent: 9000, room: 3500, burst: 64_000, ..LOOK }, send(3000)),
        (
            "a FIN that the window has no room for",
            Outlook { unsent: 10, window: 10, fin: true, ..LOOK },
            send(10),
        ),
    ];
    for (name, look, expected) in rows {
        assert_eq!(decide(&look), expected, "{name}");
    }
}
