//! A message between two sessions of one router allocates nothing, and what it costs.
//!
//! Alone in its file, since it replaces the allocator; the counter is this thread's own.

#![allow(unsafe_code, reason = "a counting allocator is an allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;
use std::sync::Arc;

use store::{Answer, Op, Reply, Roster};
use switchboard_router::{LineFacts, Output, Router, RouterConfig, SessionId};
use xmpp::address::AccountNumber;
use xmpp::stanza::Stanza;
use xmpp::time::{Instant, Now, Wallclock};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn now() -> Now {
    Now { mono: Instant::from_nanos(1), wall: Wallclock::from_millis(1_795_510_800_000) }
}

/// Two people who are there.
fn pair() -> (Router, SessionId, SessionId) {
    let mut router = Router::new(Arc::new(RouterConfig::new("localhost", [7; 16])), 0, 1);
    let sessions = [10_001, 10_002].map(|value| {
        let number = AccountNumber::new(value).expect("a number");
        let session = SessionId::new(0, value);
        router.handle_bind(now(), session, number, Some("phone"), LineFacts::default());
        answer(&mut router);
        let presence = Stanza::parse(b"<presence/>").expect("well-formed");
        router.handle_stanza(now(), session, 1_u32, &presence);
        answer(&mut router);
        session
    });
    (router, sessions[0], sessions[1])
}

/// A store that has nothing.
fn answer(router: &mut Router) {
    let mut requests = Vec::new();
    loop {
        while let Some(output) = router.poll_output() {
            if let Output::Store(request) = output {
                requests.push(request);
            }
        }
        let Some(request) = requests.pop() else { return };
        let answer = match request.op {
            Op::LoadRoster { .. } => Answer::Roster(Roster::default()),
            Op::LoadOffline { .. } => Answer::Offline(store::OfflinePage::default()),
            Op::Document(_) => Answer::Document(None),
            Op::Pep(_) => Answer::Nodes(Vec::new()),
            other => panic!("nobody asked for {other:?}"),
        };
        router.handle_reply(now(), Reply { token: request.token, answer: Ok(answer) });
    }
}

/// Between sessions that confirm, what the store is to keep until they have is allocated.
#[test]
fn a_message_between_two_sessions_allocates_nothing() {
    let (mut router, sender, receiver) = pair();
    let body = "x".repeat(200);
    let text =
        format!("<message to='10002@localhost/phone' type='chat' id='a1'><body>{body}</body></message>");
    let bare = format!("<message to='10002@localhost' type='chat' id='a1'><body>{body}</body></message>");
    for text in [text, bare] {
        let stanza = Stanza::parse(text.as_bytes()).expect("well-formed");
        let mut relay = |seq: u32| {
            router.handle_stanza(now(), sender, seq, &stanza);
            let (mut delivered, mut processed) = (0, 0);
            while let Some(output) = router.poll_output() {
                match output {
                    Output::Deliver { session, stanza, tag } => {
                        assert!(session == receiver && tag.is_some());
                        black_box(stanza);
                        delivered += 1;
                    }
                    Output::Processed { .. } => processed += 1,
                    other => panic!("nobody expected {other:?}"),
                }
            }
            assert_eq!((delivered, processed), (1, 1));
        };
        (0..100).for_each(&mut relay);
        let before = ALLOCATIONS.get();
        let start = std::time::Instant::now();
        let rounds = 100_000;
        (0..rounds).for_each(&mut relay);
        let took = start.elapsed();
        let allocations = ALLOCATIONS.get() - before;
        println!("{} ns a message, {allocations} allocations", took.as_nanos() / u128::from(rounds));
        assert_eq!(allocations, 0);
    }
}
