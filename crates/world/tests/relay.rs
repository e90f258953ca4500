//! Two clients and the exchange: the smallest chat, over each carrier, in the open and behind a NAT box.

use std::net::Ipv4Addr;
use std::time::Duration;

use sim::link::{Conditions, End, LinkConfig};
use switchboard_world::client::{Experience, Over, Planned};
use switchboard_world::world::{Config, DOMAIN, EXCHANGE, PORT, World};

const WITHIN: Duration = Duration::from_secs(30);

fn conditions() -> Conditions {
    Conditions { delay: Duration::from_millis(10), ..Conditions::default() }
}

/// 10001 and 10002, each at a site of its own, logged in.
fn pair(over: Over, nat: Option<Ipv4Addr>, loops: usize) -> World {
    pair_in(Config { loops, frames_max: 10_000, ..Config::default() }, over, nat)
}

fn pair_in(config: Config, over: Over, nat: Option<Ipv4Addr>) -> World {
    let mut world = World::new(config, 7);
    let inside = if nat.is_some() { Ipv4Addr::new(192, 168, 1, 2) } else { Ipv4Addr::new(10, 1, 0, 2) };
    let first = world.add_site(inside, nat, LinkConfig::default(), conditions());
    let second = world.add_site(Ipv4Addr::new(10, 2, 0, 2), None, LinkConfig::default(), conditions());
    let clients = [world.add_client(first, over, Some("a")), world.add_client(second, over, Some("b"))];
    let now = world.now();
    for client in clients {
        world.with_client(client, |client| client.log_in(now));
    }
    let ready = world.run_until(WITHIN, |world| world.clients().iter().all(|client| client.is_ready()));
    assert_eq!(ready, Ok(true), "{:?}", world.take_happened());
    world
}

fn say(world: &mut World, id: &str, body: &str) {
    let at = world.now();
    let to = format!("{}@{DOMAIN}", world.client(1).number());
    let planned = Planned { at, to, id: id.into(), body: body.into() };
    world.with_client(0, |client| client.plan(planned));
}

fn relay(over: Over, nat: Option<Ipv4Addr>, loops: usize) {
    relay_in(pair(over, nat, loops), over, nat);
}

fn relay_in(mut world: World, over: Over, nat: Option<Ipv4Addr>) -> World {
    assert_eq!((world.client(0).number(), world.client(1).number()), (10_001, 10_002));
    // The exchange has noted where each number is, as it sees it.
    let who = world.who();
    let remotes: Vec<_> = who.iter().map(|line| (line.number, line.remote)).collect();
    let local = world.client(0).local(world.site(0).stack()).expect("connected");
    assert_eq!(remotes[0].0, Some(10_001));
    assert_eq!(remotes[0].1.ip(), nat.unwrap_or(Ipv4Addr::new(10, 1, 0, 2)));
    assert_eq!(remotes[0].1 == local, nat.is_none() && over != Over::Quic, "{} and {local}", remotes[0].1);
    assert!(who.iter().all(|line| line.network == "sim" && line.state == "bound"), "{who:?}");
    let carrier = match over {
        Over::Tcp | Over::StartTls => "tcp",
        Over::Tls => "tls",
        Over::Quic => "quic",
    };
    let encrypted = over != Over::Tcp;
    assert!(who.iter().all(|line| line.carrier == carrier && line.encrypted == encrypted), "{who:?}");

    world.take_happened();
    say(&mut world, "m1", "the first words");
    let begun = world.now();
    let mut heard = Vec::new();
    let arrived = |world: &mut World, heard: &mut Vec<_>| {
        heard.extend(world.take_happened());
        let got = heard.iter().any(|h| {
            h.client == 1 && matches!(&h.what, Experience::Arrived(m) if m.body == "the first words")
        });
        let taken = heard
            .iter()
            .any(|h| h.client == 0 && matches!(&h.what, Experience::Acknowledged { id } if id == "m1"));
        got && taken
    };
    while !arrived(&mut world, &mut heard) {
        assert!(world.now() < begun + WITHIN, "{heard:?}");
        world.settle().expect("rest");
        let next = world.next_deadline().expect("something is under way");
        world.advance_to(next);
    }
    // Every frame of it can be shown: what the first client sent, and what went on to the second.
    let towards = |site: usize, from: End| {
        world.site(site).trace.frames().filter(|p| p.from == from && p.at >= begun).count()
    };
    assert!(towards(0, End::A) > 0 && towards(1, End::B) > 0);

    for client in 0..2 {
        world.with_client(client, |client| client.log_out());
    }
    let gone = world
        .run_until(WITHIN, |world| world.connections() == 0 && world.clients().iter().all(|c| c.is_away()));
    assert_eq!(gone, Ok(true), "{:?}", world.who());
    world
}

#[test]
fn a_message_is_relayed_over_tcp() {
    (1..=3).for_each(|loops| relay(Over::Tcp, None, loops));
}

/// What is said once TLS is there cannot be read on the way; in the clear it can.
#[test]
fn a_message_is_relayed_over_tls() {
    for over in [Over::Tcp, Over::Tls, Over::StartTls] {
        for loops in 1..=2 {
            let world = relay_in(pair(over, None, loops), over, None);
            for needle in ["the first words", "<presence", "<challenge"] {
                let mut frames = (0..2).flat_map(|site| world.site(site).trace.frames());
                let seen = frames.any(|passed| String::from_utf8_lossy(&passed.frame).contains(needle));
                assert_eq!(seen, over == Over::Tcp, "{over:?}: {needle}");
            }
        }
    }
}

#[test]
fn a_message_is_relayed_over_quic() {
    (1..=3).for_each(|loops| relay(Over::Quic, None, loops));
}

/// docs/decisions/0010: whichever queue the kernel chooses, a connection's segments come to the loop that holds it.
#[test]
fn a_chat_whose_segments_all_come_by_the_wrong_queue_is_as_any_other() {
    for (over, loops) in [(Over::Tcp, 2), (Over::Tcp, 3), (Over::Quic, 2)] {
        let config = Config { loops, frames_max: 10_000, astray: true, ..Config::default() };
        relay_in(pair_in(config, over, None), over, None);
    }
}

#[test]
fn behind_a_nat_box_the_exchange_sees_the_box() {
    relay(Over::Tcp, Some(Ipv4Addr::new(10, 1, 0, 1)), 2);
    relay(Over::Quic, Some(Ipv4Addr::new(10, 1, 0, 1)), 2);
}

/// The clients close first, so no TIME_WAIT is left at the exchange: DESIGN section 5.
#[test]
fn whoever_logs_out_pays_for_it() {
    let mut world = pair(Over::Tcp, None, 1);
    for client in 0..2 {
        world.with_client(client, |client| client.log_out());
    }
    assert_eq!(world.run_until(WITHIN, |world| world.connections() == 0), Ok(true));
    world.run_for(Duration::from_secs(1)).expect("rest");
    for site in 0..2 {
        assert_eq!(world.site(site).stack().tcp_counts().time_wait, 1, "site {site}");
    }
}

/// What the exchange has acknowledged to one who writes to somebody away outlives its death.
#[test]
fn a_killed_exchange_keeps_what_it_acknowledged() {
    let mut world = pair(Over::Tcp, None, 2);
    world.with_client(1, |client| client.log_out());
    assert_eq!(world.run_until(WITHIN, |world| world.client(1).is_away()), Ok(true));
    world.take_happened();
    say(&mut world, "m1", "wait for me");
    assert_eq!(world.run_until(WITHIN, |world| world.client(0).is_done()), Ok(true));
    let heard = world.take_happened();
    assert!(
        heard.iter().any(|h| matches!(&h.what, Experience::Acknowledged { id } if id == "m1")),
        "{heard:?}"
    );
    world.kill();
    assert!(world.who().is_empty() && !world.is_up());
    world.run_for(Duration::from_secs(1)).expect("rest");
    world.start();
    let now = world.now();
    world.with_client(1, |client| client.log_in(now));
    let mut got = false;
    for _ in 0..100 {
        world.run_for(Duration::from_secs(1)).expect("rest");
        got |= world
            .take_happened()
            .iter()
            .any(|h| h.client == 1 && matches!(&h.what, Experience::Arrived(m) if m.body == "wait for me"));
        if got && world.client(0).is_ready() && world.client(0).session() == 2 {
            break;
        }
    }
    assert!(got, "it never came");
    assert!(world.client(0).is_ready(), "whoever was cut off comes back");
    assert_eq!(world.client(0).session(), 2);
}

#[test]
fn the_exchange_listens_where_the_world_says() {
    assert_eq!((EXCHANGE.octets(), PORT), ([10, 0, 0, 1], 5222));
}
