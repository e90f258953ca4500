//! A million idle connections: what they cost, all told.
//! DESIGN 6: at most 256 bytes each once idle, index, timer and socket entries included. Counted at the allocator, both ends in
//! one process, so a connection counts twice.
//!
//! Unoptimised, 30,000 connections stand for the million; the million itself, over IPv4 and then IPv6, takes some twenty seconds:
//! `cargo test --release -p switchboard-stack --test million -- --nocapture`.

mod pair;

use pair::{A, B, Pair};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use switchboard_stack::RouteConfig;

struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn grown(by: usize) {
    let live = LIVE.fetch_add(by, Relaxed) + by;
    PEAK.fetch_max(live, Relaxed);
}

// SAFETY: every call is System's own; only the sizes are noted.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        grown(new_size);
        LIVE.fetch_sub(layout.size(), Relaxed);
        unsafe { System.realloc(at, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Connections from one port to one address and port.
const PER_LISTENER: usize = 50_000;

/// Opens `count` connections, each of which carries 4 KiB both ways and then rests; returns bytes an end, live and peak.
fn rest(count: usize, v6: bool) -> (f64, f64) {
    let mut pair = Pair::with(1500, |_, config| {
        config.ephemeral_ports = (1_024, 65_535);
        config.tcp.backlog_max = 16;
        config.routes = Vec::<RouteConfig>::new();
    });
    let before = LIVE.load(Relaxed);
    PEAK.store(before, Relaxed);
    let request = [7u8; 4_096];
    let mut scratch = vec![0u8; 8_192];
    // What the test itself keeps: room for every handle.
    let mut handles = Vec::with_capacity(2 * count);
    let kept = LIVE.load(Relaxed) - before;
    let mut listener = None;
    let mut remote = String::new();
    for number in 0..count {
        if number % PER_LISTENER == 0 {
            let port = 80 + number / PER_LISTENER;
            remote = if v6 { format!("[fd00::2]:{port}") } else { format!("10.0.0.2:{port}") };
            listener = Some(pair.listen(B, &remote, 16));
        }
        let client = pair.connect(A, &remote);
        pair.settle();
        let (server, _) = pair.stacks[B].tcp_accept(listener.expect("made above")).expect("open");
        for (from, out, into) in [(A, client, server), (B, server, client)] {
            assert_eq!(pair.send(from, out, &request), Ok(4_096));
            pair.settle();
            let mut got = 0;
            while got < 4_096 {
                let now = pair.now;
                got += pair.stacks[1 - from].tcp_recv(now, into, &mut scratch).expect("it has arrived");
                pair.settle();
            }
        }
        handles.extend([client, server]);
        while pair.stacks[A].poll_ready().is_some() {}
        while pair.stacks[B].poll_ready().is_some() {}
        if number % 1_000 == 999 {
            // Delayed ACKs go their way.
            pair.advance(std::time::Duration::from_millis(50));
        }
    }
    pair.advance(std::time::Duration::from_secs(5));
    for stack in &mut pair.stacks {
        assert_eq!(stack.tcp_counts().buffer_bytes, 0);
        assert_eq!(stack.next_deadline(pair.now), None, "an idle connection has no timer");
    }
    let each = |bytes: usize| (bytes - before - kept) as f64 / (2 * count) as f64;
    (each(LIVE.load(Relaxed)), each(PEAK.load(Relaxed)))
}

#[test]
fn a_million_idle_connections_stay_within_their_bound() {
    // A plain test run opens fewer; the bound is the same.
    let count = match std::env::var("SWITCHBOARD_CONNECTIONS") {
        Ok(text) => text.parse().expect("SWITCHBOARD_CONNECTIONS is a number"),
        Err(_) => 30_000,
    };
    for v6 in [false, true] {
        let (live, peak) = rest(count, v6);
        println!(
            "{count} connections, IPv{}: {live:.1} B live, {peak:.1} B peak an end",
            if v6 { 6 } else { 4 }
        );
        // Both ends' pools and free lists, some 10 MiB, are spread over the connections of the smaller count.
        let shared = 20e6 / (2 * count) as f64;
        assert!(live <= 256.0 + shared, "{live}");
        assert!(peak <= 288.0 + shared, "{peak}");
    }
}
