//! An entry point for fuzzers: any stanzas, from any of three sessions, and what must hold whatever they say.
//! Not here: the fuzzer; `fuzz/` has a target for it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use store::{Backend, Credentials, Memory, Op};
use xmpp::address::AccountNumber;
use xmpp::stanza::Stanza;
use xmpp::time::{Instant, Now, Wallclock};

use crate::{ArchivePolicy, LineFacts, Output, Router, RouterConfig, SessionId};

/// The numbers that exist.
const NUMBERS: [u64; 2] = [10_001, 10_002];

/// Lines of text, each a stanza that one of three sessions sends; two of the sessions are one number's. Lines that are
/// no stanza are passed over: the scanner keeps them from a router.
///
/// # Panics
/// When a stanza is processed twice or never, or something is delivered that is no stanza.
pub fn stanzas(data: &[u8]) {
    let archive = ArchivePolicy::Always;
    let cfg = RouterConfig { archive, ..RouterConfig::new("localhost", [7; 16]) };
    let mut router = Router::new(Arc::new(cfg), 0, 1);
    let mut store = Memory::default();
    let mut now = Now { mono: Instant::from_nanos(1), wall: Wallclock::from_millis(1_795_510_800_000) };
    for value in NUMBERS {
        let credentials = Box::new(Credentials::default());
        let number = AccountNumber::new(value);
        let made = store.run_one(now.wall, Op::CreateAccount { number, name: None, credentials });
        assert!(made.is_ok(), "a fresh store takes it");
    }
    let sessions: Vec<SessionId> = (0..3).map(|local| SessionId::new(0, local)).collect();
    for (at, &session) in sessions.iter().enumerate() {
        let Some(number) = AccountNumber::new(NUMBERS[at % NUMBERS.len()]) else { continue };
        let facts = LineFacts { acknowledging: at == 0, ..LineFacts::default() };
        router.handle_bind(now, session, number, Some(["a", "b", "c"][at]), facts);
        drain(&mut router, &mut store, now, &mut HashMap::new());
    }
    let mut waiting: HashMap<SessionId, HashSet<u32>> = HashMap::new();
    for (line, seq) in data.split(|byte| *byte == b'\n').zip(1..) {
        let Some((which, text)) = line.split_first() else { continue };
        let Ok(stanza) = Stanza::parse(text) else { continue };
        let session = sessions[usize::from(*which) % sessions.len()];
        waiting.entry(session).or_default().insert(seq);
        router.handle_stanza(now, session, seq, &stanza);
        drain(&mut router, &mut store, now, &mut waiting);
        now = now.later(Duration::from_secs(7));
        if router.next_deadline().is_some_and(|due| due <= now.mono) {
            router.handle_timer(now);
            drain(&mut router, &mut store, now, &mut waiting);
        }
    }
    assert!(waiting.values().all(HashSet::is_empty), "never processed: {waiting:?}");
}

fn drain(router: &mut Router, store: &mut Memory, now: Now, waiting: &mut HashMap<SessionId, HashSet<u32>>) {
    let (mut requests, mut closed) = (VecDeque::new(), Vec::new());
    loop {
        while let Some(output) = router.poll_output() {
            match output {
                Output::Deliver { stanza, .. } => {
                    assert!(Stanza::parse(stanza).is_ok(), "no stanza: {}", String::from_utf8_lossy(stanza));
                }
                Output::Processed { session, seq } => {
                    assert!(waiting.get_mut(&session).is_some_and(|set| set.remove(&seq)), "twice: {seq}");
                }
                Output::Store(request) => requests.push_back(request),
                Output::Close { session, .. } => closed.push(session),
                Output::Bound { .. }
                | Output::BindRefused { .. }
                | Output::Post { .. }
                | Output::Errand { .. } => {}
            }
        }
        if let Some(session) = closed.pop() {
            router.handle_unbound(now, session, Vec::new());
        } else if let Some(request) = requests.pop_front() {
            let mut replies = Vec::new();
            store.run(now.wall, &mut vec![request], &mut replies);
            replies.into_iter().for_each(|reply| router.handle_reply(now, reply));
        } else {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
