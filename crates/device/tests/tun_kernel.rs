//! Tun and tap with the kernel at the other end, in a network namespace that exists as long as this test's child does.
//! Needs root, `/dev/net/tun` and `unshare(1)`; without them it says loudly that nothing was tested. (`cargo xtask interop` examines
//! whole stacks against the kernel and never skips.)
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "helpers of tests, which clippy does not take for tests")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};
use switchboard_device::Device;
use switchboard_device::tun::{Kind, Options, Tun};
use wire::ip::Protocol;
use wire::meta::{Medium, Nanos, RxMeta, TxMeta};
use wire::{arp, ethernet, icmpv4, ipv4, udp};

const KERNEL: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
const OURS: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 2);
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs the test named `inner` of this binary in a fresh network namespace.
fn in_a_namespace(inner: &str) {
    let usable = std::path::Path::new("/dev/net/tun").exists()
        && Command::new("unshare").args(["--net", "true"]).status().is_ok_and(|status| status.success());
    if !usable {
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
