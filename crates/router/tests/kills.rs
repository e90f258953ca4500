//! What a kill leaves where mail between loops and to the store was under way: interleavings that a talk cannot play.

mod world;

use std::time::Duration;

use switchboard_router::{ArchivePolicy, RouterConfig, SessionId};
use world::World;

/// The writer and its neighbour have the same home of two, and who is far the other.
const WRITER: u64 = 10_002;
const NEAR: u64 = 10_004;
const FAR: u64 = 10_003;
/// The way from the writer's home to the other.
const THERE: (usize, usize) = (0, 1);

fn message(to: u64, id: &str) -> String {
    format!("<message to='{to}@localhost' type='chat' id='{id}'><body>{id}</body></message>")
}

/// The message with this id that a client got; nothing else may have come since it was asked.
fn next_message(world: &mut World, of: SessionId, id: &str) -> String {
    let inbox = &mut world.clients.get_mut(&of).expect("a client").inbox;
    let got = inbox.pop_front().unwrap_or_else(|| panic!("{id} has not come"));
    assert!(got.starts_with("<message ") && got.contains(&format!(" id='{id}'>")), "{got}");
    got
}

fn here(world: &mut World, of: u64) -> SessionId {
    let session = world.bind(of, Some("desk"), true, None);
    world.settle();
    world.send(session, "<presence/>");
    world.settle();
    world.clients.get_mut(&session).expect("a client").inbox.clear();
    session
}

/// The second of two messages is durable and its recipient has confirmed it, while the first is on its way to another loop. No
/// count covers it when the exchange is killed. Returns what the recipient got, the recipient, and the session that died.
fn killed_ahead_of_the_count() -> (World, String, SessionId, SessionId) {
    let mut cfg = RouterConfig::new("localhost", [7; 16]);
    cfg.archive = ArchivePolicy::Always;
    let mut world = World::with(2, cfg);
    let reader = here(&mut world, NEAR);
    let session = world.bind(WRITER, Some("pen"), true, None);
    world.settle();
    world.may_resume(session);
    world.settle();
    world.send(session, &message(FAR, "first"));
    world.send(session, &message(NEAR, "second"));
    world.settle_but(THERE);
    let once = next_message(&mut world, reader, "second");
    assert_eq!(world.waiting(NEAR), 1);
    world.confirm(reader, usize::MAX);
    world.settle_but(THERE);
    assert_eq!((world.waiting(NEAR), world.archived(NEAR)), (0, 1), "it had it, and that is recorded");
    kill(&mut world);
    let reader = here(&mut world, NEAR);
    (world, once, reader, session)
}

fn kill(world: &mut World) {
    world.now = world.now.later(Duration::from_secs(1));
    world.kill();
}

/// The writer asks for a session of before, which is gone, and begins another that may be resumed.
fn comes_back(world: &mut World, earlier: SessionId) -> SessionId {
    let session = world.resume(WRITER, earlier.to_bits(), None);
    world.settle();
    assert_eq!(world.clients[&session].not_resumed, Some(Some(0)), "no count covers anything");
    world.bind_as(session, WRITER, Some("pen"));
    world.settle();
    world.may_resume(session);
    world.settle();
    session
}

#[test]
fn what_its_recipient_had_is_known_when_it_comes_again() {
    let (mut world, _, reader, earlier) = killed_ahead_of_the_count();
    assert_eq!(world.archived(NEAR), 1, "it stays");
    let session = comes_back(&mut world, earlier);
    for (to, id) in [(FAR, "first"), (NEAR, "second")] {
        world.send(session, &message(to, id));
    }
    world.settle();
    assert!(world.clients[&reader].inbox.is_empty(), "it had it");
    assert_eq!((world.waiting(NEAR), world.archived(NEAR)), (0, 1));
    assert_eq!((world.waiting(FAR), world.archived(FAR)), (1, 1));
    assert_eq!(world.archived(WRITER), 2, "and its writer has both");
    // Counted like any other; and once is enough.
    kill(&mut world);
    let back = world.resume(WRITER, session.to_bits(), None);
    world.settle();
    assert_eq!(world.clients[&back].not_resumed, Some(Some(2)));
    world.bind_as(back, WRITER, Some("pen"));
    world.settle();
    let reader = here(&mut world, NEAR);
    world.send(back, &message(NEAR, "second"));
    world.settle();
    next_message(&mut world, reader, "second");
}

#[test]
fn it_is_known_over_one_kill_after_the_other() {
    let (mut world, _, _, mut earlier) = killed_ahead_of_the_count();
    for _ in 0..3 {
        let session = comes_back(&mut world, earlier);
        world.send(session, &message(FAR, "first"));
        world.send(session, &message(NEAR, "second"));
        world.settle_but(THERE);
        kill(&mut world);
        earlier = session;
    }
    let reader = here(&mut world, NEAR);
    let session = comes_back(&mut world, earlier);
    world.send(session, &message(FAR, "first"));
    world.send(session, &message(NEAR, "second"));
    world.settle();
    assert!(world.clients[&reader].inbox.is_empty(), "it had it before all of them");
    assert_eq!((world.waiting(NEAR), world.archived(NEAR)), (0, 1));
    assert_eq!((world.waiting(FAR), world.archived(FAR)), (1, 1));
}

#[test]
fn another_message_is_not_taken_for_it() {
    let (mut world, once, reader, earlier) = killed_ahead_of_the_count();
    // Who has not asked for the session that died does not know of it, whatever it sends.
    let stranger = world.bind(WRITER, Some("other"), true, None);
    world.settle();
    world.send(stranger, &message(NEAR, "second"));
    world.settle();
    let other = next_message(&mut world, reader, "second");
    assert_ne!(once, other);
    // Another text, another recipient, another id, none.
    let session = comes_back(&mut world, earlier);
    world.send(session, &message(NEAR, "second").replace("<body>second", "<body>Second"));
    world.settle();
    next_message(&mut world, reader, "second");
    world.send(session, &message(FAR, "second"));
    world.send(session, &message(NEAR, "second").replace("id='second'", "id='third'"));
    world.send(session, &message(NEAR, "second").replace(" id='second'", ""));
    world.settle();
    assert_eq!(world.clients[&reader].inbox.len(), 2);
    assert_eq!(world.waiting(FAR), 1);
}

#[test]
fn what_still_waits_is_taken_back_and_comes_once() {
    let mut cfg = RouterConfig::new("localhost", [7; 16]);
    cfg.archive = ArchivePolicy::Always;
    let mut world = World::with(2, cfg);
    let session = world.bind(WRITER, Some("pen"), true, None);
    world.settle();
    world.may_resume(session);
    world.settle();
    world.send(session, &message(FAR, "first"));
    world.send(session, &message(NEAR, "second"));
    world.settle_but(THERE);
    assert_eq!((world.waiting(NEAR), world.archived(NEAR)), (1, 1));
    kill(&mut world);
    assert_eq!((world.waiting(NEAR), world.archived(NEAR)), (0, 0), "nobody was promised anything");
    let session = comes_back(&mut world, session);
    for (to, id) in [(FAR, "first"), (NEAR, "second")] {
        world.send(session, &message(to, id));
    }
    world.settle();
    assert_eq!((world.waiting(NEAR), world.archived(NEAR)), (1, 1));
    let reader = world.bind(NEAR, Some("desk"), true, None);
    world.settle();
    world.send(reader, "<presence/>");
    world.settle();
    let inbox = &world.clients[&reader].inbox;
    let messages: Vec<_> = inbox.iter().filter(|stanza| stanza.starts_with("<message ")).collect();
    assert!(messages.len() == 1 && messages[0].contains(" id='second'"), "{messages:?}");
}
