//! A hundred thousand XMPP sessions on our own stack: logged in, bound, present, and what they cost, all told.
//! Issue: 2 KiB a session: the stack's connection, the event loop's, the session, the router's line, presence and roster, the
//! store's part. Counted at the allocator; the clients are made before (`world::crowd`), so what grows is the exchange's.
//!
//! Unoptimised, 5,000 sessions stand for them; the hundred thousand take some twenty seconds:
//! `cargo test --release -p switchboard-world --test sessions -- --nocapture`.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use switchboard_world::crowd::Crowd;

struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is System's own; only the sizes are noted.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Relaxed);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        LIVE.fetch_add(new_size, Relaxed);
        LIVE.fetch_sub(layout.size(), Relaxed);
        unsafe { System.realloc(at, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes a session, all told (the first step).
const EACH_MAX: f64 = 2048.0;
/// Sessions before the first reading, so that tables and pools have been made.
const WARM_UP: usize = 1000;

#[test]
fn a_hundred_thousand_sessions_stay_within_their_bound() {
    // A plain test run has fewer; the bound is the same.
    let count = match std::env::var("SWITCHBOARD_SESSIONS") {
        Ok(text) => text.parse().expect("SWITCHBOARD_SESSIONS is a number"),
        Err(_) => 5_000,
    };
    for loops in [1, 2] {
        let mut crowd = Crowd::new(loops, WARM_UP + count);
        crowd.log_in(0..WARM_UP);
        crowd.rest(Duration::from_secs(5));
        let before = LIVE.load(Relaxed);
        crowd.log_in(WARM_UP..WARM_UP + count);
        crowd.rest(Duration::from_secs(5));
        let each = (LIVE.load(Relaxed) - before) as f64 / count as f64;
        println!("{count} sessions, {loops} loops: {each:.0} B each, all told");
        assert!(each <= EACH_MAX, "{each} B a session");
        // They are there, every one, and can be written to.
        assert_eq!(crowd.exchange().connections(), WARM_UP + count);
        let lines = crowd.exchange().who();
        assert!(lines.iter().all(|line| line.state == "bound" && line.network == "sim"));
        for step in 0..500 {
            let (from, to) = (step * 7919 % (WARM_UP + count), step * 104_729 % (WARM_UP + count));
            if from != to {
                crowd.relay(from, to);
            }
        }
    }
}
