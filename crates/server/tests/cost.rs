//! What a session and a message cost in heap: counted by an allocator of the test's own, in a process of its own.

#![allow(unsafe_code, reason = "an allocator that counts")]
#![allow(clippy::unwrap_used, reason = "in a test a surprise is a failure")]
#![allow(dead_code, reason = "the raw client can do more than is needed here")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};

#[path = "exchange/client.rs"]
mod client;
#[path = "exchange/house.rs"]
mod house;

use client::{Client, tcp};
use house::{House, PASSWORD};

struct Counting;

static LIVE: AtomicIsize = AtomicIsize::new(0);
static COUNT: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is handed to the system's allocator unchanged; counting touches nothing it owns.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        LIVE.fetch_add(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: the caller keeps alloc's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: the caller keeps dealloc's contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The counters are the process's, so one measurement at a time.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn a_message_between_two_sessions_of_a_loop_allocates_nothing() {
    const ROUNDS: usize = 2000;
    let _alone = ALONE.lock();
    // Nothing of it is to be kept: what goes to the store is handed to another thread, and owns its bytes.
    let house = House::new(|config| {
        config.engine.loops = 1;
        config.archive.default = router::ArchivePolicy::Never;
    });
    let (first, second) = (house.account(), house.account());
    let (a_stream, b_stream) = (tcp(house.tcp()), tcp(house.tcp()));
    let mut a = Client::over(a_stream.try_clone().unwrap());
    let mut b = Client::over(b_stream.try_clone().unwrap());
    a.go_online(first, PASSWORD, "a");
    b.go_online(second, PASSWORD, "b");
    a.ping();
    b.ping();
    let body = "x".repeat(200);
    let sent = format!("<message to='{second}@localhost/b' type='chat'><body>{body}</body></message>");
    let (mut writer, mut reader) = (&a_stream, &b_stream);
    let mut buffer = [0; 4096];
    let mut round = || {
        writer.write_all(sent.as_bytes()).unwrap();
        let mut len = 0;
        while !buffer[..len].ends_with(b"</message>") {
            len += reader.read(&mut buffer[len..]).unwrap();
        }
    };
    (0..100).for_each(|_| round());
    let before = COUNT.load(Ordering::Relaxed);
    (0..ROUNDS).for_each(|_| round());
    let allocations = COUNT.load(Ordering::Relaxed) - before;
    // A timer's heap or a mailbox may grow once; nothing may grow with the messages.
    assert!(allocations < 10, "{allocations} allocations for {ROUNDS} messages");
}

#[test]
fn an_idle_session_costs_little_heap() {
    // Tables double at powers of two: between two of them their growth is exact.
    const WARM: usize = 32;
    const SESSIONS: usize = 128;
    let _alone = ALONE.lock();
    let house = House::new(|config| config.engine.loops = 1);
    let numbers: Vec<u64> = (0..SESSIONS).map(|_| house.account()).collect();
    let mut streams = Vec::with_capacity(SESSIONS);
    let mut log_in = |number: u64| {
        let stream = tcp(house.tcp());
        Client::over(stream.try_clone().unwrap()).go_online(number, PASSWORD, "phone");
        streams.push(stream);
    };
    // What is made once, and what grows by doubling, is made and has grown.
    numbers[..WARM].iter().for_each(|number| log_in(*number));
    let before = LIVE.load(Ordering::Relaxed);
    numbers[WARM..].iter().for_each(|number| log_in(*number));
    let each = (LIVE.load(Ordering::Relaxed) - before) / (SESSIONS - WARM) as isize;
    println!("{each} octets of heap an idle session");
    // Half of it the connection and the router's line, a third tables at their fullest growth.
    assert!(each <= 1536, "{each} octets of heap an idle session");
}

#[test]
fn an_idle_tls_session_costs_rustls_its_state() {
    const WARM: usize = 32;
    const SESSIONS: usize = 128;
    let _alone = ALONE.lock();
    let house = House::new(|config| config.engine.loops = 1);
    let mut streams = Vec::with_capacity(SESSIONS);
    let mut before = 0;
    for at in 0..SESSIONS {
        if at == WARM {
            before = LIVE.load(Ordering::Relaxed);
        }
        // The handshake and the first octets; the client's own state goes with the client.
        let stream = tcp(house.tls());
        let mut client = Client::over(client::tls(stream.try_clone().unwrap(), b"xmpp-client"));
        client.open();
        streams.push(stream);
    }
    let each = (LIVE.load(Ordering::Relaxed) - before) / (SESSIONS - WARM) as isize;
    println!("{each} octets of heap an idle TLS session");
    assert!(each <= 16 * 1024, "{each} octets of heap an idle TLS session");
}

#[test]
fn a_thousand_parked_sessions_cost_bounded_memory() {
    const WARM: usize = 32;
    const SESSIONS: usize = 1000;
    let _alone = ALONE.lock();
    let house = House::new(|config| {
        config.engine.loops = 1;
        // All of them with one client's patience.
        config.resume.time = std::time::Duration::from_secs(600);
    });
    let numbers: Vec<u64> = (0..SESSIONS).map(|_| house.account()).collect();
    let park = |numbers: &[u64]| {
        for number in numbers {
            let mut client = Client::over(tcp(house.tcp()));
            client.log_in(*number, PASSWORD, "phone");
            client.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
            client.expect("<enabled");
            client.send("<presence xmlns='jabber:client' id='here'/>");
            client.expect("id='here'");
        }
    };
    let parked = |count: usize| {
        house.until(|lines| lines.iter().filter(|line| line.state == "parked").count() == count);
    };
    park(&numbers[..WARM]);
    parked(WARM);
    let before = LIVE.load(Ordering::Relaxed);
    park(&numbers[WARM..]);
    parked(SESSIONS);
    let each = (LIVE.load(Ordering::Relaxed) - before) / (SESSIONS - WARM) as isize;
    println!("{each} octets of heap a parked session");
    // What `[resume]` says one costs, beside what waits for its client; and the account, whose roster and preferences are in
    // memory.
    assert!(each <= 2560, "{each} octets of heap a parked session");
}
