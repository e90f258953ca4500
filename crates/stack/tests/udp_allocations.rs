//! A warm host moves UDP datagrams without allocating.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};
use switchboard_stack::frame::{Capabilities, FrameQueue, RxFrame, RxMeta};
use switchboard_stack::socket::udp::UdpSend;
use switchboard_stack::{Config, Instant, InterfaceConfig, InterfaceId, Secret, Stack};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to `System` unchanged; counting touches no memory that it manages.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, len: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(place, layout, len) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

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
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    for i in 10..1_010 {
        round(i);
    }
    let made = ALLOCATIONS.load(Ordering::Relaxed) - before;
    assert_eq!(made, 0, "allocations for 8,000 datagrams");
}
