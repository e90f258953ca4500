use super::*;
use crate::config::{Config, InterfaceConfig};
use crate::frame::{Capabilities, FrameQueue};
use crate::random::Secret;

const NOW: Instant = Instant::from_secs(1);

fn ip(capabilities: Capabilities, medium: Medium) -> Ip {
    let interface = match medium {
        Medium::Ip => InterfaceConfig::ip(capabilities),
        Medium::Ethernet => {
            InterfaceConfig { dad_transmits: 0, ..InterfaceConfig::ethernet(capabilities, MacAddr([2; 6])) }
        }
    };
    let prefix = |text: &str| text.parse().unwrap();
    let interface = interface.with_address(prefix("10.0.0.1/24")).with_address(prefix("2001:db8::1/64"));
    let config = Config { interfaces: vec![interface], ..Config::default() };
    Ip::new(&config, &Secret::from_seed(1), NOW).unwrap()
}

fn to(dst: &str) -> Outgoing {
    let src = if dst.contains(':') { "2001:db8::1" } else { "10.0.0.1" };
    Outgoing::new(src.parse().unwrap(), dst.parse().unwrap(), Protocol::UDP)
}

/// Sends `len` octets of UDP; what leaves, and what the sender hears.
fn send(ip: &mut Ip, sink: &mut FrameQueue, out: &Outgoing, len: usize) -> Result<(), SendError> {
    let path = ip.path(NOW, out.dst, None).unwrap();
    let mut counters = Counters::default();
    let result = ip.emit(NOW, sink, &mut counters, &path, out, len, None, |datagram| datagram.fill(7));
    ip.flush_control(sink, &mut counters, 100);
    result
}

#[test]
fn sizes_and_what_becomes_of_them() {
    let rows = [
        ("10.0.0.2", Fragmentation::Allow, 1_480, Ok(1)),
        ("10.0.0.2", Fragmentation::Allow, 1_481, Ok(2)),
        ("10.0.0.2", Fragmentation::Forbid, 1_480, Ok(1)),
        ("10.0.0.2", Fragmentation::Forbid, 1_481, Err(SendError::TooBig(1_500))),
        ("10.0.0.2", Fragmentation::Probe, 1_481, Err(SendError::TooBig(1_500))),
        ("2001:db8::2", Fragmentation::Allow, 1_460, Ok(1)),
        ("2001:db8::2", Fragmentation::Allow, 1_461, Ok(2)),
        ("2001:db8::2", Fragmentation::Forbid, 1_461, Err(SendError::TooBig(1_500))),
        ("10.0.0.2", Fragmentation::Allow, 65_516, Err(SendError::TooBig(1_500))),
    ];
    for (dst, fragmentation, len, expected) in rows {
        let mut ip = ip(Capabilities::default(), Medium::Ip);
        let mut sink = FrameQueue::new(100);
        let out = Outgoing { fragmentation, ..to(dst) };
        let result = send(&mut ip, &mut sink, &out, len);
        assert_eq!(result.map(|()| sink.len()), expected, "{dst} {fragmentation:?} {len}");
    }
}

#[test]
fn a_full_sink_takes_nothing_and_says_so() {
    let mut ip = ip(Capabilities::default(), Medium::Ip);
    let mut sink = FrameQueue::new(1);
    assert_eq!(send(&mut ip, &mut sink, &to("10.0.0.2"), 100), Ok(()));
    let path = ip.path(NOW, to("10.0.0.2").dst, None).unwrap();
    assert_eq!(ip.room(&mut sink, &path), 0);
    assert_eq!(send(&mut ip, &mut sink, &to("10.0.0.2"), 100), Err(SendError::Blocked));
    // Pieces of a large one wait in the control queue, and leave as the sink empties.
    assert_eq!(send(&mut ip, &mut sink, &to("10.0.0.2"), 3_000), Ok(()));
    let mut left = 0;
    while sink.pop().is_some() {
        left += 1;
        ip.flush_control(&mut sink, &mut Counters::default(), 100);
    }
    assert_eq!(left, 1 + 3);
}

#[test]
fn a_checksum_is_finished_here_or_left_to_the_device() {
    for (tx_checksum, dst) in [(false, "10.0.0.2"), (true, "10.0.0.2"), (true, "2001:db8::2")] {
        let mut ip = ip(Capabilities { tx_checksum, ..Capabilities::default() }, Medium::Ip);
        let mut sink = FrameQueue::new(1);
        let out = to(dst);
        let path = ip.path(NOW, out.dst, None).unwrap();
        let header = udp::Header { src_port: 1, dst_port: 2, payload_len: 4 };
        let fill = |datagram: &mut [u8]| {
            header.emit(datagram);
            datagram[8..].copy_from_slice(b"text");
        };
        ip.emit(NOW, &mut sink, &mut Counters::default(), &path, &out, 12, None, fill).unwrap();
        let (frame, meta) = sink.pop().unwrap();
        let start = ip_header_len(out.dst);
        let sum = pseudo(out.src, out.dst, Protocol::UDP, 12).unwrap();
        let packet = udp::Packet::new(&frame[start..]).unwrap();
        assert_eq!(packet.checksum_is_valid(sum), !tx_checksum);
        let asked = ChecksumOffload { start: start as u16, offset: 6 };
        assert_eq!(meta.checksum, tx_checksum.then_some(asked));
        if tx_checksum {
            assert_eq!(packet.checksum(), sum.partial());
        }
    }
}

#[test]
fn groups_and_broadcasts_need_no_neighbour() {
    let rows = [
        ("224.0.0.9", MacAddr([1, 0, 0x5e, 0, 0, 9])),
        ("ff02::9", MacAddr([0x33, 0x33, 0, 0, 0, 9])),
        ("10.0.0.255", MacAddr::BROADCAST),
        ("255.255.255.255", MacAddr::BROADCAST),
    ];
    for (dst, mac) in rows {
        let mut ip = ip(Capabilities::default(), Medium::Ethernet);
        let mut sink = FrameQueue::new(4);
        send(&mut ip, &mut sink, &to(dst), 20).unwrap();
        let (frame, _) = sink.pop().unwrap();
        assert_eq!(&frame[..6], &mac.0, "{dst}");
    }
}

#[test]
fn what_is_ours_never_meets_a_sink() {
    let mut ip = ip(Capabilities::default(), Medium::Ip);
    let mut sink = FrameQueue::new(4);
    for dst in ["10.0.0.1", "127.0.0.1", "2001:db8::1", "::1"] {
        send(&mut ip, &mut sink, &to(dst), 20).unwrap();
        assert!(sink.is_empty() && ip.loopback.pop().is_some(), "{dst}");
    }
    assert!(ip.path(NOW, "192.0.2.1".parse().unwrap(), None).is_err());
}
