//! The interface between TCP and IP (RFC 9293 3.9.2): what a program sets of the IP header, and what comes in with one.

mod pair;

use pair::{A, B, Pair, addr};
use std::cell::RefCell;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::rc::Rc;
use std::time::Duration;
use switchboard_stack::DropReason;
use switchboard_stack::socket::options::TcpOption;
use wire::checksum::Sum;
use wire::ip::{Protocol, pseudo_v4, pseudo_v6};
use wire::tcp::{Flags, Header};
use wire::{ipv4, ipv6};

/// Of one packet: who sent it, its flags, DSCP, and TTL or hop limit.
type Seen = (usize, Flags, u8, u8);

fn look(from: usize, frame: &[u8]) -> Seen {
    let (dscp, hops, segment) = if frame[0] >> 4 == 4 {
        let packet = ipv4::Packet::new(frame).expect("a packet");
        (packet.dscp(), packet.ttl(), packet.payload())
    } else {
        let packet = ipv6::Packet::new(frame).expect("a packet");
        (packet.dscp(), packet.hop_limit(), packet.payload())
    };
    (from, wire::tcp::Packet::new(segment).expect("a segment").flags(), dscp, hops)
}

/// Lets a pair tell what passes its cable.
fn watch(pair: &mut Pair) -> Rc<RefCell<Vec<Seen>>> {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let writes = seen.clone();
    pair.passes = Box::new(move |from, frame| {
        writes.borrow_mut().push(look(from, frame));
        true
    });
    seen
}

fn marks(seen: &RefCell<Vec<Seen>>, of: usize) -> Vec<(u8, u8)> {
    let mut marks: Vec<_> = seen.take().into_iter().filter(|seen| seen.0 == of).map(|s| (s.2, s.3)).collect();
    marks.dedup();
    marks
}

/// RFC 9293 MUST-48 and MUST-49: what each end sets is in each of its packets, from SYN and SYN,ACK to the last ACK out of
/// TIME-WAIT; each direction has its own.
#[test]
fn dscp_and_hop_limit_are_the_sockets_in_every_packet() {
    for remote in ["10.0.0.2:80", "[fd00::2]:80"] {
        let mut pair = Pair::new();
        let seen = watch(&mut pair);
        let listener = pair.listen(B, remote, 4);
        let now = pair.now;
        let set = |pair: &mut Pair, at: usize, socket, dscp, hops| {
            for option in [TcpOption::Dscp(dscp), TcpOption::HopLimit(Some(hops))] {
                pair.stacks[at].tcp_set_option(now, socket, option).expect("it can be set");
            }
        };
        set(&mut pair, B, listener, 46, 9);
        let client = pair.stacks[A].tcp_socket().expect("room");
        set(&mut pair, A, client, 10, 255);
        pair.stacks[A].tcp_connect(now, client, addr(remote)).expect("there is a way");
        pair.settle();
        let (server, _) = pair.stacks[B].tcp_accept(listener).expect("open");
        assert_eq!(pair.send(A, client, b"question"), Ok(8));
        assert_eq!(pair.send(B, server, b"answer"), Ok(6));
        pair.settle();
        assert_eq!(pair.recv(A, client), Ok(b"answer".to_vec()));
        assert_eq!(pair.recv(B, server), Ok(b"question".to_vec()));
        pair.stacks[A].tcp_close(pair.now, client).expect("open");
        pair.settle();
        assert_eq!(marks(&seen, A), [(10, 255)], "{remote}");
        assert!(seen.borrow().is_empty());

        // The last ACK is lost, and answered again from TIME-WAIT.
        let passes = watch(&mut pair);
        let writes = passes.clone();
        let mut lost = false;
        pair.passes = Box::new(move |from, frame| {
            writes.borrow_mut().push(look(from, frame));
            from == B || core::mem::replace(&mut lost, true)
        });
        pair.stacks[B].tcp_close(pair.now, server).expect("open");
        pair.advance(Duration::from_secs(5));
        assert_eq!(pair.stacks[A].tcp_counts().time_wait, 1);
        let acks = passes.borrow().iter().filter(|seen| seen.0 == A).count();
        assert!(acks >= 2, "one was lost: {acks}");
        let of_b: Vec<_> = passes.borrow().iter().filter(|seen| seen.0 == B).copied().collect();
        assert!(of_b.iter().all(|seen| (seen.2, seen.3) == (46, 9)), "{of_b:?}");
        assert_eq!(marks(&passes, A), [(10, 255)], "{remote}");
    }
}

/// The SYN,ACK too, when it is sent again by timer, because the SYN came again, and as a cookie.
#[test]
fn an_unfinished_handshake_carries_its_listeners_marks() {
    for syn_backlog in [1024, 0] {
        let mut pair = Pair::with(1500, |_, config| config.tcp.syn_backlog = syn_backlog);
        let listener = pair.listen(B, "10.0.0.2:80", 4);
        for option in [TcpOption::Dscp(46), TcpOption::HopLimit(Some(9))] {
            pair.stacks[B].tcp_set_option(pair.now, listener, option).expect("it can be set");
        }
        let seen = Rc::new(RefCell::new(Vec::new()));
        let writes = seen.clone();
        pair.passes = Box::new(move |from, frame| {
            writes.borrow_mut().push(look(from, frame));
            from == A
        });
        pair.connect(A, "10.0.0.2:80");
        pair.advance(Duration::from_secs(10));
        let answers = seen.borrow().iter().filter(|seen| seen.0 == B).count();
        assert!(answers >= if syn_backlog == 0 { 3 } else { 5 }, "{answers}");
        assert_eq!(marks(&seen, B), [(46, 9)]);
    }
}

/// RFC 9293 SHLD-21: the code point may change while the connection is open; by default it is zero, and the TTL 64.
#[test]
fn marks_have_defaults_and_may_change() {
    let mut pair = Pair::new();
    let seen = watch(&mut pair);
    let (client, _) = pair.open("10.0.0.2:80");
    assert_eq!(marks(&seen, A), [(0, 64)]);
    for (option, expected) in [
        (TcpOption::Dscp(34), (34, 64)),
        (TcpOption::HopLimit(Some(1)), (34, 1)),
        (TcpOption::Dscp(0), (0, 1)),
        (TcpOption::HopLimit(None), (0, 64)),
    ] {
        pair.stacks[A].tcp_set_option(pair.now, client, option).expect("it can be set");
        pair.send(A, client, b"x").expect("room");
        pair.advance(Duration::from_secs(1));
        assert_eq!(marks(&seen, A), [expected]);
        seen.take();
    }
    for wrong in [TcpOption::Dscp(64), TcpOption::HopLimit(Some(0))] {
        assert!(pair.stacks[A].tcp_set_option(pair.now, client, wrong).is_err());
    }
}

/// RFC 9293 MUST-43 and MUST-44: a connection speaks from the address that the program gives; else IP chooses one before the SYN,
/// and the program can ask which.
#[test]
fn a_connection_has_the_address_it_was_given_or_ip_chose() {
    for (given, expected) in
        [(Some("10.0.0.3:0"), "10.0.0.3"), (None, "10.0.0.2"), (Some("0.0.0.0:0"), "10.0.0.2")]
    {
        let mut pair = Pair::new();
        pair.listen(A, "10.0.0.1:80", 4);
        let sources = Rc::new(RefCell::new(Vec::new()));
        let writes = sources.clone();
        pair.passes = Box::new(move |from, frame| {
            if from == B {
                writes.borrow_mut().push(ipv4::Packet::new(frame).expect("a packet").src());
            }
            true
        });
        let client = pair.stacks[B].tcp_socket().expect("room");
        if let Some(given) = given {
            pair.stacks[B].tcp_bind(client, addr(given)).expect("it is ours");
        }
        pair.stacks[B].tcp_connect(pair.now, client, addr("10.0.0.1:80")).expect("there is a way");
        let expected: Ipv4Addr = expected.parse().expect("an address");
        let local = pair.stacks[B].tcp_local_addr(client).map(|local| local.ip());
        assert_eq!(local, Some(expected.into()), "before anything has left");
        assert!(sources.borrow().is_empty());
        pair.settle();
        assert!(!sources.borrow().is_empty());
        assert!(sources.borrow().iter().all(|source| *source == expected), "{given:?}: {sources:?}");
    }
}

/// RFC 9293 MUST-46.
#[test]
fn nobody_connects_to_a_broadcast_or_multicast_address() {
    let mut pair = Pair::new();
    for remote in ["255.255.255.255:80", "10.0.0.255:80", "224.0.0.1:80", "[ff02::1]:80"] {
        let refused = pair.stacks[A].tcp_connect_to(pair.now, addr(remote)).map_err(|error| error.kind());
        assert_eq!(refused, Err(std::io::ErrorKind::InvalidInput), "{remote}");
    }
}

/// RFC 9293 MUST-67: the MSS that is announced is the link's MTU less the fixed headers. MUST-15: a peer that announces none
/// gets 536 octets of text at most, over IPv6 1220.
#[test]
fn the_mss_announced_and_the_mss_assumed_follow_the_family() {
    let table = [("10.0.0.2:80", 1500, 1460), ("[fd00::2]:80", 1500, 1440), ("[fd00::2]:80", 1280, 1220)];
    for (remote, mtu, expected) in table {
        let mut pair = Pair::with(mtu, |_, _| {});
        let announced = Rc::new(RefCell::new(Vec::new()));
        let writes = announced.clone();
        pair.passes = Box::new(move |_, frame| {
            let header_len = if frame[0] >> 4 == 4 { ipv4::HEADER_LEN } else { ipv6::HEADER_LEN };
            let segment = wire::tcp::Packet::new(&frame[header_len..]).expect("a segment");
            writes.borrow_mut().extend(segment.options().mss);
            true
        });
        pair.open(remote);
        assert_eq!(*announced.borrow(), [expected, expected], "{remote}, {mtu}: SYN and SYN,ACK");
    }
    for (syn, expected) in
        [(syn_v4([10, 0, 0, 1], [10, 0, 0, 2], &[]), 536), (syn_v6("fd00::1", "fd00::2"), 1220)]
    {
        let mut pair = Pair::new();
        let listener = pair.listen(B, "[::]:80", 4);
        let seen = Rc::new(RefCell::new(Vec::new()));
        let writes = seen.clone();
        pair.passes = Box::new(move |_, frame| {
            writes.borrow_mut().push(frame.to_vec());
            false
        });
        pair.inject(B, &syn);
        pair.settle();
        // The last ACK of the handshake, by hand.
        let header_len = if syn[0] >> 4 == 4 { ipv4::HEADER_LEN } else { ipv6::HEADER_LEN };
        let answer = wire::tcp::Packet::new(&seen.borrow()[0][header_len..]).expect("a segment").seq();
        let ack = Header {
            src_port: 9,
            dst_port: 80,
            seq: 1,
            ack: answer.wrapping_add(1),
            flags: Flags::ACK,
            window: 60_000,
            ..Header::default()
        };
        let mut frame = syn.clone();
        let segment = &mut frame[header_len..];
        ack.emit(segment);
        let len = segment.len();
        let pseudo = if syn[0] >> 4 == 4 {
            let packet = ipv4::Packet::new(&syn).expect("a packet");
            pseudo_v4(packet.src(), packet.dst(), Protocol::TCP, len as u16)
        } else {
            let packet = ipv6::Packet::new(&syn).expect("a packet");
            pseudo_v6(packet.src(), packet.dst(), Protocol::TCP, len as u32)
        };
        wire::tcp::fill_checksum(segment, pseudo);
        pair.inject(B, &frame);
        pair.settle();
        let (server, _) = pair.stacks[B].tcp_accept(listener).expect("open");
        seen.take();
        pair.send(B, server, &[1; 5_000]).expect("room");
        pair.settle();
        let longest = seen.borrow().iter().map(|frame| frame.len() - header_len - 20).max();
        assert_eq!(longest, Some(expected));
    }
}

/// RFC 9293 MUST-3: one wrong bit, and nobody sees the segment; the sender sends it again.
#[test]
fn a_damaged_segment_is_dropped_and_counted() {
    for remote in ["10.0.0.2:80", "[fd00::2]:80"] {
        let mut pair = Pair::new();
        let (client, server) = pair.open(remote);
        let kept = Rc::new(RefCell::new(Vec::new()));
        let writes = kept.clone();
        pair.passes = Box::new(move |_, frame| {
            writes.borrow_mut().push(frame.to_vec());
            false
        });
        pair.send(A, client, b"soil").expect("room");
        pair.settle();
        let mut damaged = kept.borrow()[0].clone();
        *damaged.last_mut().expect("it has text") ^= 1;
        pair.inject(B, &damaged);
        assert!(pair.recv(B, server).is_err(), "nothing is here");
        assert_eq!(pair.stacks[B].counters().dropped(DropReason::BadChecksum), 1);
        pair.passes = Box::new(|_, _| true);
        pair.advance(Duration::from_secs(1));
        assert_eq!(pair.recv(B, server), Ok(b"soil".to_vec()));
    }
}

/// A SYN to port 80 with these IPv4 options between header and segment.
fn syn_v4(src: [u8; 4], dst: [u8; 4], options: &[u8]) -> Vec<u8> {
    let (src, dst) = (Ipv4Addr::from(src), Ipv4Addr::from(dst));
    let header = Header { src_port: 9, dst_port: 80, flags: Flags::SYN, window: 1000, ..Header::default() };
    let mut segment = vec![0; header.header_len()];
    header.emit(&mut segment);
    let pseudo = pseudo_v4(src, dst, Protocol::TCP, segment.len() as u16);
    wire::tcp::fill_checksum(&mut segment, pseudo);
    let len = options.len() + segment.len();
    let mut frame = vec![0; ipv4::HEADER_LEN];
    ipv4::Header::new(src, dst, Protocol::TCP, 64, len as u16).emit(&mut frame);
    frame.extend_from_slice(options);
    // The header is longer than what was written first: its length and its checksum anew.
    frame[0] = 0x45 + (options.len() / 4) as u8;
    frame[10..12].fill(0);
    let sum = Sum::of(&frame).checksum();
    frame[10..12].copy_from_slice(&sum.to_be_bytes());
    frame.extend_from_slice(&segment);
    frame
}

fn syn_v6(src: &str, dst: &str) -> Vec<u8> {
    let parse = |text: &str| text.parse::<Ipv6Addr>().expect("an address");
    let (src, dst) = (parse(src), parse(dst));
    let header = Header { src_port: 9, dst_port: 80, flags: Flags::SYN, window: 1000, ..Header::default() };
    let mut frame = vec![0; ipv6::HEADER_LEN + header.header_len()];
    let len = header.header_len();
    ipv6::Header::new(src, dst, Protocol::TCP, 64, len as u16).emit(&mut frame);
    let segment = &mut frame[ipv6::HEADER_LEN..];
    header.emit(segment);
    wire::tcp::fill_checksum(segment, pseudo_v6(src, dst, Protocol::TCP, len as u32));
    frame
}

/// A server that listens on every address, and what it answers to one frame: flags, half-open handshakes.
fn answer(frame: &[u8]) -> (Vec<Flags>, usize, u64) {
    let mut pair = Pair::new();
    pair.listen(B, "[::]:80", 4);
    let seen = Rc::new(RefCell::new(Vec::new()));
    let writes = seen.clone();
    // What it answers goes nowhere: nobody here sent that SYN.
    pair.passes = Box::new(move |from, frame| {
        writes.borrow_mut().push(look(from, frame));
        false
    });
    pair.inject(B, frame);
    pair.settle();
    let flags = seen.borrow().iter().filter(|seen| seen.0 == B).map(|seen| seen.1).collect();
    let dropped = pair.stacks[B].counters().dropped(DropReason::TcpUnwanted)
        + pair.stacks[B].counters().dropped(DropReason::NotForThisHost)
        + pair.stacks[B].counters().dropped(DropReason::MartianSource);
    (flags, pair.stacks[B].tcp_counts().half_open, dropped)
}

/// RFC 9293 MUST-50: a SYN opens whatever options of IP it came with; here one that nobody has defined (94), a stream
/// identifier, a timestamp and a record route with room.
#[test]
fn ip_options_nobody_knows_do_not_hinder_a_syn() {
    let record_route = [7, 7, 4, 0, 0, 0, 0, 0];
    let timestamp = [68, 8, 5, 0, 0, 0, 0, 0];
    for options in [&[][..], &[94, 4, 1, 2], &[136, 4, 0, 1], &[1, 1, 1, 0], &timestamp, &record_route] {
        let (flags, half_open, dropped) = answer(&syn_v4([10, 0, 0, 1], [10, 0, 0, 2], options));
        assert_eq!(
            (flags.first(), half_open, dropped),
            (Some(&(Flags::SYN | Flags::ACK)), 1, 0),
            "{options:?}"
        );
    }
}

/// RFC 9293 MUST-57: a SYN to a broadcast or multicast address is dropped without a word, though somebody listens on every
/// address and the host hears the group.
#[test]
fn a_syn_to_a_broadcast_or_multicast_address_is_dropped() {
    for dst in [[10, 0, 0, 255], [255; 4], [224, 0, 0, 1]] {
        assert_eq!(answer(&syn_v4([10, 0, 0, 1], dst, &[])), (vec![], 0, 1), "{dst:?}");
    }
    for dst in ["ff02::1", "ff02::1:ff00:2"] {
        assert_eq!(answer(&syn_v6("fd00::1", dst)), (vec![], 0, 1), "{dst}");
    }
    assert_eq!(answer(&syn_v6("fd00::1", "fd00::2")).1, 1, "and to the host's own it is not");
}

/// RFC 9293 MUST-63: nor is one from such an address answered.
#[test]
fn a_syn_from_a_broadcast_or_multicast_address_is_dropped() {
    for src in [[10, 0, 0, 255], [255; 4], [224, 0, 0, 1], [0; 4], [127, 0, 0, 1]] {
        assert_eq!(answer(&syn_v4(src, [10, 0, 0, 2], &[])), (vec![], 0, 1), "{src:?}");
    }
    for src in ["ff02::1", "::1"] {
        assert_eq!(answer(&syn_v6(src, "fd00::2")), (vec![], 0, 1), "{src}");
    }
}
