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

/// The second message is durable and its recipient has confirmed it, while the first is on its way to another loop. No
/// count covers it, so a kill takes it back; its sender is told so and writes both again.
#[test]
fn what_is_taken_back_after_its_recipient_had_it_comes_again_by_the_same_id() {
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

    world.now = world.now.later(Duration::from_secs(1));
    world.kill();
    assert_eq!((world.waiting(NEAR), world.archived(NEAR)), (0, 0), "nobody was promised anything");
    let reader = here(&mut world, NEAR);
    let back = world.resume(WRITER, session.to_bits(), None);
    world.settle();
    assert_eq!(world.clients[&back].not_resumed, Some(Some(0)));
    let session = world.bind(WRITER, Some("pen"), true, None);
    world.settle();
    for (to, id) in [(FAR, "first"), (NEAR, "second")] {
        world.send(session, &message(to, id));
    }
    world.settle();
    let again = next_message(&mut world, reader, "second");
    assert!(world.clients[&reader].inbox.is_empty(), "once a session");
    world.confirm(reader, usize::MAX);
    world.settle();
    assert_eq!((world.waiting(NEAR), world.archived(NEAR)), (0, 1), "its archive has it once");
    assert_eq!((world.waiting(FAR), world.archived(FAR)), (1, 1));
    // All but the id that the archive gives, which was never promised to anybody.
    let but_stanza_id = |text: &str| text.split("<stanza-id ").next().map(str::to_owned);
    assert_eq!(but_stanza_id(&once), but_stanza_id(&again));
    assert_ne!(once, again);
}
