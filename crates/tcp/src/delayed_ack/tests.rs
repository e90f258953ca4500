use super::{Arrival, DelayedAck};
use crate::config::TcpConfig;
use crate::time::Instant;
use core::time::Duration;

fn full() -> Arrival {
    Arrival { len: 1460, full_sized: true, segments: 1, ..Arrival::default() }
}

fn small() -> Arrival {
    Arrival { len: 100, segments: 1, ..Arrival::default() }
}

/// A room past its quick start.
fn settled(config: &TcpConfig) -> DelayedAck {
    let mut room = DelayedAck::new(Instant::ZERO, config);
    for _ in 0..config.quick_acks {
        room.on_data(Instant::ZERO, &full(), config);
        assert!(room.is_due(), "the first ACKs go at once");
        room.on_ack_sent();
    }
    room
}

#[test]
fn sixteen_bytes() {
    assert!(size_of::<DelayedAck>() <= 16);
}

#[test]
fn a_lone_segment_waits_forty_milliseconds() {
    let config = TcpConfig::default();
    let mut room = settled(&config);
    let now = Instant::from_millis(5);
    room.on_data(now, &full(), &config);
    assert!(room.is_pending() && !room.is_due());
    let deadline = room.deadline(now, &config).expect("it waits");
    assert_eq!(deadline, Instant::from_millis(45));
    room.on_timeout(Instant::from_millis(44), &config);
    assert!(!room.is_due());
    room.on_timeout(deadline, &config);
    assert!(room.is_due());
    room.on_ack_sent();
    assert!(!room.is_pending() && room.deadline(now, &config).is_none());
}

/// RFC 5681 4.2, in the table's order.
#[test]
fn what_never_waits() {
    let config = TcpConfig::default();
    let table = [
        ("out of order", Arrival { out_of_order: true, ..small() }),
        ("fills a hole", Arrival { filled_hole: true, ..small() }),
        ("FIN", Arrival { fin: true, ..small() }),
        ("congestion experienced", Arrival { ce: true, ..small() }),
        ("two segments put together", Arrival { len: 2920, segments: 2, ..full() }),
    ];
    for (what, arrival) in table {
        let mut room = settled(&config);
        room.on_data(Instant::ZERO, &arrival, &config);
        assert!(room.is_due(), "{what}");
    }
    let mut room = settled(&config);
    room.on_data(Instant::ZERO, &full(), &config);
    room.on_data(Instant::ZERO, &full(), &config);
    assert!(room.is_due(), "the second full-sized segment");
    let mut room = settled(&config);
    for _ in 0..14 {
        room.on_data(Instant::ZERO, &small(), &config);
        assert!(!room.is_due());
    }
    room.on_data(Instant::ZERO, &small(), &config);
    assert!(room.is_due(), "small ones that together exceed a full one");
}

#[test]
fn a_program_that_answers_ends_the_quick_start() {
    let config = TcpConfig::default();
    let mut room = DelayedAck::new(Instant::ZERO, &config);
    room.on_data(Instant::ZERO, &small(), &config);
    room.on_data_sent(Instant::from_millis(1), &config);
    room.on_ack_sent();
    room.on_data(Instant::from_millis(2), &small(), &config);
    assert!(!room.is_due(), "the ACK waits for the answer");
    // The answer does not come: the ACK goes alone, the next one still waits its 40 ms.
    room.on_timeout(Instant::from_millis(42), &config);
    assert!(room.is_due());
    room.on_ack_sent();
    // A pause brings the quick start back.
    room.on_data(Instant::from_secs(5), &small(), &config);
    assert!(room.is_due());
}

#[test]
fn the_socket_option_overrules() {
    let config = TcpConfig::default();
    let mut room = settled(&config);
    room.on_data(Instant::ZERO, &small(), &config);
    room.set_quick(true, &config);
    assert!(room.is_due());
    room.on_ack_sent();
    room.set_quick(false, &config);
    room.on_data(Instant::ZERO, &small(), &config);
    assert!(!room.is_due());
}

#[test]
fn no_configuration_delays_half_a_second() {
    let config = TcpConfig { delayed_ack: Duration::from_secs(2), ..TcpConfig::default() };
    let mut room = settled(&config);
    room.on_data(Instant::ZERO, &small(), &config);
    assert!(room.deadline(Instant::ZERO, &config) < Some(Instant::from_millis(500)));
}

/// RFC 5681 4.2, RFC 2883 4: what comes out of order shares its ACK with nobody; what comes in order does.
#[test]
fn disorder_is_owed_an_ack_of_its_own() {
    let config = TcpConfig::default();
    let mut room = settled(&config);
    let now = Instant::from_millis(5);
    let early = Arrival { out_of_order: true, ..full() };
    for in_order in [full(), Arrival { filled_hole: true, ..full() }, Arrival { fin: true, ..full() }] {
        room.on_data(now, &in_order, &config);
        room.on_data(now, &in_order, &config);
        assert!(room.is_due() && !room.owes_own(), "{in_order:?}");
        room.on_data(now, &early, &config);
        assert!(room.is_due() && room.owes_own());
        room.on_data(now, &in_order, &config);
        room.ack_now();
        assert!(room.owes_own(), "nothing later takes it away");
        room.on_ack_sent();
        assert!(!room.is_pending());
    }
}
