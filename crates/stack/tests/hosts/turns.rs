//! Turns: whose frames leave first.

use crate::lan::{at, point_to_point};
use stack::frame::FrameQueue;
use stack::socket::udp::UdpSend;
use stack::{Config, Instant, Secret, Stack};
use wire::ip::Protocol;
use wire::ipv4;

/// Frames of a turn. UDP's first share leaves room for TCP, and TCP's one frame for a second pass, in which UDP takes the rest.
const FRAMES_MAX: usize = 8;

#[test]
fn transports_take_turns_in_beginning_however_many_passes_a_turn_has() {
    let config = Config { turn_frames_max: FRAMES_MAX, ..point_to_point(&["10.0.0.1/24"]) };
    let now = Instant::from_secs(1);
    let mut host = Stack::new(&config, &Secret::from_seed(1), now).unwrap();
    let socket = host.udp_bind(at("10.0.0.1:1")).unwrap();
    let mut sink = FrameQueue::new(FRAMES_MAX);
    for _ in 0..4 * FRAMES_MAX {
        host.udp_send(now, socket, b"datagram", &UdpSend::to(at("10.0.0.2:2"))).unwrap();
    }
    let mut began = Vec::new();
    for _ in 0..4 {
        host.tcp_connect_to(now, at("10.0.0.2:80")).unwrap();
        assert_eq!(host.poll_transmit(now, &mut sink), FRAMES_MAX);
        let of_turn: Vec<_> = std::iter::from_fn(|| sink.pop())
            .map(|(frame, _)| ipv4::Packet::new(&frame).unwrap().protocol())
            .collect();
        assert_eq!(of_turn.iter().filter(|protocol| **protocol == Protocol::TCP).count(), 1, "one SYN");
        began.push(of_turn[0]);
    }
    assert!(began.windows(2).all(|two| two[0] != two[1]), "{began:?}");
}
