//! A world in a box: routers, the store in memory, and clients that are lists of what they got.
//!
//! Every test speaks to the router through this one place. Mail between loops and to the store is first in, first out
//! between each pair; which pair moves next is the test's choice, so any interleaving can be played.

#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use store::{Backend, Credentials, Memory, Op, Reply, Request, StoreError};
use switchboard_router::{
    self as router, AccountChange, Errand, LineFacts, Output, Parcel, Router, RouterConfig, SessionId, Tag,
};
use xmpp::address::AccountNumber;
use xmpp::error::StreamErrorKind;
use xmpp::stanza::Stanza;
use xmpp::time::{Instant, Now, Wallclock};

/// What one client has seen.
#[derive(Default)]
pub struct Client {
    pub jid: Option<String>,
    pub refused: Option<router::BindError>,
    /// Everything delivered and not yet looked at.
    pub inbox: VecDeque<String>,
    /// Delivered with a tag, or without, and not confirmed; kept only if it confirms (XEP-0198).
    pub unconfirmed: Vec<(Vec<u8>, Option<Tag>)>,
    pub confirms: bool,
    pub sent: u32,
    pub processed: Vec<u32>,
    pub closed: Option<StreamErrorKind>,
    /// Handed back to the router.
    pub over: bool,
}

/// Mail that has not arrived.
enum Mail {
    Parcel(Parcel),
    Reply(Reply),
}

pub struct World {
    pub routers: Vec<Router>,
    pub clients: BTreeMap<SessionId, Client>,
    /// By (from, to); the store is place `loops`.
    mail: BTreeMap<(usize, usize), VecDeque<Mail>>,
    /// Requests that the store has not looked at, by loop.
    requests: VecDeque<(usize, Request)>,
    /// What the driver was asked for.
    pub errands: Vec<(AccountNumber, Errand)>,
    pub store: Memory,
    pub store_waits: bool,
    /// What would change something is refused so.
    pub store_refuses: Option<StoreError>,
    pub now: Now,
    next_session: u64,
    /// No change of a roster is kept.
    pub store_refuses_rosters: bool,
    /// No roster can be read.
    pub store_is_unreadable: bool,
    /// A session that is told to close is handed back by itself.
    pub closes_at_once: bool,
}

/// A number that exists in every world: 10001 to 10009.
pub fn number(value: u64) -> AccountNumber {
    AccountNumber::new(value).expect("a number")
}

impl World {
    pub fn new(loops: u16) -> Self {
        Self::with(loops, RouterConfig::new("localhost", [7; 16]))
    }

    pub fn with(loops: u16, cfg: RouterConfig) -> Self {
        let cfg = Arc::new(cfg);
        let mut store = Memory::default();
        for value in 10_001..=10_009 {
            let credentials = Box::new(Credentials::default());
            let op = Op::CreateAccount { number: Some(number(value)), name: None, credentials };
            store.run_one(Wallclock::default(), op).expect("a fresh store takes it");
        }
        Self {
            routers: (0..loops).map(|this| Router::new(Arc::clone(&cfg), this, loops)).collect(),
            clients: BTreeMap::new(),
            mail: BTreeMap::new(),
            requests: VecDeque::new(),
            errands: Vec::new(),
            store,
            store_waits: false,
            store_refuses: None,
            store_refuses_rosters: false,
            store_is_unreadable: false,
            // 2026-11-24T09:00:00Z.
            now: Now { mono: Instant::from_nanos(1), wall: Wallclock::from_millis(1_795_510_800_000) },
            next_session: 1,
            closes_at_once: true,
        }
    }

    /// A client that wants a resource. Its carrier is on a loop, its number's home unless said otherwise.
    pub fn bind(
        &mut self,
        of: u64,
        resource: Option<&str>,
        confirms: bool,
        on_loop: Option<u16>,
    ) -> SessionId {
        let loops = self.routers.len() as u16;
        let on_loop = on_loop.unwrap_or_else(|| Router::home(number(of), loops));
        let session = SessionId::new(on_loop, self.next_session);
        self.next_session += 1;
        self.clients.insert(session, Client { confirms, ..Client::default() });
        let facts = LineFacts { acknowledging: confirms, ..LineFacts::default() };
        let now = self.now;
        self.routers[usize::from(on_loop)].handle_bind(now, session, number(of), resource, facts);
        self.drain(usize::from(on_loop));
        session
    }

    pub fn send(&mut self, session: SessionId, stanza: &str) -> u32 {
        let client = self.clients.get_mut(&session).expect("a client");
        client.sent += 1;
        let seq = client.sent;
        let parsed = Stanza::parse(stanza.as_bytes()).unwrap_or_else(|error| panic!("{error:?} in {stanza}"));
        let at = usize::from(session.of_loop());
        let now = self.now;
        self.routers[at].handle_stanza(now, session, seq, &parsed);
        self.drain(at);
        seq
    }

    /// Confirms the oldest `count` of what a client has not confirmed.
    pub fn confirm(&mut self, session: SessionId, count: usize) {
        let client = self.clients.get_mut(&session).expect("a client");
        let count = count.min(client.unconfirmed.len());
        let confirmed: Vec<_> = client.unconfirmed.drain(..count).collect();
        let at = usize::from(session.of_loop());
        let now = self.now;
        for tag in confirmed.into_iter().filter_map(|(_, tag)| tag) {
            self.routers[at].handle_delivered(now, session, tag);
        }
        self.drain(at);
    }

    /// The session ends; what its client has not confirmed goes back.
    pub fn end(&mut self, session: SessionId) {
        let client = self.clients.get_mut(&session).expect("a client");
        if std::mem::replace(&mut client.over, true) {
            return;
        }
        let undelivered = std::mem::take(&mut client.unconfirmed);
        let at = usize::from(session.of_loop());
        let now = self.now;
        self.routers[at].handle_unbound(now, session, undelivered);
        self.drain(at);
    }

    pub fn account_changed(&mut self, of: u64, change: AccountChange) {
        let now = self.now;
        for at in 0..self.routers.len() {
            self.routers[at].handle_account(now, number(of), change);
            self.drain(at);
        }
    }

    /// The account goes, as an administrator has it go: the store forgets it, then its home hears of it.
    pub fn delete(&mut self, of: u64) {
        let wall = self.now.wall;
        let Ok(store::Answer::Roster(roster)) =
            self.store.run_one(wall, Op::LoadRoster { number: number(of) })
        else {
            panic!("{of} is not there");
        };
        self.store.run_one(wall, Op::DeleteAccount { number: number(of) }).expect("it is there");
        let now = self.now;
        for at in 0..self.routers.len() {
            self.routers[at].handle_deleted(now, number(of), roster.clone());
            self.drain(at);
        }
    }

    pub fn pass(&mut self, time: Duration) {
        self.now = self.now.later(time);
        let now = self.now;
        for at in 0..self.routers.len() {
            if self.routers[at].next_deadline().is_some_and(|due| due <= now.mono) {
                self.routers[at].handle_timer(now);
                self.drain(at);
            }
        }
    }

    /// Takes everything out of one router.
    fn drain(&mut self, at: usize) {
        let mut ended = Vec::new();
        while let Some(output) = self.routers[at].poll_output() {
            match output {
                Output::Bound { session, jid, .. } => {
                    let client = self.clients.get_mut(&session).expect("a client");
                    assert!(client.jid.replace(jid.to_owned()).is_none(), "bound twice");
                }
                Output::BindRefused { session, error } => {
                    self.clients.get_mut(&session).expect("a client").refused = Some(error);
                }
                Output::Deliver { session, stanza, tag } => {
                    assert_eq!(usize::from(session.of_loop()), at, "delivered on another loop");
                    Stanza::parse(stanza).unwrap_or_else(|error| panic!("{error:?}: not a stanza"));
                    let client = self.clients.get_mut(&session).expect("a client");
                    assert!(!client.over, "delivered to a session that was handed back");
                    client.inbox.push_back(String::from_utf8(stanza.to_vec()).expect("UTF-8"));
                    if client.confirms {
                        client.unconfirmed.push((stanza.to_vec(), tag));
                    }
                }
                Output::Processed { session, seq } => {
                    assert_eq!(usize::from(session.of_loop()), at, "processed on another loop");
                    let client = self.clients.get_mut(&session).expect("a client");
                    assert!(!client.processed.contains(&seq), "{seq} was processed twice");
                    client.processed.push(seq);
                }
                Output::Post { to_loop, parcel } => {
                    let to = usize::from(to_loop);
                    assert_ne!(to, at, "a parcel to oneself");
                    self.mail.entry((at, to)).or_default().push_back(Mail::Parcel(parcel));
                }
                Output::Store(request) => self.requests.push_back((at, request)),
                Output::Errand { number, errand, .. } => self.errands.push((number, errand)),
                Output::Close { session, error } => {
                    let client = self.clients.get_mut(&session).expect("a client");
                    client.closed = Some(error);
                    ended.push(session);
                }
            }
        }
        if self.closes_at_once {
            for session in ended {
                self.end(session);
            }
        }
    }

    /// The store does the oldest thing it was asked.
    fn run_store(&mut self) {
        let Some((at, request)) = self.requests.pop_front() else { return };
        let changes = matches!(
            request.op,
            Op::PushOffline { .. } | Op::PutRosterItem { .. } | Op::RemoveRosterItem { .. }
        );
        let mut replies = Vec::new();
        let read = matches!(request.op, Op::LoadRoster { .. });
        let roster = matches!(request.op, Op::PutRosterItem { .. } | Op::RemoveRosterItem { .. });
        match &self.store_refuses {
            _ if read && self.store_is_unreadable => {
                let answer = Err(StoreError::Failed("unreadable".into()));
                replies.push(Reply { token: request.token, answer });
            }
            _ if roster && self.store_refuses_rosters => {
                replies.push(Reply { token: request.token, answer: Err(StoreError::Full) });
            }
            Some(error) if changes => {
                replies.push(Reply { token: request.token, answer: Err(error.clone()) });
            }
            _ => self.store.run(self.now.wall, &mut vec![request], &mut replies),
        }
        let store = self.routers.len();
        self.mail.entry((store, at)).or_default().extend(replies.into_iter().map(Mail::Reply));
    }

    /// The store does one thing, though it waits; the answer is on its way.
    pub fn store_step(&mut self) {
        self.run_store();
    }

    /// One piece of mail arrives, or the store does one thing; `choice` says which. False: nothing is on its way.
    pub fn step(&mut self, choice: usize) -> bool {
        let ways: Vec<_> =
            self.mail.iter().filter(|(_, queue)| !queue.is_empty()).map(|(way, _)| *way).collect();
        let store = usize::from(!self.requests.is_empty() && !self.store_waits);
        if ways.len() + store == 0 {
            return false;
        }
        let choice = choice % (ways.len() + store);
        let Some(&way) = ways.get(choice) else {
            self.run_store();
            return true;
        };
        let mail = self.mail.get_mut(&way).and_then(VecDeque::pop_front).expect("it is not empty");
        let now = self.now;
        match mail {
            Mail::Parcel(parcel) => self.routers[way.1].handle_parcel(now, parcel),
            Mail::Reply(reply) => self.routers[way.1].handle_reply(now, reply),
        }
        self.drain(way.1);
        true
    }

    /// Until nothing is on its way.
    pub fn settle(&mut self) {
        let mut steps = 0;
        while self.step(0) {
            steps += 1;
            assert!(steps < 100_000, "it never settles");
        }
    }

    /// What the store keeps of a number's roster, by contact.
    pub fn roster(&mut self, of: u64) -> HashMap<String, store::RosterItem> {
        match self.store.run_one(self.now.wall, Op::LoadRoster { number: number(of) }) {
            Ok(store::Answer::Roster(roster)) => {
                roster.items.into_iter().map(|item| (item.contact.to_string(), item)).collect()
            }
            other => panic!("no roster: {other:?}"),
        }
    }

    /// How many messages wait for a number.
    pub fn waiting(&mut self, of: u64) -> u64 {
        match self.store.run_one(self.now.wall, Op::CountOffline { number: number(of) }) {
            Ok(store::Answer::OfflineCount { rows, .. }) => rows,
            other => panic!("no count: {other:?}"),
        }
    }
}
