//! Tun and tap with the kernel at the other end, in a network namespace that exists as long as this test's child does.
//! Needs root, `/dev/net/tun` and `unshare(1)`; without them it says loudly that nothing was tested, and under `cargo xtask interop
//! kernel`, which sets `SWITCHBOARD_NO_SKIPPING`, it fails. (That examines whole stacks against the kernel too.)
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "helpers of tests, which clippy does not take for tests")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};
use switchboard_device::Device;
use switchboard_device::tun::{Kind, Options, Tun};
use wire::ip::Protocol;
use wire::meta::{ChecksumOffload, Gso, GsoKind, Medium, Nanos, RxMeta, TxMeta};
use wire::{arp, ethernet, icmpv4, ipv4, tcp, udp};

const KERNEL: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
const OURS: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 2);
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs the test named `inner` of this binary in a fresh network namespace.
fn in_a_namespace(inner: &str) {
    let usable = std::path::Path::new("/dev/net/tun").exists()
        && Command::new("unshare").args(["--net", "true"]).status().is_ok_and(|status| status.success());
    if !usable {
        assert!(std::env::var_os("SWITCHBOARD_NO_SKIPPING").is_none(), "{inner} cannot run here");
        eprintln!(
            "SKIPPED {inner}: no root, no /dev/net/tun or no unshare(1); TUN was NOT tested against the kernel"
        );
        return;
    }
    let this = std::env::current_exe().unwrap();
    let output = Command::new("unshare")
        .arg("--net")
        .arg(this)
        .args(["--exact", inner, "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn the_kernel_answers_a_ping_and_its_datagram_arrives_over_tun() {
    in_a_namespace("inner_tun");
}

#[test]
fn the_kernel_resolves_us_over_tap() {
    in_a_namespace("inner_tap");
}

#[test]
fn each_queue_carries_its_flows_both_ways() {
    in_a_namespace("inner_multi_queue");
}

#[test]
fn super_packets_of_tcp_are_cut_for_the_kernel_and_come_whole_from_it() {
    in_a_namespace("inner_super_packets");
}

#[test]
fn super_datagrams_of_udp_are_cut_for_the_kernel() {
    in_a_namespace("inner_super_datagrams");
}

#[test]
fn an_interface_belongs_to_one_program() {
    in_a_namespace("inner_busy");
}

fn open(kind: Kind, offload: bool) -> Tun {
    let addresses = vec![(IpAddr::V4(KERNEL), 24)];
    Tun::open(&Options { kind, offload, addresses, mtu: 1400, ..Options::default() }).unwrap()
}

fn send(device: &mut impl Device, frame: &[u8]) {
    let sink = device.transmit(Nanos(0), 0);
    sink.reserve(frame.len()).unwrap().copy_from_slice(frame);
    sink.commit(frame.len(), TxMeta::default());
    device.flush(Nanos(0), 0).unwrap();
}

/// The first frame that `wanted` recognises; the kernel sends others too (router solicitations, MLD).
fn receive<T>(device: &mut impl Device, wanted: impl Fn(&[u8], RxMeta) -> Option<T>) -> T {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        let batch = device.receive(Nanos(0), 0, 64).unwrap();
        for index in 0..batch.len() {
            let frame = batch.frame(index);
            if let Some(found) = wanted(frame.bytes, frame.meta) {
                return found;
            }
        }
        std::thread::yield_now();
    }
    panic!("nothing came in {PATIENCE:?}");
}

fn echo_request() -> Vec<u8> {
    let message = icmpv4::Message::EchoRequest { ident: 7, seq: 1, data: b"are you there?" };
    let mut packet = vec![0; ipv4::HEADER_LEN + message.wire_len()];
    let len = message.wire_len() as u16;
    let at = ipv4::Header::new(OURS, KERNEL, Protocol::ICMP, 64, len).emit(&mut packet);
    message.emit(&mut packet[at..]);
    packet
}

/// A second program that joined with queues of its own would be dealt a share of the first one's packets.
#[test]
#[ignore = "runs in the namespace that its outer test makes"]
fn inner_busy() {
    for queues in [1, 2] {
        let options = Options { name: "sbtest".into(), queues, ..Options::default() };
        let first = Tun::open(&options).unwrap();
        let refused = Tun::open(&options).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ResourceBusy, "{queues} queues: {refused}");
        drop(first);
        Tun::open(&options).unwrap();
    }
}

#[test]
#[ignore = "runs in the namespace that its outer test makes"]
fn inner_tun() {
    for offload in [false, true] {
        let mut device = open(Kind::Tun, offload);
        let capabilities = device.capabilities();
        assert_eq!((capabilities.medium, capabilities.mtu), (Medium::Ip, 1400));
        assert_eq!(capabilities.tso_max > 0, offload);
        assert!(device.descriptor(0).is_some());
        send(&mut device, &echo_request());
        receive(&mut device, |bytes, _| {
            let packet = ipv4::Packet::new(bytes).ok()?;
            let message = icmpv4::Message::parse(packet.payload()).ok()?;
            let reply = icmpv4::Message::EchoReply { ident: 7, seq: 1, data: b"are you there?" };
            (message == reply).then_some(())
        });
        let socket = UdpSocket::bind((KERNEL, 0)).unwrap();
        socket.send_to(b"to whom it may concern", (OURS, 4000)).unwrap();
        let port = socket.local_addr().unwrap().port();
        receive(&mut device, |bytes, meta| {
            let packet = ipv4::Packet::new(bytes).ok()?;
            let datagram = udp::Packet::new(packet.payload()).ok()?;
            let wanted = datagram.src_port() == port && datagram.payload() == b"to whom it may concern";
            // With offload the kernel leaves the checksum to us and vouches for the datagram; without, it has summed.
            let believable = meta.checksum_ok || datagram.checksum_is_valid(packet.pseudo());
            (wanted && believable).then_some(())
        });
        // And the other way: the kernel's socket hears us.
        let mut packet = vec![0; ipv4::HEADER_LEN + udp::HEADER_LEN + 5];
        let at = ipv4::Header::new(OURS, KERNEL, Protocol::UDP, 64, 13).emit(&mut packet);
        udp::Header { src_port: 4000, dst_port: port, payload_len: 5 }.emit(&mut packet[at..]);
        packet[at + udp::HEADER_LEN..].copy_from_slice(b"hello");
        let pseudo = wire::ip::pseudo_v4(OURS, KERNEL, Protocol::UDP, 13);
        udp::fill_checksum(&mut packet[at..], pseudo);
        send(&mut device, &packet);
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut heard = [0; 16];
        let (len, from) = socket.recv_from(&mut heard).unwrap();
        assert_eq!((&heard[..len], from), (&b"hello"[..], SocketAddr::from((OURS, 4000))));
    }
}

#[test]
#[ignore = "runs in the namespace that its outer test makes"]
fn inner_tap() {
    let mut device = open(Kind::Tap, false);
    assert_eq!(device.capabilities().medium, Medium::Ethernet);
    let socket = UdpSocket::bind((KERNEL, 0)).unwrap();
    socket.send_to(b"?", (OURS, 4000)).unwrap();
    let asked = receive(&mut device, |bytes, _| {
        let frame = ethernet::Packet::new(bytes).ok()?;
        let packet = arp::Packet::parse(frame.payload()).ok()?;
        (frame.ethertype() == ethernet::EtherType::ARP && packet.target_ip == OURS).then_some(packet)
    });
    let mac = ethernet::MacAddr([2, 0, 0, 0, 0, 9]);
    let mut reply = vec![0; ethernet::HEADER_LEN + arp::LEN];
    let header = ethernet::Header { dst: asked.sender_mac, src: mac, ethertype: ethernet::EtherType::ARP };
    let at = header.emit(&mut reply);
    arp::Packet {
        operation: arp::Operation::Reply,
        sender_mac: mac,
        sender_ip: OURS,
        target_mac: asked.sender_mac,
        target_ip: asked.sender_ip,
    }
    .emit(&mut reply[at..]);
    send(&mut device, &reply);
    receive(&mut device, |bytes, _| {
        let frame = ethernet::Packet::new(bytes).ok()?;
        let packet = ipv4::Packet::new(frame.payload()).ok()?;
        let datagram = udp::Packet::new(packet.payload()).ok()?;
        (frame.dst() == mac && datagram.payload() == b"?").then_some(())
    });
}

/// A datagram from our port 4000 to the kernel's `port`.
fn datagram(port: u16, payload: &[u8]) -> Vec<u8> {
    let len = (udp::HEADER_LEN + payload.len()) as u16;
    let mut packet = vec![0; ipv4::HEADER_LEN + usize::from(len)];
    let at = ipv4::Header::new(OURS, KERNEL, Protocol::UDP, 64, len).emit(&mut packet);
    udp::Header { src_port: 4000, dst_port: port, payload_len: payload.len() as u16 }.emit(&mut packet[at..]);
    packet[at + udp::HEADER_LEN..].copy_from_slice(payload);
    udp::fill_checksum(&mut packet[at..], wire::ip::pseudo_v4(OURS, KERNEL, Protocol::UDP, len));
    packet
}

/// The kernel hears every queue, and answers a flow on the queue that the flow came by: what a stack of one loop a queue rests on.
#[test]
#[ignore = "runs in the namespace that its outer test makes"]
fn inner_multi_queue() {
    const QUEUES: u16 = 4;
    for offload in [false, true] {
        let options = Options {
            queues: QUEUES,
            offload,
            addresses: vec![(IpAddr::V4(KERNEL), 24)],
            ..Options::default()
        };
        let tun = Tun::open(&options).unwrap();
        assert_eq!(tun.capabilities().queues, QUEUES);
        let mut queues = tun.into_queues();
        assert_eq!(queues.len(), usize::from(QUEUES));
        let sockets: Vec<UdpSocket> = (0..32).map(|_| UdpSocket::bind((KERNEL, 0)).unwrap()).collect();
        for (index, socket) in sockets.iter().enumerate() {
            let queue = &mut queues[index % usize::from(QUEUES)];
            let port = socket.local_addr().unwrap().port();
            send(queue, &datagram(port, &[index as u8]));
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut heard = [0; 4];
            let (len, from) = socket.recv_from(&mut heard).unwrap();
            assert_eq!((&heard[..len], from), (&[index as u8][..], SocketAddr::from((OURS, 4000))));
            socket.send_to(&[100 + index as u8], (OURS, 4000)).unwrap();
        }
        // Each answer comes once, and by the queue that asked.
        for (at, queue) in queues.iter_mut().enumerate() {
            let asked = (0..sockets.len()).filter(|index| index % usize::from(QUEUES) == at);
            let wanted: Vec<u8> = asked.map(|index| 100 + index as u8).collect();
            let mut came: Vec<u8> = Vec::new();
            let start = Instant::now();
            while came.len() < wanted.len() && start.elapsed() < PATIENCE {
                let batch = queue.receive(Nanos(0), 0, 64).unwrap();
                for frame in (0..batch.len()).map(|index| batch.frame(index)) {
                    let Ok(packet) = ipv4::Packet::new(frame.bytes) else { continue };
                    let Ok(datagram) = udp::Packet::new(packet.payload()) else { continue };
                    if datagram.dst_port() == 4000 {
                        assert_eq!(usize::from(frame.meta.queue), at);
                        came.extend(datagram.payload());
                    }
                }
                std::thread::yield_now();
            }
            assert_eq!(came, wanted, "queue {at}, offload {offload}");
        }
    }
}

/// A segment from our port 4000, checksum and cutting left to the device if it is longer than `size`.
fn segment(header: &tcp::Header, payload: &[u8], size: u16) -> (Vec<u8>, TxMeta) {
    let header_len = header.header_len();
    let len = (header_len + payload.len()) as u16;
    let mut packet = vec![0; ipv4::HEADER_LEN + usize::from(len)];
    let at = ipv4::Header::new(OURS, KERNEL, Protocol::TCP, 64, len).emit(&mut packet);
    header.emit(&mut packet[at..]);
    packet[at + header_len..].copy_from_slice(payload);
    tcp::put_partial_checksum(&mut packet[at..], wire::ip::pseudo_v4(OURS, KERNEL, Protocol::TCP, len));
    let headers = (at + header_len) as u16;
    let gso = Gso { kind: GsoKind::TcpV4, size, header_len: headers };
    let meta = TxMeta {
        checksum: Some(ChecksumOffload { start: at as u16, offset: 16 }),
        gso: (payload.len() > usize::from(size)).then_some(gso),
        queue: 0,
    };
    (packet, meta)
}

fn send_with(device: &mut impl Device, (frame, meta): (Vec<u8>, TxMeta)) {
    let sink = device.transmit(Nanos(0), 0);
    sink.reserve(frame.len()).unwrap().copy_from_slice(&frame);
    sink.commit(frame.len(), meta);
    device.flush(Nanos(0), 0).unwrap();
}

/// TCP played by hand: one write of ours carries what takes forty packets of the link, and one read brings as much.
#[test]
#[ignore = "runs in the namespace that its outer test makes"]
fn inner_super_packets() {
    use std::io::{Read as _, Write as _};
    use tcp::Flags;
    const SIZE: u16 = 1000;
    let text: Vec<u8> = (0..40_000u32).map(|i| ((i * 7) >> 3) as u8).collect();
    let mut device = open(Kind::Tun, true);
    assert!(device.capabilities().tso_max >= 60_000 && device.capabilities().gro_max >= 60_000);
    let opening = std::thread::spawn(|| std::net::TcpStream::connect((OURS, 4000)).unwrap());
    let syn = receive(&mut device, |bytes, _| {
        let packet = ipv4::Packet::new(bytes).ok()?;
        let segment = tcp::Packet::new(packet.payload()).ok()?;
        (segment.flags().syn() && segment.dst_port() == 4000).then(|| tcp::Header::parse(&segment))
    });
    let ours =
        tcp::Header { src_port: 4000, dst_port: syn.src_port, window: 65_535, ..tcp::Header::default() };
    let options = tcp::TcpOptions { mss: Some(SIZE), ..tcp::TcpOptions::default() };
    let (iss, irs) = (77u32, syn.seq);
    let syn_ack =
        tcp::Header { seq: iss, ack: irs.wrapping_add(1), flags: Flags::SYN | Flags::ACK, options, ..ours };
    send_with(&mut device, segment(&syn_ack, &[], SIZE));
    let mut kernel = opening.join().unwrap();
    kernel.set_read_timeout(Some(PATIENCE)).unwrap();
    kernel.set_nodelay(true).unwrap();

    let header =
        tcp::Header { seq: iss + 1, ack: irs.wrapping_add(1), flags: Flags::ACK | Flags::PSH, ..ours };
    send_with(&mut device, segment(&header, &text, SIZE));
    let mut heard = vec![0; text.len()];
    kernel.read_exact(&mut heard).unwrap();
    assert!(heard == text, "what the kernel put together is what was sent");

    // The other way: one write of the kernel's. Its window has not grown yet, so the first flight is ten segments, in one frame.
    kernel.write_all(&text[..10_000]).unwrap();
    let mut longest = 0;
    let mut got = Vec::new();
    while got.len() < 10_000 {
        let next = irs.wrapping_add(1 + got.len() as u32);
        let (piece, meta) = receive(&mut device, |bytes, meta| {
            let packet = ipv4::Packet::new(bytes).ok()?;
            let segment = tcp::Packet::new(packet.payload()).ok()?;
            let wanted = segment.seq() == next && !segment.payload().is_empty();
            wanted.then(|| (segment.payload().to_vec(), meta))
        });
        assert!(meta.checksum_ok, "its checksum was never made");
        if piece.len() > usize::from(SIZE) {
            assert_eq!(meta.gso_size, SIZE, "the pieces it stands for");
        }
        longest = longest.max(piece.len());
        got.extend(piece);
        let ack = tcp::Header {
            seq: iss + 1 + text.len() as u32,
            ack: irs.wrapping_add(1 + got.len() as u32),
            flags: Flags::ACK,
            ..ours
        };
        send_with(&mut device, segment(&ack, &[], SIZE));
    }
    assert!(got == text[..10_000], "what came is what the kernel sent");
    assert!(longest > 1400, "no frame was longer than the link's packets: {longest}");
}

/// One frame of ours is many datagrams to the kernel's socket, where the kernel can cut them (6.2 and later).
#[test]
#[ignore = "runs in the namespace that its outer test makes"]
fn inner_super_datagrams() {
    let mut device = open(Kind::Tun, true);
    if device.capabilities().uso_max == 0 {
        eprintln!("SKIPPED: this kernel's tun does not cut super-datagrams");
        return;
    }
    let socket = UdpSocket::bind((KERNEL, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let payload: Vec<u8> = (0..10_300u32).map(|i| (i >> 2) as u8).collect();
    let mut frame = datagram(socket.local_addr().unwrap().port(), &payload);
    let at = ipv4::HEADER_LEN;
    let len = (udp::HEADER_LEN + payload.len()) as u16;
    udp::put_partial_checksum(&mut frame[at..], wire::ip::pseudo_v4(OURS, KERNEL, Protocol::UDP, len));
    let meta = TxMeta {
        checksum: Some(ChecksumOffload { start: at as u16, offset: 6 }),
        gso: Some(Gso { kind: GsoKind::Udp, size: 1000, header_len: (at + udp::HEADER_LEN) as u16 }),
        queue: 0,
    };
    send_with(&mut device, (frame, meta));
    let mut buffer = [0; 2000];
    for piece in payload.chunks(1000) {
        let (len, _) = socket.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..len], piece);
    }
}
