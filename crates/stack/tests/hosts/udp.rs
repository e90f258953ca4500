//! UDP between hosts: every rule that a program can see.

use crate::lan::{LINK, Lan, at, ethernet, ip, point_to_point};
use stack::frame::{Capabilities, FrameQueue, GsoKind};
use stack::socket::udp::{UdpBindError, UdpOptions, UdpRecvError, UdpSend, UdpSendError};
use stack::{Config, DropReason, Fragmentation, Handle, Instant, InterfaceId, Readiness, Secret, Stack};
use std::io::ErrorKind;
use wire::ip::Ecn;

#[test]
fn a_datagram_arrives_with_all_that_is_known_of_it() {
    for (mut lan, local, remote) in [
        (Lan::pair(), "10.0.0.1:1000", "10.0.0.2:2000"),
        (Lan::pair(), "[2001:db8::1]:1000", "[2001:db8::2]:2000"),
        (Lan::tunnel(), "10.0.0.1:1000", "10.0.0.2:2000"),
        (Lan::tunnel(), "[2001:db8::1]:1000", "[2001:db8::2]:2000"),
    ] {
        let (a, b) = (lan.bind(0, local), lan.bind(1, remote));
        let send = UdpSend { ecn: Ecn::Ect1, ..UdpSend::to(at(remote)) };
        assert_eq!(lan.hosts[0].udp_send(lan.now, a, b"hello", &send), Ok(5));
        lan.settle();
        let (data, received) = lan.recv(1, b).unwrap();
        assert_eq!(data, b"hello");
        assert_eq!((received.remote, received.local), (at(local), at(remote).ip()));
        assert_eq!((received.ecn, received.hop_limit, received.interface), (Ecn::Ect1, 64, LINK));
        assert_eq!((received.datagram_len, received.segment_size), (5, None));
        assert_eq!(lan.recv(1, b), Err(UdpRecvError::WouldBlock));
        lan.send(1, b, b"", local);
        assert_eq!(lan.recv(0, a).unwrap().0, b"", "an empty datagram is one");
    }
}

#[test]
fn readiness_comes_once_for_what_happened() {
    let mut lan = Lan::pair();
    let (a, b) = (lan.bind(0, "10.0.0.1:0"), lan.bind(1, "10.0.0.2:2000"));
    assert_eq!(lan.hosts[1].poll_ready(), None);
    lan.send(0, a, b"one", "10.0.0.2:2000");
    lan.send(0, a, b"two", "10.0.0.2:2000");
    assert_eq!(lan.hosts[1].poll_ready(), Some((Handle::Udp(b), Readiness::READABLE)));
    assert_eq!(lan.hosts[1].poll_ready(), None);
    lan.send(0, a, b"three", "10.0.0.2:2000");
    assert_eq!(lan.hosts[1].poll_ready(), Some((Handle::Udp(b), Readiness::READABLE)));
    let datagrams: Vec<_> = (0..3).map(|_| lan.recv(1, b).unwrap().0).collect();
    assert_eq!(datagrams, [b"one".to_vec(), b"two".to_vec(), b"three".to_vec()]);
}

#[test]
fn who_may_bind_what() {
    let mut lan = Lan::pair();
    let host = &mut lan.hosts[0];
    let first = host.udp_bind(at("10.0.0.1:53")).unwrap();
    let rows = [
        ("10.0.0.1:53", Err(UdpBindError::AddrInUse)),
        ("0.0.0.0:53", Err(UdpBindError::AddrInUse)),
        ("[::]:53", Ok(())),
        ("[2001:db8::1]:53", Err(UdpBindError::AddrInUse)),
        ("127.0.0.1:53", Ok(())),
        ("10.0.0.9:53", Err(UdpBindError::AddrNotAvailable)),
        ("239.1.1.1:53", Ok(())),
        ("10.0.0.255:53", Ok(())),
    ];
    for (addr, expected) in rows {
        assert_eq!(host.udp_bind(at(addr)).map(|_| ()), expected, "{addr}");
    }
    assert_eq!(UdpBindError::AddrInUse.kind(), ErrorKind::AddrInUse);
    host.udp_close(first).unwrap();
    assert_eq!(host.udp_close(first), Err(UdpBindError::Closed));
    host.udp_bind(at("10.0.0.1:53")).unwrap();
    // A socket at [::] that hears both families collides with both.
    let both = host.udp_bind_with(at("[::]:54"), None, false, UdpOptions::default()).unwrap();
    assert_eq!(host.udp_bind(at("0.0.0.0:54")), Err(UdpBindError::AddrInUse));
    host.udp_close(both).unwrap();
    host.udp_bind(at("0.0.0.0:54")).unwrap();
}

#[test]
fn port_zero_picks_until_none_is_left() {
    let config = Config { ephemeral_ports: (50_000, 50_009), ..point_to_point(&["10.0.0.1/24"]) };
    let mut lan = Lan::new(&[config]);
    let mut ports: Vec<_> = (0..10)
        .map(|_| {
            let socket = lan.bind(0, "0.0.0.0:0");
            lan.hosts[0].udp_local_addr(socket).unwrap().port()
        })
        .collect();
    assert_ne!(ports, (50_000..=50_009).collect::<Vec<_>>(), "in no foreseeable order");
    ports.sort_unstable();
    assert_eq!(ports, (50_000..=50_009).collect::<Vec<_>>());
    assert_eq!(lan.hosts[0].udp_bind(at("0.0.0.0:0")), Err(UdpBindError::AddrInUse));
}

#[test]
fn port_unreachable_both_ways() {
    for (local, remote) in [("10.0.0.1:1000", "10.0.0.2:2000"), ("[2001:db8::1]:1000", "[2001:db8::2]:2000")]
    {
        let mut lan = Lan::pair();
        let connected = lan.bind(0, local);
        lan.hosts[0].udp_connect(connected, at(remote)).unwrap();
        let send = UdpSend::default();
        lan.hosts[0].udp_send(lan.now, connected, b"anyone?", &send).unwrap();
        lan.settle();
        assert_eq!(lan.dropped(1, DropReason::NoSocket), 1);
        assert_eq!(lan.counters(1).icmp_sent, 1);
        let ready = lan.hosts[0].poll_ready();
        assert_eq!(ready, Some((Handle::Udp(connected), Readiness::ERROR | Readiness::READABLE)));
        assert_eq!(lan.recv(0, connected), Err(UdpRecvError::ConnectionRefused));
        assert_eq!(lan.recv(0, connected), Err(UdpRecvError::WouldBlock), "told once");
        lan.hosts[0].udp_send(lan.now, connected, b"anyone?", &send).unwrap();
        lan.settle();
        let refused = lan.hosts[0].udp_send(lan.now, connected, b"anyone?", &send);
        assert_eq!(refused, Err(UdpSendError::ConnectionRefused));
        // An unconnected socket cannot know which peer it was, and is not told (RFC 1122 4.1.3.3, Linux without IP_RECVERR).
        let free = lan.bind(0, if local.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" });
        lan.send(0, free, b"anyone?", remote);
        assert_eq!(lan.recv(0, free), Err(UdpRecvError::WouldBlock));
    }
}

#[test]
fn a_connected_socket_hears_its_peer_only() {
    let mut lan = Lan::pair();
    let server = lan.bind(1, "10.0.0.2:2000");
    lan.hosts[1].udp_connect(server, at("10.0.0.1:1000")).unwrap();
    let (peer, stranger) = (lan.bind(0, "10.0.0.1:1000"), lan.bind(0, "10.0.0.1:1001"));
    lan.send(0, stranger, b"stranger", "10.0.0.2:2000");
    assert_eq!(lan.recv(1, server), Err(UdpRecvError::WouldBlock));
    assert_eq!(lan.dropped(1, DropReason::NoSocket), 1);
    lan.send(0, peer, b"peer", "10.0.0.2:2000");
    assert_eq!(lan.recv(1, server).unwrap().0, b"peer");
    assert_eq!(lan.hosts[1].udp_peer_addr(server), Some(at("10.0.0.1:1000")));
    assert_eq!(lan.hosts[1].udp_connect(server, at("10.0.0.1:0")), Err(UdpBindError::InvalidInput));
    assert_eq!(lan.hosts[1].udp_connect(server, at("[2001:db8::1]:9")), Err(UdpBindError::InvalidInput));
}

#[test]
fn sends_that_cannot_be() {
    let mut lan = Lan::new(&[point_to_point(&["10.0.0.1/24", "2001:db8::1/64"])]);
    let socket = lan.bind(0, "10.0.0.1:1000");
    let host = &mut lan.hosts[0];
    let to = |addr: &str| UdpSend::to(at(addr));
    let big = vec![0; 65_508];
    let strict = |send: UdpSend| UdpSend { fragmentation: Some(Fragmentation::Forbid), ..send };
    let pieces = |send: UdpSend, size| UdpSend { segment_size: Some(size), ..send };
    let from = |send: UdpSend, addr| UdpSend { local: Some(ip(addr)), ..send };
    let rows: [(&[u8], UdpSend, UdpSendError); 13] = [
        (b"x", UdpSend::default(), UdpSendError::NotConnected),
        (b"x", to("10.0.0.2:0"), UdpSendError::InvalidInput),
        (b"x", to("[2001:db8::2]:1"), UdpSendError::InvalidInput),
        (b"x", to("10.0.0.255:1"), UdpSendError::PermissionDenied),
        (b"x", to("255.255.255.255:1"), UdpSendError::PermissionDenied),
        (b"x", to("192.0.2.1:1"), UdpSendError::NetworkUnreachable),
        (&big, to("10.0.0.2:1"), UdpSendError::MessageTooLong),
        (&big[..1_473], strict(to("10.0.0.2:1")), UdpSendError::MessageTooLong),
        (&big[..3_000], pieces(to("10.0.0.2:1"), 1_473), UdpSendError::MessageTooLong),
        (&big[..3_000], pieces(to("10.0.0.2:1"), 10), UdpSendError::InvalidInput),
        (&big[..3_000], pieces(to("10.0.0.2:1"), 0), UdpSendError::InvalidInput),
        (b"x", from(to("10.0.0.2:1"), "10.0.0.7"), UdpSendError::AddrNotAvailable),
        (b"x", from(to("10.0.0.2:1"), "2001:db8::1"), UdpSendError::AddrNotAvailable),
    ];
    for (data, send, expected) in rows {
        assert_eq!(host.udp_send(lan.now, socket, data, &send), Err(expected), "{send:?}");
    }
    assert_eq!(host.udp_send(lan.now, socket, &big[..1_472], &strict(to("10.0.0.2:1"))), Ok(1_472));
    assert_eq!(host.udp_send(lan.now, socket, &big[..65_507], &to("10.0.0.2:1")), Ok(65_507));
    host.udp_close(socket).unwrap();
    assert_eq!(host.udp_send(lan.now, socket, b"x", &to("10.0.0.2:1")), Err(UdpSendError::Closed));
}

/// Flips one octet of a datagram that host 0 sent and gives it to host 1.
fn spoiled(v6: bool, spoil: impl Fn(&mut Vec<u8>)) -> (Lan, stack::UdpHandle) {
    let mut lan = Lan::tunnel();
    let (local, remote) =
        if v6 { ("[2001:db8::1]:1", "[2001:db8::2]:2") } else { ("10.0.0.1:1", "10.0.0.2:2") };
    let (a, b) = (lan.bind(0, local), lan.bind(1, remote));
    lan.carries = |_, _| false;
    lan.send(0, a, b"payload", remote);
    let mut frame = lan.passed.pop().unwrap().1;
    spoil(&mut frame);
    lan.inject(1, &frame);
    (lan, b)
}

#[test]
fn checksums_present_wrong_and_absent() {
    for (v6, udp) in [(false, 20), (true, 40)] {
        let (mut lan, socket) = spoiled(v6, |_| {});
        assert!(lan.recv(1, socket).is_ok());
        let (mut lan, socket) = spoiled(v6, |frame| *frame.last_mut().unwrap() ^= 1);
        assert_eq!(lan.recv(1, socket), Err(UdpRecvError::WouldBlock));
        assert_eq!(lan.dropped(1, DropReason::BadChecksum), 1);
        // RFC 768: zero means none; RFC 8200 8.1: over IPv6 there must be one.
        let (mut lan, socket) = spoiled(v6, |frame| frame[udp + 6..udp + 8].fill(0));
        assert_eq!(lan.recv(1, socket).is_ok(), !v6);
        assert_eq!(lan.dropped(1, DropReason::BadChecksum), u64::from(v6));
    }
}

#[test]
fn lengths_that_lie() {
    let set_len = |frame: &mut Vec<u8>, len: u16| {
        frame[24..26].copy_from_slice(&len.to_be_bytes());
        frame[26..28].fill(0); // no checksum
    };
    let (mut lan, socket) = spoiled(false, |frame| set_len(frame, 11));
    assert_eq!(lan.recv(1, socket).unwrap().0, b"pay", "what lies behind the datagram is not its");
    for len in [0, 7, 16] {
        let (lan, _) = spoiled(false, |frame| set_len(frame, len));
        assert_eq!(lan.dropped(1, DropReason::Malformed), 1, "{len}");
    }
}

#[test]
fn a_computed_zero_is_sent_as_all_ones() {
    let mut lan = Lan::tunnel();
    let (a, b) = (lan.bind(0, "10.0.0.1:1"), lan.bind(1, "10.0.0.2:2"));
    let mut seen = 0;
    for word in 0..=u16::MAX {
        lan.send(0, a, &word.to_be_bytes(), "10.0.0.2:2");
        let frame = lan.passed.pop().unwrap().1;
        assert_ne!(frame[26..28], [0, 0], "zero would say that there is none");
        seen += usize::from(frame[26..28] == [0xff, 0xff]);
        assert_eq!(lan.recv(1, b).unwrap().0, word.to_be_bytes());
    }
    assert!(seen >= 1, "some payload sums to zero");
}

#[test]
fn a_full_receive_queue_drops_and_counts() {
    let mut lan = Lan::tunnel();
    let (a, b) = (lan.bind(0, "10.0.0.1:1"), lan.bind(1, "10.0.0.2:2"));
    lan.hosts[1].set_udp_buffers(b, 2_500, 2_500);
    for _ in 0..5 {
        lan.send(0, a, &[7; 1_000], "10.0.0.2:2");
    }
    assert_eq!((lan.hosts[1].udp_dropped(b), lan.dropped(1, DropReason::SocketFull)), (Some(3), 3));
    assert!(lan.recv(1, b).is_ok() && lan.recv(1, b).is_ok());
    assert_eq!(lan.recv(1, b), Err(UdpRecvError::WouldBlock));
    assert_eq!(lan.hosts[1].buffer_bytes(), 0, "an empty queue holds nothing");
}

#[test]
fn a_full_send_queue_says_so_and_tells_when_there_is_room() {
    let mut lan = Lan::tunnel();
    let a = lan.bind(0, "10.0.0.1:1");
    lan.bind(1, "10.0.0.2:2");
    lan.hosts[0].set_udp_buffers(a, 10_000, 10_000);
    let to = UdpSend::to(at("10.0.0.2:2"));
    let mut accepted = 0;
    while lan.hosts[0].udp_send(lan.now, a, &[7; 1_000], &to).is_ok() {
        accepted += 1;
    }
    assert_eq!(accepted, 10);
    assert_eq!(lan.hosts[0].udp_send(lan.now, a, &[7; 1_000], &to), Err(UdpSendError::WouldBlock));
    assert_eq!(lan.hosts[0].poll_ready(), None);
    lan.settle();
    assert_eq!(lan.hosts[0].poll_ready(), Some((Handle::Udp(a), Readiness::WRITABLE)));
    assert_eq!(lan.hosts[0].buffer_bytes(), 0);
}

#[test]
fn a_buffer_that_is_too_small_gets_the_head_and_the_truth() {
    let mut lan = Lan::tunnel();
    let (a, b) = (lan.bind(0, "10.0.0.1:1"), lan.bind(1, "10.0.0.2:2"));
    lan.send(0, a, b"0123456789", "10.0.0.2:2");
    let mut buffer = [0; 4];
    let received = lan.hosts[1].udp_recv(b, &mut buffer).unwrap();
    assert_eq!((&buffer, received.len, received.datagram_len), (b"0123", 4, 10));
    assert_eq!(lan.recv(1, b), Err(UdpRecvError::WouldBlock));
}

#[test]
fn the_more_specific_socket_hears() {
    let mut lan = Lan::new(&[
        point_to_point(&["10.0.0.1/24"]),
        point_to_point(&["10.0.0.2/24", "10.0.0.3/24", "10.0.0.4/24"]),
    ]);
    let a = lan.bind(0, "10.0.0.1:1");
    let second = lan.bind(1, "10.0.0.2:9");
    let third = lan.bind(1, "10.0.0.3:9");
    lan.hosts[1].udp_connect(third, at("10.0.0.1:1")).unwrap();
    for (remote, socket) in [("10.0.0.2:9", second), ("10.0.0.3:9", third)] {
        lan.send(0, a, remote.as_bytes(), remote);
        assert_eq!(lan.recv(1, socket).unwrap().0, remote.as_bytes());
    }
    lan.send(0, a, b"nobody", "10.0.0.4:9");
    assert_eq!(lan.dropped(1, DropReason::NoSocket), 1);
}

#[test]
fn broadcast_needs_leave_and_reaches_all() {
    let mut lan = Lan::new(&[
        ethernet(0, &["10.0.0.1/24"]),
        ethernet(1, &["10.0.0.2/24"]),
        ethernet(2, &["10.0.0.3/24"]),
    ]);
    let sender = lan.bind(0, "0.0.0.0:67");
    lan.hosts[0].set_udp_options(sender, UdpOptions { broadcast: true, ..UdpOptions::default() });
    let (b, c) = (lan.bind(1, "0.0.0.0:68"), lan.bind(2, "10.0.0.255:68"));
    let unicast_only = lan.bind(1, "10.0.0.2:69");
    for to in ["10.0.0.255:68", "255.255.255.255:68"] {
        lan.send(0, sender, to.as_bytes(), to);
        let (data, received) = lan.recv(1, b).unwrap();
        assert_eq!((data, received.local), (to.as_bytes().to_vec(), at(to).ip()));
    }
    assert_eq!(lan.recv(2, c).unwrap().0, b"10.0.0.255:68", "bound to one broadcast address, hears that one");
    assert_eq!(lan.recv(2, c), Err(UdpRecvError::WouldBlock));
    lan.send(0, sender, b"x", "10.0.0.255:69");
    assert_eq!(lan.recv(1, unicast_only), Err(UdpRecvError::WouldBlock));
    assert_eq!(lan.counters(1).icmp_sent + lan.counters(2).icmp_sent, 0, "no error about a broadcast");
}

#[test]
fn to_ourselves() {
    let mut lan = Lan::new(&[point_to_point(&["10.0.0.1/24"])]);
    for addr in ["127.0.0.1", "10.0.0.1"] {
        let (a, b) = (lan.bind(0, &format!("{addr}:1")), lan.bind(0, &format!("{addr}:2")));
        lan.send(0, a, &[9; 60_000], &format!("{addr}:2"));
        let (data, received) = lan.recv(0, b).unwrap();
        assert_eq!((data.len(), received.interface), (60_000, InterfaceId::LOOPBACK));
        lan.hosts[0].udp_connect(a, at(&format!("{addr}:3"))).unwrap();
        lan.hosts[0].udp_send(lan.now, a, b"x", &UdpSend::default()).unwrap();
        lan.settle();
        assert_eq!(lan.recv(0, a), Err(UdpRecvError::ConnectionRefused));
        for socket in [a, b] {
            lan.hosts[0].udp_close(socket).unwrap();
        }
    }
    assert!(lan.passed.is_empty(), "nothing left the host");
    let v6 = lan.bind(0, "[::1]:5");
    lan.send(0, v6, b"six", "[::1]:5");
    assert_eq!(lan.recv(0, v6).unwrap().0, b"six");
}

#[test]
fn segments_of_one_size() {
    // In software, datagram by datagram.
    let mut lan = Lan::tunnel();
    let (a, b) = (lan.bind(0, "10.0.0.1:1"), lan.bind(1, "10.0.0.2:2"));
    let data: Vec<u8> = (0..3_000).map(|i| i as u8).collect();
    let send = UdpSend { segment_size: Some(1_200), ..UdpSend::to(at("10.0.0.2:2")) };
    lan.hosts[0].udp_send(lan.now, a, &data, &send).unwrap();
    lan.settle();
    let lens: Vec<_> = std::iter::from_fn(|| lan.recv(1, b).ok()).map(|(data, _)| data).collect();
    assert_eq!(lens, data.chunks(1_200).map(<[u8]>::to_vec).collect::<Vec<_>>());

    // By a device that can.
    let mut config = point_to_point(&["10.0.0.1/24"]);
    config.interfaces[0].capabilities =
        Capabilities { uso_max: 65_535, tx_checksum: true, ..Capabilities::default() };
    let now = Instant::ZERO;
    let mut host = Stack::new(&config, &Secret::from_seed(1), now).unwrap();
    let socket = host.udp_bind(at("10.0.0.1:1")).unwrap();
    host.udp_send(now, socket, &data, &send).unwrap();
    let mut sink = FrameQueue::new(8);
    host.poll_transmit(now, &mut sink);
    let (frame, meta) = sink.pop().unwrap();
    let gso = meta.gso.unwrap();
    assert_eq!((frame.len(), gso.kind, gso.size, gso.header_len), (3_028, GsoKind::Udp, 1_200, 28));
    assert_eq!(meta.checksum.map(|c| (c.start, c.offset)), Some((20, 6)));
    assert!(sink.is_empty());
}

#[test]
fn a_device_that_joins_is_taken_apart_unless_the_socket_wants_it() {
    for takes_joined in [false, true] {
        let mut lan = Lan::tunnel();
        let a = lan.bind(0, "10.0.0.1:1");
        let b = lan.bind(1, "10.0.0.2:2");
        lan.hosts[1].set_udp_options(b, UdpOptions { takes_joined, ..UdpOptions::default() });
        lan.carries = |_, _| false;
        lan.send(0, a, &[5; 1_000], "10.0.0.2:2");
        let frame = lan.passed.pop().unwrap().1;
        let meta = stack::frame::RxMeta { gso_size: 400, ..Default::default() };
        lan.hosts[1].handle_frame(lan.now, LINK, stack::frame::RxFrame { bytes: &frame, meta });
        let received: Vec<_> =
            std::iter::from_fn(|| lan.recv(1, b).ok()).map(|(d, r)| (d.len(), r.segment_size)).collect();
        let expected =
            if takes_joined { vec![(1_000, Some(400))] } else { vec![(400, None), (400, None), (200, None)] };
        assert_eq!(received, expected);
    }
}

#[test]
fn a_tunnels_end_answers_for_any_address() {
    let mut config = point_to_point(&["10.0.0.2/24"]);
    config.interfaces[0].any_address = true;
    config.routes.push(stack::RouteConfig {
        prefix: stack::Prefix::DEFAULT_V4,
        gateway: None,
        interface: LINK,
        metric: 0,
    });
    let mut client = point_to_point(&["10.0.0.1/24"]);
    client.routes.clone_from(&config.routes);
    let mut lan = Lan::new(&[client, config]);
    let (a, b) = (lan.bind(0, "10.0.0.1:1"), lan.bind(1, "0.0.0.0:53"));
    lan.send(0, a, b"query", "198.51.100.7:53");
    let (_, received) = lan.recv(1, b).unwrap();
    assert_eq!(received.local, ip("198.51.100.7"), "the program learns whom it was meant for");
    let reply = UdpSend { local: Some(received.local), ..UdpSend::to(received.remote) };
    lan.hosts[1].udp_send(lan.now, b, b"answer", &reply).unwrap();
    lan.settle();
    let (data, received) = lan.recv(0, a).unwrap();
    assert_eq!((data, received.remote), (b"answer".to_vec(), at("198.51.100.7:53")));
}
