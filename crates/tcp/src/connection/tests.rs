//! The pair in a box: golden ladders, written by hand from the RFC's figures; and what a connection weighs.

use core::mem::size_of;
use core::time::Duration;

use super::*;
use crate::testing::*;
use crate::{Instant, SendFlags, SynReceived, TimeWait};

#[test]
fn the_idle_forms_stay_small() {
    assert!(size_of::<Connection>() <= 184, "{}", size_of::<Connection>());
    assert!(size_of::<SynReceived>() <= 52, "{}", size_of::<SynReceived>());
    assert!(size_of::<TimeWait>() <= 20, "{}", size_of::<TimeWait>());
}

/// RFC 9293 figure 6, then a byte each way.
#[test]
fn three_way_handshake_and_data() {
    let mut pair = Pair::plain();
    pair.connect(Side::A, Settings::default());
    pair.run_for(ms(30));
    pair.write(Side::A, b"ping");
    pair.run_for(ms(10));
    assert_eq!(pair.read_all(Side::B), b"ping");
    pair.write(Side::B, b"pong");
    pair.run_for(ms(60));
    assert_eq!(pair.read_all(Side::A), b"pong");
    pair.shows(
        "0 A  S 0:1(0)
         10 B  S. 0:1(0) ack 1
         20 A  . ack 1
         30 A  P. 1:5(4) ack 1
         40 B  P. 1:5(4) ack 5
         90 A  . 5:5(0) ack 5",
    );
    assert!(pair.end(Side::A).events.contains(Events::OPENED | Events::READABLE));
}

/// RFC 9293 figure 12: A closes, B follows.
#[test]
fn four_segments_close() {
    let mut pair = Pair::plain().open();
    pair.with(Side::A, |conn, ctx| conn.close(ctx));
    pair.run_for(ms(20));
    assert_eq!(pair.conn(Side::A).state(), State::FinWait2);
    assert_eq!(pair.conn(Side::B).state(), State::CloseWait);
    pair.with(Side::B, |conn, ctx| conn.close(ctx));
    pair.run_for(ms(20));
    pair.shows(
        "0 A  F. 1:2(0) ack 1
         10 B  . ack 2
         20 B  F. 1:2(0) ack 2
         30 A  . 2:2(0) ack 2",
    );
    assert_eq!(pair.conn(Side::A).state(), State::TimeWait);
    assert_eq!(pair.conn(Side::B).end(), Some(End::Finished));
    pair.run_for(ms(60_100));
    assert_eq!(pair.conn(Side::A).end(), Some(End::Finished));
}

#[test]
fn a_megabyte_arrives_once_and_in_order() {
    let mut pair = Pair::new(TcpConfig::default(), TcpConfig::default(), ms(5)).open();
    let data: Vec<u8> = (0..1_000_000u32).map(|i| (i * 7 + i / 251) as u8).collect();
    let (mut sent, mut got) = (0, Vec::new());
    while got.len() < data.len() {
        sent += pair.write(Side::A, &data[sent..]);
        pair.run_for(ms(10));
        got.extend(pair.read_all(Side::B));
        assert!(pair.now < Instant::from_secs(160), "it moves");
    }
    assert_eq!(got, data);
    pair.run_for(ms(500));
    for side in [Side::A, Side::B] {
        assert!(pair.conn(side).sending.is_none() && pair.conn(side).receiving.is_none(), "idle again");
        assert_eq!(pair.end(side).memory.budget.used(), 0);
    }
}

#[test]
fn a_megabyte_survives_loss_both_ways() {
    for sack in [true, false] {
        let config = TcpConfig { sack, ..TcpConfig::default() };
        let mut pair = Pair::new(config.clone(), config, ms(5)).open();
        let mut dice = 1u32;
        pair.loses = Box::new(move |_, _, _| {
            dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            dice >> 24 < 13 // 5 %
        });
        let data: Vec<u8> = (0..1_000_000u32).map(|i| (i * 13 + i / 251) as u8).collect();
        let (mut sent, mut got) = (0, Vec::new());
        while got.len() < data.len() {
            sent += pair.write(Side::A, &data[sent..]);
            pair.run_for(ms(10));
            got.extend(pair.read_all(Side::B));
            assert!(pair.now < Instant::from_secs(700), "it moves: {} of {}", got.len(), data.len());
        }
        assert_eq!(got, data);
    }
}

#[test]
fn settings_are_shared_until_one_socket_changes_them() {
    let mut script = Script::established();
    let before = script.conn.settings.clone();
    script.set(|settings| settings.nodelay = true);
    assert!(!before.nodelay && script.conn.settings().nodelay);
}

#[test]
fn release_gives_everything_back() {
    let mut script = Script::established();
    script.write(10_000);
    script.drain();
    script.arrives(ack(1001, 1).octets(500)); // a hole
    assert!(script.memory.budget.used() > 0);
    script.conn.release(&mut script.memory);
    assert_eq!(script.memory.budget.used(), 0);
    assert_eq!(script.with(|conn, ctx| conn.send(ctx, b"x", SendFlags::default())).ok(), None);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 60, ..Default::default() })]

    /// Both ends send, over a cable that loses, with whatever was agreed and however small the buffers; then both close.
    /// Everything arrives once and in order, both come to an ordinary end, nothing is kept.
    #[test]
    fn a_conversation_survives_any_loss(
        seed: u32, loss in 0u32..30, options in 0u8..32, tso: bool,
        buffer in proptest::option::of(1500u32..40_000), len_a in 0usize..120_000, len_b in 0usize..120_000,
    ) {
        let bit = |at: u8| options >> at & 1 == 1;
        let settings = Settings { receive_buffer: buffer, nodelay: bit(3), ..Settings::default() };
        let config = TcpConfig {
            sack: bit(0),
            timestamps: bit(1),
            window_scaling: bit(2),
            ecn: if bit(4) { crate::EcnPolicy::Request } else { crate::EcnPolicy::Off },
            syn_retries: 20,
            syn_ack_retries: 20,
            orphan_retries: 40,
            retries_2: 40,
            rto_max: Duration::from_secs(5),
            defaults: Arc::new(settings.clone()),
            ..TcpConfig::default()
        };
        let mut pair = Pair::new(config.clone(), config, ms(7));
        if tso {
            pair.a.tso_max = 64_000;
            pair.b.tso_max = 64_000;
        }
        let mut dice = seed;
        pair.loses = Box::new(move |_, _, _| {
            dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (dice >> 8) % 100 < loss
        });
        pair.connect(Side::A, settings);
        let data = [len_a, len_b].map(|len| (0..len).map(|i| (i * 31 + i / 253) as u8).collect::<Vec<u8>>());
        let mut sent = [0, 0];
        let mut got = [Vec::new(), Vec::new()];
        let mut finished = [false, false];
        let sides = [Side::A, Side::B];
        let give_up = pair.now + Duration::from_secs(3600);
        while got[1].len() < len_a || got[0].len() < len_b || finished != [true, true] {
            proptest::prop_assert!(pair.now < give_up, "{:?} of {len_b} and {len_a}", got.each_ref().map(Vec::len));
            for (i, side) in sides.into_iter().enumerate() {
                if pair.end(side).conn.is_none() {
                    continue;
                }
                sent[i] += pair.write(side, &data[i][sent[i]..]);
                let more = pair.read_all(side);
                got[i].extend(more);
                if sent[i] == data[i].len() && !finished[i] && pair.conn(side).state() != State::SynSent {
                    pair.with(side, |conn, ctx| conn.shutdown_write(ctx));
                    finished[i] = true;
                }
            }
            pair.run_for(ms(5));
        }
        proptest::prop_assert_eq!(&got[0], &data[1]);
        proptest::prop_assert_eq!(&got[1], &data[0]);
        pair.run_for(Duration::from_secs(600));
        for side in sides {
            proptest::prop_assert_eq!(pair.conn(side).end(), Some(End::Finished));
            proptest::prop_assert_eq!(pair.end(side).memory.budget.used(), 0);
        }
    }
}
