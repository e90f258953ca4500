//! A warm host moves UDP datagrams without allocating.

use switchboard_stack::frame::{Capabilities, FrameQueue, RxFrame, RxMeta};
use switchboard_stack::socket::udp::UdpSend;
use switchboard_stack::{Config, Instant, InterfaceConfig, InterfaceId, Secret, Stack};

fn host(addr: &str, seed: u64) -> Stack {
    let interface =
        InterfaceConfig::ip(Capabilities::default()).with_address(addr.parse().expect("a prefix"));
    let config = Config { interfaces: vec![interface], ..Config::default() };
    Stack::new(&config, &Secret::from_seed(seed), Instant::ZERO).expect("a sane config")
}

#[test]
fn a_warm_host_moves_datagrams_without_allocating() {
    let (mut a, mut b) = (host("10.0.0.1/24", 1), host("10.0.0.2/24", 2));
    let sender = a.udp_bind("10.0.0.1:1".parse().expect("an address")).expect("free");
    let receiver = b.udp_bind("10.0.0.2:2".parse().expect("an address")).expect("free");
    let send = UdpSend::to("10.0.0.2:2".parse().expect("an address"));
    let mut cable = FrameQueue::new(64);
    let (payload, mut buffer) = ([7; 1_200], [0; 2_048]);
    let mut round = |i: u64| {
        let now = Instant::from_micros(i);
        for _ in 0..8 {
            a.udp_send(now, sender, &payload, &send).expect("room");
        }
        a.poll_transmit(now, &mut cable);
        while let Some((frame, _)) = cable.pop() {
            b.handle_frame(now, InterfaceId(0), RxFrame { bytes: &frame, meta: RxMeta::default() });
            cable.recycle(frame);
        }
        while b.poll_ready().is_some() {}
        for _ in 0..8 {
            assert_eq!(b.udp_recv(receiver, &mut buffer).expect("a datagram").len, payload.len());
        }
    };
    for i in 0..10 {
        round(i);
    }
    let info = allocation_counter::measure(|| (10..1_010).for_each(&mut round));
    assert_eq!(info.count_total, 0, "allocations for 8,000 datagrams");
}
