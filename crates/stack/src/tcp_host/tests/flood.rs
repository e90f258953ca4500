//! Floods of SYNs.

use super::cable::{Flying, addr};
use super::{A, B, World};
use crate::counters::DropReason;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use tcp::State;
use wire::ip::Ecn;
use wire::tcp::{Flags, Header, TcpOptions, Timestamps};

/// One SYN of many, each from an address of its own.
fn syn(number: u32, timestamps: bool) -> Flying {
    let header = Header {
        src_port: 1024 + (number % 60_000) as u16,
        dst_port: 80,
        seq: number.wrapping_mul(0x9e37_79b9),
        flags: Flags::SYN,
        window: 64_240,
        options: TcpOptions {
            mss: Some(1460),
            timestamps: timestamps.then_some(Timestamps { tsval: number, tsecr: 0 }),
            ..TcpOptions::default()
        },
        ..Header::default()
    };
    let mut bytes = vec![0; header.header_len()];
    header.emit(&mut bytes);
    let src = IpAddr::V4(Ipv4Addr::from(0xc0a8_0000 + number / 60_000));
    Flying { src, dst: addr("10.0.0.2:80").ip(), ecn: Ecn::NotEct, bytes }
}

/// The number: during a flood of a million SYNs a real client connects within a second, and unfinished handshakes
/// hold no more than the backlog.
#[test]
fn a_client_connects_through_a_million_syns() {
    let mut world = World::with(|config| config.tcp.syn_backlog = 256);
    let listener = world.listen(B, "10.0.0.2:80", 16);
    let start = world.now;
    let mut client = None;
    for number in 0..1_000_000u32 {
        let flood = syn(number, number % 2 == 0);
        world.deliver(B, &flood);
        if number % 1_000 == 0 {
            // A millisecond for a thousand: a million SYNs a second. The answers go to nobody.
            world.now += Duration::from_millis(1);
            let answers = world.take(B);
            if number == 500_000 {
                client = Some(world.connect(A, "10.0.0.2:80"));
            }
            for flying in world.take(A) {
                world.deliver(B, &flying);
            }
            let to_client = addr("10.0.0.1:0").ip();
            for flying in answers.iter().chain(&world.take(B)).filter(|flying| flying.dst == to_client) {
                world.deliver(A, flying);
            }
            assert!(world.hosts[B].tcp.half_open_len() <= 256);
        }
    }
    let client = client.expect("it has begun");
    assert_eq!(world.state(A, client), Some(State::Established));
    assert!(world.now - start <= Duration::from_millis(1_001));
    let server = world.accept(B, listener).expect("the cookie was good");
    world.send(A, client, b"through");
    world.settle();
    assert_eq!(world.try_recv(B, server), Ok(b"through".to_vec()));
    // With timestamps a cookie keeps window scale and SACK.
    let info = world.hosts[B].tcp.info(server).expect("a connection");
    assert!(info.sack && info.timestamps && info.snd_wscale.is_some());
    assert_eq!(info.peer_mss, 1460);
    world.cut = true;
    world.advance(Duration::from_secs(120));
    assert_eq!(world.hosts[B].tcp.half_open_len(), 0, "what was half open has been given up");
}

/// The bound is of bytes, and an IPv6 entry is longer: a flood of either family, or of both, holds no more than 64 bytes times
/// `syn_backlog`, and what comes beyond it is still answered.
#[test]
fn unfinished_handshakes_hold_at_most_the_backlogs_bytes() {
    const BACKLOG: usize = 100;
    let v6 = |number: u32| {
        let net = 0x2001_0db8_u128 << 96;
        Flying {
            src: IpAddr::V6((net | 1 << 64 | u128::from(number)).into()),
            dst: IpAddr::V6((net | 2).into()),
            ..syn(number, true)
        }
    };
    for (what, entries) in
        [("v4", BACKLOG), ("v6", BACKLOG * 64 / 88), ("both", 2 * (BACKLOG * 64 / (64 + 88)))]
    {
        let mut world = World::with(|config| config.tcp.syn_backlog = BACKLOG);
        world.hosts[B].floor.addrs.push(addr("[2001:db8::2]:80").ip());
        world.listen(B, "10.0.0.2:80", 16);
        world.listen(B, "[2001:db8::2]:80", 16);
        for number in 0..300 {
            let of_v6 = what == "v6" || (what == "both" && number % 2 == 0);
            world.deliver(B, &if of_v6 { v6(number) } else { syn(number, true) });
        }
        let tcp = &world.hosts[B].tcp;
        assert!(tcp.half_open_bytes() <= BACKLOG * 64, "{what}: {}", tcp.half_open_bytes());
        assert!((entries..=entries + 1).contains(&tcp.half_open_len()), "{what}: {}", tcp.half_open_len());
        assert_eq!(world.take(B).len(), 300, "{what}: every SYN is answered");
    }
}

#[test]
fn a_cookie_without_timestamps_keeps_the_mss_only() {
    let mut world = World::with(|config| {
        config.tcp.syn_backlog = 0;
        config.tcp.connection.timestamps = false;
    });
    let (client, server) = world.pair();
    let info = world.hosts[B].tcp.info(server).expect("a connection");
    assert!(!info.sack && !info.timestamps && info.snd_wscale.is_none());
    assert_eq!(info.peer_mss, 1460);
    world.send(A, client, &[3; 5_000]);
    world.advance(Duration::from_secs(1));
    assert_eq!(world.try_recv(B, server).map(|data| data.len()), Ok(5_000));
    world.send(B, server, &[4; 50_000]);
    world.advance(Duration::from_secs(1));
    assert_eq!(world.try_recv(A, client).map(|data| data.len()), Ok(50_000));
}

#[test]
fn acks_that_are_no_cookies_are_reset() {
    let mut world = World::with(|config| config.tcp.syn_backlog = 0);
    world.listen(B, "10.0.0.2:80", 16);
    world.deliver(B, &syn(1, true));
    world.take(B);
    let header = Header {
        src_port: 1025,
        dst_port: 80,
        seq: 5,
        ack: 12345,
        flags: Flags::ACK,
        window: 100,
        ..Header::default()
    };
    let mut bytes = vec![0; header.header_len()];
    header.emit(&mut bytes);
    world.deliver(B, &Flying { bytes, ..syn(1, true) });
    let answers = world.take(B);
    assert_eq!(answers.len(), 1);
    assert_eq!((answers[0].header().flags, answers[0].header().seq), (Flags::RST, 12345));
    assert_eq!(world.hosts[B].floor.counters.dropped(DropReason::TcpBadCookie), 1);
    assert_eq!(world.hosts[B].tcp.sockets_len(), 1);
}

#[test]
fn without_cookies_a_full_cache_drops() {
    let mut world = World::with(|config| {
        config.tcp.syn_backlog = 2;
        config.tcp.syn_cookies = false;
    });
    world.listen(B, "10.0.0.2:80", 16);
    (0..5).for_each(|number| world.deliver(B, &syn(number, true)));
    assert_eq!(world.take(B).len(), 2);
    assert_eq!(world.hosts[B].floor.counters.dropped(DropReason::TcpBacklogFull), 3);
}

/// RFC 9293 3.10.7.4: in SYN-RECEIVED after a passive open, a RST returns to LISTEN.
#[test]
fn a_reset_takes_a_half_open_entry_back() {
    let mut world = World::new();
    world.listen(B, "10.0.0.2:80", 16);
    let flood = syn(7, true);
    world.deliver(B, &flood);
    assert_eq!(world.hosts[B].tcp.half_open_len(), 1);
    let header = Header {
        seq: flood.header().seq + 1,
        flags: Flags::RST,
        options: TcpOptions::default(),
        ..flood.header()
    };
    let mut bytes = vec![0; header.header_len()];
    header.emit(&mut bytes);
    world.deliver(B, &Flying { bytes, ..syn(7, true) });
    assert_eq!((world.hosts[B].tcp.half_open_len(), world.hosts[B].tcp.flows.len()), (0, 0));
}
