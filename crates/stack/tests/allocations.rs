//! Hot paths do not allocate once warm: counted at the allocator, both hosts and the cable between them included.

mod pair;

use pair::{A, B, Pair};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use switchboard_stack::TcpHandle;

struct Counting;

thread_local! {
    /// Calls by this thread: tests run side by side.
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // A thread that is ending has no counter any more.
    let _ = CALLS.try_with(|calls| calls.set(calls.get() + 1));
}

// SAFETY: every call is System's own; only their number is noted.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count();
        unsafe { System.realloc(at, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations while `act` runs.
fn allocations(act: impl FnOnce()) -> u64 {
    let before = CALLS.get();
    act();
    CALLS.get() - before
}

fn drain_ready(pair: &mut Pair) {
    for stack in &mut pair.stacks {
        while stack.poll_ready().is_some() {}
    }
}

fn echo(pair: &mut Pair, (client, server): (TcpHandle, TcpHandle), scratch: &mut [u8]) {
    assert_eq!(pair.send(A, client, &[7; 200]), Ok(200));
    pair.settle();
    let now = pair.now;
    let len = pair.stacks[B].tcp_recv(now, server, scratch).expect("it has arrived");
    assert_eq!(pair.send(B, server, &scratch[..len]), Ok(200));
    pair.settle();
    pair.stacks[A].tcp_recv(now, client, scratch).expect("it has arrived");
    pair.settle();
    drain_ready(pair);
}

#[test]
fn an_echo_allocates_nothing() {
    let mut pair = Pair::new();
    let ends = pair.open("10.0.0.2:80");
    let mut scratch = vec![0; 4_096];
    (0..100).for_each(|_| echo(&mut pair, ends, &mut scratch));
    let count = allocations(|| (0..1_000).for_each(|_| echo(&mut pair, ends, &mut scratch)));
    assert_eq!(count, 0);
}

#[test]
fn an_echo_among_many_connections_allocates_nothing() {
    let mut pair = Pair::new();
    let ends: Vec<_> = (0..200).map(|port| pair.open(&format!("10.0.0.2:{}", 1_000 + port))).collect();
    let mut scratch = vec![0; 4_096];
    ends.iter().for_each(|ends| echo(&mut pair, *ends, &mut scratch));
    let count = allocations(|| ends.iter().for_each(|ends| echo(&mut pair, *ends, &mut scratch)));
    assert_eq!(count, 0);
}

#[test]
fn a_bulk_transfer_allocates_nothing() {
    let mut pair = Pair::new();
    let (client, server) = pair.open("10.0.0.2:80");
    let data = vec![5; 65_536];
    let mut scratch = vec![0; 65_536];
    let mut round = |pair: &mut Pair| {
        let _ = pair.send(A, client, &data);
        pair.settle();
        let now = pair.now;
        while pair.stacks[B].tcp_recv(now, server, &mut scratch).is_ok() {}
        pair.settle();
        drain_ready(pair);
    };
    // Until the windows have grown as far as they do.
    (0..2_000).for_each(|_| round(&mut pair));
    let count = allocations(|| (0..1_000).for_each(|_| round(&mut pair)));
    assert_eq!(count, 0);
}

/// What stays of each connection, in TIME-WAIT and in the ports' book, grows by chunks; the rest is recycled.
#[test]
fn opening_and_closing_allocates_little() {
    let mut pair = Pair::new();
    let listener = pair.listen(B, "10.0.0.2:80", 16);
    let mut scratch = vec![0; 64];
    let mut round = |pair: &mut Pair| {
        let client = pair.connect(A, "10.0.0.2:80");
        pair.settle();
        let (server, _) = pair.stacks[B].tcp_accept(listener).expect("open");
        let now = pair.now;
        pair.send(A, client, b"x").expect("room");
        pair.stacks[A].tcp_close(now, client).expect("open");
        pair.settle();
        pair.stacks[B].tcp_recv(now, server, &mut scratch).expect("it has arrived");
        pair.stacks[B].tcp_close(now, server).expect("open");
        pair.settle();
        drain_ready(pair);
    };
    (0..100).for_each(|_| round(&mut pair));
    let count = allocations(|| (0..1_000).for_each(|_| round(&mut pair)));
    println!("{count} allocations for 1,000 connections");
    assert!(count <= 5_000, "{count}");
}
