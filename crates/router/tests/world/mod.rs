//! A world in a box: routers, the store in memory, and clients that are lists of what they got.
//!
//! Every test speaks to the router through this one place. Mail between loops and to the store is first in, first out
//! between each pair; which pair moves next is the test's choice, so any interleaving can be played.

#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use store::{Backend, Credentials, Memory, Op, Reply, Request, SessionOp, StoreError};
use switchboard_router::{
    self as router, AccountChange, Errand, Handover, LineFacts, Output, Parcel, Place, Resumption, Router,
    RouterConfig, SessionId, Stowed, Tag,
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
    /// It wanted an earlier session's line and was told that there is none, and how far that one had come.
    pub not_resumed: Option<Option<u32>>,
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
    /// Its line is another's now.
    pub went_on: bool,
    /// What it may come back by.
    pub resumption: Option<Resumption>,
}

impl Client {
    /// All of its stanzas up to this one are processed.
    fn processed_to(&self) -> u32 {
        let mut processed = self.processed.clone();
        processed.sort_unstable();
        (1..).zip(&processed).take_while(|(at, seq)| at == *seq).count() as u32
    }
}

/// Mail that has not arrived.
enum Mail {
    Parcel(Parcel),
    Reply(Reply),
}

pub struct World {
    cfg: Arc<RouterConfig>,
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
            cfg,
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

    /// A client that may come back for its session (XEP-0198 section 5).
    pub fn may_resume(&mut self, session: SessionId) {
        let resumption = Resumption { key: session.to_bits(), base: self.clients[&session].sent };
        let (at, now) = (usize::from(session.of_loop()), self.now);
        let client = self.clients.get_mut(&session).expect("a client");
        (client.confirms, client.resumption) = (true, Some(resumption));
        self.routers[at].handle_acknowledging(now, session, Some(resumption));
        self.drain(at);
    }

    /// The client of a session comes back for it, over another connection.
    pub fn resume(&mut self, of: u64, key: u64, on_loop: Option<u16>) -> SessionId {
        let loops = self.routers.len() as u16;
        let on_loop = on_loop.unwrap_or_else(|| Router::home(number(of), loops));
        let session = SessionId::new(on_loop, self.next_session);
        self.next_session += 1;
        self.clients.insert(session, Client { confirms: true, ..Client::default() });
        let now = self.now;
        self.routers[usize::from(on_loop)].handle_resume(now, session, number(of), key);
        self.drain(usize::from(on_loop));
        session
    }

    /// A session that asked for an earlier one in vain has a resource of its own instead.
    pub fn bind_as(&mut self, session: SessionId, of: u64, resource: Option<&str>) {
        let facts = LineFacts { acknowledging: true, ..LineFacts::default() };
        let (at, now) = (usize::from(session.of_loop()), self.now);
        self.routers[at].handle_bind(now, session, number(of), resource, facts);
        self.drain(at);
    }

    /// A session gives up its line to the one that resumes it.
    fn surrender(&mut self, session: SessionId) {
        let client = self.clients.get_mut(&session).expect("a client");
        if std::mem::replace(&mut client.over, true) {
            return;
        }
        client.went_on = true;
        let handover = Self::handover(client);
        client.inbox.clear();
        let (at, now) = (usize::from(session.of_loop()), self.now);
        self.routers[at].handle_surrendered(now, session, handover);
        self.drain(at);
    }

    /// What is left of a session.
    fn handover(client: &mut Client) -> Handover {
        let prefix = client.processed_to();
        let counts = store::Counts {
            received: client.sent,
            processed: prefix,
            ahead: client.processed.iter().copied().filter(|seq| *seq > prefix).collect(),
            base: client.resumption.map_or(0, |resumption| resumption.base),
            ..store::Counts::default()
        };
        let key = client.resumption.map_or(0, |resumption| resumption.key);
        Handover { key, counts, unacked: std::mem::take(&mut client.unconfirmed), max_secs: 300 }
    }

    /// The exchange is killed, and another is started on what its store has.
    pub fn kill(&mut self) {
        self.mail.clear();
        self.requests.clear();
        self.start();
    }

    fn start(&mut self) {
        for client in self.clients.values_mut() {
            client.over = true;
        }
        let loops = self.routers.len() as u16;
        self.routers = (0..loops).map(|this| Router::new(Arc::clone(&self.cfg), this, loops)).collect();
        let wall = self.now.wall;
        let until = Wallclock::from_millis(wall.as_millis() + 300_000);
        self.store.run_one(wall, Op::Session(SessionOp::Begin { until })).expect("memory does not fail");
    }

    /// The exchange ends politely, and another is started. Sessions that may be resumed are parked there.
    pub fn restart(&mut self) {
        let live: Vec<SessionId> =
            self.clients.iter().filter(|(_, c)| !c.over && c.jid.is_some()).map(|(s, _)| *s).collect();
        let (resumable, rest): (Vec<_>, Vec<_>) =
            live.into_iter().partition(|session| self.clients[session].resumption.is_some());
        rest.into_iter().for_each(|session| self.end(session));
        self.settle();
        let now = self.now;
        for at in 0..self.routers.len() {
            self.routers[at].handle_stopping(now);
            self.drain(at);
        }
        self.settle();
        for session in resumable {
            let handover = Self::handover(self.clients.get_mut(&session).expect("a client"));
            let until = Wallclock::from_millis(now.wall.as_millis() + 300_000);
            let at = usize::from(session.of_loop());
            let stowed = Stowed { handover, until, about: "".into() };
            self.routers[at].handle_stowed(now, session, stowed);
            self.drain(at);
        }
        self.settle();
        for at in 0..self.routers.len() {
            self.routers[at].handle_stopped(now);
            self.drain(at);
        }
        self.settle();
        self.start();
        let taken = self.store.run_one(now.wall, Op::Session(SessionOp::Take { limit: 1_000 }));
        let Ok(store::Answer::Sessions(saved)) = taken else { panic!("no sessions: {taken:?}") };
        for saved in saved {
            let home = Router::home(saved.number, self.routers.len() as u16);
            let session = SessionId::new(home, self.next_session);
            self.next_session += 1;
            let resumption = Some(Resumption { key: saved.key, base: saved.counts.base });
            let jid = Some(format!("{}@localhost/{}", saved.number, saved.resource));
            let (sent, processed) = (saved.counts.received, (1..=saved.counts.processed).collect());
            let client = Client { jid, confirms: true, sent, processed, resumption, ..Client::default() };
            self.clients.insert(session, client);
            let at = usize::from(home);
            let handover = self.routers[at].handle_restored(now, session, saved).expect("it can be restored");
            self.clients.get_mut(&session).expect("a client").unconfirmed = handover.unacked;
            self.drain(at);
        }
        self.settle();
    }

    pub fn send(&mut self, session: SessionId, stanza: &str) -> u32 {
        let client = self.clients.get_mut(&session).expect("a client");
        client.sent += 1;
        let seq = client.sent;
        let place = Place { seq, processed: client.processed_to() };
        let parsed = Stanza::parse(stanza.as_bytes()).unwrap_or_else(|error| panic!("{error:?} in {stanza}"));
        let at = usize::from(session.of_loop());
        let now = self.now;
        self.routers[at].handle_stanza(now, session, place, &parsed);
        self.drain(at);
        seq
    }

    /// Its client says whether somebody looks at it.
    pub fn client_state(&mut self, session: SessionId, active: bool) {
        let at = usize::from(session.of_loop());
        let now = self.now;
        self.routers[at].handle_client_state(now, session, active);
        self.drain(at);
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
        let (mut ended, mut surrendered, mut late) = (Vec::new(), Vec::new(), Vec::new());
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
                Output::Resumed { session, jid, handover } => {
                    let client = self.clients.get_mut(&session).expect("a client");
                    assert!(client.jid.replace(jid.to_owned()).is_none(), "it had a line");
                    let Handover { key, .. } = *handover;
                    client.resumption = Some(Resumption { key, base: handover.counts.base });
                    client.sent = handover.counts.received;
                    client.processed = (1..=handover.counts.processed).chain(handover.counts.ahead).collect();
                    for (stanza, tag) in handover.unacked {
                        client.inbox.push_back(String::from_utf8(stanza.clone()).expect("UTF-8"));
                        client.unconfirmed.push((stanza, tag));
                    }
                }
                Output::ResumeRefused { session, h } => {
                    self.clients.get_mut(&session).expect("a client").not_resumed = Some(h);
                }
                Output::Surrender { session } => surrendered.push(session),
                Output::Processed { session, .. } if self.clients[&session].went_on => {
                    let Output::Processed { seq, recorded, .. } = output else { unreachable!() };
                    late.push((session, seq, recorded));
                }
                Output::Processed { session, seq, .. } => {
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
        for session in surrendered {
            self.surrender(session);
        }
        for (session, seq, recorded) in late {
            let now = self.now;
            self.routers[at].handle_late(now, session, seq, recorded);
            self.drain(at);
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

    /// Whatever is under way arrives, but what goes this way.
    pub fn settle_but(&mut self, way: (usize, usize)) {
        let mut held = VecDeque::new();
        loop {
            held.append(&mut self.mail.remove(&way).unwrap_or_default());
            if !self.step(0) {
                break;
            }
        }
        self.mail.insert(way, held);
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

    /// Whom a number has reported.
    pub fn reported(&mut self, of: u64) -> Vec<String> {
        let op = store::DocumentOp::Names { number: number(of), space: store::Space::Reports };
        match self.store.run_one(self.now.wall, Op::Document(op)) {
            Ok(store::Answer::DocumentNames(names)) => names.into_iter().map(String::from).collect(),
            other => panic!("no names: {other:?}"),
        }
    }

    /// How many messages are in a number's archive.
    pub fn archived(&mut self, of: u64) -> u64 {
        let op = store::ArchiveOp::Page { number: number(of), query: Box::new(store::ArchiveQuery::all(1)) };
        match self.store.run_one(self.now.wall, Op::Archive(op)) {
            Ok(store::Answer::Archive(page)) => page.count.expect("it was counted"),
            other => panic!("no page: {other:?}"),
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
