//! A host under attack: one life fed with arbitrary frames, for fuzz targets and properties.
//! Owns: the plot. Invariants checked: nothing panics, every table and queue stays inside its bound, the host still answers.
//! Not here: headers alone (`wire`'s own properties).

use crate::config::{Config, InterfaceConfig, ReassemblyConfig};
use crate::frame::{Capabilities, FrameQueue, InterfaceId, RxFrame, RxMeta};
use crate::random::Secret;
use crate::stack::Stack;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use tcp::Instant;
use wire::ethernet::MacAddr;

/// Bytes that unfinished datagrams may hold in this host.
const REASSEMBLY_BYTES: usize = 64 << 10;

/// Lives one life: `script` is read as frames, each with a leading octet that says where it comes in and how much time passes
/// before. Returns everything that the host sent, so that two lives can be compared.
pub fn live(script: &[u8], seed: u64) -> Vec<Vec<u8>> {
    let mut now = Instant::from_secs(10);
    let config = hostile_config();
    let mut stack = Stack::new(&config, &Secret::from_seed(seed), now).expect("a sane config");
    let any = |port| SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port);
    let _socket = stack.udp_bind(any(9)).expect("a fresh host has every port free");
    let listener = stack.tcp_listener(now, any(80), 8).expect("a fresh host has every port free");
    let mut sink = FrameQueue::new(64);
    let mut sent = Vec::new();
    let mut rest = script;
    while let [how, low, high, tail @ ..] = rest {
        let len = usize::from(u16::from_le_bytes([*low, *high])).min(tail.len()).min(2_048);
        let (frame, after) = tail.split_at(len);
        rest = after;
        let interface = InterfaceId(how & 1);
        let meta =
            RxMeta { checksum_ok: how & 2 != 0, gso_size: if how & 4 != 0 { 512 } else { 0 }, queue: 0 };
        now += Duration::from_millis(u64::from(how >> 3) * 97);
        stack.handle_frame(now, interface, RxFrame { bytes: frame, meta });
        if stack.next_deadline(now).is_some_and(|deadline| deadline <= now) {
            stack.handle_deadline(now);
        }
        stack.poll_transmit(now, &mut sink);
        while let Some((frame, _)) = sink.pop() {
            sent.push(frame);
        }
        while stack.poll_ready().is_some() {}
        // A program that accepts, reads a little and closes, so that every state comes up.
        if how & 1 == 1
            && let Ok((connection, _)) = stack.tcp_accept(listener)
        {
            let _ = stack.tcp_recv(now, connection, &mut [0; 64]); // nothing there is as good as something
            let _ = stack.tcp_close(now, connection);
        }
        while stack.poll_event().is_some() {}
        while stack.poll_echo().is_some() {}
        check(&mut stack, &config);
    }
    sent
}

fn hostile_config() -> Config {
    let capabilities = Capabilities { gro_max: 65_535, ..Capabilities::default() };
    let prefix = |text: &str| text.parse().expect("a prefix");
    let tunnel = InterfaceConfig::ip(capabilities)
        .with_address(prefix("10.0.0.1/24"))
        .with_address(prefix("2001:db8::1/64"));
    let ethernet = InterfaceConfig {
        dad_transmits: 0,
        autoconfigure: true,
        ..InterfaceConfig::ethernet(capabilities, MacAddr([2, 0, 0, 0, 0, 1]))
    };
    let ethernet = ethernet.with_address(prefix("10.0.1.1/24")).with_address(prefix("2001:db8:1::1/64"));
    Config {
        interfaces: vec![tunnel, ethernet],
        reassembly: ReassemblyConfig { bytes_max: REASSEMBLY_BYTES, ..ReassemblyConfig::default() },
        buffer_bytes_max: 1 << 20,
        events_max: 16,
        ..Config::default()
    }
}

fn check(stack: &mut Stack, config: &Config) {
    assert!(stack.ip.reassembly.bytes() <= REASSEMBLY_BYTES, "fragments are bounded");
    assert!(stack.buffer_bytes() <= config.buffer_bytes_max, "buffers are bounded");
    assert!(stack.routes().count() <= config.ip.routes_max, "routes are bounded");
    assert!(stack.neighbors().count() <= config.neighbor.entries_max, "neighbours are bounded");
    let tcp = stack.tcp_counts();
    assert!(tcp.half_open <= config.tcp.syn_backlog, "unfinished handshakes are bounded");
    assert!(tcp.time_wait <= config.tcp.time_wait_max, "TIME-WAIT is bounded");
    assert!(stack.ip.path_mtus.len() <= config.ip.path_mtus_max, "path MTUs are bounded");
    for interface in 0..2 {
        assert!(
            stack.addresses(InterfaceId(interface)).len() <= config.ip.addresses_max,
            "addresses are bounded"
        );
    }
    let ours = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    assert!(stack.ip.is_ours(ours), "what the owner configured stays");
}
