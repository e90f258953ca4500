//! Whatever people do, in whatever order things travel: each stanza is processed once, no message is lost or doubled or
//! overtaken, and two people's views of a subscription agree.

mod world;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use proptest::prelude::*;
use switchboard_router::{Router, RouterConfig, SessionId};
use world::{World, number};

const PEOPLE: u64 = 4;
const DEVICES: [&str; 2] = ["phone", "desk"];

fn person(which: u8) -> u64 {
    10_001 + u64::from(which) % PEOPLE
}

/// Something that happens.
#[derive(Debug, Clone)]
enum Event {
    /// A device logs in, its carrier on some loop.
    Bind {
        who: u8,
        device: bool,
        on_loop: u8,
        confirms: bool,
    },
    /// It is there with this priority, or not.
    Presence {
        whose: u8,
        priority: Option<i8>,
    },
    /// It writes to somebody's bare address, or to a device of theirs.
    Write {
        whose: u8,
        to: u8,
        device: Option<bool>,
    },
    /// It confirms what it got, or some of it; or answers the questions it got.
    Confirm {
        whose: u8,
        count: u8,
    },
    Answer {
        whose: u8,
    },
    /// Its session ends.
    Lose {
        whose: u8,
    },
    /// Some things on their way arrive.
    Steps {
        choices: Vec<u8>,
    },
    /// It changes its roster, which fails: the roster is read again.
    Fail {
        whose: u8,
    },
    /// Time passes, until nobody waits for an answer any more.
    Time,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (any::<u8>(), any::<bool>(), any::<u8>(), any::<bool>())
            .prop_map(|(who, device, on_loop, confirms)| Event::Bind { who, device, on_loop, confirms }),
        4 => (any::<u8>(), prop_oneof![Just(None), Just(Some(-1)), Just(Some(0)), Just(Some(0)), Just(Some(5))])
            .prop_map(|(whose, priority)| Event::Presence { whose, priority }),
        8 => (any::<u8>(), any::<u8>(), any::<Option<bool>>())
            .prop_map(|(whose, to, device)| Event::Write { whose, to, device }),
        4 => (any::<u8>(), any::<u8>()).prop_map(|(whose, count)| Event::Confirm { whose, count }),
        1 => any::<u8>().prop_map(|whose| Event::Answer { whose }),
        2 => any::<u8>().prop_map(|whose| Event::Lose { whose }),
        8 => prop::collection::vec(any::<u8>(), 1..12).prop_map(|choices| Event::Steps { choices }),
        2 => any::<u8>().prop_map(|whose| Event::Fail { whose }),
        1 => Just(Event::Time),
    ]
}

/// The sessions that are bound and live.
fn live(world: &World) -> Vec<SessionId> {
    let live = world.clients.iter().filter(|(_, client)| client.jid.is_some() && !client.over);
    live.map(|(session, _)| *session).collect()
}

fn pick(world: &World, which: u8) -> Option<SessionId> {
    let live = live(world);
    (!live.is_empty()).then(|| live[usize::from(which) % live.len()])
}

fn attribute<'a>(stanza: &'a str, name: &str) -> Option<&'a str> {
    let start = stanza.find(&format!(" {name}='"))? + name.len() + 3;
    Some(&stanza[start..start + stanza[start..].find('\'')?])
}

struct Play {
    world: World,
    /// Every carrier is on its number's home loop.
    at_home: bool,
    /// Ids of messages for bare addresses by sender, in the order in which they were sent. (What names a device goes
    /// to it as soon as it is connected; what waits for its owner comes when it is available.)
    sent: BTreeMap<u64, Vec<String>>,
    /// By message id: whom it was for.
    to: HashMap<String, u64>,
    next: u32,
    /// What every session got, in order: its number, and the ids of messages.
    got: BTreeMap<SessionId, (u64, Vec<String>)>,
}

impl Play {
    /// `tight`: bounds that a few messages reach.
    fn new(loops: u16, at_home: bool, tight: bool) -> Self {
        let mut cfg = RouterConfig::new("localhost", [7; 16]);
        if tight {
            (cfg.offline_hold_max, cfg.offline_window_rows, cfg.shared_max) = (1, 2, 1);
            cfg.accounts_idle_max = 1;
        }
        let mut world = World::with(loops, cfg);
        world.store_refuses_rosters = true;
        Self { world, at_home, sent: BTreeMap::new(), to: HashMap::new(), next: 0, got: BTreeMap::new() }
    }

    fn happen(&mut self, event: &Event) {
        let world = &mut self.world;
        match *event {
            Event::Bind { who, device, on_loop, confirms } => {
                let loops = world.routers.len() as u16;
                world.bind(
                    person(who),
                    Some(DEVICES[usize::from(device)]),
                    confirms,
                    (!self.at_home).then_some(u16::from(on_loop) % loops),
                );
            }
            Event::Presence { whose, priority } => {
                let Some(session) = pick(world, whose) else { return };
                let stanza = match priority {
                    Some(priority) => format!("<presence><priority>{priority}</priority></presence>"),
                    None => "<presence type='unavailable'/>".to_owned(),
                };
                world.send(session, &stanza);
            }
            Event::Write { whose, to, device } => {
                let Some(session) = pick(world, whose) else { return };
                let jid = world.clients[&session].jid.clone().expect("it is bound");
                let from: u64 = jid.split('@').next().expect("a local part").parse().expect("a number");
                let id = format!("m{}", self.next);
                self.next += 1;
                let resource =
                    device.map(|device| format!("/{}", DEVICES[usize::from(device)])).unwrap_or_default();
                let to = person(to);
                world.send(
                    session,
                    &format!("<message to='{to}@localhost{resource}' type='chat' id='{id}'><body>{id}</body></message>"),
                );
                if device.is_none() {
                    self.sent.entry(from).or_default().push(id.clone());
                }
                self.to.insert(id, to);
            }
            Event::Confirm { whose, count } => {
                if let Some(session) = pick(world, whose) {
                    world.confirm(session, usize::from(count) % 8);
                }
            }
            Event::Answer { whose } => {
                if let Some(session) = pick(world, whose) {
                    self.answer_questions(session);
                }
            }
            Event::Lose { whose } => {
                if let Some(session) = pick(world, whose) {
                    world.end(session);
                }
            }
            Event::Fail { whose } => {
                let Some(session) = pick(world, whose) else { return };
                let item = "<item jid='10009@localhost'/>";
                world.send(
                    session,
                    &format!("<iq type='set' id='r'><query xmlns='jabber:iq:roster'>{item}</query></iq>"),
                );
            }
            Event::Steps { ref choices } => {
                for choice in choices {
                    world.step(usize::from(*choice));
                }
            }
            Event::Time => world.pass(Duration::from_secs(31)),
        }
        self.look();
    }

    fn answer_questions(&mut self, session: SessionId) {
        self.look();
        let inbox = std::mem::take(&mut self.world.clients.get_mut(&session).expect("a client").inbox);
        for stanza in inbox.iter().filter(|stanza| stanza.contains("disco#info")) {
            let id = attribute(stanza, "id").expect("it has one");
            self.world.send(session, &format!("<iq type='result' to='localhost' id='{id}'/>"));
        }
    }

    /// Notes the messages that everybody got.
    fn look(&mut self) {
        for (session, client) in &mut self.world.clients {
            let Some(jid) = &client.jid else { continue };
            let of: u64 = jid.split('@').next().expect("a local part").parse().expect("a number");
            let (_, got) = self.got.entry(*session).or_insert_with(|| (of, Vec::new()));
            client.inbox.retain(|stanza| {
                let message = stanza.starts_with("<message");
                if message {
                    assert!(
                        !stanza.contains("type='error'"),
                        "a chat to a real number is never refused: {stanza}"
                    );
                    got.push(attribute(stanza, "id").expect("it has one").to_owned());
                }
                !message
            });
        }
    }

    fn settle(&mut self) {
        loop {
            self.world.settle();
            self.look();
            let confirming: Vec<SessionId> = live(&self.world)
                .into_iter()
                .filter(|session| !self.world.clients[session].unconfirmed.is_empty())
                .collect();
            if confirming.is_empty() {
                return;
            }
            for session in confirming {
                self.world.confirm(session, usize::MAX);
            }
        }
    }

    /// Everybody comes and fetches what is theirs; then the books must balance.
    fn close(mut self) {
        self.settle();
        for session in live(&self.world) {
            self.world.end(session);
        }
        self.settle();
        for who in 0..PEOPLE as u8 {
            let session = self.world.bind(person(who), Some("last"), true, None);
            self.settle();
            self.world.send(session, "<presence/>");
            self.settle();
        }
        for client in self.world.clients.values() {
            let mut processed = client.processed.clone();
            processed.sort_unstable();
            assert_eq!(processed, (1..=client.sent).collect::<Vec<_>>(), "each stanza is processed once");
        }
        for who in 0..PEOPLE as u8 {
            assert_eq!(self.world.waiting(person(who)), 0, "{} has fetched everything", person(who));
        }
        let mut reached: HashMap<&str, HashSet<u64>> = HashMap::new();
        for (of, got) in self.got.values() {
            let mut seen = HashSet::new();
            for id in got {
                assert_eq!(self.to[id], *of, "{id} went to the wrong number");
                assert!(seen.insert(id), "{id} reached one session twice");
                reached.entry(id).or_default().insert(*of);
            }
        }
        if self.at_home {
            self.check_order();
        }
        for id in self.to.keys() {
            assert!(reached.contains_key(id.as_str()), "{id} is lost");
        }
    }

    /// Nothing overtakes: of what one sender wrote, each session got its part in the order of writing. What another
    /// session had before and did not confirm is left out: it comes when that session is known to be lost.
    fn check_order(&self) {
        let mut sessions: HashMap<&str, usize> = HashMap::new();
        for id in self.got.values().flat_map(|(_, got)| got) {
            *sessions.entry(id).or_default() += 1;
        }
        for (of, got) in self.got.values() {
            for sent in self.sent.values() {
                let once = got.iter().filter(|id| sessions[id.as_str()] == 1);
                let places: Vec<_> =
                    once.filter_map(|id| sent.iter().position(|other| other == id)).collect();
                assert!(places.is_sorted(), "a session of {of} got {got:?} of {sent:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Across 1, 2 and 4 loops, with mail arriving in any interleaving.
    #[test]
    fn nothing_is_lost_doubled_or_overtaken(
        loops in prop_oneof![Just(1_u16), Just(2), Just(4)],
        at_home in any::<bool>(),
        tight in any::<bool>(),
        events in prop::collection::vec(event(), 1..120),
    ) {
        let mut play = Play::new(loops, at_home, tight);
        for event in &events {
            play.happen(event);
        }
        play.close();
    }

    /// After each exchange has settled, both sides say the same of their subscription, and both stores hold it.
    #[test]
    fn subscriptions_agree(
        loops in prop_oneof![Just(1_u16), Just(2), Just(4)],
        steps in prop::collection::vec((any::<u8>(), any::<u8>(), 0..6_usize, any::<bool>()), 1..60),
    ) {
        let mut world = World::new(loops);
        let mut sessions: HashMap<u64, SessionId> = HashMap::new();
        for who in 0..PEOPLE as u8 {
            sessions.insert(person(who), world.bind(person(who), Some("x"), false, None));
        }
        world.settle();
        for (from, to, what, leave) in steps {
            let (from, to) = (person(from), person(to));
            if from == to {
                continue;
            }
            let session = sessions[&from];
            let verbs = ["subscribe", "subscribed", "unsubscribe", "unsubscribed"];
            let stanza = match verbs.get(what) {
                Some(verb) => format!("<presence to='{to}@localhost' type='{verb}'/>"),
                None => {
                    let how = if what == 4 { "name='x'" } else { "subscription='remove'" };
                    let item = format!("<item jid='{to}@localhost' {how}/>");
                    format!("<iq type='set' id='r'><query xmlns='jabber:iq:roster'>{item}</query></iq>")
                }
            };
            world.send(session, &stanza);
            world.settle();
            if leave {
                world.end(sessions[&to]);
                sessions.insert(to, world.bind(to, Some("x"), false, None));
                world.settle();
            }
            let (mine, theirs) = (world.roster(from), world.roster(to));
            let (mine, theirs) = (mine.get(&format!("{to}@localhost")), theirs.get(&format!("{from}@localhost")));
            let sees = |item: Option<&store::RosterItem>| item.is_some_and(|item| item.subscription.is_to());
            let shows = |item: Option<&store::RosterItem>| item.is_some_and(|item| item.subscription.is_from());
            let asks = |item: Option<&store::RosterItem>| item.is_some_and(|item| item.ask);
            let asked = |item: Option<&store::RosterItem>| item.is_some_and(|item| item.pending_in.is_some());
            prop_assert_eq!(sees(mine), shows(theirs));
            prop_assert_eq!(shows(mine), sees(theirs));
            prop_assert_eq!(asks(mine), asked(theirs));
            prop_assert_eq!(asked(mine), asks(theirs));
        }
        for client in world.clients.values() {
            prop_assert_eq!(client.processed.len(), client.sent as usize);
        }
    }
}

/// Every number has one home, whatever the loops.
#[test]
fn homes_are_even() {
    let mut counts = [0; 4];
    for value in 10_001..10_401 {
        counts[usize::from(Router::home(number(value), 4))] += 1;
    }
    assert_eq!(counts, [100; 4]);
}
