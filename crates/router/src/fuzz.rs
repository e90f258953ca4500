//! Entry points for fuzzers: any stanzas ([`stanzas`]) or payloads of every feature ([`payloads`]), from any of three
//! sessions, and what must hold whatever they say.
//! Owns: a router, its store and its sessions. Invariants: see the two.
//! Not here: the fuzzer; `fuzz/` has a target for each.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use store::{Backend, Credentials, Memory, Op};
use xmpp::address::AccountNumber;
use xmpp::stanza::{Stanza, StanzaKind};
use xmpp::time::{Instant, Now, Wallclock};

use crate::{ArchivePolicy, LineFacts, Output, Router, RouterConfig, SessionId};

mod payloads;

pub use payloads::payloads;

/// The numbers that exist.
const NUMBERS: [u64; 2] = [10_001, 10_002];

/// The sessions; the first and the last are one number's, and the first confirms what it gets.
const RESOURCES: [&str; 3] = ["a", "b", "c"];

/// Lines of text, each a stanza that one of three sessions sends. Lines that are no stanza are passed over: the scanner
/// keeps them from a router.
///
/// # Panics
/// When a stanza is processed twice or never, or something is delivered that is no stanza.
pub fn stanzas(data: &[u8]) {
    let mut house = House::new();
    for line in data.split(|byte| *byte == b'\n') {
        let Some((which, text)) = line.split_first() else { continue };
        house.say(usize::from(*which) % RESOURCES.len(), text);
    }
    house.close();
}

struct House {
    router: Router,
    store: Memory,
    now: Now,
    sessions: Vec<SessionId>,
    seq: u32,
    /// Stanzas that have not been processed.
    waiting: HashMap<SessionId, HashSet<u32>>,
    /// Sessions that the router wants closed.
    closed: HashSet<SessionId>,
    /// How often each iq was answered, by its id, since this was last emptied.
    answers: HashMap<(SessionId, String), u32>,
    /// Octets that were delivered, likewise.
    delivered: usize,
}

impl House {
    fn new() -> Self {
        let archive = ArchivePolicy::Always;
        let cfg = RouterConfig { archive, ..RouterConfig::new("localhost", [7; 16]) };
        let mut house = Self {
            router: Router::new(Arc::new(cfg), 0, 1),
            store: Memory::default(),
            now: Now { mono: Instant::from_nanos(1), wall: Wallclock::from_millis(1_795_510_800_000) },
            sessions: (0..RESOURCES.len() as u64).map(|local| SessionId::new(0, local)).collect(),
            seq: 0,
            waiting: HashMap::new(),
            closed: HashSet::new(),
            answers: HashMap::new(),
            delivered: 0,
        };
        for value in NUMBERS {
            let credentials = Box::new(Credentials::default());
            let number = AccountNumber::new(value);
            let made =
                house.store.run_one(house.now.wall, Op::CreateAccount { number, name: None, credentials });
            assert!(made.is_ok(), "a fresh store takes it");
        }
        for (at, resource) in RESOURCES.into_iter().enumerate() {
            let Some(number) = AccountNumber::new(NUMBERS[at % NUMBERS.len()]) else { continue };
            let facts = LineFacts { acknowledging: at == 0, ..LineFacts::default() };
            house.router.handle_bind(house.now, house.sessions[at], number, Some(resource), facts);
            house.drain();
        }
        house
    }

    /// A session sends this, if it is a stanza, and some time passes. Answers whether it was one.
    fn say(&mut self, which: usize, text: &[u8]) -> bool {
        let Ok(stanza) = Stanza::parse(text) else { return false };
        let session = self.sessions[which];
        self.seq += 1;
        self.waiting.entry(session).or_default().insert(self.seq);
        self.router.handle_stanza(self.now, session, self.seq, &stanza);
        self.drain();
        self.now = self.now.later(Duration::from_secs(7));
        if self.router.next_deadline().is_some_and(|due| due <= self.now.mono) {
            self.router.handle_timer(self.now);
            self.drain();
        }
        true
    }

    fn close(self) {
        assert!(self.waiting.values().all(HashSet::is_empty), "never processed: {:?}", self.waiting);
    }

    fn drain(&mut self) {
        let (mut requests, mut closed) = (VecDeque::new(), Vec::new());
        loop {
            while let Some(output) = self.router.poll_output() {
                match output {
                    Output::Deliver { session, stanza, .. } => {
                        self.delivered += stanza.len();
                        let text = || String::from_utf8_lossy(stanza);
                        let parsed =
                            Stanza::parse(stanza).unwrap_or_else(|_| panic!("no stanza: {}", text()));
                        if parsed.kind() == StanzaKind::Iq
                            && matches!(parsed.type_().as_deref(), Some("result" | "error"))
                        {
                            let id = parsed.id().unwrap_or_default().into_owned();
                            *self.answers.entry((session, id)).or_default() += 1;
                        }
                    }
                    Output::Processed { session, seq, .. } => {
                        let waiting = self.waiting.get_mut(&session);
                        assert!(waiting.is_some_and(|set| set.remove(&seq)), "twice: {seq}");
                    }
                    Output::Store(request) => requests.push_back(request),
                    Output::Close { session, .. } => closed.push(session),
                    // Whoever drives a router answers it.
                    Output::Errand { session, id, .. } => {
                        *self.answers.entry((session, id.unwrap_or_default())).or_default() += 1;
                    }
                    Output::Bound { .. }
                    | Output::BindRefused { .. }
                    | Output::Resumed { .. }
                    | Output::ResumeRefused { .. }
                    | Output::Surrender { .. }
                    | Output::Post { .. } => {}
                }
            }
            if let Some(session) = closed.pop() {
                self.closed.insert(session);
                self.router.handle_unbound(self.now, session, Vec::new());
            } else if let Some(request) = requests.pop_front() {
                let mut replies = Vec::new();
                self.store.run(self.now.wall, &mut vec![request], &mut replies);
                replies.into_iter().for_each(|reply| self.router.handle_reply(self.now, reply));
            } else {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests;
