//! Bounds and failures: what is full says so, to whom it concerns and to nobody else, and nothing that was said is
//! taken back.

mod world;

use std::time::Duration;

use store::StoreError;
use switchboard_router::{AccountChange, BindError, Router, RouterConfig, SessionId};
use world::{World, number};
use xmpp::error::StreamErrorKind;

fn cfg() -> RouterConfig {
    RouterConfig::new("localhost", [7; 16])
}

/// Somebody who is there, with nothing in the inbox.
fn present(world: &mut World, of: u64, resource: &str, confirms: bool) -> SessionId {
    let session = world.bind(of, Some(resource), confirms, None);
    world.settle();
    world.send(session, "<presence/>");
    world.settle();
    inbox(world, session);
    session
}

fn inbox(world: &mut World, session: SessionId) -> Vec<String> {
    world.clients.get_mut(&session).expect("a client").inbox.drain(..).collect()
}

/// Nobody is logged in to it, but it is known.
fn in_memory(world: &mut World, of: u64) {
    let session = present(world, of, "x", false);
    world.end(session);
    world.settle();
}

/// The conditions of the errors that somebody got.
fn conditions(world: &mut World, session: SessionId) -> Vec<String> {
    let conditions = inbox(world, session).into_iter().map(|stanza| {
        let end =
            stanza.find(" xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'").unwrap_or_else(|| panic!("{stanza}"));
        stanza[..end].rsplit('<').next().expect("a name").to_owned()
    });
    conditions.collect()
}

fn unprocessed(world: &World, session: SessionId) -> usize {
    let client = &world.clients[&session];
    client.sent as usize - client.processed.len()
}

#[test]
fn what_the_store_refuses_is_refused_to_the_sender() {
    for (error, condition) in [
        (StoreError::Full, "resource-constraint"),
        (StoreError::QuotaExceeded, "service-unavailable"),
        (StoreError::Failed("on fire".into()), "internal-server-error"),
    ] {
        let mut world = World::new(2);
        let sender = present(&mut world, 10_001, "x", false);
        world.store_refuses = Some(error);
        world.send(sender, "<message to='10002@localhost' id='m1'><body>a</body></message>");
        world.settle();
        assert_eq!(conditions(&mut world, sender), [condition]);
        assert_eq!(unprocessed(&world, sender), 0);
        world.store_refuses = None;
        world.send(sender, "<message to='10002@localhost' id='m2'><body>b</body></message>");
        world.settle();
        assert_eq!(world.waiting(10_002), 1);
    }
}

#[test]
fn who_is_refused_hears_so_before_the_message_counts_as_handled() {
    for choices in 0..64_usize {
        let mut world = World::with(4, cfg());
        // As on QUIC: the carrier is neither on the sender's home nor on the recipient's.
        let homes = [10_001, 10_002].map(|of| Router::home(number(of), 4));
        let elsewhere = (0..4).find(|at| !homes.contains(at)).expect("four loops");
        assert_ne!(homes[0], homes[1], "choose other numbers");
        let a = world.bind(10_001, Some("phone"), true, Some(elsewhere));
        world.settle();
        world.store_refuses = Some(StoreError::Full);
        let seq = world.send(a, "<message to='10002@localhost' type='chat' id='m'><body>no</body></message>");
        let mut turn = choices;
        while !world.clients[&a].processed.contains(&seq) {
            assert!(world.step(turn & 1), "it is never processed");
            turn >>= 1;
        }
        assert_eq!(conditions(&mut world, a), ["resource-constraint"], "choices {choices:b}");
    }
}

#[test]
fn a_roster_change_that_fails_is_undone_everywhere() {
    let mut world = World::new(2);
    let one = present(&mut world, 10_001, "x", false);
    let two = present(&mut world, 10_002, "x", false);
    let get = "<iq type='get' id='g'><query xmlns='jabber:iq:roster'/></iq>";
    world.send(one, get);
    world.settle();
    inbox(&mut world, one);

    world.store_refuses = Some(StoreError::Full);
    world.send(one, "<presence to='10002@localhost' type='subscribe' id='s'/>");
    let item = "<item jid='10003@localhost' name='Three'/>";
    world.send(one, &format!("<iq type='set' id='r'><query xmlns='jabber:iq:roster'>{item}</query></iq>"));
    world.settle();
    assert_eq!(conditions(&mut world, one), ["resource-constraint"; 2]);
    assert_eq!(unprocessed(&world, one), 0);
    assert!(inbox(&mut world, two).is_empty(), "nobody hears of what was not committed");

    world.store_refuses = None;
    world.send(one, get);
    world.settle();
    assert_eq!(
        inbox(&mut world, one),
        [
            "<iq type='result' id='g' to='10001@localhost/x'><query xmlns='jabber:iq:roster' ver='0'></query></iq>"
        ]
    );
    world.send(one, "<presence to='10002@localhost' type='subscribe' id='s'/>");
    world.settle();
    assert_eq!(inbox(&mut world, two).len(), 1);
}

const GET: &str = "<iq type='get' id='g'><query xmlns='jabber:iq:roster'/></iq>";

/// 10001 asked 10002, and 10002's side of it is at the store, which takes its time.
fn asked_while_the_store_waits(world: &mut World) {
    let one = present(world, 10_001, "x", false);
    world.store_waits = true;
    world.send(one, "<presence to='10002@localhost' type='subscribe' id='s'/>");
    world.store_step();
    world.settle();
}

#[test]
fn a_request_is_shown_to_who_comes_once_it_is_committed() {
    let mut world = World::new(1);
    let two = world.bind(10_002, Some("x"), false, None);
    world.settle();
    asked_while_the_store_waits(&mut world);
    world.send(two, "<presence/>");
    world.settle();
    assert_eq!(inbox(&mut world, two), ["<presence from='10002@localhost/x' to='10002@localhost/x'/>"]);
    world.store_waits = false;
    world.settle();
    let request = "<presence from='10001@localhost' to='10002@localhost' type='subscribe' id='s'/>";
    assert_eq!(inbox(&mut world, two), [request], "once");
}

#[test]
fn a_request_that_could_not_be_kept_is_shown_to_nobody_and_an_older_one_still_is() {
    let mut world = World::new(1);
    let three = present(&mut world, 10_003, "x", false);
    world.send(three, "<presence to='10002@localhost' type='subscribe' id='older'/>");
    let two = world.bind(10_002, Some("x"), false, None);
    world.settle();
    asked_while_the_store_waits(&mut world);
    world.send(two, "<presence/>");
    world.store_refuses = Some(StoreError::Full);
    world.store_waits = false;
    world.settle();
    let got = inbox(&mut world, two);
    assert_eq!(got.len(), 2, "{got:?}");
    assert!(got[1].contains("id='older'"), "{got:?}");
}

#[test]
fn a_roster_is_told_as_it_is_committed() {
    for refuses in [None, Some(StoreError::Full)] {
        let mut world = World::new(1);
        let one = present(&mut world, 10_001, "x", false);
        let other = present(&mut world, 10_001, "y", false);
        inbox(&mut world, one);
        world.store_waits = true;
        let item = "<item jid='10003@localhost'/>";
        world
            .send(one, &format!("<iq type='set' id='r'><query xmlns='jabber:iq:roster'>{item}</query></iq>"));
        world.send(other, GET);
        world.settle();
        assert!(inbox(&mut world, other).is_empty());
        world.store_refuses = refuses.clone();
        world.store_waits = false;
        world.settle();
        let got = inbox(&mut world, other);
        let (version, items) = match refuses {
            None => ("ver='1'", 1),
            Some(_) => ("ver='0'", 0),
        };
        assert_eq!(got.len(), 1, "{got:?}");
        assert!(got[0].contains(version) && got[0].matches("<item").count() == items, "{got:?}");
        assert_eq!(unprocessed(&world, other), 0);
    }
}

#[test]
fn too_many_resources_are_refused_and_a_taken_one_is_not() {
    let mut world = World::with(2, RouterConfig { resources_max: 2, ..cfg() });
    let first = present(&mut world, 10_001, "a", false);
    present(&mut world, 10_001, "b", false);
    let third = world.bind(10_001, Some("c"), false, Some(1));
    world.settle();
    assert_eq!(world.clients[&third].refused, Some(BindError::ResourceConstraint));
    let again = world.bind(10_001, Some("a"), false, Some(1));
    world.settle();
    assert_eq!(world.clients[&first].closed, Some(StreamErrorKind::Conflict));
    assert_eq!(world.clients[&again].jid.as_deref(), Some("10001@localhost/a"));
    let long = world.bind(10_001, Some(&"x".repeat(257)), false, None);
    let bad = world.bind(10_002, Some("\u{7}"), false, None);
    world.settle();
    assert_eq!(world.clients[&long].refused, Some(BindError::BadRequest));
    assert_eq!(world.clients[&bad].refused, Some(BindError::BadRequest));
}

#[test]
fn a_session_is_bound_only_when_its_predecessor_has_handed_back_what_it_had() {
    let mut world = World::new(1);
    world.closes_at_once = false;
    let sender = present(&mut world, 10_001, "x", false);
    let old = present(&mut world, 10_002, "x", true);
    world.send(sender, "<message to='10002@localhost' type='chat' id='m1'><body>1</body></message>");
    let new = world.bind(10_002, Some("x"), true, None);
    world.settle();
    assert_eq!(world.clients[&new].jid, None);
    world.send(sender, "<message to='10002@localhost' type='chat' id='m2'><body>2</body></message>");
    world.end(old);
    world.settle();
    assert_eq!(world.clients[&new].jid.as_deref(), Some("10002@localhost/x"));
    world.send(new, "<presence/>");
    world.settle();
    let got = inbox(&mut world, new);
    let of = |id: &str| got.iter().position(|stanza| stanza.contains(&format!("id='{id}'")));
    assert!(of("m1").is_some() && of("m2").is_some(), "{got:?}");
}

#[test]
fn inputs_for_an_account_that_is_being_loaded_are_bounded() {
    let mut world = World::with(1, RouterConfig { loading_queue_max: 3, ..cfg() });
    let asker = present(&mut world, 10_001, "x", false);
    world.store_waits = true;
    for id in 0..5 {
        let ping = "<ping xmlns='urn:xmpp:ping'/>";
        world.send(asker, &format!("<iq type='get' to='10002@localhost' id='q{id}'>{ping}</iq>"));
    }
    assert_eq!(conditions(&mut world, asker), ["resource-constraint"; 2]);
    world.store_waits = false;
    world.settle();
    assert_eq!(conditions(&mut world, asker), ["service-unavailable"; 3]);
    assert_eq!(unprocessed(&world, asker), 0);
}

#[test]
fn requests_at_the_store_are_bounded() {
    let mut world = World::with(1, RouterConfig { store_requests_max: 3, ..cfg() });
    let sender = present(&mut world, 10_001, "x", false);
    in_memory(&mut world, 10_002);
    world.store_waits = true;
    for id in 0..5 {
        world.send(sender, &format!("<message to='10002@localhost' id='m{id}'><body>a</body></message>"));
    }
    assert_eq!(conditions(&mut world, sender), ["resource-constraint"; 2]);
    assert_eq!(unprocessed(&world, sender), 3);
    world.store_waits = false;
    world.settle();
    assert_eq!(unprocessed(&world, sender), 0);
    assert_eq!(world.waiting(10_002), 3);
}

#[test]
fn what_the_store_has_no_time_to_keep_counts_as_handled_once_it_is_confirmed() {
    let mut world = World::with(1, RouterConfig { store_requests_max: 2, ..cfg() });
    let one = present(&mut world, 10_001, "x", false);
    let two = present(&mut world, 10_002, "x", true);
    in_memory(&mut world, 10_003);
    world.store_waits = true;
    for _ in 0..2 {
        world.send(one, "<message to='10003@localhost'><body>a</body></message>");
    }
    let seq = world.send(one, "<message to='10002@localhost' id='m'><body>b</body></message>");
    world.settle();
    assert_eq!(inbox(&mut world, two).len(), 1, "delivery waits for nothing");
    assert!(!world.clients[&one].processed.contains(&seq), "it would not outlive a crash");
    world.confirm(two, usize::MAX);
    world.settle();
    assert!(world.clients[&one].processed.contains(&seq));
}

#[test]
fn what_is_for_who_takes_no_others_waits_in_the_store_while_too_much_is_unconfirmed() {
    let mut world = World::with(1, RouterConfig { shared_max: 1, ..cfg() });
    let sender = present(&mut world, 10_001, "x", false);
    let reader = world.bind(10_002, Some("y"), true, None);
    world.settle();
    // It gets what is for its full address, and nothing else.
    world.send(reader, "<presence><priority>-1</priority></presence>");
    world.settle();
    inbox(&mut world, reader);
    let message = |id| format!("<message to='10002@localhost/y' id='{id}'><body>a</body></message>");
    world.send(sender, &message("m0"));
    world.settle();
    world.store_waits = true;
    let seq = world.send(sender, &message("m1"));
    assert_eq!(inbox(&mut world, reader).len(), 1);
    assert!(!world.clients[&sender].processed.contains(&seq), "it would not outlive a crash");
    world.store_waits = false;
    world.settle();
    assert!(world.clients[&sender].processed.contains(&seq));
    assert_eq!(inbox(&mut world, sender), Vec::<String>::new());
    // What is not to be kept is given nevertheless.
    let hint = "<body>b</body><no-store xmlns='urn:xmpp:hints'/>";
    world.send(sender, &format!("<message to='10002@localhost/y'>{hint}</message>"));
    world.settle();
    assert_eq!(inbox(&mut world, reader).len(), 1);
    world.confirm(reader, usize::MAX);
    world.settle();
    world.send(reader, "<presence/>");
    world.settle();
    let waited = inbox(&mut world, reader);
    assert_eq!(waited.iter().filter(|stanza| stanza.contains("id='m1'")).count(), 1, "{waited:?}");
    assert_eq!(unprocessed(&world, sender), 0);
}

#[test]
fn directed_presence_is_bounded() {
    let mut world = World::with(1, RouterConfig { directed_max: 2, ..cfg() });
    let sender = present(&mut world, 10_001, "x", false);
    for to in 10_002..10_005 {
        world.send(sender, &format!("<presence to='{to}@localhost'/>"));
    }
    assert_eq!(conditions(&mut world, sender), ["resource-constraint"]);
    // One that is told of our leaving makes room.
    world.send(sender, "<presence to='10002@localhost' type='unavailable'/>");
    world.send(sender, "<presence to='10004@localhost'/>");
    assert!(inbox(&mut world, sender).is_empty());
}

#[test]
fn waiting_messages_come_in_windows_and_go_on_without_confirmation_after_a_while() {
    let rows = RouterConfig { offline_window_rows: 10, ..cfg() };
    let mut world = World::with(1, rows);
    let sender = present(&mut world, 10_001, "x", false);
    for id in 0..25 {
        world.send(sender, &format!("<message to='10002@localhost' id='m{id}'><body>a</body></message>"));
    }
    world.settle();
    let receiver = world.bind(10_002, Some("x"), true, None);
    world.settle();
    world.send(receiver, "<presence/>");
    world.settle();
    let messages = |got: &[String]| got.iter().filter(|stanza| stanza.starts_with("<message")).count();
    assert_eq!(messages(&inbox(&mut world, receiver)), 10);
    // It has confirmed its presence and nine: the next page is read, and ten may be under way.
    world.confirm(receiver, 10);
    world.settle();
    assert_eq!(messages(&inbox(&mut world, receiver)), 9);
    world.pass(Duration::from_secs(31));
    world.settle();
    assert_eq!(messages(&inbox(&mut world, receiver)), 6);
    assert_eq!(world.waiting(10_002), 16);
    world.confirm(receiver, usize::MAX);
    world.settle();
    assert_eq!(world.waiting(10_002), 0);
}

#[test]
fn a_large_message_does_not_wait_for_a_window_that_it_never_fits() {
    let mut world = World::with(1, RouterConfig { offline_window_bytes: 100, ..cfg() });
    let sender = present(&mut world, 10_001, "x", false);
    for id in 0..3 {
        let body = "x".repeat(500);
        world
            .send(sender, &format!("<message to='10002@localhost' id='m{id}'><body>{body}</body></message>"));
    }
    world.settle();
    let receiver = world.bind(10_002, Some("x"), true, None);
    world.settle();
    world.send(receiver, "<presence/>");
    world.settle();
    for _ in 0..3 {
        world.confirm(receiver, usize::MAX);
        world.settle();
    }
    assert_eq!(world.waiting(10_002), 0);
    let got = inbox(&mut world, receiver);
    assert_eq!(got.iter().filter(|stanza| stanza.starts_with("<message")).count(), 3);
}

const SET: &str =
    "<iq type='set' id='r'><query xmlns='jabber:iq:roster'><item jid='10005@localhost'/></query></iq>";

/// A write of somebody's roster failed, and the store has not yet been asked what is right.
fn rereading(world: &mut World, session: SessionId) {
    world.store_waits = true;
    world.send(session, "<presence to='10004@localhost' type='subscribe' id='failed'/>");
    world.store_refuses = Some(StoreError::Full);
    world.store_step();
    world.settle();
    world.store_refuses = None;
    assert_eq!(
        unprocessed(world, session),
        1,
        "it counts as handled once its sender has heard of the refusal"
    );
}

#[test]
fn what_a_session_sent_before_it_ended_is_done_though_its_roster_was_being_read() {
    for loops in [1, 3] {
        let mut world = World::new(loops);
        let one = present(&mut world, 10_001, "x", false);
        let three = present(&mut world, 10_003, "x", false);
        rereading(&mut world, one);
        world.send(one, "<message to='10002@localhost' id='m'><body>a</body></message>");
        world.send(one, SET);
        world.send(one, "<presence to='10003@localhost' type='subscribe' id='s'/>");
        world.send(one, "<presence to='10003@localhost'/>");
        world.end(one);
        world.settle();
        // The same resource once more: it has to wait for the old one's last words.
        let again = world.bind(10_001, Some("x"), false, None);
        world.settle();
        assert_eq!(world.clients[&again].jid, None);
        world.store_waits = false;
        world.settle();
        assert!(world.clients[&again].jid.is_some());
        assert_eq!(world.waiting(10_002), 1);
        assert!(world.roster(10_001)["10005@localhost"].listed);
        assert!(world.roster(10_001)["10003@localhost"].ask);
        let got = inbox(&mut world, three);
        assert!(got.len() == 1 && got[0].contains("id='s'"), "nobody hears that it is there: {got:?}");
        assert_eq!(unprocessed(&world, one), 0);
    }
}

#[test]
fn what_an_ended_session_had_in_hand_goes_before_what_came_since_however_much_waits() {
    let mut world = World::with(1, RouterConfig { loading_queue_max: 3, ..cfg() });
    let one = present(&mut world, 10_001, "x", false);
    let two = present(&mut world, 10_002, "x", true);
    for id in 0..3 {
        world.send(one, &format!("<message to='10002@localhost' id='m{id}'><body>a</body></message>"));
    }
    world.settle();
    inbox(&mut world, two);
    rereading(&mut world, two);
    for id in 3..5 {
        world.send(one, &format!("<message to='10002@localhost' id='m{id}'><body>a</body></message>"));
    }
    world.end(two);
    world.store_waits = false;
    world.settle();
    assert!(inbox(&mut world, one).is_empty(), "nothing was refused");
    let again = present_and_silent(&mut world, 10_002);
    let got = inbox(&mut world, again);
    let messages = got.iter().filter(|stanza| stanza.starts_with("<message"));
    let ids: Vec<&str> = messages.filter_map(|stanza| stanza.split_once(" id='")?.1.get(..2)).collect();
    assert_eq!(ids, ["m0", "m1", "m2", "m3", "m4"]);
}

#[test]
fn what_was_held_for_older_messages_does_not_fall_behind_what_waits_for_the_roster() {
    let mut world = World::new(1);
    let one = world.bind(10_001, Some("x"), false, None);
    world.settle();
    world.store_waits = true;
    world.send(one, SET);
    // Its waiting messages are asked for, and what comes meanwhile is held; then the roster has to be read again.
    world.send(one, "<presence/>");
    world.send(one, "<message to='10001@localhost' type='chat' id='m0'><body>a</body></message>");
    world.store_refuses_rosters = true;
    world.store_step();
    world.settle();
    world.send(one, "<message to='10001@localhost' type='chat' id='m1'><body>b</body></message>");
    world.store_waits = false;
    world.settle();
    let got = inbox(&mut world, one);
    let of =
        |id: &str| got.iter().position(|stanza| stanza.contains(&format!("id='{id}'"))).expect("it came");
    assert!(of("m0") < of("m1"), "{got:?}");
}

/// Somebody who came, with all that came of it in the inbox.
fn present_and_silent(world: &mut World, of: u64) -> SessionId {
    let session = world.bind(of, Some("again"), true, None);
    world.settle();
    world.send(session, "<presence/>");
    world.settle();
    session
}

#[test]
fn a_roster_that_cannot_be_read_is_not_an_empty_one() {
    let mut world = World::new(1);
    let one = present(&mut world, 10_001, "x", false);
    world.send(
        one,
        "<iq type='set' id='r'><query xmlns='jabber:iq:roster'><item jid='10003@localhost'/></query></iq>",
    );
    world.settle();
    inbox(&mut world, one);
    in_memory(&mut world, 10_002);
    world.closes_at_once = false;
    rereading(&mut world, one);
    world.send(one, "<message to='10002@localhost' id='m'><body>a</body></message>");
    world.send(one, SET);
    world.store_is_unreadable = true;
    world.store_waits = false;
    world.settle();
    assert_eq!(world.waiting(10_002), 1, "a message needs no roster of its sender");
    assert_eq!(conditions(&mut world, one), ["resource-constraint"], "a change does");

    assert_eq!(world.clients[&one].closed, Some(StreamErrorKind::InternalServerError));
    assert_eq!(unprocessed(&world, one), 0);

    // As long as it cannot be read nobody is let in, and as soon as it can be it is.
    let refused = world.bind(10_001, Some("y"), false, None);
    world.settle();
    assert_eq!(world.clients[&refused].refused, Some(BindError::ResourceConstraint));
    world.store_is_unreadable = false;
    let again = world.bind(10_001, Some("y"), false, None);
    world.settle();
    world.send(again, GET);
    world.settle();
    let got = inbox(&mut world, again);
    assert!(got.len() == 1 && got[0].contains("10003@localhost"), "{got:?}");

    // The same when the old session is long gone.
    rereading(&mut world, again);
    world.store_is_unreadable = true;
    world.store_waits = false;
    world.settle();
    world.end(one);
    world.end(again);
    world.store_is_unreadable = false;
    let last = world.bind(10_001, Some("z"), false, None);
    world.settle();
    world.send(last, GET);
    world.settle();
    let got = inbox(&mut world, last);
    assert!(got.len() == 1 && got[0].contains("10003@localhost"), "{got:?}");
}

/// Two people who see each other; nothing of either stays in memory once they are gone.
fn friends(world: &mut World) -> (SessionId, SessionId) {
    let (one, two) = (present(world, 10_001, "x", false), present(world, 10_002, "x", false));
    for (asker, asked, from, to) in [(one, two, 10_001, 10_002), (two, one, 10_002, 10_001)] {
        world.send(asker, &format!("<presence to='{to}@localhost' type='subscribe'/>"));
        world.settle();
        world.send(asked, &format!("<presence to='{from}@localhost' type='subscribed'/>"));
        world.settle();
    }
    assert!(world.roster(10_001)["10002@localhost"].subscription.is_to());
    (one, two)
}

#[test]
fn who_asks_after_a_number_that_is_not_in_memory_is_answered() {
    for loops in [1, 2] {
        let mut world = World::with(loops, RouterConfig { accounts_idle_max: 0, ..cfg() });
        let (one, two) = friends(&mut world);
        world.end(one);
        world.end(two);
        world.settle();
        let one = world.bind(10_001, Some("x"), false, None);
        world.settle();
        world.send(one, "<presence/>");
        world.settle();
        let gone = "<presence from='10002@localhost' to='10001@localhost/x' type='unavailable'/>";
        assert_eq!(inbox(&mut world, one)[1..], [gone]);
        // Its roster is on the disk of a number that has been deleted meanwhile, while nobody listened.
        world.end(one);
        let op = store::Op::DeleteAccount { number: number(10_002) };
        store::Backend::run_one(&mut world.store, world.now.wall, op).expect("it is there");
        let one = world.bind(10_001, Some("x"), false, None);
        world.settle();
        world.send(one, GET);
        world.settle();
        inbox(&mut world, one);
        world.send(one, "<presence/>");
        world.settle();
        let got = inbox(&mut world, one);
        assert_eq!(got[1], "<presence from='10002@localhost' to='10001@localhost' type='unsubscribed'/>");
        assert!(!world.roster(10_001)["10002@localhost"].subscription.is_to());
    }
}

#[test]
fn probes_load_no_more_than_the_store_can_take() {
    let mut world = World::with(1, RouterConfig { accounts_idle_max: 0, probe_requests_max: 1, ..cfg() });
    let one = present(&mut world, 10_001, "x", false);
    for to in 10_002..10_005 {
        world.send(one, &format!("<presence to='{to}@localhost' type='subscribe'/>"));
        world.settle();
        let session = world.bind(to, Some("x"), false, None);
        world.settle();
        world.send(session, "<presence to='10001@localhost' type='subscribed'/>");
        world.settle();
        world.end(session);
        world.settle();
    }
    world.send(one, "<presence type='unavailable'/>");
    inbox(&mut world, one);
    world.store_waits = true;
    world.send(one, "<presence/>");
    world.store_waits = false;
    world.settle();
    let got = inbox(&mut world, one);
    assert_eq!(got[1..], ["<presence from='10002@localhost' to='10001@localhost/x' type='unavailable'/>"]);
    assert_eq!(unprocessed(&world, one), 0);
}

#[test]
fn probes_that_find_no_room_are_not_answered_with_errors() {
    let mut world = World::with(1, RouterConfig { loading_queue_max: 1, ..cfg() });
    let one = present(&mut world, 10_001, "x", false);
    world.store_waits = true;
    world.send(one, "<presence to='10002@localhost' type='probe'/>");
    world.send(one, "<presence to='10002@localhost' type='probe'/>");
    world.store_waits = false;
    world.settle();
    assert!(inbox(&mut world, one).is_empty());
    assert_eq!(unprocessed(&world, one), 0);
}

#[test]
fn contacts_of_a_deleted_number_are_told_though_it_was_not_in_memory() {
    for (loops, is_there) in [(1, false), (2, false), (1, true), (2, true)] {
        let mut world = World::with(loops, RouterConfig { accounts_idle_max: 0, ..cfg() });
        let (one, two) = friends(&mut world);
        if !is_there {
            world.end(two);
            world.settle();
        }
        world.send(one, GET);
        world.settle();
        inbox(&mut world, one);
        world.delete(10_002);
        world.settle();
        let got = inbox(&mut world, one);
        for verb in ["unsubscribe", "unsubscribed"] {
            let told = format!("<presence from='10002@localhost' to='10001@localhost' type='{verb}'/>");
            assert_eq!(got.iter().filter(|stanza| **stanza == told).count(), 1, "{got:?}");
        }
        let item = world.roster(10_001).remove("10002@localhost").expect("it stays in the list");
        assert!(!item.subscription.is_to() && !item.subscription.is_from());
    }
}

#[test]
fn a_deleted_account_is_nobody() {
    let mut world = World::new(2);
    let one = present(&mut world, 10_001, "x", false);
    let two = present(&mut world, 10_002, "x", false);
    world.send(one, "<presence to='10002@localhost' type='subscribe'/>");
    world.settle();
    world.send(two, "<presence to='10001@localhost' type='subscribed'/>");
    world.settle();
    assert!(world.roster(10_001)["10002@localhost"].subscription.is_to());
    inbox(&mut world, one);
    let op = store::Op::DeleteAccount { number: number(10_002) };
    store::Backend::run_one(&mut world.store, world.now.wall, op).expect("it is there");
    world.account_changed(10_002, AccountChange::Deleted);
    world.settle();
    assert_eq!(world.clients[&two].closed, Some(StreamErrorKind::NotAuthorized));
    assert!(!world.roster(10_001)["10002@localhost"].subscription.is_to(), "its contacts are parted from it");
    inbox(&mut world, one);
    world.send(one, "<message to='10002@localhost' id='m1'><body>a</body></message>");
    world.settle();
    assert_eq!(conditions(&mut world, one), ["service-unavailable"]);
}

/// Of what waits for a client that nobody looks at, so much is held and no more; then all of it goes, in order.
#[test]
fn what_waits_for_an_inactive_client_is_bounded() {
    let mut world = World::new(1);
    let reader = present(&mut world, 10_001, "x", false);
    world.client_state(reader, false);
    // Each takes the place of nothing, since each comes from another resource.
    let long = "x".repeat(10_000);
    let state = format!(
        "<message to='10001@localhost/x' type='chat'><thread>{long}</thread>\
         <composing xmlns='http://jabber.org/protocol/chatstates'/></message>"
    );
    let mut got = Vec::new();
    for number in 10_002..10_010 {
        let writer = present(&mut world, number, "y", false);
        world.send(writer, &state);
        world.settle();
        got.push(inbox(&mut world, reader).len());
    }
    // 64 KiB are seven of them, with their addresses: with the seventh all go, and the next waits again.
    assert_eq!(got, [0, 0, 0, 0, 0, 0, 7, 0]);
    // Nothing of it is left when the line ends.
    world.end(reader);
    world.settle();
    let again = present(&mut world, 10_001, "x", false);
    assert_eq!(inbox(&mut world, again), [""; 0]);
}
