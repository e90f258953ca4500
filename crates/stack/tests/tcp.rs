//! TCP end to end: two whole stacks, frames between them.

mod pair;

use pair::{A, B, Drain, Pair, addr};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, Shutdown};
use std::time::Duration;
use switchboard_stack::{DropReason, Handle, InterfaceConfig, Readiness};
use tcp::State;
use wire::ethernet::MacAddr;
use wire::ip::{Protocol, pseudo_v4};
use wire::tcp::{Flags, Header, TcpOptions, Timestamps};

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 31 % 251) as u8).collect()
}

#[test]
fn bytes_cross_over_both_families_and_any_mtu() {
    for remote in ["10.0.0.2:80", "[fd00::2]:80"] {
        for mtu in [1280, 1500, 9000, 65_535] {
            let mut pair = Pair::with(mtu, |_, _| {});
            let (client, server) = pair.open(remote);
            let data = pattern(1_000_000);
            let got = pair.transfer((A, client), server, &data, Duration::from_secs(60));
            assert!(got == data, "{remote} mtu {mtu}: {} octets", got.len());
            let back = pair.transfer((B, server), client, &data, Duration::from_secs(60));
            assert!(back == data, "{remote} mtu {mtu} back: {} octets", back.len());
        }
    }
}

#[test]
fn a_long_path_is_filled() {
    let mut pair = Pair::new();
    pair.delay = Duration::from_millis(50);
    let (client, server) = pair.open("10.0.0.2:80");
    let data = pattern(20_000_000);
    let start = pair.now;
    let got = pair.transfer((A, client), server, &data, Duration::from_secs(60));
    assert!(got == data);
    // At 100 ms a round trip a window of 64 KiB would take 30 s; auto-tuning and window scaling make it a few.
    assert!(pair.now - start < Duration::from_secs(5), "{:?}", pair.now - start);
}

/// RFC 5681 3.2 and 4.2: a segment out of order has a duplicate ACK of its own, though many arrive before anything is sent, so
/// that the sender repairs a loss within a round trip, SACK or not.
#[test]
fn a_batch_with_a_hole_is_answered_segment_by_segment() {
    use std::cell::RefCell;
    use std::rc::Rc;
    const BATCH: usize = 64;
    for (sack, hole) in [(true, 0), (true, 20), (false, 0), (false, 20), (true, 60), (false, 60)] {
        let mut pair = Pair::with(1500, |_, config| {
            config.tcp.connection.sack = sack;
            // The batch is to leave as one.
            config.tcp.connection.initial_window_segments = BATCH as u8;
            std::sync::Arc::make_mut(&mut config.tcp.connection.defaults).pacing = false;
        });
        pair.delay = Duration::from_millis(10);
        let (client, server) = pair.open("10.0.0.2:80");
        let warm = pattern(1_000_000);
        assert!(pair.transfer((A, client), server, &warm, Duration::from_secs(60)) == warm);
        // The last ACKs go their way; after a longer rest the window would be small again (RFC 5681 4.1).
        pair.advance(Duration::from_millis(50));

        // A frame of the batch is lost on its way there; on the way back every ACK is noted: its number and its blocks.
        let acks = Rc::new(RefCell::new(Vec::new()));
        let texts = Rc::new(RefCell::new(0));
        let (noted, counted) = (acks.clone(), texts.clone());
        pair.passes = Box::new(move |from, frame| {
            let packet = wire::tcp::Packet::new(&frame[20..]).expect("all is TCP");
            if from == B {
                noted.borrow_mut().push((packet.ack(), Header::parse(&packet).options.sack.len()));
                return true;
            }
            *counted.borrow_mut() += usize::from(!packet.payload().is_empty());
            packet.payload().is_empty() || *counted.borrow() != hole + 1
        });
        let mss = pair.stacks[A].tcp_info(client).expect("open").snd_mss as usize;
        let (start, data) = (pair.now, pattern(BATCH * mss));
        let got = pair.transfer((A, client), server, &data, Duration::from_secs(10));
        assert!(got == data);
        assert_eq!(*texts.borrow(), BATCH + 1, "sack {sack}, hole {hole}: the hole alone is sent again");
        // There, back, there again; an RTO is 200 ms at least.
        assert!(pair.now - start < Duration::from_millis(100), "{:?}", pair.now - start);
        let acks = acks.borrow();
        let same = acks.iter().map(|(ack, _)| acks.iter().filter(|(other, _)| other == ack).count()).max();
        // One for all before the hole, one for each behind it.
        assert_eq!(same, Some(usize::from(hole > 0) + BATCH - 1 - hole), "sack {sack}, hole {hole}");
        assert!(acks.len() <= BATCH, "what is in order shares its ACKs: {}", acks.len());
        assert_eq!(acks.iter().any(|(_, blocks)| *blocks > 0), sack);
    }
}

/// Duplicate ACKs take at most half of the room for answers; beyond it they share one again.
#[test]
fn duplicate_acks_leave_room_for_other_answers() {
    use std::cell::Cell;
    use std::rc::Rc;
    const REPLIES: usize = 8;
    let mut pair = Pair::with(1500, |_, config| config.tcp.replies_max = REPLIES);
    let (client, server) = pair.open("10.0.0.2:80");
    let warm = pattern(100_000);
    assert!(pair.transfer((A, client), server, &warm, Duration::from_secs(60)) == warm);
    let (acks, texts) = (Rc::new(Cell::new(0)), Cell::new(0));
    let noted = acks.clone();
    pair.passes = Box::new(move |from, frame| {
        let packet = wire::tcp::Packet::new(&frame[20..]).expect("all is TCP");
        let kept = from == B || packet.payload().is_empty() || texts.replace(texts.get() + 1) > 0;
        if from == B && texts.get() > 0 {
            noted.set(noted.get() + 1);
        }
        // The sender shall not hear of it yet, and go on with its batch.
        kept && from == A
    });
    let mss = pair.stacks[A].tcp_info(client).expect("open").snd_mss as usize;
    assert_eq!(pair.send(A, client, &pattern(30 * mss)), Ok(30 * mss));
    pair.settle();
    assert_eq!(acks.get(), REPLIES / 2 + 1);
}

/// A program may work by calls alone and never ask what is ready.
#[test]
fn a_socket_is_reported_though_closed_ones_were_never_asked_for() {
    let mut pair = Pair::new();
    for _ in 0..1_000 {
        let (client, server) = pair.open("10.0.0.2:80");
        let now = pair.now;
        pair.stacks[A].tcp_abort(now, client).expect("open");
        pair.settle();
        pair.stacks[B].tcp_close(now, server).expect("reset, and not closed yet");
        pair.settle();
    }
    let (client, _) = pair.open("10.0.0.2:80");
    assert_eq!(pair.stacks[A].poll_ready(), Some((Handle::Tcp(client), Readiness::WRITABLE)));
    assert_eq!(pair.stacks[A].poll_ready(), None);
}

#[test]
fn lost_segments_are_mended() {
    let mut pair = Pair::new();
    pair.delay = Duration::from_millis(10);
    let (client, server) = pair.open("10.0.0.2:80");
    let mut draw = 7u32;
    pair.passes = Box::new(move |_, _| {
        draw = draw.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        draw >> 24 >= 8 // three in a hundred are lost
    });
    let data = pattern(3_000_000);
    let got = pair.transfer((A, client), server, &data, Duration::from_secs(120));
    assert!(got == data, "{} octets", got.len());
}

/// Whether segments are decided on one by one or many at once, the same frames leave at the same time: with and
/// without losses, with writes that end within segments, and a FIN behind the last.
#[test]
fn segments_decided_on_together_are_those_decided_on_one_by_one() {
    use std::cell::RefCell;
    use std::rc::Rc;
    // Short paths, where nothing is paced, and a long one; links of either kind, and devices that finish checksums.
    for (micros, mtu, lost_of_256, remote, (ethernet, finishes)) in [
        (100, 1500, 0, "10.0.0.2:80", (false, false)),
        (0, 1500, 4, "10.0.0.2:80", (false, false)),
        (100, 1500, 4, "10.0.0.2:80", (false, false)),
        (0, 1500, 4, "10.0.0.2:80", (true, false)),
        (200, 1280, 8, "[fd00::2]:80", (false, false)),
        (0, 1500, 4, "[fd00::2]:80", (true, true)),
        (100, 1500, 4, "10.0.0.2:80", (false, true)),
        (5_000, 9000, 1, "10.0.0.2:80", (false, false)),
    ] {
        let [one_by_one, together] = [true, false].map(|one_by_one| {
            let mut pair = Pair::with(mtu, |at, config| {
                let interface = &mut config.interfaces[0];
                interface.capabilities.tx_checksum = finishes;
                if ethernet {
                    let mac = MacAddr([2, 0, 0, 0, 0, at as u8]);
                    let lan = InterfaceConfig::ethernet(interface.capabilities, mac);
                    let addresses = core::mem::take(&mut interface.addresses);
                    *interface = InterfaceConfig { addresses, dad_transmits: 0, ..lan };
                }
            });
            pair.vouched = finishes;
            pair.one_by_one = one_by_one;
            pair.delay = Duration::from_micros(micros);
            let (client, server) = pair.open(remote);
            let wire = Rc::new(RefCell::new(Vec::new()));
            let (noted, mut draw) = (wire.clone(), 7u32);
            pair.passes = Box::new(move |from, frame| {
                noted.borrow_mut().push((from, frame.to_vec()));
                draw = draw.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                draw >> 24 >= lost_of_256
            });
            for len in [100, 1_000_000, 12_345, 3 * mtu as usize] {
                let data = pattern(len);
                let got = pair.transfer((A, client), server, &data, Duration::from_secs(60));
                assert!(got == data, "{remote} mtu {mtu}: {} octets", got.len());
                wire.borrow_mut().push((A, Vec::from(format!("{:?}", pair.now))));
            }
            assert_eq!(pair.send(A, client, &pattern(20_000)), Ok(20_000));
            let now = pair.now;
            pair.stacks[A].tcp_shutdown(now, client, Shutdown::Write).expect("open");
            pair.advance(Duration::from_secs(5));
            wire.take()
        });
        assert!(one_by_one.len() > 100);
        let other = one_by_one.iter().zip(&together).position(|(one, other)| one != other);
        assert_eq!(
            (other, one_by_one.len()),
            (None, together.len()),
            "{micros} us, mtu {mtu}, {lost_of_256} lost"
        );
    }
}

#[test]
fn nobody_listening_is_a_refusal_and_nobody_there_a_timeout() {
    let mut pair = Pair::new();
    let refused = pair.connect(A, "10.0.0.2:81");
    pair.settle();
    assert!(pair.readiness(A, refused).contains(Readiness::ERROR));
    assert_eq!(pair.stacks[A].tcp_take_error(refused), Some(ErrorKind::ConnectionRefused));
    pair.passes = Box::new(|_, _| false);
    let lost = pair.connect(A, "10.0.0.2:81");
    pair.advance(Duration::from_secs(130));
    assert_eq!(pair.stacks[A].tcp_take_error(lost), Some(ErrorKind::TimedOut));
    let nowhere = pair.stacks[A].tcp_connect_to(pair.now, addr("192.0.2.1:80"));
    assert_eq!(nowhere.map_err(|error| error.kind()), Err(ErrorKind::NetworkUnreachable));
}

#[test]
fn loopback_connects_a_host_to_itself() {
    for at in ["127.0.0.1:80", "[::1]:80", "10.0.0.1:80"] {
        let mut pair = Pair::new();
        let listener = pair.listen(A, at, 4);
        let client = pair.connect(A, at);
        pair.settle();
        let (server, peer) = pair.stacks[A].tcp_accept(listener).expect("open");
        assert_eq!(Some(peer), pair.stacks[A].tcp_local_addr(client));
        let data = pattern(300_000);
        let mut got = Vec::new();
        let mut sent = 0;
        for _ in 0..1_000 {
            if let Ok(taken) = pair.send(A, client, &data[sent..]) {
                sent += taken;
            }
            pair.settle();
            while let Ok(piece) = pair.recv(A, server) {
                got.extend(piece);
            }
        }
        assert!(got == data, "{at}: {} octets", got.len());
    }
}

#[test]
fn half_close_and_both_orders_of_close() {
    for first in [A, B] {
        let mut pair = Pair::new();
        let ends = pair.open("10.0.0.2:80");
        let (mine, theirs) = if first == A { ends } else { (ends.1, ends.0) };
        let second = 1 - first;
        assert_eq!(pair.send(first, mine, b"last words"), Ok(10));
        pair.stacks[first].tcp_shutdown(pair.now, mine, Shutdown::Write).expect("open");
        pair.settle();
        assert_eq!(pair.recv(second, theirs), Ok(b"last words".to_vec()));
        assert_eq!(pair.recv(second, theirs), Ok(Vec::new()));
        assert_eq!(pair.send(second, theirs, b"answer"), Ok(6));
        pair.stacks[second].tcp_close(pair.now, theirs).expect("open");
        pair.settle();
        assert_eq!(pair.recv(first, mine), Ok(b"answer".to_vec()));
        assert_eq!(pair.recv(first, mine), Ok(Vec::new()));
        pair.stacks[first].tcp_close(pair.now, mine).expect("open");
        pair.settle();
        assert_eq!(pair.stacks[first].tcp_counts().time_wait, 1);
        assert_eq!(pair.stacks[second].tcp_counts().time_wait, 0);
        pair.advance(Duration::from_secs(61));
        for stack in &pair.stacks {
            let counts = stack.tcp_counts();
            assert_eq!((counts.sockets, counts.time_wait, counts.buffer_bytes), (0, 0, 0));
            assert_eq!(stack.next_deadline(pair.now), None, "nothing is left to wait for");
        }
    }
}

#[test]
fn a_server_restarts_over_its_time_wait() {
    let mut pair = Pair::new();
    let listener = pair.listen(B, "10.0.0.2:80", 16);
    let client = pair.connect(A, "10.0.0.2:80");
    pair.settle();
    let (server, _) = pair.stacks[B].tcp_accept(listener).expect("open");
    pair.stacks[B].tcp_close(pair.now, server).expect("open");
    pair.stacks[B].tcp_close(pair.now, listener).expect("open");
    pair.settle();
    pair.stacks[A].tcp_close(pair.now, client).expect("open");
    pair.settle();
    assert_eq!(pair.stacks[B].tcp_counts().time_wait, 1);
    let plain = pair.stacks[B].tcp_socket().expect("room");
    assert!(pair.stacks[B].tcp_bind(plain, addr("10.0.0.2:80")).is_err(), "SO_REUSEADDR is what allows it");
    let again = pair.listen(B, "10.0.0.2:80", 16);
    pair.connect(A, "10.0.0.2:80");
    pair.settle();
    assert!(pair.stacks[B].tcp_accept(again).is_ok());
}

#[test]
fn the_state_of_a_four_tuple_is_told_whoever_has_it() {
    let mut pair = Pair::new();
    let listener = pair.listen(B, "10.0.0.2:80", 16);
    let client = pair.connect(A, "10.0.0.2:80");
    let here = pair.stacks[A].tcp_local_addr(client).expect("a connecting socket is bound");
    let there = addr("10.0.0.2:80");
    let states = |pair: &Pair| [pair.stacks[A].tcp_state(here, there), pair.stacks[B].tcp_state(there, here)];
    assert_eq!(states(&pair), [Some(State::SynSent), None]);
    // The client's ACK gets lost, so the handshake stays one.
    pair.passes = Box::new(|from, frame| {
        let packet = wire::tcp::Packet::new(&frame[20..]).expect("all is TCP");
        from == B || packet.flags().syn()
    });
    pair.settle();
    assert_eq!(states(&pair), [Some(State::Established), Some(State::SynReceived)]);
    pair.passes = Box::new(|_, _| true);
    pair.stacks[A].tcp_close(pair.now, client).expect("open");
    pair.settle();
    assert_eq!(
        states(&pair),
        [Some(State::FinWait2), Some(State::CloseWait)],
        "its handle is dead, it is not"
    );
    let (server, _) = pair.stacks[B].tcp_accept(listener).expect("open");
    pair.stacks[B].tcp_close(pair.now, server).expect("open");
    pair.settle();
    assert_eq!(states(&pair), [Some(State::TimeWait), None]);
    pair.advance(Duration::from_secs(61));
    assert_eq!(states(&pair), [None, None]);
}

#[test]
fn the_backlog_bounds_who_waits() {
    let mut pair = Pair::new();
    let listener = pair.listen(B, "10.0.0.2:80", 2);
    let clients: Vec<_> = (0..6).map(|_| pair.connect(A, "10.0.0.2:80")).collect();
    pair.settle();
    assert_eq!(pair.stacks[B].tcp_accept_queue_len(listener), Some(3));
    let mut accepted = 0;
    for _ in 0..6 {
        while pair.stacks[B].tcp_accept(listener).is_ok() {
            accepted += 1;
        }
        pair.advance(Duration::from_secs(4));
    }
    assert_eq!(accepted, 6, "those who did not fit came again");
    let open = |client| pair.stacks[A].tcp_info(client).map(|info| info.state);
    assert!(clients.into_iter().all(|client| open(client) == Some(State::Established)));
}

fn syn_frame(number: u32, timestamps: bool) -> Vec<u8> {
    let src = Ipv4Addr::from(0x0a00_0100 + number / 60_000);
    let dst = Ipv4Addr::new(10, 0, 0, 2);
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
    let len = header.header_len();
    let mut frame = vec![0; wire::ipv4::HEADER_LEN + len];
    wire::ipv4::Header::new(src, dst, Protocol::TCP, 64, len as u16).emit(&mut frame);
    let segment = &mut frame[wire::ipv4::HEADER_LEN..];
    header.emit(segment);
    wire::tcp::fill_checksum(segment, pseudo_v4(src, dst, Protocol::TCP, len as u16));
    frame
}

/// During a flood of a million SYNs, a million a second, a real client connects within a second, and unfinished handshakes
/// hold no more than `syn_backlog` entries.
#[test]
fn a_client_connects_through_a_flood_of_a_million_syns() {
    let mut pair = Pair::with(1500, |_, config| {
        config.tcp.syn_backlog = 1_024;
        config.interfaces[0].any_address = false;
        // The flood's sources are beyond the prefix; answers to them need a way too.
        config.routes = vec![switchboard_stack::RouteConfig {
            prefix: "0.0.0.0/0".parse().expect("a prefix"),
            gateway: None,
            interface: switchboard_stack::InterfaceId(0),
            metric: 0,
        }];
    });
    let listener = pair.listen(B, "10.0.0.2:80", 16);
    let mut drain = Drain::keeping(Ipv4Addr::new(10, 0, 0, 1));
    let (mut client, mut began, mut opened) = (None, pair.now, None);
    for number in 0..1_000_000u32 {
        pair.inject(B, &syn_frame(number, number % 2 == 0));
        if number % 1_000 == 999 {
            pair.now += Duration::from_millis(1);
            if number > 500_000 && client.is_none() {
                client = Some(pair.connect(A, "10.0.0.2:80"));
                began = pair.now;
            }
            let mut to_server = Drain::keeping(Ipv4Addr::new(10, 0, 0, 2));
            while pair.stacks[A].poll_transmit(pair.now, &mut to_server) > 0 {}
            for frame in to_server.kept {
                pair.inject(B, &frame);
            }
            while pair.stacks[B].poll_transmit(pair.now, &mut drain) > 0 {}
            for frame in drain.kept.drain(..).collect::<Vec<_>>() {
                pair.inject(A, &frame);
            }
            assert!(pair.stacks[B].tcp_counts().half_open <= 1_024);
            if opened.is_none() && client.is_some() && pair.stacks[B].tcp_accept(listener).is_ok() {
                opened = Some(pair.now);
            }
        }
    }
    let opened = opened.expect("the client got through");
    assert!(opened - began <= Duration::from_secs(1), "{:?}", opened - began);
    assert!(drain.frames > 900_000, "nearly every SYN was answered: {}", drain.frames);
}

#[test]
fn forged_frames_from_ourselves_to_ourselves_are_dropped() {
    let mut pair = Pair::new();
    pair.listen(B, "10.0.0.2:80", 16);
    let mut frame = syn_frame(0, false);
    // Land: from the victim to the victim.
    frame[12..16].copy_from_slice(&[10, 0, 0, 2]);
    let mut header = Header { src_port: 80, dst_port: 80, flags: Flags::SYN, seq: 9, ..Header::default() };
    header.window = 100;
    let addr = Ipv4Addr::new(10, 0, 0, 2);
    frame.truncate(wire::ipv4::HEADER_LEN + header.header_len());
    wire::ipv4::Header::new(addr, addr, Protocol::TCP, 64, header.header_len() as u16).emit(&mut frame);
    let segment = &mut frame[wire::ipv4::HEADER_LEN..];
    header.emit(segment);
    wire::tcp::fill_checksum(segment, pseudo_v4(addr, addr, Protocol::TCP, header.header_len() as u16));
    pair.inject(B, &frame);
    assert_eq!(pair.stacks[B].tcp_counts().half_open, 0);
    let counters = pair.stacks[B].counters();
    assert_eq!(counters.dropped(DropReason::MartianSource) + counters.dropped(DropReason::TcpUnwanted), 1);
}

#[test]
fn a_thousand_connections_carry_their_own_bytes() {
    let mut pair = Pair::new();
    let listener = pair.listen(B, "[::]:80", 4_096);
    let clients: Vec<_> = (0..1_000u32)
        .map(|number| pair.connect(A, if number % 2 == 0 { "10.0.0.2:80" } else { "[fd00::2]:80" }))
        .collect();
    pair.settle();
    for (number, client) in (0u32..).zip(&clients) {
        assert_eq!(pair.send(A, *client, &number.to_be_bytes().repeat(1_000)), Ok(4_000));
    }
    pair.advance(Duration::from_secs(1));
    let mut seen = Vec::new();
    while let Ok((server, peer)) = pair.stacks[B].tcp_accept(listener) {
        let mut all = Vec::new();
        while let Ok(piece) = pair.recv(B, server) {
            all.extend(piece);
        }
        let number = u32::from_be_bytes(all[..4].try_into().expect("four octets"));
        assert_eq!(all, number.to_be_bytes().repeat(1_000));
        assert_eq!(pair.stacks[A].tcp_local_addr(clients[number as usize]), Some(peer));
        seen.push(number);
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..1_000).collect::<Vec<_>>());
}

/// A tunnel's end: any address, any port, and accept() tells what the peer addressed.
#[test]
fn a_tunnel_takes_connections_to_everywhere() {
    let mut pair = Pair::with(1500, |at, config| {
        config.interfaces[0].any_address = at == B;
        config.routes = ["0.0.0.0/0", "::/0"]
            .map(|prefix| switchboard_stack::RouteConfig {
                prefix: prefix.parse().expect("a prefix"),
                gateway: None,
                interface: switchboard_stack::InterfaceId(0),
                metric: 0,
            })
            .to_vec();
    });
    let now = pair.now;
    let tunnel = pair.stacks[B].tcp_socket().expect("room");
    pair.stacks[B].tcp_listen_any(tunnel, 16).expect("fresh");
    for remote in ["93.184.216.34:443", "[2001:db8::9]:8080", "10.0.0.2:22"] {
        let client = pair.connect(A, remote);
        pair.settle();
        let (server, peer) = pair.stacks[B].tcp_accept(tunnel).expect("open");
        assert_eq!(pair.stacks[B].tcp_local_addr(server), Some(addr(remote)));
        assert_eq!(pair.stacks[A].tcp_local_addr(client), Some(peer));
        assert_eq!(pair.send(A, client, b"hello"), Ok(5));
        pair.settle();
        assert_eq!(pair.recv(B, server), Ok(b"hello".to_vec()));
        pair.stacks[A].tcp_close(now, client).expect("open");
        pair.stacks[B].tcp_close(now, server).expect("open");
        pair.settle();
    }
}

/// RFC 4821 7.7: packets above some size vanish, and nobody says so.
#[test]
fn a_black_hole_is_found_without_icmp() {
    let mut pair = Pair::new();
    let (client, server) = pair.open("10.0.0.2:80");
    pair.passes = Box::new(|_, frame| frame.len() <= 1_300);
    let data = pattern(100_000);
    let got = pair.transfer((A, client), server, &data, Duration::from_secs(120));
    assert!(got == data, "{} octets", got.len());
    assert!(pair.stacks[A].tcp_info(client).expect("open").snd_mss < 1_300 - 40);
}

/// RFC 1191: a router on the way says "too big"; what was in flight is sent again in smaller pieces, at once.
#[test]
fn a_router_that_says_too_big_is_heard() {
    let mut pair = Pair::new();
    let (client, server) = pair.open("10.0.0.2:80");
    let dropped = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let log = dropped.clone();
    pair.passes = Box::new(move |_, frame| {
        let fits = frame.len() <= 1_400;
        if !fits {
            log.borrow_mut().push(frame.to_vec());
        }
        fits
    });
    let data = pattern(50_000);
    let start = pair.now;
    assert_eq!(pair.send(A, client, &data), Ok(50_000));
    let mut got = Vec::new();
    while got.len() < data.len() {
        pair.settle();
        for frame in dropped.borrow_mut().drain(..).collect::<Vec<_>>() {
            pair.inject(A, &too_big(&frame, 1_400));
        }
        while let Ok(piece) = pair.recv(B, server) {
            got.extend(piece);
        }
        pair.advance(Duration::from_millis(1));
        assert!(pair.now - start < Duration::from_secs(10), "{} octets", got.len());
    }
    assert!(got == data);
    assert!(pair.now - start < Duration::from_millis(400), "no timeout was needed: {:?}", pair.now - start);
    let now = pair.now;
    assert_eq!(pair.stacks[A].path_mtu(now, addr("10.0.0.2:0").ip()), Some(1_400));
    // The next connection knows.
    let (other, _) = pair.open("10.0.0.2:81");
    assert_eq!(pair.stacks[A].tcp_info(other).expect("open").snd_mss, 1_400 - 40 - 12);
}

/// What a router answers to a packet that does not fit (RFC 792, RFC 1191 4).
fn too_big(packet: &[u8], mtu: u16) -> Vec<u8> {
    let quoted = &packet[..28];
    let mut message = vec![3, 4, 0, 0, 0, 0];
    message.extend(mtu.to_be_bytes());
    message.extend(quoted);
    let checksum = wire::checksum::Sum::of(&message).checksum();
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    let (router, host) = (Ipv4Addr::new(10, 0, 0, 254), Ipv4Addr::new(10, 0, 0, 1));
    let mut frame = vec![0; wire::ipv4::HEADER_LEN];
    wire::ipv4::Header::new(router, host, Protocol::ICMP, 64, message.len() as u16).emit(&mut frame);
    frame.extend(message);
    frame
}
